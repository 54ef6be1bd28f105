//! Drives one agent over one connection: bytes in, agent, bytes out, one deadline. It holds no jobs logic.
//!
//! The buffers that ten thousand sessions would each need belong to the shard; a session keeps bytes of its own only for a
//! partial packet, or for what the peer does not take.

mod faults;

use super::connect::{Connection, Stream};
use super::error::Failure;
use super::faults::SessionFaults;
use super::fetch::Fetcher;
use super::mqtt::{Content, Incoming, Kept, MqttSession, MqttSettings, Packet, Published};
use super::thing::{Order, ShardContext, ThingId};
use super::{Observer, PublishEnd, SessionEvent};
use bytes::{Buf, Bytes, BytesMut};
use host::clock;
use iot_jobs::instant::Mono;
use iot_jobs::wire::payload;
use iot_jobs::wire::topic::{self, RequestTopic, Topic, TopicError, TopicKind};
use iot_jobs::{Reply, RequestKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use thing_agent::telemetry::{self, Telemetry};
use thing_agent::{JobsAgent, Transmit};
use thing_faults::Fault;
use tokio::io::AsyncWrite;

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

impl End {
    /// How long the thing is to be away, where its reconnect policy does not say.
    pub(super) fn away(&self) -> Option<Duration> {
        match self {
            Self::Failed(Failure::OnPurpose { away, .. } | Failure::ClosedIdle { away }) => *away,
            Self::Failed(_) | Self::Ordered => None,
        }
    }
}

/// One session of one thing.
pub struct Session<'a, O> {
    pub shard: &'a ShardContext<O>,
    pub thing: &'a ThingId,
    pub agent: &'a mut JobsAgent,
    telemetry: Option<&'a mut Telemetry>,
    stream: &'a mut Stream,
    mqtt: MqttSession,
    /// Subscribed, here or in the connection before.
    is_up: bool,
    /// Why the endpoint granted not everything.
    refusal: Option<&'static str>,
    write_timeout: Duration,
    /// Bytes of a packet that is not complete yet.
    partial: BytesMut,
    /// Bytes the peer did not take yet.
    unsent: BytesMut,
    flushing: bool,
    /// Since when the peer takes nothing.
    stuck_since: Option<Mono>,
    fetcher: Fetcher,
    /// What is wrong on purpose, where anything is.
    faults: Option<Box<SessionFaults>>,
}

impl<'a, O: Observer> Session<'a, O> {
    pub fn new(
        shard: &'a ShardContext<O>,
        thing: &'a ThingId,
        agent: &'a mut JobsAgent,
        telemetry: Option<&'a mut Telemetry>,
        connection: &'a mut Connection,
        settings: &MqttSettings,
        faults: Option<Box<SessionFaults>>,
    ) -> Self {
        let Connection { stream, ack, read_ahead } = connection;
        Session {
            shard,
            thing,
            agent,
            telemetry,
            stream,
            mqtt: MqttSession::new(settings, ack, clock::mono()),
            is_up: false,
            refusal: None,
            write_timeout: settings.answer_timeout,
            partial: std::mem::take(read_ahead),
            unsent: BytesMut::new(),
            flushing: false,
            stuck_since: None,
            fetcher: Fetcher::default(),
            faults,
        }
    }

    /// Goes on where the connection before stopped.
    pub fn resume(&mut self, kept: Kept) {
        let now = clock::mono();
        let (repeated, lost) = self.mqtt.resume(kept, now, &mut self.unsent);
        (0..repeated).for_each(|_| self.tell(SessionEvent::PublishRepeated));
        lost.into_iter().for_each(|publish| self.tell_end(publish, now, PublishEnd::SessionLost));
    }

    /// Until the connection ends; `is_subscribed` where the endpoint still knows what the thing wants to hear. `on_event` sees every
    /// event of the agent before the observer does, and why the endpoint granted not everything.
    pub async fn run(&mut self, is_subscribed: bool, mut on_event: impl FnMut(&thing_agent::Event, Option<&'static str>)) -> End {
        self.begin_faults();
        if is_subscribed {
            self.agent.handle_resumed(clock::mono());
        } else {
            self.agent.handle_connected();
        }
        let end = std::future::poll_fn(|cx| self.poll(cx, &mut on_event)).await;
        self.fetcher.give_up(self.shard, self.thing);
        end
    }

    /// The connection is over: what of the session may go on in another one, unless the thing wanted it to end.
    pub fn into_kept(self, end: &End) -> Option<Kept> {
        let is_over = matches!(end, End::Ordered);
        if is_over || self.mqtt.is_clean() {
            self.mqtt.unacknowledged().for_each(|publish| tell_unacknowledged(self.shard, self.thing, publish, is_over));
            return None;
        }
        self.mqtt.into_kept()
    }

    fn poll(&mut self, cx: &mut Context<'_>, on_event: &mut impl FnMut(&thing_agent::Event, Option<&'static str>)) -> Poll<End> {
        let shard = self.shard;
        let mut scratch = shard.scratch.borrow_mut();
        match self.turn(cx, &mut scratch, on_event) {
            Ok(turn) => turn,
            Err(failure) => {
                // The buffer is the shard's: what this session leaves in it would go out on the connection of another one.
                scratch.outbound.clear();
                Poll::Ready(End::Failed(failure))
            }
        }
    }

