//! MQTT 3.1.1 on the wire: rumqttc's codec, and what it lets pass or cannot say.

use super::packet::{ConnAck, Connect, PACKET_BYTES_MAX, Packet, Publish};
use crate::transport::error::Failure;
use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{self, ConnectReturnCode, Packet as Read, SubscribeFilter, SubscribeReasonCode};
use rumqttc::mqttbytes::{self, QoS};

pub(super) fn read(bytes: &mut BytesMut) -> Result<Option<Packet>, Failure> {
    match Read::read(bytes, PACKET_BYTES_MAX) {
        Ok(packet) => translate(packet).map(Some),
        Err(mqttbytes::Error::InsufficientBytes(_)) => Ok(None),
        Err(error) => Err(Failure::Protocol(error.to_string())),
    }
}

fn translate(packet: Read) -> Result<Packet, Failure> {
    Ok(match packet {
        Read::Publish(publish) => {
            let id = match publish.qos {
                QoS::AtMostOnce => None,
                QoS::AtLeastOnce => Some(publish.pkid),
                QoS::ExactlyOnce => return Err(Failure::Protocol("PUBLISH with QoS 2".into())),
            };
            Packet::Publish(Publish::checked(id, publish.topic, publish.payload)?)
        }
        Read::PubAck(ack) => Packet::PubAck { id: ack.pkid },
        Read::SubAck(ack) => {
            let granted = ack.return_codes.iter().map(|code| matches!(code, SubscribeReasonCode::Success(_))).collect();
            Packet::SubAck { id: ack.pkid, granted }
        }
        Read::UnsubAck(_) => Packet::Other,
        Read::PingResp => Packet::PingResp,
        Read::ConnAck(ack) => {
            accepted(ack.code)?;
            Packet::ConnAck(ConnAck { session_present: ack.session_present })
        }
        other => return Err(Failure::Protocol(format!("unexpected {}", name(&other)))),
    })
}

/// The code of a CONNACK in words (MQTT 3.1.1, table 3.1).
fn accepted(code: ConnectReturnCode) -> Result<(), Failure> {
    match code {
        ConnectReturnCode::Success => Ok(()),
        ConnectReturnCode::RefusedProtocolVersion => Err(Failure::Refused("unacceptable_protocol_version")),
        ConnectReturnCode::BadClientId => Err(Failure::Refused("identifier_rejected")),
        ConnectReturnCode::ServiceUnavailable => Err(Failure::Refused("server_unavailable")),
        ConnectReturnCode::BadUserNamePassword => Err(Failure::Refused("bad_user_name_or_password")),
        ConnectReturnCode::NotAuthorized => Err(Failure::Refused("not_authorized")),
    }
}

fn name(packet: &Read) -> &'static str {
    match packet {
        Read::Connect(_) => "CONNECT",
        Read::ConnAck(_) => "CONNACK",
        Read::Publish(_) => "PUBLISH",
        Read::PubAck(_) => "PUBACK",
        Read::PubRec(_) => "PUBREC",
        Read::PubRel(_) => "PUBREL",
        Read::PubComp(_) => "PUBCOMP",
        Read::Subscribe(_) => "SUBSCRIBE",
        Read::SubAck(_) => "SUBACK",
        Read::Unsubscribe(_) => "UNSUBSCRIBE",
        Read::UnsubAck(_) => "UNSUBACK",
        Read::PingReq => "PINGREQ",
        Read::PingResp => "PINGRESP",
        Read::Disconnect => "DISCONNECT",
    }
}

fn encode(result: Result<usize, mqttbytes::Error>) {
    result.expect("the packets a thing writes are far below the protocol's limits");
}

/// CONNECT with a clean session.
pub(super) fn write_connect(connect: &Connect<'_>, out: &mut BytesMut) {
    let mut packet = v4::Connect::new(connect.client_id);
    packet.keep_alive = connect.keep_alive_seconds();
    packet.clean_session = true;
    encode(packet.write(out));
}

pub(super) fn write_subscribe(id: u16, filters: impl IntoIterator<Item = String>, out: &mut BytesMut) {
    let mut packet = v4::Subscribe::new_many(filters.into_iter().map(|path| SubscribeFilter::new(path, QoS::AtLeastOnce)));
    packet.pkid = id;
    encode(packet.write(out));
}

pub(super) fn write_publish(id: u16, topic: String, payload: Vec<u8>, out: &mut BytesMut) {
    let mut packet = v4::Publish::new(topic, QoS::AtLeastOnce, payload);
    packet.pkid = id;
    encode(packet.write(out));
}

pub(super) fn write_message(topic: &str, payload: &[u8], out: &mut BytesMut) {
    encode(v4::Publish::new(topic, QoS::AtMostOnce, payload).write(out));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8]) -> Result<Option<Packet>, Failure> {
        read(&mut BytesMut::from(bytes))
    }

    #[test]
    fn what_an_endpoint_may_send_is_read() {
        assert_eq!(read_all(&[0x20, 2, 1, 0]).unwrap(), Some(Packet::ConnAck(ConnAck { session_present: true })));
        assert_eq!(read_all(&[0x40, 2, 0, 7]).unwrap(), Some(Packet::PubAck { id: 7 }));
        assert_eq!(read_all(&[0x90, 4, 0, 1, 1, 0x80]).unwrap(), Some(Packet::SubAck { id: 1, granted: vec![true, false] }));
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
        let packets: [&[u8]; 5] = [
            &[0xc0, 0],
            &[0xe0, 0],
            &[0x30, 6, 0, 3, b'a', b'/', b'#', b'x'],
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
}
