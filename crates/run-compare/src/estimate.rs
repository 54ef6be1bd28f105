//! A figure of one run as a logarithm, and how uncertain the run by itself leaves it.

use crate::resampling::{Resampling, variance};

/// A figure of one run: percentile, rate or share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Natural logarithm of the figure, in the unit of its values.
    pub ln: f64,
    /// Of that logarithm, within the run.
    pub variance: f64,
}

impl Estimate {
    /// The figure itself.
    #[must_use]
    pub fn value(self) -> f64 {
        self.ln.exp()
    }

    /// Between which values the figure lies by this run alone, with 95 % confidence. It says nothing of what the next run will measure.
    #[must_use]
    pub fn band(self) -> (f64, f64) {
        const NORMAL_975: f64 = 1.959_964;
        let reach = NORMAL_975 * self.variance.sqrt();
        ((self.ln - reach).exp(), (self.ln + reach).exp())
    }

    /// The same in another unit: values times `factor`.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self { ln: self.ln + factor.ln(), ..self }
    }
}

/// What was measured in each unit of time of a run, as counts of whole ticks.
#[derive(Clone, Debug, Default)]
pub struct Values {
    /// Ascending.
    ticks: Vec<u64>,
    /// By unit: (place in `ticks`, count).
    units: Vec<Vec<(usize, u64)>>,
    count: u64,
}

