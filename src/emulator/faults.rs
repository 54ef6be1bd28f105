//! What the endpoint is told to do wrong. Faults stand around the engine, which stays a clean account of the service.

use crate::distribution::Distribution;
use crate::jobs::{ErrorCode, Rejection, ThingName};
use crate::scenario::plan::RejectPlan;
use crate::seed::{self, Purpose};
use rand::RngExt;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What is to go wrong, for all requests alike.
#[derive(Clone, Debug, Default)]
pub struct FaultSettings {
    pub seed: u64,
    /// From a request's arrival to its way into the engine.
    pub latency: Option<Distribution>,
    /// Refused without a look at them.
    pub reject: Option<RejectPlan>,
}

/// What goes wrong with one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) delay: Option<Duration>,
    pub(super) refusal: Option<Rejection>,
}

/// Every draw is a function of (seed, thing, number of the request on that thing).
pub(super) struct Faults {
    settings: FaultSettings,
    numbers: Mutex<HashMap<ThingName, u64>>,
}

impl Faults {
    pub(super) fn new(settings: FaultSettings) -> Self {
        Self { settings, numbers: Mutex::default() }
    }

    /// What is to happen to the next request of `thing`.
    pub(super) fn next(&self, thing: &ThingName) -> Fault {
        let FaultSettings { seed, latency, reject } = &self.settings;
        if latency.is_none() && reject.is_none() {
            return Fault::default();
        }
        let mut rng = seed::rng(*seed, seed::digest(thing.as_str()), Purpose::Emulator, self.number(thing));
        let toss: f64 = rng.random();
        let refusal = reject.as_ref().filter(|reject| toss < reject.share).map(|reject| {
            let code = reject.codes[rng.random_range(0..reject.codes.len())];
            Rejection::new(code, message(code))
        });
        Fault { delay: latency.as_ref().map(|latency| latency.sample(&mut rng)), refusal }
    }

    fn number(&self, thing: &ThingName) -> u64 {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        match numbers.get_mut(thing) {
            Some(number) => {
                *number += 1;
                *number
            }
            None => {
                numbers.insert(thing.clone(), 0);
                0
            }
        }
    }
}

fn message(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::RequestThrottled => "Rate exceeded",
        _ => "injected by the endpoint's settings",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(seed: u64) -> Faults {
        let reject = RejectPlan { share: 0.1, codes: vec![ErrorCode::RequestThrottled, ErrorCode::InternalError] };
        let latency = Distribution::Uniform(Duration::from_millis(2), Duration::from_millis(8));
        Faults::new(FaultSettings { seed, latency: Some(latency), reject: Some(reject) })
    }

    fn of_things(faults: &Faults, things: impl Iterator<Item = u32>) -> Vec<(u32, Fault)> {
        let mut told: Vec<(u32, Fault)> =
            things.map(|n| (n, faults.next(&ThingName::new(&format!("t-{n}")).expect("a valid name")))).collect();
        told.sort_by_key(|(thing, _)| *thing);
        told
    }

    #[test]
    fn a_request_has_the_same_fate_whatever_others_do() {
        let turns = |round: u32| of_things(&faults(7), (0..1_000).map(move |n| (n * round) % 1_000 / 10));
        assert_eq!(turns(1), turns(3), "in any order of things");
        assert_ne!(turns(1), of_things(&faults(8), (0..1_000).map(|n| n / 10)));
    }

    #[test]
    fn shares_and_delays_are_as_wanted() {
        let told = of_things(&faults(1), (0..10_000).map(|n| n % 100));
        let refused = told.iter().filter(|(_, fault)| fault.refusal.is_some()).count();
        assert!((900..1_100).contains(&refused), "{refused}");
        let throttled = |(_, fault): &&(u32, Fault)| fault.refusal.as_ref().is_some_and(|r| r.code == ErrorCode::RequestThrottled);
        assert!((400..600).contains(&told.iter().filter(throttled).count()));
        assert!(told.iter().all(|(_, fault)| (2..=8).contains(&fault.delay.unwrap().as_millis())));
    }

    #[test]
    fn without_settings_nothing_goes_wrong() {
        assert_eq!(of_things(&Faults::new(FaultSettings::default()), 0..3).pop().unwrap().1, Fault::default());
    }
}
