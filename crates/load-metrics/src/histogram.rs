//! Histograms of durations: how fine and how far they go, what is shipped of them, and the percentiles that are told.

use super::sample::Operation;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::time::Duration;

/// How fine a histogram is and how far it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// Nanoseconds of one tick, the unit in which values are counted.
    tick_ns: u64,
    ticks_max: u64,
    digits: u8,
}

impl Resolution {
    /// 1 us to 1 h, three digits: about 184 KiB, so one for a shard and not one for a thing.
    pub const SHORT: Self = Self { tick_ns: 1_000, ticks_max: 3_600_000_000, digits: 3 };
    /// The same with two digits, for breakdowns by scope.
    const SHORT_SCOPED: Self = Self { digits: 2, ..Self::SHORT };
    /// 1 ms to 30 days, for what may last that long.
    const LONG: Self = Self { tick_ns: 1_000_000, ticks_max: 30 * 24 * 3_600_000, digits: 3 };
    pub(super) const LONG_COARSE: Self = Self { digits: 2, ..Self::LONG };

    /// That of an operation, coarser for its breakdown by cohort and transport.
    #[must_use]
    pub fn of(operation: Operation, is_breakdown: bool) -> Self {
        match (operation.is_long(), is_breakdown) {
            (false, false) => Self::SHORT,
            (false, true) => Self::SHORT_SCOPED,
            (true, false) => Self::LONG,
            (true, true) => Self::LONG_COARSE,
        }
    }

    /// How long a tick is.
    #[must_use]
    pub fn tick(self) -> Duration {
        Duration::from_nanos(self.tick_ns)
    }

    /// Ticks in milliseconds.
    #[must_use]
    pub fn ms(self, ticks: f64) -> f64 {
        ticks / (1e6 / self.tick_ns as f64)
    }

    /// An empty histogram of the crate, as the interval log writes it.
    #[must_use]
    pub fn histogram(self) -> hdrhistogram::Histogram<u64> {
        hdrhistogram::Histogram::new_with_bounds(1, self.ticks_max, self.digits).expect("the resolutions are within its bounds")
    }
}

/// Values that are kept as they are before they are counted: to look through 20,000 buckets for a few takes longer than to sort those.
const FEW_MAX: usize = 256;

/// Of anything that is counted within a second of one thread: there is never so much.
pub(super) const COUNT_MAX: u64 = 1_000_000_000;

/// Counts durations; recording neither allocates nor fails.
#[derive(Debug)]
pub struct Histogram {
    resolution: Resolution,
    /// In ticks, in the order in which they came; not in `inner`.
    few: Vec<u64>,
    inner: hdrhistogram::Histogram<u64>,
    sum_ticks: u64,
    saturated: u64,
}

impl Histogram {
    /// An empty one.
    #[must_use]
    pub fn new(resolution: Resolution) -> Self {
        Self { resolution, few: Vec::with_capacity(FEW_MAX), inner: resolution.histogram(), sum_ticks: 0, saturated: 0 }
    }

    /// To the next tick, so that nothing takes no time; what lies beyond the range is counted at its end, and as saturated.
    pub fn record(&mut self, duration: Duration) {
        let Resolution { tick_ns, ticks_max, .. } = self.resolution;
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let ticks = ns.div_ceil(tick_ns).max(1);
        self.saturated += u64::from(ticks > ticks_max);
        let ticks = ticks.min(ticks_max);
        self.sum_ticks += ticks;
        if self.few.len() == FEW_MAX {
            self.few.drain(..).for_each(|ticks| self.inner.saturating_record(ticks));
        }
        self.few.push(ticks);
    }

    /// Hands over what was counted and starts again.
    pub fn take(&mut self) -> Distribution {
        let buckets = if self.inner.is_empty() {
            self.few.sort_unstable();
            let mut buckets: Vec<(u64, u64)> = Vec::new();
            for ticks in self.few.drain(..) {
                let end = self.inner.highest_equivalent(ticks);
                match buckets.last_mut() {
                    Some(last) if last.0 == end => last.1 += 1,
                    _ => buckets.push((end, 1)),
                }
            }
            buckets
        } else {
            self.few.drain(..).for_each(|ticks| self.inner.saturating_record(ticks));
            let buckets = self.inner.iter_recorded().map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value())).collect();
            self.inner.reset();
            buckets
        };
        Distribution { buckets, sum_ticks: std::mem::take(&mut self.sum_ticks), saturated: std::mem::take(&mut self.saturated) }
    }

    /// Whether nothing was recorded since the last [`Self::take`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.few.is_empty() && self.inner.is_empty()
    }
}

