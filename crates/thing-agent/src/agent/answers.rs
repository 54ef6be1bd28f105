//! What an agent makes of the answers to its requests.

use super::details::marks;
use super::fetch::Needed;
use super::pick::{find, pick};
use super::state::{Ask, Phase, Step, Work};
use super::{JobsAgent, key_of};
use crate::behavior::Script;
use crate::event::{Event, ExecutionKey};
use crate::workflow::Workflow;
use iot_jobs::instant::{EpochSeconds, Mono};
use iot_jobs::{ErrorCode, ExecutionStatus, JobExecution, PendingJobs, Rejection};

impl JobsAgent {
    pub(super) fn on_started(&mut self, execution: Option<Box<JobExecution>>, now: Mono) {
        let Some(execution) = execution else {
            self.drop_work(now);
            self.session.hear_pending(false);
            self.rest(now);
            return;
        };
        self.session.hear_pending(true);
        let key = key_of(&execution);
        if let Some(work) = self.work.as_mut().filter(|work| work.key == key && work.is_started()) {
            work.version = execution.version_number;
            work.resume();
            if matches!(work.phase, Phase::Fetching(_)) {
                work.phase = Phase::begin(Needed::of(&self.settings, &execution));
            }
            if self.faults.as_mut().is_some_and(|faults| faults.take_forgotten()) {
                work.reports = marks(&execution.status_details);
                work.next_at = now + work.script.step(self.settings.behavior(&key.job), work.reports);
            }
            let next_at = work.next_at;
            self.events.push_back(Event::Started { execution: key, at: now, resumed: true });
            self.go_on(next_at, now);
            return;
        }
        if self.take_up(&execution, now) {
            self.more = false;
            self.start_work(now);
        }
    }

    /// What was looked at: nothing, our own work, what was started before, or what we are to start.
    pub(super) fn on_looked(&mut self, execution: Option<Box<JobExecution>>, now: Mono) {
        match execution {
            Some(execution) if execution.status == ExecutionStatus::Queued => {
                self.session.hear_pending(true);
                if self.take_up(&execution, now) {
                    self.plan(now, Ask::Update);
                }
            }
            _ => self.on_started(execution, now),
        }
    }

    /// What is pending: our own work, or what we pick.
    pub(super) fn on_listed(&mut self, jobs: &PendingJobs, now: Mono) {
        let ours = self.work.as_ref().map(|work| work.key.clone()).filter(|key| find(jobs, key).is_some());
        let Some(picked) = ours.or_else(|| pick(jobs)) else {
            return self.on_started(None, now);
        };
        if self.work.as_ref().is_some_and(|work| work.key != picked) {
            self.drop_work(now);
        }
        self.handle_pending(&picked, None, now);
        self.more = false;
        self.plan(now, Ask::Look);
    }

    /// An execution becomes our work, not started yet; unless no new work is taken up.
    fn take_up(&mut self, execution: &JobExecution, now: Mono) -> bool {
        let key = key_of(execution);
        let is_new = self.work.as_ref().is_none_or(|work| work.key != key);
        self.drop_work(now);
        if self.draining && is_new {
            self.step = Step::Idle;
            return false;
        }
        let behavior = self.settings.behavior(&key.job);
        let script = Script::draw(behavior, self.settings.seed, self.thing, &key.job, key.number);
        if let Some(faults) = &mut self.faults {
            faults.begin_work(&behavior.faults, &key, script.reports + 1, now);
        }
        let reports = marks(&execution.status_details);
        let since = self.announced.as_ref().filter(|known| known.0 == key).map_or(now, |known| known.1);
        let (version, phase) = (execution.version_number, Phase::Chosen { needed: Needed::of(&self.settings, execution) });
        self.work = Some(Box::new(Work { key, version, script, reports, next_at: now, since, phase }));
        true
    }

    /// It is `IN_PROGRESS`: the work begins.
    fn start_work(&mut self, now: Mono) {
        let Some(work) = &mut self.work else { return };
        if let Phase::Chosen { needed } = &mut work.phase {
            work.phase = Phase::begin(needed.take());
        }
        work.next_at = now + work.pause(&self.settings);
        let (execution, next_at) = (work.key.clone(), work.next_at);
        self.events.push_back(Event::Started { execution, at: now, resumed: false });
        self.plan(next_at, Ask::Update);
    }

    /// What a poll found: work, or nothing until the next one.
    pub(super) fn on_polled(&mut self, execution: Option<&JobExecution>, now: Mono) {
        match execution {
            Some(execution) => {
                self.handle_pending(&key_of(execution), None, now);
                self.react(now);
            }
            None => self.rest(now),
        }
    }

