//! CONNECT, CONNACK, and how connections end (PROTOCOL 13.1, 13.2, 13.7).

use crate::common::{Endpoint, packet};
use crate::wire::{BOTH, Connect, V3, V5, Will, clean, connect, connected, session_expiry, subscribe};

/// What a CONNECT gets: the CONNACK's code, or nothing.
#[track_caller]
fn answer(endpoint: &Endpoint, bytes: &[u8]) -> Option<u8> {
    let mut client = endpoint.dial("t-1");
    client.send(bytes);
    let answer = client.packet();
    if answer.is_some() {
        assert!(client.is_closed());
    }
    answer.map(|(first, body)| {
        assert_eq!((first, body[0]), (0x20, 0));
        body[1]
    })
}

#[test]
fn connack_5_has_the_properties_of_the_reference() {
    let endpoint = Endpoint::start(&[]);
    let mut client = endpoint.dial("t-1");
    client.send(&connect(V5, "", &Connect { keep: true, keep_alive: 10, properties: session_expiry(7_200), ..Connect::default() }));
    let expected = [
        &[0, 0, 41][..],
        &[0x11, 0, 0, 0x0e, 0x10],
        &[0x21, 0, 100],
        &[0x24, 1],
        &[0x25, 1],
        &[0x27, 0, 2, 0x48, 0],
        &[0x12, 0, 3, b't', b'-', b'1'],
        &[0x22, 0, 8],
        &[0x28, 1],
        &[0x29, 0],
        &[0x2a, 1],
        &[0x13, 0, 30],
    ]
    .concat();
    let (first, body) = client.packet().unwrap();
    assert_eq!((first, usize::from(body[2])), (0x20, body.len() - 3));
    assert_eq!(body[3..], expected[3..]);
}

#[test]
fn keep_alive_is_clamped_and_said_in_mqtt_5() {
    let endpoint = Endpoint::start(&[]);
    for (asked, told) in [(0, 1200), (1, 30), (29, 30), (30, 30), (1200, 1200), (1201, 1200)] {
        let mut client = endpoint.dial("t-1");
        client.send(&connect(V5, "t-1", &Connect { keep_alive: asked, ..Connect::default() }));
        let (_, body) = client.packet().unwrap();
        assert_eq!(u16::from_be_bytes([body[body.len() - 2], body[body.len() - 1]]), told, "{asked}");
    }
}

