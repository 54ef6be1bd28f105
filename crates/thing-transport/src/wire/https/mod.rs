//! HTTPS: one connection, kept alive, one request after the other.
//!
//! Nobody tells a thing anything over HTTP: there is nothing to subscribe to, and it has to ask (PROTOCOL 10.3).

mod exchange;

use super::{Closed, End, Turn, Wire, understood};
use crate::error::Failure;
use crate::faults::corrupt_payload;
use crate::observer::{MessageKind, Observer, SessionEvent};
use crate::shard::Member;
use crate::socket::Socket;
use exchange::{Answered, Asked, Exchanges};
use iot_jobs::instant::Mono;
use iot_jobs::wire::data_plane;
use iot_jobs::{Reply, Request, Subscription};
use std::task::Poll;
use std::time::Duration;
use thing_agent::Event;
use thing_faults::Fault;
use tokio_rustls::client::TlsStream;

/// TLS 1.3 tells a client that its certificate is refused when the handshake is over. Who is not told within this time is connected.
const SETTLED: Duration = Duration::from_millis(250);

/// One connection over HTTPS.
pub(crate) struct HttpsWire {
    exchanges: Exchanges,
    /// Since when the thing is up, while that is not certain yet.
    up_since: Option<Mono>,
}

impl HttpsWire {
    /// `answer_timeout` is that of every answer.
    ///
    /// # Errors
    /// When the connection is gone already.
    pub(crate) async fn new<O>(thing: Member<'_, O>, stream: TlsStream<Socket>, answer_timeout: Duration) -> Result<Self, Failure> {
        let endpoint = thing.endpoint();
        let authority = &endpoint.route(thing.id.position).destination.authority;
        let exchanges = Exchanges::new(stream, authority, endpoint.signing.as_ref(), answer_timeout).await?;
        Ok(Self { exchanges, up_since: None })
    }

    /// Lets requests leave and answers come. Says whether one has come.
    fn drive<O: Observer>(&mut self, turn: &mut Turn<'_, '_, O>) -> Result<bool, Failure> {
        turn.thing.shard.arrivals.clear();
        match self.exchanges.poll(turn.cx, turn.now)? {
            Poll::Ready(answered) => {
                deliver(answered, turn);
                Ok(true)
            }
            Poll::Pending => Ok(false),
        }
    }

    /// The connection is over: a cut resets it, anything else is an orderly end where there is still one to have.
    pub(crate) async fn close(self, end: &End) {
        self.exchanges.close(matches!(end, End::Failed(Failure::Cut { .. }))).await;
    }
}

impl<O: Observer> Wire<O> for HttpsWire {
    fn read(&mut self, turn: &mut Turn<'_, '_, O>) -> Result<bool, Failure> {
        self.drive(turn)
    }

    fn closed(&self) -> Option<Closed> {
        let is_idle = self.exchanges.is_proven() && self.exchanges.is_idle();
        self.exchanges.is_closed().then_some(if is_idle { Closed::Idle } else { Closed::Early })
    }

    fn leaves_at(&self, round: Mono) -> Mono {
        round
    }

    /// Everything is granted: answers come on the connection of their requests.
    fn subscribe(&mut self, subscriptions: &[Subscription], now: Mono, turn: &mut Turn<'_, '_, O>) {
        turn.agent.handle_suback(subscriptions.iter().map(|_| true), now);
    }

    fn publish(&mut self, request: &Request, fault: Option<Fault>, _now: Mono, turn: &mut Turn<'_, '_, O>) {
        let mut asked = data_plane::encode_request(&turn.thing.id.name, request);
        if let Some(fault) = fault {
            asked.body = corrupt_payload(fault, asked.body);
        }
        let line = format!("{} {}", asked.method, asked.path);
        turn.thing.emit(SessionEvent::MessageOut { topic: &line, payload: &asked.body });
        let (kind, client_token) = (request.body.kind(), request.client_token.clone());
        self.exchanges.push(Asked { kind, client_token, line, request: asked });
    }

    fn flood(&mut self, _count: u32, _now: Mono, _turn: &mut Turn<'_, '_, O>) {
        debug_assert!(false, "floods are refused for cohorts that speak HTTP");
    }

    /// An answer comes here: the connection has to be driven for a request to leave.
    fn flush(&mut self, turn: &mut Turn<'_, '_, O>) -> Result<bool, Failure> {
        let has_come = self.drive(turn)?;
        self.exchanges.check_deadline(turn.now)?;
        Ok(has_come || self.exchanges.is_closed())
    }

    fn defers(&mut self, event: &Event) -> bool {
        if let Event::Resumed { at } = *event {
            self.up_since = Some(at);
        }
        matches!(event, Event::Resumed { .. })
    }

    fn poll_deferred(&mut self, now: Mono) -> Option<Event> {
        let is_proven = self.exchanges.is_proven();
        let at = self.up_since.take_if(|at| is_proven || now >= *at + SETTLED)?;
        Some(Event::Resumed { at })
    }

    fn poll_timeout(&self, _now: Mono) -> Option<Mono> {
        let settled = self.up_since.map(|at| at + SETTLED);
        [settled, self.exchanges.deadline()].into_iter().flatten().min()
    }
}

/// An answer, for the agent.
fn deliver<O: Observer>(answered: Answered, turn: &mut Turn<'_, '_, O>) {
    let Answered { kind, client_token, line, status, error_type, body } = answered;
    turn.thing.emit(SessionEvent::MessageIn { topic: &format!("{status} {line}"), payload: &body });
    let now = turn.thing.shard.arrivals.last_or_now();
    let reading = data_plane::read_answer(kind, status, error_type.as_deref(), &body);
    match understood(turn.thing, MessageKind::Answer(kind), now, reading) {
        // Which request it answers is told by the connection.
        Ok(result) => turn.agent.handle_reply(kind, Reply { client_token, timestamp: None, result }, now),
        Err(_) => turn.agent.handle_unreadable(kind, client_token.as_ref(), now),
    }
}
