//! MQTT, over TLS or a WebSocket: bytes in, bytes out, and the telemetry of the thing between what its agent says.
//!
//! The buffers that ten thousand sessions would each need belong to the shard; a session keeps bytes of its own only for a
//! partial packet, or for what the peer does not take.

mod denied;
mod faults;

use super::{End, Turn, Wire, understood};
use crate::connect::{Connection, Stream};
use crate::error::Failure;
use crate::faults::{SessionFaults, corrupt};
use crate::memory::Span;
use crate::mqtt::{Content, Incoming, MqttSession, MqttSettings, Packet, Published, SessionState};
use crate::observer::{MessageKind, Observer, PublishEnd, SessionEvent};
use crate::shard::{Member, Scratch};
use bytes::{Buf, Bytes, BytesMut};
use host::clock;
use iot_jobs::instant::Mono;
use iot_jobs::wire::payload;
use iot_jobs::wire::salvage::{self, Reading};
use iot_jobs::wire::topic::{self, Topic, TopicError, TopicKind};
use iot_jobs::{NamespaceId, Reply, Request, RequestKind, Subscription};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use thing_agent::telemetry::{self, Telemetry};
use thing_agent::{Event, JobsAgent};
use thing_faults::Fault;
use tokio::io::AsyncWrite;

/// One read of the shard-wide buffer: the largest TLS record.
const READ_BYTES: usize = 16 * 1024;

/// One connection over MQTT.
pub(crate) struct MqttWire<'a> {
    stream: &'a mut Stream,
    session: MqttSession,
    telemetry: Option<&'a mut Telemetry>,
    /// Subscribed, here or in the connection before.
    is_up: bool,
    /// Why the endpoint granted not everything.
    refusal: Option<&'static str>,
    write_timeout: Duration,
    /// Bytes of a packet that is not complete yet.
    partial: BytesMut,
    /// Bytes the peer did not take yet.
    unsent: BytesMut,
    is_flushing: bool,
    /// Since when the peer takes nothing.
    stuck_since: Option<Mono>,
    /// What is wrong on purpose, where anything is.
    faults: Option<Box<SessionFaults>>,
}

impl<'a> MqttWire<'a> {
    pub(crate) fn new(
        connection: &'a mut Connection,
        settings: &MqttSettings,
        telemetry: Option<&'a mut Telemetry>,
        faults: Option<Box<SessionFaults>>,
    ) -> Self {
        let Connection { stream, ack, read_ahead } = connection;
        Self {
            stream,
            session: MqttSession::new(settings, ack, clock::mono()),
            telemetry,
            is_up: false,
            refusal: None,
            write_timeout: settings.answer_timeout,
            partial: std::mem::take(read_ahead),
            unsent: BytesMut::new(),
            is_flushing: false,
            stuck_since: None,
            faults,
        }
    }

    /// Goes on where the connection before stopped.
    pub(crate) fn resume<O: Observer>(&mut self, kept: SessionState, thing: Member<'_, O>) {
        let now = clock::mono();
        let (repeated, lost) = self.session.resume(kept, now, &mut self.unsent);
        repeated.into_iter().for_each(|bytes| thing.emit(SessionEvent::PublishRepeated { bytes }));
        lost.into_iter().for_each(|publish| emit_end(thing, publish, now, PublishEnd::SessionLost));
    }

    /// The connection is over, and `end` says why: what of the session may go on in another one, unless the thing wanted it to end.
    pub(crate) fn conclude<O: Observer>(self, end: &mut End, thing: Member<'_, O>) -> Option<SessionState> {
        self.explain(end, thing);
        if matches!(end, End::Ordered) {
            return None;
        }
        if self.session.is_clean() {
            self.session.unacknowledged().for_each(|publish| emit_session_lost(thing, publish));
            return None;
        }
        self.session.into_session_state()
    }

    fn handle<O: Observer>(
        &mut self,
        packet: Packet,
        now: Mono,
        thing: Member<'_, O>,
        agent: &mut JobsAgent,
        out: &mut BytesMut,
    ) -> Result<(), Failure> {
        match self.session.handle_packet(packet, now, out)? {
            Incoming::Message { topic, payload } => {
                thing.emit(SessionEvent::MessageIn { topic: &topic, payload: &payload });
                deliver(thing, agent, &topic, &payload, now);
            }
            Incoming::Granted { granted, refusal } => {
                self.refusal = refusal;
                agent.handle_suback(granted, now);
            }
            Incoming::Acknowledged { publish, refusal } => {
                emit_end(thing, publish, now, refusal.map_or(PublishEnd::Acknowledged, PublishEnd::Refused));
                if refusal.is_some() && matches!(publish.content, Content::Request(_)) {
                    agent.handle_not_taken(publish.sent, now);
                }
            }
            Incoming::Nothing => {}
        }
        Ok(())
    }

    /// Telemetry that came due while nobody could send it.
    fn lose_telemetry<O: Observer>(&mut self, now: Mono, thing: Member<'_, O>) {
        let count = self.telemetry.as_mut().map_or(0, |telemetry| telemetry.lose_until(now));
        if count > 0 {
            thing.emit(SessionEvent::TelemetryLost { count });
        }
    }

