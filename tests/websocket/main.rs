//! MQTT over WebSocket, in frames written from the RFC rather than by a codec.

#[path = "../common/mod.rs"]
mod common;
mod frames;
mod sessions;
mod upgrade;

use aws_signing::websocket::presign;
use common::http::{Http, header};
use common::{Endpoint, Tls, connect_packet};
use std::io::{Read as _, Write as _};
use std::time::SystemTime;

const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
/// The last frame of a message.
const FIN: u8 = 0x80;
/// The example of RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Path and query of a URL that opens a connection now.
fn url(endpoint: &Endpoint) -> String {
    presign(&endpoint.api, &endpoint.key(), None, "us-east-1", SystemTime::now())
}

/// Asks for an upgrade: head of the answer.
fn upgrade(endpoint: &Endpoint, url: &str, more: &str) -> (String, Http) {
    let mut http = Http::without_certificate(endpoint);
    let head = format!(
        "GET {url} HTTP/1.1\r\nhost: {}\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: {KEY}\r\n{more}\r\n",
        endpoint.api
    );
    http.send(head.as_bytes());
    let (head, _) = http.message().expect("an answer");
    (head, http)
}

/// A frame as a client sends it, masked.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        length @ ..126 => out.push(0x80 | length as u8),
        length @ ..65_536 => out.extend([&[0x80 | 126][..], &(length as u16).to_be_bytes()].concat()),
        length => out.extend([&[0x80 | 127][..], &(length as u64).to_be_bytes()].concat()),
    }
    let mask = [0x11, 0x52, 0x93, 0xd4];
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

/// A client behind its upgrade.
struct Socket {
    stream: Tls,
    /// Bytes of packets that came with the one before.
    packets: Vec<u8>,
}

impl Socket {
    fn open(endpoint: &Endpoint) -> Self {
        Self::open_by(endpoint, &url(endpoint))
    }

    #[track_caller]
    fn open_by(endpoint: &Endpoint, url: &str) -> Self {
        let (head, http) = upgrade(endpoint, url, "sec-websocket-protocol: mqttv3.1, mqtt\r\n");
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        assert_eq!(header(&head, "sec-websocket-accept").as_deref(), Some(ACCEPT));
        assert_eq!(header(&head, "sec-websocket-protocol").as_deref(), Some("mqtt"));
        Self { stream: http.stream, packets: Vec::new() }
    }

    /// With a session of MQTT 3.1.1.
    #[track_caller]
    fn connect(endpoint: &Endpoint, thing: &str) -> Self {
        let mut socket = Self::open(endpoint);
        socket.send(&frame(FIN | BINARY, &connect_packet(thing, 300, 4, 2)));
        assert_eq!(socket.frame(), Some((FIN | BINARY, vec![0x20, 2, 0, 0])));
        socket
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).unwrap();
    }

    /// The next frame, or `None` at the end of the connection.
    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).ok()?;
        assert_eq!(head[1] & 0x80, 0, "a server does not mask");
        let length = match head[1] {
            126 => {
                let mut length = [0; 2];
                self.stream.read_exact(&mut length).unwrap();
                u16::from_be_bytes(length) as usize
            }
            127 => panic!("nothing here is that long"),
            length => length as usize,
        };
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).unwrap();
        Some((head[0], payload))
    }

    /// The end: a close frame with this code, then nothing.
    #[track_caller]
    fn expect_close(&mut self, code: Option<u16>) {
        let (first, payload) = self.frame().expect("a close frame");
        let told = payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]));
        assert_eq!((first, told), (FIN | CLOSE, code));
        assert_eq!(self.frame(), None, "and closed");
    }

    /// It is alive and has nothing else to say.
    #[track_caller]
    fn expect_quiet(&mut self) {
        self.send(&frame(FIN | BINARY, &[0xc0, 0]));
        assert_eq!(self.frame(), Some((FIN | BINARY, vec![0xd0, 0])));
    }
}