#[test]
fn silence_of_one_and_a_half_keep_alives_ends_the_connection() {
    let endpoint = Endpoint::start(&["--keep-alive-min", "1s"]);
    for version in BOTH {
        let (client, _) = connected(&endpoint, version, "t-1", &Connect { keep_alive: 1, ..Connect::default() });
        let start = std::time::Instant::now();
        client.expect_end(0x8d);
        assert!((1_400..5_000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    }
}

#[test]
fn client_ids_that_are_empty_too_long_or_anothers() {
    let endpoint = Endpoint::start(&[]);
    let keep = Connect { keep: true, ..Connect::default() };
    let long = "x".repeat(129);
    assert_eq!(answer(&endpoint, &connect(V3, &long, &Connect::default())), Some(2));
    assert_eq!(answer(&endpoint, &connect(V5, &long, &Connect::default())), Some(0x85));
    assert_eq!(answer(&endpoint, &connect(V3, "t-2", &Connect::default())), None, "closed, without a CONNACK");
    assert_eq!(answer(&endpoint, &connect(V5, "t-2", &Connect::default())), Some(0x87));
    assert_eq!(answer(&endpoint, &connect(V3, "", &keep)), Some(2), "no name, and no clean session");
    let mut client = endpoint.dial("t-1");
    client.send(&connect(V3, "", &Connect::default()));
    assert_eq!(client.packet(), Some((0x20, vec![0, 0])));
    assert_eq!(client.request("get", &serde_json::json!({})).0, "get/accepted", "it is given its thing's name");
}

#[test]
fn wills_that_cannot_be() {
    let endpoint = Endpoint::start(&[]);
    let with = |topic, qos| Connect { will: Some(Will { topic, qos, ..Will::default() }), ..Connect::default() };
    for (topic, qos, code) in [("dt/x", 2, 0x9b), ("$aws/things/t-1/jobs/get", 1, 0x90), ("dt/#", 0, 0x90)] {
        assert_eq!(answer(&endpoint, &connect(V3, "t-1", &with(topic, qos))), None, "{topic}");
        assert_eq!(answer(&endpoint, &connect(V5, "t-1", &with(topic, qos))), Some(code), "{topic}");
    }
}

#[test]
fn connects_that_are_malformed_or_of_another_version() {
    let endpoint = Endpoint::start(&[]);
    let changed = |version: u8, at: usize, value: u8| {
        let mut bytes = connect(version, "t-1", &Connect::default());
        bytes[at] = value;
        bytes
    };
    for version in BOTH {
        assert_eq!(answer(&endpoint, &changed(version, 9, 0b0000_0011)), None, "the reserved flag");
        assert_eq!(answer(&endpoint, &changed(version, 9, 0b0000_1010)), None, "QoS of a will without a will");
        assert_eq!(answer(&endpoint, &changed(version, 4, b'X')), None, "another protocol");
    }
    assert_eq!(answer(&endpoint, &changed(V3, 9, 0b0100_0010)), None, "a password without a user name");
    assert_eq!(answer(&endpoint, &changed(V3, 8, 3)), Some(1));
    assert_eq!(answer(&endpoint, &changed(V3, 8, 6)), Some(1));
    let small = Connect { properties: vec![0x27, 0, 0, 1, 0xff], ..Connect::default() };
    assert_eq!(answer(&endpoint, &connect(V5, "t-1", &small)), Some(0x80), "a maximum packet size of 511");
    let method = Connect { properties: vec![0x15, 0, 1, b'x'], ..Connect::default() };
    assert_eq!(answer(&endpoint, &connect(V5, "t-1", &method)), Some(0x87), "AUTH is not supported");
}

#[test]
fn nothing_may_come_before_connect_or_before_connack() {
    let endpoint = Endpoint::start(&[]);
    assert_eq!(answer(&endpoint, &[0xc0, 0]), None);
    for version in BOTH {
        let both = [connect(version, "t-1", &Connect::default()), subscribe(version, &[("dt/x", 1)])].concat();
        assert_eq!(answer(&endpoint, &both), None);
    }
}

#[test]
fn a_second_connect_is_a_protocol_error() {
    let endpoint = Endpoint::start(&[]);
    for version in BOTH {
        let mut client = clean(&endpoint, version, "t-1");
        client.send(&connect(version, "t-1", &Connect::default()));
        client.expect_end(0x82);
    }
}

#[test]
fn the_newest_of_two_with_one_client_id_stays_whatever_they_speak() {
    let endpoint = Endpoint::start(&[]);
    for (old, new) in [(V3, V3), (V5, V5), (V3, V5), (V5, V3)] {
        let first = clean(&endpoint, old, "t-1");
        let mut second = clean(&endpoint, new, "t-1");
        first.expect_end(0x8e);
        second.expect_quiet();
    }
}

#[test]
fn a_server_that_stops_says_so() {
    let mut endpoint = Endpoint::start(&[]);
    let clients = [clean(&endpoint, V3, "t-1"), clean(&endpoint, V5, "t-2")];
    let pid = rustix::process::Pid::from_raw(endpoint.process.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    clients.into_iter().for_each(|client| client.expect_end(0x8b));
    assert!(endpoint.process.wait().unwrap().success());
}

#[test]
fn packets_that_are_malformed_end_the_connection() {
    let endpoint = Endpoint::start(&[]);
    for version in BOTH {
        for bytes in [
            &[0xc1, 0][..],
            &[0xc0, 1, 0],
            &[0x00, 0x00],
            &[0x80, 0],
            // DUP at QoS 0, QoS 3.
            &[0x38, 6, 0, 2, b'd', b't', 0, b'x'],
            &[0x36, 6, 0, 2, b'd', b't', 0, 7],
            &[0x30, 0xff, 0xff, 0xff, 0xff, 0x7f],
            // Text that is not UTF-8.
            &[0x30, 5, 0, 2, 0xff, 0xfe, 0],
        ] {
            let mut client = clean(&endpoint, version, "t-1");
            client.send(bytes);
            client.expect_end(0x81);
        }
    }
    let mut client = clean(&endpoint, V3, "t-1");
    client.send(&subscribe(V3, &[("dt/x", 0b100)]));
    client.expect_end(0);
    let mut client = clean(&endpoint, V3, "t-1");
    client.send(&[0xe0, 1, 0]);
    client.expect_end(0);
}

#[test]
fn packets_of_qos_2_and_auth_are_not_supported() {
    let endpoint = Endpoint::start(&[]);
    for version in BOTH {
        for bytes in [[0x50, 2, 0, 7], [0x62, 2, 0, 7], [0x70, 2, 0, 7]] {
            let mut client = clean(&endpoint, version, "t-1");
            client.send(&bytes);
            client.expect_end(0x82);
        }
    }
    let mut client = clean(&endpoint, V5, "t-1");
    client.send(&packet(0xf0, &[0x18, 0]));
    client.expect_end(0x82);
}

#[test]
fn a_disconnect_may_be_as_short_as_it_likes() {
    let endpoint = Endpoint::start(&[]);
    for (version, bytes) in
        [(V3, &[0xe0, 0][..]), (V5, &[0xe0, 0]), (V5, &[0xe0, 1, 0]), (V5, &[0xe0, 1, 0x8e]), (V5, &[0xe0, 2, 4, 0])]
    {
        let mut client = clean(&endpoint, version, "t-1");
        client.send(bytes);
        assert!(client.client.is_closed(), "{bytes:?}");
    }
}
