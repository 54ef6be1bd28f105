//! The job agent of one thing: the workflows of spec section 18.

use super::backoff::Backoff;
use super::behavior::{Behavior, Script};
use super::event::{AnswerOutcome, Event, ExecutionKey, SubscribeFailure, Transmit};
use super::poll::PollSchedule;
use super::workflow::Workflow;
use crate::instant::{EpochSeconds, Mono};
use crate::jobs::{
    Answer, ClientToken, Describe, ErrorCode, ExecutionStatus, JobExecution, JobId, JobRef, Notification, Rejection, Reply,
    Request, RequestBody, RequestKind, StartNext, StatusDetails, Update,
};
use crate::seed::{self, Purpose};
use rand::RngExt;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// `statusDetails` keys: how far the work is, one mark per report, and why it did not succeed.
const PROGRESS: &str = "progress";
const REASON: &str = "reason";
/// Marks kept, so that progress, reason and marks stay within 10 pairs.
const MARKS_MAX: u32 = 8;

/// What the agents of a cohort have in common.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    pub seed: u64,
    pub workflow: Workflow,
    pub behavior: Behavior,
    /// For jobs whose rollout names another behavior.
    pub behavior_of_job: BTreeMap<JobId, Behavior>,
    /// Deadline of every answer: of a SUBSCRIBE, and of a request.
    pub answer_timeout: Duration,
    pub retry: Backoff,
    /// An idle thing asks again this often, since a notification may be lost (spec section 18.4).
    pub ask_again: Duration,
}

impl AgentSettings {
    /// Once a day, as spec section 18.4 proposes (inferred).
    pub const ASK_AGAIN: Duration = Duration::from_secs(24 * 3600);

    fn behavior(&self, job: &JobId) -> &Behavior {
        self.behavior_of_job.get(job).unwrap_or(&self.behavior)
    }
}

#[derive(Debug)]
enum Session {
    Down,
    /// SUBSCRIBE not yet handed out.
    Up,
    Subscribing {
        sent: Mono,
    },
    Subscribed {
        since: Mono,
        /// An execution was announced in this session.
        is_told: bool,
    },
    /// To be dropped, and why.
    Useless(SubscribeFailure),
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    StartNext,
    /// Is there anything to do? The next of the schedule.
    Poll,
    /// Is the execution we work on still ours?
    Describe,
    /// The next report, or the end.
    Update,
}

impl Ask {
    fn kind(self) -> RequestKind {
        match self {
            Self::StartNext => RequestKind::StartNext,
            Self::Poll | Self::Describe => RequestKind::Describe,
            Self::Update => RequestKind::Update,
        }
    }
}

#[derive(Debug)]
enum Step {
    /// Nothing planned; a notification, or a session, will change that.
    Idle,
    /// `ask` is planned for `at`, and could not be sent before `runnable`, which is later only for what is overdue.
    Planned { at: Mono, runnable: Mono, ask: Ask },
    /// Asked, and waiting for the answer with this number.
    Asked { ask: Ask, number: u32, intended: Mono, sent: Mono, deadline: Mono },
}

/// The execution a thing is working on.
#[derive(Debug)]
struct Work {
    key: ExecutionKey,
    version: i64,
    script: Script,
    /// Reports accepted so far.
    reports: u32,
    /// When the next report, or the end, is due.
    next_at: Mono,
    since: Mono,
    /// A terminal update was sent and not refused: it may have been accepted.
    end_sent: bool,
}

/// The job agent of one thing. It keeps at most one request open, and its work across sessions.
///
/// Order of use: any `handle_*`; then `poll_transmit` until `None`; then `poll_event` until `None`; then sleep until
/// `poll_timeout` or until something arrives.
#[derive(Debug)]
pub struct JobsAgent {
    settings: Arc<AgentSettings>,
    /// Index of the thing, for its random streams.
    thing: u64,
    session: Session,
    step: Step,
    /// Of a thing that polls.
    polls: Option<Box<PollSchedule>>,
    work: Option<Box<Work>>,
    /// The last execution announced, and when.
    announced: Option<Box<(ExecutionKey, Mono)>>,
    /// The service said in this session that nothing is pending, and has announced nothing since.
    is_nothing_pending: bool,
    /// Another execution was announced while a request was open or work was under way.
    more: bool,
    /// No new work is taken up.
    draining: bool,
    /// Requests so far: tokens and draws are numbered by it.
    requests: u32,
    /// Failures in a row of the present request.
    failures: u32,
    events: VecDeque<Event>,
}

