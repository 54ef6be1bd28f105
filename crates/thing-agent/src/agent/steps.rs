//! What an agent does next, and when.

use super::JobsAgent;
use super::state::{Ask, Asked, Session, Step};
use crate::event::{AnswerOutcome, Event, SubscribeFailure};
use crate::workflow::Workflow;
use iot_jobs::instant::{EpochSeconds, Mono};
use rand::RngExt;
use sim_units::periodic::Due;
use sim_units::seed::{self, Purpose};

impl JobsAgent {
    pub(super) fn plan(&mut self, at: Mono, ask: Ask) {
        self.plan_from(at, at, ask);
    }

    /// The same for what was due before it can be sent.
    pub(super) fn plan_from(&mut self, at: Mono, runnable: Mono, ask: Ask) {
        let is_new_work = ask.seeks_work() && self.work.is_none();
        let takes_work = !self.draining && self.settings.workflow.has_jobs();
        self.step = if is_new_work && !takes_work { Step::Idle } else { Step::Planned { at, runnable, ask } };
    }

    /// Its work is its own, after all: the next report was planned for `at`, and could not be sent while that was in doubt.
    pub(super) fn go_on(&mut self, at: Mono, now: Mono) {
        self.plan_from(at, at.max(now), Ask::Update);
    }

    /// What this thing asks first, to get work or to find its own again; one without jobs never gets to ask.
    pub(super) fn seek(&self) -> Ask {
        match self.settings.workflow {
            Workflow::StartNext | Workflow::Poll(_) | Workflow::None => Ask::StartNext,
            Workflow::DescribeUpdate => Ask::Look,
            Workflow::List => Ask::List,
        }
    }

    /// Asks again after a wait with full jitter, with a new token.
    pub(super) fn retry(&mut self, ask: Ask, now: Mono) {
        let delay =
            self.settings.retry.delay(self.failures, self.settings.seed, self.thing, Purpose::Retry, u64::from(self.requests));
        self.failures = self.failures.saturating_add(1);
        self.plan(now + delay, ask);
    }

    /// Thinks for a while, then asks for the job that was announced.
    pub(super) fn react(&mut self, now: Mono) {
        let job = self.announced.as_ref().map(|known| &known.0.job);
        let behavior = job.map_or(&self.settings.behavior, |job| self.settings.behavior(job));
        let mut rng = seed::rng(self.settings.seed, self.thing, Purpose::Reaction, u64::from(self.requests));
        let delay = behavior.reaction.sample(&mut rng);
        self.more = false;
        self.plan(now + delay, self.seek());
    }

    /// Nothing is pending: wait to be told, or for the next poll, and ask again one day.
    pub(super) fn rest(&mut self, now: Mono) {
        if let Some(polls) = &mut self.polls {
            let Due { at, lost, .. } = polls.next(now);
            if lost > 0 {
                self.events.push_back(Event::LostArrivals { kind: Ask::Poll.kind(), count: lost });
            }
            self.plan_from(at, now.max(at), Ask::Poll);
            return;
        }
        if self.more {
            self.react(now);
            return;
        }
        let jitter: f64 = seed::rng(self.settings.seed, self.thing, Purpose::AskAgain, u64::from(self.requests)).random();
        self.plan(now + self.ask_again().mul_f64(0.5 + 0.5 * jitter), self.seek());
    }

    pub(super) fn finish(&mut self, now: Mono) {
        if let Some(work) = self.work.take() {
            let status = work.outcome();
            self.events.push_back(Event::Finished { execution: work.key, since: work.since, at: now, status });
        }
        self.failures = 0;
        self.skip_polls(now);
        if self.reports_after_end(now) { self.plan(now, Ask::AfterEnd) } else { self.after_end(now) }
    }

    /// What comes next when an execution has ended.
    pub(super) fn after_end(&mut self, now: Mono) {
        match self.settings.workflow {
            // What comes next is its own choice, and nobody announces that.
            Workflow::List => self.plan(now, Ask::List),
            Workflow::StartNext | Workflow::DescribeUpdate | Workflow::Poll(_) | Workflow::None => self.rest(now),
        }
    }

    /// A poll that was planned when the session ended is for the next session, unless its time is over.
    pub(super) fn put_poll_back(&mut self, now: Mono) {
        let (Step::Planned { at, ask: Ask::Poll, .. }, Some(polls)) = (&self.step, &mut self.polls) else { return };
        if *at < now {
            self.events.push_back(Event::LostArrivals { kind: Ask::Poll.kind(), count: 1 });
        } else {
            polls.back_to(*at);
        }
    }

    /// A thing at work does not poll, and has lost nothing by it.
    pub(super) fn skip_polls(&mut self, now: Mono) {
        if let Some(polls) = &mut self.polls {
            polls.skip_until(now);
        }
    }

    /// The service no longer offers what we work on. Of what was not started nobody else knows.
    pub(super) fn drop_work(&mut self, now: Mono) {
        let Some(work) = self.work.take().filter(|work| work.is_started()) else { return };
        self.skip_polls(now);
        self.events.push_back(Event::Gone { execution: work.key, since: work.since, at: now });
    }

    pub(super) fn fail_subscription(&mut self, sent: Mono, now: Mono, why: SubscribeFailure) {
        self.events.push_back(Event::SubscribeFailed { sent, at: now, why });
        self.session = Session::Useless(why);
    }

    /// How the wait for an answer ended, and the service's clock where one came.
    pub(super) fn emit_answered(&mut self, asked: Asked, at: Mono, outcome: AnswerOutcome, timestamp: Option<EpochSeconds>) {
        let Asked { ask, intended, sent, .. } = asked;
        self.events.push_back(Event::Answered { kind: ask.kind(), intended, sent, at, outcome, timestamp });
    }
}
