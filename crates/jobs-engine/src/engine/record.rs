//! What the engine remembers, as records that can be written down one by one and read back in any order: the seam for a store on
//! disk. Places in the engine's indices are never used twice, so that records name each other by them.

use super::pace::Pace;
use super::store::{Execution, ExecutionId, Group, Job, JobKey, Retries, Thing, ThingKey};
use super::{Engine, Timer};
use iot_jobs::instant::{Mono, Now};
use iot_jobs::{CreateJob, EventConfig, ExecutionStatus, GroupName, JobProcessDetails, JobStatus, StatusDetails, ThingName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Which record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RecordKey {
    /// Of a thing, whose name stands in the record.
    Thing(ThingKey),
    /// Of a thing group.
    Group(GroupName),
    /// Of one thing's membership in a group.
    Member(GroupName, ThingKey),
    /// Of a job: what seldom changes.
    Job(JobKey),
    /// Of a job: what changes as it goes.
    JobState(JobKey),
    /// Of an execution, told by its thing and its id there.
    Execution(ThingKey, ExecutionId),
    /// Of the choice of events (UpdateEventConfigurations); there is one.
    Events,
}

/// What stands in a record. Deadlines are milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// Of [`RecordKey::Thing`].
    Thing {
        /// Its name in the registry.
        name: ThingName,
    },
    /// Of [`RecordKey::Group`]; there is nothing but its name.
    Group,
    /// Members in the order of `place`.
    Member {
        /// Its number in the order in which members joined.
        place: u64,
    },
    /// Of [`RecordKey::Job`].
    Job(Box<JobRecord>),
    /// Of [`RecordKey::JobState`].
    JobState(Box<JobStateRecord>),
    /// Of [`RecordKey::Execution`].
    Execution(Box<ExecutionRecord>),
    /// Of [`RecordKey::Events`].
    Events(EventConfig),
}

/// What of a job seldom changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    create: CreateJob,
    created_ms: i64,
    targets: Vec<ThingKey>,
}

/// What of a job changes as it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStateRecord {
    status: JobStatus,
    force_canceled: bool,
    reason_code: Option<String>,
    comment: Option<String>,
    updated_ms: i64,
    completed_ms: Option<i64>,
    is_stopped: bool,
    rolled_out: usize,
    minute_start_ms: i64,
    released: u32,
    quota: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionRecord {
    status: ExecutionStatus,
    force_canceled: bool,
    details: StatusDetails,
    queued_ms: i64,
    started_ms: Option<i64>,
    updated_ms: i64,
    version: i64,
    sequence: u64,
    retries: Retries,
    in_progress_deadline_ms: Option<i64>,
    step_deadline_ms: Option<i64>,
}

fn to_ms(at: Mono, now: Now) -> i64 {
    now.epoch_ms + at.ms_since(now.mono).round() as i64
}

fn to_mono(at_ms: i64, now: Now) -> Mono {
    let away = std::time::Duration::from_millis(at_ms.abs_diff(now.epoch_ms));
    if at_ms < now.epoch_ms { now.mono - away } else { now.mono + away }
}

impl Engine {
    /// The record has changed, come or gone.
    pub(super) fn mark(&mut self, key: RecordKey) {
        if self.config.keeps_records {
            self.dirty.insert(key);
        }
    }

    /// A record that has changed since it was last asked for; `None` in its place: it is gone.
    pub fn poll_record(&mut self, now: Now) -> Option<(RecordKey, Option<Record>)> {
        let key = self.dirty.pop_first()?;
        let record = self.record_of(&key, now);
        Some((key, record))
    }

    fn record_of(&self, key: &RecordKey, now: Now) -> Option<Record> {
        let store = &self.store;
        let job = |key: &JobKey| {
            let job = &store.jobs[*key as usize];
            (store.job_keys.get(&job.create.job_id) == Some(key)).then_some(job)
        };
        match key {
            RecordKey::Thing(key) => {
                let name = &store.things[*key as usize].name;
                (store.thing_keys.get(name) == Some(key)).then(|| Record::Thing { name: name.clone() })
            }
            RecordKey::Group(group) => store.groups.contains_key(group).then_some(Record::Group),
            RecordKey::Member(group, thing) => store.groups.get(group)?.place(*thing).map(|place| Record::Member { place }),
            RecordKey::Job(key) => job(key).map(|job| {
                Record::Job(Box::new(JobRecord {
                    create: job.create.clone(),
                    created_ms: job.created_ms,
                    targets: job.targets.clone(),
                }))
            }),
            RecordKey::JobState(key) => job(key).map(|job| {
                Record::JobState(Box::new(JobStateRecord {
                    status: job.status,
                    force_canceled: job.force_canceled,
                    reason_code: job.reason_code.clone(),
                    comment: job.comment.clone(),
                    updated_ms: job.updated_ms,
                    completed_ms: job.completed_ms,
                    is_stopped: job.is_stopped,
                    rolled_out: job.rolled_out,
                    minute_start_ms: to_ms(job.pace.minute_start, now),
                    released: job.pace.released,
                    quota: job.pace.quota,
                }))
            }),
            RecordKey::Execution(thing, id) => store.things[*thing as usize].executions.get(id).map(|execution| {
                Record::Execution(Box::new(ExecutionRecord {
                    status: execution.status,
                    force_canceled: execution.force_canceled,
                    details: execution.details.clone(),
                    queued_ms: execution.queued_ms,
                    started_ms: execution.started_ms,
                    updated_ms: execution.updated_ms,
                    version: execution.version,
                    sequence: execution.sequence,
                    retries: execution.retries,
                    in_progress_deadline_ms: execution.in_progress_deadline.map(|at| to_ms(at, now)),
                    step_deadline_ms: execution.step_deadline.map(|at| to_ms(at, now)),
                }))
            }),
            RecordKey::Events => Some(Record::Events(self.event_config)),
        }
    }

