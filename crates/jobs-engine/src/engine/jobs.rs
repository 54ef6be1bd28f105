//! The control plane's operations on jobs (PROTOCOL 11).

use super::Engine;
use super::members::not_found;
use super::pace::Pace;
use super::record::RecordKey;
use super::store::{Job, JobKey, ThingKey};
use iot_jobs::instant::Now;
use iot_jobs::{
    CancelJob, ControlError, CreateJob, JobChange, JobDescription, JobDocument, JobEvent, JobFilter, JobId, JobProcessDetails,
    JobStatus, JobTarget, NamespaceId, PresignedUrlConfig, RolloutConfig, TargetSelection, UpdateJob, limits,
};
use std::collections::BTreeSet;

impl Engine {
    /// Creates a job and starts its rollout, now or at its start time.
    ///
    /// # Errors
    /// `ResourceAlreadyExists` for a job id in use, `ResourceNotFound` for an unknown target, `InvalidRequest` for a value out of
    /// its limits.
    pub fn create_job(&mut self, create: CreateJob, now: Now) -> Result<(), ControlError> {
        create.check()?;
        self.check_quotas(create.targets.len(), &create.config.rollout)?;
        self.check_active_jobs()?;
        if let Some(scheduling) = &create.scheduling {
            scheduling.check(create.target_selection, now.epoch_ms, self.config.minute)?;
        }
        if self.store.job_keys.contains_key(&create.job_id) {
            return Err(ControlError::ResourceAlreadyExists(format!("job {} already exists", create.job_id)));
        }
        let mut target_set = BTreeSet::new();
        let targets = self.expand(&create.targets, &mut target_set)?;
        let key = self.store.jobs.len() as JobKey;
        self.follow_groups(key, create.target_selection, &create.targets);
        self.store.job_keys.insert(create.job_id.clone(), key);
        let is_scheduled = create.scheduling.as_ref().is_some_and(|scheduling| scheduling.start_ms.is_some());
        let space = self.store.space(create.namespace.as_ref());
        let mut job = Job {
            create,
            space,
            is_open: true,
            status: if is_scheduled { JobStatus::Scheduled } else { JobStatus::InProgress },
            force_canceled: false,
            reason_code: None,
            comment: None,
            created_ms: now.epoch_ms,
            updated_ms: now.epoch_ms,
            completed_ms: None,
            counts: JobProcessDetails::default(),
            holders: BTreeSet::new(),
            targets,
            target_set,
            rolled_out: 0,
            is_stopped: false,
            pace: Pace::new(now.mono, None),
        };
        job.pace.quota = job.rate(self.config.rate_per_minute);
        self.store.add_job(job);
        self.mark(RecordKey::Job(key));
        self.mark(RecordKey::JobState(key));
        self.schedule(key, now);
        self.follow_window(key, now);
        self.roll_out(key, now);
        self.settle(key, now);
        Ok(())
    }

    /// Later members of these groups get the job too, when it is continuous.
    pub(super) fn follow_groups(&mut self, key: JobKey, selection: TargetSelection, targets: &[JobTarget]) {
        if selection == TargetSelection::Snapshot {
            return;
        }
        for target in targets {
            if let JobTarget::Group(group) = target
                && let Some(group) = self.store.groups.get_mut(group)
                && !group.continuous.contains(&key)
            {
                group.continuous.push(key);
            }
        }
    }

    /// # Errors
    /// `ResourceNotFound`.
    pub fn describe_job(&self, job: &JobId) -> Result<JobDescription, ControlError> {
        Ok(self.store.jobs[self.job_key(job)? as usize].describe())
    }

    /// Whether there is such a job.
    #[must_use]
    pub fn has_job(&self, job: &JobId) -> bool {
        self.store.job_keys.contains_key(job)
    }

    /// Whether there is such a job, of the namespace that a call names, if it names one (inferred).
    ///
    /// # Errors
    /// `ResourceNotFound`.
    pub fn check_namespace(&self, job: &JobId, namespace: Option<&NamespaceId>) -> Result<(), ControlError> {
        let found = self.store.jobs[self.job_key(job)? as usize].create.namespace.as_ref();
        match namespace {
            Some(wanted) if found != Some(wanted) => Err(not_found("job", &format!("{job} of namespace {wanted}"))),
            _ => Ok(()),
        }
    }

