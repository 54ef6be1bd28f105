//! The control plane: what creates things, groups and jobs, and changes jobs from outside (spec section 11).

use super::Engine;
use super::store::{Group, Job, JobKey, Thing, ThingKey};
use crate::instant::Now;
use crate::jobs::{
    CancelJob, ControlError, CreateJob, ExecutionStatus, GroupName, JobDescription, JobId, JobProcessDetails, JobStatus, JobTarget,
    TargetSelection, ThingName, limits,
};
use std::collections::BTreeSet;

impl Engine {
    /// Creating a thing again, with nothing different, is fine.
    pub fn create_thing(&mut self, name: &ThingName) {
        if !self.store.thing_keys.contains_key(name) {
            let key = self.store.things.len() as ThingKey;
            self.store.things.push(Thing::new(name.clone()));
            self.store.thing_keys.insert(name.clone(), key);
        }
    }

    #[must_use]
    pub fn has_thing(&self, name: &ThingName) -> bool {
        self.store.thing_keys.contains_key(name)
    }

    /// Creating a group again is fine.
    pub fn create_group(&mut self, name: &GroupName) {
        if !self.store.groups.contains_key(name) {
            self.store.groups.insert(name.clone(), Group::default());
        }
    }

    /// A new member of the target of a continuous job gets its execution at once (spec section 11.2).
    ///
    /// # Errors
    /// `ResourceNotFound` when there is no such thing or group.
    pub fn add_thing_to_group(&mut self, thing: &ThingName, group: &GroupName, now: Now) -> Result<(), ControlError> {
        let key = self.thing_key(thing)?;
        let group = self.store.groups.get_mut(group).ok_or_else(|| not_found("thing group", group.as_str()))?;
        if !group.member_set.insert(key) {
            return Ok(());
        }
        group.members.push(key);
        for job in group.continuous.clone() {
            let state = &mut self.store.jobs[job as usize];
            if state.status == JobStatus::InProgress && state.target_set.insert(key) {
                // Not slowed by the roll-out rate: it takes its place among those that have theirs.
                state.targets.insert(state.rolled_out, key);
                state.rolled_out += 1;
                self.queue(key, job, now);
            }
        }
        Ok(())
    }

    /// Creates a job and starts its roll-out.
    ///
    /// # Errors
    /// `ResourceAlreadyExists` for a job id in use, `ResourceNotFound` for an unknown target, `InvalidRequest` for a value out of
    /// its limits.
    pub fn create_job(&mut self, create: CreateJob, now: Now) -> Result<(), ControlError> {
        check_limits(&create)?;
        if self.store.job_keys.contains_key(&create.job_id) {
            return Err(ControlError::ResourceAlreadyExists(format!("job {} already exists", create.job_id)));
        }
        let (targets, target_set) = self.expand(&create.targets)?;
        let key = self.store.jobs.len() as JobKey;
        if create.target_selection == TargetSelection::Continuous {
            for target in &create.targets {
                if let JobTarget::Group(group) = target
                    && let Some(group) = self.store.groups.get_mut(group)
                {
                    group.continuous.push(key);
                }
            }
        }
        self.store.job_keys.insert(create.job_id.clone(), key);
        let is_empty = targets.is_empty() && create.target_selection == TargetSelection::Snapshot;
        self.store.jobs.push(Job {
            create,
            status: if is_empty { JobStatus::Completed } else { JobStatus::InProgress },
            force_canceled: false,
            reason_code: None,
            comment: None,
            created_ms: now.epoch_ms,
            updated_ms: now.epoch_ms,
            completed_ms: is_empty.then_some(now.epoch_ms),
            counts: JobProcessDetails::default(),
            targets,
            target_set,
            rolled_out: 0,
            started: now.mono,
        });
        self.roll_out(key, now);
        Ok(())
    }

    /// # Errors
    /// `ResourceNotFound`.
    pub fn describe_job(&self, job: &JobId) -> Result<JobDescription, ControlError> {
        Ok(self.store.jobs[self.job_key(job)? as usize].describe())
    }

    /// Ends the roll-out and cancels what is `QUEUED`; with `force` what is `IN_PROGRESS` too (spec section 11.5).
    ///
    /// # Errors
    /// `ResourceNotFound`; `InvalidRequest` for a completed job (inferred), or a reason code or comment out of its limits.
    pub fn cancel_job(&mut self, job: &JobId, cancel: CancelJob, now: Now) -> Result<(), ControlError> {
        check_cancel(&cancel)?;
        let key = self.job_key(job)?;
        let state = &mut self.store.jobs[key as usize];
        if state.status == JobStatus::Completed {
            return Err(ControlError::InvalidRequest(format!("job {job} is COMPLETED")));
        }
        state.status = JobStatus::Canceled;
        state.force_canceled |= cancel.force;
        state.reason_code = cancel.reason_code;
        state.comment = cancel.comment;
        state.updated_ms = now.epoch_ms;
        state.completed_ms = Some(now.epoch_ms);
        state.targets.truncate(state.rolled_out);
        for thing in state.targets.clone() {
            let holder = &self.store.things[thing as usize];
            let Some(id) = holder.find(key, None) else { continue };
            match holder.executions[&id].status {
                ExecutionStatus::Queued => self.move_to(thing, id, ExecutionStatus::Canceled, now),
                ExecutionStatus::InProgress if cancel.force => self.move_to(thing, id, ExecutionStatus::Canceled, now),
                _ => {}
            }
        }
        Ok(())
    }

