//! Drives one agent over one connection: bytes in, agent, bytes out, one deadline. It holds no jobs logic.
//!
//! The buffers that ten thousand sessions would each need belong to the shard; a session keeps bytes of its own only for a
//! partial packet, or for what the peer does not take.

use super::error::Failure;
use super::mqtt::{self, Incoming, MqttSession};
use super::thing::{Order, ShardContext, ThingId};
use super::{Observer, PublishEnd, SessionEvent};
use crate::clock;
use crate::device::{JobsAgent, Transmit};
use crate::instant::Mono;
use crate::jobs::{Reply, RequestKind};
use crate::wire::payload;
use crate::wire::topic::{self, RequestTopic, Topic, TopicKind};
use bytes::{Buf, Bytes, BytesMut};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::io::poll_read_buf;

/// One read of the shard-wide buffer: the largest TLS record.
const READ_BYTES: usize = 16 * 1024;
/// Reads in a row before other things of the shard get their turn.
const READS_PER_TURN: usize = 16;

/// The buffers a shard's sessions share, one at a time.
#[derive(Default)]
pub struct Scratch {
    inbound: BytesMut,
    outbound: BytesMut,
}

/// Why [`Session::run`] came back.
#[derive(Debug)]
pub enum End {
    /// The run wants the session closed.
    Ordered,
    Failed(Failure),
}

/// One session of one thing.
pub struct Session<'a, O> {
    pub shard: &'a ShardContext<O>,
    pub thing: &'a ThingId,
    pub agent: &'a mut JobsAgent,
    stream: &'a mut TlsStream<TcpStream>,
    mqtt: MqttSession,
    write_timeout: Duration,
    /// Bytes of a packet that is not complete yet.
    partial: BytesMut,
    /// Bytes the peer did not take yet.
    unsent: BytesMut,
    flushing: bool,
    /// Since when the peer takes nothing.
    stuck_since: Option<Mono>,
}

impl<'a, O: Observer> Session<'a, O> {
    pub fn new(
        shard: &'a ShardContext<O>,
        thing: &'a ThingId,
        agent: &'a mut JobsAgent,
        stream: &'a mut TlsStream<TcpStream>,
        read_ahead: BytesMut,
        keep_alive: Duration,
        answer_timeout: Duration,
    ) -> Self {
        Session {
            shard,
            thing,
            agent,
            stream,
            mqtt: MqttSession::new(keep_alive, answer_timeout, clock::mono()),
            write_timeout: answer_timeout,
            partial: read_ahead,
            unsent: BytesMut::new(),
            flushing: false,
            stuck_since: None,
        }
    }

    /// Until the session ends. `on_event` sees every event of the agent before the observer does.
    pub async fn run(&mut self, mut on_event: impl FnMut(&crate::device::Event)) -> End {
        self.agent.handle_connected();
        let end = std::future::poll_fn(|cx| self.poll(cx, &mut on_event)).await;
        let now = clock::mono();
        for sent in self.mqtt.unacknowledged() {
            self.tell(SessionEvent::PublishEnded { sent, at: now, end: PublishEnd::SessionLost });
        }
        end
    }

    fn poll(&mut self, cx: &mut Context<'_>, on_event: &mut impl FnMut(&crate::device::Event)) -> Poll<End> {
        let shard = self.shard;
        let mut scratch = shard.scratch.borrow_mut();
        match self.turn(cx, &mut scratch, on_event) {
            Ok(turn) => turn,
            Err(failure) => Poll::Ready(End::Failed(failure)),
        }
    }

    /// Round and round while anything changes; then sleep until the earliest deadline.
    fn turn(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
        on_event: &mut impl FnMut(&crate::device::Event),
    ) -> Result<Poll<End>, Failure> {
        for _ in 0..READS_PER_TURN {
            match self.shard.order.get() {
                Order::Run => {}
                Order::Drain => self.agent.handle_drain(),
                Order::Close => return Ok(Poll::Ready(End::Ordered)),
            }
            if let Some(event) = self.shard.cuts.struck(self.thing.slot) {
                return Err(Failure::Cut { event });
            }
            let now = clock::mono();
            while let Some(sent) = self.mqtt.handle_timeout(now, &mut scratch.outbound)? {
                self.tell(SessionEvent::PublishEnded { sent, at: now, end: PublishEnd::Timeout });
            }
            self.agent.handle_timeout(now);
            let more = self.read(cx, scratch)?;
            let hang_up = self.transmit(&mut scratch.outbound);
            while let Some(event) = self.agent.poll_event() {
                on_event(&event);
                self.shard.observer.agent(self.thing, event);
            }
            if let Some(failure) = hang_up {
                return Err(failure);
            }
            self.write(cx, &mut scratch.outbound)?;
            if !more {
                return Ok(self.rest(cx));
            }
        }
        cx.waker().wake_by_ref();
        Ok(Poll::Pending)
    }

