//! Messages as they are kept between a publisher and those who hear it.

use iot_jobs::instant::Mono;
use rmqtt_codec::types::QoS;
use std::time::Duration;

/// A message, shared by all who are to get it.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) topic: Box<str>,
    pub(super) payload: Box<[u8]>,
    pub(super) qos: QoS,
    /// As published: a message for others, or one to be kept for later subscribers too.
    pub(super) retain: bool,
    /// What MQTT 5 passes on with it, as on the wire; the expiry apart, since it shrinks.
    pub(super) properties: Box<[u8]>,
    pub(super) expires: Option<Mono>,
}

impl Message {
    /// One of the service's own: at QoS 1, for whoever subscribed (inferred; PROTOCOL 4, table QoS).
    pub(super) fn of_service(topic: impl Into<Box<str>>, payload: Vec<u8>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: Box::default(),
            expires: None,
        }
    }

    pub(super) fn is_expired(&self, now: Mono) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// What is left of its life, in seconds, at least one.
    pub(super) fn expiry_seconds(&self, now: Mono) -> Option<u32> {
        self.expires.map(|at| u32::try_from(at.since(now).as_secs()).unwrap_or(u32::MAX).max(1))
    }
}

/// What is to be published when a client goes without a word.
#[derive(Debug)]
pub(super) struct Will {
    pub(super) topic: Box<str>,
    pub(super) payload: Box<[u8]>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) properties: Box<[u8]>,
    pub(super) expiry: Option<Duration>,
    /// How long the client may take to come back before it is published.
    pub(super) delay: Duration,
}

impl Will {
    pub(super) fn into_message(self, now: Mono) -> Message {
        Message {
            topic: self.topic,
            payload: self.payload,
            qos: self.qos,
            retain: self.retain,
            properties: self.properties,
            expires: self.expiry.map(|expiry| now + expiry),
        }
    }
}
