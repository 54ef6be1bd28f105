//! What a thing does every so often: time *n* is computed from the origin of its schedule, never from the one before.

use crate::seed::{self, Purpose};
use iot_jobs::instant::Mono;
use rand::RngExt;
use std::time::Duration;

/// How often, and how regularly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Period {
    /// From one place in the schedule to the next.
    pub every: Duration,
    /// Part of `every` by which each time may be later than its place in the schedule, from 0 to 1.
    pub jitter: f64,
}

/// What the draws of a schedule are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purposes {
    /// Where in its period a thing begins.
    pub phase: Purpose,
    /// How much later than its place each time is.
    pub jitter: Purpose,
}

/// One time of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which time of the schedule it is, from 0.
    pub number: u64,
    /// May be over.
    pub at: Mono,
    /// How many after it are over too, and will not be made up for.
    pub lost: u64,
}

/// The schedule of one thing, and what of it is next.
#[derive(Clone, Debug)]
pub struct Schedule {
    period: Period,
    jitter: Purpose,
    seed: u64,
    thing: u64,
    /// Of the schedule: things that were switched on together do not act together.
    origin: Mono,
    next: u64,
}

impl Schedule {
    /// The schedule of `thing`, whose first period begins at `origin` plus a part of the period that is drawn.
    #[must_use]
    pub fn new(period: Period, purposes: Purposes, seed: u64, thing: u64, origin: Mono) -> Self {
        let phase: f64 = seed::rng(seed, thing, purposes.phase, 0).random();
        let origin = origin + period.every.mul_f64(phase);
        Self { period, jitter: purposes.jitter, seed, thing, origin, next: 0 }
    }

    /// When time `n` is.
    fn at(&self, n: u64) -> Mono {
        let jitter = if self.period.jitter > 0.0 {
            seed::rng(self.seed, self.thing, self.jitter, n).random::<f64>() * self.period.jitter
        } else {
            0.0
        };
        let every = self.period.every.as_nanos();
        let nanos = every * u128::from(n) + (every as f64 * jitter) as u128;
        self.origin + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The next time, whether it is over at `now` or not.
    pub fn next(&mut self, now: Mono) -> Due {
        let number = self.next;
        self.next += 1;
        self.skip_until(now);
        Due { number, at: self.at(number), lost: self.next - number - 1 }
    }

    /// `at` was given, and is to be given again.
    pub fn back_to(&mut self, at: Mono) {
        while self.next > 0 && self.at(self.next - 1) >= at {
            self.next -= 1;
        }
    }

    /// Forgets what was due before `now`.
    pub fn skip_until(&mut self, now: Mono) {
        // With jitter a time may be up to one period after its place.
        let elapsed = now.since(self.origin).as_nanos() / self.period.every.as_nanos().max(1);
        self.next = self.next.max(u64::try_from(elapsed).unwrap_or(u64::MAX).saturating_sub(1));
        while self.at(self.next) < now {
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Mono = Mono(50_000_000_000);
    const EVERY: Duration = Duration::from_secs(10);

    const PURPOSES: Purposes = Purposes { phase: Purpose::PollPhase, jitter: Purpose::PollJitter };

    fn schedule(jitter: f64) -> Schedule {
        Schedule::new(Period { every: EVERY, jitter }, PURPOSES, 42, 7, ORIGIN)
    }

    fn next(schedule: &mut Schedule, now: Mono) -> (Mono, u64) {
        let due = schedule.next(now);
        (due.at, due.lost)
    }

    #[test]
    fn times_come_from_the_origin_whatever_became_of_those_before() {
        let mut times = schedule(0.0);
        let (first, lost) = next(&mut times, ORIGIN);
        assert!(first.since(ORIGIN) < EVERY && lost == 0);
        let late = first + Duration::from_secs(3);
        assert_eq!(next(&mut times, late), (first + EVERY, 0));
        let frozen = first + EVERY + EVERY.mul_f64(3.5);
        assert_eq!(next(&mut times, frozen), (first + 2 * EVERY, 2), "the earliest is overdue, two more are lost");
        assert_eq!(next(&mut times, frozen), (first + 5 * EVERY, 0));
    }

    #[test]
    fn what_is_skipped_is_not_lost() {
        let mut times = schedule(0.0);
        let (first, _) = next(&mut times, ORIGIN);
        let idle_again = first + EVERY.mul_f64(1_000_000.5);
        times.skip_until(idle_again);
        assert_eq!(next(&mut times, idle_again), (first + 1_000_001 * EVERY, 0));
    }

    #[test]
    fn what_was_given_can_be_given_again() {
        for jitter in [0.0, 1.0] {
            let mut times = schedule(jitter);
            let given: Vec<Mono> = (0..5).map(|_| times.next(ORIGIN).at).collect();
            times.back_to(given[3]);
            assert_eq!(times.next(ORIGIN), Due { number: 3, at: given[3], lost: 0 });
        }
    }

    #[test]
    fn jitter_delays_each_time_by_its_own_part_of_the_period() {
        let mut times = schedule(0.5);
        let origin = times.origin;
        let mut now = ORIGIN;
        let offsets: Vec<f64> = (0..200u32)
            .map(|n| {
                let (due, lost) = next(&mut times, now);
                assert_eq!(lost, 0);
                now = due;
                due.since(origin + n * EVERY).as_secs_f64()
            })
            .collect();
        assert!(offsets.iter().all(|offset| (0.0..5.0).contains(offset)));
        let mean = offsets.iter().sum::<f64>() / 200.0;
        assert!((2.0..3.0).contains(&mean), "{mean}");
    }

    #[test]
    fn things_act_at_different_times() {
        let first = |thing| Schedule::new(Period { every: EVERY, jitter: 0.0 }, PURPOSES, 42, thing, ORIGIN).next(ORIGIN).at;
        let firsts: std::collections::BTreeSet<Mono> = (0..100).map(first).collect();
        assert_eq!(firsts.len(), 100);
    }
}
