//! The one place where executions change, and what follows from it.

use super::record::RecordKey;
use super::store::{ExecutionId, Job, JobKey, SpaceKey, Thing, ThingKey};
use super::{Engine, Notified, Timer};
use iot_jobs::instant::Now;
use iot_jobs::ledger::{LedgerEvent, LedgerRow};
use iot_jobs::{ExecutionChange, ExecutionStatus, Notification, PendingJobs, limits};

/// What a row of the ledger and the counters need to know of an execution.
#[derive(Clone, Copy)]
struct Seen {
    status: ExecutionStatus,
    version: i64,
}

fn latest_status(thing: &Thing, job: JobKey) -> Option<ExecutionStatus> {
    thing.of_job(job).next_back().map(|(_, execution)| execution.status)
}

fn see(thing: &Thing, id: ExecutionId) -> Option<Seen> {
    thing.executions.get(&id).map(|execution| Seen { status: execution.status, version: execution.version })
}

impl Engine {
    /// Applies `apply` to this one execution, then compares: counters, timers, ledger, records, notifications, events; at last what an end
    /// leads to. How much else is pending of the thing makes no difference.
    pub(super) fn change(&mut self, key: ThingKey, id: ExecutionId, now: Now, apply: impl FnOnce(&mut Thing)) {
        let Job { create, space, .. } = &self.store.jobs[id.job as usize];
        let (is_scheduled, space) = (create.scheduling.is_some(), *space);
        let thing = &mut self.store.things[key as usize];
        let before = see(thing, id);
        let latest_before = latest_status(thing, id.job);
        let deadline_before = thing.executions.get(&id).and_then(super::Execution::deadline);
        let (place_before, head_before) = (thing.place(id, space), thing.head(space));
        apply(thing);
        let place_after = thing.place(id, space);
        thing.replace(place_before, place_after, is_scheduled);
        let after = see(thing, id);
        let latest_after = latest_status(thing, id.job);
        if let Some(execution) = thing.executions.get_mut(&id).filter(|execution| execution.status.is_terminal()) {
            (execution.in_progress_deadline, execution.step_deadline) = (None, None);
        }
        let deadline_after = thing.executions.get(&id).and_then(super::Execution::deadline);
        let head = thing.head(space);
        let head_changed = head != head_before;
        let set_changed = place_before.is_some() != place_after.is_some();
        let wanted = self.store.things[key as usize].wants(self.store.namespace(space), &self.store.observed);

        self.follow_deadline(key, id, deadline_before, deadline_after);
        self.count(key, id, latest_before, latest_after);
        self.mark(RecordKey::Execution(key, id));
        self.record(key, id, before, after, now);
        if head_changed && let Some(head) = head {
            self.row(key, head, LedgerEvent::Head, now);
        }
        if set_changed && wanted.notify {
            self.notify(key, space, now);
        }
        if head_changed && wanted.notify_next {
            self.notify_next(key, space, head, now);
        }
        if let Some(end) = after.map(|seen| seen.status).filter(|status| status.is_terminal())
            && !before.is_some_and(|seen| seen.status.is_terminal())
        {
            self.emit_execution_event(key, id, ExecutionChange::Ended(end), now);
            self.follow_end(key, id, end, now);
        }
    }

    fn follow_deadline(
        &mut self,
        key: ThingKey,
        id: ExecutionId,
        before: Option<iot_jobs::instant::Mono>,
        after: Option<iot_jobs::instant::Mono>,
    ) {
        if before == after {
            return;
        }
        if let Some(at) = before {
            self.timers.remove(&(at, Timer::Expire(key, id)));
        }
        if let Some(at) = after {
            self.timers.insert((at, Timer::Expire(key, id)));
        }
    }

    /// Counters of the job: things by the status of their latest execution, and who they are.
    pub(super) fn count(
        &mut self,
        key: ThingKey,
        id: ExecutionId,
        before: Option<ExecutionStatus>,
        after: Option<ExecutionStatus>,
    ) {
        let Job { counts, holders, .. } = &mut self.store.jobs[id.job as usize];
        if let Some(before) = before {
            *counts.of_mut(before) -= 1;
        }
        if let Some(after) = after {
            *counts.of_mut(after) += 1;
        }
        match (before, after) {
            (None, Some(_)) => {
                holders.insert(key);
            }
            (Some(_), None) => {
                holders.remove(&key);
            }
            _ => {}
        }
    }