    /// What a job says of the URLs that stand in its documents.
    #[must_use]
    pub fn presigned_url(&self, job: &JobId) -> Option<&PresignedUrlConfig> {
        let key = self.store.job_keys.get(job)?;
        self.store.jobs[*key as usize].create.config.presigned_url.as_ref()
    }

    /// # Errors
    /// `ResourceNotFound`.
    pub fn job_document(&self, job: &JobId) -> Result<JobDocument, ControlError> {
        Ok(self.store.jobs[self.job_key(job)? as usize].create.document.clone())
    }

    /// By job id (inferred).
    pub fn list_jobs(&self, filter: &JobFilter) -> impl Iterator<Item = &JobId> {
        let jobs = self.store.job_keys.iter().map(|(id, key)| (id, &self.store.jobs[*key as usize]));
        jobs.filter(|(_, job)| matches_filter(job, filter)).map(|(id, _)| id)
    }

    /// Changes what may change; a new rate counts from now on, a new timeout for what starts from now on.
    ///
    /// # Errors
    /// `ResourceNotFound`; `InvalidRequest` for a value out of its limits, or a job that has ended (inferred).
    pub fn update_job(&mut self, job: &JobId, update: UpdateJob, now: Now) -> Result<(), ControlError> {
        let key = self.active_job(job)?;
        let state = &mut self.store.jobs[key as usize];
        let is_new_rate = update.rollout.is_some_and(|rollout| rollout != state.create.config.rollout);
        let config = update.apply(&state.create.config);
        config.check()?;
        self.check_quotas(0, &config.rollout)?;
        let state = &mut self.store.jobs[key as usize];
        state.create.config = config;
        state.updated_ms = now.epoch_ms;
        if is_new_rate && state.status == JobStatus::InProgress {
            state.pace = Pace::new(now.mono, state.rate(self.config.rate_per_minute));
        }
        self.mark(RecordKey::Job(key));
        self.mark(RecordKey::JobState(key));
        self.roll_out(key, now);
        Ok(())
    }

    /// Adds targets to a continuous job that runs.
    ///
    /// # Errors
    /// `ResourceNotFound` for an unknown job or target; `InvalidRequest` for a job that is not continuous, has ended, or would have
    /// too many targets.
    pub fn associate_targets(
        &mut self,
        job: &JobId,
        targets: Vec<JobTarget>,
        comment: Option<String>,
        now: Now,
    ) -> Result<Option<String>, ControlError> {
        let key = self.active_job(job)?;
        if self.store.jobs[key as usize].create.target_selection != TargetSelection::Continuous {
            return Err(ControlError::InvalidRequest(format!("job {job} is not CONTINUOUS: its targets cannot change")));
        }
        let mut all = self.store.jobs[key as usize].create.targets.clone();
        all.extend(targets.iter().filter(|target| !self.store.jobs[key as usize].create.targets.contains(target)).cloned());
        self.check_quotas(all.len(), &RolloutConfig::default())?;
        let mut target_set = self.store.jobs[key as usize].target_set.clone();
        let new = self.expand(&targets, &mut target_set)?;
        self.follow_groups(key, TargetSelection::Continuous, &targets);
        let state = &mut self.store.jobs[key as usize];
        state.create.targets = all;
        state.target_set = target_set;
        state.targets.extend(new);
        state.comment = comment.or(state.comment.take());
        state.updated_ms = now.epoch_ms;
        let description = state.create.config.description.clone();
        self.mark(RecordKey::Job(key));
        self.mark(RecordKey::JobState(key));
        self.roll_out(key, now);
        Ok(description)
    }

