//! How a thing works through a job: sampled reaction, steps and outcome.

use crate::jobs::{ExecutionStatus, JobId};
use crate::seed::{self, Purpose};
use rand::{Rng, RngExt};
use rand_distr::{Distribution as _, Exp, LogNormal, Normal};
use std::time::Duration;

/// A distribution of durations; every draw is cut at zero and at [`Distribution::MAX`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
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

/// Shares of the three ways a thing may end a job; they sum to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutcomeShares {
    pub succeeded: f64,
    pub failed: f64,
    pub rejected: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Behavior {
    /// `notify-next` seen -> first request.
    pub reaction: Distribution,
    /// `IN_PROGRESS` reports after the start.
    pub updates: u32,
    /// Time between the reports, and from the last one to the end.
    pub step: Distribution,
    pub outcome: OutcomeShares,
}

/// What one execution will do: a function of (seed, thing, job, execution number) and of nothing that happens on the way.
#[derive(Clone, Debug)]
pub struct Script {
    seed: u64,
    thing: u64,
    stream: u64,
    pub outcome: ExecutionStatus,
    /// `IN_PROGRESS` reports before the end: all of them on the way to success, none before a refusal, some before a failure.
    pub reports: u32,
}

impl Script {
    #[must_use]
    pub fn draw(behavior: &Behavior, seed: u64, thing: u64, job: &JobId, execution_number: i64) -> Self {
        let stream = seed::digest(job.as_str()) ^ (execution_number as u64).rotate_left(48);
        let mut rng = seed::rng(seed, thing, Purpose::Execution, stream);
        let toss: f64 = rng.random();
        let shares = &behavior.outcome;
        let (outcome, reports) = if toss < shares.rejected {
            (ExecutionStatus::Rejected, 0)
        } else if toss < shares.rejected + shares.failed {
            (ExecutionStatus::Failed, rng.random_range(0..=behavior.updates))
        } else {
            (ExecutionStatus::Succeeded, behavior.updates)
        };
        Self { seed, thing, stream, outcome, reports }
    }

    /// How long step `number` takes.
    #[must_use]
    pub fn step(&self, behavior: &Behavior, number: u32) -> Duration {
        let stream = self.stream.wrapping_add(u64::from(number) + 1);
        behavior.step.sample(&mut seed::rng(self.seed, self.thing, Purpose::Execution, stream))
    }
}