impl JobsAgent {
    /// `origin`: where its schedule begins.
    #[must_use]
    pub fn new(settings: Arc<AgentSettings>, thing: u64, origin: Mono) -> Self {
        Self {
            polls: settings.workflow.poll().map(|poll| Box::new(PollSchedule::new(poll, settings.seed, thing, origin))),
            settings,
            thing,
            session: Session::Down,
            step: Step::Idle,
            work: None,
            announced: None,
            is_nothing_pending: false,
            more: false,
            draining: false,
            requests: 0,
            failures: 0,
            events: VecDeque::new(),
        }
    }

    // ---------------------------------------------------------------------------------------------------- what happened

    /// CONNACK: there is a new, clean session.
    pub fn handle_connected(&mut self) {
        self.session = Session::Up;
    }

    /// The session ended, whoever ended it.
    pub fn handle_disconnected(&mut self, now: Mono) {
        match self.session {
            Session::Subscribing { sent } => {
                self.events.push_back(Event::SubscribeFailed { sent, at: now, why: SubscribeFailure::SessionLost });
            }
            Session::Down | Session::Up | Session::Subscribed { .. } | Session::Useless(_) => {}
        }
        if let Step::Asked { ask, intended, sent, .. } = self.step {
            self.tell_answered(ask.kind(), intended, sent, now, AnswerOutcome::SessionLost, None);
        }
        self.session = Session::Down;
        self.is_nothing_pending = false;
        self.step = Step::Idle;
        self.failures = 0;
    }

    /// SUBACK: one entry per filter, whether it was granted.
    pub fn handle_suback(&mut self, granted: impl IntoIterator<Item = bool>, now: Mono) {
        let Session::Subscribing { sent } = self.session else { return };
        let granted: Vec<bool> = granted.into_iter().collect();
        if granted.len() == self.settings.workflow.subscriptions().len() && granted.iter().all(|is_granted| *is_granted) {
            self.session = Session::Subscribed { since: now, is_told: false };
            self.events.push_back(Event::Subscribed { sent, at: now });
            match &self.work {
                // Only the service knows whether our end arrived, and it tells when it is asked again.
                Some(work) if work.end_sent => self.plan(now, Ask::Update),
                None if self.polls.is_some() => self.rest(now),
                _ => self.plan(now, Ask::StartNext),
            }
        } else {
            self.fail_subscription(sent, now, SubscribeFailure::Refused);
        }
    }

    /// `notify` tells nothing that `notify-next` and answers do not.
    pub fn handle_notification(&mut self, notification: &Notification, now: Mono) {
        let Notification::NextChanged { execution, .. } = notification else { return };
        let announced = execution.as_deref().map(key_of);
        let was_empty = std::mem::replace(&mut self.is_nothing_pending, execution.is_none());
        if let (Some(key), Some(execution)) = (&announced, execution) {
            if let Session::Subscribed { since, is_told } = &mut self.session
                && !std::mem::replace(is_told, true)
            {
                self.events.push_back(Event::FirstNotification { since: *since, at: now });
            }
            self.hear_of(key, was_empty.then_some(execution.queued_at), now);
        }
        match (&self.work, announced) {
            (Some(work), Some(key)) if work.key == key => {}
            // Another head, or none, while we work: the execution may have been taken from us (spec section 18.2).
            (Some(work), other) => {
                self.more |= other.is_some();
                if matches!(self.step, Step::Planned { ask: Ask::Update, .. }) && !work.end_sent {
                    self.plan(now, Ask::Describe);
                }
            }
            (None, Some(_)) => match self.step {
                Step::Asked { .. } => self.more = true,
                Step::Idle | Step::Planned { .. } => self.react(now),
            },
            (None, None) => {}
        }
    }

