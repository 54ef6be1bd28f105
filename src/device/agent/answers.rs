//! What an agent makes of the answers to its requests.

use super::details::marks;
use super::state::{Ask, Step, Work};
use super::{JobsAgent, key_of};
use crate::device::behavior::Script;
use crate::device::event::{Event, ExecutionKey};
use crate::instant::{EpochSeconds, Mono};
use crate::jobs::{ErrorCode, ExecutionStatus, JobExecution, Rejection};

impl JobsAgent {
    pub(super) fn on_started(&mut self, execution: Option<Box<JobExecution>>, now: Mono) {
        let Some(execution) = execution else {
            self.drop_work(now);
            self.is_nothing_pending = true;
            self.rest(now);
            return;
        };
        self.is_nothing_pending = false;
        let key = key_of(&execution);
        if let Some(work) = self.work.as_mut().filter(|work| work.key == key) {
            work.version = execution.version_number;
            work.end_sent = false;
            let next_at = work.next_at;
            self.events.push_back(Event::Started { execution: key, at: now, resumed: true });
            self.plan(next_at, Ask::Update);
            return;
        }
        self.drop_work(now);
        if self.draining {
            self.step = Step::Idle;
            return;
        }
        let behavior = self.settings.behavior(&key.job);
        let script = Script::draw(behavior, self.settings.seed, self.thing, &key.job, key.number);
        let reports = marks(&execution.status_details);
        let next_at = now + script.step(behavior, reports);
        let since = self.announced.as_ref().filter(|known| known.0 == key).map_or(now, |known| known.1);
        self.events.push_back(Event::Started { execution: key.clone(), at: now, resumed: false });
        self.work =
            Some(Box::new(Work { key, version: execution.version_number, script, reports, next_at, since, end_sent: false }));
        self.more = false;
        self.plan(next_at, Ask::Update);
    }

    /// What a poll found: work, or nothing until the next one.
    pub(super) fn on_polled(&mut self, execution: Option<&JobExecution>, now: Mono) {
        match execution {
            Some(execution) => {
                self.hear_of(&key_of(execution), None, now);
                self.react(now);
            }
            None => self.rest(now),
        }
    }

    /// An execution waits for this thing.
    pub(super) fn hear_of(&mut self, key: &ExecutionKey, queued_at: Option<EpochSeconds>, now: Mono) {
        if self.announced.as_ref().is_none_or(|known| known.0 != *key) {
            self.events.push_back(Event::Notified { execution: key.clone(), at: now, queued_at });
            self.announced = Some(Box::new((key.clone(), now)));
        }
    }

    pub(super) fn on_described(&mut self, execution: &JobExecution, now: Mono) {
        match &mut self.work {
            Some(work)
                if work.key.job == execution.job_id
                    && work.key.number == execution.execution_number
                    && !execution.status.is_terminal() =>
            {
                work.version = execution.version_number;
                let next_at = work.next_at;
                self.plan(next_at, Ask::Update);
            }
            _ => {
                self.drop_work(now);
                self.plan(now, Ask::StartNext);
            }
        }
    }

    pub(super) fn on_updated(&mut self, now: Mono) {
        let Some(work) = &mut self.work else { return };
        if work.end_sent {
            self.finish(now);
            return;
        }
        work.version += 1;
        work.reports += 1;
        let behavior = self.settings.behavior(&work.key.job);
        work.next_at = now + work.script.step(behavior, work.reports);
        let (key, next_at) = (work.key.clone(), work.next_at);
        self.events.push_back(Event::Updated { execution: key, at: now });
        self.plan(next_at, Ask::Update);
    }

    pub(super) fn on_rejected(&mut self, ask: Ask, rejection: &Rejection, now: Mono) {
        if ask == Ask::Update
            && let Some(work) = &mut self.work
        {
            self.events.push_back(Event::UpdateRefused { execution: work.key.clone(), at: now, code: rejection.code });
            if let Some(state) = &rejection.execution_state {
                if work.end_sent && state.status == work.script.outcome {
                    // The first try was accepted and its answer lost (spec section 18.3, inferred).
                    self.finish(now);
                    return;
                }
                if rejection.code == ErrorCode::VersionMismatch && state.status == ExecutionStatus::InProgress {
                    work.version = state.version_number;
                    work.reports = work.reports.max(marks(&state.status_details));
                    work.end_sent = false;
                    self.retry(Ask::Update, now);
                    return;
                }
            }
        }
        match (ask, rejection.code.is_retryable()) {
            // The next poll is the retry.
            (Ask::Poll, _) => self.rest(now),
            (_, true) | (Ask::StartNext, false) => self.retry(ask, now),
            (Ask::Describe | Ask::Update, false) => {
                if let Some(work) = &mut self.work {
                    work.end_sent = false;
                }
                self.drop_work(now);
                self.plan(now, Ask::StartNext);
            }
        }
    }
}
