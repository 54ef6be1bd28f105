//! The server side of an MQTT 3.1.1 session, without IO: what each packet means, and what is answered (spec section 13).

use crate::emulator::filter;
use crate::emulator::quotas::ConnectionMeter;
use crate::emulator::request_log::Answered;
use crate::emulator::service::Service;
use crate::emulator::sessions::{Delayed, Delivery, Epoch, LateAnswer, Push};
use crate::emulator::shape::Fate;
use crate::jobs::{ErrorCode, Rejection, Reply, ThingName, limits};
use crate::wire::payload;
use crate::wire::topic::{RequestTopic, Topic, TopicError, TopicKind};
use bytes::BytesMut;
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::v3::{Codec, Packet, SubscribeReturnCode};
use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::time::Duration;
use tokio::sync::mpsc::WeakSender;
use tokio_util::codec::Encoder;

/// QoS 1 messages a client has not acknowledged; more are held back (spec section 15.2).
const UNACKNOWLEDGED_MAX: usize = 100;
/// Messages held back for one client. A client that is further behind is slow, and is disconnected.
const HELD_BACK_MAX: usize = 1_000;
const RESERVED_PREFIX: &str = "$aws/";

/// Why the door ends a connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Close {
    #[error("the client disconnected")]
    Disconnected,
    #[error("the client broke the protocol: {0}")]
    Protocol(&'static str),
    #[error("not authorized: {0}")]
    NotAuthorized(&'static str),
    #[error("the client does not acknowledge its messages")]
    Slow,
}

struct Subscription {
    filter: Box<str>,
    qos: QoS,
}

/// One session, from CONNACK to its end.
pub(crate) struct Session {
    thing: ThingName,
    epoch: Epoch,
    /// Where requests that have to wait come back.
    later: WeakSender<Delivery>,
    subscriptions: Vec<Subscription>,
    last_id: u16,
    unacknowledged: Vec<NonZeroU16>,
    held_back: VecDeque<Push>,
    /// Present where connections have quotas.
    meter: Option<Box<ConnectionMeter>>,
    /// Requests whose answers are about to leave, where a log wants to know.
    answered: Vec<Answered>,
}

/// QoS of an answer: as granted to a matching subscription, else as the request had it (inferred; spec section 4, table QoS).
fn answer_qos(request: QoS, subscription: Option<QoS>) -> QoS {
    subscription.unwrap_or(request).less_value(QoS::AtLeastOnce)
}

impl Session {
    pub(crate) fn new(thing: ThingName, epoch: Epoch, later: WeakSender<Delivery>, meter: Option<Box<ConnectionMeter>>) -> Self {
        Self {
            thing,
            epoch,
            later,
            subscriptions: Vec::new(),
            last_id: 0,
            unacknowledged: Vec::new(),
            held_back: VecDeque::new(),
            meter,
            answered: Vec::new(),
        }
    }

    pub(crate) fn thing(&self) -> &ThingName {
        &self.thing
    }

    /// Handles one packet; what is to be answered is written to `out`.
    ///
    /// # Errors
    /// When the connection must end.
    pub(crate) fn handle(&mut self, packet: Packet, service: &Service, out: &mut BytesMut) -> Result<(), Close> {
        match packet {
            Packet::Publish(publish) => self.handle_publish(&publish, service, out),
            Packet::PublishAck { packet_id } => {
                if let Some(position) = self.unacknowledged.iter().position(|id| *id == packet_id) {
                    self.unacknowledged.swap_remove(position);
                }
                if let Some(push) = self.held_back.pop_front() {
                    self.send(&push, service, out)?;
                }
                Ok(())
            }
            Packet::Subscribe { packet_id, topic_filters } => {
                if topic_filters.is_empty() {
                    return Err(Close::Protocol("SUBSCRIBE without a filter"));
                }
                if topic_filters.len() > limits::FILTERS_PER_SUBSCRIBE_MAX {
                    return Err(Close::Protocol("more than 8 filters in a SUBSCRIBE"));
                }
                // QoS 2 gets silence (spec section 2, fact 22).
                if topic_filters.iter().any(|(_, qos)| *qos == QoS::ExactlyOnce) {
                    return Ok(());
                }
                let within_rate = service.shape.subscribe(topic_filters.len());
                let subscriptions_max = service.shape.subscriptions();
                let mut status = Vec::with_capacity(topic_filters.len());
                for (filter, qos) in topic_filters.iter().take(within_rate) {
                    status.push(self.subscribe(filter, *qos, subscriptions_max));
                }
                status.resize(topic_filters.len(), SubscribeReturnCode::Failure);
                self.tell_subscriptions(service);
                encode(Packet::SubscribeAck { packet_id, status }, out);
                Ok(())
            }
            Packet::Unsubscribe { packet_id, topic_filters } => {
                self.subscriptions.retain(|subscription| !topic_filters.iter().any(|filter| **filter == *subscription.filter));
                self.tell_subscriptions(service);
                encode(Packet::UnsubscribeAck { packet_id }, out);
                Ok(())
            }
            Packet::PingRequest => {
                encode(Packet::PingResponse, out);
                Ok(())
            }
            Packet::Disconnect => Err(Close::Disconnected),
            Packet::Connect(_) => Err(Close::Protocol("a second CONNECT")),
            _ => Err(Close::Protocol("a packet that is not supported, or not a client's")),
        }
    }

    /// What others have for this session.
    ///
    /// # Errors
    /// When the client is too far behind.
    pub(crate) fn deliver(&mut self, delivery: Delivery, service: &Service, out: &mut BytesMut) -> Result<(), Close> {
        match delivery {
            Delivery::Message(push) => self.push(push, service, out),
            Delivery::Request(delayed) => self.answer(*delayed, service, out),
            Delivery::Answer(answer) => self.send_answer(*answer, service, out),
        }
    }

    /// How long the connection has to rest, after `bytes` in and out.
    pub(crate) fn rest(&mut self, bytes: usize, service: &Service) -> Duration {
        self.meter.as_deref_mut().map_or(Duration::ZERO, |meter| service.shape.rest(meter, bytes))
    }

    /// What was written to `out` has left.
    pub(crate) fn handle_written(&mut self, service: &Service) {
        if !self.answered.is_empty() {
            service.log_requests(&self.thing, &std::mem::take(&mut self.answered));
        }
    }

    /// A message of the service, for a topic this session may be subscribed to.
    fn push(&mut self, push: Push, service: &Service, out: &mut BytesMut) -> Result<(), Close> {
        if self.unacknowledged.len() < UNACKNOWLEDGED_MAX {
            return self.send(&push, service, out);
        }
        if self.held_back.len() >= HELD_BACK_MAX {
            return Err(Close::Slow);
        }
        self.held_back.push_back(push);
        Ok(())
    }

    /// The session has ended.
    pub(crate) fn end(&self, service: &Service) {
        if service.sessions.end(&self.thing, self.epoch) {
            service.call(|engine, _| engine.handle_subscription(&self.thing, false, false));
        }
    }

    fn send(&mut self, push: &Push, service: &Service, out: &mut BytesMut) -> Result<(), Close> {
        match self.granted(&push.topic) {
            Some(qos) => self.publish(push, qos.less_value(QoS::AtLeastOnce), service, out),
            // It was unsubscribed meanwhile.
            None => Ok(()),
        }
    }

    fn handle_publish(&mut self, publish: &Publish, service: &Service, out: &mut BytesMut) -> Result<(), Close> {
        if publish.qos == QoS::ExactlyOnce {
            return Ok(());
        }
        // What is over a quota is discarded without a PUBACK (inferred; spec section 13.5).
        if !service.shape.admits(self.meter.as_deref_mut()) {
            return Ok(());
        }
        if !filter::is_valid_topic(&publish.topic) {
            return Err(Close::Protocol("a topic with a wildcard, too long or too deep"));
        }
        if publish.payload.len() > limits::PAYLOAD_BYTES_MAX {
            return Err(Close::Protocol("a payload over 128 KB"));
        }
        if let Some(packet_id) = publish.packet_id {
            encode(Packet::PublishAck { packet_id }, out);
        }
        if !publish.topic.starts_with(RESERVED_PREFIX) {
            service.sessions.route(&publish.topic, &publish.payload);
            return Ok(());
        }
        if publish.retain {
            return Err(Close::Protocol("RETAIN on a reserved topic"));
        }
        match Topic::parse(&publish.topic) {
            Ok(Topic { thing, .. }) | Err(TopicError::InvalidOperation { thing }) if thing != self.thing.as_str() => {
                return Err(Close::NotAuthorized("a topic of another thing"));
            }
            Ok(_) | Err(TopicError::InvalidOperation { .. }) => {}
            Err(TopicError::NotJobs) => return Err(Close::Protocol("a reserved topic that does not exist")),
        }
        let kind = request_topic(&publish.topic).map(RequestTopic::kind);
        let received = crate::clock::mono();
        let (due, refusal) = match service.shape.request(&self.thing, kind, received) {
            Fate::Handle { due, refusal } => (due, refusal),
            Fate::Drop => return Ok(()),
        };
        let request = Delayed { publish: publish.clone(), received, refusal };
        match due {
            Some(due) => {
                service.shape.later(due, &self.later, Delivery::Request(Box::new(request)));
                Ok(())
            }
            None => self.answer(request, service, out),
        }
    }

    /// Asks the engine, and answers straight to this connection.
    fn answer(&mut self, request: Delayed, service: &Service, out: &mut BytesMut) -> Result<(), Close> {
        let Delayed { publish, received, refusal } = request;
        let topic = request_topic(&publish.topic);
        let reply = match topic {
            Some(topic) => answer(&self.thing, topic, &publish.payload, refusal, service),
            None => invalid_topic(),
        };
        let answered = service.logs_requests().then(|| Answered::new(received, topic.map(RequestTopic::kind), &reply));
        // Where an InvalidTopic answer goes is inferred: the request topic plus /rejected.
        let leg = if reply.result.is_ok() { "accepted" } else { "rejected" };
        let push = Push { topic: format!("{}/{leg}", publish.topic).into(), payload: payload::encode_reply(&reply).into() };
        let answer = LateAnswer { push, qos: publish.qos, answered };
        match service.shape.answer(&self.thing) {
            Some(due) => {
                service.shape.later(due, &self.later, Delivery::Answer(Box::new(answer)));
                Ok(())
            }
            None => self.send_answer(answer, service, out),
        }
    }

    fn send_answer(&mut self, answer: LateAnswer, service: &Service, out: &mut BytesMut) -> Result<(), Close> {
        let LateAnswer { push, qos, answered } = answer;
        self.answered.extend(answered);
        let qos = answer_qos(qos, self.granted(&push.topic));
        self.publish(&push, qos, service, out)
    }

    /// A message over the connection's rate is discarded (spec section 13.5).
    fn publish(&mut self, push: &Push, qos: QoS, service: &Service, out: &mut BytesMut) -> Result<(), Close> {
        if !service.shape.lets_out(self.meter.as_deref_mut()) {
            return Ok(());
        }
        let packet_id = match qos {
            QoS::AtMostOnce => None,
            _ if self.unacknowledged.len() >= u16::MAX as usize / 2 => return Err(Close::Slow),
            _ => {
                let id = self.next_id();
                self.unacknowledged.push(id);
                Some(id)
            }
        };
        let publish = Publish {
            dup: false,
            retain: false,
            qos,
            topic: (&*push.topic).into(),
            packet_id,
            payload: bytes::Bytes::copy_from_slice(&push.payload),
            properties: None,
        };
        encode(publish.into(), out);
        Ok(())
    }

    /// One filter of a SUBSCRIBE: another thing's topics, a malformed filter or the 51st subscription get the failure code, and the
    /// connection stays (inferred; spec section 13.3).
    fn subscribe(&mut self, filter: &str, qos: QoS, subscriptions_max: usize) -> SubscribeReturnCode {
        if !filter::is_valid_filter(filter) || !self.may_subscribe(filter) {
            return SubscribeReturnCode::Failure;
        }
        let is_full = self.subscriptions.len() >= subscriptions_max;
        let known = self.subscriptions.iter_mut().find(|subscription| &*subscription.filter == filter);
        match known {
            Some(subscription) => subscription.qos = qos,
            None if is_full => return SubscribeReturnCode::Failure,
            None => self.subscriptions.push(Subscription { filter: filter.into(), qos }),
        }
        SubscribeReturnCode::Success(qos)
    }

    /// What the usual policy of spec section 14 allows: the thing's own job topics, and topics that are not reserved.
    fn may_subscribe(&self, filter: &str) -> bool {
        match filter.strip_prefix("$aws/things/").and_then(|rest| rest.split_once('/')) {
            Some((thing, rest)) => thing == self.thing.as_str() && rest.starts_with("jobs/"),
            None => !filter.starts_with('$'),
        }
    }

    fn granted(&self, topic: &str) -> Option<QoS> {
        self.subscriptions.iter().filter(|subscription| filter::matches(&subscription.filter, topic)).map(|s| s.qos).max()
    }

    fn tell_subscriptions(&self, service: &Service) {
        // A session that was taken over has nothing to say any more.
        if !service.sessions.is_current(&self.thing, self.epoch) {
            return;
        }
        let hears = |kind| self.granted(&Topic { thing: self.thing.as_str(), kind }.to_string()).is_some();
        let (notify, notify_next) = (hears(TopicKind::Notify), hears(TopicKind::NotifyNext));
        service.call(|engine, _| engine.handle_subscription(&self.thing, notify, notify_next));
        let ordinary = self.subscriptions.iter().map(|s| s.filter.clone()).filter(|filter| !filter.starts_with(RESERVED_PREFIX));
        service.sessions.set_ordinary_filters(&self.thing, ordinary.collect());
    }

    fn next_id(&mut self) -> NonZeroU16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if let Some(id) = NonZeroU16::new(self.last_id).filter(|id| !self.unacknowledged.contains(id)) {
                return id;
            }
        }
    }
}

fn request_topic(topic: &str) -> Option<RequestTopic<'_>> {
    match Topic::parse(topic) {
        Ok(Topic { kind: TopicKind::Request(request), .. }) => Some(request),
        _ => None,
    }
}

fn answer(thing: &ThingName, request: RequestTopic<'_>, payload: &[u8], injected: Option<Rejection>, service: &Service) -> Reply {
    match (payload::parse_request(request, payload), injected) {
        (Ok(request), Some(rejection)) => refuse(request.client_token, rejection),
        (Ok(request), None) => service.request(thing, &request),
        (Err(refusal), _) => refuse(refusal.client_token, refusal.rejection),
    }
}

fn invalid_topic() -> Reply {
    refuse(None, Rejection::new(ErrorCode::InvalidTopic, "no operation of AWS IoT Jobs has this topic"))
}

fn refuse(client_token: Option<crate::jobs::ClientToken>, rejection: Rejection) -> Reply {
    Reply { client_token, timestamp: crate::clock::now().epoch_seconds(), result: Err(rejection) }
}

pub(super) fn encode(packet: Packet, out: &mut BytesMut) {
    Codec::default()
        .encode(packet, out)
        .expect("the packets of this door are below the protocol's limits, with ids where they belong");
}
