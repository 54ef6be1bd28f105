//! What time and ends lead to: start and end of a job, retries, aborts, completion (PROTOCOL 9.6, 11.2 and 11.3).

use super::pace::Pace;
use super::record::RecordKey;
use super::store::{ExecutionId, JobKey, Retries, ThingKey};
use super::{Engine, Timer};
use iot_jobs::instant::{Mono, Now};
use iot_jobs::{CancelJob, EndBehavior, ExecutionStatus, FailureType, JobChange, JobStatus, TargetSelection, limits};
use std::time::Duration;
use strum::VariantArray;

/// What an abort says of itself; AWS's texts were not found.
const ABORT_REASON: &str = "ABORT_CRITERIA_MET";

impl Engine {
    /// When the wall clock reaches `at_ms`.
    pub(super) fn moment(at_ms: i64, now: Now) -> Mono {
        now.mono + Duration::from_millis(u64::try_from(at_ms - now.epoch_ms).unwrap_or(0))
    }

    /// The job's start time has come.
    pub(super) fn start_job(&mut self, key: JobKey, now: Now) {
        let service_rate = self.config.rate_per_minute;
        if self.store.jobs[key as usize].status != JobStatus::Scheduled || self.is_turned_away(key, now) {
            return;
        }
        let job = &mut self.store.jobs[key as usize];
        job.updated_ms = now.epoch_ms;
        job.pace = Pace::new(now.mono, job.rate(service_rate));
        self.store.set_status(key, JobStatus::InProgress);
        self.mark(RecordKey::JobState(key));
        self.follow_window(key, now);
        self.roll_out(key, now);
        self.settle(key, now);
    }

    /// The job's end time has come. Whatever its end behavior, nobody else gets it; it completes when nothing is open any more
    /// (inferred).
    pub(super) fn end_job(&mut self, key: JobKey, now: Now) {
        let job = &mut self.store.jobs[key as usize];
        let behavior = match job.create.scheduling.as_ref().and_then(|scheduling| scheduling.end) {
            Some(end) if job.status.is_active() => end.behavior,
            _ => return,
        };
        job.is_stopped = true;
        job.targets.truncate(job.rolled_out);
        self.store.set_status(key, JobStatus::InProgress);
        self.leave_rollout(key, now);
        self.mark(RecordKey::JobState(key));
        match behavior {
            EndBehavior::StopRollout => {}
            EndBehavior::Cancel => self.cancel_executions(key, false, now),
            EndBehavior::ForceCancel => self.cancel_executions(key, true, now),
        }
        self.settle(key, now);
    }

    /// An execution has reached an end: the job may retry it, abort, or be complete.
    pub(super) fn follow_end(&mut self, thing: ThingKey, id: ExecutionId, status: ExecutionStatus, now: Now) {
        self.retry(thing, id, status, now);
        self.abort(id.job, now);
        self.settle(id.job, now);
    }

    /// A new execution at once (the delay is inferred), as long as attempts remain, the job runs, a window of it is open and the thing is its
    /// target.
    pub(super) fn retry(&mut self, thing: ThingKey, id: ExecutionId, status: ExecutionStatus, now: Now) {
        let job = &self.store.jobs[id.job as usize];
        let mut retries = self.store.things[thing as usize].executions[&id].retries;
        let used = |failure: FailureType| match failure {
            FailureType::Failed => retries.failed,
            FailureType::TimedOut => retries.timed_out,
            FailureType::Rejected | FailureType::All => retries.all(),
        };
        let is_wanted = job.create.config.retry.iter().any(|c| c.failure.covers(status) && used(c.failure) < c.retries);
        if !is_wanted
            || retries.all() >= limits::RETRIES_MAX
            || job.status != JobStatus::InProgress
            || !job.is_open
            || !job.target_set.contains(&thing)
        {
            return;
        }
        match status {
            ExecutionStatus::Failed => retries.failed += 1,
            ExecutionStatus::TimedOut => retries.timed_out += 1,
            _ => return,
        }
        self.queue_retry(thing, id.job, retries, now);
    }

    /// Things that count for abort criteria: those that were given the job (inferred from "must receive job execution notifications").
    fn executed_things(&self, key: JobKey) -> u64 {
        self.store.jobs[key as usize].rolled_out as u64
    }

