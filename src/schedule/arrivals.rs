//! Open-loop arrivals: when each one is meant to start, computed from the origin and never from the one before.

use crate::seed::{self, Purpose};
use rand_distr::{Distribution as _, Exp1};
use std::time::Duration;

/// How arrivals are spread at a given mean rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArrivalKind {
    /// Arrival `n` at `n / rate`.
    Constant,
    /// Gaps drawn from an exponential distribution.
    Poisson,
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