    /// Ends the rollout and cancels what is `QUEUED`; with `force` what is `IN_PROGRESS` too (PROTOCOL 11.5).
    ///
    /// # Errors
    /// `ResourceNotFound`; `InvalidRequest` for a job that is completed or being deleted (inferred), or a reason code or comment out of its limits.
    pub fn cancel_job(&mut self, job: &JobId, cancel: CancelJob, now: Now) -> Result<Option<String>, ControlError> {
        check_cancel(&cancel)?;
        let key = self.job_key(job)?;
        let state = &self.store.jobs[key as usize];
        if matches!(state.status, JobStatus::Completed | JobStatus::DeletionInProgress) {
            return Err(ControlError::InvalidRequest(format!("job {job} is {}", state.status.as_str())));
        }
        let description = state.create.config.description.clone();
        self.cancel(key, cancel, now);
        Ok(description)
    }

    /// Things that have executions of the job, by name.
    pub(super) fn holders(&self, key: JobKey) -> Vec<ThingKey> {
        let name = |thing: &ThingKey| &self.store.things[*thing as usize].name;
        let mut holders: Vec<ThingKey> = self.store.jobs[key as usize].holders.iter().copied().collect();
        holders.sort_by(|a, b| name(a).cmp(name(b)));
        holders
    }

    pub(super) fn emit_job_event(&mut self, key: JobKey, change: JobChange) {
        if self.event_config.job {
            self.events.push_back(JobEvent::Job { change, job: Box::new(self.store.jobs[key as usize].describe()) });
        }
    }

    pub(super) fn job_key(&self, job: &JobId) -> Result<JobKey, ControlError> {
        self.store.job_keys.get(job).copied().ok_or_else(|| not_found("job", job.as_str()))
    }

    fn active_job(&self, job: &JobId) -> Result<JobKey, ControlError> {
        let key = self.job_key(job)?;
        let status = self.store.jobs[key as usize].status;
        match status.is_active() {
            true => Ok(key),
            false => Err(ControlError::InvalidRequest(format!("job {job} is {}", status.as_str()))),
        }
    }

    /// Things behind targets, in order, without those in `known`, which grows.
    fn expand(&self, targets: &[JobTarget], known: &mut BTreeSet<ThingKey>) -> Result<Vec<ThingKey>, ControlError> {
        let mut list = Vec::new();
        for target in targets {
            match target {
                JobTarget::Thing(thing) => list.extend([self.thing_key(thing)?].into_iter().filter(|thing| known.insert(*thing))),
                JobTarget::Group(group) => list.extend(self.group(group)?.members().filter(|thing| known.insert(*thing))),
            }
        }
        Ok(list)
    }

    /// The answer to what is over a quota is (inferred) from the errors CreateJob has (PROTOCOL 11.6).
    fn check_quotas(&self, targets: usize, rollout: &RolloutConfig) -> Result<(), ControlError> {
        if let Some(max) = self.config.targets_per_job_max.filter(|max| targets > *max as usize) {
            return Err(ControlError::LimitExceeded(format!("a job may have at most {max} targets, not {targets}")));
        }
        match (rollout.fastest_per_minute(), self.config.rate_per_minute) {
            (Some(rate), Some(max)) if rate > max => {
                Err(ControlError::LimitExceeded(format!("a job may queue at most {max} executions a minute, not {rate}")))
            }
            _ => Ok(()),
        }
    }

    fn check_active_jobs(&self) -> Result<(), ControlError> {
        let Some(max) = self.config.active_jobs_max else { return Ok(()) };
        let active = self.store.active_jobs;
        if active < max as usize {
            Ok(())
        } else {
            Err(ControlError::LimitExceeded(format!("{active} jobs are scheduled or in progress already")))
        }
    }
}

/// Whether ListJobs with this filter names the job.
fn matches_filter(job: &Job, filter: &JobFilter) -> bool {
    let is_for = |group| job.create.targets.iter().any(|target| matches!(target, JobTarget::Group(name) if name == group));
    filter.status.is_none_or(|status| status == job.status)
        && filter.target_selection.is_none_or(|selection| selection == job.create.target_selection)
        && filter.group.as_ref().is_none_or(is_for)
        && filter.namespace.as_ref().is_none_or(|wanted| job.create.namespace.as_ref() == Some(wanted))
}

fn check_cancel(cancel: &CancelJob) -> Result<(), ControlError> {
    let fits = |code: &String| {
        let allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
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
