//! What happens to an agent.

use super::pick::{find, pick};
use super::state::{Ask, Asked, Session, Step};
use super::{JobsAgent, key_of};
use crate::event::{AnswerOutcome, Event, SubscribeFailure};
use crate::workflow::Workflow;
use iot_jobs::instant::{EpochSeconds, Mono};
use iot_jobs::{Answer, ClientToken, JobExecution, Notification, NotifiedJobs, Reply, RequestKind};

impl JobsAgent {
    /// CONNACK: there is a session, in which nothing is subscribed to yet. Where there is nothing to subscribe to, that is
    /// [`Self::handle_resumed`].
    pub fn handle_connected(&mut self) {
        self.session = Session::Up;
    }

    /// The thing is up without subscribing: its session goes on, in which every subscription was granted (PROTOCOL 18.1), or there
    /// is nothing to subscribe to, as over HTTP. There a session that was not told of its end goes on where it was: only its connection is
    /// another one.
    pub fn handle_resumed(&mut self, now: Mono) {
        self.events.push_back(Event::Resumed { at: now });
        match &mut self.session {
            Session::Subscribed { since, .. } => *since = now,
            _ => self.come_up(now),
        }
    }

    /// The session ended, whoever ended it.
    pub fn handle_disconnected(&mut self, now: Mono) {
        match self.session {
            Session::Subscribing { sent } => {
                self.events.push_back(Event::SubscribeFailed { sent, at: now, why: SubscribeFailure::SessionLost });
            }
            Session::Down | Session::Up | Session::Subscribed { .. } | Session::Useless(_) => {}
        }
        if let Step::Asked(asked) = self.step {
            self.emit_answered(asked, now, AnswerOutcome::SessionLost, None);
        }
        self.put_poll_back(now);
        self.session = Session::Down;
        self.interrupt_fetch();
        self.step = Step::Idle;
        self.failures = 0;
    }

    /// SUBACK: one entry per filter, whether it was granted.
    pub fn handle_suback(&mut self, granted: impl IntoIterator<Item = bool>, now: Mono) {
        let Session::Subscribing { sent } = self.session else { return };
        let granted: Vec<bool> = granted.into_iter().collect();
        if granted.len() == self.subscriptions().len() && granted.iter().all(|is_granted| *is_granted) {
            self.events.push_back(Event::Subscribed { sent, at: now });
            self.come_up(now);
        } else {
            self.fail_subscription(sent, now, SubscribeFailure::Refused);
        }
    }

    /// The thing is up, and asks what there is to do: what it heard before may be old (PROTOCOL 13.4).
    fn come_up(&mut self, now: Mono) {
        self.session = Session::Subscribed { since: now, is_told: false, is_nothing_pending: false };
        match &self.work {
            // Only the service knows whether our end arrived, and it tells when it is asked again. What it announced
            // meanwhile nobody heard.
            Some(work) if work.is_ending() => {
                self.events.push_back(Event::Started { execution: work.key.clone(), at: now, resumed: true });
                self.more = true;
                self.plan(now, Ask::Update);
            }
            None if self.polls.is_some() => self.rest(now),
            _ => self.plan(now, self.seek()),
        }
    }

    /// To a thing that picks from the list only `notify` tells something, to the others only `notify-next`; to one without jobs neither.
    pub fn handle_notification(&mut self, notification: &Notification, now: Mono) {
        match (notification, self.settings.workflow) {
            (Notification::Changed { jobs, .. }, Workflow::List) => self.on_list_changed(jobs, now),
            (Notification::NextChanged { execution, .. }, Workflow::StartNext | Workflow::DescribeUpdate | Workflow::Poll(_)) => {
                self.on_next_changed(execution.as_deref(), now);
            }
            _ => {}
        }
    }

    fn on_next_changed(&mut self, execution: Option<&JobExecution>, now: Mono) {
        let announced = execution.map(key_of);
        let was_empty = self.session.hear_pending(execution.is_some());
        if let (Some(key), Some(execution)) = (&announced, execution) {
            if let Session::Subscribed { since, is_told, .. } = &mut self.session
                && !std::mem::replace(is_told, true)
            {
                self.events.push_back(Event::FirstNotification { since: *since, at: now });
            }
            let queued_at = Some(execution.queued_at).filter(|at| was_empty && *at != EpochSeconds::UNKNOWN);
            self.handle_pending(key, queued_at, now);
        }
        match (&self.work, announced) {
            (Some(work), Some(key)) if work.key == key => {}
            // Another head, or none, while we work: the execution may have been taken from us (PROTOCOL 18.2).
            (Some(_), other) => {
                self.more |= other.is_some();
                self.doubt(now);
            }
            (None, Some(_)) => match self.step {
                Step::Asked(_) | Step::Planned { ask: Ask::AfterEnd, .. } => self.more = true,
                Step::Idle | Step::Planned { .. } => self.react(now),
            },
            (None, None) => {}
        }
    }

