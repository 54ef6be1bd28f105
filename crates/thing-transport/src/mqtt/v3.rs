//! MQTT 3.1.1 on the wire: rumqttc's codec, and what it lets pass or cannot say.

use super::packet::{ConnAck, Connect, PACKET_BYTES_MAX, Packet, Publish, SubAck, unexpected};
use crate::error::{Failure, refusal};
use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{self, ConnectReturnCode, Packet as Read, SubscribeFilter, SubscribeReasonCode};
use rumqttc::mqttbytes::{self, QoS};

pub(super) fn read(bytes: &mut BytesMut) -> Result<Option<Packet>, Failure> {
    let first = bytes.first().copied().unwrap_or_default();
    match Read::read(bytes, PACKET_BYTES_MAX) {
        Ok(packet) => translate(first, packet).map(Some),
        Err(mqttbytes::Error::InsufficientBytes(_)) => Ok(None),
        Err(error) => Err(Failure::Protocol(error.to_string())),
    }
}

fn translate(first: u8, packet: Read) -> Result<Packet, Failure> {
    Ok(match packet {
        Read::Publish(publish) => {
            let id = match publish.qos {
                QoS::AtMostOnce => None,
                QoS::AtLeastOnce => Some(publish.pkid),
                QoS::ExactlyOnce => return Err(Failure::Protocol("PUBLISH with QoS 2".into())),
            };
            Packet::Publish(Publish::checked(id, publish.topic, publish.payload)?)
        }
        Read::PubAck(ack) => Packet::PubAck { id: ack.pkid, refusal: None },
        Read::SubAck(ack) => {
            // The only failure MQTT 3.1.1 knows.
            let refused =
                |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Failure).then_some(refusal::SUBACK_FAILURE);
            Packet::SubAck(SubAck::new(ack.pkid, ack.return_codes.iter().map(refused)))
        }
        Read::UnsubAck(_) => Packet::Other,
        Read::PingResp => Packet::PingResp,
        Read::ConnAck(ack) => {
            accepted(ack.code)?;
            Packet::ConnAck(ConnAck { session_present: ack.session_present, ..ConnAck::PLAIN })
        }
        _ => return Err(unexpected(first)),
    })
}

/// The code of a CONNACK in words (MQTT 3.1.1, table 3.1).
fn accepted(code: ConnectReturnCode) -> Result<(), Failure> {
    match code {
        ConnectReturnCode::Success => Ok(()),
        ConnectReturnCode::RefusedProtocolVersion => Err(Failure::Refused("unacceptable_protocol_version")),
        ConnectReturnCode::BadClientId => Err(Failure::Refused(refusal::IDENTIFIER_REJECTED)),
        ConnectReturnCode::ServiceUnavailable => Err(Failure::Refused(refusal::SERVER_UNAVAILABLE)),
        ConnectReturnCode::BadUserNamePassword => Err(Failure::Refused(refusal::BAD_USER_NAME_OR_PASSWORD)),
        ConnectReturnCode::NotAuthorized => Err(Failure::Refused(refusal::NOT_AUTHORIZED)),
    }
}

fn encode(result: Result<usize, mqttbytes::Error>) {
    result.expect("the packets a thing writes are far below the protocol's limits");
}

pub(super) fn write_connect(connect: &Connect<'_>, out: &mut BytesMut) {
    let mut packet = v4::Connect::new(connect.client_id);
    packet.keep_alive = connect.keep_alive_seconds();
    packet.clean_session = connect.clean;
    encode(packet.write(out));
}

pub(super) fn write_subscribe(id: u16, filters: impl IntoIterator<Item = String>, out: &mut BytesMut) {
    let mut packet = v4::Subscribe::new_many(filters.into_iter().map(|path| SubscribeFilter::new(path, QoS::AtLeastOnce)));
    packet.pkid = id;
    encode(packet.write(out));
}

pub(super) fn write_publish(id: Option<u16>, topic: String, payload: Vec<u8>, out: &mut BytesMut) {
    let qos = if id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce };
    let mut packet = v4::Publish::new(topic, qos, payload);
    packet.pkid = id.unwrap_or_default();
    encode(packet.write(out));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8]) -> Result<Option<Packet>, Failure> {
        read(&mut BytesMut::from(bytes))
    }

    #[test]
    fn what_an_endpoint_may_send_is_read() {
        let ack = ConnAck { session_present: true, ..ConnAck::PLAIN };
        assert_eq!(read_all(&[0x20, 2, 1, 0]).unwrap(), Some(Packet::ConnAck(ack)));
        assert_eq!(read_all(&[0x40, 2, 0, 7]).unwrap(), Some(Packet::PubAck { id: 7, refusal: None }));
        let suback = SubAck { id: 1, granted: vec![true, false], refusal: Some("suback_failure") };
        assert_eq!(read_all(&[0x90, 4, 0, 1, 1, 0x80]).unwrap(), Some(Packet::SubAck(suback)));
        assert_eq!(read_all(&[0xd0, 0]).unwrap(), Some(Packet::PingResp));
        let publish = Publish { id: Some(7), topic: "t".into(), payload: "x".into() };
        assert_eq!(read_all(&[0x32, 6, 0, 1, b't', 0, 7, b'x']).unwrap(), Some(Packet::Publish(publish)));
    }

    #[test]
    fn a_refusal_has_words() {
        let refused = read_all(&[0x20, 2, 0, 5]).unwrap_err();
        assert_eq!((refused.code(), refused.is_refusal()), ("not_authorized", true));
    }

    #[test]
    fn what_an_endpoint_may_not_send_is_a_failure() {
        let packets: [&[u8]; 6] = [
            &[0xc0, 0],
            &[0xe0, 0],
            &[0x30, 6, 0, 3, b'a', b'/', b'#', b'x'],
            &[0x30, 3, 0, 0, b'x'],
            &[0x34, 5, 0, 1, b't', 0, 7],
            &[0x30, 0xff, 0xff, 0xff, 0x7f],
        ];
        for packet in packets {
            assert!(matches!(read_all(packet), Err(Failure::Protocol(_))), "{packet:x?}");
        }
        let mut partial = BytesMut::from(&[0x40, 2, 0][..]);
        assert!(matches!(read(&mut partial), Ok(None)));
        assert_eq!(partial.len(), 3);
    }

    #[test]
    fn a_session_is_clean_or_goes_on() {
        for (clean, flags) in [(true, 2), (false, 0)] {
            let mut out = BytesMut::new();
            write_connect(&Connect { client_id: "t", keep_alive: std::time::Duration::from_secs(300), clean }, &mut out);
            assert_eq!(out[..], [0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, flags, 1, 44, 0, 1, b't']);
        }
    }
}