    /// An answer on a topic of `kind`; anything but the answer waited for is late, or a duplicate, and harmless.
    pub fn handle_reply(&mut self, kind: RequestKind, reply: Reply, now: Mono) {
        let (ask, intended, sent) = match self.step {
            Step::Asked { ask, number, intended, sent, .. } if ask.kind() == kind && self.is_token(&reply, number) => {
                (ask, intended, sent)
            }
            _ => {
                self.events.push_back(Event::LateAnswer { kind });
                return;
            }
        };
        self.step = Step::Idle;
        let timestamp = Some(reply.timestamp);
        match reply.result {
            Ok(answer) => {
                self.tell_answered(kind, intended, sent, now, AnswerOutcome::Accepted, timestamp);
                self.failures = 0;
                match answer {
                    Answer::Started(execution) => self.on_started(execution, now),
                    Answer::Described(execution) if ask == Ask::Poll => self.on_polled(execution.as_deref(), now),
                    Answer::Described(Some(execution)) => self.on_described(&execution, now),
                    Answer::Updated(_) => self.on_updated(now),
                    Answer::Described(None) | Answer::Pending(_) => {}
                }
            }
            Err(rejection) => {
                self.tell_answered(kind, intended, sent, now, AnswerOutcome::Refused(rejection.code), timestamp);
                self.on_rejected(ask, &rejection, now);
            }
        }
    }

    /// Time has reached [`Self::poll_timeout`]; harmless at any other time.
    pub fn handle_timeout(&mut self, now: Mono) {
        if let Session::Subscribing { sent } = self.session
            && now >= sent + self.settings.answer_timeout
        {
            self.fail_subscription(sent, now, SubscribeFailure::Timeout);
        }
        if let Step::Asked { ask, intended, sent, deadline, .. } = self.step
            && now >= deadline
        {
            self.tell_answered(ask.kind(), intended, sent, now, AnswerOutcome::Timeout, None);
            if ask == Ask::Poll { self.rest(now) } else { self.retry(ask, now) }
        }
    }

    /// From now on no new work is taken up; what is under way goes on.
    pub fn handle_drain(&mut self) {
        self.draining = true;
        if matches!(self.step, Step::Planned { ask: Ask::StartNext | Ask::Poll, .. }) && self.work.is_none() {
            self.step = Step::Idle;
        }
    }

    // ------------------------------------------------------------------------------------------------------ what to do

    /// What to send now, if anything. The caller hands it to the socket at `now`.
    pub fn poll_transmit(&mut self, now: Mono) -> Option<Transmit> {
        match self.session {
            Session::Up => {
                self.session = Session::Subscribing { sent: now };
                Some(Transmit::Subscribe(self.settings.workflow.subscriptions()))
            }
            Session::Useless(why) => {
                self.session = Session::Down;
                Some(Transmit::Disconnect(why))
            }
            Session::Subscribed { since, .. } => {
                let Step::Planned { at, runnable, ask } = self.step else { return None };
                if now < at {
                    return None;
                }
                self.requests = self.requests.wrapping_add(1);
                let request = self.request(ask)?;
                self.step = Step::Asked {
                    ask,
                    number: self.requests,
                    intended: at,
                    sent: now,
                    deadline: now + self.settings.answer_timeout,
                };
                let runnable = runnable.max(since);
                self.events.push_back(Event::Sent { kind: ask.kind(), intended: at, runnable, sent: now });
                Some(Transmit::Publish(request))
            }
            Session::Down | Session::Subscribing { .. } => None,
        }
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if self.events.is_empty() {
            // Ten thousand idle agents keep no buffers.
            self.events = VecDeque::new();
        }
        event
    }

