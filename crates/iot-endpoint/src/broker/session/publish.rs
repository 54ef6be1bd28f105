//! A client's messages: requests to the service, and what it has for others.

use super::super::packet::{Close, OVERSIZED, Outbound, Reason, Version};
use super::super::v5;
use super::Session;
use crate::broker::filter;
use crate::broker::message::Message;
use crate::request_log::Answered;
use crate::service::{Service, refused};
use crate::sessions::{Delayed, Delivery, LateAnswer};
use crate::shape::Fate;
use bytes::BytesMut;
use host::clock;
use iot_jobs::wire::payload;
use iot_jobs::wire::topic::{RequestTopic, Topic, TopicError, TopicKind};
use iot_jobs::{ErrorCode, Rejection, Reply, limits};
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::v5::PublishProperties;
use std::num::NonZeroU16;
use std::time::Duration;

/// Topics by their numbers, from 1.
#[derive(Default)]
pub(super) struct Aliases([Option<Box<str>>; limits::TOPIC_ALIASES_MAX as usize]);

/// Whether an MQTT 5 client that publishes what it may not, at QoS 1, gets a PUBACK and stays. Otherwise, and at QoS 0 where there is
/// no PUBACK, it gets a DISCONNECT (not found which one AWS sends when; PROTOCOL 13.7).
const UNAUTHORIZED_PUBLISH_IS_ACKNOWLEDGED: bool = true;

/// QoS of an answer: as granted to a matching subscription, else as the request had it (inferred; PROTOCOL 4, table QoS).
fn answer_qos(request: QoS, subscription: Option<QoS>) -> QoS {
    subscription.unwrap_or(request).less_value(QoS::AtLeastOnce)
}

impl Session {
    /// A PUBLISH came in (PROTOCOL 13.5).
    pub(super) fn handle_publish(&mut self, mut publish: Box<Publish>, service: &Service, out: &mut BytesMut) -> Result<(), Close> {
        if publish.qos == QoS::ExactlyOnce {
            return self.refuse_qos_2();
        }
        // An alias is known from now on, whatever becomes of this message.
        self.resolve_alias(&mut publish)?;
        // What is over a quota is discarded without a PUBACK; MQTT 5 has a code for it (inferred; PROTOCOL 13.5).
        if !service.shape.admits(self.meter.as_deref_mut()) {
            if self.version == Version::V5 {
                self.acknowledge(publish.packet_id, Reason::Quota, out);
            }
            return Ok(());
        }
        check(&publish)?;
        if !filter::is_reserved(&publish.topic) {
            self.handle_ordinary(&publish, service, out);
            return Ok(());
        }
        if publish.retain {
            return Err(Close::protocol("RETAIN on a reserved topic"));
        }
        match Topic::parse(&publish.topic) {
            Ok(Topic { thing, .. }) | Err(TopicError::InvalidOperation { thing }) if thing != self.thing.as_str() => {
                return self.refuse_unauthorized(publish.packet_id, out);
            }
            Ok(_) | Err(TopicError::InvalidOperation { .. }) => {}
            Err(TopicError::NotJobs) => return Err(Close::Refused(Reason::TopicInvalid, "a reserved topic that does not exist")),
        }
        self.acknowledge(publish.packet_id, Reason::Success, out);
        let kind = request_topic(&publish.topic).map(RequestTopic::kind);
        let received = clock::mono();
        let (due, refusal) = match service.shape.request(&self.thing, kind, received) {
            Fate::Handle { due, refusal } => (due, refusal),
            Fate::Drop => return Ok(()),
        };
        let request = Delayed { publish, received, refusal };
        match due {
            Some(due) => {
                service.shape.later(due, &self.later, Delivery::Request(Box::new(request)));
                Ok(())
            }
            None => self.answer(request, service, out),
        }
    }

    fn acknowledge(&self, id: Option<NonZeroU16>, reason: Reason, out: &mut BytesMut) {
        if let Some(id) = id {
            self.version.encode(&Outbound::PublishAck(id, reason), out);
        }
    }

    fn refuse_unauthorized(&self, id: Option<NonZeroU16>, out: &mut BytesMut) -> Result<(), Close> {
        if self.version == Version::V5 && id.is_some() && UNAUTHORIZED_PUBLISH_IS_ACKNOWLEDGED {
            self.acknowledge(id, Reason::NotAuthorized, out);
            return Ok(());
        }
        Err(Close::Refused(Reason::NotAuthorized, "a topic of another thing"))
    }