    /// Telemetry that is due, and finds a window without room, is lost: nobody is free to send it.
    fn transmit_telemetry<O: Observer>(&mut self, thing: Member<'_, O>, out: &mut BytesMut) {
        while let Some(telemetry) = &mut self.telemetry {
            let now = clock::mono();
            if telemetry.is_acknowledged() && !self.session.has_room() {
                return self.lose_telemetry(now, thing);
            }
            let Some(message) = telemetry.poll_transmit(&thing.id.name, now) else { return };
            let telemetry::Message { topic, payload, is_acknowledged, intended, lost } = message;
            if lost > 0 {
                thing.emit(SessionEvent::TelemetryLost { count: lost });
            }
            let publish = Published { content: Content::Telemetry, intended, sent: now };
            self.write_publish(Message { topic, payload, is_acknowledged }, publish, thing, out);
        }
    }

    fn write_publish<O: Observer>(&mut self, message: Message, publish: Published, thing: Member<'_, O>, out: &mut BytesMut) {
        let Message { topic, payload, is_acknowledged } = message;
        thing.emit(SessionEvent::PublishSent { publish, is_acknowledged });
        thing.emit(SessionEvent::MessageOut { topic: &topic, payload: &payload });
        let is_written = if is_acknowledged {
            self.session.write_publish(topic, payload, publish, out)
        } else {
            self.session.write_publish_qos_0(topic, payload, publish.sent, out)
        };
        if !is_written {
            emit_end(thing, publish, publish.sent, PublishEnd::TooLarge);
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
                    self.is_flushing = true;
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
        if self.is_flushing {
            match Pin::new(&mut *self.stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.is_flushing = false,
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Pending => {}
            }
        }
        if !self.is_flushing && self.unsent.is_empty() {
            self.stuck_since = None;
            return Ok(());
        }
        let now = clock::mono();
        match self.stuck_since {
            Some(since) if !took && now >= since + self.write_timeout => return Err(Failure::Timeout("write")),
            Some(_) if !took => {}
            _ => self.stuck_since = Some(now),
        }
        Ok(())
    }
}

impl<O: Observer> Wire<O> for MqttWire<'_> {
    fn stream(&self) -> Span {
        Span::of(&*self.stream)
    }

    fn handle_drain(&mut self) {
        if let Some(telemetry) = &mut self.telemetry {
            telemetry.handle_drain();
        }
    }

    fn handle_timeout(&mut self, turn: &mut Turn<'_, '_, O>) -> Result<(), Failure> {
        self.commit_faults(turn)?;
        while let Some(publish) = self.session.handle_timeout(turn.now, &mut turn.scratch.outbound)? {
            emit_end(turn.thing, publish, turn.now, PublishEnd::Timeout);
        }
        Ok(())
    }

    /// Reads once and handles every complete packet.
    fn read(&mut self, turn: &mut Turn<'_, '_, O>) -> Result<bool, Failure> {
        let Scratch { inbound, outbound } = &mut *turn.scratch;
        inbound.clear();
        if self.partial.len() + READ_BYTES > inbound.capacity() {
            inbound.reserve(self.partial.len() + READ_BYTES);
        }
        let held = self.partial.len();
        inbound.extend_from_slice(&self.partial);
        turn.thing.shard.arrivals.clear();
        let more = match self.poll_read(turn.cx, inbound) {
            Poll::Ready(Ok(0)) => return Err(Failure::Closed),
            Poll::Ready(Ok(_)) => true,
            Poll::Ready(Err(error)) => return Err(error.into()),
            Poll::Pending => false,
        };
        if inbound.len() > held || held > 0 {
            let now = turn.thing.shard.arrivals.last_or_now();
            while let Some(packet) = self.session.read_packet(inbound)? {
                self.handle(packet, now, turn.thing, turn.agent, outbound)?;
            }
            self.partial = BytesMut::from(&inbound[..]);
        }
        Ok(more)
    }

    fn has_room(&self) -> bool {
        self.session.has_room()
    }

    fn leaves_at(&self, _round: Mono) -> Mono {
        clock::mono()
    }

    fn subscribe(&mut self, subscriptions: &[Subscription], now: Mono, turn: &mut Turn<'_, '_, O>) {
        let namespace = turn.agent.namespace();
        let filters = subscriptions.iter().map(|subscription| topic::filter(&turn.thing.id.name, namespace, *subscription));
        self.session.write_subscribe(filters, now, &mut turn.scratch.outbound);
    }

    fn publish(&mut self, request: &Request, fault: Option<Fault>, now: Mono, turn: &mut Turn<'_, '_, O>) {
        let (topic, payload) =
            (Topic::of_request(&turn.thing.id.name, turn.agent.namespace(), request), payload::encode_request(request));
        let (topic, payload) = match fault {
            None => (topic.to_string(), payload),
            Some(fault) => corrupt(fault, topic, payload),
        };
        let content = Content::Request(request.body.kind());
        let publish = Published { content, intended: now, sent: now };
        self.write_publish(Message { topic, payload, is_acknowledged: true }, publish, turn.thing, &mut turn.scratch.outbound);
    }

