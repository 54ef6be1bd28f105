//! What a worker hears of its leader, and what it tells it when all is ready.

use super::follower::{Act, Follower};
use super::outbox::Outbox;
use crate::exit;
use crate::run::StartAt;
use crate::run::led::LedStart;
use crate::workers::connection::Connection;
use crate::workers::message::{ClockReading, Heartbeat, WorkerEvent, unpack};
use crate::workers::{TICK, clock as clocks};
use futures_util::StreamExt as _;
use host::clock;
use host::stdio::say;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

/// Further from the leader's a clock is not corrected: whoever set it meant something else.
const OFFSET_MAX: Duration = Duration::from_secs(2);
/// More than the leader's own wait, so that it is the one to say who is missing.
const WAIT_MORE: Duration = Duration::from_secs(60);

/// Where what was heard goes.
pub(super) struct Channels {
    /// Of the attempt at the run that this worker has joined: others are not listened to.
    pub nonce: String,
    pub start: oneshot::Sender<LedStart>,
    pub connected: oneshot::Sender<()>,
    pub met: oneshot::Sender<()>,
    pub stop: mpsc::UnboundedSender<()>,
}

/// Listens until it is dropped.
pub(super) struct LeaderListener {
    state: Arc<State>,
    stop: mpsc::UnboundedSender<()>,
    task: AbortHandle,
}

#[derive(Default)]
struct State {
    /// The leader's clock less this host's, once it is known.
    offset_us: AtomicI64,
    is_gone: AtomicBool,
    has_started: AtomicBool,
}

/// Where the leader's clock is put down.
#[derive(Clone)]
pub(super) struct ClockOffset(Arc<State>);

impl LeaderListener {
    /// # Errors
    /// When the server does not take the subscription; for people.
    pub(super) async fn open(connection: &Connection, channels: Channels, parent: Option<u32>) -> Result<Self, String> {
        let heartbeats = connection.client.subscribe(connection.run.leader()).await;
        let heartbeats = heartbeats.map_err(|error| format!("listen to the leader: {error}"))?;
        let (state, stop) = (Arc::new(State::default()), channels.stop.clone());
        let task = tokio::spawn(listen(connection.clone(), heartbeats, channels, parent, Arc::clone(&state))).abort_handle();
        Ok(Self { state, stop, task })
    }

    pub(super) fn leader_is_gone(&self) -> bool {
        self.state.is_gone.load(Ordering::Relaxed)
    }

    pub(super) fn clock_offset(&self) -> ClockOffset {
        ClockOffset(Arc::clone(&self.state))
    }

    /// The run, which is asked to stop where nobody has told its start within the leader's wait and a while.
    pub(super) async fn with_deadline(&self, wait: Duration, run: impl Future<Output = u8>) -> u8 {
        let overdue = async {
            tokio::time::sleep(wait + WAIT_MORE).await;
            if !self.state.has_started.load(Ordering::Relaxed) {
                say(&format!("fleetsim: the leader announced no start within {} s", (wait + WAIT_MORE).as_secs()));
                let _ = self.stop.send(());
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            code = run => code,
            () = overdue => exit::ERROR,
        }
    }
}

impl Drop for LeaderListener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(
    connection: Connection,
    mut heartbeats: async_nats::Subscriber,
    channels: Channels,
    parent: Option<u32>,
    state: Arc<State>,
) {
    let mut follower = Follower::new(channels.nonce, clock::mono());
    let mut tick = tokio::time::interval(TICK);
    let (mut start, mut connected, mut met) = (Some(channels.start), Some(channels.connected), Some(channels.met));
    loop {
        let acts = tokio::select! {
            Some(message) = heartbeats.next() => match unpack::<Heartbeat>(&message.payload) {
                Ok((heartbeat, _)) => follower.take(heartbeat, clock::mono()),
                Err(why) => {
                    tracing::warn!(%why, "a message on the leader's subject is not from a leader");
                    continue;
                }
            },
            _ = tick.tick() => follower.poll(connection.is_up(), parent.is_none_or(has_parent), clock::mono()),
        };
        for act in acts {
            match act {
                Act::Start(start_at, origin) => match start_at.parse::<StartAt>() {
                    Ok(at) => {
                        state.has_started.store(true, Ordering::Relaxed);
                        let led = LedStart { at, clock_offset_us: state.offset_us.load(Ordering::Relaxed), origin };
                        if let Some(start) = start.take() {
                            let _ = start.send(led);
                        }
                    }
                    Err(why) => tracing::warn!(%why, "a start that cannot be used"),
                },
                Act::Connected => pass_on(&mut connected),
                Act::Met => pass_on(&mut met),
                Act::Stop => drop(channels.stop.send(())),
                Act::LeaderGone => state.is_gone.store(true, Ordering::Relaxed),
            }
        }
    }
}

/// Whoever does not wait for it any more needs it no more.
fn pass_on(wire: &mut Option<oneshot::Sender<()>>) {
    let _ = wire.take().map(|wire| wire.send(()));
}

fn has_parent(parent: u32) -> bool {
    let found = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    found == Some(parent)
}

/// Says that all is ready, once it is: after a look at the leader's clock.
pub(super) async fn announce(outbox: Outbox, connection: Connection, offset: ClockOffset, ready: oneshot::Receiver<usize>) {
    // Who never gets ready says why at its end.
    let Ok(threads) = ready.await else { return };
    let reading = match clocks::read(&connection.client, connection.run.clock()).await {
        Ok(reading) => reading,
        Err(why) => return outbox.say(WorkerEvent::Failed { why }).await,
    };
    if let Some(why) = too_far(reading) {
        return outbox.say(WorkerEvent::Failed { why }).await;
    }
    offset.0.offset_us.store(reading.offset_us, Ordering::Relaxed);
    outbox.say(WorkerEvent::Ready { clock: reading, threads }).await;
}

fn too_far(reading: ClockReading) -> Option<String> {
    let is_far = reading.offset_us.unsigned_abs() > OFFSET_MAX.as_micros() as u64;
    is_far.then(|| {
        format!(
            "set its clock: it is {:.1} s from the leader's, and {} s is the largest offset corrected (NTP keeps clocks in step)",
            reading.offset_us as f64 / 1e6,
            OFFSET_MAX.as_secs()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_seconds_off_is_refused() {
        let reading = |offset_us| ClockReading { offset_us, uncertainty_us: 10 };
        assert_eq!(too_far(reading(1_999_999)), None);
        assert!(too_far(reading(-2_500_000)).unwrap().contains("it is -2.5 s from the leader's"));
    }
}
