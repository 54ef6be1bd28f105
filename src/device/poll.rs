//! When a thing polls: poll *n* is computed from the origin of its schedule, never from the one before.

use super::workflow::Poll;
use crate::instant::Mono;
use crate::seed::{self, Purpose};
use rand::RngExt;
use std::time::Duration;

/// The polls of one thing, and which of them is next.
#[derive(Clone, Debug)]
pub(super) struct PollSchedule {
    poll: Poll,
    seed: u64,
    thing: u64,
    /// Of the schedule: things that were switched on together do not poll together.
    origin: Mono,
    next: u64,
}

impl PollSchedule {
    pub(super) fn new(poll: Poll, seed: u64, thing: u64, origin: Mono) -> Self {
        let phase: f64 = seed::rng(seed, thing, Purpose::PollPhase, 0).random();
        Self { poll, seed, thing, origin: origin + poll.every.mul_f64(phase), next: 0 }
    }

    /// When poll `n` is due.
    fn due(&self, n: u64) -> Mono {
        let jitter = if self.poll.jitter > 0.0 {
            seed::rng(self.seed, self.thing, Purpose::PollJitter, n).random::<f64>() * self.poll.jitter
        } else {
            0.0
        };
        let every = self.poll.every.as_nanos();
        let nanos = every * u128::from(n) + (every as f64 * jitter) as u128;
        self.origin + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The next poll, which may be overdue at `now`, and how many after it are overdue too and will not be made up for.
    pub(super) fn next(&mut self, now: Mono) -> (Mono, u64) {
        let due = self.due(self.next);
        let after = self.next + 1;
        self.next = after;
        self.skip_until(now);
        (due, self.next - after)
    }

    /// Forgets the polls that were due before `now`.
    pub(super) fn skip_until(&mut self, now: Mono) {
        // With jitter a poll may be due up to one period after its place.
        let elapsed = now.since(self.origin).as_nanos() / self.poll.every.as_nanos().max(1);
        self.next = self.next.max(u64::try_from(elapsed).unwrap_or(u64::MAX).saturating_sub(1));
        while self.due(self.next) < now {
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Mono = Mono(50_000_000_000);
    const EVERY: Duration = Duration::from_secs(10);

    fn schedule(jitter: f64) -> PollSchedule {
        PollSchedule::new(Poll { every: EVERY, jitter }, 42, 7, ORIGIN)
    }

    #[test]
    fn polls_come_from_the_origin_whatever_became_of_those_before() {
        let mut polls = schedule(0.0);
        let (first, lost) = polls.next(ORIGIN);
        assert!(first.since(ORIGIN) < EVERY && lost == 0);
        let late = first + Duration::from_secs(3);
        assert_eq!(polls.next(late), (first + EVERY, 0));
        let frozen = first + EVERY + EVERY.mul_f64(3.5);
        assert_eq!(polls.next(frozen), (first + 2 * EVERY, 2), "the earliest is overdue, two more are lost");
        assert_eq!(polls.next(frozen), (first + 5 * EVERY, 0));
    }

    #[test]
    fn what_is_skipped_is_not_lost() {
        let mut polls = schedule(0.0);
        let (first, _) = polls.next(ORIGIN);
        let idle_again = first + EVERY.mul_f64(1_000_000.5);
        polls.skip_until(idle_again);
        assert_eq!(polls.next(idle_again), (first + 1_000_001 * EVERY, 0));
    }

    #[test]
    fn jitter_delays_each_poll_by_its_own_part_of_the_period() {
        let mut polls = schedule(0.5);
        let origin = polls.origin;
        let mut now = ORIGIN;
        let offsets: Vec<f64> = (0..200u32)
            .map(|n| {
                let (due, lost) = polls.next(now);
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
    fn things_poll_at_different_times() {
        let first = |thing| PollSchedule::new(Poll { every: EVERY, jitter: 0.0 }, 42, thing, ORIGIN).next(ORIGIN).0;
        let firsts: std::collections::BTreeSet<Mono> = (0..100).map(first).collect();
        assert_eq!(firsts.len(), 100);
    }
}
