//! MQTT 5 on the wire.

use super::message::Will;
use super::packet::{
    Accepted, BadConnect, Close, Connect, Frame, Inbound, Outbound, PublishOut, Reason, RetainHandling, Subscribe, Version, Wanted,
    length_bytes, publish_header, put_field, put_length,
};
use super::subscriptions::Subscription;
use bytes::{BufMut, BytesMut};
use iot_jobs::limits;
use rmqtt_codec::error::DecodeError;
use rmqtt_codec::types::QoS;
use rmqtt_codec::v5::{Codec, DisconnectReasonCode, LastWill, Packet, PublishProperties, UserProperties};
use std::num::NonZeroU16;
use std::time::Duration;
use tokio_util::codec::Decoder;

/// Properties by their identifiers (MQTT 5 section 2.2.2.2).
mod property {
    pub(crate) const PAYLOAD_FORMAT: u8 = 0x01;
    pub(crate) const MESSAGE_EXPIRY: u8 = 0x02;
    pub(crate) const CONTENT_TYPE: u8 = 0x03;
    pub(crate) const RESPONSE_TOPIC: u8 = 0x08;
    pub(crate) const CORRELATION_DATA: u8 = 0x09;
    pub(crate) const SESSION_EXPIRY: u8 = 0x11;
    pub(crate) const ASSIGNED_CLIENT_ID: u8 = 0x12;
    pub(crate) const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub(crate) const REASON_STRING: u8 = 0x1f;
    pub(crate) const RECEIVE_MAXIMUM: u8 = 0x21;
    pub(crate) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    pub(crate) const TOPIC_ALIAS: u8 = 0x23;
    pub(crate) const MAXIMUM_QOS: u8 = 0x24;
    pub(crate) const RETAIN_AVAILABLE: u8 = 0x25;
    pub(crate) const USER_PROPERTY: u8 = 0x26;
    pub(crate) const MAXIMUM_PACKET_SIZE: u8 = 0x27;
    pub(crate) const WILDCARDS_AVAILABLE: u8 = 0x28;
    pub(crate) const SUBSCRIPTION_IDS_AVAILABLE: u8 = 0x29;
    pub(crate) const SHARES_AVAILABLE: u8 = 0x2a;
}

const PUBLISH: u8 = 0x30;

/// What the codec refuses under another name: a topic alias of 0.
pub(crate) fn check(frame: &Frame<'_>) -> Result<(), Close> {
    let is_zero = frame.first & 0xf0 == PUBLISH && publish_properties(frame).is_some_and(has_alias_zero);
    if is_zero { Err(Close::Refused(Reason::AliasInvalid, "topic alias 0")) } else { Ok(()) }
}

fn publish_properties<'a>(frame: &Frame<'a>) -> Option<&'a [u8]> {
    let (topic, rest) = frame.body.split_first_chunk()?;
    let id_bytes = if frame.first & 0b0110 == 0 { 0 } else { 2 };
    let rest = rest.get(usize::from(u16::from_be_bytes(*topic)) + id_bytes..)?;
    take_length(rest).and_then(|(length, rest)| rest.get(..length))
}

fn take_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let end = bytes.iter().take(4).position(|byte| byte & 0x80 == 0)?;
    let length = bytes[..=end].iter().rev().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
    Some((length, &bytes[end + 1..]))
}

fn has_alias_zero(mut properties: &[u8]) -> bool {
    while let Some((&id, value)) = properties.split_first() {
        let field = |at: usize| value.get(at..at + 2).map(|length| 2 + usize::from(u16::from_be_bytes([length[0], length[1]])));
        let length = match id {
            property::TOPIC_ALIAS if value.starts_with(&[0, 0]) => return true,
            property::TOPIC_ALIAS => Some(2),
            property::PAYLOAD_FORMAT => Some(1),
            property::MESSAGE_EXPIRY => Some(4),
            property::CONTENT_TYPE | property::RESPONSE_TOPIC | property::CORRELATION_DATA => field(0),
            property::USER_PROPERTY => field(0).and_then(|name| Some(name + field(name)?)),
            _ => None,
        };
        let Some(rest) = length.and_then(|length| value.get(length..)) else { return false };
        properties = rest;
    }
    false
}

fn packet(inbound: &mut BytesMut) -> Result<Packet, DecodeError> {
    match Codec::default().decode(inbound)? {
        Some((packet, _)) => Ok(packet),
        None => Err(DecodeError::InvalidLength),
    }
}

