//! How a thing works through a job: sampled reaction, steps and outcome.

use iot_jobs::{ExecutionStatus, JobId};
use rand::RngExt;
use sim_units::distribution::Distribution;
use sim_units::run_id::without_run_id;
use sim_units::seed::{self, Purpose};
use std::time::Duration;
use thing_faults::FaultSpec;

/// Shares of the three ways a thing may end a job; they sum to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutcomeShares {
    /// Ended `SUCCEEDED`, from 0 to 1.
    pub succeeded: f64,
    /// Ended `FAILED`, from 0 to 1.
    pub failed: f64,
    /// Ended `REJECTED`, from 0 to 1.
    pub rejected: f64,
}

/// How things work through a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Behavior {
    /// `notify-next` seen -> first request.
    pub reaction: Distribution,
    /// `IN_PROGRESS` reports after the start.
    pub updates: u32,
    /// Time between the reports, and from the last one to the end.
    pub step: Distribution,
    /// How they end it.
    pub outcome: OutcomeShares,
    /// What goes wrong on purpose, in the order of the table of faults.
    pub faults: Vec<FaultSpec>,
}

/// What one execution will do: a function of (seed, thing, job, execution number) and of nothing that happens on the way.
#[derive(Clone, Debug)]
pub struct Script {
    seed: u64,
    thing: u64,
    stream: u64,
    /// How it ends.
    pub outcome: ExecutionStatus,
    /// `IN_PROGRESS` reports before the end: all of them on the way to success, none before a refusal, some before a failure.
    pub reports: u32,
}

impl Script {
    /// What `thing` will do with this execution.
    #[must_use]
    pub fn draw(behavior: &Behavior, seed: u64, thing: u64, job: &JobId, execution_number: i64) -> Self {
        let stream = seed::digest(without_run_id(job.as_str())) ^ (execution_number as u64).rotate_left(48);
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