/// What was counted, without the empty buckets: a hundred or so pairs where the histogram has 20,000.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// (highest value of the bucket in ticks, count), ascending.
    buckets: Vec<(u64, u64)>,
    sum_ticks: u64,
    saturated: u64,
}

impl Distribution {
    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Values beyond the range, counted at its end.
    #[must_use]
    pub fn saturated(&self) -> u64 {
        self.saturated
    }

    /// Pairs of value in ticks and count, ascending.
    #[must_use]
    pub fn buckets(&self) -> &[(u64, u64)] {
        &self.buckets
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.1).sum()
    }

    /// Sum of all values, in ticks; exact, not of buckets.
    #[must_use]
    pub fn sum_ticks(&self) -> u64 {
        self.sum_ticks
    }

    /// Whether a histogram of this resolution can have counted it: values ascend and are within its range, and the sum can be theirs.
    pub(super) fn is_of(&self, resolution: Resolution) -> bool {
        let ascend = self.buckets.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let are_counted = self.buckets.iter().all(|(value, count)| *value >= 1 && (1..=COUNT_MAX).contains(count));
        let is_within = self.buckets.last().is_none_or(|(value, _)| {
            *value <= resolution.ticks_max || *value == resolution.histogram().highest_equivalent(resolution.ticks_max)
        });
        let sum_max = self.buckets.iter().map(|(value, count)| u128::from(*value) * u128::from(*count)).sum::<u128>();
        ascend && are_counted && is_within && u128::from(self.sum_ticks) <= sum_max
    }

    /// Adds what another histogram of the same resolution counted.
    pub fn merge(&mut self, other: &Self) {
        self.sum_ticks += other.sum_ticks;
        self.saturated += other.saturated;
        if other.is_empty() {
            return;
        }
        let room = self.buckets.len().max(other.buckets.len());
        let mine = std::mem::replace(&mut self.buckets, Vec::with_capacity(room));
        let (mut left, mut right) = (mine.iter().copied().peekable(), other.buckets.iter().copied().peekable());
        while let (Some(a), Some(b)) = (left.peek().copied(), right.peek().copied()) {
            self.buckets.push(match a.0.cmp(&b.0) {
                Ordering::Less => a,
                Ordering::Greater => b,
                Ordering::Equal => (a.0, a.1 + b.1),
            });
            left.next_if(|_| a.0 <= b.0);
            right.next_if(|_| b.0 <= a.0);
        }
        self.buckets.extend(left);
        self.buckets.extend(right);
    }

    /// The percentiles as HdrHistogram defines them; `None` when nothing was counted. The mean is exact.
    #[must_use]
    pub fn latency(&self, resolution: Resolution) -> Option<Latency> {
        let count = self.count();
        let max = self.buckets.last()?.0;
        let at = |quantile| resolution.ms(self.value_at(quantile, count) as f64);
        Some(Latency {
            mean: resolution.ms(self.sum_ticks as f64 / count as f64),
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            max: resolution.ms(max as f64),
        })
    }

    /// How many values are above `limit_ms`, as percentiles count them.
    #[must_use]
    pub fn count_above(&self, limit_ms: f64, resolution: Resolution) -> u64 {
        self.buckets.iter().filter(|bucket| resolution.ms(bucket.0 as f64) > limit_ms).map(|bucket| bucket.1).sum()
    }

    /// The value that `quantile` of all values do not exceed, in ticks.
    fn value_at(&self, quantile: f64, count: u64) -> u64 {
        let rank = ((quantile * count as f64).ceil() as u64).max(1);
        let mut below = 0;
        let reached = self.buckets.iter().find(|bucket| {
            below += bucket.1;
            below >= rank
        });
        reached.map_or(0, |bucket| bucket.0)
    }

    /// The duration within which the first `rank` values lie, in milliseconds; `None` when there are fewer.
    #[must_use]
    pub fn ms_at_rank(&self, rank: u64, resolution: Resolution) -> Option<f64> {
        let count = self.count();
        (rank >= 1 && rank <= count).then(|| resolution.ms(self.value_at(rank as f64 / count as f64, count) as f64))
    }
}

