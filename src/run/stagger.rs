//! When a shard of a run hands over a second that is over. Each process computes and writes for some milliseconds then; where many are on
//! one host, and all did it at once, their things would wait for a core for as long as all of that takes. So each has its own moment.

use crate::slice::Slice;
use std::time::Duration;

/// From the end of a second to the last shard's moment: well below the time after which a leader takes a worker for silent.
const SPREAD: Duration = Duration::from_millis(800);
/// 2^32 over the golden ratio: the multiples of it lie evenly in a circle of 2^32, however many consecutive ones there are.
const GOLDEN: u32 = 0x9E37_79B9;

/// How long after its end the process that drives this slice takes a second in; who drives the whole fleet never waits.
pub(super) fn lag(slice: Slice) -> Duration {
    let place = f64::from(slice.index().wrapping_mul(GOLDEN)) / 2_f64.powi(32);
    SPREAD.mul_f64(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_consecutive_slices_a_host_has_their_moments_are_apart() {
        let lag = |slice: &str| lag(slice.parse().unwrap());
        assert_eq!(lag("0/1"), Duration::ZERO);
        for (first, count) in [(0, 54), (100, 8), (946, 54), (3, 2)] {
            let mut lags: Vec<Duration> = (first..first + count).map(|index| lag(&format!("{index}/1000"))).collect();
            lags.sort_unstable();
            assert!(lags[lags.len() - 1] < SPREAD);
            let closest = lags.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).min().unwrap();
            assert!(closest >= SPREAD / (3 * count), "{first} and {count}: {closest:?}");
        }
    }
}
