//! The control plane's operations on executions (PROTOCOL 11.5).

use super::Engine;
use super::members::not_found;
use super::store::{ExecutionId, JobKey, ThingKey};
use iot_jobs::instant::Now;
use iot_jobs::{
    CancelExecution, ControlError, ExecutionChange, ExecutionDescription, ExecutionStatus, JobEvent, JobId, NamespaceId, ThingName,
};

/// Which executions of a thing are to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionFilter {
    /// Only those of this job; absent: of any.
    pub job: Option<JobId>,
    /// Only those with this status; absent: with any.
    pub status: Option<ExecutionStatus>,
    /// Only those of jobs of this namespace; absent: of any and of none.
    pub namespace: Option<NamespaceId>,
}

impl Engine {
    /// # Errors
    /// `ResourceNotFound`.
    pub fn describe_execution(
        &self,
        thing: &ThingName,
        job: &JobId,
        number: Option<i64>,
        now: Now,
    ) -> Result<ExecutionDescription, ControlError> {
        let (key, id) = self.execution(thing, job, number)?;
        Ok(self.account(key, id, now))
    }

    /// Executions of a job, by thing name and number.
    ///
    /// # Errors
    /// `ResourceNotFound`.
    pub fn executions_of_job(
        &self,
        job: &JobId,
        status: Option<ExecutionStatus>,
        now: Now,
    ) -> Result<impl Iterator<Item = ExecutionDescription>, ControlError> {
        let job = self.job_key(job)?;
        let ids = self.holders(job).into_iter().flat_map(move |thing| {
            self.store.things[thing as usize].of_job(job).map(move |(id, execution)| (thing, id, execution.status))
        });
        Ok(ids
            .filter(move |(_, _, s)| status.is_none_or(|wanted| wanted == *s))
            .map(move |(thing, id, _)| self.account(thing, id, now)))
    }

    /// Executions of a thing, by job id and number.
    ///
    /// # Errors
    /// `ResourceNotFound`.
    pub fn executions_of_thing(
        &self,
        thing: &ThingName,
        filter: &ExecutionFilter,
        now: Now,
    ) -> Result<Vec<ExecutionDescription>, ControlError> {
        let key = self.thing_key(thing)?;
        let job: Option<JobKey> = filter.job.as_ref().map(|job| self.job_key(job)).transpose()?;
        let of_namespace = |job: JobKey| match &filter.namespace {
            None => true,
            namespace => self.store.jobs[job as usize].create.namespace == *namespace,
        };
        let ids = self.store.things[key as usize].executions.iter().filter(|(id, execution)| {
            job.is_none_or(|wanted| wanted == id.job)
                && filter.status.is_none_or(|wanted| wanted == execution.status)
                && of_namespace(id.job)
        });
        let mut all: Vec<ExecutionDescription> = ids.map(|(id, _)| self.account(key, *id, now)).collect();
        all.sort_by(|a, b| (&a.job_id, a.execution_number).cmp(&(&b.job_id, b.execution_number)));
        Ok(all)
    }

    /// # Errors
    /// `ResourceNotFound`; `VersionConflict` for another version than expected; `InvalidStateTransition` for one that has ended, or
    /// is `IN_PROGRESS` without `force`.
    pub fn cancel_execution(
        &mut self,
        thing: &ThingName,
        job: &JobId,
        cancel: CancelExecution,
        now: Now,
    ) -> Result<(), ControlError> {
        let (key, id) = self.execution(thing, job, None)?;
        let execution = &self.store.things[key as usize].executions[&id];
        if let Some(expected) = cancel.expected_version.filter(|expected| *expected != execution.version) {
            let message = format!("expected version {expected} but found version {}", execution.version);
            return Err(ControlError::VersionConflict(message));
        }
        let is_in_progress = execution.status == ExecutionStatus::InProgress;
        if execution.status.is_terminal() || is_in_progress && !cancel.force {
            let message =
                format!("the job execution is {}{}", execution.status, if is_in_progress { ": cancel it with force" } else { "" });
            return Err(ControlError::InvalidStateTransition(message));
        }
        self.change(key, id, now, |thing| {
            let Some(execution) = thing.executions.get_mut(&id) else { return };
            execution.status = ExecutionStatus::Canceled;
            execution.force_canceled = is_in_progress;
            execution.version += 1;
            execution.updated_ms = now.epoch_ms;
            if let Some(details) = cancel.status_details {
                execution.details = details;
            }
        });
        Ok(())
    }

    /// Deletes one execution; one that is `IN_PROGRESS` only with `force` (PROTOCOL 11.5; the guide's rule, not the model's).
    ///
    /// # Errors
    /// `ResourceNotFound`; `InvalidStateTransition` for `IN_PROGRESS` without `force`.
    pub fn delete_execution(
        &mut self,
        thing: &ThingName,
        job: &JobId,
        number: i64,
        force: bool,
        now: Now,
    ) -> Result<(), ControlError> {
        let (key, id) = self.execution(thing, job, Some(number))?;
        if self.store.things[key as usize].executions[&id].status == ExecutionStatus::InProgress && !force {
            return Err(ControlError::InvalidStateTransition("the job execution is IN_PROGRESS: delete it with force".into()));
        }
        self.delete(key, id, now);
        self.settle(id.job, now);
        Ok(())
    }

    pub(super) fn delete(&mut self, thing: ThingKey, id: ExecutionId, now: Now) {
        self.emit_execution_event(thing, id, ExecutionChange::Deleted, now);
        self.change(thing, id, now, |thing| {
            thing.executions.remove(&id);
        });
    }

    pub(super) fn emit_execution_event(&mut self, thing: ThingKey, id: ExecutionId, change: ExecutionChange, now: Now) {
        if self.event_config.job_execution {
            self.events.push_back(JobEvent::Execution { change, execution: Box::new(self.account(thing, id, now)) });
        }
    }

    fn execution(&self, thing: &ThingName, job: &JobId, number: Option<i64>) -> Result<(ThingKey, ExecutionId), ControlError> {
        let (key, job_key) = (self.thing_key(thing)?, self.job_key(job)?);
        let id = self.store.things[key as usize].find(job_key, number).ok_or_else(|| not_found("job execution", job.as_str()))?;
        Ok((key, id))
    }

    fn account(&self, thing: ThingKey, id: ExecutionId, now: Now) -> ExecutionDescription {
        let holder = &self.store.things[thing as usize];
        holder.executions[&id].account(&holder.name, &self.store.jobs[id.job as usize], id.number, now)
    }
}
