//! How long everything between a thing and the service takes.

use iot_jobs::instant::Mono;
use jobs_engine::server_queue::ServerQueue;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use sim_units::distribution::Distribution;
use sim_units::seed::{self, Purpose};
use std::sync::Arc;
use std::time::Duration;
use strum::{EnumCount, VariantArray};

/// What takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumCount, VariantArray)]
pub enum Leg {
    /// The TCP handshake.
    Tcp,
    /// The TLS handshake.
    Tls,
    /// CONNECT -> CONNACK.
    Mqtt,
    /// SUBSCRIBE -> SUBACK.
    Subscribe,
    /// Request -> answer, of `get`.
    GetPending,
    /// Request -> answer, of `start-next`.
    StartNext,
    /// Request -> answer, of `get` of one job.
    Describe,
    /// Request -> answer, of `update`.
    Update,
    /// From a change at the service to the notification's arrival; one way.
    Notification,
    /// PUBLISH -> PUBACK.
    Puback,
}

/// How long a leg takes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Time {
    /// So many draws of a law long.
    Drawn {
        /// Of a round trip.
        law: Distribution,
        /// How many round trips.
        trips: f64,
    },
    /// As was measured: quantiles at equal steps, ascending, at least one.
    Measured(Arc<[Duration]>),
}

impl Time {
    fn sample(&self, rng: &mut ChaCha8Rng) -> Duration {
        match self {
            Self::Drawn { law, trips } => law.sample(rng).mul_f64(*trips),
            Self::Measured(quantiles) => {
                let place = rng.random::<f64>() * (quantiles.len() - 1) as f64;
                let low = quantiles[place as usize];
                let high = quantiles[(place as usize + 1).min(quantiles.len() - 1)];
                low + high.saturating_sub(low).mul_f64(place.fract())
            }
        }
    }
}

/// The times of all legs.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// By [`Leg`].
    times: [Time; Leg::COUNT],
    /// What the cryptography of a TLS handshake takes, both ends together.
    handshake: Duration,
    /// How many handshakes go on at once; `None`: as many as want to.
    processors: Option<u32>,
    is_measured: bool,
}

impl Network {
    /// TCP, MQTT and every answer take a round trip, TLS 1.3 a round trip and `handshake`, a notification half a round trip.
    #[must_use]
    pub fn of_round_trip(law: Distribution, handshake: Duration) -> Self {
        let time = |leg: Leg| Time::Drawn { law, trips: if leg == Leg::Notification { 0.5 } else { 1.0 } };
        Self { times: std::array::from_fn(|place| time(Leg::VARIANTS[place])), handshake, processors: None, is_measured: false }
    }

    /// The same where both ends of all handshakes are on one machine with so many processors.
    #[must_use]
    pub fn with_processors(self, processors: u32) -> Self {
        Self { processors: Some(processors), ..self }
    }

    /// The same with the time of a leg as it was measured: it has network and service in it, so the service adds none of its own then.
    pub fn measure(&mut self, leg: Leg, quantiles: Arc<[Duration]>) {
        if leg == Leg::Tls {
            (self.handshake, self.processors) = (Duration::ZERO, None);
        }
        self.times[leg as usize] = Time::Measured(quantiles);
        self.is_measured = true;
    }
}

/// The times with their random stream.
pub(crate) struct Delays {
    network: Network,
    handshakes: Option<ServerQueue>,
    rng: ChaCha8Rng,
}

impl Delays {
    pub(crate) fn new(network: Network, seed: u64) -> Self {
        let handshakes = network.processors.map(ServerQueue::new);
        Self { network, handshakes, rng: seed::rng(seed, 0, Purpose::Network, 0) }
    }

    /// When a TLS handshake that begins at `start` is done.
    pub(crate) fn secured(&mut self, start: Mono) -> Mono {
        let handshake = self.network.handshake;
        let done = self.handshakes.as_mut().map_or(start + handshake, |queue| queue.enter(start, handshake));
        done + self.draw(Leg::Tls)
    }

    pub(crate) fn draw(&mut self, leg: Leg) -> Duration {
        self.network.times[leg as usize].sample(&mut self.rng)
    }

    pub(crate) fn is_measured(&self) -> bool {
        self.network.is_measured
    }
}
