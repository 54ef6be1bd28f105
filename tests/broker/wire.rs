//! MQTT 3.1.1 and 5 in bytes, from the specifications: what a client sends, and what it gets.

use crate::common::{Client, Endpoint, field, packet};

/// Protocol levels: 3.1.1 and 5.
pub(crate) const V3: u8 = 4;
pub(crate) const V5: u8 = 5;
pub(crate) const BOTH: [u8; 2] = [V3, V5];

/// A CONNECT to be.
#[derive(Clone, Default)]
pub(crate) struct Connect<'a> {
    pub(crate) keep: bool,
    pub(crate) keep_alive: u16,
    /// MQTT 5, as on the wire.
    pub(crate) properties: Vec<u8>,
    pub(crate) will: Option<Will<'a>>,
}

#[derive(Clone, Default)]
pub(crate) struct Will<'a> {
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a [u8],
    pub(crate) qos: u8,
    pub(crate) properties: Vec<u8>,
}

pub(crate) fn session_expiry(seconds: u32) -> Vec<u8> {
    [&[0x11][..], &seconds.to_be_bytes()].concat()
}

fn properties(version: u8, properties: &[u8]) -> Vec<u8> {
    if version == V5 { [&[properties.len() as u8][..], properties].concat() } else { vec![] }
}

pub(crate) fn connect(version: u8, client_id: &str, connect: &Connect<'_>) -> Vec<u8> {
    let will = connect.will.as_ref();
    let flags = if connect.keep { 0 } else { 2 } | will.map_or(0, |will| 4 | will.qos << 3);
    let will = will
        .map_or(vec![], |will| [properties(version, &will.properties), field(will.topic.as_bytes()), field(will.payload)].concat());
    let keep_alive = connect.keep_alive.to_be_bytes();
    packet(
        0x10,
        &[
            &field(b"MQTT")[..],
            &[version, flags],
            &keep_alive,
            &properties(version, &connect.properties),
            &field(client_id.as_bytes()),
            &will,
        ]
        .concat(),
    )
}

/// Filters with their options byte: QoS in the lowest bits.
pub(crate) fn subscribe(version: u8, filters: &[(&str, u8)]) -> Vec<u8> {
    let filters: Vec<u8> =
        filters.iter().flat_map(|(filter, options)| [field(filter.as_bytes()), vec![*options]].concat()).collect();
    packet(0x82, &[&[0, 9][..], &properties(version, &[]), &filters].concat())
}

pub(crate) fn unsubscribe(version: u8, filters: &[&str]) -> Vec<u8> {
    let filters: Vec<u8> = filters.iter().flat_map(|filter| field(filter.as_bytes())).collect();
    packet(0xa2, &[&[0, 9][..], &properties(version, &[]), &filters].concat())
}

/// A PUBLISH; `flags` are QoS (bits 1 and 2) and RETAIN (bit 0).
pub(crate) fn publish(version: u8, flags: u8, topic: &str, more: &[u8], payload: &[u8]) -> Vec<u8> {
    let id: &[u8] = if flags & 6 == 0 { &[] } else { &[0, 7] };
    packet(0x30 | flags, &[&field(topic.as_bytes())[..], id, &properties(version, more), payload].concat())
}

/// A PUBLISH as it came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) dup: bool,
    pub(crate) id: Option<[u8; 2]>,
    pub(crate) properties: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

/// A client of one version.
pub(crate) struct Mqtt {
    pub(crate) client: Client,
    pub(crate) version: u8,
}

/// Connected with a clean session.
pub(crate) fn clean(endpoint: &Endpoint, version: u8, thing: &str) -> Mqtt {
    connected(endpoint, version, thing, &Connect::default()).0
}

/// Connected with a session that is to be kept.
pub(crate) fn kept(endpoint: &Endpoint, version: u8, thing: &str) -> (Mqtt, bool) {
    let properties = session_expiry(60);
    connected(endpoint, version, thing, &Connect { keep: true, properties, ..Connect::default() })
}