    /// MQTT 5: puts the topic in the place of its number, or remembers which number it has.
    fn resolve_alias(&mut self, publish: &mut Publish) -> Result<(), Close> {
        let Some(alias) = publish.properties.as_ref().and_then(|properties| properties.topic_alias) else { return Ok(()) };
        let aliases = self.aliases.get_or_insert_default();
        let Some(known) = aliases.0.get_mut(usize::from(alias.get()) - 1) else {
            return Err(Close::Refused(Reason::AliasInvalid, "a topic alias over 8"));
        };
        if !publish.topic.is_empty() {
            *known = Some((*publish.topic).into());
        } else if let Some(topic) = known {
            publish.topic = (&**topic).into();
        } else {
            return Err(Close::protocol("a topic alias without a topic"));
        }
        Ok(())
    }

    /// A message for other clients.
    fn handle_ordinary(&self, publish: &Publish, service: &Service, out: &mut BytesMut) {
        let expiry = publish.properties.as_ref().and_then(|properties| properties.message_expiry_interval);
        let message = Message {
            topic: (*publish.topic).into(),
            payload: (*publish.payload).into(),
            qos: publish.qos,
            retain: publish.retain,
            properties: publish.properties.as_ref().map(v5::forwarded).unwrap_or_default(),
            expires: expiry.map(|seconds| {
                // Longer ones are cut to the limit (inferred).
                clock::mono() + Duration::from_secs(seconds.get().into()).min(limits::MESSAGE_EXPIRY_MAX)
            }),
        };
        let is_kept = service.sessions.publish(message, Some(&self.thing));
        self.acknowledge(publish.packet_id, if is_kept { Reason::Success } else { Reason::Quota }, out);
    }

    /// Asks the engine, and answers straight to this connection.
    pub(super) fn answer(&mut self, request: Delayed, service: &Service, out: &mut BytesMut) -> Result<(), Close> {
        let Delayed { publish, received, refusal } = request;
        let topic = request_topic(&publish.topic);
        let reply = match topic {
            Some(topic) => service.reply(&self.thing, payload::parse_request(topic, &publish.payload), refusal),
            None => invalid_topic(),
        };
        let answered = service.logs_requests().then(|| Answered::new(received, topic.map(RequestTopic::kind), &reply));
        // Where an InvalidTopic answer goes is inferred: the request topic plus /rejected.
        let leg = if reply.result.is_ok() { "accepted" } else { "rejected" };
        let topic = format!("{}/{leg}", publish.topic);
        let answer = LateAnswer { topic, payload: payload::encode_reply(&reply), qos: publish.qos, answered };
        match service.shape.answer(&self.thing) {
            Some(due) => {
                service.shape.later(due, &self.later, Delivery::Answer(Box::new(answer)));
                Ok(())
            }
            None => self.send_answer(answer, service, out),
        }
    }

    pub(super) fn send_answer(&mut self, answer: LateAnswer, service: &Service, out: &mut BytesMut) -> Result<(), Close> {
        let LateAnswer { topic, payload, qos, answered } = answer;
        self.answered.extend(answered);
        if !self.lets_out(service) {
            return Ok(());
        }
        let qos = answer_qos(qos, self.subscriptions.granted(&topic).map(|granted| granted.qos));
        self.outbox.answer(topic, payload, qos, out)
    }
}

fn request_topic(topic: &str) -> Option<RequestTopic<'_>> {
    match Topic::parse(topic) {
        Ok(Topic { kind: TopicKind::Request(request), .. }) => Some(request),
        _ => None,
    }
}

/// What holds for every message.
fn check(publish: &Publish) -> Result<(), Close> {
    if !filter::is_valid_topic(&publish.topic) {
        return Err(Close::Refused(Reason::TopicInvalid, "a topic that is empty, too long or too deep, or has a wildcard"));
    }
    if publish.payload.len() > limits::PAYLOAD_BYTES_MAX {
        return Err(Close::Refused(OVERSIZED, "a payload over 128 KB"));
    }
    publish.properties.as_ref().map_or(Ok(()), check_properties)
}

fn check_properties(properties: &PublishProperties) -> Result<(), Close> {
    if !properties.subscription_ids.is_empty() {
        return Err(Close::protocol("a subscription identifier in a client's PUBLISH"));
    }
    if properties.response_topic.as_ref().is_some_and(|topic| !filter::is_valid_topic(topic)) {
        return Err(Close::protocol("a response topic that is empty, too long or too deep, or has a wildcard"));
    }
    let user: usize = properties.user_properties.iter().map(|(name, value)| name.len() + value.len()).sum();
    if properties.content_type.as_ref().is_some_and(|text| text.len() > limits::CONTENT_TYPE_BYTES_MAX)
        || properties.correlation_data.as_ref().is_some_and(|data| data.len() > limits::CORRELATION_DATA_BYTES_MAX)
        || user > limits::USER_PROPERTIES_BYTES_MAX
    {
        return Err(Close::Refused(OVERSIZED, "a content type over 256 bytes, or correlation data or user properties over 8 KB"));
    }
    Ok(())
}

fn invalid_topic() -> Reply {
    refused(None, Rejection::new(ErrorCode::InvalidTopic, "no operation of AWS IoT Jobs has this topic"))
}
