//! How long to wait before the next try: of a connection, or of a request.

use rand::RngExt;
use sim_units::seed::{self, Purpose};
use std::time::Duration;
use strum::{IntoStaticStr, VariantArray};

/// A connection that stayed up this long starts its back-off from the beginning when it is lost (PROTOCOL 18.4).
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// How waits grow; `n` counts the failures before, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum BackoffPolicy {
    /// `random(0, min(cap, base x 2^n))`: what the v2 device SDKs do (PROTOCOL 18.4).
    FullJitter,
    /// `min(cap, base x 2^n)`.
    Exponential,
    /// `base`, always.
    Fixed,
}

/// How long to wait before each try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// How waits grow.
    pub policy: BackoffPolicy,
    /// The first wait, or its ceiling.
    pub base: Duration,
    /// No wait is longer.
    pub cap: Duration,
}

impl Backoff {
    /// Wait before try `attempt + 1`, where `attempt` counts the failures so far from 0. `draw` numbers the draws of this
    /// purpose for the thing.
    #[must_use]
    pub fn delay(&self, attempt: u32, seed: u64, thing: u64, purpose: Purpose, draw: u64) -> Duration {
        let ceiling = self.base.saturating_mul(1u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(self.cap);
        match self.policy {
            BackoffPolicy::Fixed => self.base,
            BackoffPolicy::Exponential => ceiling,
            BackoffPolicy::FullJitter => ceiling.mul_f64(seed::rng(seed, thing, purpose, draw).random()),
        }
    }
}

/// A thing's way back to its connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReconnectBackoff {
    /// Waits since the last connection that was stable.
    waits: u32,
    /// Waits so far: each has a draw of its own.
    draws: u64,
}

impl ReconnectBackoff {
    /// A connection that lived this long is lost.
    pub fn lost(&mut self, lived: Duration) {
        if lived >= STABLE_AFTER {
            self.waits = 0;
        }
    }

    /// How long to wait before the next attempt.
    pub fn wait(&mut self, backoff: &Backoff, seed: u64, thing: u64) -> Duration {
        let delay = backoff.delay(self.waits, seed, thing, Purpose::Reconnect, self.draws);
        self.waits = self.waits.saturating_add(1);
        self.draws += 1;
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn backoff(policy: BackoffPolicy) -> Backoff {
        Backoff { policy, base: Duration::from_secs(1), cap: Duration::from_secs(30) }
    }

    #[test]
    fn exponential_doubles_to_its_cap_and_never_overflows() {
        let delay = |n| backoff(BackoffPolicy::Exponential).delay(n, 1, 1, Purpose::Retry, 0).as_secs();
        assert_eq!([delay(0), delay(1), delay(4), delay(5), delay(31), delay(u32::MAX)], [1, 2, 16, 30, 30, 30]);
    }

    #[test]
    fn full_jitter_stays_below_the_ceiling_and_differs_between_things() {
        let delays: Vec<_> =
            (0..100).map(|thing| backoff(BackoffPolicy::FullJitter).delay(2, 1, thing, Purpose::Retry, 0)).collect();
        assert!(delays.iter().all(|d| *d < Duration::from_secs(4)));
        assert!(delays.iter().any(|d| *d > Duration::from_secs(3)) && delays.iter().any(|d| *d < Duration::from_secs(1)));
    }

    #[test]
    fn full_jitter_draws_evenly_up_to_its_cap_and_not_beyond() {
        let cap = 30.0;
        let delays = (0..10_000).map(|thing| backoff(BackoffPolicy::FullJitter).delay(20, 1, thing, Purpose::Reconnect, 3));
        let mut delays: Vec<f64> = delays.map(|delay| delay.as_secs_f64()).collect();
        delays.sort_by(f64::total_cmp);
        assert!(delays[9_999] < cap);
        for (n, share) in [(1_000, 0.1), (5_000, 0.5), (9_000, 0.9)] {
            assert!((delays[n] / cap - share).abs() < 0.02, "{} at {share}", delays[n]);
        }
    }

    #[test]
    fn a_fixed_wait_is_its_base_however_often() {
        let delay = |n| backoff(BackoffPolicy::Fixed).delay(n, 1, 1, Purpose::Reconnect, 0);
        assert_eq!([delay(0), delay(7), delay(u32::MAX)], [Duration::from_secs(1); 3]);
    }

    #[test]
    fn only_a_stable_connection_starts_the_waits_anew() {
        let exponential = backoff(BackoffPolicy::Exponential);
        let mut comeback = ReconnectBackoff::default();
        let mut wait = |lived: Option<u64>| {
            lived.into_iter().for_each(|lived| comeback.lost(Duration::from_secs(lived)));
            comeback.wait(&exponential, 1, 1).as_secs()
        };
        assert_eq!([wait(Some(60)), wait(None), wait(None)], [1, 2, 4]);
        assert_eq!([wait(Some(9)), wait(Some(0))], [8, 16], "a connection that does not hold is no success");
        assert_eq!([wait(Some(10)), wait(None)], [1, 2]);
    }

    #[test]
    fn a_wait_is_a_function_of_the_thing_and_its_number() {
        let waits = |thing| {
            let mut comeback = ReconnectBackoff::default();
            std::array::from_fn::<_, 4, _>(|_| comeback.wait(&backoff(BackoffPolicy::FullJitter), 7, thing))
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }

    /// Attempts a second of 10,000 things from the end of a minute's outage on, as the policy wants them: each fails before, and
    /// none after.
    fn after_an_outage(policy: BackoffPolicy) -> BTreeMap<u64, u64> {
        const OUTAGE: Duration = Duration::from_secs(60);
        let backoff = Backoff { cap: Duration::from_secs(60), ..backoff(policy) };
        let mut seconds = BTreeMap::new();
        for thing in 0..10_000 {
            let mut comeback = ReconnectBackoff::default();
            comeback.lost(OUTAGE);
            let mut at = Duration::ZERO;
            while at < OUTAGE {
                at += comeback.wait(&backoff, 1, thing);
            }
            *seconds.entry((at - OUTAGE).as_secs()).or_default() += 1;
        }
        seconds
    }

    #[test]
    fn after_an_outage_only_jitter_keeps_the_fleet_from_coming_back_as_one() {
        assert_eq!(after_an_outage(BackoffPolicy::Fixed), BTreeMap::from([(0, 10_000)]), "all within the first second");
        assert_eq!(after_an_outage(BackoffPolicy::Exponential), BTreeMap::from([(3, 10_000)]), "1 + 2 + 4 + ... + 32 = 63");
        let jitter = after_an_outage(BackoffPolicy::FullJitter);
        let peak = jitter.values().max().unwrap();
        assert!((150..700).contains(peak) && *jitter.keys().next_back().unwrap() < 60, "{jitter:?}");
    }
}
