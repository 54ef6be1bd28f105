//! What the endpoint is told to do wrong. Faults stand around the engine, which stays a clean account of the service.

use iot_jobs::instant::Mono;
use iot_jobs::{ErrorCode, Rejection, ThingName};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Serialize, Serializer};
use sim_units::distribution::Distribution;
use sim_units::seed::{self, Purpose};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What is to go wrong at the local endpoint, for all things alike. Serialized, it has the words of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FaultConfig {
    /// From a request's arrival, or its departure from the server's queue, to its way into the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Distribution>,
    /// A limited number of workers; absent: every request is served at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerConfig>,
    /// Requests that are refused; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reject: Option<RejectConfig>,
    /// Share of the requests that are acknowledged, and then lost.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "drop_table")]
    pub drop: Option<f64>,
    /// How long a connection lives, from CONNACK until the server ends it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "disconnect_table")]
    pub disconnect: Option<Distribution>,
    /// Late notifications; absent: they leave at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notifications: Option<NotificationConfig>,
}

fn drop_table<S: Serializer>(share: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Drop {
        share: f64,
    }
    share.map(|share| Drop { share }).serialize(serializer)
}

fn disconnect_table<S: Serializer>(every: &Option<Distribution>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Disconnect {
        every: Distribution,
    }
    every.map(|every| Disconnect { every }).serialize(serializer)
}

/// A queue in front of the service.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ServerConfig {
    /// At least one.
    pub workers: u32,
    /// How long a worker is busy with a request.
    pub service: Distribution,
}

/// Notifications that come late.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NotificationConfig {
    /// From the change to the message's departure, drawn for each message.
    pub delay: Distribution,
    /// Whether messages of a thing may overtake each other; its answers are late then, too.
    pub shuffle: bool,
}

impl NotificationConfig {
    /// # Errors
    /// When nothing could overtake anything, although it is to.
    pub fn new(delay: Distribution, shuffle: bool) -> Result<Self, &'static str> {
        match delay {
            Distribution::Constant(_) if shuffle => Err("what is shuffled needs a delay that varies, as in \"uniform(0s, 1s)\""),
            _ => Ok(Self { delay, shuffle }),
        }
    }
}

/// Requests that are refused without a look at them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RejectConfig {
    /// Of all requests.
    pub share: f64,
    /// Drawn with equal chances; at least one.
    #[serde(serialize_with = "code_words")]
    pub codes: Vec<ErrorCode>,
}

fn code_words<S: Serializer>(codes: &[ErrorCode], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(codes.iter().map(|code| code.as_str()))
}

/// What is to go wrong, for all requests alike.
#[derive(Clone, Debug, Default)]
pub struct FaultSettings {
    /// From which all draws follow.
    pub seed: u64,
    /// What goes wrong, and how often.
    pub plan: FaultConfig,
}

/// What goes wrong with one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// It is never answered, and the engine never hears of it.
    pub is_dropped: bool,
    /// It is refused with this, and the engine never hears of it.
    pub refusal: Option<Rejection>,
    /// How long a worker of the server is busy with it.
    pub service: Option<Duration>,
    /// How long it takes into the service; absent: no time.
    pub latency: Option<Duration>,
}

/// Every draw is a function of (seed, thing, number of the request, connection or message on that thing).
pub struct Faults {
    settings: FaultSettings,
    things: Mutex<HashMap<ThingName, Counts>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    requests: u64,
    connections: u64,
    messages: u64,
    /// When the latest notification leaves.
    last: Mono,
}

impl Faults {
    /// No request, connection or message has been counted yet.
    pub fn new(settings: FaultSettings) -> Self {
        Self { settings, things: Mutex::default() }
    }

    /// What is to happen to the next request of `thing`.
    pub fn request(&self, thing: &ThingName) -> Fault {
        let FaultConfig { latency, server, reject, drop, .. } = &self.settings.plan;
        if latency.is_none() && server.is_none() && reject.is_none() && drop.is_none() {
            return Fault::default();
        }
        let number = self.count(thing, |counts| next(&mut counts.requests));
        let mut rng = self.rng(thing, Purpose::Emulator, number);
        let toss: f64 = rng.random();
        let refusal = reject.as_ref().filter(|reject| toss < reject.share).map(|reject| {
            let code = reject.codes[rng.random_range(0..reject.codes.len())];
            Rejection::new(code, message(code))
        });
        Fault {
            is_dropped: drop.is_some_and(|share| self.rng(thing, Purpose::Drop, number).random::<f64>() < share),
            refusal,
            service: server.map(|server| server.service.sample(&mut self.rng(thing, Purpose::Service, number))),
            latency: latency.map(|latency| latency.sample(&mut rng)),
        }
    }

    /// How long the connection that begins now lives, if the server is to end it (PROTOCOL 12.6).
    pub fn lifetime(&self, thing: &ThingName) -> Option<Duration> {
        let lifetime = self.settings.plan.disconnect?;
        let number = self.count(thing, |counts| next(&mut counts.connections));
        Some(lifetime.sample(&mut self.rng(thing, Purpose::Lifetime, number)))
    }

    /// When a notification of now leaves, if it is to be late. Without shuffling none leaves before an earlier one.
    pub fn notification(&self, thing: &ThingName, now: impl FnOnce() -> Mono) -> Option<Mono> {
        let plan = self.settings.plan.notifications?;
        let number = self.count(thing, |counts| next(&mut counts.messages));
        let due = now() + plan.delay.sample(&mut self.rng(thing, Purpose::Lateness, number));
        if plan.shuffle {
            return Some(due);
        }
        Some(self.count(thing, |counts| {
            counts.last = counts.last.max(due);
            counts.last
        }))
    }