    /// Reads back what was written down, into an engine that is new.
    pub fn restore(&mut self, records: BTreeMap<RecordKey, Record>, now: Now) {
        // In the order of keys each record finds what it names: things, groups, members, jobs, executions.
        for (key, record) in records {
            match (key, record) {
                (RecordKey::Thing(key), Record::Thing { name }) => {
                    let things = &mut self.store.things;
                    things.resize_with(things.len().max(key as usize + 1), || Thing::new(name.clone()));
                    things[key as usize] = Thing::new(name.clone());
                    self.store.thing_keys.insert(name, key);
                }
                (RecordKey::Group(group), Record::Group) => {
                    self.store.groups.insert(group, Group::default());
                }
                (RecordKey::Member(group, thing), Record::Member { place }) => {
                    if let Some(group) = self.store.groups.get_mut(&group) {
                        group.put(thing, place);
                    }
                }
                (RecordKey::Job(key), Record::Job(record)) => self.restore_job(key, *record, now),
                (RecordKey::JobState(key), Record::JobState(record)) => self.restore_job_state(key, *record, now),
                (RecordKey::Execution(thing, id), Record::Execution(record)) => self.restore_execution(thing, id, *record, now),
                (RecordKey::Events, Record::Events(config)) => self.event_config = config,
                // A record in the place of another kind: written by nobody.
                _ => {}
            }
        }
        for key in self.store.job_keys.values().copied().collect::<Vec<_>>() {
            self.schedule(key, now);
            self.follow_window(key, now);
            self.retry_what_waited(key, now);
            self.roll_out(key, now);
            self.settle(key, now);
            if self.store.jobs[key as usize].status == JobStatus::DeletionInProgress {
                self.timers.insert((now.mono, Timer::Delete(key)));
            }
        }
    }

    fn restore_job(&mut self, key: JobKey, record: JobRecord, now: Now) {
        let JobRecord { create, created_ms, targets } = record;
        self.follow_groups(key, create.target_selection, &create.targets);
        let space = self.store.space(create.namespace.as_ref());
        let job = || Job {
            create: create.clone(),
            space,
            is_open: true,
            // Until its state is read; a place without one is that of a deleted job.
            status: JobStatus::Canceled,
            force_canceled: false,
            reason_code: None,
            comment: None,
            created_ms,
            updated_ms: created_ms,
            completed_ms: None,
            counts: JobProcessDetails::default(),
            holders: BTreeSet::new(),
            targets: Vec::new(),
            target_set: BTreeSet::new(),
            rolled_out: 0,
            is_stopped: false,
            pace: Pace::new(now.mono, None),
        };
        let jobs = &mut self.store.jobs;
        jobs.resize_with(jobs.len().max(key as usize + 1), job);
        jobs[key as usize] = Job { target_set: targets.iter().copied().collect(), targets, ..job() };
        self.store.job_keys.insert(create.job_id, key);
    }

    fn restore_job_state(&mut self, key: JobKey, record: JobStateRecord, now: Now) {
        if self.store.jobs.len() <= key as usize {
            return;
        }
        self.store.set_status(key, record.status);
        let job = &mut self.store.jobs[key as usize];
        job.force_canceled = record.force_canceled;
        job.reason_code = record.reason_code;
        job.comment = record.comment;
        job.updated_ms = record.updated_ms;
        job.completed_ms = record.completed_ms;
        job.is_stopped = record.is_stopped;
        job.rolled_out = record.rolled_out.min(job.targets.len());
        job.pace = Pace { minute_start: to_mono(record.minute_start_ms, now), released: record.released, quota: record.quota };
    }

    fn restore_execution(&mut self, thing: ThingKey, id: ExecutionId, record: ExecutionRecord, now: Now) {
        let Some(job) = self.store.jobs.get(id.job as usize) else { return };
        let (is_scheduled, space) = (job.create.scheduling.is_some(), job.space);
        let Some(holder) = self.store.things.get_mut(thing as usize) else { return };
        let execution = Execution {
            status: record.status,
            force_canceled: record.force_canceled,
            details: record.details,
            queued_ms: record.queued_ms,
            started_ms: record.started_ms,
            updated_ms: record.updated_ms,
            version: record.version,
            sequence: record.sequence,
            retries: record.retries,
            in_progress_deadline: record.in_progress_deadline_ms.map(|at| to_mono(at, now)),
            step_deadline: record.step_deadline_ms.map(|at| to_mono(at, now)),
        };
        if let Some(at) = execution.deadline() {
            self.timers.insert((at, Timer::Expire(thing, id)));
        }
        self.store.sequence = self.store.sequence.max(execution.sequence + 1);
        let before = holder.of_job(id.job).next_back().map(|(_, latest)| latest.status);
        holder.executions.insert(id, execution);
        let place = holder.place(id, space);
        holder.replace(None, place, is_scheduled);
        let after = holder.of_job(id.job).next_back().map(|(_, latest)| latest.status);
        self.count(thing, id, before, after);
    }
}