/// Takes a CONNECT, known to be there in full, from the front.
pub(crate) fn decode_connect(inbound: &mut BytesMut) -> Result<Connect, BadConnect> {
    let Packet::Connect(connect) = packet(inbound)? else { return Err(Close::protocol("a packet before CONNECT").into()) };
    Ok(Connect {
        version: Version::V5,
        client_id: (*connect.client_id).into(),
        clean: connect.clean_start,
        keep_alive: connect.keep_alive,
        session_expiry: connect.session_expiry_interval_secs,
        receive_max: connect.receive_max.map_or(u16::MAX, NonZeroU16::get),
        packet_bytes_max: connect.max_packet_size.map(std::num::NonZeroU32::get),
        wants_authentication: connect.auth_method.is_some() || connect.auth_data.is_some(),
        wants_reasons: connect.request_problem_info,
        will: connect.last_will.as_ref().map(|will| Box::new(self::will(will))),
    })
}

fn will(will: &LastWill) -> Will {
    let properties = encode_forwarded(&Forwarded {
        is_utf8: will.is_utf8_payload == Some(true),
        content_type: will.content_type.as_deref(),
        response_topic: will.response_topic.as_deref(),
        correlation_data: will.correlation_data.as_deref(),
        user_properties: &will.user_properties,
    });
    Will {
        topic: (*will.topic).into(),
        payload: (*will.message).into(),
        qos: will.qos,
        retain: will.retain,
        properties,
        expiry: will.message_expiry_interval.map(|seconds| Duration::from_secs(seconds.get().into())),
        delay: Duration::from_secs(will.will_delay_interval_sec.unwrap_or(0).into()),
    }
}

/// Takes a packet, known to be there in full, from the front.
pub(crate) fn decode(inbound: &mut BytesMut) -> Result<Inbound, Close> {
    Ok(match packet(inbound)? {
        Packet::Publish(publish) => Inbound::Publish(publish),
        Packet::PublishAck(ack) => Inbound::PublishAck(ack.packet_id),
        Packet::Subscribe(subscribe) => {
            let wanted = subscribe.topic_filters.iter().map(|(filter, options)| {
                let mut subscription = Subscription::new(filter, options.qos);
                (subscription.no_local, subscription.retain_as_published) = (options.no_local, options.retain_as_published);
                let retained = match options.retain_handling {
                    rmqtt_codec::v5::RetainHandling::AtSubscribe => RetainHandling::Always,
                    rmqtt_codec::v5::RetainHandling::AtSubscribeNew => RetainHandling::IfNew,
                    rmqtt_codec::v5::RetainHandling::NoAtSubscribe => RetainHandling::Never,
                };
                Wanted { subscription, retained }
            });
            let wanted = wanted.collect();
            Inbound::Subscribe(Subscribe { id: subscribe.packet_id, has_identifier: subscribe.id.is_some(), wanted })
        }
        Packet::Unsubscribe(unsubscribe) => Inbound::Unsubscribe {
            id: unsubscribe.packet_id,
            filters: unsubscribe.topic_filters.iter().map(|filter| (**filter).into()).collect(),
        },
        Packet::PingRequest => Inbound::Ping,
        Packet::Disconnect(disconnect) => Inbound::Disconnect {
            with_will: disconnect.reason_code != DisconnectReasonCode::NormalDisconnection,
            session_expiry: disconnect.session_expiry_interval_secs,
        },
        _ => Inbound::Unsupported,
    })
}

/// What a message's receivers get of its properties, apart from the expiry.
struct Forwarded<'a> {
    is_utf8: bool,
    content_type: Option<&'a str>,
    response_topic: Option<&'a str>,
    correlation_data: Option<&'a [u8]>,
    user_properties: &'a UserProperties,
}

/// The properties of a message that its receivers get, as on the wire.
pub(crate) fn forwarded(properties: &PublishProperties) -> Box<[u8]> {
    encode_forwarded(&Forwarded {
        is_utf8: properties.is_utf8_payload,
        content_type: properties.content_type.as_deref(),
        response_topic: properties.response_topic.as_deref(),
        correlation_data: properties.correlation_data.as_deref(),
        user_properties: &properties.user_properties,
    })
}

fn encode_forwarded(forwarded: &Forwarded<'_>) -> Box<[u8]> {
    let mut out = BytesMut::new();
    if forwarded.is_utf8 {
        out.put_slice(&[property::PAYLOAD_FORMAT, 1]);
    }
    let fields = [
        (property::CONTENT_TYPE, forwarded.content_type.map(str::as_bytes)),
        (property::RESPONSE_TOPIC, forwarded.response_topic.map(str::as_bytes)),
        (property::CORRELATION_DATA, forwarded.correlation_data),
    ];
    for (id, field) in fields {
        if let Some(field) = field {
            out.put_u8(id);
            put_field(&mut out, field);
        }
    }
    for (name, value) in forwarded.user_properties {
        out.put_u8(property::USER_PROPERTY);
        put_field(&mut out, name.as_bytes());
        put_field(&mut out, value.as_bytes());
    }
    (&*out).into()
}

pub(crate) fn encode_refusal(reason: Reason, words: Option<&str>, out: &mut BytesMut) {
    let properties = reason_string(words);
    out.put_u8(0x20);
    put_length(out, 2 + length_bytes(properties.len()) + properties.len());
    out.put_slice(&[0, reason as u8]);
    put_length(out, properties.len());
    out.put_slice(&properties);
}

