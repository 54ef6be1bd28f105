//! The MQTT session of a thing, without IO: packet ids, acknowledgements both ways, keep-alive, deadlines, and what of it outlives
//! a connection.
//!
//! It knows packets as values; each version of the protocol is a translation of them to bytes.

mod packet;
mod reason;
mod v3;
mod v5;

pub use packet::{ConnAck, Connect, Packet, Publish, SubAck, Version};

use crate::error::Failure;
use bytes::{Bytes, BytesMut};
use iot_jobs::instant::Mono;
use iot_jobs::{RequestKind, limits};
use std::time::Duration;

/// Publishes of one thing that wait for their PUBACK at once; further ones wait. An endpoint may allow fewer.
const IN_FLIGHT_MAX: u16 = 8;
/// An endpoint that wants no keep-alive is asked this often whether it is there.
const NO_KEEP_ALIVE: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a packet means to the thing.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A PUBLISH of the endpoint.
    Message {
        /// Where it was published.
        topic: String,
        /// What it says.
        payload: Bytes,
    },
    /// SUBACK: for each filter, whether it was granted, and why not.
    Granted {
        /// In the order of the filters.
        granted: Vec<bool>,
        /// Why not.
        refusal: Option<&'static str>,
    },
    /// PUBACK of this publish; `refusal` where it was not taken.
    Acknowledged {
        /// Which one.
        publish: Published,
        /// Why not.
        refusal: Option<&'static str>,
    },
    /// Something that needs no attention.
    Nothing,
}

/// What a publish is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A request of the job agent.
    Request(RequestKind),
    /// Telemetry of the thing.
    Telemetry,
}

/// What left, and was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unacknowledged {
    /// A SUBSCRIBE.
    Subscribe,
    /// A PUBLISH; at QoS 0 none is.
    Publish(Content),
}

/// A publish that left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// What it is for.
    pub content: Content,
    /// When the plan wanted it.
    pub intended: Mono,
    /// When it left for the first time.
    pub sent: Mono,
}

/// A publish that waits for its PUBACK.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    id: u16,
    publish: Published,
    /// When it left for the last time.
    sent: Mono,
}

/// A PUBLISH as it was written, to be sent again.
#[derive(Debug)]
struct Copied {
    id: u16,
    bytes: Box<[u8]>,
}

/// What outlives a connection, where the session does.
#[derive(Debug)]
pub struct SessionState {
    last_id: u16,
    unacknowledged: Vec<InFlight>,
    copies: Vec<Copied>,
}

impl SessionState {
    /// Publishes that nobody has acknowledged yet.
    pub fn unacknowledged(&self) -> impl Iterator<Item = Published> {
        self.unacknowledged.iter().map(|open| open.publish)
    }
}

/// What a session is like, as far as the thing decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MqttSettings {
    /// Of the protocol.
    pub version: Version,
    /// Asked for in CONNECT; the endpoint may answer with another.
    pub keep_alive: Duration,
    /// Whether the session ends with the connection, and does not go on from an earlier one.
    pub clean: bool,
    /// Deadline of a PUBACK and of a PINGRESP.
    pub answer_timeout: Duration,
}

/// The state of one session, from CONNACK to the end of its connection.
#[derive(Debug)]
pub struct MqttSession {
    version: Version,
    /// Publishes without a PUBACK that the endpoint takes.
    window: u16,
    /// The largest packet the endpoint takes.
    packet_bytes_max: u32,
    keep_alive: Duration,
    answer_timeout: Duration,
    last_sent: Mono,
    /// Whether that was a PUBLISH of QoS 0.
    is_last_qos_0: bool,
    ping_sent: Option<Mono>,
    last_id: u16,
    subscribe_id: Option<u16>,
    unacknowledged: Vec<InFlight>,
    /// Of what is not acknowledged; only of a session that may go on in another connection.
    copies: Option<Vec<Copied>>,
    /// Messages that are not acknowledged for now, where that goes wrong on purpose.
    withheld: Option<Vec<u16>>,
}

