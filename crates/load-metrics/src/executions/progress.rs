//! Executions by stage, and how far a job has come.

use crate::histogram::{Distribution, Histogram, Resolution};
use iot_jobs::instant::Mono;
use iot_jobs::{ExecutionStatus, JobId};

/// Percent of a job's executions whose end is timed.
pub const MILESTONES: [u64; 3] = [50, 90, 99];

/// Number of a thing's first execution of a job (PROTOCOL 9.3).
const FIRST: i64 = 1;

/// How far one execution has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Queued,
    Notified,
    InProgress,
    Ended(ExecutionStatus),
    /// Ended, and the thing, which alone was asked, does not know how.
    Gone,
}

impl Stage {
    fn is_ended(self) -> bool {
        matches!(self, Self::Ended(_) | Self::Gone)
    }
}

/// Executions by where they stand; every one is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateCounts {
    /// Queued at the service and not announced to the thing yet.
    pub queued: u64,
    /// Announced and not started.
    pub notified: u64,
    pub in_progress: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub rejected: u64,
    pub timed_out: u64,
    pub canceled: u64,
    /// Without the service's ledger: that vanished for whatever reason.
    pub removed: u64,
}

impl StateCounts {
    fn of(&mut self, stage: Stage) -> &mut u64 {
        match stage {
            Stage::Queued | Stage::Ended(ExecutionStatus::Queued) => &mut self.queued,
            Stage::Notified => &mut self.notified,
            Stage::InProgress | Stage::Ended(ExecutionStatus::InProgress) => &mut self.in_progress,
            Stage::Ended(ExecutionStatus::Succeeded) => &mut self.succeeded,
            Stage::Ended(ExecutionStatus::Failed) => &mut self.failed,
            Stage::Ended(ExecutionStatus::Rejected) => &mut self.rejected,
            Stage::Ended(ExecutionStatus::TimedOut) => &mut self.timed_out,
            Stage::Ended(ExecutionStatus::Canceled) => &mut self.canceled,
            Stage::Ended(ExecutionStatus::Removed) | Stage::Gone => &mut self.removed,
        }
    }

    pub(super) fn change(&mut self, before: Option<Stage>, after: Option<Stage>) {
        if let Some(before) = before {
            *self.of(before) -= 1;
        }
        if let Some(after) = after {
            *self.of(after) += 1;
        }
    }

    #[must_use]
    pub fn open(&self) -> u64 {
        self.queued + self.notified + self.in_progress
    }

    #[must_use]
    pub fn terminal(&self) -> u64 {
        self.succeeded + self.failed + self.rejected + self.timed_out + self.canceled + self.removed
    }

    #[must_use]
    pub fn all(&self) -> u64 {
        self.open() + self.terminal()
    }
}

/// One job.
#[derive(Clone, Debug)]
pub struct RolloutRow {
    pub job: JobId,
    /// Things the job is for, where that is known.
    pub targets: Option<u64>,
    /// Of executions: a thing that tries again has several.
    pub counts: StateCounts,
    /// Executions that came after another one of the same thing.
    pub repeated: u64,
    /// Seconds from the job's creation (or from when it was first heard of) until this share of its executions, as many as are known to
    /// come, was terminal: [`MILESTONES`].
    pub seconds_to: [Option<f64>; 3],
}

impl RolloutRow {
    /// Things that are done with the job: the latest of their executions has ended.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.counts.terminal().saturating_sub(self.repeated)
    }

    /// Things that are done over targets.
    #[must_use]
    pub fn done_share(&self) -> Option<f64> {
        let targets = self.targets.unwrap_or_else(|| self.counts.all() - self.repeated);
        (targets > 0).then(|| self.done() as f64 / targets as f64)
    }
}

/// What is kept of a job while it runs.
pub(super) struct JobTally {
    pub(super) job: JobId,
    targets: Option<u64>,
    counts: StateCounts,
    repeated: u64,
    begun: Option<Mono>,
    ends: Histogram,
    ended: Distribution,
}

impl JobTally {
    pub(super) fn new(job: JobId) -> Self {
        let ends = Histogram::new(Resolution::LONG_COARSE);
        Self { job, targets: None, counts: StateCounts::default(), repeated: 0, begun: None, ends, ended: Distribution::default() }
    }

    pub(super) fn created(&mut self, targets: u64, at: Mono) {
        (self.targets, self.begun) = (Some(targets), Some(at));
    }

    /// An execution of this number has gone from one stage to another.
    pub(super) fn change(&mut self, number: i64, before: Option<Stage>, after: Option<Stage>, at: Mono) {
        let begun = *self.begun.get_or_insert(at);
        self.counts.change(before, after);
        self.repeated += u64::from(before.is_none() && number > FIRST);
        if after.is_some_and(Stage::is_ended) && !before.is_some_and(Stage::is_ended) {
            self.ends.record(at.since(begun));
        }
    }

    pub(super) fn row(&mut self) -> RolloutRow {
        self.ended.merge(&self.ends.take());
        // A job that goes on finding targets has more than it was created with.
        let targets = self.targets.map(|targets| targets.max(self.counts.all() - self.repeated));
        let all = targets.map_or_else(|| self.counts.all(), |targets| targets + self.repeated);
        let seconds_to = MILESTONES.map(|percent| {
            let rank = (all * percent).div_ceil(100);
            self.ended.ms_at_rank(rank, Resolution::LONG_COARSE).map(|ms| ms / 1e3)
        });
        RolloutRow { job: self.job.clone(), targets, counts: self.counts, repeated: self.repeated, seconds_to }
    }
}
