//! What carries an agent's messages to the endpoint and back: a protocol and a connection. What all wires have in common is the
//! driver's.

pub(crate) mod https;
pub(crate) mod mqtt;

use crate::error::Failure;
use crate::memory::Span;
use crate::observer::{MessageKind, Observer, SessionEvent};
use crate::shard::{Member, Scratch};
use iot_jobs::instant::Mono;
use iot_jobs::wire::salvage::{Reading, Unread};
use iot_jobs::{ClientToken, Request, Subscription};
use std::task::Context;
use std::time::Duration;
use thing_agent::{Event, JobsAgent};
use thing_faults::Fault;

/// Why a session ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The run wants the session closed.
    Ordered,
    Failed(Failure),
}

impl End {
    /// How long the thing is to be away, where its reconnect policy does not say.
    pub(crate) fn away(&self) -> Option<Duration> {
        match self {
            Self::Failed(Failure::OnPurpose { away, .. } | Failure::ClosedIdle { away }) => *away,
            Self::Failed(_) | Self::Ordered => None,
        }
    }
}

/// How the other side closed a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// It had served, and nothing was under way on it.
    Idle,
    Early,
}

/// What a wire works with in one round of its driver.
pub(crate) struct Turn<'t, 'c, O> {
    pub(crate) thing: Member<'t, O>,
    pub(crate) agent: &'t mut JobsAgent,
    pub(crate) scratch: &'t mut Scratch,
    pub(crate) cx: &'t mut Context<'c>,
    /// When the round began.
    pub(crate) now: Mono,
}

/// In each round: [`Self::read`], [`Self::handle_timeout`], messages while it [`Self::has_room`], [`Self::flush`].
pub(crate) trait Wire<O: Observer> {
    /// Where the state of its stream lies, if it knows that.
    fn stream(&self) -> Span {
        Span::EMPTY
    }

    /// The run drains: nothing is to leave but what the agent says.
    fn handle_drain(&mut self) {}

    /// Time has reached [`Self::poll_timeout`]; harmless at any other time.
    ///
    /// # Errors
    /// When the connection is to be dropped.
    fn handle_timeout(&mut self, _turn: &mut Turn<'_, '_, O>) -> Result<(), Failure> {
        Ok(())
    }

    /// Hands what has arrived to the agent. Says whether there may be more.
    ///
    /// # Errors
    /// When the connection is of no use any more.
    fn read(&mut self, turn: &mut Turn<'_, '_, O>) -> Result<bool, Failure>;

    /// How the other side closed the connection, where it may do that between messages.
    fn closed(&self) -> Option<Closed> {
        None
    }

    /// Whether another message may leave.
    fn has_room(&self) -> bool {
        true
    }

    /// When a message leaves that is handed over now, in a round that began at `round`.
    fn leaves_at(&self, round: Mono) -> Mono;

    fn subscribe(&mut self, subscriptions: &[Subscription], now: Mono, turn: &mut Turn<'_, '_, O>);

    /// Sends a request, with `fault` in it where there is one.
    fn publish(&mut self, request: &Request, fault: Option<Fault>, now: Mono, turn: &mut Turn<'_, '_, O>);

    /// Sends messages that nobody needs, all at once.
    fn flood(&mut self, count: u32, now: Mono, turn: &mut Turn<'_, '_, O>);

    /// Lets leave what was handed over. Says whether there may be more to read.
    ///
    /// # Errors
    /// When the connection is of no use any more.
    fn flush(&mut self, turn: &mut Turn<'_, '_, O>) -> Result<bool, Failure>;

    /// Why the endpoint granted not everything.
    fn refusal(&self) -> Option<&'static str> {
        None
    }

    /// Whether this event of the agent is not certain yet; it comes back from [`Self::poll_deferred`].
    fn defers(&mut self, _event: &Event) -> bool {
        false
    }

    /// An event that was deferred, and is certain now.
    fn poll_deferred(&mut self, _now: Mono) -> Option<Event> {
        None
    }

    /// The agent emitted this.
    fn handle_event(&mut self, _event: &Event, _thing: Member<'_, O>) {}

    /// When something is due by itself.
    fn poll_timeout(&self, now: Mono) -> Option<Mono>;
}

/// What of a message there is to go by; what is not understood is told. Of one that says nothing: whose answer it is, as far as that was
/// read.
fn understood<O: Observer, T>(
    thing: Member<'_, O>,
    message: MessageKind,
    at: Mono,
    reading: Reading<T>,
) -> Result<T, Option<ClientToken>> {
    let told = |is_used, why: &str| thing.emit(SessionEvent::Unreadable { message, at, is_used, why });
    match reading {
        Reading::Whole(value) => Ok(value),
        Reading::Part(value, flaws) => {
            told(true, &flaws);
            Ok(value)
        }
        Reading::Nothing(Unread { client_token, why }) => {
            told(false, &why);
            Err(client_token)
        }
    }
}
