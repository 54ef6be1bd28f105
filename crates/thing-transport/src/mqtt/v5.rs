//! MQTT 5 on the wire: rumqttc's codec, for complete packets, and what it refuses, lets pass or cannot say.
//!
//! Its properties' lengths may run out of a packet and then ask for more bytes, as if the packet were not complete; and it takes
//! neither a DISCONNECT without a reason (`E0 00`) nor one without properties (`E0 01 8E`).

use super::packet::{
    CONNACK, ConnAck, Connect, DISCONNECT, DUP, Frame, PACKET_BYTES_MAX, PINGRESP, PUBACK, PUBLISH_TYPE, Packet, Publish, SUBACK,
    SubAck, UNSUBACK, unexpected,
};
use super::reason;
use crate::error::Failure;
use bytes::{Bytes, BytesMut};
use iot_jobs::limits;
use rumqttc::v5::mqttbytes::v5::{self, ConnAckProperties, ConnectProperties, Filter, Packet as Read};
use rumqttc::v5::mqttbytes::{self, QoS};
use std::time::Duration;

/// A 3.1.1 endpoint's way to say that it does not know MQTT 5: a CONNACK with the code "unacceptable protocol version".
const REFUSED_VERSION: [u8; 2] = [0, 1];

pub(super) fn read(bytes: &mut BytesMut) -> Result<Option<Packet>, Failure> {
    let Some(frame) = Frame::first(bytes)? else { return Ok(None) };
    let first = frame.first;
    match (first, frame.body) {
        (DISCONNECT, body) => Err(Failure::Disconnected(reason::words(body.first().copied().unwrap_or_default()))),
        (CONNACK, body) if *body == REFUSED_VERSION => Err(Failure::Refused(reason::words(0x84))),
        (CONNACK, [_, code, ..]) if *code >= reason::FAILURES => Err(Failure::Refused(reason::words(*code))),
        (PUBACK, [high, low, code, ..]) if *code >= reason::FAILURES => {
            let (id, refusal) = (u16::from_be_bytes([*high, *low]), reason::refusal(*code));
            take(bytes).map(|_| Some(Packet::PubAck { id, refusal }))
        }
        (CONNACK | PUBACK | SUBACK | UNSUBACK | PINGRESP, _) => translate(first, take(bytes)?).map(Some),
        _ if first & 0xf0 == PUBLISH_TYPE => translate(first, take(bytes)?).map(Some),
        _ => Err(unexpected(first)),
    }
}

/// Takes a packet, known to be there in full, from the front.
fn take(bytes: &mut BytesMut) -> Result<Read, Failure> {
    Read::read(bytes, None).map_err(|error| match error {
        mqttbytes::Error::InsufficientBytes(_) => Failure::Protocol("a packet that is shorter than what is in it".into()),
        error => Failure::Protocol(error.to_string()),
    })
}

fn translate(first: u8, packet: Read) -> Result<Packet, Failure> {
    Ok(match packet {
        Read::Publish(packet) => Packet::Publish(publish(first, packet)?),
        Read::PubAck(ack) => Packet::PubAck { id: ack.pkid, refusal: None },
        Read::SubAck(ack) => {
            let refused = |code: &v5::SubscribeReasonCode| reason::refusal(subscribe_code(*code));
            Packet::SubAck(SubAck::new(ack.pkid, ack.return_codes.iter().map(refused)))
        }
        Read::UnsubAck(_) => Packet::Other,
        Read::PingResp(_) => Packet::PingResp,
        Read::ConnAck(ack) => Packet::ConnAck(promises(ack.session_present, ack.properties.as_ref())?),
        _ => return Err(unexpected(first)),
    })
}

fn publish(first: u8, packet: v5::Publish) -> Result<Publish, Failure> {
    let id = match packet.qos {
        QoS::AtMostOnce if first & DUP != 0 => return Err(Failure::Protocol("PUBLISH with DUP at QoS 0".into())),
        QoS::AtMostOnce => None,
        QoS::AtLeastOnce => Some(packet.pkid),
        QoS::ExactlyOnce => return Err(Failure::Protocol("PUBLISH with QoS 2".into())),
    };
    // A CONNECT without Topic Alias Maximum allows none.
    if packet.properties.is_some_and(|properties| properties.topic_alias.is_some()) {
        return Err(Failure::Protocol("PUBLISH with a topic alias, which the thing did not allow".into()));
    }
    let topic = String::from_utf8(packet.topic.into()).map_err(|_| Failure::Protocol("a topic that is not UTF-8".into()))?;
    Publish::checked(id, topic, packet.payload)
}

