//! Times of the whole run in classic buckets, added up from the distributions of its seconds.

use load_metrics::{Measure, Operation, Resolution, ScopeName, TaggedTimes};
use prometheus::proto;
use std::collections::BTreeMap;

/// Upper bound of the first bucket, in seconds; each next one is twice as wide.
const FIRST_BOUND_S: f64 = 0.000_5;
/// Up to 16 s.
const BOUNDS: usize = 16;
/// Of what may last long: up to 18 hours.
const BOUNDS_LONG: usize = 28;

/// Every distribution of the run so far.
#[derive(Clone, Default)]
pub(super) struct TimesOfRun(BTreeMap<(Operation, Measure, ScopeName), TimeBuckets>);

impl TimesOfRun {
    pub(super) fn add(&mut self, times: &TaggedTimes) {
        let key = (times.operation, times.measure, times.scope.clone());
        self.0.entry(key).or_insert_with(|| TimeBuckets::new(times)).add(times);
    }

    pub(super) fn of(&self, measure: Measure) -> impl Iterator<Item = (Operation, &ScopeName, &TimeBuckets)> {
        self.0.iter().filter(move |((_, of, _), _)| *of == measure).map(|((operation, _, scope), times)| (*operation, scope, times))
    }
}

/// One distribution.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TimeBuckets {
    resolution: Resolution,
    /// Of each bucket; the last one has no bound.
    counts: Vec<u64>,
    sum_ticks: u64,
}

impl TimeBuckets {
    fn new(times: &TaggedTimes) -> Self {
        let bounds = if times.operation.is_long() { BOUNDS_LONG } else { BOUNDS };
        Self { resolution: times.resolution(), counts: vec![0; bounds + 1], sum_ticks: 0 }
    }

    fn add(&mut self, times: &TaggedTimes) {
        let last = self.counts.len() - 1;
        let (mut bucket, mut bound) = (0, FIRST_BOUND_S);
        for (ticks, count) in times.distribution.buckets() {
            while bucket < last && self.seconds(*ticks) > bound {
                (bucket, bound) = (bucket + 1, 2.0 * bound);
            }
            self.counts[bucket] += count;
        }
        self.sum_ticks += times.distribution.sum_ticks();
    }

    fn seconds(&self, ticks: u64) -> f64 {
        self.resolution.ms(ticks as f64) / 1e3
    }
}

impl From<&TimeBuckets> for proto::Histogram {
    fn from(times: &TimeBuckets) -> Self {
        let (mut below, mut bound) = (0, FIRST_BOUND_S);
        let (_, bounded) = times.counts.split_last().expect("there is a last bucket");
        let mut buckets = Vec::with_capacity(bounded.len());
        for count in bounded {
            below += count;
            let mut bucket = proto::Bucket::default();
            bucket.set_cumulative_count(below);
            bucket.set_upper_bound(bound);
            buckets.push(bucket);
            bound *= 2.0;
        }
        let mut histogram = Self::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(times.counts.iter().sum());
        histogram.set_sample_sum(times.seconds(times.sum_ticks));
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use load_metrics::Histogram;
    use std::time::Duration;

    fn second(operation: Operation, scope: ScopeName, times_ms: &[u64]) -> TaggedTimes {
        let mut histogram = Histogram::new(Resolution::of(operation, scope != ScopeName::All));
        times_ms.iter().for_each(|ms| histogram.record(Duration::from_millis(*ms)));
        TaggedTimes { scope, operation, measure: Measure::Service, distribution: histogram.take() }
    }

    /// (bound, cumulative count) of what grows, the whole count, and the sum.
    fn of(times: &TimesOfRun, operation: Operation) -> (Vec<(String, u64)>, u64, f64) {
        let found = times.of(Measure::Service).find(|(of, scope, _)| *of == operation && **scope == ScopeName::All).unwrap().2;
        let buckets = proto::Histogram::from(found).get_bucket().to_vec();
        let mut steps: Vec<(String, u64)> =
            buckets.iter().map(|bucket| (bucket.upper_bound().to_string(), bucket.cumulative_count())).collect();
        steps.dedup_by_key(|step| step.1);
        let histogram = proto::Histogram::from(found);
        (steps, histogram.get_sample_count(), histogram.get_sample_sum())
    }

    #[test]
    fn seconds_add_up() {
        let mut times = TimesOfRun::default();
        times.add(&second(Operation::Update, ScopeName::All, &[1, 2, 3]));
        times.add(&second(Operation::Update, ScopeName::All, &[4, 40_000]));
        times.add(&second(Operation::Update, ScopeName::Cohort("a".into()), &[7]));
        let (steps, count, sum) = of(&times, Operation::Update);
        // A value is the end of its bucket in the histogram: 4 ms are told as 4.001.
        let expected = [("0.0005", 0), ("0.001", 1), ("0.002", 2), ("0.004", 3), ("0.008", 4)];
        assert_eq!(steps, expected.map(|(bound, count)| (bound.to_owned(), count)), "the longest is beyond every bound");
        assert_eq!((count, sum), (5, 40.01));
        assert_eq!(times.of(Measure::Service).count(), 2);
        assert_eq!(times.of(Measure::Response).count(), 0);
    }

    #[test]
    fn what_may_last_long_has_bounds_up_to_hours() {
        let mut times = TimesOfRun::default();
        times.add(&second(Operation::Execution, ScopeName::All, &[1_000, 3_600_000]));
        let (steps, count, sum) = of(&times, Operation::Execution);
        let expected = [("0.0005", 0), ("1.024", 1), ("4194.304", 2)];
        assert_eq!(steps, expected.map(|(bound, count)| (bound.to_owned(), count)));
        assert_eq!((count, sum), (2, 3_601.0));
    }
}
