//! What the engine remembers: things, groups, jobs, executions, in maps and dense indices.

use super::NamespaceInterest;
use super::pace::Pace;
use super::sorted_map::SortedMap;
use iot_jobs::instant::{EpochSeconds, Mono, Now};
use iot_jobs::{
    CreateJob, ExecutionDescription, ExecutionState, ExecutionStatus, ExecutionSummary, GroupName, JobDescription, JobExecution,
    JobProcessDetails, JobStatus, NamespaceId, StatusDetails, ThingName,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Place of a thing in [`Store::things`]; never used again for another.
pub(super) type ThingKey = u32;
/// Place of a job in [`Store::jobs`]; never used again for another.
pub(super) type JobKey = u32;

/// Number of a namespace, from 1; 0: jobs without one.
pub(super) type SpaceKey = u32;

/// One run of one job on one thing, within that thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExecutionId {
    pub job: JobKey,
    pub number: i64,
}

#[derive(Default)]
pub(super) struct Store {
    pub things: Vec<Thing>,
    pub thing_keys: HashMap<ThingName, ThingKey>,
    pub groups: BTreeMap<GroupName, Group>,
    pub jobs: Vec<Job>,
    pub job_keys: BTreeMap<iot_jobs::JobId, JobKey>,
    /// Namespaces that jobs have, in the order in which they came.
    spaces: Vec<NamespaceId>,
    /// Jobs that are `SCHEDULED` or `IN_PROGRESS`.
    pub active_jobs: usize,
    /// Jobs that are `DELETION_IN_PROGRESS`.
    pub jobs_in_deletion: usize,
    /// Jobs that are being rolled out.
    pub rolling: BTreeSet<JobKey>,
    /// Jobs that wait to be rolled out until another one is.
    pub waiting: BTreeSet<JobKey>,
    /// Somebody hears the notifications of every thing.
    pub observed: WideInterest,
    /// Executions ever queued; the tie-breaker of their order (inferred).
    pub sequence: u64,
}

impl Store {
    pub(super) fn add_job(&mut self, job: Job) {
        self.count(job.status, 1);
        self.jobs.push(job);
    }

    pub(super) fn set_status(&mut self, key: JobKey, status: JobStatus) {
        let before = std::mem::replace(&mut self.jobs[key as usize].status, status);
        self.count(before, -1);
        self.count(status, 1);
    }

    fn count(&mut self, status: JobStatus, change: isize) {
        let counter = match status {
            JobStatus::Scheduled | JobStatus::InProgress => &mut self.active_jobs,
            JobStatus::DeletionInProgress => &mut self.jobs_in_deletion,
            JobStatus::Completed | JobStatus::Canceled => return,
        };
        *counter = counter.saturating_add_signed(change);
    }

    /// The number of a namespace, which gets one now if it has none.
    pub(super) fn space(&mut self, namespace: Option<&NamespaceId>) -> SpaceKey {
        let Some(namespace) = namespace else { return 0 };
        let place = self.spaces.iter().position(|known| known == namespace).unwrap_or_else(|| {
            self.spaces.push(namespace.clone());
            self.spaces.len() - 1
        });
        place as SpaceKey + 1
    }

    /// The number of a namespace, if a job has had it.
    pub(super) fn find_space(&self, namespace: Option<&NamespaceId>) -> Option<SpaceKey> {
        let Some(namespace) = namespace else { return Some(0) };
        Some(self.spaces.iter().position(|known| known == namespace)? as SpaceKey + 1)
    }

    pub(super) fn namespace(&self, space: SpaceKey) -> Option<&NamespaceId> {
        self.spaces.get((space as usize).checked_sub(1)?)
    }
}

pub(super) struct Thing {
    pub name: ThingName,
    pub executions: SortedMap<ExecutionId, Execution>,
    /// What is not terminal, in the order in which it is handed out. Sorted; most things have one, for which a set would take ten times the memory.
    pub pending: Vec<Place>,
    /// Those of them whose jobs have a schedule.
    pub scheduled: usize,
    /// What is told of jobs without a namespace is heard.
    pub heard: Wanted,
    /// Likewise of those with one; few things hear of any.
    pub heard_namespaces: Option<Box<[NamespaceInterest]>>,
    /// Its session waits for its client.
    pub is_away: bool,
}

/// Which notifications somebody listens to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub notify: bool,
    pub notify_next: bool,
}

impl Wanted {
    fn or(self, other: Self) -> Self {
        Self { notify: self.notify || other.notify, notify_next: self.notify_next || other.notify_next }
    }
}