    /// Reads once and handles every complete packet. Says whether there may be more.
    fn read(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Result<bool, Failure> {
        let Scratch { inbound, outbound } = scratch;
        inbound.clear();
        if self.partial.len() + READ_BYTES > inbound.capacity() {
            inbound.reserve(self.partial.len() + READ_BYTES);
        }
        let held = self.partial.len();
        inbound.extend_from_slice(&self.partial);
        let more = match poll_read_buf(Pin::new(&mut *self.stream), cx, inbound) {
            Poll::Ready(Ok(0)) => return Err(Failure::Closed),
            Poll::Ready(Ok(_)) => true,
            Poll::Ready(Err(error)) => return Err(error.into()),
            Poll::Pending => false,
        };
        if inbound.len() > held || held > 0 {
            let now = clock::mono();
            while let Some(packet) = mqtt::read_packet(inbound)? {
                self.handle(packet, now, outbound)?;
            }
            self.partial = BytesMut::from(&inbound[..]);
        }
        Ok(more)
    }

    fn handle(&mut self, packet: rumqttc::mqttbytes::v4::Packet, now: Mono, out: &mut BytesMut) -> Result<(), Failure> {
        match self.mqtt.handle_packet(packet, now, out)? {
            Incoming::Message { topic, payload } => {
                self.tell(SessionEvent::MessageIn { topic: &topic, payload: &payload });
                self.deliver(&topic, &payload, now);
            }
            Incoming::Granted(granted) => self.agent.handle_suback(granted, now),
            Incoming::Acknowledged { sent } => {
                self.tell(SessionEvent::PublishEnded { sent, at: now, end: PublishEnd::Acknowledged });
            }
            Incoming::Nothing => {}
        }
        Ok(())
    }

    fn deliver(&mut self, topic: &str, payload: &Bytes, now: Mono) {
        let topic = match Topic::parse(topic) {
            Ok(topic) if topic.thing == self.thing.name.as_str() => topic,
            Ok(_) => return self.tell(SessionEvent::Unreadable { at: now, why: "a message of another thing" }),
            Err(error) => return self.tell(SessionEvent::Unreadable { at: now, why: &error.to_string() }),
        };
        let delivered = match topic.kind {
            TopicKind::Accepted(request) => {
                parse(request, true, payload).map(|(kind, reply)| self.agent.handle_reply(kind, reply, now))
            }
            TopicKind::Rejected(request) => {
                parse(request, false, payload).map(|(kind, reply)| self.agent.handle_reply(kind, reply, now))
            }
            TopicKind::NotifyNext => {
                payload::parse_notification(true, payload).map(|note| self.agent.handle_notification(&note, now))
            }
            TopicKind::Notify => payload::parse_notification(false, payload).map(|note| self.agent.handle_notification(&note, now)),
            TopicKind::Request(_) => return self.tell(SessionEvent::Unreadable { at: now, why: "a request, sent to a thing" }),
        };
        if let Err(error) = delivered {
            self.tell(SessionEvent::Unreadable { at: now, why: &error.to_string() });
        }
    }

    /// Everything the agent wants to send and the window has room for.
    fn transmit(&mut self, out: &mut BytesMut) -> Option<Failure> {
        while self.mqtt.has_room() {
            let now = clock::mono();
            match self.agent.poll_transmit(now)? {
                Transmit::Subscribe(subscriptions) => {
                    let filters = subscriptions.iter().map(|subscription| topic::filter(&self.thing.name, *subscription));
                    self.mqtt.write_subscribe(filters, now, out);
                }
                Transmit::Publish(request) => {
                    let topic = Topic::of_request(&self.thing.name, &request).to_string();
                    let payload = payload::encode_request(&request);
                    self.tell(SessionEvent::PublishSent);
                    self.tell(SessionEvent::MessageOut { topic: &topic, payload: &payload });
                    self.mqtt.write_publish(topic, payload, now, out);
                }
                Transmit::Disconnect(why) => return Some(why.into()),
            }
        }
        None
    }

    fn write(&mut self, cx: &mut Context<'_>, out: &mut BytesMut) -> Result<(), Failure> {
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(out);
            out.clear();
        }
        let pending = if self.unsent.is_empty() { &mut *out } else { &mut self.unsent };
        let mut took = false;
        while !pending.is_empty() {
            match Pin::new(&mut *self.stream).poll_write(cx, pending) {
                Poll::Ready(Ok(0)) => return Err(Failure::Closed),
                Poll::Ready(Ok(count)) => {
                    pending.advance(count);
                    self.flushing = true;
                    took = true;
                }
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Pending => break,
            }
        }
        if self.unsent.is_empty() {
            self.unsent = BytesMut::from(&out[..]);
        }
        out.clear();
        if self.flushing {
            match Pin::new(&mut *self.stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.flushing = false,
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Pending => {}
            }
        }
        let stuck = self.flushing || !self.unsent.is_empty();
        let now = clock::mono();
        match self.stuck_since {
            Some(since) if stuck && !took => {
                if now >= since + self.write_timeout {
                    return Err(Failure::Timeout("write"));
                }
            }
            _ => self.stuck_since = stuck.then_some(now),
        }
        Ok(())
    }

    fn rest(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let mut deadline = self.mqtt.poll_timeout().0;
        if let Some(since) = self.stuck_since {
            deadline = deadline.min(since + self.write_timeout);
        }
        // With a full window the agent's plans wait for a PUBACK, or for its deadline.
        if self.mqtt.has_room()
            && let Some((at, _)) = self.agent.poll_timeout()
        {
            deadline = deadline.min(at);
        }
        if deadline <= clock::mono() {
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

fn parse(request: RequestTopic<'_>, accepted: bool, payload: &[u8]) -> Result<(RequestKind, Reply), payload::PayloadError> {
    let kind = request.kind();
    Ok((kind, payload::parse_reply(kind, accepted, payload)?))
}
