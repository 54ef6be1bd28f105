//! The data plane: what a thing asks (PROTOCOL 6). Checks stand here in their order: resource, version, state; what can be
//! told from the text alone was checked on the way in (that order is a proposal of PROTOCOL 8, inferred).

use super::Engine;
use super::store::{ExecutionId, SpaceKey, ThingKey};
use iot_jobs::instant::Now;
use iot_jobs::{
    Answer, Describe, ErrorCode, ExecutionState, ExecutionStatus, JobId, JobRef, NamespaceId, PendingJobs, Rejection, Reply,
    Request, RequestBody, StartNext, StepTimeout, ThingName, Update, UpdateAnswer,
};
use std::time::Duration;

impl Engine {
    /// Answers one request of `thing`, whatever listener it came through.
    ///
    /// A thing without executions, known or not, gets empty answers; `ResourceNotFound` is for concrete jobs (inferred).
    pub fn handle_request(&mut self, thing: &ThingName, request: &Request, now: Now) -> Reply {
        self.handle_request_in(None, thing, request, now)
    }

    /// As [`Self::handle_request`], of jobs of a namespace; those of others are not there for it (inferred).
    pub fn handle_request_in(&mut self, namespace: Option<&NamespaceId>, thing: &ThingName, request: &Request, now: Now) -> Reply {
        let space = self.store.find_space(namespace);
        let key = self.store.thing_keys.get(thing).copied().zip(space);
        let result = match &request.body {
            RequestBody::GetPending => {
                Ok(Answer::Pending(key.map_or_else(PendingJobs::default, |(key, space)| self.pending(key, space))))
            }
            RequestBody::StartNext(start) => {
                Ok(Answer::Started(key.and_then(|(key, space)| self.start_next(key, space, start, now))))
            }
            RequestBody::Describe(describe) => self.describe(key, describe, now).map(Answer::Described),
            RequestBody::Update(update) => self.update(key, update, now).map(Answer::Updated),
        };
        Reply { client_token: request.client_token.clone(), timestamp: Some(now.epoch_seconds()), result }
    }

    /// Starts the head of the pending list; one that is `IN_PROGRESS` already is handed out as it is (PROTOCOL 2 fact 14).
    fn start_next(&mut self, key: ThingKey, space: SpaceKey, start: &StartNext, now: Now) -> Option<Box<iot_jobs::JobExecution>> {
        let head = self.store.things[key as usize].head(space)?;
        let is_queued = self.store.things[key as usize].executions[&head].status == ExecutionStatus::Queued;
        if is_queued || start.step_timeout.is_some() {
            self.start(key, head, start, now);
        }
        let job = &self.store.jobs[head.job as usize];
        Some(self.store.things[key as usize].executions[&head].describe(job, head.number, true, now))
    }

    fn start(&mut self, key: ThingKey, head: ExecutionId, start: &StartNext, now: Now) {
        let in_progress_deadline = self.in_progress_deadline(head, now);
        let step_deadline = start.step_timeout.map(|timeout| self.step_deadline(timeout, now));
        self.change(key, head, now, |thing| {
            let Some(execution) = thing.executions.get_mut(&head) else { return };
            if execution.status == ExecutionStatus::Queued {
                execution.status = ExecutionStatus::InProgress;
                execution.version += 1;
                execution.started_ms = Some(now.epoch_ms);
                execution.updated_ms = now.epoch_ms;
                execution.in_progress_deadline = in_progress_deadline;
                if let Some(details) = &start.status_details {
                    execution.details = details.clone();
                }
            }
            // Applied to an execution that runs already, too (inferred).
            if let Some(deadline) = step_deadline {
                execution.step_deadline = deadline;
            }
        });
    }

