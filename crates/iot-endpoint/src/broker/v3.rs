//! MQTT 3.1.1 on the wire.

use super::message::Will;
use super::packet::{
    BadConnect, Close, Connect, Frame, Inbound, Outbound, Reason, RetainHandling, Subscribe, Version, Wanted, publish_header,
    put_field, put_length,
};
use super::subscriptions::Subscription;
use bytes::{BufMut, BytesMut};
use iot_jobs::limits;
use rmqtt_codec::error::DecodeError;
use rmqtt_codec::v3::{Codec, Packet};
use std::num::NonZeroU16;
use std::time::Duration;
use tokio_util::codec::Decoder;

const SUBSCRIBE: u8 = 0x82;
const DISCONNECT: u8 = 0xe0;

/// What the codec lets pass.
pub(crate) fn check(frame: &Frame<'_>) -> Result<(), Close> {
    match frame.first {
        DISCONNECT if !frame.body.is_empty() => Err(Close::malformed("a DISCONNECT with a body")),
        SUBSCRIBE if has_reserved_options(frame.body) => Err(Close::malformed("reserved bits of a requested QoS")),
        _ => Ok(()),
    }
}

/// Whether a requested QoS has more than its two bits. What is cut off is the codec's to refuse.
fn has_reserved_options(body: &[u8]) -> bool {
    let mut rest = body.get(2..).unwrap_or_default();
    while let Some((length, after)) = rest.split_first_chunk() {
        let Some((&options, after)) = after.get(usize::from(u16::from_be_bytes(*length))..).and_then(<[u8]>::split_first) else {
            return false;
        };
        if options & !0b11 != 0 {
            return true;
        }
        rest = after;
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
    let connect = match packet(inbound) {
        Ok(Packet::Connect(connect)) => connect,
        Ok(_) => return Err(Close::protocol("a packet before CONNECT").into()),
        Err(DecodeError::InvalidClientId) => return Err(BadConnect::ClientId),
        Err(error) => return Err(error.into()),
    };
    let will = |will: &rmqtt_codec::v3::LastWill| {
        Box::new(Will {
            topic: (*will.topic).into(),
            payload: (*will.message).into(),
            qos: will.qos,
            retain: will.retain,
            properties: Box::default(),
            expiry: None,
            delay: Duration::ZERO,
        })
    };
    Ok(Connect {
        version: Version::V3,
        client_id: (*connect.client_id).into(),
        clean: connect.clean_session,
        keep_alive: connect.keep_alive,
        session_expiry: if connect.clean_session { 0 } else { u32::MAX },
        receive_max: limits::UNACKNOWLEDGED_MAX,
        packet_bytes_max: None,
        wants_authentication: false,
        wants_reasons: false,
        will: connect.last_will.as_ref().map(will),
    })
}

/// Takes a packet, known to be there in full, from the front.
pub(crate) fn decode(inbound: &mut BytesMut) -> Result<Inbound, Close> {
    Ok(match packet(inbound)? {
        Packet::Publish(publish) => Inbound::Publish(publish),
        Packet::PublishAck { packet_id } => Inbound::PublishAck(packet_id),
        Packet::Subscribe { packet_id, topic_filters } => {
            let wanted = topic_filters
                .iter()
                .map(|(filter, qos)| Wanted { subscription: Subscription::new(filter, *qos), retained: RetainHandling::Always });
            Inbound::Subscribe(Subscribe { id: packet_id, has_identifier: false, wanted: wanted.collect() })
        }
        Packet::Unsubscribe { packet_id, topic_filters } => {
            Inbound::Unsubscribe { id: packet_id, filters: topic_filters.iter().map(|filter| (**filter).into()).collect() }
        }
        Packet::PingRequest => Inbound::Ping,
        Packet::Disconnect => Inbound::Disconnect { with_will: false, session_expiry: None },
        _ => Inbound::Unsupported,
    })
}

/// Return codes of MQTT 3.1.1. A will with QoS 2, and what has no code, just closes (PROTOCOL 13.1); so does what a policy denies
/// (PROTOCOL-CORE 1.9).
pub(crate) fn encode_refusal(reason: Reason, out: &mut BytesMut) {
    let code = match reason {
        Reason::ClientId => 2,
        // Over a quota: "server unavailable" (inferred; PROTOCOL 13.2 knows no form for MQTT 3.1.1).
        Reason::Quota => 3,
        _ => return,
    };
    out.put_slice(&[0x20, 2, 0, code]);
}

/// "Unacceptable protocol version", for those whose version has no CONNACK here.
pub(crate) fn encode_bad_version(out: &mut BytesMut) {
    out.put_slice(&[0x20, 2, 0, 1]);
}

fn put_id(out: &mut BytesMut, first: u8, id: NonZeroU16, more: usize) {
    out.put_u8(first);
    put_length(out, 2 + more);
    out.put_u16(id.get());
}

pub(crate) fn encode(packet: &Outbound<'_>, out: &mut BytesMut) {
    match packet {
        Outbound::Accepted(accepted) => out.put_slice(&[0x20, 2, u8::from(accepted.session_present), 0]),
        Outbound::Publish(publish) => {
            let id_bytes = if publish.id.is_some() { 2 } else { 0 };
            let length = 2 + publish.topic.len() + id_bytes + publish.payload.len();
            out.reserve(length + 5);
            out.put_u8(publish_header(publish));
            put_length(out, length);
            put_field(out, publish.topic.as_bytes());
            if let Some(id) = publish.id {
                out.put_u16(id.get());
            }
            out.put_slice(publish.payload);
        }
        Outbound::PublishAck(id, _) => put_id(out, 0x40, *id, 0),
        Outbound::SubscribeAck(id, codes) => {
            put_id(out, 0x90, *id, codes.len());
            codes.iter().for_each(|code| out.put_u8((*code as u8).min(Reason::Unspecified as u8)));
        }
        Outbound::UnsubscribeAck(id, _) => put_id(out, 0xb0, *id, 0),
        Outbound::Pong => out.put_slice(&[0xd0, 0]),
    }
}