impl Values {
    /// From pairs of ticks (1 at least) and count, unit by unit.
    #[must_use]
    pub fn new(units: &[Vec<(u64, u64)>]) -> Self {
        let mut ticks: Vec<u64> = units.iter().flatten().map(|pair| pair.0).collect();
        ticks.sort_unstable();
        ticks.dedup();
        let place = |value: &u64| ticks.partition_point(|known| known < value);
        let units = units.iter().map(|pairs| pairs.iter().map(|(value, count)| (place(value), *count)).collect()).collect();
        let mut values = Self { ticks, units, count: 0 };
        values.count = values.units.iter().flatten().map(|pair| pair.1).sum();
        values
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The values that these shares of all do not exceed, in ticks; `None` where nothing was measured. Where all values lie in a few seconds
    /// these cannot tell how much they vary: the variance is at least that of as many independent values. That a value was rounded to its
    /// tick is a part of it.
    ///
    /// # Panics
    /// When the resampling is of another number of units.
    #[must_use]
    pub fn quantiles<const N: usize>(&self, quantiles: [f64; N], resampling: &Resampling) -> Option<[Estimate; N]> {
        assert_eq!(self.units.len(), resampling.units(), "a run is resampled by its own units");
        let mut counts = vec![0; self.ticks.len()];
        let resampled: Vec<[f64; N]> =
            resampling.weights().filter_map(|weights| self.lns(weights, quantiles, &mut counts)).collect();
        let whole = self.lns(&vec![1; self.units.len()], quantiles, &mut counts)?;
        Some(std::array::from_fn(|n| {
            let between_seconds = variance(&resampled.iter().map(|lns| lns[n]).collect::<Vec<f64>>());
            let rounding = (-2.0 * whole[n]).exp() / 12.0;
            Estimate { ln: whole[n], variance: between_seconds.max(self.independent(&counts, quantiles[n])) + rounding }
        }))
    }

    /// The variance of a quantile of independent values: its rank is binomial.
    fn independent(&self, counts: &[u64], quantile: f64) -> f64 {
        let all = self.count as f64;
        let (rank, deviation) = (quantile * all, (quantile * (1.0 - quantile) * all).sqrt());
        let ln = |rank: f64| (self.at(counts, rank.clamp(1.0, all).ceil() as u64) as f64).ln();
        ((ln(rank + deviation) - ln(rank - deviation)) / 2.0).powi(2)
    }

    /// Of the units by their weights; `counts` is room for one count a value.
    fn lns<const N: usize>(&self, weights: &[u32], quantiles: [f64; N], counts: &mut [u64]) -> Option<[f64; N]> {
        counts.fill(0);
        for (unit, weight) in self.units.iter().zip(weights).filter(|(_, weight)| **weight > 0) {
            unit.iter().for_each(|(place, count)| counts[*place] += count * u64::from(*weight));
        }
        let all: u64 = counts.iter().sum();
        (all > 0).then(|| quantiles.map(|quantile| (self.at(counts, (quantile * all as f64).ceil() as u64) as f64).ln()))
    }

    /// The value of this rank, from 1.
    fn at(&self, counts: &[u64], rank: u64) -> u64 {
        let mut below = 0;
        let reached = counts.iter().position(|count| {
            below += count;
            below >= rank.max(1)
        });
        reached.map_or(1, |place| self.ticks[place])
    }
}

/// The sum of the first parts over that of the second ones, unit by unit; `None` where there is no such ratio above 0.
///
/// # Panics
/// When the resampling is of another number of units.
#[must_use]
pub fn ratio(parts: &[(f64, f64)], resampling: &Resampling) -> Option<Estimate> {
    assert_eq!(parts.len(), resampling.units(), "a run is resampled by its own units");
    let of = |weights: &[u32]| {
        let sum = |pick: fn(&(f64, f64)) -> f64| -> f64 {
            parts.iter().zip(weights).map(|(part, weight)| pick(part) * f64::from(*weight)).sum()
        };
        let ratio = sum(|part| part.0) / sum(|part| part.1);
        (ratio.is_finite() && ratio > 0.0).then(|| ratio.ln())
    };
    let ln = of(&vec![1; parts.len()])?;
    Some(Estimate { ln, variance: resampling.variance(of) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const THREE: [f64; 3] = [0.5, 0.9, 0.99];

    fn rounding(ticks: u64) -> f64 {
        1.0 / (12.0 * (ticks * ticks) as f64)
    }

    #[test]
    fn what_is_the_same_in_every_second_has_no_variance_but_its_rounding() {
        let values = Values::new(&vec![vec![(5_000, 40)]; 30]);
        let estimates = values.quantiles(THREE, &Resampling::new(30, 1)).unwrap();
        for estimate in estimates {
            assert!((estimate.value() - 5_000.0).abs() < 1e-6 && (estimate.variance - rounding(5_000)).abs() < 1e-15);
        }
        let constant = ratio(&[(7.0, 1.0); 30], &Resampling::new(30, 1)).unwrap();
        assert!((constant.value() - 7.0).abs() < 1e-9 && constant.variance < 1e-20);
    }

    #[test]
    fn a_millisecond_that_was_rounded_to_one_says_little() {
        let values = Values::new(&vec![vec![(1, 40)]; 30]);
        let [p50, ..] = values.quantiles(THREE, &Resampling::new(30, 1)).unwrap();
        assert!((p50.variance - 1.0 / 12.0).abs() < 1e-9);
    }

    #[test]
    fn ranks_are_those_of_hdr_histograms() {
        let values = Values::new(&[vec![(10, 50), (20, 40)], vec![(30, 9), (40, 1)]]);
        let estimates = values.quantiles([0.5, 0.9, 0.99, 1.0], &Resampling::new(2, 1)).unwrap();
        assert_eq!(estimates.map(|estimate| estimate.value().round() as u64), [10, 20, 30, 40]);
        assert_eq!(values.count(), 100);
    }

    #[test]
    fn nothing_measured_is_no_figure() {
        assert_eq!(Values::new(&vec![Vec::new(); 8]).quantiles(THREE, &Resampling::new(8, 1)), None);
        assert_eq!(Values::new(&[]).quantiles(THREE, &Resampling::new(0, 1)), None);
        assert_eq!(ratio(&[(0.0, 1.0); 8], &Resampling::new(8, 1)), None);
        assert_eq!(ratio(&[], &Resampling::new(0, 1)), None);
    }

    /// Uniform between 1,000 and 2,000: the median of n values has the variance 1,000^2 / (4 n).
    #[test]
    fn a_single_second_is_no_surer_than_its_values() {
        let second: Vec<(u64, u64)> = (0..1_000).map(|n| (1_000 + n, 1)).collect();
        let units: Vec<Vec<(u64, u64)>> = std::iter::once(second).chain(vec![Vec::new(); 29]).collect();
        let [p50, ..] = Values::new(&units).quantiles(THREE, &Resampling::new(30, 1)).unwrap();
        let deviation = p50.variance.sqrt() * p50.value();
        let expected = 1_000.0 / (4.0_f64 * 1_000.0).sqrt();
        assert!((deviation - expected).abs() < 0.1 * expected, "{deviation} and {expected}");
    }

    /// The mean of n independent counts has the variance that theory says.
    #[test]
    fn the_variance_of_a_rate_is_that_of_its_seconds() {
        let parts: Vec<(f64, f64)> = (0..200).map(|second| (if second * 7 % 10 < 5 { 90.0 } else { 110.0 }, 1.0)).collect();
        let estimate = ratio(&parts, &Resampling::new(200, 1)).unwrap();
        assert!((estimate.value() - 100.0).abs() < 1e-9);
        // Independent they would have 0.1^2 / 200; a period of ten within blocks of six evens out.
        assert!(estimate.variance < 0.01 / 200.0 * 1.5, "{}", estimate.variance);
    }

    #[test]
    fn a_band_holds_the_figure_and_another_unit_moves_both() {
        let estimate = Estimate { ln: 8.0_f64.ln(), variance: 0.01 };
        let (low, high) = estimate.band();
        assert!((low * high - 64.0).abs() < 1e-9 && (high / 8.0 - 1.2165).abs() < 1e-3);
        assert!((estimate.scaled(1e-3).value() - 0.008).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn a_quantile_is_one_of_the_values_and_they_ascend(units in prop::collection::vec(prop::collection::vec((1u64..1_000_000, 1u64..9), 0..6), 1..12)) {
            let values = Values::new(&units);
            if let Some(estimates) = values.quantiles(THREE, &Resampling::new(units.len(), 1)) {
                let told = estimates.map(|estimate| estimate.value().round() as u64);
                prop_assert!(told.is_sorted());
                prop_assert!(told.iter().all(|value| units.iter().flatten().any(|pair| pair.0 == *value)));
                prop_assert!(estimates.iter().all(|estimate| estimate.variance.is_finite() && estimate.variance >= 0.0));
            }
        }
    }
}