/// What those hear who hear of every thing.
#[derive(Default)]
pub(super) struct WideInterest {
    pub wanted: Wanted,
    pub namespaces: Vec<NamespaceInterest>,
}

/// What is wanted of a namespace by those who named namespaces.
fn wanted_of<'a>(namespace: &NamespaceId, heard: impl IntoIterator<Item = &'a NamespaceInterest>) -> Wanted {
    let of_it = heard.into_iter().filter(|heard| heard.namespace.as_ref().is_none_or(|heard| heard == namespace));
    of_it.fold(Wanted::default(), |so_far, heard| so_far.or(Wanted { notify: heard.notify, notify_next: heard.notify_next }))
}

/// The place of an execution among those of its thing that are not terminal: each namespace for itself, `IN_PROGRESS` first, then `QUEUED`,
/// each by the time they were queued, then by creation (PROTOCOL 9.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    space: SpaceKey,
    is_queued: bool,
    queued_ms: i64,
    sequence: u64,
    pub id: ExecutionId,
}

#[derive(Default)]
pub(super) struct Group {
    /// Members in the order in which they joined, and the other way round.
    order: BTreeMap<u64, ThingKey>,
    places: BTreeMap<ThingKey, u64>,
    /// Jobs that later members get too.
    pub continuous: Vec<JobKey>,
}

impl Group {
    /// Says whether it is new here.
    pub(super) fn add(&mut self, thing: ThingKey) -> bool {
        let place = self.order.last_key_value().map_or(0, |(place, _)| place + 1);
        !self.places.contains_key(&thing) && self.put(thing, place)
    }

    /// A member at a place of its own.
    pub(super) fn put(&mut self, thing: ThingKey, place: u64) -> bool {
        self.order.insert(place, thing);
        self.places.insert(thing, place).is_none()
    }

    /// Says whether it was here.
    pub(super) fn remove(&mut self, thing: ThingKey) -> bool {
        self.places.remove(&thing).is_some_and(|place| self.order.remove(&place).is_some())
    }

    pub(super) fn place(&self, thing: ThingKey) -> Option<u64> {
        self.places.get(&thing).copied()
    }

    pub(super) fn members(&self) -> impl Iterator<Item = ThingKey> {
        self.order.values().copied()
    }
}

/// Retries that led to an execution, by the end that they followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Retries {
    pub failed: u32,
    pub timed_out: u32,
}

pub(super) struct Execution {
    pub status: ExecutionStatus,
    pub force_canceled: bool,
    pub details: StatusDetails,
    pub queued_ms: i64,
    pub started_ms: Option<i64>,
    pub updated_ms: i64,
    pub version: i64,
    pub sequence: u64,
    pub retries: Retries,
    /// Set with the job, runs from `IN_PROGRESS` on.
    pub in_progress_deadline: Option<Mono>,
    /// Set by the thing, counted from its last setting.
    pub step_deadline: Option<Mono>,
}

pub(super) struct Job {
    pub create: CreateJob,
    /// Its namespace.
    pub space: SpaceKey,
    /// Whether one of its maintenance windows is open; it is while it has none.
    pub is_open: bool,
    /// Changed by [`Store::set_status`].
    pub status: JobStatus,
    pub force_canceled: bool,
    pub reason_code: Option<String>,
    pub comment: Option<String>,
    pub created_ms: i64,
    pub updated_ms: i64,
    pub completed_ms: Option<i64>,
    pub counts: JobProcessDetails,
    /// Things that have executions of it.
    pub holders: BTreeSet<ThingKey>,
    /// Things to be given an execution, in order; the first `rolled_out` have theirs.
    pub targets: Vec<ThingKey>,
    pub target_set: BTreeSet<ThingKey>,
    pub rolled_out: usize,
    /// Its end time has come: nobody else gets it.
    pub is_stopped: bool,
    pub pace: Pace,
}

impl Thing {
    pub(super) fn new(name: ThingName) -> Self {
        Self {
            name,
            executions: SortedMap::default(),
            pending: Vec::new(),
            scheduled: 0,
            heard: Wanted::default(),
            heard_namespaces: None,
            is_away: false,
        }
    }

    /// All executions of a job, by number.
    pub(super) fn of_job(&self, job: JobKey) -> impl DoubleEndedIterator<Item = (ExecutionId, &Execution)> {
        let all = ExecutionId { job, number: i64::MIN }..=ExecutionId { job, number: i64::MAX };
        self.executions.range(all).map(|(id, execution)| (*id, execution))
    }

