//! DeleteJob (PROTOCOL 11.5). Executions go in portions, as the service rolls out and cancels (PROTOCOL-CORE 2.4); a job with more than
//! one of them is `DELETION_IN_PROGRESS` meanwhile.

use super::record::RecordKey;
use super::store::{ExecutionId, JobKey, ThingKey};
use super::{Engine, Timer};
use iot_jobs::instant::Now;
use iot_jobs::{ControlError, JobChange, JobId, JobStatus};
use std::collections::BTreeSet;

/// Things whose executions go at once, and in each minute after that (inferred from the pace of cancelling).
const THINGS_PER_MINUTE: usize = 1_000;

impl Engine {
    /// Deletes a job with all of its executions; one that has not ended only with `force`.
    ///
    /// # Errors
    /// `ResourceNotFound`; `InvalidStateTransition` for a job that has not ended, without `force`, and for one that is being deleted;
    /// `LimitExceeded` when as many as may be are being deleted.
    pub fn delete_job(&mut self, job: &JobId, force: bool, now: Now) -> Result<(), ControlError> {
        let key = self.job_key(job)?;
        let state = &self.store.jobs[key as usize];
        if state.status == JobStatus::DeletionInProgress {
            return Err(ControlError::InvalidStateTransition(format!("job {job} is being deleted already")));
        }
        if state.status.is_active() && !force {
            let message = format!("job {job} is neither COMPLETED nor CANCELED: delete it with force");
            return Err(ControlError::InvalidStateTransition(message));
        }
        let is_long = state.holders.len() > THINGS_PER_MINUTE;
        if let Some(max) = self.config.jobs_in_deletion_max.filter(|max| is_long && self.store.jobs_in_deletion >= *max as usize) {
            return Err(ControlError::LimitExceeded(format!("{max} jobs are being deleted already")));
        }
        self.store.set_status(key, JobStatus::DeletionInProgress);
        self.store.jobs[key as usize].updated_ms = now.epoch_ms;
        self.emit_job_event(key, JobChange::DeletionInProgress);
        self.mark(RecordKey::JobState(key));
        self.leave_rollout(key, now);
        self.delete_more(key, now);
        Ok(())
    }

    /// The next portion goes, and with the last one the job.
    pub(super) fn delete_more(&mut self, key: JobKey, now: Now) {
        if self.store.jobs[key as usize].status != JobStatus::DeletionInProgress {
            return;
        }
        let holders: Vec<ThingKey> = self.holders(key);
        for thing in holders.iter().take(THINGS_PER_MINUTE) {
            let ids: Vec<ExecutionId> = self.store.things[*thing as usize].of_job(key).map(|(id, _)| id).collect();
            ids.into_iter().for_each(|id| self.delete(*thing, id, now));
        }
        if holders.len() > THINGS_PER_MINUTE {
            self.timers.insert((now.mono + self.config.minute, Timer::Delete(key)));
        } else {
            self.forget_job(key);
        }
    }

    fn forget_job(&mut self, key: JobKey) {
        self.emit_job_event(key, JobChange::Deleted);
        self.store.set_status(key, JobStatus::Canceled);
        for group in self.store.groups.values_mut() {
            group.continuous.retain(|other| *other != key);
        }
        let state = &mut self.store.jobs[key as usize];
        (state.targets, state.target_set, state.rolled_out) = (Vec::new(), BTreeSet::new(), 0);
        self.store.job_keys.remove(&state.create.job_id);
        self.mark(RecordKey::Job(key));
        self.mark(RecordKey::JobState(key));
    }
}
