//! Frames and packets need not have the same borders, and some frames end the connection.

use crate::common::{Endpoint, connect_packet, publish_packet};
use crate::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, Socket, TEXT, frame};
use std::io::Write as _;

const UNSUPPORTED: Option<u16> = Some(1003);
const PROTOCOL_ERROR: Option<u16> = Some(1002);
const TOO_LARGE: Option<u16> = Some(1009);

#[test]
fn packets_in_pieces_over_frames_and_several_in_one_are_understood() {
    let endpoint = Endpoint::start(&[]);
    let mut socket = Socket::open(&endpoint);
    let connect = connect_packet("t-1", 300, 4, 2);
    // Two messages, the first in three fragments with a ping between them.
    socket.send(&frame(BINARY, &connect[..3]));
    socket.send(&frame(CONTINUATION, &connect[3..4]));
    socket.send(&frame(FIN | PING, b"are you there?"));
    assert_eq!(socket.frame(), Some((FIN | PONG, b"are you there?".to_vec())));
    socket.send(&frame(FIN | CONTINUATION, &connect[4..7]));
    socket.send(&frame(FIN | BINARY, b""));
    socket.send(&frame(FIN | BINARY, &connect[7..]));
    assert_eq!(socket.frame(), Some((FIN | BINARY, vec![0x20, 2, 0, 0])));
    let get = |id| publish_packet("$aws/things/t-1/jobs/get", 1, id, b"{}", false);
    socket.send(&frame(FIN | BINARY, &[get(1), get(2), vec![0xc0]].concat()));
    let (_, answered) = socket.frame().unwrap();
    assert_eq!(answered[..4], [0x40, 2, 0, 1], "PUBACK and answer");
    socket.send(&frame(FIN | BINARY, &[0]));
    let mut last = answered;
    while !last.ends_with(&[0xd0, 0]) {
        last = socket.frame().expect("the answer to a ping of MQTT").1;
    }
    // A frame byte by byte.
    for byte in frame(FIN | BINARY, &[0xc0, 0]) {
        socket.send(&[byte]);
    }
    assert_eq!(socket.frame(), Some((FIN | BINARY, vec![0xd0, 0])));
    // A pong that nobody asked for says nothing.
    socket.send(&frame(FIN | PONG, b""));
    socket.expect_quiet();
}

#[test]
fn a_large_packet_is_one_message_or_many() {
    let endpoint = Endpoint::start(&[]);
    let mut socket = Socket::connect(&endpoint, "t-1");
    let packet = publish_packet("dt/t-1/large", 1, 7, &vec![b'x'; 128 * 1024], false);
    socket.send(&frame(FIN | BINARY, &packet));
    assert_eq!(socket.frame(), Some((FIN | BINARY, vec![0x40, 2, 0, 7])));
    for piece in packet.chunks(5_000) {
        socket.send(&frame(FIN | BINARY, piece));
    }
    assert_eq!(socket.frame(), Some((FIN | BINARY, vec![0x40, 2, 0, 7])));
}

#[test]
fn text_ends_the_connection_before_and_after_connect() {
    let endpoint = Endpoint::start(&[]);
    for mut socket in [Socket::open(&endpoint), Socket::connect(&endpoint, "t-1")] {
        socket.send(&frame(FIN | TEXT, b"hello"));
        socket.expect_close(UNSUPPORTED);
    }
}

#[test]
fn frames_that_are_too_large_or_break_the_protocol_end_the_connection() {
    let endpoint = Endpoint::start(&[]);
    let head_of_a_gigabyte = [&[FIN | BINARY, 0x80 | 127][..], &(1u64 << 30).to_be_bytes(), &[1, 2, 3, 4]].concat();
    let endless: Vec<u8> = std::iter::once(frame(BINARY, &vec![0; 65_000]))
        .chain((0..4).map(|_| frame(CONTINUATION, &vec![0; 65_000])))
        .flatten()
        .collect();
    for (what, bytes, code) in [
        ("a frame of a gigabyte", head_of_a_gigabyte, TOO_LARGE),
        ("fragments without an end", endless, TOO_LARGE),
        ("no mask", vec![FIN | BINARY, 2, 0xc0, 0], PROTOCOL_ERROR),
        ("a reserved bit", frame(FIN | 0x40 | BINARY, &[0xc0, 0]), PROTOCOL_ERROR),
        ("an unknown kind", frame(FIN | 5, b""), PROTOCOL_ERROR),
        ("a continuation of nothing", frame(FIN | CONTINUATION, b"x"), PROTOCOL_ERROR),
        ("a ping in fragments", frame(PING, b"x"), PROTOCOL_ERROR),
        ("a ping that is too long", frame(FIN | PING, &[0; 126]), PROTOCOL_ERROR),
    ] {
        let mut socket = Socket::connect(&endpoint, "t-1");
        let _ = socket.stream.write_all(&bytes);
        println!("{what}");
        socket.expect_close(code);
    }
}

#[test]
fn a_close_is_answered_and_ends_the_session() {
    let endpoint = Endpoint::start(&[]);
    let mut socket = Socket::connect(&endpoint, "t-1");
    socket.send(&frame(FIN | CLOSE, &1000u16.to_be_bytes()));
    socket.expect_close(Some(1000));
    // As does DISCONNECT, whose end is told by a close frame, too.
    let mut socket = Socket::connect(&endpoint, "t-1");
    socket.send(&frame(FIN | BINARY, &[0xe0, 0]));
    socket.expect_close(None);
}