pub(crate) fn encode_disconnect(reason: Reason, words: Option<&str>, out: &mut BytesMut) {
    let properties = reason_string(words);
    out.put_u8(0xe0);
    put_length(out, 1 + length_bytes(properties.len()) + properties.len());
    out.put_u8(reason as u8);
    put_length(out, properties.len());
    out.put_slice(&properties);
}

fn reason_string(words: Option<&str>) -> BytesMut {
    let mut properties = BytesMut::new();
    if let Some(words) = words {
        properties.put_u8(property::REASON_STRING);
        put_field(&mut properties, words.as_bytes());
    }
    properties
}

/// Bytes of a PUBLISH on the wire.
pub(crate) fn publish_bytes(publish: &PublishOut<'_>) -> usize {
    let length = publish_length(publish);
    1 + length_bytes(length) + length
}

fn properties_length(publish: &PublishOut<'_>) -> usize {
    publish.properties.len() + if publish.expiry_seconds.is_some() { 5 } else { 0 }
}

fn publish_length(publish: &PublishOut<'_>) -> usize {
    let properties = properties_length(publish);
    let id_bytes = if publish.id.is_some() { 2 } else { 0 };
    2 + publish.topic.len() + id_bytes + length_bytes(properties) + properties + publish.payload.len()
}

pub(crate) fn encode(packet: &Outbound<'_>, out: &mut BytesMut) {
    match packet {
        Outbound::Accepted(accepted) => encode_accepted(accepted, out),
        Outbound::Publish(publish) => {
            let length = publish_length(publish);
            out.reserve(length + 5);
            out.put_u8(publish_header(publish));
            put_length(out, length);
            put_field(out, publish.topic.as_bytes());
            if let Some(id) = publish.id {
                out.put_u16(id.get());
            }
            put_length(out, properties_length(publish));
            if let Some(seconds) = publish.expiry_seconds {
                out.put_u8(property::MESSAGE_EXPIRY);
                out.put_u32(seconds);
            }
            out.put_slice(publish.properties);
            out.put_slice(publish.payload);
        }
        Outbound::PublishAck(id, Reason::Success) => {
            out.put_slice(&[0x40, 2]);
            out.put_u16(id.get());
        }
        Outbound::PublishAck(id, reason) => {
            out.put_slice(&[0x40, 3]);
            out.put_u16(id.get());
            out.put_u8(*reason as u8);
        }
        Outbound::SubscribeAck(id, codes) => put_codes(out, 0x90, *id, codes),
        Outbound::UnsubscribeAck(id, codes) => put_codes(out, 0xb0, *id, codes),
        Outbound::Pong => out.put_slice(&[0xd0, 0]),
    }
}

fn put_codes(out: &mut BytesMut, first: u8, id: NonZeroU16, codes: &[Reason]) {
    out.put_u8(first);
    put_length(out, 3 + codes.len());
    out.put_u16(id.get());
    // No properties.
    out.put_u8(0);
    codes.iter().for_each(|code| out.put_u8(*code as u8));
}

/// Every property of PROTOCOL 13.2, said even where it has the protocol's own default.
fn encode_accepted(accepted: &Accepted<'_>, out: &mut BytesMut) {
    let mut properties = BytesMut::with_capacity(64);
    properties.put_u8(property::SESSION_EXPIRY);
    properties.put_u32(accepted.session_expiry);
    properties.put_u8(property::RECEIVE_MAXIMUM);
    properties.put_u16(limits::UNACKNOWLEDGED_MAX);
    properties.put_slice(&[property::MAXIMUM_QOS, QoS::AtLeastOnce.value()]);
    properties.put_slice(&[property::RETAIN_AVAILABLE, 1]);
    properties.put_u8(property::MAXIMUM_PACKET_SIZE);
    properties.put_u32(limits::PACKET_BYTES_MAX as u32);
    if let Some(id) = accepted.assigned_client_id {
        properties.put_u8(property::ASSIGNED_CLIENT_ID);
        put_field(&mut properties, id.as_bytes());
    }
    properties.put_u8(property::TOPIC_ALIAS_MAXIMUM);
    properties.put_u16(limits::TOPIC_ALIASES_MAX);
    properties.put_slice(&[property::WILDCARDS_AVAILABLE, 1]);
    properties.put_slice(&[property::SUBSCRIPTION_IDS_AVAILABLE, 0]);
    properties.put_slice(&[property::SHARES_AVAILABLE, 1]);
    properties.put_u8(property::SERVER_KEEP_ALIVE);
    properties.put_u16(accepted.keep_alive);
    out.put_u8(0x20);
    put_length(out, 2 + length_bytes(properties.len()) + properties.len());
    out.put_slice(&[u8::from(accepted.session_present), Reason::Success as u8]);
    put_length(out, properties.len());
    out.put_slice(&properties);
}
