//! The MQTT 3.1.1 session of a thing, without IO: packet ids, acknowledgements both ways, keep-alive, deadlines.
//!
//! Packets are read and written by rumqttc's codec; what that codec lets pass or cannot say is checked here.

use super::error::Failure;
use crate::instant::Mono;
use crate::jobs::limits;
use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::v4::{
    ConnAck, Connect, ConnectReturnCode, Disconnect, Packet, PingReq, PubAck, Publish, Subscribe, SubscribeFilter,
    SubscribeReasonCode,
};
use rumqttc::mqttbytes::{self, QoS};
use std::time::Duration;

/// The largest packet taken: AWS's payload limit, a topic, a header.
const PACKET_BYTES_MAX: usize = limits::PAYLOAD_BYTES_MAX + limits::TOPIC_BYTES_MAX + 8;
/// Publishes of one thing that wait for their PUBACK at once; further ones wait.
const IN_FLIGHT_MAX: usize = 8;

/// What a packet means to the thing.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    Message {
        topic: String,
        payload: Bytes,
    },
    /// SUBACK: for each filter, whether it was granted.
    Granted(Vec<bool>),
    /// PUBACK of what was sent at that time.
    Acknowledged {
        sent: Mono,
    },
    /// Something that needs no attention.
    Nothing,
}

/// The state of one session, from CONNACK to its end.
#[derive(Debug)]
pub struct MqttSession {
    keep_alive: Duration,
    /// Deadline of a PUBACK and of a PINGRESP.
    answer_timeout: Duration,
    last_sent: Mono,
    ping_sent: Option<Mono>,
    last_id: u16,
    subscribe_id: Option<u16>,
    unacknowledged: Vec<(u16, Mono)>,
}

/// Reads the next packet, or `None` when more bytes are needed.
///
/// # Errors
/// When the bytes are no MQTT 3.1.1 packet, or one over the size limit.
pub fn read_packet(bytes: &mut BytesMut) -> Result<Option<Packet>, Failure> {
    match Packet::read(bytes, PACKET_BYTES_MAX) {
        Ok(packet) => Ok(Some(packet)),
        Err(mqttbytes::Error::InsufficientBytes(_)) => Ok(None),
        Err(error) => Err(Failure::Protocol(error.to_string())),
    }
}

fn encode(result: Result<usize, mqttbytes::Error>) {
    result.expect("the packets a thing writes are far below the protocol's limits");
}

/// CONNECT with a clean session.
pub fn write_connect(client_id: &str, keep_alive: Duration, out: &mut BytesMut) {
    let mut connect = Connect::new(client_id);
    connect.keep_alive = u16::try_from(keep_alive.as_secs()).unwrap_or(u16::MAX);
    connect.clean_session = true;
    encode(connect.write(out));
}

pub fn write_disconnect(out: &mut BytesMut) {
    encode(Disconnect.write(out));
}

/// The code of a CONNACK in words (MQTT 3.1.1, table 3.1).
///
/// # Errors
/// When the connection was refused.
pub fn check_connack(ack: &ConnAck) -> Result<(), Failure> {
    match ack.code {
        ConnectReturnCode::Success => Ok(()),
        ConnectReturnCode::RefusedProtocolVersion => Err(Failure::Refused("unacceptable_protocol_version")),
        ConnectReturnCode::BadClientId => Err(Failure::Refused("identifier_rejected")),
        ConnectReturnCode::ServiceUnavailable => Err(Failure::Refused("server_unavailable")),
        ConnectReturnCode::BadUserNamePassword => Err(Failure::Refused("bad_user_name_or_password")),
        ConnectReturnCode::NotAuthorized => Err(Failure::Refused("not_authorized")),
    }
}

impl MqttSession {
    #[must_use]
    pub fn new(keep_alive: Duration, answer_timeout: Duration, now: Mono) -> Self {
        Self {
            keep_alive,
            answer_timeout,
            last_sent: now,
            ping_sent: None,
            last_id: 0,
            subscribe_id: None,
            unacknowledged: Vec::new(),
        }
    }