    fn describe(
        &self,
        key: Option<(ThingKey, SpaceKey)>,
        describe: &Describe,
        now: Now,
    ) -> Result<Option<Box<iot_jobs::JobExecution>>, Rejection> {
        let id = match &describe.job {
            JobRef::Next => match key.and_then(|(key, space)| self.store.things[key as usize].head(space)) {
                Some(head) => head,
                None => return Ok(None),
            },
            JobRef::Id(job) => self.find(key, job, describe.execution_number)?,
        };
        let (key, _) = key.ok_or_else(not_found)?;
        let execution = &self.store.things[key as usize].executions[&id];
        if execution.status.is_terminal() {
            return Err(Rejection::new(ErrorCode::TerminalStateReached, format!("the job execution is {}", execution.status)));
        }
        let job = &self.store.jobs[id.job as usize];
        Ok(Some(execution.describe(job, id.number, describe.include_job_document, now)))
    }

    fn update(&mut self, key: Option<(ThingKey, SpaceKey)>, update: &Update, now: Now) -> Result<UpdateAnswer, Rejection> {
        let id = self.find(key, &update.job_id, update.execution_number)?;
        let (key, _) = key.ok_or_else(not_found)?;
        let execution = &self.store.things[key as usize].executions[&id];
        if let Some(expected) = update.expected_version
            && expected != execution.version
        {
            let message = format!("Expected version {expected} but found version {}", execution.version);
            return Err(with_state(ErrorCode::VersionMismatch, message, execution.state()));
        }
        if !execution.status.may_become(update.status) {
            let message = format!("a job execution cannot go from {} to {}", execution.status, update.status);
            return Err(with_state(ErrorCode::InvalidStateTransition, message, execution.state()));
        }
        let in_progress_deadline = self.in_progress_deadline(id, now);
        let step_deadline = update.step_timeout.map(|timeout| self.step_deadline(timeout, now));
        self.change(key, id, now, |thing| {
            let Some(execution) = thing.executions.get_mut(&id) else { return };
            if execution.status == ExecutionStatus::Queued && update.status == ExecutionStatus::InProgress {
                execution.started_ms = Some(now.epoch_ms);
                execution.in_progress_deadline = in_progress_deadline;
            }
            execution.status = update.status;
            execution.version += 1;
            execution.updated_ms = now.epoch_ms;
            if let Some(details) = &update.status_details {
                execution.details = details.clone();
            }
            if let Some(deadline) = step_deadline {
                execution.step_deadline = deadline;
            }
        });
        let execution = &self.store.things[key as usize].executions[&id];
        Ok(UpdateAnswer {
            execution_state: update.include_execution_state.then(|| execution.state()),
            job_document: update.include_job_document.then(|| self.store.jobs[id.job as usize].create.document.clone()),
        })
    }

    fn find(&self, key: Option<(ThingKey, SpaceKey)>, job: &JobId, number: Option<i64>) -> Result<ExecutionId, Rejection> {
        let job = *self.store.job_keys.get(job).ok_or_else(not_found)?;
        let key = key.filter(|(_, space)| self.store.jobs[job as usize].space == *space);
        key.and_then(|(key, _)| self.store.things[key as usize].find(job, number)).ok_or_else(not_found)
    }

    fn in_progress_deadline(&self, id: ExecutionId, now: Now) -> Option<iot_jobs::instant::Mono> {
        let minutes = self.store.jobs[id.job as usize].create.config.in_progress_timeout_minutes?;
        Some(now.mono + self.minutes(minutes))
    }

    fn step_deadline(&self, timeout: StepTimeout, now: Now) -> Option<iot_jobs::instant::Mono> {
        match timeout {
            StepTimeout::Minutes(minutes) => Some(now.mono + self.minutes(minutes)),
            StepTimeout::Cancel => None,
        }
    }

    fn minutes(&self, count: u32) -> Duration {
        self.config.minute.saturating_mul(count)
    }
}

fn not_found() -> Rejection {
    Rejection::new(ErrorCode::ResourceNotFound, "job execution not found")
}

fn with_state(code: ErrorCode, message: String, state: ExecutionState) -> Rejection {
    Rejection { execution_state: Some(state), ..Rejection::new(code, message) }
}
