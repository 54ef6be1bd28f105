//! One thing at a glance.

use iot_jobs::instant::Mono;
use iot_jobs::{ErrorCode, ExecutionStatus, JobId, RequestKind};
use std::fmt;
use strum::{IntoStaticStr, VariantArray};
use thing_faults::Fault;

/// Moments kept of each thing.
const RECENT_MAX: usize = 8;

/// How a thing's session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum SessionState {
    /// Its connect arrival is still to come.
    Planned,
    Connecting,
    Up,
    /// Lost or refused; it waits before it tries again.
    BackingOff,
    Closed,
}

impl SessionState {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What a thing's agent is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum AgentState {
    Idle,
    /// An execution was announced and is not started.
    Notified,
    /// A request is open.
    Asking,
    /// Between two reports.
    Working,
}

impl AgentState {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Something that happened to a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Connecting,
    Connected,
    ConnectFailed(&'static str),
    Lost(&'static str),
    Closed,
    Asked(RequestKind),
    Accepted(RequestKind),
    Refused(RequestKind, ErrorCode),
    NoAnswer(RequestKind),
    /// Nothing was understood of the answer.
    Unreadable(RequestKind),
    /// The session ended while a request was open.
    Unanswered(RequestKind),
    Late(RequestKind),
    /// Something goes wrong on purpose.
    Fault(Fault),
    Notified(JobId, i64),
    Started(JobId, i64),
    Finished(ExecutionStatus),
    /// The service no longer offers the execution.
    Gone,
}

impl What {
    fn is_error(&self) -> bool {
        matches!(self, Self::ConnectFailed(_) | Self::Lost(_) | Self::Refused(..) | Self::NoAnswer(_) | Self::Unreadable(_))
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => f.write_str("connecting"),
            Self::Connected => f.write_str("connected, subscribed"),
            Self::ConnectFailed(code) => write!(f, "connect failed: {code}"),
            Self::Lost(code) => write!(f, "session lost: {code}"),
            Self::Closed => f.write_str("session closed"),
            Self::Asked(kind) => write!(f, "> {kind}"),
            Self::Accepted(kind) => write!(f, "< {kind} accepted"),
            Self::Refused(kind, code) => write!(f, "< {kind} rejected: {}", code.as_str()),
            Self::NoAnswer(kind) => write!(f, "! {kind}: no answer in time"),
            Self::Unreadable(kind) => write!(f, "! {kind}: an answer that could not be parsed"),
            Self::Unanswered(kind) => write!(f, "! {kind}: the session ended first"),
            Self::Late(kind) => write!(f, "< {kind}: an unexpected answer"),
            Self::Fault(fault) => write!(f, "! injected fault: {}", fault.key()),
            Self::Notified(job, number) => write!(f, "< notify-next: {job} #{number}"),
            Self::Started(job, number) => write!(f, "at work on {job} #{number}"),
            Self::Finished(status) => write!(f, "done: {status}"),
            Self::Gone => f.write_str("the execution was removed"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    pub at: Mono,
    pub what: What,
}

/// One thing.
#[derive(Clone, Debug)]
pub struct Card {
    /// Place in the fleet, from 0.
    pub position: u32,
    pub session: SessionState,
    /// Since when the session stands like that; `None`: from the beginning.
    pub session_since: Option<Mono>,
    pub agent: AgentState,
    pub agent_since: Option<Mono>,
    /// Job and execution number that it works on, or was told of.
    pub execution: Option<(JobId, i64)>,
    pub connects: u32,
    pub requests: u32,
    pub errors: u32,
    pub last_error: Option<Moment>,
    /// The newest last.
    pub recent: Vec<Moment>,
}

impl Card {
    #[must_use]
    pub fn new(position: u32) -> Self {
        Self {
            position,
            session: SessionState::Planned,
            session_since: None,
            agent: AgentState::Idle,
            agent_since: None,
            execution: None,
            connects: 0,
            requests: 0,
            errors: 0,
            last_error: None,
            recent: Vec::new(),
        }
    }

    /// Writes down what happened.
    pub fn note(&mut self, at: Mono, what: What) {
        match &what {
            What::Connecting => self.session(SessionState::Connecting, at),
            What::Connected => {
                self.connects += 1;
                self.session(SessionState::Up, at);
            }
            What::ConnectFailed(_) | What::Lost(_) => self.session(SessionState::BackingOff, at),
            What::Closed => self.session(SessionState::Closed, at),
            What::Asked(_) => {
                self.requests += 1;
                self.agent(AgentState::Asking, at);
            }
            What::Accepted(_) | What::Refused(..) | What::NoAnswer(_) | What::Unreadable(_) | What::Unanswered(_) => self.rest(at),
            What::Late(_) | What::Fault(_) => {}
            What::Notified(job, number) if self.agent == AgentState::Idle => {
                self.execution = Some((job.clone(), *number));
                self.agent(AgentState::Notified, at);
            }
            What::Notified(..) => {}
            What::Started(job, number) => {
                self.execution = Some((job.clone(), *number));
                self.agent(AgentState::Working, at);
            }
            What::Finished(_) | What::Gone => {
                self.execution = None;
                self.agent(AgentState::Idle, at);
            }
        }
        let moment = Moment { at, what };
        if moment.what.is_error() {
            self.errors += 1;
            self.last_error = Some(moment.clone());
        }
        if self.recent.len() == RECENT_MAX {
            self.recent.remove(0);
        }
        self.recent.push(moment);
    }

    /// After an answer, or without one: at work on what it has, or at rest.
    fn rest(&mut self, at: Mono) {
        let next = if self.execution.is_some() { AgentState::Working } else { AgentState::Idle };
        self.agent(next, at);
    }

    fn session(&mut self, state: SessionState, at: Mono) {
        (self.session, self.session_since) = (state, Some(at));
    }

    fn agent(&mut self, state: AgentState, at: Mono) {
        (self.agent, self.agent_since) = (state, Some(at));
    }

    /// What the thing is about, in one word of [`SessionState`] or, once it is up, of [`AgentState`].
    #[must_use]
    pub fn state(&self) -> &'static str {
        if self.session == SessionState::Up { self.agent.as_str() } else { self.session.as_str() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> JobId {
        JobId::new("fw").unwrap()
    }

    #[test]
    fn a_card_follows_its_thing_through_a_job() {
        let mut card = Card::new(3);
        let mut states = Vec::new();
        let life = [
            What::Connecting,
            What::Connected,
            What::Asked(RequestKind::StartNext),
            What::Accepted(RequestKind::StartNext),
            What::Notified(job(), 1),
            What::Asked(RequestKind::StartNext),
            What::Accepted(RequestKind::StartNext),
            What::Started(job(), 1),
            What::Asked(RequestKind::Update),
            What::Refused(RequestKind::Update, ErrorCode::VersionMismatch),
            What::Lost("closed"),
            What::Connecting,
            What::Connected,
            What::Finished(ExecutionStatus::Succeeded),
            What::Closed,
        ];
        for (n, what) in life.into_iter().enumerate() {
            card.note(Mono(n as u64), what);
            states.push(card.state());
        }
        assert_eq!(
            states,
            [
                "connecting",
                "idle",
                "asking",
                "idle",
                "notified",
                "asking",
                "working",
                "working",
                "asking",
                "working",
                "backing-off",
                "connecting",
                "working",
                "idle",
                "closed"
            ]
        );
        assert_eq!((card.connects, card.requests, card.errors), (2, 3, 2));
        assert_eq!(card.last_error.unwrap().what, What::Lost("closed"));
        assert_eq!((card.recent.len(), card.recent[0].at), (RECENT_MAX, Mono(7)), "the oldest go first");
    }
}