    /// Deletes one execution; one that is `IN_PROGRESS` only with `force` (spec section 11.5; the guide's rule, not the model's).
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
        let key = self.thing_key(thing)?;
        let job_key = self.job_key(job)?;
        let holder = &self.store.things[key as usize];
        let id = holder.find(job_key, Some(number)).ok_or_else(|| not_found("job execution", job.as_str()))?;
        if holder.executions[&id].status == ExecutionStatus::InProgress && !force {
            return Err(ControlError::InvalidStateTransition("the job execution is IN_PROGRESS: delete it with force".into()));
        }
        self.change(key, id, now, |thing| {
            thing.executions.remove(&id);
        });
        Ok(())
    }

    fn thing_key(&self, name: &ThingName) -> Result<ThingKey, ControlError> {
        self.store.thing_keys.get(name).copied().ok_or_else(|| not_found("thing", name.as_str()))
    }

    fn job_key(&self, job: &JobId) -> Result<JobKey, ControlError> {
        self.store.job_keys.get(job).copied().ok_or_else(|| not_found("job", job.as_str()))
    }

    /// Targets in order, each thing once.
    fn expand(&self, targets: &[JobTarget]) -> Result<(Vec<ThingKey>, BTreeSet<ThingKey>), ControlError> {
        let (mut list, mut set) = (Vec::new(), BTreeSet::new());
        for target in targets {
            let members = match target {
                JobTarget::Thing(thing) => &[self.thing_key(thing)?][..],
                JobTarget::Group(group) => {
                    &self.store.groups.get(group).ok_or_else(|| not_found("thing group", group.as_str()))?.members
                }
            };
            list.extend(members.iter().copied().filter(|thing| set.insert(*thing)));
        }
        Ok((list, set))
    }
}

fn not_found(what: &str, name: &str) -> ControlError {
    ControlError::ResourceNotFound(format!("{what} {name} does not exist"))
}

fn check_cancel(cancel: &CancelJob) -> Result<(), ControlError> {
    let fits = |code: &String| {
        let allowed = |c: char| c.is_uppercase() || c.is_numeric() || c == '_';
        code.chars().count() <= limits::REASON_CODE_CHARS_MAX && code.chars().all(allowed)
    };
    if !cancel.reason_code.as_ref().is_none_or(fits) {
        let max = limits::REASON_CODE_CHARS_MAX;
        return Err(ControlError::InvalidRequest(format!("reasonCode may have {max} upper-case letters, digits and underscores")));
    }
    if cancel.comment.as_ref().is_some_and(|text| text.chars().count() > limits::DESCRIPTION_CHARS_MAX) {
        return Err(ControlError::InvalidRequest(format!(
            "a comment may have at most {} characters",
            limits::DESCRIPTION_CHARS_MAX
        )));
    }
    Ok(())
}

fn check_limits(create: &CreateJob) -> Result<(), ControlError> {
    let refuse = |message: String| Err(ControlError::InvalidRequest(message));
    let targets = create.targets.len();
    if targets == 0 || targets > limits::TARGETS_PER_JOB_MAX {
        return refuse(format!("a job must have 1 to {} targets, this has {targets}", limits::TARGETS_PER_JOB_MAX));
    }
    if create.document.as_json().len() > limits::DOCUMENT_BYTES_MAX {
        return refuse(format!("a job document may have at most {} bytes", limits::DOCUMENT_BYTES_MAX));
    }
    if create.description.as_ref().is_some_and(|text| text.chars().count() > limits::DESCRIPTION_CHARS_MAX) {
        return refuse(format!("a description may have at most {} characters", limits::DESCRIPTION_CHARS_MAX));
    }
    if create.rollout.maximum_per_minute == Some(0) {
        return refuse("maximumPerMinute must be at least 1".into());
    }
    if create.in_progress_timeout_minutes.is_some_and(|minutes| minutes == 0 || i64::from(minutes) > limits::TIMEOUT_MINUTES_MAX) {
        return refuse(format!("inProgressTimeoutInMinutes must be 1 to {}", limits::TIMEOUT_MINUTES_MAX));
    }
    Ok(())
}
