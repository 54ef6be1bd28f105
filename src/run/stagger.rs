//! When a shard of a run takes in a second that is over. Each of them computes and writes for some milliseconds then; where many are on one
//! host, and all did it at once, their things would wait for a core for as long as all of that takes. So each has its own moment.

use crate::slice::Slice;
use iot_jobs::instant::Mono;
use std::collections::VecDeque;
use std::time::Duration;

/// From the end of a second to the last shard's moment: well below the time after which a leader takes a worker for silent.
const SPREAD: Duration = Duration::from_millis(800);
/// 2^32 over the golden ratio: the multiples of it lie evenly in a circle of 2^32, however many consecutive ones there are.
const GOLDEN: u32 = 0x9E37_79B9;

/// What waits for the moment of this shard.
#[derive(Debug)]
pub(super) struct Stagger<T> {
    lag: Duration,
    waiting: VecDeque<(Mono, T)>,
}

impl<T> Stagger<T> {
    /// Of the process that drives this slice; who drives the whole fleet never waits.
    pub(super) fn new(slice: Slice) -> Self {
        let place = f64::from(slice.index().wrapping_mul(GOLDEN)) / 2_f64.powi(32);
        Self { lag: SPREAD.mul_f64(place), waiting: VecDeque::new() }
    }

    /// It has come about now.
    pub(super) fn push(&mut self, item: T, now: Mono) {
        self.waiting.push_back((now + self.lag, item));
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Mono> {
        self.waiting.front().map(|(due, _)| *due)
    }

    /// The next one that is due.
    pub(super) fn poll(&mut self, now: Mono) -> Option<T> {
        self.next().is_some_and(|due| due <= now).then(|| self.pop()).flatten()
    }

    /// The next one, due or not.
    pub(super) fn pop(&mut self) -> Option<T> {
        self.waiting.pop_front().map(|(_, item)| item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(slice: &str) -> Duration {
        Stagger::<()>::new(slice.parse().unwrap()).lag
    }

    #[test]
    fn whatever_consecutive_slices_a_host_has_their_moments_are_apart() {
        assert_eq!(lag("0/1"), Duration::ZERO);
        for (first, count) in [(0, 54), (100, 8), (946, 54), (3, 2)] {
            let mut lags: Vec<Duration> = (first..first + count).map(|index| lag(&format!("{index}/1000"))).collect();
            lags.sort_unstable();
            assert!(lags[lags.len() - 1] < SPREAD);
            let closest = lags.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).min().unwrap();
            assert!(closest >= SPREAD / (3 * count), "{first} and {count}: {closest:?}");
        }
    }

    #[test]
    fn what_waits_comes_in_its_order_when_it_is_due() {
        let at = |ms: u64| Mono(1_000_000_000 + ms * 1_000_000);
        let mut stagger = Stagger::new("1/2".parse().unwrap());
        let lag_ms = u64::try_from(lag("1/2").as_millis()).unwrap();
        stagger.push('a', at(0));
        stagger.push('b', at(1_000));
        assert_eq!(stagger.poll(at(lag_ms - 1)), None);
        assert_eq!((stagger.poll(at(lag_ms + 1)), stagger.poll(at(lag_ms + 1))), (Some('a'), None));
        assert_eq!((stagger.pop(), stagger.next()), (Some('b'), None));
        let mut whole = Stagger::new(Slice::WHOLE);
        whole.push('a', at(0));
        assert_eq!(whole.poll(at(0)), Some('a'));
    }
}