    fn on_list_changed(&mut self, jobs: &NotifiedJobs, now: Mono) {
        match (&self.work, &self.step) {
            (Some(work), _) => {
                let is_ours = find(jobs, &work.key).is_some();
                self.more = true;
                if !is_ours {
                    self.doubt(now);
                }
            }
            // What was picked is being looked at; whatever else there is comes after it.
            (None, Step::Asked(_) | Step::Planned { ask: Ask::Look | Ask::AfterEnd, .. }) => self.more = true,
            (None, Step::Idle | Step::Planned { .. }) => {
                if let Some(picked) = pick(jobs) {
                    self.handle_pending(&picked, None, now);
                }
                self.react(now);
            }
        }
    }

    /// Something happened that makes it look whether its work is still its own.
    fn doubt(&mut self, now: Mono) {
        let is_certain = self.work.as_ref().is_none_or(|work| work.is_ending());
        if matches!(self.step, Step::Planned { ask: Ask::Update, .. }) && !is_certain {
            self.plan(now, Ask::Describe);
        }
    }

    /// An answer on a topic of `kind`; anything but the answer waited for is late, or a duplicate, and harmless.
    pub fn handle_reply(&mut self, kind: RequestKind, reply: Reply, now: Mono) {
        let asked = match self.step {
            Step::Asked(asked) if asked.ask.kind() == kind && self.is_answer(&reply, asked.number) => asked,
            _ => {
                self.events.push_back(Event::LateAnswer { kind });
                return;
            }
        };
        let ask = asked.ask;
        self.step = Step::Idle;
        let timestamp = reply.timestamp;
        match reply.result {
            Ok(answer) => {
                self.emit_answered(asked, now, AnswerOutcome::Accepted, timestamp);
                self.failures = 0;
                match answer {
                    Answer::Started(execution) => self.on_started(execution, now),
                    Answer::Pending(jobs) => self.on_listed(&jobs, now),
                    Answer::Described(execution) if ask == Ask::Poll => self.on_polled(execution.as_deref(), now),
                    Answer::Described(execution) if ask == Ask::Look => self.on_looked(execution, now),
                    Answer::Described(execution) => self.on_described(execution.as_deref(), now),
                    Answer::Updated(_) if ask == Ask::AfterEnd => self.after_end(now),
                    Answer::Updated(_) => self.on_updated(now),
                }
            }
            Err(rejection) => {
                self.emit_answered(asked, now, AnswerOutcome::Refused(rejection.code), timestamp);
                self.on_rejected(ask, &rejection, now);
            }
        }
    }

    /// PUBACK: the endpoint did not take the message that left at `sent`. Where that was the open request, it is asked again after a wait.
    pub fn handle_not_taken(&mut self, sent: Mono, now: Mono) {
        let asked = match self.step {
            Step::Asked(asked) if asked.sent == sent => asked,
            _ => return,
        };
        if let Some(work) = self.work.as_mut().filter(|_| asked.ask == Ask::Update) {
            work.withdraw_update();
        }
        self.go_without_answer(asked, AnswerOutcome::NotTaken, now);
    }

    /// An answer on a topic of `kind` of which nothing was understood but, where that could be read, to which request it is. No other one
    /// will come.
    pub fn handle_unreadable(&mut self, kind: RequestKind, client_token: Option<&ClientToken>, now: Mono) {
        match self.step {
            Step::Asked(asked) if asked.ask.kind() == kind && self.is_token(client_token, asked.number) => {
                self.go_without_answer(asked, AnswerOutcome::Unreadable, now);
            }
            _ => self.events.push_back(Event::LateAnswer { kind }),
        }
    }

    /// Time has reached [`Self::poll_timeout`]; harmless at any other time.
    pub fn handle_timeout(&mut self, now: Mono) {
        if let Session::Subscribing { sent } = self.session
            && now >= sent + self.settings.answer_timeout
        {
            self.fail_subscription(sent, now, SubscribeFailure::Timeout);
        }
        if let Step::Asked(asked) = self.step
            && now >= asked.deadline
        {
            self.go_without_answer(asked, AnswerOutcome::Timeout, now);
        }
    }

    /// No answer will come, or none that is waited for.
    fn go_without_answer(&mut self, asked: Asked, outcome: AnswerOutcome, now: Mono) {
        self.emit_answered(asked, now, outcome, None);
        if matches!(asked.ask, Ask::Poll | Ask::AfterEnd) { self.rest(now) } else { self.retry(asked.ask, now) }
    }

    /// From now on no new work is taken up; what is under way goes on.
    pub fn handle_drain(&mut self) {
        self.draining = true;
        if matches!(self.step, Step::Planned { ask, .. } if ask.seeks_work()) && self.work.is_none() {
            self.step = Step::Idle;
        }
    }
}
