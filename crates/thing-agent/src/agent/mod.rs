//! The job agent of one thing: the workflows of PROTOCOL 18.

mod answers;
mod details;
mod faults;
mod fetch;
mod inputs;
mod pick;
mod requests;
mod state;
mod steps;

use self::state::{Asked, Session, Step, Work};
use super::backoff::Backoff;
use super::behavior::Behavior;
use super::event::{Event, ExecutionKey, Transmit};
use super::faults::Faults;
use super::workflow::Workflow;
use iot_jobs::instant::Mono;
use iot_jobs::{JobExecution, JobId, NamespaceId};
use sim_units::periodic::{Purposes, Schedule};
use sim_units::seed::Purpose;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

const POLLS: Purposes = Purposes { phase: Purpose::PollPhase, jitter: Purpose::PollJitter };

/// What the agents of a cohort have in common.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// Of every random stream.
    pub seed: u64,
    /// How things learn of their jobs and start them.
    pub workflow: Workflow,
    /// Whose jobs they hear of and ask for (`namespaceId`); absent: those without a namespace.
    pub namespace: Option<NamespaceId>,
    /// How things work, where the rollout of a job does not say otherwise.
    pub behavior: Behavior,
    /// For jobs whose rollout names another behavior.
    pub behavior_of_job: BTreeMap<JobId, Behavior>,
    /// Deadline of every answer: of a SUBSCRIBE, and of a request.
    pub answer_timeout: Duration,
    /// Waits before a request that failed is made again.
    pub retry: Backoff,
    /// An idle thing asks again this often, since a notification may be lost (PROTOCOL 18.4).
    pub ask_again: Duration,
    /// Documents may name files, which are to be fetched before anything is done.
    pub fetches: bool,
}

impl AgentSettings {
    /// Once a day, as PROTOCOL 18.4 proposes (inferred).
    pub const ASK_AGAIN: Duration = Duration::from_secs(24 * 3600);

    fn behavior(&self, job: &JobId) -> &Behavior {
        self.behavior_of_job.get(job).unwrap_or(&self.behavior)
    }
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
    polls: Option<Box<Schedule>>,
    work: Option<Box<Work>>,
    /// The last execution announced, and when.
    announced: Option<Box<(ExecutionKey, Mono)>>,
    /// Another execution was announced while a request was open or work was under way.
    more: bool,
    /// No new work is taken up.
    draining: bool,
    /// Requests so far: tokens and draws are numbered by it.
    requests: u32,
    /// Failures in a row of the present request.
    failures: u32,
    events: VecDeque<Event>,
    /// What goes wrong on purpose, where anything does.
    faults: Option<Box<Faults>>,
}

impl JobsAgent {
    /// `origin`: where its schedule begins.
    #[must_use]
    pub fn new(settings: Arc<AgentSettings>, thing: u64, origin: Mono) -> Self {
        Self {
            faults: Faults::new(&settings, thing, origin),
            polls: settings.workflow.poll().map(|poll| Box::new(Schedule::new(poll, POLLS, settings.seed, thing, origin))),
            settings,
            thing,
            session: Session::Down,
            step: Step::Idle,
            work: None,
            announced: None,
            more: false,
            draining: false,
            requests: 0,
            failures: 0,
            events: VecDeque::new(),
        }
    }

    /// Whose jobs it asks for.
    #[must_use]
    pub fn namespace(&self) -> Option<&NamespaceId> {
        self.settings.namespace.as_ref()
    }

    /// What to send now, if anything: a request also when its time is no more than [`EARLY_MAX`](crate::EARLY_MAX) away. The caller hands
    /// it to the socket at `now`.
    pub fn poll_transmit(&mut self, now: Mono) -> Option<Transmit> {
        match self.session {
            Session::Up => {
                self.session = Session::Subscribing { sent: now };
                self.draw_session(now);
                Some(Transmit::Subscribe(self.subscriptions()))
            }
            Session::Useless(why) => {
                self.session = Session::Down;
                Some(Transmit::Disconnect(why))
            }
            Session::Subscribed { since, .. } => {
                if let Some(behind) = self.faults.as_mut().and_then(|faults| faults.behind.take()) {
                    return Some(behind);
                }
                if let Some(fetch) = self.fetch() {
                    return Some(fetch);
                }
                let Step::Planned { at, runnable, ask } = self.step else { return None };
                let intended = crate::intended(at, now)?;
                let slip = match self.next_fault(ask, now) {
                    Ok(slip) => slip,
                    Err(instead) => return instead,
                };
                self.requests = self.requests.wrapping_add(1);
                let request = self.request(ask)?;
                let deadline = now + self.settings.answer_timeout;
                self.step = Step::Asked(Asked { ask, number: self.requests, intended, sent: now, deadline });
                let runnable = runnable.max(since).min(now);
                self.events.push_back(Event::Sent { kind: ask.kind(), intended, runnable, sent: now });
                Some(match slip {
                    Some(slip) => self.commit(&slip, request),
                    None => Transmit::Publish(request),
                })
            }
            Session::Down | Session::Subscribing { .. } => None,
        }
    }

    /// What happened, oldest first.
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
            (Session::Subscribed { .. }, Step::Asked(asked)) => Some((asked.deadline, "answer")),
            _ => None,
        }
    }

    /// Whether a session of the thing subscribes to anything.
    #[must_use]
    pub fn subscribes(&self) -> bool {
        !self.settings.workflow.subscriptions().is_empty()
    }

    /// Whether an execution is under way.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.work.is_some()
    }
}

fn key_of(execution: &JobExecution) -> ExecutionKey {
    ExecutionKey { job: execution.job_id.clone(), number: execution.execution_number }
}