    /// When an answer of now leaves, if notifications are to overtake it.
    pub fn answer(&self, thing: &ThingName, now: impl FnOnce() -> Mono) -> Option<Mono> {
        let plan = self.settings.plan.notifications.filter(|plan| plan.shuffle)?;
        let number = self.count(thing, |counts| next(&mut counts.messages));
        Some(now() + plan.delay.sample(&mut self.rng(thing, Purpose::Lateness, number)))
    }

    fn rng(&self, thing: &ThingName, purpose: Purpose, number: u64) -> ChaCha8Rng {
        seed::rng(self.settings.seed, seed::digest(thing.as_str()), purpose, number)
    }

    fn count<T>(&self, thing: &ThingName, count: impl FnOnce(&mut Counts) -> T) -> T {
        let mut things = self.things.lock().unwrap_or_else(PoisonError::into_inner);
        match things.get_mut(thing) {
            Some(counts) => count(counts),
            None => count(things.entry(thing.clone()).or_default()),
        }
    }
}

/// Numbers start at 0.
fn next(counter: &mut u64) -> u64 {
    let number = *counter;
    *counter += 1;
    number
}

/// `message` of a rejection that is made up, by its code.
pub fn message(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::RequestThrottled => "Rate exceeded",
        _ => "injected by the endpoint's settings",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> FaultConfig {
        FaultConfig {
            latency: Some(Distribution::Uniform(Duration::from_millis(2), Duration::from_millis(8))),
            server: Some(ServerConfig { workers: 1, service: Distribution::Exp(Duration::from_millis(20)) }),
            reject: Some(RejectConfig { share: 0.1, codes: vec![ErrorCode::RequestThrottled, ErrorCode::InternalError] }),
            drop: Some(0.05),
            ..FaultConfig::default()
        }
    }

    fn faults(seed: u64, plan: FaultConfig) -> Faults {
        Faults::new(FaultSettings { seed, plan })
    }

    fn thing(n: u32) -> ThingName {
        ThingName::new(&format!("t-{n}")).expect("a valid name")
    }

    fn of_things(faults: &Faults, things: impl Iterator<Item = u32>) -> Vec<(u32, Fault)> {
        let mut told: Vec<(u32, Fault)> = things.map(|n| (n, faults.request(&thing(n)))).collect();
        told.sort_by_key(|(thing, _)| *thing);
        told
    }

    #[test]
    fn a_request_has_the_same_fate_whatever_others_do() {
        let turns = |round: u32| of_things(&faults(7, plan()), (0..1_000).map(move |n| (n * round) % 1_000 / 10));
        assert_eq!(turns(1), turns(3), "in any order of things");
        assert_ne!(turns(1), of_things(&faults(8, plan()), (0..1_000).map(|n| n / 10)));
        let all = of_things(&faults(7, plan()), 0..1_000);
        let fewer = of_things(&faults(7, FaultConfig { drop: None, server: None, ..plan() }), 0..1_000);
        assert!(
            all.iter().zip(&fewer).all(|((_, a), (_, b))| a.refusal == b.refusal && a.latency == b.latency),
            "nor other faults"
        );
    }

    #[test]
    fn shares_and_delays_are_as_wanted() {
        let told = of_things(&faults(1, plan()), (0..10_000).map(|n| n % 100));
        let count = |is_so: &dyn Fn(&Fault) -> bool| told.iter().filter(|(_, fault)| is_so(fault)).count();
        assert!((900..1_100).contains(&count(&|fault| fault.refusal.is_some())));
        let is_throttled = |fault: &Fault| fault.refusal.as_ref().is_some_and(|r| r.code == ErrorCode::RequestThrottled);
        assert!((400..600).contains(&count(&is_throttled)));
        assert!((400..600).contains(&count(&|fault| fault.is_dropped)));
        assert_eq!(count(&|fault| (2..=8).contains(&fault.latency.unwrap().as_millis())), 10_000);
        let service: Duration = told.iter().map(|(_, fault)| fault.service.unwrap()).sum();
        assert!((19..=21).contains(&(service / 10_000).as_millis()), "{service:?}");
    }

    #[test]
    fn without_settings_nothing_goes_wrong() {
        let none = faults(0, FaultConfig::default());
        assert_eq!(of_things(&none, 0..3).pop().unwrap().1, Fault::default());
        let now = || Mono(1);
        assert_eq!((none.lifetime(&thing(0)), none.notification(&thing(0), now), none.answer(&thing(0), now)), (None, None, None));
    }

    #[test]
    fn late_notifications_keep_their_order_unless_they_are_shuffled() {
        let leaving = |shuffle| {
            let delay = Distribution::Uniform(Duration::ZERO, Duration::from_secs(1));
            let faults =
                faults(3, FaultConfig { notifications: Some(NotificationConfig { delay, shuffle }), ..FaultConfig::default() });
            let due: Vec<Mono> = (0..100).map(|_| faults.notification(&thing(1), || Mono(0)).unwrap()).collect();
            (due, faults.answer(&thing(1), || Mono(0)))
        };
        let (ordered, answer) = leaving(false);
        assert!(ordered.is_sorted() && ordered[0] > Mono(0) && answer.is_none());
        let (shuffled, answer) = leaving(true);
        assert!(!shuffled.is_sorted() && answer.is_some());
    }

    #[test]
    fn each_connection_of_a_thing_has_its_own_lifetime() {
        let every = Distribution::Exp(Duration::from_secs(600));
        let lifetimes = |seed| {
            let faults = faults(seed, FaultConfig { disconnect: Some(every), ..FaultConfig::default() });
            [1, 1, 2].map(|n| faults.lifetime(&thing(n)).unwrap())
        };
        let [first, second, other] = lifetimes(5);
        assert!(first != second && first != other);
        assert_eq!(lifetimes(5), [first, second, other]);
    }
}