    /// `queued`, `answered`, `terminal`: what became of the execution itself.
    fn record(&mut self, key: ThingKey, id: ExecutionId, before: Option<Seen>, after: Option<Seen>, now: Now) {
        match (before, after) {
            (None, Some(_)) => self.row(key, id, LedgerEvent::Queued, now),
            (Some(before), Some(after)) if before.version != after.version => {
                let by_the_thing = matches!(
                    after.status,
                    ExecutionStatus::InProgress | ExecutionStatus::Succeeded | ExecutionStatus::Failed | ExecutionStatus::Rejected
                );
                if by_the_thing {
                    self.row(key, id, LedgerEvent::Answered, now);
                }
                if after.status.is_terminal() {
                    self.row(key, id, LedgerEvent::Terminal, now);
                }
            }
            // Deleted while it was open: for the ledger that is its end.
            (Some(before), None) if !before.status.is_terminal() => {
                let removed = Seen { status: ExecutionStatus::Removed, version: before.version };
                self.push_row(key, id, removed, LedgerEvent::Terminal, now);
            }
            _ => {}
        }
    }

    fn row(&mut self, key: ThingKey, id: ExecutionId, event: LedgerEvent, now: Now) {
        if let Some(seen) = see(&self.store.things[key as usize], id) {
            self.push_row(key, id, seen, event, now);
        }
    }

    fn push_row(&mut self, key: ThingKey, id: ExecutionId, seen: Seen, event: LedgerEvent, now: Now) {
        let (thing, job) = (&self.store.things[key as usize], &self.store.jobs[id.job as usize]);
        self.changes.push_back(LedgerRow {
            at: now.mono,
            thing: thing.name.clone(),
            job: job.create.job_id.clone(),
            execution_number: id.number,
            version: seen.version,
            status: seen.status,
            event,
            subscribed: thing.wants(self.store.namespace(job.space), &self.store.observed).notify_next && !thing.is_away,
        });
    }

    fn notify(&mut self, key: ThingKey, space: SpaceKey, now: Now) {
        let jobs = self.pending(key, space);
        self.tell(key, space, Notification::Changed { timestamp: now.epoch_seconds(), jobs });
    }

    fn notify_next(&mut self, key: ThingKey, space: SpaceKey, head: Option<ExecutionId>, now: Now) {
        let thing = &self.store.things[key as usize];
        let execution = head.map(|id| thing.executions[&id].describe(&self.store.jobs[id.job as usize], id.number, true, now));
        self.tell(key, space, Notification::NextChanged { timestamp: now.epoch_seconds(), execution });
        if let Some(head) = head {
            self.row(key, head, LedgerEvent::Published, now);
        }
    }

    fn tell(&mut self, key: ThingKey, space: SpaceKey, notification: Notification) {
        let thing = self.store.things[key as usize].name.clone();
        let namespace = self.store.namespace(space).cloned();
        self.notifications.push_back(Notified { thing, namespace, notification });
    }

    /// The pending list as `get` and `notify` show it: capped, `IN_PROGRESS` first.
    pub(super) fn pending(&self, key: ThingKey, space: SpaceKey) -> PendingJobs {
        let thing = &self.store.things[key as usize];
        let mut jobs = PendingJobs::default();
        let shown = if thing.scheduled > 0 { limits::PENDING_SHOWN_SCHEDULED_MAX } else { limits::PENDING_SHOWN_MAX };
        for id in thing.pending_of(space).iter().take(shown).map(|place| &place.id) {
            let execution = &thing.executions[id];
            let list = if execution.status == ExecutionStatus::InProgress { &mut jobs.in_progress } else { &mut jobs.queued };
            list.push(execution.summary(&self.store.jobs[id.job as usize], id.number));
        }
        jobs
    }
}
