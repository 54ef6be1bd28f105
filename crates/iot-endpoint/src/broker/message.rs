//! Messages as they are kept between a publisher and those who hear it.

use iot_jobs::instant::Mono;
use rmqtt_codec::types::QoS;
use std::time::Duration;

/// What keeping a message takes besides its text: itself, and its place in lists and maps.
const OVERHEAD_BYTES: usize = 256;

/// A message, shared by all who are to get it.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) topic: Box<str>,
    pub(crate) payload: Box<[u8]>,
    pub(crate) qos: QoS,
    /// As published: a message for others, or one to be kept for later subscribers too.
    pub(crate) retain: bool,
    /// What MQTT 5 passes on with it, as on the wire; the expiry apart, since it shrinks.
    pub(crate) properties: Box<[u8]>,
    pub(crate) expires: Option<Mono>,
}

impl Message {
    /// One of the service's own: at QoS 1, for whoever subscribed (inferred; PROTOCOL 4, table QoS).
    pub(crate) fn of_service(topic: impl Into<Box<str>>, payload: Vec<u8>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: Box::default(),
            expires: None,
        }
    }

    /// What it takes to keep it.
    pub(crate) fn bytes(&self) -> usize {
        OVERHEAD_BYTES + self.topic.len() + self.payload.len() + self.properties.len()
    }

    pub(crate) fn is_expired(&self, now: Mono) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// What is left of its life, in seconds, at least one.
    pub(crate) fn expiry_seconds(&self, now: Mono) -> Option<u32> {
        self.expires.map(|at| u32::try_from(at.since(now).as_secs()).unwrap_or(u32::MAX).max(1))
    }
}

/// What is to be published when a client goes without a word.
#[derive(Debug)]
pub(crate) struct Will {
    pub(crate) topic: Box<str>,
    pub(crate) payload: Box<[u8]>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) properties: Box<[u8]>,
    pub(crate) expiry: Option<Duration>,
    /// How long the client may take to come back before it is published.
    pub(crate) delay: Duration,
}

impl Will {
    pub(crate) fn into_message(self, now: Mono) -> Message {
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