fn subscribe_code(code: v5::SubscribeReasonCode) -> u8 {
    use v5::SubscribeReasonCode as Code;
    match code {
        Code::Success(qos) => qos as u8,
        Code::Failure | Code::Unspecified => 0x80,
        Code::ImplementationSpecific => 0x83,
        Code::NotAuthorized => 0x87,
        Code::TopicFilterInvalid => 0x8f,
        Code::PkidInUse => 0x91,
        Code::QuotaExceeded => 0x97,
        Code::SharedSubscriptionsNotSupported => 0x9e,
        Code::SubscriptionIdNotSupported => 0xa1,
        Code::WildcardSubscriptionsNotSupported => 0xa2,
    }
}

/// What a CONNACK promises; of what it says, this is what a thing must heed.
fn promises(session_present: bool, properties: Option<&ConnAckProperties>) -> Result<ConnAck, Failure> {
    let plain = ConnAck { session_present, ..ConnAck::PLAIN };
    let Some(properties) = properties else { return Ok(plain) };
    if properties.receive_max == Some(0) || properties.max_packet_size == Some(0) {
        return Err(Failure::Protocol("a CONNACK whose Receive Maximum or Maximum Packet Size is 0".into()));
    }
    if properties.max_qos == Some(0) {
        return Err(Failure::Refused(reason::words(0x9b)));
    }
    Ok(ConnAck {
        keep_alive: properties.server_keep_alive.map(|seconds| Duration::from_secs(seconds.into())),
        receive_max: properties.receive_max.unwrap_or(plain.receive_max),
        packet_bytes_max: properties.max_packet_size.unwrap_or(plain.packet_bytes_max),
        ..plain
    })
}

fn encode(result: Result<usize, mqttbytes::Error>) {
    result.expect("the packets a thing writes are far below the protocol's limits");
}

/// A persistent session lives as long without a connection as AWS lets it by default (PROTOCOL 13.4).
pub(super) fn write_connect(connect: &Connect<'_>, out: &mut BytesMut) {
    let mut properties = ConnectProperties::new();
    properties.session_expiry_interval = (!connect.clean).then_some(limits::SESSION_EXPIRY_MAX.as_secs() as u32);
    properties.receive_maximum = Some(limits::UNACKNOWLEDGED_MAX);
    properties.max_packet_size = Some(PACKET_BYTES_MAX as u32);
    let packet = v5::Connect {
        keep_alive: connect.keep_alive_seconds(),
        client_id: connect.client_id.to_owned(),
        clean_start: connect.clean,
        properties: Some(properties),
    };
    // The codec finds its flags from the start of the buffer.
    let mut bytes = BytesMut::new();
    encode(packet.write(&None, &None, &mut bytes));
    out.unsplit(bytes);
}

pub(super) fn write_subscribe(id: u16, filters: impl IntoIterator<Item = String>, out: &mut BytesMut) {
    let filters = filters.into_iter().map(|path| Filter::new(path, QoS::AtLeastOnce)).collect();
    encode(v5::Subscribe { pkid: id, filters, properties: None }.write(out));
}

