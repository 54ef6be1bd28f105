use super::*;

const START: Mono = Mono(1_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
const SETTINGS: MqttSettings = MqttSettings {
    version: Version::V3,
    keep_alive: Duration::from_secs(60),
    clean: true,
    answer_timeout: Duration::from_secs(10),
};
const PERSISTENT: MqttSettings = MqttSettings { clean: false, ..SETTINGS };

fn session() -> (MqttSession, BytesMut) {
    (MqttSession::new(&SETTINGS, &ConnAck::PLAIN, START), BytesMut::new())
}

fn request(sent: Mono) -> Published {
    Published { content: Content::Request(RequestKind::StartNext), intended: sent, sent }
}

fn send(session: &mut MqttSession, payload: &[u8], out: &mut BytesMut) {
    assert!(session.write_publish("t".into(), payload.to_vec(), request(START), out));
}

fn acknowledge(session: &mut MqttSession, id: u16) -> Incoming {
    session.handle_packet(Packet::PubAck { id, refusal: None }, START, &mut BytesMut::new()).unwrap()
}

#[test]
fn a_message_of_qos_1_is_acknowledged_each_time_it_comes() {
    let (mut session, mut out) = session();
    for _ in 0..2 {
        out.clear();
        let publish = Packet::Publish(Publish { id: Some(7), topic: "t".into(), payload: "x".into() });
        assert!(matches!(session.handle_packet(publish, START, &mut out).unwrap(), Incoming::Message { .. }));
        assert_eq!(out[..], [0x40, 2, 0, 7]);
    }
}

#[test]
fn a_puback_is_matched_once_and_a_second_one_is_harmless() {
    let (mut session, mut out) = session();
    send(&mut session, b"x", &mut out);
    assert_eq!(acknowledge(&mut session, 1), Incoming::Acknowledged { publish: request(START), refusal: None });
    assert_eq!(acknowledge(&mut session, 1), Incoming::Nothing);
}

#[test]
fn a_puback_that_refuses_says_why() {
    let (mut session, mut out) = session();
    send(&mut session, b"x", &mut out);
    let refusal = Some("quota_exceeded");
    let said = session.handle_packet(Packet::PubAck { id: 1, refusal }, START, &mut out).unwrap();
    assert_eq!(said, Incoming::Acknowledged { publish: request(START), refusal });
    assert!(session.unacknowledged().next().is_none());
}

#[test]
fn packet_ids_are_never_zero_and_never_one_in_use() {
    let (mut session, mut out) = session();
    session.last_id = u16::MAX - 1;
    session.unacknowledged = [1, 2].map(|id| InFlight { id, publish: request(START), sent: START }).into();
    for expected in [u16::MAX, 3] {
        send(&mut session, b"", &mut out);
        assert_eq!(session.unacknowledged.last().unwrap().id, expected);
    }
}

#[test]
fn the_window_closes_at_its_limit_and_opens_when_pubacks_are_given_up() {
    let (mut session, mut out) = session();
    for _ in 0..IN_FLIGHT_MAX {
        assert!(session.has_room());
        send(&mut session, b"", &mut out);
    }
    assert!(!session.has_room());
    assert_eq!(session.poll_timeout(), (START + 10 * SECOND, "puback"));
    assert_eq!(session.handle_timeout(START + 10 * SECOND, &mut out).unwrap(), Some(request(START)));
    assert!(session.has_room());
}

#[test]
fn an_endpoint_that_takes_less_gets_less() {
    let ack = ConnAck { receive_max: 2, packet_bytes_max: 12, keep_alive: Some(30 * SECOND), ..ConnAck::PLAIN };
    let mut session = MqttSession::new(&SETTINGS, &ack, START);
    let mut out = BytesMut::new();
    assert_eq!(session.poll_timeout(), (START + 30 * SECOND, "keep-alive"), "the endpoint's keep-alive");
    assert!(!session.write_publish("t".into(), vec![0; 6], request(START), &mut out));
    assert!(!session.write_publish_qos_0("t".into(), vec![0; 8], START, &mut out));
    assert!(out.is_empty() && session.unacknowledged().next().is_none());
    for _ in 0..2 {
        assert!(session.has_room());
        send(&mut session, &[0; 5], &mut out);
    }
    assert!(!session.has_room());
}

#[test]
fn no_keep_alive_is_none() {
    let mut session = MqttSession::new(&SETTINGS, &ConnAck { keep_alive: Some(Duration::ZERO), ..ConnAck::PLAIN }, START);
    let mut out = BytesMut::new();
    session.handle_timeout(START + 3_600 * SECOND, &mut out).unwrap();
    assert!(out.is_empty());
}

#[test]
fn an_idle_session_pings_and_a_dead_endpoint_is_noticed() {
    let (mut session, mut out) = session();
    let due = START + 60 * SECOND;
    assert_eq!(session.poll_timeout(), (due, "keep-alive"));
    assert_eq!(session.handle_timeout(due, &mut out).unwrap(), None);
    assert_eq!(out[..], [0xc0, 0]);
    assert_eq!(session.poll_timeout(), (due + 10 * SECOND, "pingresp"));
    session.handle_packet(Packet::PingResp, due, &mut out).unwrap();
    assert_eq!(session.handle_timeout(due + 60 * SECOND, &mut out).unwrap(), None);
    assert!(session.handle_timeout(due + 70 * SECOND, &mut out).unwrap_err().is_timeout());
}

#[test]
fn a_suback_counts_only_for_the_open_subscribe() {
    let (mut session, mut out) = session();
    session.write_subscribe(["a".to_owned(), "b".to_owned()], START, &mut out);
    let ack = |id| Packet::SubAck(SubAck::new(id, [None, Some("not_authorized")]));
    assert_eq!(session.handle_packet(ack(9), START, &mut out).unwrap(), Incoming::Nothing);
    let granted = Incoming::Granted { granted: vec![true, false], refusal: Some("not_authorized") };
    assert_eq!(session.handle_packet(ack(1), START, &mut out).unwrap(), granted);
}

#[test]
fn a_second_connack_ends_the_session() {
    let (mut session, mut out) = session();
    assert!(matches!(session.handle_packet(Packet::ConnAck(ConnAck::PLAIN), START, &mut out), Err(Failure::Protocol(_))));
}

#[test]
fn only_a_persistent_session_leaves_something() {
    let (mut session, mut out) = session();
    send(&mut session, b"x", &mut out);
    assert!(session.into_session_state().is_none());
}

#[test]
fn what_was_not_acknowledged_is_sent_again_with_its_id_and_dup() {
    for version in [Version::V3, Version::V5] {
        let settings = MqttSettings { version, ..PERSISTENT };
        let mut out = BytesMut::new();
        let mut first = MqttSession::new(&settings, &ConnAck::PLAIN, START);
        for payload in [b"a", b"b", b"c"] {
            send(&mut first, payload, &mut out);
        }
        assert!(matches!(acknowledge(&mut first, 2), Incoming::Acknowledged { .. }));
        let kept = first.into_session_state().unwrap();
        assert_eq!(kept.unacknowledged().count(), 2);

        let later = START + 100 * SECOND;
        let mut second = MqttSession::new(&settings, &ConnAck::PLAIN, later);
        let mut again = BytesMut::new();
        let (repeated, lost) = second.resume(kept, later, &mut again);
        assert_eq!((repeated.len(), repeated.iter().sum(), lost), (2, again.len(), vec![]));
        let one = out.len() / 3;
        let expected = [&[out[0] | 0x08][..], &out[1..one], &[out[0] | 0x08], &out[2 * one + 1..]].concat();
        assert_eq!(again[..], expected[..]);
        assert_eq!(second.handle_timeout(later + 9 * SECOND, &mut again).unwrap(), None, "their time begins anew");

        let mut new = BytesMut::new();
        send(&mut second, b"d", &mut new);
        assert_eq!(second.unacknowledged.last().unwrap().id, 4, "ids go on");
        assert_eq!(acknowledge(&mut second, 3), Incoming::Acknowledged { publish: request(START), refusal: None }, "as first sent");
        let twice = second.into_session_state().unwrap();
        let mut third = MqttSession::new(&settings, &ConnAck::PLAIN, later);
        again.clear();
        assert_eq!(third.resume(twice, later, &mut again).0.len(), 2);
        assert_eq!(again.len(), 2 * one);
    }
}

#[test]
fn what_an_endpoint_no_longer_takes_is_lost() {
    let mut out = BytesMut::new();
    let mut first = MqttSession::new(&PERSISTENT, &ConnAck::PLAIN, START);
    for payload in [&b"a"[..], b"bb", b"c"] {
        send(&mut first, payload, &mut out);
    }
    let mut second = MqttSession::new(&PERSISTENT, &ConnAck { receive_max: 1, ..ConnAck::PLAIN }, START);
    let (again, lost) = second.resume(first.into_session_state().unwrap(), START, &mut out);
    assert_eq!((again.len(), lost.len()), (1, 2));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
        for version in [Version::V3, Version::V5] {
            let settings = MqttSettings { version, ..SETTINGS };
            let (mut session, mut out) = (MqttSession::new(&settings, &ConnAck::PLAIN, START), BytesMut::new());
            let mut stream = BytesMut::from(&bytes[..]);
            while let Ok(Some(packet)) = version.read(&mut stream) {
                let _ = session.handle_packet(packet, START, &mut out);
            }
        }
    }

    /// A packet of the endpoint, cut or changed in one byte, is waited for or refused, never a panic and never skipped.
    #[test]
    fn a_damaged_packet_is_never_skipped(which in 0usize..7, at: usize, byte: u8) {
        let packets: [&[u8]; 7] = [
            &[0x20, 11, 0, 0, 8, 0x21, 0, 4, 0x27, 0, 0, 8, 0],
            &[0x30, 12, 0, 1, b't', 7, 1, 1, 2, 0, 0, 0, 9, b'x'],
            &[0x32, 7, 0, 1, b't', 0, 7, 0, b'x'],
            &[0x40, 4, 0, 7, 0, 0],
            &[0x90, 7, 0, 1, 0, 1, 0x87, 0, 0x97],
            &[0xe0, 2, 0x8b, 0],
            &[0xb0, 4, 0, 1, 0, 0],
        ];
        let mut bytes = packets[which].to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        let mut stream = BytesMut::from(&bytes[..]);
        if let Ok(None) = Version::V5.read(&mut stream) {
            assert_eq!(stream.len(), bytes.len(), "{bytes:x?}");
        }
    }
}