/// Connected; says whether a session was present.
#[track_caller]
pub(crate) fn connected(endpoint: &Endpoint, version: u8, thing: &str, wanted: &Connect<'_>) -> (Mqtt, bool) {
    let mut client = endpoint.dial(thing);
    client.send(&connect(version, thing, wanted));
    let (first, body) = client.packet().expect("a CONNACK");
    assert_eq!((first, body[1]), (0x20, 0), "{body:?}");
    (Mqtt { client, version }, body[0] == 1)
}

impl Mqtt {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.client.send(bytes);
    }

    /// Codes of the SUBACK.
    #[track_caller]
    pub(crate) fn subscribe(&mut self, filters: &[(&str, u8)]) -> Vec<u8> {
        self.send(&subscribe(self.version, filters));
        let (first, body) = self.client.packet().expect("a SUBACK");
        assert_eq!((first, &body[..2]), (0x90, &[0, 9][..]));
        body[if self.version == V5 { 3 } else { 2 }..].to_vec()
    }

    /// Publishes at QoS 1 and gets the code of its PUBACK.
    #[track_caller]
    pub(crate) fn publish(&mut self, topic: &str, payload: &[u8]) -> u8 {
        self.send(&publish(self.version, 2, topic, &[], payload));
        self.puback()
    }

    #[track_caller]
    pub(crate) fn puback(&mut self) -> u8 {
        let (first, body) = self.client.packet().expect("a PUBACK");
        assert_eq!((first, &body[..2]), (0x40, &[0, 7][..]));
        body.get(2).copied().unwrap_or(0)
    }

    /// The next message, not acknowledged.
    #[track_caller]
    pub(crate) fn message(&mut self) -> Message {
        let (first, body) = self.client.packet().expect("a message");
        assert_eq!(first & 0xf0, 0x30, "a PUBLISH, not {first:#x} {body:?}");
        let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let mut rest = &body[2 + length..];
        let qos = first >> 1 & 3;
        let id = (qos > 0).then(|| {
            let id = [rest[0], rest[1]];
            rest = &rest[2..];
            id
        });
        let mut properties = vec![];
        if self.version == V5 {
            let length = usize::from(rest[0]);
            properties = rest[1..=length].to_vec();
            rest = &rest[1 + length..];
        }
        let topic = String::from_utf8(body[2..2 + length].to_vec()).unwrap();
        Message { topic, qos, retain: first & 1 == 1, dup: first & 8 == 8, id, properties, payload: rest.to_vec() }
    }

    pub(crate) fn acknowledge(&mut self, message: &Message) {
        if let Some(id) = message.id {
            self.send(&[0x40, 2, id[0], id[1]]);
        }
    }

    /// The next message, acknowledged: topic and payload.
    #[track_caller]
    pub(crate) fn take(&mut self) -> (String, String) {
        let message = self.message();
        self.acknowledge(&message);
        (message.topic, String::from_utf8(message.payload).unwrap())
    }

    #[track_caller]
    pub(crate) fn expect_quiet(&mut self) {
        self.client.expect_quiet();
    }

    /// The connection ends: MQTT 5 says why, MQTT 3.1.1 has no words for it.
    #[track_caller]
    pub(crate) fn expect_end(mut self, reason: u8) {
        if self.version == V5 {
            let Some((0xe0, body)) = self.client.packet() else { panic!("a DISCONNECT") };
            assert_eq!(body[0], reason);
            // Only what is not authorized is told in words (PROTOCOL-CORE 1.9).
            let words = String::from_utf8_lossy(&body[2..]).into_owned();
            let is_told = words.contains("DISCONNECT:Client is not authenticated/authorized to send the message:");
            assert_eq!(is_told, reason == 0x87, "{words:?}");
        }
        assert_eq!(self.client.packet(), None);
    }

    /// Gone without a word, and known to be.
    pub(crate) fn drop_hard(self) {
        self.client.stream.sock.shutdown(std::net::Shutdown::Both).unwrap();
    }
}
