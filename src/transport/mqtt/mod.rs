//! The MQTT session of a thing, without IO: packet ids, acknowledgements both ways, keep-alive, deadlines.
//!
//! It knows packets as values; each version of the protocol is a translation of them to bytes.

mod packet;
mod v3;

pub use packet::{ConnAck, Connect, Packet, Publish, Version};

use super::error::Failure;
use crate::instant::Mono;
use crate::jobs::limits;
use bytes::{Bytes, BytesMut};
use std::time::Duration;

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
    version: Version,
    keep_alive: Duration,
    /// Deadline of a PUBACK and of a PINGRESP.
    answer_timeout: Duration,
    last_sent: Mono,
    ping_sent: Option<Mono>,
    last_id: u16,
    subscribe_id: Option<u16>,
    unacknowledged: Vec<(u16, Mono)>,
    /// Messages that are not acknowledged for now, where that goes wrong on purpose.
    withheld: Option<Box<Vec<u16>>>,
}

impl MqttSession {
    #[must_use]
    pub fn new(version: Version, keep_alive: Duration, answer_timeout: Duration, now: Mono) -> Self {
        Self {
            version,
            keep_alive,
            answer_timeout,
            last_sent: now,
            ping_sent: None,
            last_id: 0,
            subscribe_id: None,
            unacknowledged: Vec::new(),
            withheld: None,
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

    /// Reads the next packet, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// As [`Version::read`].
    pub fn read_packet(&self, bytes: &mut BytesMut) -> Result<Option<Packet>, Failure> {
        self.version.read(bytes)
    }

    /// A packet from the endpoint. Acknowledgements it asks for are written to `out`.
    ///
    /// # Errors
    /// When the packet is none that an endpoint may send now.
    pub fn handle_packet(&mut self, packet: Packet, now: Mono, out: &mut BytesMut) -> Result<Incoming, Failure> {
        match packet {
            Packet::Publish(Publish { id, topic, payload }) => {
                if let Some(id) = id {
                    self.acknowledge(id, now, out);
                }
                Ok(Incoming::Message { topic, payload })
            }
            // A duplicate, or one for what was given up: harmless.
            Packet::PubAck { id } => Ok(match self.unacknowledged.iter().position(|(open, _)| *open == id) {
                Some(position) => Incoming::Acknowledged { sent: self.unacknowledged.swap_remove(position).1 },
                None => Incoming::Nothing,
            }),
            Packet::SubAck { id, granted } if self.subscribe_id == Some(id) => {
                self.subscribe_id = None;
                Ok(Incoming::Granted(granted))
            }
            Packet::SubAck { .. } | Packet::Other => Ok(Incoming::Nothing),
            Packet::PingResp => {
                self.ping_sent = None;
                Ok(Incoming::Nothing)
            }
            Packet::ConnAck(_) => Err(Failure::Protocol("unexpected CONNACK".into())),
        }
    }

    fn acknowledge(&mut self, id: u16, now: Mono, out: &mut BytesMut) {
        match &mut self.withheld {
            None => {
                self.version.write_puback(id, out);
                self.last_sent = now;
            }
            // An endpoint that sends more than it may never hears of the rest.
            Some(ids) if ids.len() < usize::from(limits::UNACKNOWLEDGED_MAX) => ids.push(id),
            Some(_) => {}
        }
    }

    /// From now on no message is acknowledged.
    pub fn withhold_acknowledgements(&mut self) {
        self.withheld.get_or_insert_default();
    }

    /// Acknowledges what was withheld, and everything from now on.
    pub fn release_acknowledgements(&mut self, now: Mono, out: &mut BytesMut) {
        for id in self.withheld.take().into_iter().flat_map(|ids| *ids) {
            self.acknowledge(id, now, out);
        }
    }

    /// PUBLISH at QoS 0.
    pub fn write_message(&mut self, topic: &str, payload: &[u8], now: Mono, out: &mut BytesMut) {
        self.last_sent = now;
        self.version.write_message(topic, payload, out);
    }

    /// SUBSCRIBE at QoS 1.
    pub fn write_subscribe(&mut self, filters: impl IntoIterator<Item = String>, now: Mono, out: &mut BytesMut) {
        let id = self.next_id();
        self.subscribe_id = Some(id);
        self.last_sent = now;
        self.version.write_subscribe(id, filters, out);
    }

    /// PUBLISH at QoS 1.
    pub fn write_publish(&mut self, topic: String, payload: Vec<u8>, now: Mono, out: &mut BytesMut) {
        let id = self.next_id();
        self.unacknowledged.push((id, now));
        self.last_sent = now;
        self.version.write_publish(id, topic, payload, out);
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
            self.version.write_pingreq(out);
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

#[cfg(test)]
mod tests {
    use super::*;

    const START: Mono = Mono(1_000_000_000);

    fn session() -> (MqttSession, BytesMut) {
        (MqttSession::new(Version::V3, Duration::from_secs(60), Duration::from_secs(10), START), BytesMut::new())
    }

    fn publish_qos1(id: u16) -> Packet {
        Packet::Publish(Publish { id: Some(id), topic: "t".into(), payload: "x".into() })
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
        let ack = || Packet::PubAck { id: 1 };
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
        let ack = |id| Packet::SubAck { id, granted: vec![true, false] };
        assert_eq!(session.handle_packet(ack(9), START, &mut out).unwrap(), Incoming::Nothing);
        assert_eq!(session.handle_packet(ack(1), START, &mut out).unwrap(), Incoming::Granted(vec![true, false]));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let (mut session, mut out) = session();
            let mut stream = BytesMut::from(&bytes[..]);
            while let Ok(Some(packet)) = Version::V3.read(&mut stream) {
                let _ = session.handle_packet(packet, START, &mut out);
            }
        }
    }

    #[test]
    fn a_second_connack_ends_the_session() {
        let (mut session, mut out) = session();
        let ack = Packet::ConnAck(ConnAck { session_present: false });
        assert!(matches!(session.handle_packet(ack, START, &mut out), Err(Failure::Protocol(_))));
    }
}