    /// An execution waits for this thing.
    pub(super) fn handle_pending(&mut self, key: &ExecutionKey, queued_at: Option<EpochSeconds>, now: Mono) {
        if self.announced.as_ref().is_none_or(|known| known.0 != *key) {
            self.events.push_back(Event::Notified { execution: key.clone(), at: now, queued_at });
            self.announced = Some(Box::new((key.clone(), now)));
        }
    }

    pub(super) fn on_described(&mut self, execution: Option<&JobExecution>, now: Mono) {
        match (&mut self.work, execution) {
            (Some(work), Some(execution))
                if work.key.job == execution.job_id
                    && work.key.number == execution.execution_number
                    && !execution.status.is_terminal() =>
            {
                work.version = execution.version_number;
                work.reports = work.reports.max(marks(&execution.status_details));
                work.resume();
                let next_at = work.next_at;
                self.go_on(next_at, now);
            }
            _ => {
                self.drop_work(now);
                self.plan(now, self.seek());
            }
        }
    }

    pub(super) fn on_updated(&mut self, now: Mono) {
        let Some(work) = &mut self.work else { return };
        work.version += 1;
        match work.phase {
            Phase::Ending { .. } => return self.finish(now),
            Phase::Chosen { .. } => return self.start_work(now),
            Phase::Fetching(_) => work.next_at = now + work.pause(&self.settings),
            // The file came meanwhile, and that said when it goes on.
            Phase::Running { is_file_reported: true, .. } => work.next_at = work.next_at.max(now),
            Phase::Running { is_file_reported: false, .. } => {
                work.reports += 1;
                work.next_at = now + work.pause(&self.settings);
            }
        }
        let (key, next_at) = (work.key.clone(), work.next_at);
        self.events.push_back(Event::Updated { execution: key, at: now });
        self.plan(next_at, Ask::Update);
    }

    pub(super) fn on_rejected(&mut self, ask: Ask, rejection: &Rejection, now: Mono) {
        if ask == Ask::Update
            && let Some(work) = &mut self.work
        {
            self.events.push_back(Event::UpdateRefused { execution: work.key.clone(), at: now, code: rejection.code });
            if self.faults.as_mut().is_some_and(|faults| faults.corrupted.take() == Some(self.requests)) {
                work.resume();
                self.retry(Ask::Update, now);
                return;
            }
            if rejection.code == ErrorCode::RequestThrottled {
                // Nobody has looked at it.
                work.withdraw_update();
            }
            if let Some(state) = &rejection.execution_state {
                if work.is_ending() && state.status == work.outcome() {
                    // The first try was accepted and its answer lost (PROTOCOL 18.3, inferred).
                    self.finish(now);
                    return;
                }
                let is_ours = work.is_started() && state.status == ExecutionStatus::InProgress;
                if rejection.code == ErrorCode::VersionMismatch && is_ours {
                    work.version = state.version_number;
                    work.reports = work.reports.max(marks(&state.status_details));
                    work.resume();
                    self.retry(after_conflict(self.settings.workflow), now);
                    return;
                }
            } else if work.is_started() && is_conflict(rejection.code) {
                // HTTP tells nothing of the execution: it has to be asked for.
                work.withdraw_update();
                self.retry(Ask::Describe, now);
                return;
            }
        }
        match (ask, rejection.code.is_retryable()) {
            // The next poll is the retry.
            (Ask::Poll, _) => self.rest(now),
            (Ask::AfterEnd, _) => self.after_end(now),
            (_, true) | (Ask::StartNext | Ask::List, false) => self.retry(ask, now),
            // Nobody else ends it as a rule: an end of ours was accepted, and its answer lost (inferred).
            (Ask::Describe, false)
                if rejection.code == ErrorCode::TerminalStateReached && self.work.as_ref().is_some_and(|work| work.is_ending()) =>
            {
                self.finish(now);
            }
            (Ask::Look, false) => {
                // `$next` names nothing that could be gone.
                if self.settings.workflow == Workflow::List {
                    self.drop_work(now);
                }
                self.retry(self.seek(), now);
            }
            (Ask::Describe | Ask::Update, false) => {
                let was_started = self.work.as_ref().is_some_and(|work| work.is_started());
                self.drop_work(now);
                if was_started {
                    self.plan(now, self.seek());
                } else {
                    // What cannot be started is likely to be found again at once.
                    self.retry(self.seek(), now);
                }
            }
        }
    }
}

/// An update does not fit what the execution is.
fn is_conflict(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::VersionMismatch | ErrorCode::InvalidStateTransition)
}

/// The refusal tells the new version; things that describe before they update do so here, too.
fn after_conflict(workflow: Workflow) -> Ask {
    match workflow {
        Workflow::StartNext | Workflow::Poll(_) | Workflow::None => Ask::Update,
        Workflow::DescribeUpdate | Workflow::List => Ask::Describe,
    }
}
