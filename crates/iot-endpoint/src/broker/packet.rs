//! What a session hears and says, whatever the version on the wire. MQTT 3.1.1 and 5 are two thin translations of this.

use super::message::Will;
use super::subscriptions::Subscription;
use super::{v3, v5};
use bytes::{BufMut, BytesMut};
use iot_jobs::limits;
use rmqtt_codec::error::DecodeError;
use rmqtt_codec::types::Publish;
use std::num::NonZeroU16;
use std::time::Duration;

/// Which MQTT a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// 3.1.1
    V3,
    V5,
}

/// Reason codes of MQTT 5, of those AWS uses (PROTOCOL 13.6); MQTT 3.1.1 knows but a few of them, by other names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reason {
    /// Also: granted at QoS 0.
    Success = 0x00,
    GrantedQos1 = 0x01,
    Unspecified = 0x80,
    Malformed = 0x81,
    Protocol = 0x82,
    ClientId = 0x85,
    NotAuthorized = 0x87,
    ShuttingDown = 0x8b,
    KeepAlive = 0x8d,
    TakenOver = 0x8e,
    FilterInvalid = 0x8f,
    TopicInvalid = 0x90,
    AliasInvalid = 0x94,
    Quota = 0x97,
    Qos = 0x9b,
    SubscriptionIds = 0xa1,
}

/// Why a session ends its connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Close {
    #[error("the client disconnected")]
    Disconnected,
    #[error("no packet within 1.5 times the keep-alive")]
    KeepAlive,
    #[error("its time is over")]
    Lifetime,
    #[error("{1}")]
    Refused(Reason, &'static str),
    #[error("malformed packet: {0}")]
    Malformed(#[from] DecodeError),
}

impl Close {
    pub(crate) fn protocol(why: &'static str) -> Self {
        Self::Refused(Reason::Protocol, why)
    }

    pub(crate) fn malformed(why: &'static str) -> Self {
        Self::Refused(Reason::Malformed, why)
    }

    /// What an MQTT 5 client is told; nothing where it was the client who said so.
    pub(crate) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Disconnected => None,
            Self::KeepAlive => Some(Reason::KeepAlive),
            // Which code goes with the end of a connection's life is inferred (PROTOCOL 12.6).
            Self::Lifetime => Some(Reason::ShuttingDown),
            Self::Refused(reason, _) => Some(*reason),
            // A SUBSCRIBE or UNSUBSCRIBE without a filter.
            Self::Malformed(DecodeError::InvalidTopicFilter) => Some(Reason::Protocol),
            Self::Malformed(_) => Some(Reason::Malformed),
        }
    }
}

/// CONNECT. What MQTT 3.1.1 cannot say has the value that means the same.
pub(crate) struct Connect {
    pub(crate) version: Version,
    pub(crate) client_id: Box<str>,
    pub(crate) clean: bool,
    /// Seconds.
    pub(crate) keep_alive: u16,
    /// Seconds, as wanted.
    pub(crate) session_expiry: u32,
    /// QoS 1 messages it takes without having acknowledged them.
    pub(crate) receive_max: u16,
    /// The largest packet it takes.
    pub(crate) packet_bytes_max: Option<u32>,
    pub(crate) wants_authentication: bool,
    /// It wants to be told reasons in words.
    pub(crate) wants_reasons: bool,
    pub(crate) will: Option<Box<Will>>,
}

impl Connect {
    /// Whether its session is to outlive its connection, or goes on from an earlier one.
    pub(crate) fn is_persistent(&self) -> bool {
        !self.clean || self.session_expiry > 0
    }

    /// How long the session is to outlive the connection.
    pub(crate) fn expiry(&self, max: Duration) -> Duration {
        Duration::from_secs(self.session_expiry.into()).min(max)
    }
}

/// One filter of a SUBSCRIBE.
pub(crate) struct Wanted {
    pub(crate) subscription: Subscription,
    pub(crate) retained: RetainHandling,
}

/// When a retained message is sent for a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetainHandling {
    Always,
    IfNew,
    Never,
}

pub(crate) struct Subscribe {
    pub(crate) id: NonZeroU16,
    pub(crate) has_identifier: bool,
    pub(crate) wanted: Vec<Wanted>,
}