    /// Round and round while anything changes; then sleep until the earliest deadline.
    fn turn(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
        on_event: &mut impl FnMut(&thing_agent::Event, Option<&'static str>),
    ) -> Result<Poll<End>, Failure> {
        for _ in 0..READS_PER_TURN {
            match self.shard.order.get() {
                Order::Run => {}
                Order::Drain => {
                    self.agent.handle_drain();
                    if let Some(telemetry) = &mut self.telemetry {
                        telemetry.handle_drain();
                    }
                }
                Order::Close => return Ok(Poll::Ready(End::Ordered)),
            }
            if let Some(event) = self.shard.cuts.struck(self.thing.slot) {
                return Err(Failure::Cut { event });
            }
            let now = clock::mono();
            self.commit_faults(now, &mut scratch.outbound)?;
            while let Some(publish) = self.mqtt.handle_timeout(now, &mut scratch.outbound)? {
                self.tell_end(publish, now, PublishEnd::Timeout);
            }
            self.agent.handle_timeout(now);
            let more = self.read(cx, scratch)?;
            let hang_up = self.transmit(&mut scratch.outbound);
            self.fetcher.follow(self.shard, self.thing, self.agent, cx);
            while let Some(event) = self.agent.poll_event() {
                on_event(&event, self.refusal);
                self.follow(&event);
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
        let more = match self.poll_read(cx, inbound) {
            Poll::Ready(Ok(0)) => return Err(Failure::Closed),
            Poll::Ready(Ok(_)) => true,
            Poll::Ready(Err(error)) => return Err(error.into()),
            Poll::Pending => false,
        };
        if inbound.len() > held || held > 0 {
            let now = clock::mono();
            while let Some(packet) = self.mqtt.read_packet(inbound)? {
                self.handle(packet, now, outbound)?;
            }
            self.partial = BytesMut::from(&inbound[..]);
        }
        Ok(more)
    }

    fn handle(&mut self, packet: Packet, now: Mono, out: &mut BytesMut) -> Result<(), Failure> {
        match self.mqtt.handle_packet(packet, now, out)? {
            Incoming::Message { topic, payload } => {
                self.tell(SessionEvent::MessageIn { topic: &topic, payload: &payload });
                self.deliver(&topic, &payload, now);
            }
            Incoming::Granted { granted, refusal } => {
                self.refusal = refusal;
                self.agent.handle_suback(granted, now);
            }
            Incoming::Acknowledged { publish, refusal } => {
                self.tell_end(publish, now, refusal.map_or(PublishEnd::Acknowledged, PublishEnd::Refused));
                if refusal.is_some() && publish.content == Content::Request {
                    self.agent.handle_not_taken(publish.sent, now);
                }
            }
            Incoming::Nothing => {}
        }
        Ok(())
    }

    fn deliver(&mut self, topic: &str, payload: &Bytes, now: Mono) {
        let topic = match Topic::parse(topic) {
            Ok(topic) if topic.thing == self.thing.name.as_str() => topic,
            Ok(_) => return self.tell(SessionEvent::Unreadable { at: now, why: "a message of another thing" }),
            // The answer to what was published on a topic that is no operation (PROTOCOL 8).
            Err(TopicError::InvalidOperation { thing }) if thing == self.thing.name.as_str() && topic.ends_with("/rejected") => {
                return match payload::parse_reply(RequestKind::Update, false, payload) {
                    Ok(reply) => self.agent.handle_reply(RequestKind::Update, reply, now),
                    Err(error) => self.tell(SessionEvent::Unreadable { at: now, why: &error.to_string() }),
                };
            }
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

    /// Telemetry goes out while the thing is up; what came due before is lost.
    fn follow(&mut self, event: &thing_agent::Event) {
        if let thing_agent::Event::Subscribed { at, .. } | thing_agent::Event::Resumed { at } = *event {
            self.is_up = true;
            self.lose_telemetry(at);
            if let Some(faults) = &mut self.faults {
                faults.handle_subscribed(at);
            }
        }
    }

    fn lose_telemetry(&mut self, now: Mono) {
        let count = self.telemetry.as_mut().map_or(0, |telemetry| telemetry.lose_until(now));
        if count > 0 {
            self.tell(SessionEvent::TelemetryLost { count });
        }
    }

    /// Everything the thing wants to send and the window has room for.
    fn transmit(&mut self, out: &mut BytesMut) -> Option<Failure> {
        while self.mqtt.has_room() {
            let now = clock::mono();
            match self.agent.poll_transmit(now) {
                Some(Transmit::Subscribe(subscriptions)) => {
                    let filters = subscriptions.iter().map(|subscription| topic::filter(&self.thing.name, *subscription));
                    self.mqtt.write_subscribe(filters, now, out);
                }
                Some(Transmit::Publish(request)) => {
                    let topic = Topic::of_request(&self.thing.name, &request).to_string();
                    let publish = Published { content: Content::Request, intended: now, sent: now };
                    self.publish(topic, payload::encode_request(&request), publish, true, out);
                }
                Some(Transmit::Fetch { job, document }) => self.fetcher.start(self.shard, self.thing, self.agent, &job, &document),
                Some(Transmit::Faulty(request, fault)) => self.publish_faulty(&request, fault, now, out),
                Some(Transmit::Flood(count)) => self.flood(count, now, out),
                Some(Transmit::Crash { away }) => {
                    return Some(Failure::OnPurpose { fault: Fault::CrashInProgress, away: Some(away) });
                }
                Some(Transmit::Disconnect(why)) => return Some(Failure::of_subscribing(why, self.refusal)),
                None => break,
            }
        }
        if self.is_up && self.telemetry.is_some() {
            self.transmit_telemetry(out);
        }
        None
    }

    /// Telemetry that is due, and finds a window without room, is lost: nobody is free to send it.
    fn transmit_telemetry(&mut self, out: &mut BytesMut) {
        while let Some(telemetry) = &mut self.telemetry {
            let now = clock::mono();
            if telemetry.is_acknowledged() && !self.mqtt.has_room() {
                return self.lose_telemetry(now);
            }
            let Some(message) = telemetry.poll_transmit(&self.thing.name, now) else { return };
            let telemetry::Message { topic, payload, is_acknowledged, intended, lost } = message;
            if lost > 0 {
                self.tell(SessionEvent::TelemetryLost { count: lost });
            }
            let publish = Published { content: Content::Telemetry, intended, sent: now };
            self.publish(topic, payload, publish, is_acknowledged, out);
        }
    }

    fn publish(&mut self, topic: String, payload: Vec<u8>, publish: Published, is_acknowledged: bool, out: &mut BytesMut) {
        self.tell(SessionEvent::PublishSent { publish, is_acknowledged });
        self.tell(SessionEvent::MessageOut { topic: &topic, payload: &payload });
        let is_written = if is_acknowledged {
            self.mqtt.write_publish(topic, payload, publish, out)
        } else {
            self.mqtt.write_publish_qos_0(topic, payload, publish.sent, out)
        };
        if !is_written {
            self.tell_end(publish, publish.sent, PublishEnd::TooLarge);
        }
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
        if self.is_up
            && let Some(at) = self.telemetry.as_ref().and_then(|telemetry| telemetry.poll_timeout())
        {
            deadline = deadline.min(at);
        }
        let now = clock::mono();
        if let Some(at) = self.faults.as_ref().and_then(|faults| faults.poll_timeout(now)) {
            deadline = deadline.min(at);
        }
        if deadline <= now {
            cx.waker().wake_by_ref();
        } else {
            self.shard.pacer.wake_at(self.thing.slot, deadline, cx);
        }
        Poll::Pending
    }

    fn tell_end(&self, publish: Published, at: Mono, end: PublishEnd) {
        self.tell(SessionEvent::PublishEnded { publish, at, end });
    }

    fn tell(&self, event: SessionEvent<'_>) {
        self.shard.observer.session(self.thing, event);
    }
}

/// A publish of a session that is gone for good. At the end of a run telemetry is always under way, and counts as open.
pub(super) fn tell_unacknowledged<O: Observer>(shard: &ShardContext<O>, thing: &ThingId, publish: Published, is_over: bool) {
    if !(is_over && publish.content == Content::Telemetry) {
        let end = PublishEnd::SessionLost;
        shard.observer.session(thing, SessionEvent::PublishEnded { publish, at: clock::mono(), end });
    }
}

fn parse(request: RequestTopic<'_>, accepted: bool, payload: &[u8]) -> Result<(RequestKind, Reply), payload::PayloadError> {
    let kind = request.kind();
    Ok((kind, payload::parse_reply(kind, accepted, payload)?))
}