    /// When to call [`Self::handle_timeout`] and [`Self::poll_transmit`] again at the latest, and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Mono, &'static str)> {
        match (&self.session, &self.step) {
            (Session::Subscribing { sent }, _) => Some((*sent + self.settings.answer_timeout, "suback")),
            (Session::Subscribed { .. }, Step::Planned { at, .. }) => Some((*at, "planned request")),
            (Session::Subscribed { .. }, Step::Asked { deadline, .. }) => Some((*deadline, "answer")),
            _ => None,
        }
    }

    /// Whether an execution is under way.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.work.is_some()
    }

    // ------------------------------------------------------------------------------------------------------- answers

    fn on_started(&mut self, execution: Option<Box<JobExecution>>, now: Mono) {
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
    fn on_polled(&mut self, execution: Option<&JobExecution>, now: Mono) {
        match execution {
            Some(execution) => {
                self.hear_of(&key_of(execution), None, now);
                self.react(now);
            }
            None => self.rest(now),
        }
    }

    /// An execution waits for this thing.
    fn hear_of(&mut self, key: &ExecutionKey, queued_at: Option<EpochSeconds>, now: Mono) {
        if self.announced.as_ref().is_none_or(|known| known.0 != *key) {
            self.events.push_back(Event::Notified { execution: key.clone(), at: now, queued_at });
            self.announced = Some(Box::new((key.clone(), now)));
        }
    }

    fn on_described(&mut self, execution: &JobExecution, now: Mono) {
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

    fn on_updated(&mut self, now: Mono) {
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

    fn on_rejected(&mut self, ask: Ask, rejection: &Rejection, now: Mono) {
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

    // ---------------------------------------------------------------------------------------------------------- steps

    fn plan(&mut self, at: Mono, ask: Ask) {
        self.plan_from(at, at, ask);
    }

    /// The same for what was due before it can be sent.
    fn plan_from(&mut self, at: Mono, runnable: Mono, ask: Ask) {
        let is_new_work = matches!(ask, Ask::StartNext | Ask::Poll) && self.work.is_none();
        self.step = if self.draining && is_new_work { Step::Idle } else { Step::Planned { at, runnable, ask } };
    }

    /// Asks again after a wait with full jitter, with a new token.
    fn retry(&mut self, ask: Ask, now: Mono) {
        let delay =
            self.settings.retry.delay(self.failures, self.settings.seed, self.thing, Purpose::Retry, u64::from(self.requests));
        self.failures = self.failures.saturating_add(1);
        self.plan(now + delay, ask);
    }

    /// Thinks for a while, then asks for the job that was announced.
    fn react(&mut self, now: Mono) {
        let job = self.announced.as_ref().map(|known| &known.0.job);
        let behavior = job.map_or(&self.settings.behavior, |job| self.settings.behavior(job));
        let mut rng = seed::rng(self.settings.seed, self.thing, Purpose::Reaction, u64::from(self.requests));
        let delay = behavior.reaction.sample(&mut rng);
        self.more = false;
        self.plan(now + delay, Ask::StartNext);
    }

    /// Nothing is pending: wait to be told, or for the next poll, and ask again one day.
    fn rest(&mut self, now: Mono) {
        if let Some(polls) = &mut self.polls {
            let (at, lost) = polls.next(now);
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
        self.plan(now + self.settings.ask_again.mul_f64(0.5 + 0.5 * jitter), Ask::StartNext);
    }

    fn finish(&mut self, now: Mono) {
        if let Some(work) = self.work.take() {
            self.events.push_back(Event::Finished { execution: work.key, since: work.since, at: now, status: work.script.outcome });
        }
        self.failures = 0;
        self.skip_polls(now);
        self.rest(now);
    }

    /// A thing at work does not poll, and has lost nothing by it.
    fn skip_polls(&mut self, now: Mono) {
        if let Some(polls) = &mut self.polls {
            polls.skip_until(now);
        }
    }

    /// The service no longer offers what we work on.
    fn drop_work(&mut self, now: Mono) {
        let Some(work) = self.work.take() else { return };
        self.skip_polls(now);
        self.events.push_back(Event::Gone { execution: work.key, since: work.since, at: now });
    }

    fn fail_subscription(&mut self, sent: Mono, now: Mono, why: SubscribeFailure) {
        self.events.push_back(Event::SubscribeFailed { sent, at: now, why });
        self.session = Session::Useless(why);
    }

    fn tell_answered(
        &mut self,
        kind: RequestKind,
        intended: Mono,
        sent: Mono,
        at: Mono,
        outcome: AnswerOutcome,
        timestamp: Option<EpochSeconds>,
    ) {
        self.events.push_back(Event::Answered { kind, intended, sent, at, outcome, timestamp });
    }

    // ------------------------------------------------------------------------------------------------------- requests

    fn request(&mut self, ask: Ask) -> Option<Request> {
        let body = match ask {
            Ask::StartNext => RequestBody::StartNext(StartNext::default()),
            Ask::Poll => RequestBody::Describe(Describe { job: JobRef::Next, execution_number: None, include_job_document: false }),
            Ask::Describe => RequestBody::Describe(Describe {
                job: JobRef::Id(self.work.as_ref()?.key.job.clone()),
                execution_number: None,
                include_job_document: false,
            }),
            Ask::Update => RequestBody::Update(self.update()?),
        };
        Some(Request { client_token: Some(self.token(self.requests)), body })
    }

    fn update(&mut self) -> Option<Update> {
        let work = self.work.as_mut()?;
        let planned = work.script.reports;
        let is_end = work.reports >= planned;
        work.end_sent = is_end;
        let status = if is_end { work.script.outcome } else { ExecutionStatus::InProgress };
        Some(Update {
            job_id: work.key.job.clone(),
            status,
            status_details: Some(status_details(work.reports, planned, status)),
            expected_version: Some(work.version),
            execution_number: Some(work.key.number),
            include_execution_state: false,
            include_job_document: false,
            step_timeout: None,
        })
    }

    /// Unique per request of this thing.
    fn token(&self, number: u32) -> ClientToken {
        ClientToken(format!("{:x}-{:x}", self.thing, number).into())
    }

    fn is_token(&self, reply: &Reply, number: u32) -> bool {
        reply.client_token.as_ref().is_some_and(|token| *token == self.token(number))
    }
}

fn key_of(execution: &JobExecution) -> ExecutionKey {
    ExecutionKey { job: execution.job_id.clone(), number: execution.execution_number }
}

/// Grows with every report: what is done stays marked.
fn status_details(reports_before: u32, planned: u32, status: ExecutionStatus) -> StatusDetails {
    let reports = if status == ExecutionStatus::InProgress { reports_before + 1 } else { reports_before };
    let progress = match status {
        ExecutionStatus::Succeeded => 100,
        _ => 100 * u64::from(reports) / (u64::from(planned) + 1),
    };
    let mut pairs = vec![(PROGRESS.to_owned(), progress.to_string())];
    pairs.extend((1..=reports.min(MARKS_MAX)).map(|mark| (format!("step-{mark}"), "done".to_owned())));
    match status {
        ExecutionStatus::Failed => pairs.push((REASON.to_owned(), "simulated failure".to_owned())),
        ExecutionStatus::Rejected => pairs.push((REASON.to_owned(), "simulated refusal of the document".to_owned())),
        _ => {}
    }
    StatusDetails::new(pairs).expect("progress, a reason and 8 marks are within the limits")
}

/// How many reports a thing had made, read back from what it wrote.
fn marks(details: &StatusDetails) -> u32 {
    details.iter().filter(|(key, _)| key.starts_with("step-")).count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_grow_and_stay_within_the_limits() {
        let pairs = |n, status| status_details(n, 12, status).iter().count();
        assert_eq!(
            [pairs(0, ExecutionStatus::InProgress), pairs(1, ExecutionStatus::InProgress), pairs(11, ExecutionStatus::InProgress)],
            [2, 3, 9]
        );
        assert_eq!(pairs(12, ExecutionStatus::Failed), 10);
        assert_eq!(status_details(12, 12, ExecutionStatus::Succeeded).get(PROGRESS), Some("100"));
        assert_eq!(marks(&status_details(3, 12, ExecutionStatus::InProgress)), 4);
    }
}
