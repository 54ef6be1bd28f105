//! Open-loop arrivals: when each one is meant to start, computed from the origin and never from the one before.

use rand_distr::{Distribution as _, Exp1};
use sim_units::seed::{self, Purpose};
use std::time::Duration;
use strum::{IntoStaticStr, VariantArray};

/// How arrivals are spread at a given rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum ArrivalKind {
    /// Arrival `n` at `n / rate`.
    Constant,
    /// Gaps drawn from an exponential distribution.
    Poisson,
    /// The rate grows evenly from 0, and the last arrival reaches it: twice as long as at a constant rate.
    Ramp,
    /// All at the origin; there is no rate.
    Burst,
}

/// Intended starts of `count` arrivals at `rate_per_s`, as offsets from the origin, ascending. Processes of different `stream`s are
/// independent of each other.
#[must_use]
pub fn arrivals(kind: ArrivalKind, rate_per_s: f64, count: usize, seed: u64, stream: u64) -> Vec<Duration> {
    let seconds = |s: f64| Duration::try_from_secs_f64(s).unwrap_or(Duration::MAX);
    match kind {
        ArrivalKind::Constant => (0..count).map(|n| seconds(n as f64 / rate_per_s)).collect(),
        ArrivalKind::Poisson => {
            let mut rng = seed::rng(seed, 0, Purpose::Arrivals, stream);
            let mut elapsed = 0.0;
            (0..count)
                .map(|_| {
                    let gap: f64 = Exp1.sample(&mut rng);
                    elapsed += gap / rate_per_s;
                    seconds(elapsed)
                })
                .collect()
        }
        // After t seconds of a rate that grows to r within T there were r t^2 / 2T arrivals, all of them after T.
        ArrivalKind::Ramp => (0..count).map(|n| seconds(2.0 * (n as f64 * count as f64).sqrt() / rate_per_s)).collect(),
        ArrivalKind::Burst => vec![Duration::ZERO; count],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arrivals_of_every_kind_begin_at_the_origin_and_never_go_back(
            rate in 0.01f64..10_000.0, count in 1usize..2_000, seed: u64,
        ) {
            for kind in [ArrivalKind::Constant, ArrivalKind::Poisson, ArrivalKind::Ramp, ArrivalKind::Burst] {
                let starts = arrivals(kind, rate, count, seed, 0);
                prop_assert!(starts.len() == count && starts.is_sorted());
                prop_assert!(kind == ArrivalKind::Poisson || starts[0].is_zero());
            }
        }

        #[test]
        fn a_ramp_has_half_the_rate_on_average_and_the_whole_of_it_at_its_end(rate in 1f64..10_000.0, count in 200usize..5_000) {
            let starts = arrivals(ArrivalKind::Ramp, rate, count, 0, 0);
            let whole = 2.0 * count as f64 / rate;
            // A quarter of them comes in the first half: the number grows with the square of time.
            let early = starts.iter().filter(|start| start.as_secs_f64() < whole / 2.0).count();
            prop_assert!(early.abs_diff(count / 4) <= 1, "{early} of {count}");
            let tail = (starts[count - 1] - starts[count - 11]).as_secs_f64();
            prop_assert!((10.0 / tail / rate - 1.0).abs() < 0.05, "{} at the end of a ramp to {rate}", 10.0 / tail);
            prop_assert!(starts[count - 1].as_secs_f64() <= whole);
        }

        #[test]
        fn a_burst_knows_no_rate(count in 0usize..100, rate in 0.01f64..100.0) {
            prop_assert_eq!(arrivals(ArrivalKind::Burst, rate, count, 0, 0), vec![Duration::ZERO; count]);
        }
    }

    #[test]
    fn constant_arrivals_do_not_drift() {
        let starts = arrivals(ArrivalKind::Constant, 3.0, 10_000, 1, 0);
        assert_eq!(starts[0], Duration::ZERO);
        assert_eq!(starts[9_999], Duration::from_secs(3333));
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread_of_a_poisson_process() {
        let starts = arrivals(ArrivalKind::Poisson, 500.0, 20_000, 42, 0);
        assert!(starts.is_sorted());
        let gaps: Vec<f64> = starts.windows(2).map(|w| (w[1] - w[0]).as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean * 500.0 - 1.0).abs() < 0.03, "mean gap {mean}");
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.03, "coefficient of variation {}", variance.sqrt() / mean);
    }
}