    /// Whether another publish may leave.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.unacknowledged.len() < IN_FLIGHT_MAX
    }

    /// Publishes of QoS 1 that nobody has acknowledged yet.
    pub fn unacknowledged(&self) -> impl Iterator<Item = Mono> {
        self.unacknowledged.iter().map(|(_, sent)| *sent)
    }

    /// A packet from the endpoint. Acknowledgements it asks for are written to `out`.
    ///
    /// # Errors
    /// When the packet is none that an endpoint may send now.
    pub fn handle_packet(&mut self, packet: Packet, now: Mono, out: &mut BytesMut) -> Result<Incoming, Failure> {
        match packet {
            Packet::Publish(publish) => {
                match publish.qos {
                    QoS::AtMostOnce => {}
                    QoS::AtLeastOnce => {
                        encode(PubAck::new(publish.pkid).write(out));
                        self.last_sent = now;
                    }
                    QoS::ExactlyOnce => return Err(Failure::Protocol("PUBLISH with QoS 2".into())),
                }
                if publish.topic.contains(['#', '+']) {
                    return Err(Failure::Protocol(format!("wildcard in the topic {:?}", publish.topic)));
                }
                Ok(Incoming::Message { topic: publish.topic, payload: publish.payload })
            }
            // A duplicate, or one for what was given up: harmless.
            Packet::PubAck(ack) => Ok(match self.unacknowledged.iter().position(|(id, _)| *id == ack.pkid) {
                Some(position) => Incoming::Acknowledged { sent: self.unacknowledged.swap_remove(position).1 },
                None => Incoming::Nothing,
            }),
            Packet::SubAck(ack) if self.subscribe_id == Some(ack.pkid) => {
                self.subscribe_id = None;
                Ok(Incoming::Granted(ack.return_codes.iter().map(|code| matches!(code, SubscribeReasonCode::Success(_))).collect()))
            }
            Packet::SubAck(_) | Packet::UnsubAck(_) => Ok(Incoming::Nothing),
            Packet::PingResp => {
                self.ping_sent = None;
                Ok(Incoming::Nothing)
            }
            other => Err(Failure::Protocol(format!("unexpected {}", packet_name(&other)))),
        }
    }

    /// SUBSCRIBE at QoS 1.
    pub fn write_subscribe(&mut self, filters: impl IntoIterator<Item = String>, now: Mono, out: &mut BytesMut) {
        let mut subscribe = Subscribe::new_many(filters.into_iter().map(|path| SubscribeFilter::new(path, QoS::AtLeastOnce)));
        subscribe.pkid = self.next_id();
        self.subscribe_id = Some(subscribe.pkid);
        self.last_sent = now;
        encode(subscribe.write(out));
    }

    /// PUBLISH at QoS 1.
    pub fn write_publish(&mut self, topic: String, payload: Vec<u8>, now: Mono, out: &mut BytesMut) {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
        publish.pkid = self.next_id();
        self.unacknowledged.push((publish.pkid, now));
        self.last_sent = now;
        encode(publish.write(out));
    }

    /// Time has reached [`Self::poll_timeout`]. Returns when a publish was sent whose PUBACK is given up, if any; call again.
    ///
    /// # Errors
    /// When the endpoint left a PINGREQ without answer.
    pub fn handle_timeout(&mut self, now: Mono, out: &mut BytesMut) -> Result<Option<Mono>, Failure> {
        if self.ping_sent.is_some_and(|sent| now >= sent + self.answer_timeout) {
            return Err(Failure::Timeout("pingresp"));
        }
        if self.ping_sent.is_none() && now >= self.last_sent + self.keep_alive {
            encode(PingReq.write(out));
            self.ping_sent = Some(now);
            self.last_sent = now;
        }
        let expired = self.unacknowledged.iter().position(|(_, sent)| now >= *sent + self.answer_timeout);
        Ok(expired.map(|position| self.unacknowledged.swap_remove(position).1))
    }

    /// The next deadline, and its name.
    #[must_use]
    pub fn poll_timeout(&self) -> (Mono, &'static str) {
        let ping = match self.ping_sent {
            Some(sent) => (sent + self.answer_timeout, "pingresp"),
            None => (self.last_sent + self.keep_alive, "keep-alive"),
        };
        let puback = self.unacknowledged.iter().map(|(_, sent)| (*sent + self.answer_timeout, "puback")).min();
        puback.map_or(ping, |puback| puback.min(ping))
    }

    fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            let taken = |(id, _): &(u16, Mono)| *id == self.last_id;
            if self.subscribe_id != Some(self.last_id) && !self.unacknowledged.iter().any(taken) {
                return self.last_id;
            }
        }
    }
}

