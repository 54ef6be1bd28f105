//! How far a job has come.

use crate::execution_stage::{ExecutionStage, StageCounts};
use crate::histogram::{Distribution, Histogram, Resolution};
use iot_jobs::JobId;
use iot_jobs::instant::Mono;

/// Percent of a job's executions whose end is timed.
pub const MILESTONES: [u64; 4] = [50, 90, 99, 100];

/// Number of a thing's first execution of a job (PROTOCOL 9.3).
const FIRST: i64 = 1;

/// One job.
#[derive(Clone, Debug)]
pub struct RolloutRow {
    /// Which job.
    pub job: JobId,
    /// Things the job is for, where that is known.
    pub targets: Option<u64>,
    /// When the run created it, where it did.
    pub created: Option<Mono>,
    /// Of executions: a thing that tries again has several.
    pub counts: StageCounts,
    /// Executions that came after another one of the same thing.
    pub repeated: u64,
    /// Seconds from the job's creation (or from when it was first heard of) until this share of its executions, as many as are known to
    /// come, was terminal: [`MILESTONES`].
    pub seconds_to: [Option<f64>; MILESTONES.len()],
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
    counts: StageCounts,
    repeated: u64,
    begun: Option<Mono>,
    /// Since the last row, where there were any: a thousand jobs at rest keep no histograms.
    ends: Option<Box<Histogram>>,
    ended: Distribution,
}

impl JobTally {
    pub(super) fn new(job: JobId, has_ledger: bool) -> Self {
        Self {
            job,
            targets: None,
            counts: StageCounts::new(has_ledger),
            repeated: 0,
            begun: None,
            ends: None,
            ended: Distribution::default(),
        }
    }

    pub(super) fn created(&mut self, targets: u64, at: Mono) {
        (self.targets, self.begun) = (Some(targets), Some(at));
    }

    /// An execution of this number has gone from one stage to another.
    pub(super) fn change(&mut self, number: i64, before: Option<ExecutionStage>, after: Option<ExecutionStage>, at: Mono) {
        let begun = *self.begun.get_or_insert(at);
        self.counts.change(before, after);
        self.repeated += u64::from(before.is_none() && number > FIRST);
        if after.is_some_and(ExecutionStage::is_terminal) && !before.is_some_and(ExecutionStage::is_terminal) {
            self.ends.get_or_insert_with(|| Box::new(Histogram::new(Resolution::LONG_COARSE))).record(at.since(begun));
        }
    }

    pub(super) fn row(&mut self) -> RolloutRow {
        if let Some(mut ends) = self.ends.take() {
            self.ended.merge(&ends.take());
        }
        // A job that goes on finding targets has more than it was created with.
        let targets = self.targets.map(|targets| targets.max(self.counts.all() - self.repeated));
        let all = targets.map_or_else(|| self.counts.all(), |targets| targets + self.repeated);
        let seconds_to = MILESTONES.map(|percent| {
            let rank = (all * percent).div_ceil(100);
            self.ended.ms_at_rank(rank, Resolution::LONG_COARSE).map(|ms| ms / 1e3)
        });
        let created = self.targets.and(self.begun);
        RolloutRow { job: self.job.clone(), targets, created, counts: self.counts, repeated: self.repeated, seconds_to }
    }
}
