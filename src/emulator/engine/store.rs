//! What the engine remembers: things, groups, jobs, executions, in ordered maps and dense indices.

use crate::instant::{EpochSeconds, Mono, Now};
use crate::jobs::{
    CreateJob, ExecutionState, ExecutionStatus, ExecutionSummary, GroupName, JobDescription, JobExecution, JobProcessDetails,
    JobStatus, StatusDetails, ThingName,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Place of a thing in [`Store::things`].
pub(super) type ThingKey = u32;
/// Place of a job in [`Store::jobs`].
pub(super) type JobKey = u32;

/// One run of one job on one thing, within that thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ExecutionId {
    pub job: JobKey,
    pub number: i64,
}

#[derive(Default)]
pub(super) struct Store {
    pub things: Vec<Thing>,
    pub thing_keys: BTreeMap<ThingName, ThingKey>,
    pub groups: BTreeMap<GroupName, Group>,
    pub jobs: Vec<Job>,
    pub job_keys: BTreeMap<crate::jobs::JobId, JobKey>,
    /// Executions ever queued; the tie-breaker of their order (inferred).
    pub sequence: u64,
}

pub(super) struct Thing {
    pub name: ThingName,
    pub executions: BTreeMap<ExecutionId, Execution>,
    /// What is not terminal, in the order in which it is handed out.
    pub pending: Vec<ExecutionId>,
    pub subscribed_notify: bool,
    pub subscribed_notify_next: bool,
    /// Its session waits for its client.
    pub is_away: bool,
}

#[derive(Default)]
pub(super) struct Group {
    /// In the order in which they were added.
    pub members: Vec<ThingKey>,
    pub member_set: BTreeSet<ThingKey>,
    /// Jobs that later members get too.
    pub continuous: Vec<JobKey>,
}

pub(super) struct Execution {
    pub status: ExecutionStatus,
    pub details: StatusDetails,
    pub queued_ms: i64,
    pub started_ms: Option<i64>,
    pub updated_ms: i64,
    pub version: i64,
    pub sequence: u64,
    /// Set with the job, runs from `IN_PROGRESS` on.
    pub in_progress_deadline: Option<Mono>,
    /// Set by the thing, counted from its last setting.
    pub step_deadline: Option<Mono>,
}

pub(super) struct Job {
    pub create: CreateJob,
    pub status: JobStatus,
    pub force_canceled: bool,
    pub reason_code: Option<String>,
    pub comment: Option<String>,
    pub created_ms: i64,
    pub updated_ms: i64,
    pub completed_ms: Option<i64>,
    pub counts: JobProcessDetails,
    /// Things to be given an execution, in order; the first `rolled_out` have theirs.
    pub targets: Vec<ThingKey>,
    pub target_set: BTreeSet<ThingKey>,
    pub rolled_out: usize,
    /// Origin of the roll-out.
    pub started: Mono,
}

impl Thing {
    pub(super) fn new(name: ThingName) -> Self {
        Self {
            name,
            executions: BTreeMap::new(),
            pending: Vec::new(),
            subscribed_notify: false,
            subscribed_notify_next: false,
            is_away: false,
        }
    }

    /// The execution with this number, or the latest (inferred: the highest number).
    pub(super) fn find(&self, job: JobKey, number: Option<i64>) -> Option<ExecutionId> {
        match number {
            Some(number) => Some(ExecutionId { job, number }).filter(|id| self.executions.contains_key(id)),
            None => {
                let all = ExecutionId { job, number: i64::MIN }..=ExecutionId { job, number: i64::MAX };
                self.executions.range(all).next_back().map(|(id, _)| *id)
            }
        }
    }

    /// `IN_PROGRESS` first, then `QUEUED`, each by the time they were queued, then by creation (spec section 9.4).
    pub(super) fn sort_pending(&mut self) {
        let executions = &self.executions;
        self.pending.retain(|id| executions.get(id).is_some_and(|execution| !execution.status.is_terminal()));
        self.pending.sort_by_key(|id| {
            let execution = &executions[id];
            (execution.status != ExecutionStatus::InProgress, execution.queued_ms, execution.sequence)
        });
    }
}

fn seconds(ms: i64) -> EpochSeconds {
    EpochSeconds(ms.div_euclid(1000))
}

impl Execution {
    pub(super) fn queued(now: Now, sequence: u64) -> Self {
        Self {
            status: ExecutionStatus::Queued,
            details: StatusDetails::default(),
            queued_ms: now.epoch_ms,
            started_ms: None,
            updated_ms: now.epoch_ms,
            version: 1,
            sequence,
            in_progress_deadline: None,
            step_deadline: None,
        }
    }

    /// The step timer cannot outlive the in-progress timer (spec section 9.5).
    pub(super) fn deadline(&self) -> Option<Mono> {
        [self.in_progress_deadline, self.step_deadline].into_iter().flatten().min()
    }

    pub(super) fn state(&self) -> ExecutionState {
        ExecutionState { status: self.status, status_details: self.details.clone(), version_number: self.version }
    }

    pub(super) fn summary(&self, job: &Job, number: i64) -> ExecutionSummary {
        ExecutionSummary {
            job_id: job.create.job_id.clone(),
            queued_at: seconds(self.queued_ms),
            started_at: self.started_ms.map(seconds),
            last_updated_at: seconds(self.updated_ms),
            version_number: self.version,
            execution_number: number,
        }
    }

    pub(super) fn describe(&self, job: &Job, number: i64, with_document: bool, now: Now) -> Box<JobExecution> {
        let left = |deadline: Mono| deadline.since(now.mono).as_secs() as i64;
        Box::new(JobExecution {
            job_id: job.create.job_id.clone(),
            thing_name: None,
            status: self.status,
            status_details: self.details.clone(),
            queued_at: seconds(self.queued_ms),
            started_at: self.started_ms.map(seconds),
            last_updated_at: seconds(self.updated_ms),
            approximate_seconds_before_timed_out: self.deadline().map(left),
            version_number: self.version,
            execution_number: number,
            job_document: with_document.then(|| job.create.document.clone()),
        })
    }
}

impl Job {
    /// When execution `n`, from 0, is due: computed from the origin, never from the one before.
    pub(super) fn due(&self, n: usize, minute: Duration) -> Mono {
        match self.create.rollout.maximum_per_minute {
            None => self.started,
            Some(per_minute) => {
                let nanos = minute.as_nanos() * n as u128 / u128::from(per_minute.max(1));
                self.started + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
        }
    }

    pub(super) fn count(&mut self, status: ExecutionStatus) -> &mut u64 {
        match status {
            ExecutionStatus::Queued => &mut self.counts.queued,
            ExecutionStatus::InProgress => &mut self.counts.in_progress,
            ExecutionStatus::Succeeded => &mut self.counts.succeeded,
            ExecutionStatus::Failed => &mut self.counts.failed,
            ExecutionStatus::TimedOut => &mut self.counts.timed_out,
            ExecutionStatus::Rejected => &mut self.counts.rejected,
            ExecutionStatus::Removed => &mut self.counts.removed,
            ExecutionStatus::Canceled => &mut self.counts.canceled,
        }
    }

    pub(super) fn describe(&self) -> JobDescription {
        JobDescription {
            create: self.create.clone(),
            status: self.status,
            force_canceled: self.force_canceled,
            reason_code: self.reason_code.clone(),
            comment: self.comment.clone(),
            created_at_ms: self.created_ms,
            last_updated_at_ms: self.updated_ms,
            completed_at_ms: self.completed_ms,
            process_details: self.counts,
        }
    }
}