    fn flood(&mut self, count: u32, now: Mono, turn: &mut Turn<'_, '_, O>) {
        for number in 0..count {
            let (topic, payload) = (format!("dt/{}/flood", turn.thing.id.name), number.to_string());
            turn.thing.emit(SessionEvent::MessageOut { topic: &topic, payload: payload.as_bytes() });
            if !self.session.write_publish_qos_0(topic, payload.into_bytes(), now, &mut turn.scratch.outbound) {
                return;
            }
        }
    }

    fn flush(&mut self, turn: &mut Turn<'_, '_, O>) -> Result<bool, Failure> {
        if self.is_up && self.telemetry.is_some() {
            self.transmit_telemetry(turn.thing, &mut turn.scratch.outbound);
        }
        self.write(turn.cx, &mut turn.scratch.outbound)?;
        Ok(false)
    }

    fn refusal(&self) -> Option<&'static str> {
        self.refusal
    }

    /// Telemetry goes out while the thing is up; what came due before is lost.
    fn handle_event(&mut self, event: &Event, thing: Member<'_, O>) {
        if let Event::Subscribed { at, .. } | Event::Resumed { at } = *event {
            self.is_up = true;
            self.lose_telemetry(at, thing);
            if let Some(faults) = &mut self.faults {
                faults.handle_subscribed(at);
            }
        }
    }

    fn poll_timeout(&self, now: Mono) -> Option<Mono> {
        let (acknowledgements, _) = self.session.poll_timeout();
        let stuck = self.stuck_since.map(|since| since + self.write_timeout);
        let telemetry = self.telemetry.as_ref().filter(|_| self.is_up).and_then(|telemetry| telemetry.poll_timeout());
        let faults = self.faults.as_ref().and_then(|faults| faults.poll_timeout(now));
        [Some(acknowledgements), stuck, telemetry, faults].into_iter().flatten().min()
    }
}

/// A PUBLISH that is to leave.
struct Message {
    topic: String,
    payload: Vec<u8>,
    /// At QoS 1; otherwise at QoS 0.
    is_acknowledged: bool,
}

/// A message, for the agent.
fn deliver<O: Observer>(thing: Member<'_, O>, agent: &mut JobsAgent, topic: &str, payload: &Bytes, now: Mono) {
    let unasked = |why: &str| {
        thing.emit(SessionEvent::Unreadable { message: MessageKind::Unasked, at: now, is_used: false, why });
    };
    let topic = match Topic::parse(topic) {
        Ok(topic) if topic.thing != thing.id.name.as_str() => return unasked(&format!("a message of another thing, on {topic}")),
        Ok(topic) if topic.namespace != agent.namespace().map(NamespaceId::as_str) => {
            return unasked(&format!("a message about jobs of another namespace, on {topic}"));
        }
        Ok(topic) => topic,
        // The answer to what was published on a topic that is no operation (PROTOCOL 8).
        Err(TopicError::InvalidOperation { thing: name }) if name == thing.id.name.as_str() && topic.ends_with("/rejected") => {
            return deliver_answer(
                thing,
                agent,
                RequestKind::Update,
                salvage::read_reply(RequestKind::Update, false, payload),
                now,
            );
        }
        Err(error) => return unasked(&error.to_string()),
    };
    match topic.kind {
        TopicKind::Accepted(request) | TopicKind::Rejected(request) => {
            let (kind, is_accepted) = (request.kind(), matches!(topic.kind, TopicKind::Accepted(_)));
            deliver_answer(thing, agent, kind, salvage::read_reply(kind, is_accepted, payload), now);
        }
        TopicKind::NotifyNext | TopicKind::Notify => {
            let reading = salvage::read_notification(topic.kind == TopicKind::NotifyNext, payload);
            if let Ok(notification) = understood(thing, MessageKind::Notification, now, reading) {
                agent.handle_notification(&notification, now);
            }
        }
        TopicKind::Request(_) => unasked("a request, sent to a thing"),
    }
}

fn deliver_answer<O: Observer>(thing: Member<'_, O>, agent: &mut JobsAgent, kind: RequestKind, reading: Reading<Reply>, now: Mono) {
    match understood(thing, MessageKind::Answer(kind), now, reading) {
        Ok(reply) => agent.handle_reply(kind, reply, now),
        Err(client_token) => agent.handle_unreadable(kind, client_token.as_ref(), now),
    }
}

/// A publish that was not acknowledged, of a session that is gone for good. What is under way when the run itself ends the session stays open.
pub(crate) fn emit_session_lost<O: Observer>(thing: Member<'_, O>, publish: Published) {
    emit_end(thing, publish, clock::mono(), PublishEnd::SessionLost);
}

fn emit_end<O: Observer>(thing: Member<'_, O>, publish: Published, at: Mono, end: PublishEnd) {
    thing.emit(SessionEvent::PublishEnded { publish, at, end });
}