fn packet_name(packet: &Packet) -> &'static str {
    match packet {
        Packet::Connect(_) => "CONNECT",
        Packet::ConnAck(_) => "CONNACK",
        Packet::Publish(_) => "PUBLISH",
        Packet::PubAck(_) => "PUBACK",
        Packet::PubRec(_) => "PUBREC",
        Packet::PubRel(_) => "PUBREL",
        Packet::PubComp(_) => "PUBCOMP",
        Packet::Subscribe(_) => "SUBSCRIBE",
        Packet::SubAck(_) => "SUBACK",
        Packet::Unsubscribe(_) => "UNSUBSCRIBE",
        Packet::UnsubAck(_) => "UNSUBACK",
        Packet::PingReq => "PINGREQ",
        Packet::PingResp => "PINGRESP",
        Packet::Disconnect => "DISCONNECT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rumqttc::mqttbytes::v4::SubAck;

    const START: Mono = Mono(1_000_000_000);

    fn session() -> (MqttSession, BytesMut) {
        (MqttSession::new(Duration::from_secs(60), Duration::from_secs(10), START), BytesMut::new())
    }

    fn publish_qos1(id: u16) -> Packet {
        let mut publish = Publish::new("t", QoS::AtLeastOnce, *b"x");
        publish.pkid = id;
        Packet::Publish(publish)
    }

    #[test]
    fn a_message_of_qos_1_is_acknowledged() {
        let (mut session, mut out) = session();
        let message = session.handle_packet(publish_qos1(7), START, &mut out).unwrap();
        assert!(matches!(message, Incoming::Message { .. }));
        assert_eq!(out[..], [0x40, 2, 0, 7]);
    }

    #[test]
    fn a_puback_is_matched_once_and_a_second_one_is_harmless() {
        let (mut session, mut out) = session();
        session.write_publish("t".into(), b"x".to_vec(), START, &mut out);
        let ack = || Packet::PubAck(PubAck::new(1));
        assert_eq!(session.handle_packet(ack(), START, &mut out).unwrap(), Incoming::Acknowledged { sent: START });
        assert_eq!(session.handle_packet(ack(), START, &mut out).unwrap(), Incoming::Nothing);
    }

    #[test]
    fn packet_ids_are_never_zero_and_never_one_in_use() {
        let (mut session, mut out) = session();
        session.last_id = u16::MAX - 1;
        session.unacknowledged = vec![(1, START), (2, START)];
        for expected in [u16::MAX, 3] {
            session.write_publish("t".into(), vec![], START, &mut out);
            assert_eq!(session.unacknowledged.last().unwrap().0, expected);
        }
    }

    #[test]
    fn the_window_closes_at_its_limit_and_opens_when_pubacks_are_given_up() {
        let (mut session, mut out) = session();
        for _ in 0..IN_FLIGHT_MAX {
            assert!(session.has_room());
            session.write_publish("t".into(), vec![], START, &mut out);
        }
        assert!(!session.has_room());
        assert_eq!(session.poll_timeout(), (START + Duration::from_secs(10), "puback"));
        assert_eq!(session.handle_timeout(START + Duration::from_secs(10), &mut out).unwrap(), Some(START));
        assert!(session.has_room());
    }

    #[test]
    fn an_idle_session_pings_and_a_dead_endpoint_is_noticed() {
        let (mut session, mut out) = session();
        let due = START + Duration::from_secs(60);
        assert_eq!(session.poll_timeout(), (due, "keep-alive"));
        assert_eq!(session.handle_timeout(due, &mut out).unwrap(), None);
        assert_eq!(out[..], [0xc0, 0]);
        assert_eq!(session.poll_timeout(), (due + Duration::from_secs(10), "pingresp"));
        session.handle_packet(Packet::PingResp, due, &mut out).unwrap();
        assert_eq!(session.handle_timeout(due + Duration::from_secs(60), &mut out).unwrap(), None);
        assert!(session.handle_timeout(due + Duration::from_secs(70), &mut out).unwrap_err().is_timeout());
    }

    #[test]
    fn a_suback_counts_only_for_the_open_subscribe() {
        let (mut session, mut out) = session();
        session.write_subscribe(["a".to_owned(), "b".to_owned()], START, &mut out);
        let codes = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce), SubscribeReasonCode::Failure];
        let stray = session.handle_packet(Packet::SubAck(SubAck::new(9, codes.clone())), START, &mut out).unwrap();
        assert_eq!(stray, Incoming::Nothing);
        let granted = session.handle_packet(Packet::SubAck(SubAck::new(1, codes)), START, &mut out).unwrap();
        assert_eq!(granted, Incoming::Granted(vec![true, false]));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let (mut session, mut out) = session();
            let mut stream = BytesMut::from(&bytes[..]);
            while let Ok(Some(packet)) = read_packet(&mut stream) {
                let _ = session.handle_packet(packet, START, &mut out);
            }
        }
    }

    #[test]
    fn what_an_endpoint_may_not_send_ends_the_session() {
        let (mut session, mut out) = session();
        for packet in [Packet::PingReq, Packet::Disconnect, Packet::Publish(Publish::new("a/#", QoS::AtMostOnce, vec![]))] {
            assert!(matches!(session.handle_packet(packet, START, &mut out), Err(Failure::Protocol(_))));
        }
        let mut oversize = BytesMut::from(&[0x30, 0xff, 0xff, 0xff, 0x7f][..]);
        assert!(matches!(read_packet(&mut oversize), Err(Failure::Protocol(_))));
        let mut partial = BytesMut::from(&[0x40, 2, 0][..]);
        assert!(matches!(read_packet(&mut partial), Ok(None)));
        assert_eq!(partial.len(), 3);
    }
}
