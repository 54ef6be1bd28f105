//! What a thing hears and says, whatever the version on the wire.

use super::v3;
use crate::jobs::limits;
use crate::transport::error::Failure;
use bytes::{Bytes, BytesMut};
use std::time::Duration;

/// The largest packet taken: AWS's payload limit, a topic, a header.
pub(super) const PACKET_BYTES_MAX: usize = limits::PAYLOAD_BYTES_MAX + limits::TOPIC_BYTES_MAX + 8;

/// How a session's packets are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1.
    V3,
}

/// A packet of the endpoint. What it may not send, and a CONNACK that refuses, are failures instead.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet {
    ConnAck(ConnAck),
    Publish(Publish),
    PubAck {
        id: u16,
    },
    /// For each filter, whether it was granted.
    SubAck {
        id: u16,
        granted: Vec<bool>,
    },
    PingResp,
    /// Something that needs no attention.
    Other,
}

/// What an endpoint promises when it accepts a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnAck {
    pub session_present: bool,
}

/// A message of the endpoint, at QoS 0 or 1.
#[derive(Debug, PartialEq, Eq)]
pub struct Publish {
    /// At QoS 1.
    pub id: Option<u16>,
    pub topic: String,
    pub payload: Bytes,
}

impl Publish {
    /// # Errors
    /// When no endpoint may send it.
    pub(super) fn checked(id: Option<u16>, topic: String, payload: Bytes) -> Result<Self, Failure> {
        if topic.contains(['#', '+']) {
            return Err(Failure::Protocol(format!("wildcard in the topic {topic:?}")));
        }
        Ok(Self { id, topic, payload })
    }
}

/// CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    pub client_id: &'a str,
    pub keep_alive: Duration,
}

impl Connect<'_> {
    /// Seconds, as the packet has them.
    pub(super) fn keep_alive_seconds(&self) -> u16 {
        u16::try_from(self.keep_alive.as_secs()).unwrap_or(u16::MAX)
    }
}

impl Version {
    /// Reads the next packet, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the bytes are no packet of this version that an endpoint may send, or one over the size limit, or a refusal.
    pub fn read(self, bytes: &mut BytesMut) -> Result<Option<Packet>, Failure> {
        match self {
            Self::V3 => v3::read(bytes),
        }
    }

    pub fn write_connect(self, connect: &Connect<'_>, out: &mut BytesMut) {
        match self {
            Self::V3 => v3::write_connect(connect, out),
        }
    }

    /// SUBSCRIBE at QoS 1.
    pub(super) fn write_subscribe(self, id: u16, filters: impl IntoIterator<Item = String>, out: &mut BytesMut) {
        match self {
            Self::V3 => v3::write_subscribe(id, filters, out),
        }
    }

    /// PUBLISH at QoS 1.
    pub(super) fn write_publish(self, id: u16, topic: String, payload: Vec<u8>, out: &mut BytesMut) {
        match self {
            Self::V3 => v3::write_publish(id, topic, payload, out),
        }
    }

    /// PUBLISH at QoS 0.
    pub(super) fn write_message(self, topic: &str, payload: &[u8], out: &mut BytesMut) {
        match self {
            Self::V3 => v3::write_message(topic, payload, out),
        }
    }

    /// PUBACK: a success has the same form in every version.
    pub(super) fn write_puback(self, id: u16, out: &mut BytesMut) {
        let [high, low] = id.to_be_bytes();
        out.extend_from_slice(&[0x40, 2, high, low]);
    }

    pub(super) fn write_pingreq(self, out: &mut BytesMut) {
        out.extend_from_slice(&[0xc0, 0]);
    }

    /// An orderly DISCONNECT.
    pub fn write_disconnect(self, out: &mut BytesMut) {
        out.extend_from_slice(&[0xe0, 0]);
    }
}