    /// The execution with this number, or the latest (inferred: the highest number).
    pub(super) fn find(&self, job: JobKey, number: Option<i64>) -> Option<ExecutionId> {
        match number {
            Some(number) => Some(ExecutionId { job, number }).filter(|id| self.executions.contains_key(id)),
            None => self.of_job(job).next_back().map(|(id, _)| id),
        }
    }

    /// What is pending of a namespace.
    pub(super) fn pending_of(&self, space: SpaceKey) -> &[Place] {
        let start = self.pending.partition_point(|place| place.space < space);
        let end = self.pending.partition_point(|place| place.space <= space);
        &self.pending[start..end]
    }

    /// What is handed out next.
    pub(super) fn head(&self, space: SpaceKey) -> Option<ExecutionId> {
        self.pending_of(space).first().map(|place| place.id)
    }

    /// Which notifications of a namespace, or of none, are heard.
    pub(super) fn wants(&self, namespace: Option<&NamespaceId>, observed: &WideInterest) -> Wanted {
        match namespace {
            None => self.heard.or(observed.wanted),
            Some(namespace) => wanted_of(namespace, self.heard_namespaces.iter().flatten().chain(&observed.namespaces)),
        }
    }

    /// Where an execution of a job of a namespace stands, or is to stand; nowhere when it is terminal, or there is none.
    pub(super) fn place(&self, id: ExecutionId, space: SpaceKey) -> Option<Place> {
        let execution = self.executions.get(&id).filter(|execution| !execution.status.is_terminal())?;
        let Execution { status, queued_ms, sequence, .. } = *execution;
        Some(Place { space, is_queued: status != ExecutionStatus::InProgress, queued_ms, sequence, id })
    }

    /// An execution has another place than before.
    pub(super) fn replace(&mut self, before: Option<Place>, after: Option<Place>, is_scheduled: bool) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            let at = self.pending.partition_point(|place| *place < before);
            self.pending.remove(at);
            self.scheduled -= usize::from(is_scheduled);
        }
        if let Some(after) = after {
            let at = self.pending.partition_point(|place| *place < after);
            self.pending.insert(at, after);
            self.scheduled += usize::from(is_scheduled);
        }
    }
}

fn seconds(ms: i64) -> EpochSeconds {
    EpochSeconds(ms.div_euclid(1000))
}

impl Execution {
    pub(super) fn queued(now: Now, sequence: u64, retries: Retries) -> Self {
        Self {
            status: ExecutionStatus::Queued,
            force_canceled: false,
            details: StatusDetails::default(),
            queued_ms: now.epoch_ms,
            started_ms: None,
            updated_ms: now.epoch_ms,
            version: 1,
            sequence,
            retries,
            in_progress_deadline: None,
            step_deadline: None,
        }
    }

    /// The step timer cannot outlive the in-progress timer (PROTOCOL 9.5).
    pub(super) fn deadline(&self) -> Option<Mono> {
        [self.in_progress_deadline, self.step_deadline].into_iter().flatten().min()
    }

    fn seconds_left(&self, now: Now) -> Option<i64> {
        self.deadline().map(|deadline| deadline.since(now.mono).as_secs() as i64)
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

    /// As the data plane tells it.
    pub(super) fn describe(&self, job: &Job, number: i64, with_document: bool, now: Now) -> Box<JobExecution> {
        Box::new(JobExecution {
            job_id: job.create.job_id.clone(),
            thing_name: None,
            status: self.status,
            status_details: self.details.clone(),
            queued_at: seconds(self.queued_ms),
            started_at: self.started_ms.map(seconds),
            last_updated_at: seconds(self.updated_ms),
            approximate_seconds_before_timed_out: self.seconds_left(now),
            version_number: self.version,
            execution_number: number,
            job_document: with_document.then(|| job.create.document.clone()),
        })
    }

    /// As the control plane tells it.
    pub(super) fn account(&self, thing: &ThingName, job: &Job, number: i64, now: Now) -> ExecutionDescription {
        ExecutionDescription {
            job_id: job.create.job_id.clone(),
            thing: thing.clone(),
            status: self.status,
            force_canceled: self.force_canceled,
            status_details: self.details.clone(),
            queued_at_ms: self.queued_ms,
            started_at_ms: self.started_ms,
            last_updated_at_ms: self.updated_ms,
            execution_number: number,
            version_number: self.version,
            approximate_seconds_before_timed_out: self.seconds_left(now),
            retry_attempt: self.retries.all(),
        }
    }
}

impl Job {
    /// Things are to be given it, now.
    pub(super) fn is_rolling_out(&self) -> bool {
        self.status == JobStatus::InProgress && self.is_open && self.rolled_out < self.targets.len()
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
            is_rolling_out: self.is_rolling_out(),
        }
    }
}
