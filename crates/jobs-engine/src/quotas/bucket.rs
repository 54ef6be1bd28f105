//! A token bucket in whole numbers: exact, without division on the way of a request.

use iot_jobs::instant::Mono;
use std::time::Duration;

/// A bucket holds what its rate gives in this time: how AWS counts within a second is not published (inferred).
const BURST: Duration = Duration::from_secs(1);
/// Levels are in billionths: nanoseconds times a rate per second.
const ONE: i64 = 1_000_000_000;

/// What is left of a rate per second, which is handed in, so that ten thousand connections need not each remember it. Rates are at most
/// 1,000,000,000. A new bucket is full.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    /// In billionths; negative while in debt.
    level: i64,
    /// When the level was right; a new bucket's time is so long ago that it has filled up since.
    at: Mono,
}

impl Bucket {
    fn fill(&mut self, rate: u32, now: Mono) {
        let full = i64::from(rate) * BURST.as_nanos() as i64;
        // Longer than this brings nothing more, unless there is a debt; what is paid back of a debt in one step is bounded too, by a day.
        const LONGEST: u128 = 24 * 3600 * 1_000_000_000;
        let passed = now.since(self.at).as_nanos().min(LONGEST) as i64;
        self.level = passed.saturating_mul(i64::from(rate)).saturating_add(self.level).min(full);
        self.at = self.at.max(now);
    }

    /// Takes `amount` if there is as much; otherwise nothing.
    pub(super) fn take(&mut self, amount: u32, rate: u32, now: Mono) -> bool {
        self.fill(rate, now);
        let wanted = i64::from(amount) * ONE;
        let is_enough = self.level >= wanted;
        if is_enough {
            self.level -= wanted;
        }
        is_enough
    }

    /// Takes `amount` even on credit, and says how long it is until the debt is paid.
    pub(super) fn spend(&mut self, amount: u32, rate: u32, now: Mono) -> Duration {
        self.fill(rate, now);
        self.level = self.level.saturating_sub(i64::from(amount) * ONE);
        match self.level {
            0.. => Duration::ZERO,
            debt => Duration::from_nanos(debt.unsigned_abs().div_ceil(u64::from(rate.max(1)))),
        }
    }

    /// Takes `amount`, or what there is of it: for what has happened already and cannot be refused.
    pub(super) fn drain(&mut self, amount: u32, rate: u32, now: Mono) {
        self.fill(rate, now);
        self.level = (self.level - i64::from(amount) * ONE).max(self.level.min(0));
    }

    /// Whether it is full, so that a new one would do as well.
    pub(super) fn is_full(&self, rate: u32, now: Mono) -> bool {
        let mut filled = *self;
        filled.fill(rate, now);
        filled.level == i64::from(rate) * BURST.as_nanos() as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> Mono {
        Mono(5_000_000_000 + ms * 1_000_000)
    }

    #[test]
    fn a_second_holds_its_rate_and_the_next_one_is_refused() {
        for rate in [1, 3, 7, 200, 3_000, 77_777] {
            let mut bucket = Bucket::default();
            assert!((0..rate).all(|_| bucket.take(1, rate, at(0))), "{rate}");
            assert!(!bucket.take(1, rate, at(0)), "{rate}");
            assert!(bucket.is_full(rate, at(1_000)) && !bucket.is_full(rate, at(999)));
            assert!((0..rate).all(|_| bucket.take(1, rate, at(1_000))) && !bucket.take(1, rate, at(1_000)));
        }
    }

    #[test]
    fn it_fills_by_the_millisecond_and_not_above_its_burst() {
        let mut bucket = Bucket::default();
        assert!(bucket.take(200, 200, at(0)));
        assert!(!bucket.take(1, 200, at(4)) && bucket.take(1, 200, at(5)) && !bucket.take(1, 200, at(5)));
        assert!(!bucket.take(201, 200, at(3_600_000)) && bucket.take(200, 200, at(3_600_000)));
        // A clock that is read a little late by another thread takes nothing away and gives nothing twice.
        assert!(!bucket.take(1, 200, at(3_599_000)) && !bucket.take(1, 200, at(3_600_004)) && bucket.take(1, 200, at(3_600_005)));
    }

    #[test]
    fn a_debt_says_how_long_to_wait() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.spend(1_000, 1_000, at(0)), Duration::ZERO);
        assert_eq!(bucket.spend(500, 1_000, at(0)), Duration::from_millis(500));
        assert_eq!(bucket.spend(100, 1_000, at(200)), Duration::from_millis(400));
        assert_eq!(bucket.spend(1, 1_000, at(601)), Duration::ZERO);
        bucket.drain(5_000, 1_000, at(2_000));
        assert!(!bucket.take(1, 1_000, at(2_000)) && bucket.take(1, 1_000, at(2_001)), "draining makes no debt");
    }

    proptest! {
        /// Against the definition: in any window never more than a burst and what the rate gives meanwhile.
        #[test]
        fn no_window_has_more_than_a_burst_and_its_rate(rate in 1u32..500, gaps in prop::collection::vec(0u64..20, 1..400)) {
            let mut bucket = Bucket::default();
            let mut taken: Vec<u64> = Vec::new();
            let mut now = 0;
            for gap in gaps {
                now += gap;
                if bucket.take(1, rate, at(now)) {
                    taken.push(now);
                }
            }
            for (first, from) in taken.iter().enumerate() {
                for (last, to) in taken.iter().enumerate().skip(first) {
                    let allowed = f64::from(rate) * (1.0 + (to - from) as f64 / 1e3);
                    prop_assert!((last - first + 1) as f64 <= allowed + 1e-6);
                }
            }
        }
    }
}
