//! How long to wait before the next try: of a connection, or of a request.

use crate::seed::{self, Purpose};
use rand::RngExt;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackoffPolicy {
    /// `random(0, min(cap, base x 2^n))`: what the v2 device SDKs do (spec section 18.4).
    FullJitter,
    /// `min(cap, base x 2^n)`.
    Exponential,
    /// `base`, always.
    Fixed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub policy: BackoffPolicy,
    pub base: Duration,
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
