//! What a thing hears and says, whatever the version on the wire.

use super::{v3, v5};
use crate::error::Failure;
use bytes::{Bytes, BytesMut};
use iot_jobs::limits;
use std::time::Duration;

/// How a session's packets are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1.
    V3,
    /// MQTT 5.
    V5,
}

/// A packet of the endpoint. What it may not send, a CONNACK that refuses, and a DISCONNECT are failures instead.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet {
    /// CONNACK that accepts.
    ConnAck(ConnAck),
    /// PUBLISH at QoS 0 or 1.
    Publish(Publish),
    /// `refusal` where the message was not taken.
    PubAck {
        /// Of the PUBLISH.
        id: u16,
        /// Why not.
        refusal: Option<&'static str>,
    },
    /// SUBACK.
    SubAck(SubAck),
    /// PINGRESP.
    PingResp,
    /// Something that needs no attention.
    Other,
}

/// What an endpoint promises when it accepts a connection. What MQTT 3.1.1 cannot say has the value that means the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnAck {
    /// Whether the endpoint goes on with a session from before.
    pub session_present: bool,
    /// The endpoint's, instead of the one that was asked for; zero for none at all.
    pub keep_alive: Option<Duration>,
    /// Publishes of QoS 1 it takes without having acknowledged them.
    pub receive_max: u16,
    /// The largest packet it takes.
    pub packet_bytes_max: u32,
}

impl ConnAck {
    /// Nothing is limited.
    pub(super) const PLAIN: Self =
        Self { session_present: false, keep_alive: None, receive_max: u16::MAX, packet_bytes_max: u32::MAX };
}

/// SUBACK.
#[derive(Debug, PartialEq, Eq)]
pub struct SubAck {
    /// Of the SUBSCRIBE.
    pub id: u16,
    /// For each filter, whether it was granted.
    pub granted: Vec<bool>,
    /// Why the first of those that were not granted was not.
    pub refusal: Option<&'static str>,
}

impl SubAck {
    /// From what was said of each filter.
    pub(super) fn new(id: u16, said: impl IntoIterator<Item = Option<&'static str>>) -> Self {
        let mut refusal = None;
        let granted = said.into_iter().map(|refused| {
            refusal = refusal.or(refused);
            refused.is_none()
        });
        let granted = granted.collect();
        Self { id, granted, refusal }
    }
}

/// A message of the endpoint, at QoS 0 or 1.
#[derive(Debug, PartialEq, Eq)]
pub struct Publish {
    /// At QoS 1.
    pub id: Option<u16>,
    /// A name, without wildcards.
    pub topic: String,
    /// Of the message.
    pub payload: Bytes,
}

impl Publish {
    /// # Errors
    /// When no endpoint may send it.
    pub(super) fn checked(id: Option<u16>, topic: String, payload: Bytes) -> Result<Self, Failure> {
        if topic.is_empty() {
            return Err(Failure::Protocol("a PUBLISH without a topic".into()));
        }
        if topic.contains(['#', '+']) {
            return Err(Failure::Protocol(format!("wildcard in the topic {topic:?}")));
        }
        Ok(Self { id, topic, payload })
    }
}

/// CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The thing name, where AWS is to take it (PROTOCOL 13.2).
    pub client_id: &'a str,
    /// In whole seconds on the wire, 65,535 at most.
    pub keep_alive: Duration,
    /// Whether the session ends with the connection, and does not go on from an earlier one.
    pub clean: bool,
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
            Self::V5 => v5::read(bytes),
        }
    }

    /// CONNECT.
    pub fn write_connect(self, connect: &Connect<'_>, out: &mut BytesMut) {
        match self {
            Self::V3 => v3::write_connect(connect, out),
            Self::V5 => v5::write_connect(connect, out),
        }
    }

    /// SUBSCRIBE at QoS 1.
    pub(super) fn write_subscribe(self, id: u16, filters: impl IntoIterator<Item = String>, out: &mut BytesMut) {
        match self {
            Self::V3 => v3::write_subscribe(id, filters, out),
            Self::V5 => v5::write_subscribe(id, filters, out),
        }
    }

    /// PUBLISH, at QoS 1 where it has an id.
    pub(super) fn write_publish(self, id: Option<u16>, topic: String, payload: Vec<u8>, out: &mut BytesMut) {
        match self {
            Self::V3 => v3::write_publish(id, topic, payload, out),
            Self::V5 => v5::write_publish(id, topic, payload, out),
        }
    }

    /// PUBACK: a success has the same form in every version.
    pub(super) fn write_puback(self, id: u16, out: &mut BytesMut) {
        let [high, low] = id.to_be_bytes();
        out.extend_from_slice(&[PUBACK, 2, high, low]);
    }

    pub(super) fn write_pingreq(self, out: &mut BytesMut) {
        out.extend_from_slice(&[0xc0, 0]);
    }

    /// An orderly DISCONNECT.
    pub fn write_disconnect(self, out: &mut BytesMut) {
        out.extend_from_slice(&[DISCONNECT, 0]);
    }
}

/// Type and flags of packets.
pub(super) const CONNACK: u8 = 0x20;
pub(super) const PUBACK: u8 = 0x40;
pub(super) const SUBACK: u8 = 0x90;
pub(super) const UNSUBACK: u8 = 0xb0;
pub(super) const PINGRESP: u8 = 0xd0;
pub(super) const DISCONNECT: u8 = 0xe0;
/// Its flags vary.
pub(super) const PUBLISH_TYPE: u8 = 0x30;
/// A PUBLISH that may have come before.
pub(super) const DUP: u8 = 0b1000;

const LENGTH_BYTES_MAX: usize = 4;

/// The largest packet taken, MQTT 5's properties included.
pub(super) const PACKET_BYTES_MAX: usize = limits::PACKET_BYTES_MAX;

/// A packet as bytes, complete.
pub(super) struct Frame<'a> {
    /// Type and flags.
    pub(super) first: u8,
    pub(super) body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The packet at the front, when it is complete.
    ///
    /// # Errors
    /// When it is none, or over the size limit.
    pub(super) fn first(bytes: &'a [u8]) -> Result<Option<Self>, Failure> {
        let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
        let mut length = 0;
        for (n, byte) in rest.iter().take(LENGTH_BYTES_MAX).enumerate() {
            length |= usize::from(byte & 0x7f) << (7 * n);
            if byte & 0x80 == 0 {
                let header = n + 2;
                if header + length > PACKET_BYTES_MAX {
                    return Err(Failure::Protocol(format!("a packet of {length} bytes, over the limit of {PACKET_BYTES_MAX}")));
                }
                return Ok(bytes.get(header..header + length).map(|body| Self { first, body }));
            }
        }
        if rest.len() < LENGTH_BYTES_MAX { Ok(None) } else { Err(Failure::Protocol("a length of more than four bytes".into())) }
    }
}

/// What no endpoint may send now.
pub(super) fn unexpected(first: u8) -> Failure {
    const NAMES: [&str; 16] = [
        "a packet of type 0",
        "CONNECT",
        "CONNACK",
        "PUBLISH",
        "PUBACK",
        "PUBREC",
        "PUBREL",
        "PUBCOMP",
        "SUBSCRIBE",
        "SUBACK",
        "UNSUBSCRIBE",
        "UNSUBACK",
        "PINGREQ",
        "PINGRESP",
        "DISCONNECT",
        "AUTH",
    ];
    Failure::Protocol(format!("unexpected {}", NAMES[usize::from(first >> 4)]))
}
