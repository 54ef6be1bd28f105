//! Circular block bootstrap: what a run might have measured, had its seconds come in another mixture. Neighbouring seconds stay together,
//! since they are alike.

use rand::RngExt as _;
use sim_units::seed::{Purpose, rng};

/// Resamples of a run.
pub const RESAMPLES: usize = 400;
/// Units of a block, at least.
const BLOCK_MIN: usize = 5;

/// How often each unit of time, mostly a second, stands in each of [`RESAMPLES`] resamples of a run. All figures of a run share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resampling {
    units: usize,
    /// The units of one resample after those of the other.
    weights: Vec<u32>,
}

impl Resampling {
    /// For a run of so many units; `stream` tells one run from another, and the same stream gives the same resamples.
    #[must_use]
    pub fn new(units: usize, stream: u64) -> Self {
        let mut rng = rng(0, stream, Purpose::Resampling, units as u64);
        let mut weights = vec![0; units * RESAMPLES];
        let block = block_length(units);
        for resample in weights.chunks_exact_mut(units.max(1)) {
            let mut missing = units;
            while missing > 0 {
                let length = block.min(missing);
                let start = rng.random_range(0..units);
                (start..start + length).for_each(|unit| resample[unit % units] += 1);
                missing -= length;
            }
        }
        Self { units, weights }
    }

    /// Units of time of the run.
    #[must_use]
    pub fn units(&self) -> usize {
        self.units
    }

    /// The weights of the units, resample by resample.
    pub(crate) fn weights(&self) -> impl Iterator<Item = &[u32]> {
        self.weights.chunks_exact(self.units.max(1))
    }

    /// The variance of a logarithm over the resamples; those in which there is none are left out.
    pub(crate) fn variance(&self, ln: impl FnMut(&[u32]) -> Option<f64>) -> f64 {
        variance(&self.weights().filter_map(ln).collect::<Vec<f64>>())
    }
}

/// The longer a run, the further its seconds depend on each other.
fn block_length(units: usize) -> usize {
    ((units as f64).cbrt().round() as usize).max(BLOCK_MIN).min(units)
}

/// Of a sample; 0 where fewer than two values can tell nothing.
pub(crate) fn variance(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    squares(values) / (values.len() - 1) as f64
}

/// Squared distances from the mean.
pub(crate) fn squares(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum()
}

/// Of one value at least.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_resample_has_as_many_units_as_the_run(units in 0usize..200, stream in 0u64..5) {
            let resampling = Resampling::new(units, stream);
            prop_assert_eq!(resampling.weights().count(), if units == 0 { 0 } else { RESAMPLES });
            for weights in resampling.weights() {
                prop_assert_eq!(weights.iter().sum::<u32>() as usize, units);
            }
        }
    }

    #[test]
    fn blocks_grow_with_the_cube_root_and_are_no_longer_than_the_run() {
        assert_eq!([0, 3, 5, 30, 1_000, 27_000].map(block_length), [0, 3, 5, 5, 10, 30]);
    }

    #[test]
    fn a_stream_is_the_same_each_time_and_another_one_differs() {
        assert_eq!(Resampling::new(40, 1), Resampling::new(40, 1));
        assert_ne!(Resampling::new(40, 1), Resampling::new(40, 2));
    }

    #[test]
    fn a_block_goes_round_the_end() {
        let is_round = |weights: &[u32]| weights[0] > 0 && weights[5] > 0 && weights[1..5].contains(&0);
        assert!(Resampling::new(6, 1).weights().any(is_round));
    }

    /// Seconds that come in runs of twenty alike tell less than their number says: a bootstrap that tore them apart would not see it.
    #[test]
    fn seconds_that_depend_on_each_other_are_worth_less() {
        let alike: Vec<f64> = (0..120).map(|second| f64::from(second / 20 % 2)).collect();
        let apart: Vec<f64> = (0..120).map(|second| f64::from(second % 2)).collect();
        let resampling = Resampling::new(120, 1);
        let spread = |values: &[f64]| {
            resampling.variance(|weights| {
                Some(values.iter().zip(weights).map(|(value, weight)| value * f64::from(*weight)).sum::<f64>() / 120.0)
            })
        };
        let independent = 0.25 / 120.0;
        assert!(spread(&alike) > 3.0 * independent, "{} and {independent}", spread(&alike));
        assert!(spread(&apart) < independent, "{} and {independent}", spread(&apart));
    }
}