/// A client's packet after CONNECT.
pub(crate) enum Inbound {
    Publish(Box<Publish>),
    PublishAck(NonZeroU16),
    Subscribe(Subscribe),
    Unsubscribe {
        id: NonZeroU16,
        filters: Vec<Box<str>>,
    },
    Ping,
    Disconnect {
        with_will: bool,
        session_expiry: Option<u32>,
    },
    /// PUBREC, PUBREL, PUBCOMP, AUTH, and what only a server sends.
    Unsupported,
}

/// What is promised with a CONNACK.
pub(crate) struct Accepted<'a> {
    pub(crate) session_present: bool,
    /// Seconds.
    pub(crate) session_expiry: u32,
    /// Seconds.
    pub(crate) keep_alive: u16,
    pub(crate) assigned_client_id: Option<&'a str>,
}

pub(crate) struct PublishOut<'a> {
    /// At QoS 1.
    pub(crate) id: Option<NonZeroU16>,
    pub(crate) retain: bool,
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a [u8],
    /// MQTT 5 only, as on the wire.
    pub(crate) properties: &'a [u8],
    /// MQTT 5 only.
    pub(crate) expiry_seconds: Option<u32>,
}

/// A packet of ours.
pub(crate) enum Outbound<'a> {
    Accepted(Accepted<'a>),
    Publish(PublishOut<'a>),
    PublishAck(NonZeroU16, Reason),
    SubscribeAck(NonZeroU16, &'a [Reason]),
    UnsubscribeAck(NonZeroU16, &'a [Reason]),
    Pong,
}

/// What leaves together has room for so much from the start: a PUBACK with the answer behind it, nearly always.
const OUT_BYTES: usize = 1_000;

impl Version {
    pub(crate) fn encode(self, packet: &Outbound<'_>, out: &mut BytesMut) {
        if out.capacity() == 0 {
            out.reserve(OUT_BYTES);
        }
        match self {
            Self::V3 => v3::encode(packet, out),
            Self::V5 => v5::encode(packet, out),
        }
    }

    /// The CONNACK of a refusal; nothing where the connection is just closed.
    pub(crate) fn encode_refusal(self, reason: Reason, words: Option<&str>, out: &mut BytesMut) {
        match self {
            Self::V3 => v3::encode_refusal(reason, out),
            Self::V5 => v5::encode_refusal(reason, words, out),
        }
    }

    /// A server's DISCONNECT, where there is such a thing.
    pub(crate) fn encode_disconnect(self, reason: Reason, words: Option<&str>, out: &mut BytesMut) {
        match self {
            Self::V3 => {}
            Self::V5 => v5::encode_disconnect(reason, words, out),
        }
    }

    /// The next packet, when it is there in full.
    ///
    /// # Errors
    /// When no packet can begin with these bytes, or it is too long, or malformed.
    pub(crate) fn decode(self, inbound: &mut BytesMut) -> Result<Option<Inbound>, Close> {
        let Some(frame) = Frame::first(inbound)? else { return Ok(None) };
        if frame.first == CONNECT {
            return Err(Close::protocol("a second CONNECT"));
        }
        frame.check()?;
        match self {
            Self::V3 => {
                v3::check(&frame)?;
                v3::decode(inbound)
            }
            Self::V5 => {
                v5::check(&frame)?;
                v5::decode(inbound)
            }
        }
        .map(Some)
    }
}

/// Why a first packet cannot be served.
pub(crate) enum BadConnect {
    Close(Close),
    /// MQTT of another version.
    Version,
    /// An empty client id that cannot be filled in.
    ClientId,
}

impl From<Close> for BadConnect {
    fn from(close: Close) -> Self {
        Self::Close(close)
    }
}

impl From<DecodeError> for BadConnect {
    fn from(error: DecodeError) -> Self {
        Self::Close(error.into())
    }
}

/// The first packet of a connection, when it is there in full. `inbound` holds what follows it.
///
/// # Errors
/// When it is no CONNECT that can be served.
pub(crate) fn decode_connect(inbound: &mut BytesMut) -> Result<Option<Connect>, BadConnect> {
    let Some(frame) = Frame::first(inbound)? else { return Ok(None) };
    if frame.first != CONNECT {
        return Err(Close::protocol("a packet before CONNECT").into());
    }
    let (version, flags) = match frame.body {
        [0, 4, b'M', b'Q', b'T', b'T', 4, flags, ..] => (Version::V3, *flags),
        [0, 4, b'M', b'Q', b'T', b'T', 5, flags, ..] => (Version::V5, *flags),
        [0, 4, b'M', b'Q', b'T', b'T', ..] | [0, 6, b'M', b'Q', b'I', b's', b'd', b'p', ..] => return Err(BadConnect::Version),
        _ => return Err(Close::malformed("not MQTT").into()),
    };
    check_connect_flags(version, flags)?;
    let flags_at = frame.header + 7;
    let connect = match version {
        Version::V3 => v3::decode_connect(inbound)?,
        Version::V5 => {
            // The codec refuses an empty client id without Clean Start, which MQTT 5 allows.
            inbound[flags_at] |= CLEAN;
            Connect { clean: flags & CLEAN != 0, ..v5::decode_connect(inbound)? }
        }
    };
    Ok(Some(connect))
}

const CONNECT: u8 = 0x10;
const PINGREQ: u8 = 0xc0;
const CLEAN: u8 = 0b0000_0010;

/// What the codec lets pass.
fn check_connect_flags(version: Version, flags: u8) -> Result<(), Close> {
    let is_set = |mask: u8| flags & mask != 0;
    if !is_set(0b0000_0100) && is_set(0b0011_1000) {
        return Err(Close::malformed("flags of a will without a will"));
    }
    if version == Version::V3 && is_set(0b0100_0000) && !is_set(0b1000_0000) {
        return Err(Close::malformed("a password without a user name"));
    }
    Ok(())
}

/// A packet as bytes, complete.
pub(crate) struct Frame<'a> {
    /// Type and flags.
    pub(crate) first: u8,
    /// Bytes before the body.
    header: usize,
    pub(crate) body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The packet at the front, when it is complete.
    fn first(bytes: &'a [u8]) -> Result<Option<Self>, Close> {
        let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
        let mut length = 0;
        for (n, byte) in rest.iter().take(LENGTH_BYTES_MAX).enumerate() {
            length |= usize::from(byte & 0x7f) << (7 * n);
            if byte & 0x80 == 0 {
                let header = n + 2;
                if header + length > limits::PACKET_BYTES_MAX {
                    return Err(Close::Refused(OVERSIZED, "a packet over 146 KB"));
                }
                return Ok(bytes.get(header..header + length).map(|body| Self { first, header, body }));
            }
        }
        if rest.len() < LENGTH_BYTES_MAX { Ok(None) } else { Err(Close::malformed("a length of more than four bytes")) }
    }

    /// What the codec lets pass in either version.
    fn check(&self) -> Result<(), Close> {
        match self.first {
            PINGREQ if !self.body.is_empty() => Err(Close::malformed("a PINGREQ with a body")),
            // PUBLISH with DUP at QoS 0.
            0x38 | 0x39 => Err(Close::malformed("DUP at QoS 0")),
            _ => Ok(()),
        }
    }
}

const LENGTH_BYTES_MAX: usize = 4;
/// What an MQTT 5 client is told for a packet or a payload over the limit (not found; AWS counts it as CLIENT_ERROR, and does not
/// use 0x95).
pub(crate) const OVERSIZED: Reason = Reason::Protocol;

/// A number as MQTT writes lengths.
pub(crate) fn put_length(out: &mut BytesMut, mut length: usize) {
    loop {
        let low = (length % 128) as u8;
        length /= 128;
        out.put_u8(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            return;
        }
    }
}

/// Bytes that [`put_length`] takes.
pub(crate) fn length_bytes(length: usize) -> usize {
    match length {
        0..128 => 1,
        128..16_384 => 2,
        16_384..2_097_152 => 3,
        _ => 4,
    }
}

/// Text or data with its length before it: what a client has sent in such a field, or a name or a short text of the service.
pub(crate) fn put_field(out: &mut BytesMut, field: &[u8]) {
    out.put_u16(u16::try_from(field.len()).expect("what clients send and the service names fits into a field"));
    out.put_slice(field);
}

/// The first byte of a PUBLISH.
pub(crate) fn publish_header(publish: &PublishOut<'_>) -> u8 {
    0x30 | u8::from(publish.id.is_some()) << 1 | u8::from(publish.retain)
}
