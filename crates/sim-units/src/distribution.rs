//! Random durations, as scenarios describe them.

use rand::{Rng, RngExt};
use rand_distr::{Distribution as _, Exp, LogNormal, Normal};
use std::time::Duration;

/// A distribution of durations; every draw is cut at zero and at [`Distribution::MAX`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// Always this long.
    Constant(Duration),
    /// Between the two, the second not below the first.
    Uniform(Duration, Duration),
    /// Exponential with this mean.
    Exp(Duration),
    /// Mean and standard deviation.
    Normal(Duration, Duration),
    /// Median, and sigma of the logarithm.
    LogNormal(Duration, f64),
}

impl Distribution {
    /// No think time is longer than this, whatever was drawn.
    pub const MAX: Duration = Duration::from_secs(30 * 24 * 3600);

    /// One draw, from zero to [`Distribution::MAX`]; a constant is not cut.
    pub fn sample(&self, rng: &mut impl Rng) -> Duration {
        let seconds = match *self {
            Self::Constant(value) => return value,
            Self::Uniform(low, high) => low.as_secs_f64() + rng.random::<f64>() * high.saturating_sub(low).as_secs_f64(),
            Self::Exp(mean) if mean.is_zero() => 0.0,
            Self::Exp(mean) => Exp::new(1.0 / mean.as_secs_f64()).map_or(0.0, |d| d.sample(rng)),
            Self::Normal(mean, deviation) => {
                Normal::new(mean.as_secs_f64(), deviation.as_secs_f64()).map_or(mean.as_secs_f64(), |d| d.sample(rng))
            }
            Self::LogNormal(median, _) if median.is_zero() => 0.0,
            Self::LogNormal(median, sigma) => {
                LogNormal::new(median.as_secs_f64().ln(), sigma).map_or(median.as_secs_f64(), |d| d.sample(rng))
            }
        };
        Duration::try_from_secs_f64(seconds.clamp(0.0, Self::MAX.as_secs_f64())).unwrap_or(Self::MAX)
    }

    /// The mean of the distribution, before it is cut; for estimates of how long a run takes.
    #[must_use]
    pub fn mean(&self) -> Duration {
        match *self {
            Self::Constant(value) | Self::Exp(value) | Self::Normal(value, _) => value,
            Self::Uniform(low, high) => (low + high) / 2,
            Self::LogNormal(median, sigma) => {
                Duration::try_from_secs_f64(median.as_secs_f64() * (sigma * sigma / 2.0).exp()).unwrap_or(Self::MAX).min(Self::MAX)
            }
        }
    }
}
