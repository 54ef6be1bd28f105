//! The jobs that are created: when each is due, and whether it is over.

use super::{CreateJobError, Simulation, SimulationEvent};
use crate::observer::Observer;
use crate::settings::{Job, JobFile, JobStart};
use iot_jobs::ledger::{LedgerEvent, LedgerRow};
use iot_jobs::{JobDescription, JobId, JobStatus};
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(super) struct Jobs {
    /// Numbers of those that nobody has created yet.
    uncreated: BTreeSet<usize>,
    /// Created and not known to be over: number, and executions that are open.
    open: HashMap<JobId, Open>,
    files: BTreeMap<JobId, JobFile>,
}

struct Open {
    number: usize,
    executions: u64,
}

impl Jobs {
    pub(super) fn new(jobs: &[Job]) -> Self {
        let files = jobs.iter().filter_map(|job| Some((job.create.job_id.clone(), job.file.clone()?)));
        Self { uncreated: (0..jobs.len()).collect(), open: HashMap::new(), files: files.collect() }
    }

    pub(super) fn uncreated(&self) -> impl Iterator<Item = usize> {
        self.uncreated.iter().copied()
    }

    pub(super) fn are_created(&self) -> bool {
        self.uncreated.is_empty()
    }

    pub(super) fn are_over(&self) -> bool {
        self.are_created() && self.open.is_empty()
    }

    pub(super) fn file(&self, job: &JobId) -> Option<&JobFile> {
        self.files.get(job)
    }

    pub(super) fn committed(&mut self, row: &LedgerRow) {
        let by = match row.event {
            LedgerEvent::Queued => 1,
            LedgerEvent::Terminal => -1,
            LedgerEvent::Head | LedgerEvent::Published | LedgerEvent::Answered => return,
        };
        if let Some(open) = self.open.get_mut(&row.job) {
            open.executions = open.executions.saturating_add_signed(by);
        }
    }
}

/// Whether every execution that a job for so many things will have has ended.
fn is_over(job: &JobDescription, targets: u64) -> bool {
    let details = &job.process_details;
    let open = details.queued + details.in_progress;
    let ended = details.succeeded + details.failed + details.rejected + details.timed_out + details.canceled + details.removed;
    open == 0
        && match job.status {
            JobStatus::Completed | JobStatus::Canceled => true,
            JobStatus::InProgress => !job.is_rolling_out && ended >= targets,
            _ => false,
        }
}

impl<O: Observer> Simulation<O> {
    /// Plans the jobs whose time is known.
    pub(super) fn plan_jobs(&mut self) {
        for number in 0..self.settings.jobs.len() {
            if let JobStart::At(at) = self.settings.jobs[number].start {
                self.agenda.add(self.settings.origin.mono + at, SimulationEvent::Job(number));
            }
        }
    }

    /// Plans the others.
    pub(super) fn all_connected(&mut self) {
        for number in 0..self.settings.jobs.len() {
            if let JobStart::Connected(after) = self.settings.jobs[number].start {
                self.agenda.add(self.now + after, SimulationEvent::Job(number));
            }
        }
    }

    /// # Errors
    /// When the service refuses it.
    pub(super) fn create_job(&mut self, number: usize) -> Result<(), CreateJobError> {
        let answers_at = self.outages.answers_at(self.now);
        if answers_at > self.now {
            self.agenda.add(answers_at, SimulationEvent::Job(number));
            return Ok(());
        }
        let Job { create, targets, .. } = self.settings.jobs[number].clone();
        let job = create.job_id.clone();
        self.jobs.uncreated.remove(&number);
        self.jobs.open.insert(job.clone(), Open { number, executions: 0 });
        self.observer.job_created(&job, targets, self.now);
        self.service.create_job(create, self.now).map_err(|why| CreateJobError { job, why })?;
        self.service.jobs_in_progress(self.jobs.open.len() as u64, self.now);
        self.busy_at = self.now;
        self.follow();
        Ok(())
    }

    /// Asks about the jobs of which nothing seems to be open, as a run does each second.
    pub(super) fn look_at_jobs(&mut self) {
        let quiet: Vec<(JobId, usize)> =
            self.jobs.open.iter().filter(|(_, open)| open.executions == 0).map(|(job, open)| (job.clone(), open.number)).collect();
        for (job, number) in quiet {
            let targets = self.settings.jobs[number].targets;
            if self.service.describe_job(&job, self.now).is_none_or(|job| is_over(&job, targets)) {
                self.jobs.open.remove(&job);
            }
        }
    }
}