impl MqttSession {
    /// A connection that `ack` has accepted.
    #[must_use]
    pub fn new(settings: &MqttSettings, ack: &ConnAck, now: Mono) -> Self {
        let keep_alive = ack.keep_alive.unwrap_or(settings.keep_alive);
        Self {
            version: settings.version,
            window: ack.receive_max.min(IN_FLIGHT_MAX),
            packet_bytes_max: ack.packet_bytes_max,
            keep_alive: if keep_alive.is_zero() { NO_KEEP_ALIVE } else { keep_alive },
            answer_timeout: settings.answer_timeout,
            last_sent: now,
            is_last_qos_0: false,
            ping_sent: None,
            last_id: 0,
            subscribe_id: None,
            unacknowledged: Vec::new(),
            withheld: None,
            copies: (!settings.clean).then(Vec::new),
        }
    }

    /// Goes on where the connection before stopped: what was not acknowledged is sent again, with its id, before anything else
    /// (MQTT 5 section 4.4). Returns the bytes of each, and those that this endpoint no longer takes.
    pub fn resume(&mut self, kept: SessionState, now: Mono, out: &mut BytesMut) -> (Vec<usize>, Vec<Published>) {
        self.last_id = kept.last_id;
        let (mut repeated, mut lost) = (Vec::new(), Vec::new());
        for open in kept.unacknowledged {
            let copied = kept.copies.iter().find(|copied| copied.id == open.id).map(|copied| &copied.bytes);
            match copied {
                Some(bytes) if self.has_room() && bytes.len() <= self.packet_bytes_max as usize => {
                    let start = out.len();
                    out.extend_from_slice(bytes);
                    out[start] |= packet::DUP;
                    (self.last_sent, self.is_last_qos_0) = (now, false);
                    self.unacknowledged.push(InFlight { sent: now, ..open });
                    self.copy(open.id, &out[start..]);
                    repeated.push(bytes.len());
                }
                _ => lost.push(open.publish),
            }
        }
        (repeated, lost)
    }

