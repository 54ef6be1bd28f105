//! A client's messages: requests to the service, and what it has for others.

use super::super::filter;
use super::super::message::Message;
use super::super::packet::{Close, OVERSIZED, Reason, Version};
use super::super::v5;
use super::{Effect, Session};
use bytes::BytesMut;
use iot_jobs::instant::Mono;
use iot_jobs::wire::topic::{RequestTopic, Topic, TopicError, TopicKind};
use iot_jobs::{RequestKind, ThingName, limits};
use iot_policy::Action;
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::v5::PublishProperties;
use std::num::NonZeroU16;
use std::time::Duration;

/// Topics by their numbers, from 1.
#[derive(Default)]
pub(super) struct Aliases([Option<Box<str>>; limits::TOPIC_ALIASES_MAX as usize]);

/// A message on one of a thing's topics of AWS IoT Jobs: which thing's, its policies say.
#[derive(Debug)]
pub(crate) struct JobsRequest {
    pub(crate) thing: ThingName,
    /// Which operation is asked for; `None` where none has the topic.
    pub(crate) kind: Option<RequestKind>,
    publish: Box<Publish>,
    /// When it came.
    pub(crate) received: Mono,
}

impl JobsRequest {
    /// Which operation is asked for, and of which namespace's jobs, absent for those without one; `None` where no operation has the topic.
    pub(crate) fn topic(&self) -> Option<(RequestTopic<'_>, Option<&str>)> {
        match Topic::parse(&self.publish.topic) {
            Ok(Topic { kind: TopicKind::Request(request), namespace, .. }) => Some((request, namespace)),
            _ => None,
        }
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.publish.payload
    }

    /// Where an `InvalidTopic` answer goes is inferred: the request topic plus `/rejected`.
    pub(crate) fn answer(&self, is_accepted: bool, payload: Vec<u8>) -> Answer {
        let leg = if is_accepted { "accepted" } else { "rejected" };
        Answer { topic: [&*self.publish.topic, "/", leg].concat(), payload, requested_qos: self.publish.qos }
    }
}

/// The service's answer to a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    requested_qos: QoS,
}

/// QoS of an answer: as granted to a matching subscription, else as the request had it (inferred; PROTOCOL 4, table QoS).
fn answer_qos(request: QoS, subscription: Option<QoS>) -> QoS {
    subscription.unwrap_or(request).less_value(QoS::AtLeastOnce)
}

impl Session<'_> {
    /// A PUBLISH came in (PROTOCOL 13.5).
    pub(super) fn handle_publish(&mut self, mut publish: Box<Publish>, now: Mono, out: &mut BytesMut) -> Result<Effect, Close> {
        if publish.qos == QoS::ExactlyOnce {
            return self.refuse_qos_2();
        }
        // An alias is known from now on, whatever becomes of this message.
        self.resolve_alias(&mut publish)?;
        if !self.meters.inbound(self.meter.as_deref_mut(), now) {
            self.refuse_throttled(publish.packet_id, out);
            return Ok(Effect::None);
        }
        check(&publish)?;
        let requested = self.requested(&publish)?;
        if !self.may_publish(&publish) {
            return self.refuse_unauthorized(publish.packet_id, out);
        }
        let Some((thing, kind)) = requested else {
            return Ok(Effect::Publish { id: publish.packet_id, message: message(&publish, now) });
        };
        self.acknowledge(publish.packet_id, Reason::Success, out);
        Ok(Effect::Request(JobsRequest { thing, kind, publish, received: now }))
    }

    /// The thing whose reserved topic it is, and which operation has that; `None`: a topic that is not reserved.
    fn requested(&self, publish: &Publish) -> Result<Option<(ThingName, Option<RequestKind>)>, Close> {
        let not_there = Close::Refused(Reason::TopicInvalid, "a reserved topic that does not exist");
        if !filter::is_reserved(&publish.topic) {
            return Ok(None);
        }
        if publish.retain {
            return Err(Close::protocol("RETAIN on a reserved topic"));
        }
        let (thing, kind) = match Topic::parse(&publish.topic) {
            Ok(Topic { thing, kind: TopicKind::Request(request), .. }) => (thing, Some(request.kind())),
            Ok(Topic { thing, .. }) | Err(TopicError::InvalidOperation { thing }) => (thing, None),
            Err(TopicError::NotJobs) => return Err(not_there),
        };
        let thing = match &self.thing {
            Some(own) if own.as_str() == thing => own.clone(),
            _ => ThingName::new(thing).map_err(|_| not_there)?,
        };
        Ok(Some((thing, kind)))
    }

    fn may_publish(&mut self, publish: &Publish) -> bool {
        self.permissions.may(Action::Publish, &publish.topic)
            && (!publish.retain || self.permissions.may(Action::RetainPublish, &publish.topic))
    }

    /// At QoS 1 an MQTT 5 client gets a PUBACK and stays; otherwise the connection ends (PROTOCOL-CORE 1.9).
    fn refuse_unauthorized(&self, id: Option<NonZeroU16>, out: &mut BytesMut) -> Result<Effect, Close> {
        if self.version == Version::V5 && id.is_some() {
            self.acknowledge(id, Reason::NotAuthorized, out);
            return Ok(Effect::None);
        }
        Err(Self::refuse_denied())
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

    /// A message for other clients was routed, or throttled since there was no room to keep it as it wants; then it is answered like what is
    /// over a rate.
    pub(crate) fn handle_published(&mut self, id: Option<NonZeroU16>, is_routed: bool, out: &mut BytesMut) {
        match is_routed {
            true => self.acknowledge(id, Reason::Success, out),
            false => self.refuse_throttled(id, out),
        }
    }

    /// Discarded without a PUBACK; MQTT 5 has a code for it (inferred; PROTOCOL 13.5).
    fn refuse_throttled(&self, id: Option<NonZeroU16>, out: &mut BytesMut) {
        if self.version == Version::V5 {
            self.acknowledge(id, Reason::Quota, out);
        }
    }

    /// The answer to a request, straight to the connection that asked.
    ///
    /// # Errors
    /// When the client is too far behind.
    pub(crate) fn handle_answer(&mut self, answer: Answer, now: Mono, out: &mut BytesMut) -> Result<(), Close> {
        if !self.permissions.may(Action::Receive, &answer.topic) || !self.lets_out(now) {
            return Ok(());
        }
        let granted = self.subscriptions.granted(&answer.topic).map(|granted| granted.qos);
        let qos = answer_qos(answer.requested_qos, granted);
        self.outbox.answer(answer, qos, now, out)
    }
}

fn message(publish: &Publish, now: Mono) -> Message {
    let expiry = publish.properties.as_ref().and_then(|properties| properties.message_expiry_interval);
    Message {
        topic: (*publish.topic).into(),
        payload: (*publish.payload).into(),
        qos: publish.qos,
        retain: publish.retain,
        properties: publish.properties.as_ref().map(v5::forwarded).unwrap_or_default(),
        // Longer ones are cut to the limit (inferred).
        expires: expiry.map(|seconds| now + Duration::from_secs(seconds.get().into()).min(limits::MESSAGE_EXPIRY_MAX)),
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