pub(super) fn write_publish(id: Option<u16>, topic: String, payload: Vec<u8>, out: &mut BytesMut) {
    let packet = v5::Publish {
        qos: if id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce },
        topic: Bytes::from(topic),
        pkid: id.unwrap_or_default(),
        payload: Bytes::from(payload),
        ..v5::Publish::default()
    };
    encode(packet.write(out));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8]) -> Result<Option<Packet>, Failure> {
        read(&mut BytesMut::from(bytes))
    }

    fn protocol(bytes: &[u8]) -> String {
        match read_all(bytes) {
            Err(Failure::Protocol(why)) => why,
            other => panic!("{bytes:x?}: {other:?}"),
        }
    }

    #[test]
    fn what_an_endpoint_may_send_is_read() {
        assert_eq!(
            read_all(&[0x20, 3, 1, 0, 0]).unwrap(),
            Some(Packet::ConnAck(ConnAck { session_present: true, ..ConnAck::PLAIN }))
        );
        assert_eq!(read_all(&[0xd0, 0]).unwrap(), Some(Packet::PingResp));
        let publish = |id| Some(Packet::Publish(Publish { id, topic: "t".into(), payload: "x".into() }));
        assert_eq!(read_all(&[0x32, 7, 0, 1, b't', 0, 7, 0, b'x']).unwrap(), publish(Some(7)));
        assert_eq!(read_all(&[0x30, 5, 0, 1, b't', 0, b'x']).unwrap(), publish(None));
        assert_eq!(read_all(&[0x3a, 7, 0, 1, b't', 0, 7, 0, b'x']).unwrap(), publish(Some(7)), "a duplicate is a message");
        assert_eq!(read_all(&[0x30, 12, 0, 1, b't', 7, 1, 1, 2, 0, 0, 0, 9, b'x']).unwrap(), publish(None), "with properties");
        assert_eq!(read_all(&[0xb0, 4, 0, 1, 0, 0]).unwrap(), Some(Packet::Other));
    }

    #[test]
    fn a_puback_has_three_forms_and_its_failures_have_words() {
        let ack = |refusal| Some(Packet::PubAck { id: 7, refusal });
        assert_eq!(read_all(&[0x40, 2, 0, 7]).unwrap(), ack(None));
        assert_eq!(read_all(&[0x40, 3, 0, 7, 0x10]).unwrap(), ack(None), "no matching subscribers");
        assert_eq!(read_all(&[0x40, 4, 0, 7, 0, 0]).unwrap(), ack(None));
        assert_eq!(read_all(&[0x40, 3, 0, 7, 0x97]).unwrap(), ack(Some("quota_exceeded")));
        assert_eq!(read_all(&[0x40, 4, 0, 7, 0x87, 0]).unwrap(), ack(Some("not_authorized")));
    }

    #[test]
    fn a_suback_says_why_a_filter_was_refused() {
        let ack = SubAck { id: 1, granted: vec![true, false, true, false], refusal: Some("not_authorized") };
        assert_eq!(read_all(&[0x90, 7, 0, 1, 0, 1, 0x87, 0, 0x97]).unwrap(), Some(Packet::SubAck(ack)));
    }

    #[test]
    fn every_disconnect_has_its_reason() {
        for (bytes, word) in [
            (&[0xe0, 0][..], "normal_disconnection"),
            (&[0xe0, 1, 0x8e], "session_taken_over"),
            (&[0xe0, 2, 0x8b, 0], "server_shutting_down"),
            (&[0xe0, 2, 0x98, 0], "administrative_action"),
            (&[0xe0, 1, 0x70], "unknown_reason"),
        ] {
            let failure = read_all(bytes).unwrap_err();
            assert_eq!(failure.code(), word);
            assert!(matches!(failure, Failure::Disconnected(_)));
        }
    }

    #[test]
    fn a_refused_connection_has_its_reason() {
        for (bytes, word) in [
            (&[0x20, 3, 0, 0x87, 0][..], "not_authorized"),
            (&[0x20, 3, 0, 0x97, 0], "quota_exceeded"),
            (&[0x20, 3, 0, 0x85, 0], "client_identifier_not_valid"),
            (&[0x20, 2, 0, 0x80], "unspecified_error"),
            (&[0x20, 2, 0, 1], "unsupported_protocol_version"),
            (&[0x20, 5, 0, 0, 2, 0x24, 0], "qos_not_supported"),
        ] {
            let failure = read_all(bytes).unwrap_err();
            assert_eq!((failure.code(), failure.is_refusal()), (word, true));
        }
    }

    #[test]
    fn a_connack_tells_what_to_heed() {
        let properties = [&[0x11][..], &3_600u32.to_be_bytes(), &[0x21, 0, 4, 0x24, 1, 0x27, 0, 0, 8, 0, 0x22, 0, 8, 0x13, 0, 60]];
        let properties = properties.concat();
        let bytes = [&[0x20, 3 + properties.len() as u8, 0, 0, properties.len() as u8][..], &properties].concat();
        let ack =
            ConnAck { session_present: false, keep_alive: Some(Duration::from_secs(60)), receive_max: 4, packet_bytes_max: 2_048 };
        assert_eq!(read_all(&bytes).unwrap(), Some(Packet::ConnAck(ack)));
        for zero in [&[0x20, 6, 0, 0, 3, 0x21, 0, 0][..], &[0x20, 8, 0, 0, 5, 0x27, 0, 0, 0, 0]] {
            protocol(zero);
        }
    }

    #[test]
    fn what_an_endpoint_may_not_send_is_a_failure() {
        assert_eq!(protocol(&[0xc0, 0]), "unexpected PINGREQ");
        assert_eq!(protocol(&[0xf0, 2, 0, 0]), "unexpected AUTH");
        assert_eq!(protocol(&[0x50, 2, 0, 7]), "unexpected PUBREC");
        assert_eq!(protocol(&[0x41, 2, 0, 7]), "unexpected PUBACK", "with flags");
        assert_eq!(protocol(&[0x34, 6, 0, 1, b't', 0, 7, 0]), "PUBLISH with QoS 2");
        assert_eq!(protocol(&[0x38, 4, 0, 1, b't', 0]), "PUBLISH with DUP at QoS 0");
        assert_eq!(protocol(&[0x30, 4, 0, 1, b'#', 0]), "wildcard in the topic \"#\"");
        assert_eq!(protocol(&[0x30, 3, 0, 0, 0]), "a PUBLISH without a topic");
        assert_eq!(protocol(&[0x30, 4, 0, 1, 0xff, 0]), "a topic that is not UTF-8");
        assert!(protocol(&[0x30, 7, 0, 1, b't', 3, 0x23, 0, 1]).contains("topic alias"));
        assert!(protocol(&[0x30, 0xff, 0xff, 0xff, 0x7f]).contains("over the limit"));
        assert!(protocol(&[0x30, 0xff, 0xff, 0xff, 0xff]).contains("more than four bytes"));
    }

    /// What the codec reads as "more bytes are needed" though the packet is complete.
    #[test]
    fn a_packet_that_ends_too_early_is_not_waited_for() {
        for bytes in [&[0x30, 3, 0, 1, b't'][..], &[0x90, 2, 0, 1], &[0x20, 2, 0, 0], &[0x20, 1, 0], &[0x20, 0], &[0x40, 1, 0]] {
            protocol(bytes);
        }
        for partial in [&[][..], &[0x40], &[0x40, 2, 0], &[0x30, 0x80]] {
            let mut bytes = BytesMut::from(partial);
            assert!(matches!(read(&mut bytes), Ok(None)));
            assert_eq!(bytes.len(), partial.len());
        }
    }

    #[test]
    fn a_connect_says_what_the_thing_takes_and_whether_its_session_goes_on() {
        let connect = |clean| {
            let mut out = BytesMut::from(&[0xee][..]);
            write_connect(&Connect { client_id: "t", keep_alive: Duration::from_secs(300), clean }, &mut out);
            out
        };
        let [a, b, c, d] = (PACKET_BYTES_MAX as u32).to_be_bytes();
        let name = [0, 4, b'M', b'Q', b'T', b'T', 5];
        let limits = [0x21, 0, 100, 0x27, a, b, c, d];
        let clean = [&[0xee, 0x10, 22][..], &name, &[2, 1, 44, 8], &limits, &[0, 1, b't']].concat();
        assert_eq!(connect(true)[..], clean[..]);
        let kept = [&[0xee, 0x10, 27][..], &name, &[0, 1, 44, 13, 0x11, 0, 0, 0x0e, 0x10], &limits, &[0, 1, b't']].concat();
        assert_eq!(connect(false)[..], kept[..]);
    }

    #[test]
    fn what_a_thing_writes_is_mqtt_5() {
        let mut out = BytesMut::new();
        write_publish(Some(7), "t".into(), b"x".to_vec(), &mut out);
        write_publish(None, "t".into(), b"x".to_vec(), &mut out);
        write_subscribe(9, ["a".to_owned(), "b".to_owned()], &mut out);
        let written = [0x32, 7, 0, 1, b't', 0, 7, 0, b'x', 0x30, 5, 0, 1, b't', 0, b'x'];
        assert_eq!(out[..16], written);
        assert_eq!(out[16..], [0x82, 11, 0, 9, 0, 0, 1, b'a', 1, 0, 1, b'b', 1]);
    }
}
