//! Drives one agent over HTTPS: one connection, kept alive, one request after the other. It holds no jobs logic, as the session over
//! MQTT does not.
//!
//! Nobody tells a thing anything over HTTP: there is nothing to subscribe to, and it has to ask (PROTOCOL 10.3).

mod exchange;

use super::error::Failure;
use super::fetch::Fetcher;
use super::session::End;
use super::thing::{Order, ShardContext, ThingId};
use super::{Observer, SessionEvent};
use exchange::{Answered, Asked, Exchanges};
use host::clock;
use iot_jobs::instant::Mono;
use iot_jobs::wire::data_plane;
use iot_jobs::{Reply, Request};
use std::task::{Context, Poll};
use std::time::Duration;
use thing_agent::{JobsAgent, Transmit};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Answers in a row before other things of the shard get their turn.
const ANSWERS_PER_TURN: usize = 16;
/// TLS 1.3 tells a client that its certificate is refused when the handshake is over. Who is not told within this time is connected.
const SETTLED: Duration = Duration::from_millis(250);
/// A thing that waits for nothing looks up this often.
const IDLE: Duration = Duration::from_secs(3_600);

/// One connection of one thing.
pub(super) struct HttpSession<'a, O> {
    shard: &'a ShardContext<O>,
    thing: &'a ThingId,
    agent: &'a mut JobsAgent,
    exchanges: Exchanges,
    fetcher: Fetcher,
    /// Since when the thing is up, while that is not certain yet.
    up_since: Option<Mono>,
}

impl<'a, O: Observer> HttpSession<'a, O> {
    /// `answer_timeout` is that of every answer.
    ///
    /// # Errors
    /// When the connection is gone already.
    pub(super) async fn new(
        shard: &'a ShardContext<O>,
        thing: &'a ThingId,
        agent: &'a mut JobsAgent,
        stream: TlsStream<TcpStream>,
        answer_timeout: Duration,
    ) -> Result<Self, Failure> {
        let endpoint = shard.endpoint(thing);
        let authority = &endpoint.route(thing.position).destination.authority;
        let exchanges = Exchanges::new(stream, authority, endpoint.signing.as_ref(), answer_timeout).await?;
        Ok(Self { shard, thing, agent, exchanges, fetcher: Fetcher::default(), up_since: None })
    }

    /// Until the connection ends. `on_event` sees every event of the agent before the observer does; that the thing is up it sees once
    /// that is certain.
    pub(super) async fn run(&mut self, mut on_event: impl FnMut(&thing_agent::Event)) -> End {
        self.agent.handle_resumed(clock::mono());
        let end = std::future::poll_fn(|cx| match self.turn(cx, &mut on_event) {
            Ok(turn) => turn,
            Err(failure) => Poll::Ready(End::Failed(failure)),
        })
        .await;
        self.fetcher.give_up(self.shard, self.thing);
        end
    }

    /// The connection is over: a cut resets it, anything else is an orderly end where there is still one to have.
    pub(super) async fn close(self, end: &End) {
        self.exchanges.close(matches!(end, End::Failed(Failure::Cut { .. }))).await;
    }

    /// Round and round while answers come; then sleep until the earliest deadline.
    fn turn(&mut self, cx: &mut Context<'_>, on_event: &mut impl FnMut(&thing_agent::Event)) -> Result<Poll<End>, Failure> {
        for _ in 0..ANSWERS_PER_TURN {
            match self.shard.order.get() {
                Order::Run => {}
                Order::Drain => self.agent.handle_drain(),
                Order::Close => return Ok(Poll::Ready(End::Ordered)),
            }
            if let Some(event) = self.shard.cuts.struck(self.thing.slot) {
                return Err(Failure::Cut { event });
            }
            let now = clock::mono();
            self.agent.handle_timeout(now);
            self.exchanges.poll_idle(cx)?;
            if self.exchanges.is_closed() {
                return self.closed(cx, on_event);
            }
            let hang_up = self.transmit(now);
            self.fetcher.follow(self.shard, self.thing, self.agent, cx);
            let answered = self.exchanges.poll(cx, now);
            if let Ok(Poll::Ready(answered)) = &answered {
                self.deliver(answered);
            }
            self.tell_events(now, on_event);
            if let Some(failure) = hang_up {
                return Err(failure);
            }
            if answered?.is_pending() && !self.exchanges.is_closed() {
                return Ok(self.rest(cx));
            }
        }
        cx.waker().wake_by_ref();
        Ok(Poll::Pending)
    }