/// A distribution in seven figures, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// Arithmetic mean; exact, not of buckets.
    pub mean: f64,
    /// 50th percentile.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// The highest value, to the end of its bucket.
    pub max: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn distribution(resolution: Resolution, micros: &[u64]) -> Distribution {
        let mut histogram = Histogram::new(resolution);
        micros.iter().for_each(|us| histogram.record(Duration::from_micros(*us)));
        histogram.take()
    }

    proptest! {
        #[test]
        fn merged_parts_have_the_percentiles_of_the_crate(
            parts in prop::collection::vec(
                prop_oneof![3 => prop::collection::vec(1u64..4_000_000_000, 0..50), 1 => prop::collection::vec(1u64..4_000_000, 200..700)],
                1..5,
            )
        ) {
            let mut merged = Distribution::default();
            let mut whole = Resolution::SHORT.histogram();
            for part in &parts {
                merged.merge(&distribution(Resolution::SHORT, part));
                part.iter().for_each(|us| whole.saturating_record((*us).min(Resolution::SHORT.ticks_max)));
            }
            match merged.latency(Resolution::SHORT) {
                None => prop_assert!(whole.is_empty()),
                Some(latency) => {
                    prop_assert_eq!(merged.count(), whole.len());
                    let told = [latency.p50, latency.p90, latency.p95, latency.p99, latency.p999];
                    for (quantile, told) in [0.5, 0.9, 0.95, 0.99, 0.999].into_iter().zip(told) {
                        prop_assert_eq!(told, whole.value_at_quantile(quantile) as f64 / 1e3);
                    }
                    prop_assert_eq!(latency.max, whole.max() as f64 / 1e3);
                    prop_assert!((latency.mean - whole.mean() / 1e3).abs() <= latency.mean * 1e-3 + 1e-3);
                }
            }
        }
    }

    #[test]
    fn what_is_beyond_the_range_is_counted_at_its_end_and_told() {
        let hour_us = 3_600_000_000;
        let counted = distribution(Resolution::SHORT, &[5, hour_us, hour_us + 1, u64::MAX / 1_000]);
        assert_eq!((counted.count(), counted.saturated()), (4, 2));
        let max = counted.latency(Resolution::SHORT).unwrap().max;
        assert!((3_600_000.0..3_604_000.0).contains(&max), "{max}");
    }

    #[test]
    fn long_operations_are_counted_in_milliseconds_begun() {
        let resolution = Resolution::of(Operation::NotifyNext, false);
        let latency = distribution(resolution, &[0, 400, 1_000, 1_001]).latency(resolution).unwrap();
        assert_eq!((latency.p50, latency.max), (1.0, 2.0));
        let month = distribution(resolution, &[29 * 24 * 3_600_000_000]);
        assert_eq!(month.saturated(), 0);
    }

    impl Distribution {
        /// With one bucket.
        pub(crate) fn of_bucket(value: u64, count: u64) -> Self {
            Self { buckets: vec![(value, count)], sum_ticks: 0, saturated: 0 }
        }
    }

    #[test]
    fn what_was_counted_is_of_its_resolution_and_of_no_narrower_one() {
        let counted = distribution(Resolution::SHORT, &[1, 5_000, 3_600_000_000, u64::MAX / 1_000]);
        assert!(counted.is_of(Resolution::SHORT) && !counted.is_of(Resolution::LONG));
        let (up, down) = (Distribution::of_bucket(7, 1), Distribution::of_bucket(5, 1));
        let unsorted = Distribution { buckets: [up.buckets, down.buckets].concat(), sum_ticks: 0, saturated: 0 };
        assert!(!unsorted.is_of(Resolution::SHORT) && !Distribution::of_bucket(0, 1).is_of(Resolution::SHORT));
        assert!(!Distribution { sum_ticks: 8, ..Distribution::of_bucket(7, 1) }.is_of(Resolution::SHORT));
    }

    #[test]
    fn taking_starts_again() {
        let mut histogram = Histogram::new(Resolution::SHORT);
        histogram.record(Duration::from_millis(3));
        assert_eq!(histogram.take().count(), 1);
        assert!(histogram.take().is_empty());
        histogram.record(Duration::from_millis(5));
        let next = histogram.take();
        assert_eq!((next.count(), next.latency(Resolution::SHORT).unwrap().mean), (1, 5.0));
    }

    #[test]
    fn ranks_count_from_one() {
        let ms = |n: u64| n * 1_000;
        let counted = distribution(Resolution::LONG_COARSE, &[ms(10), ms(20), ms(30)]);
        let at = |rank| counted.ms_at_rank(rank, Resolution::LONG_COARSE);
        assert_eq!([at(0), at(1), at(2), at(3), at(4)], [None, Some(10.0), Some(20.0), Some(30.0), None]);
    }
}