    /// Whether it ends with the connection.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.copies.is_none()
    }

    /// What is left of a session that may go on.
    #[must_use]
    pub fn into_session_state(self) -> Option<SessionState> {
        let copies = self.copies?;
        Some(SessionState { last_id: self.last_id, unacknowledged: self.unacknowledged, copies })
    }

    /// Whether another publish may leave.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.unacknowledged.len() < usize::from(self.window)
    }

    /// Publishes of QoS 1 that nobody has acknowledged yet.
    pub fn unacknowledged(&self) -> impl Iterator<Item = Published> {
        self.unacknowledged.iter().map(|open| open.publish)
    }

    /// What the endpoint has not acknowledged, or would not acknowledge, of what left since `since`: the newest of it.
    #[must_use]
    pub fn newest_unacknowledged(&self, since: Mono) -> Option<Unacknowledged> {
        let is_new = |sent: &Mono| *sent >= since;
        if self.subscribe_id.is_some() && is_new(&self.last_sent) {
            return Some(Unacknowledged::Subscribe);
        }
        if self.is_last_qos_0 && is_new(&self.last_sent) {
            return Some(Unacknowledged::Publish(Content::Telemetry));
        }
        let newest = self.unacknowledged.iter().max_by_key(|open| open.sent).filter(|open| is_new(&open.sent));
        newest.map(|open| Unacknowledged::Publish(open.publish.content))
    }

    /// Reads the next packet, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// As [`Version::read`].
    pub fn read_packet(&self, bytes: &mut BytesMut) -> Result<Option<Packet>, Failure> {
        self.version.read(bytes)
    }

    /// A packet from the endpoint. Acknowledgements it asks for are written to `out`. A message that comes again is one more
    /// message: whoever reads it must bear that.
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
            Packet::PubAck { id, refusal } => Ok(match self.unacknowledged.iter().position(|open| open.id == id) {
                Some(position) => Incoming::Acknowledged { publish: self.forget(position), refusal },
                None => Incoming::Nothing,
            }),
            Packet::SubAck(SubAck { id, granted, refusal }) if self.subscribe_id == Some(id) => {
                self.subscribe_id = None;
                Ok(Incoming::Granted { granted, refusal })
            }
            Packet::SubAck(_) | Packet::Other => Ok(Incoming::Nothing),
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
                (self.last_sent, self.is_last_qos_0) = (now, false);
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
        for id in self.withheld.take().into_iter().flatten() {
            self.acknowledge(id, now, out);
        }
    }

    /// SUBSCRIBE at QoS 1.
    pub fn write_subscribe(&mut self, filters: impl IntoIterator<Item = String>, now: Mono, out: &mut BytesMut) {
        let id = self.next_id();
        self.subscribe_id = Some(id);
        (self.last_sent, self.is_last_qos_0) = (now, false);
        self.version.write_subscribe(id, filters, out);
    }

    /// PUBLISH at QoS 1. Says whether it is written: the endpoint may take no packet of its size.
    #[must_use]
    pub fn write_publish(&mut self, topic: String, payload: Vec<u8>, publish: Published, out: &mut BytesMut) -> bool {
        let id = self.next_id();
        let start = out.len();
        if !self.write(Some(id), topic, payload, out) {
            return false;
        }
        let sent = publish.sent;
        (self.last_sent, self.is_last_qos_0) = (sent, false);
        self.unacknowledged.push(InFlight { id, publish, sent });
        self.copy(id, &out[start..]);
        true
    }

    /// PUBLISH at QoS 0. Says whether it is written.
    #[must_use]
    pub fn write_publish_qos_0(&mut self, topic: String, payload: Vec<u8>, now: Mono, out: &mut BytesMut) -> bool {
        let is_written = self.write(None, topic, payload, out);
        if is_written {
            (self.last_sent, self.is_last_qos_0) = (now, true);
        }
        is_written
    }

    fn write(&self, id: Option<u16>, topic: String, payload: Vec<u8>, out: &mut BytesMut) -> bool {
        let start = out.len();
        self.version.write_publish(id, topic, payload, out);
        let fits = out.len() - start <= self.packet_bytes_max as usize;
        if !fits {
            out.truncate(start);
        }
        fits
    }

    /// Time has reached [`Self::poll_timeout`]. Returns a publish whose PUBACK is given up, if any; call again.
    ///
    /// # Errors
    /// When the endpoint left a PINGREQ without answer.
    pub fn handle_timeout(&mut self, now: Mono, out: &mut BytesMut) -> Result<Option<Published>, Failure> {
        if self.ping_sent.is_some_and(|sent| now >= sent + self.answer_timeout) {
            return Err(Failure::Timeout("pingresp"));
        }
        if self.ping_sent.is_none() && now >= self.last_sent + self.keep_alive {
            self.version.write_pingreq(out);
            self.ping_sent = Some(now);
            (self.last_sent, self.is_last_qos_0) = (now, false);
        }
        let expired = self.unacknowledged.iter().position(|open| now >= open.sent + self.answer_timeout);
        Ok(expired.map(|position| self.forget(position)))
    }

    /// The next deadline, and its name.
    #[must_use]
    pub fn poll_timeout(&self) -> (Mono, &'static str) {
        let ping = match self.ping_sent {
            Some(sent) => (sent + self.answer_timeout, "pingresp"),
            None => (self.last_sent + self.keep_alive, "keep-alive"),
        };
        let puback = self.unacknowledged.iter().map(|open| (open.sent + self.answer_timeout, "puback")).min();
        puback.map_or(ping, |puback| puback.min(ping))
    }

    fn copy(&mut self, id: u16, bytes: &[u8]) {
        if let Some(copies) = &mut self.copies {
            copies.push(Copied { id, bytes: bytes.into() });
        }
    }

    fn forget(&mut self, position: usize) -> Published {
        let InFlight { id, publish, .. } = self.unacknowledged.swap_remove(position);
        if let Some(copies) = &mut self.copies {
            copies.retain(|copied| copied.id != id);
        }
        publish
    }

    fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            let is_taken = self.unacknowledged.iter().any(|open| open.id == self.last_id);
            if self.subscribe_id != Some(self.last_id) && !is_taken {
                return self.last_id;
            }
        }
    }
}

#[cfg(test)]
mod tests;