    /// The other side has closed the connection, and nothing was asked on it. A file that is on its way is waited for: it has a
    /// connection of its own, and would begin anew in another session.
    fn closed(&mut self, cx: &mut Context<'_>, on_event: &mut impl FnMut(&thing_agent::Event)) -> Result<Poll<End>, Failure> {
        let now = clock::mono();
        self.fetcher.follow(self.shard, self.thing, self.agent, cx);
        self.tell_events(now, on_event);
        if self.agent.is_fetching() {
            self.shard.pacer.wake_at(self.thing.slot, now + IDLE, cx);
            return Ok(Poll::Pending);
        }
        match self.exchanges.is_proven() && self.exchanges.is_idle() {
            true => Err(Failure::ClosedIdle { away: self.agent.poll_timeout().map(|(at, _)| at.since(now)) }),
            false => Err(Failure::Closed),
        }
    }

    fn tell_events(&mut self, now: Mono, on_event: &mut impl FnMut(&thing_agent::Event)) {
        while let Some(event) = self.agent.poll_event() {
            match event {
                thing_agent::Event::Resumed { at } => self.up_since = Some(at),
                _ => on_event(&event),
            }
            self.shard.observer.agent(self.thing, event);
        }
        if let Some(at) = self.up_since
            && (self.exchanges.is_proven() || now >= at + SETTLED)
        {
            self.up_since = None;
            on_event(&thing_agent::Event::Resumed { at });
        }
    }

    /// Hands over all that the agent wants to say. Says why the connection is to be dropped, if it is.
    fn transmit(&mut self, now: Mono) -> Option<Failure> {
        while let Some(transmit) = self.agent.poll_transmit(now) {
            match transmit {
                Transmit::Publish(request) => self.ask(&request, data_plane::encode_request(&self.thing.name, &request)),
                Transmit::Faulty(request, fault) => {
                    let mut asked = data_plane::encode_request(&self.thing.name, &request);
                    asked.body = super::faults::spoil_payload(fault, asked.body);
                    self.ask(&request, asked);
                }
                Transmit::Fetch { job, document } => self.fetcher.start(self.shard, self.thing, self.agent, &job, &document),
                Transmit::Crash { away } => {
                    return Some(Failure::OnPurpose { fault: thing_faults::Fault::CrashInProgress, away: Some(away) });
                }
                Transmit::Disconnect(why) => return Some(Failure::of_subscribing(why, None)),
                Transmit::Subscribe(filters) => self.agent.handle_suback(filters.iter().map(|_| true), now),
                Transmit::Flood(_) => debug_assert!(false, "floods are refused for cohorts that speak HTTP"),
            }
        }
        None
    }

    fn ask(&mut self, request: &Request, asked: data_plane::HttpRequest) {
        let line = format!("{} {}", asked.method, asked.path);
        self.tell(SessionEvent::MessageOut { topic: &line, payload: &asked.body });
        let (kind, client_token) = (request.body.kind(), request.client_token.clone());
        self.exchanges.push(Asked { kind, client_token, line, request: asked });
    }

    fn deliver(&mut self, answered: &Answered) {
        let Answered { kind, client_token, line, status, error_type, body } = answered;
        self.tell(SessionEvent::MessageIn { topic: &format!("{status} {line}"), payload: body });
        let now = clock::mono();
        match data_plane::parse_answer(*kind, *status, error_type.as_deref(), body) {
            // Which request it answers is told by the connection.
            Ok(result) => {
                self.agent.handle_reply(*kind, Reply { client_token: client_token.clone(), timestamp: None, result }, now);
            }
            Err(error) => self.tell(SessionEvent::Unreadable { at: now, why: &error.to_string() }),
        }
    }

    fn rest(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let now = clock::mono();
        let planned = self.agent.poll_timeout().map(|(at, _)| at);
        let settled = self.up_since.map(|at| at + SETTLED);
        let deadline = [planned, settled, self.exchanges.deadline()].into_iter().flatten().min().unwrap_or(now + IDLE);
        if deadline <= now {
            cx.waker().wake_by_ref();
        } else {
            self.shard.pacer.wake_at(self.thing.slot, deadline, cx);
        }
        Poll::Pending
    }

    fn tell(&self, event: SessionEvent<'_>) {
        self.shard.observer.session(self.thing, event);
    }
}