    /// Ends the job when too many things failed; only what is `QUEUED` is cancelled (PROTOCOL 11.5).
    fn abort(&mut self, key: JobKey, now: Now) {
        let job = &self.store.jobs[key as usize];
        if job.status != JobStatus::InProgress || job.create.config.abort.is_empty() {
            return;
        }
        let executed = self.executed_things(key);
        let failures = |failure: FailureType| -> u64 {
            ExecutionStatus::VARIANTS.iter().filter(|status| failure.covers(**status)).map(|status| job.counts.of(*status)).sum()
        };
        let met = job.create.config.abort.iter().copied().find(|criterion| {
            executed >= criterion.executed_min
                && failures(criterion.failure) * 10_000 >= u64::from(criterion.threshold_hundredths) * executed
        });
        let Some(met) = met else { return };
        let comment = format!("{} of {executed} things: {}", failures(met.failure), met.failure.as_str());
        self.cancel(key, CancelJob { reason_code: Some(ABORT_REASON.into()), comment: Some(comment), force: false }, now);
    }

    /// Ends the rollout and cancels what is open.
    pub(super) fn cancel(&mut self, key: JobKey, cancel: CancelJob, now: Now) {
        self.store.set_status(key, JobStatus::Canceled);
        let job = &mut self.store.jobs[key as usize];
        job.force_canceled |= cancel.force;
        job.reason_code = cancel.reason_code;
        job.comment = cancel.comment;
        job.updated_ms = now.epoch_ms;
        job.completed_ms = Some(now.epoch_ms);
        job.targets.truncate(job.rolled_out);
        self.leave_rollout(key, now);
        self.mark(RecordKey::JobState(key));
        self.emit_job_event(key, JobChange::CancellationInProgress);
        self.cancel_executions(key, cancel.force, now);
        self.emit_job_event(key, JobChange::Canceled);
    }

    fn cancel_executions(&mut self, key: JobKey, force: bool, now: Now) {
        for thing in self.store.jobs[key as usize].targets.clone() {
            let holder = &mut self.store.things[thing as usize];
            let Some(id) = holder.find(key, None) else { continue };
            let is_in_progress = match holder.executions[&id].status {
                ExecutionStatus::Queued => false,
                ExecutionStatus::InProgress if force => true,
                _ => continue,
            };
            if let Some(execution) = holder.executions.get_mut(&id) {
                execution.force_canceled = is_in_progress;
            }
            self.move_to(thing, id, ExecutionStatus::Canceled, now);
        }
    }

    /// A snapshot job is complete when all of its things have ended, any job when its end time has come and nothing is open.
    pub(super) fn settle(&mut self, key: JobKey, now: Now) {
        let job = &mut self.store.jobs[key as usize];
        let is_finite = job.create.target_selection == TargetSelection::Snapshot || job.is_stopped;
        let is_open = job.rolled_out < job.targets.len() || job.counts.queued + job.counts.in_progress > 0;
        if job.status == JobStatus::InProgress && is_finite && !is_open {
            job.updated_ms = now.epoch_ms;
            job.completed_ms = Some(now.epoch_ms);
            self.store.set_status(key, JobStatus::Completed);
            self.mark(RecordKey::JobState(key));
            self.emit_job_event(key, JobChange::Completed);
        }
    }

    /// The thing is no target of a continuous job any more: it leaves its queue, and what is open of it is `REMOVED`.
    pub(super) fn remove_target(&mut self, key: JobKey, thing: ThingKey, now: Now) {
        let job = &mut self.store.jobs[key as usize];
        if !job.target_set.remove(&thing) {
            return;
        }
        if let Some(place) = job.targets.iter().position(|target| *target == thing) {
            job.targets.remove(place);
            job.rolled_out -= usize::from(place < job.rolled_out);
        }
        self.mark(RecordKey::Job(key));
        self.mark(RecordKey::JobState(key));
        let open = self.store.things[thing as usize].find(key, None);
        let open = open.filter(|id| !self.store.things[thing as usize].executions[id].status.is_terminal());
        if let Some(id) = open {
            self.move_to(thing, id, ExecutionStatus::Removed, now);
        }
        self.settle(key, now);
    }

    /// Sets the timers of a job that is new, or was read back.
    pub(super) fn schedule(&mut self, key: JobKey, now: Now) {
        let job = &self.store.jobs[key as usize];
        let Some(scheduling) = job.create.scheduling.as_ref().filter(|_| job.status.is_active()) else { return };
        if let Some(start) = scheduling.start_ms.filter(|_| job.status == JobStatus::Scheduled) {
            self.timers.insert((Self::moment(start, now), Timer::Start(key)));
        }
        if let Some(end) = scheduling.end {
            self.timers.insert((Self::moment(end.at_ms, now), Timer::End(key)));
        }
    }
}

impl Retries {
    pub(super) fn all(self) -> u32 {
        self.failed + self.timed_out
    }
}
