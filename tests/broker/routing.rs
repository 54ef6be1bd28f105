//! Ordinary topics between clients, retained messages, shares and wills (PROTOCOL 13.1, 13.8, 13.9).

use crate::common::Endpoint;
use crate::wire::{BOTH, Connect, V3, V5, Will, clean, connected, publish, session_expiry};
use std::time::{Duration, Instant};

#[test]
fn messages_go_to_those_who_match_at_the_lower_qos() {
    let endpoint = Endpoint::start(&[]);
    for (from, to) in [(V3, V5), (V5, V3)] {
        let mut sender = clean(&endpoint, from, "t-1");
        let mut high = clean(&endpoint, to, "t-2");
        let mut low = clean(&endpoint, to, "t-3");
        high.subscribe(&[("dt/+/state", 1), ("dt/t-1/#", 0)]);
        low.subscribe(&[("#", 0)]);
        sender.publish("dt/t-1/state", b"one");
        sender.send(&publish(from, 0, "dt/t-1/state", &[], b"two"));
        sender.publish("dt", b"not for dt/#");
        let told: Vec<_> = (0..2).map(|_| high.message()).map(|m| (m.qos, m.payload, m.retain, m.dup)).collect();
        assert_eq!(told, [(1, b"one".to_vec(), false, false), (0, b"two".to_vec(), false, false)], "one copy each");
        assert_eq!((low.message().qos, low.message().qos, low.message().topic), (0, 0, "dt".into()));
        high.expect_quiet();
    }
}

#[test]
fn properties_of_a_message_reach_mqtt_5() {
    let endpoint = Endpoint::start(&[]);
    let mut new = clean(&endpoint, V5, "t-1");
    let mut old = clean(&endpoint, V3, "t-2");
    new.subscribe(&[("dt/x", 0)]);
    old.subscribe(&[("dt/x", 0)]);
    let forwarded = [
        &[0x01, 1][..],
        &[0x03, 0, 4, b't', b'e', b'x', b't'],
        &[0x08, 0, 2, b'r', b't'],
        &[0x09, 0, 1, 9],
        &[0x26, 0, 1, b'b', 0, 1, b'1'],
        &[0x26, 0, 1, b'a', 0, 1, b'2'],
    ]
    .concat();
    let expiry = [0x02, 0, 0, 0, 60];
    let mut sender = clean(&endpoint, V5, "t-3");
    sender.send(&publish(V5, 0, "dt/x", &[&forwarded[..], &expiry, &[0x23, 0, 1]].concat(), b"v"));
    let message = new.message();
    assert_eq!(message.properties[..4], expiry[..4]);
    assert!((58..=60).contains(&message.properties[4]), "what is left of its time");
    assert_eq!((&message.properties[5..], &*message.payload), (&*forwarded, &b"v"[..]));
    assert_eq!(old.message().payload, b"v");
    let too_much = [&[0x03, 1, 1][..], &[b'x'; 257]].concat();
    let mut bytes = publish(V5, 0, "dt/x", &[], b"");
    // A properties length of two bytes.
    let length = too_much.len();
    bytes.truncate(bytes.len() - 1);
    bytes.extend([(length % 128) as u8 | 0x80, (length / 128) as u8]);
    bytes.extend(&too_much);
    let body = bytes[2..].to_vec();
    sender.send(&crate::common::packet(0x30, &body));
    sender.expect_end(0x82);
}

#[test]
fn no_local_and_retain_as_published() {
    let endpoint = Endpoint::start(&[]);
    let mut client = clean(&endpoint, V5, "t-1");
    let mut other = clean(&endpoint, V5, "t-2");
    client.subscribe(&[("dt/own", 0b0100), ("dt/other", 0b1000)]);
    client.publish("dt/own", b"mine");
    client.expect_quiet();
    other.publish("dt/own", b"another's");
    assert_eq!(client.take().1, "another's");
    other.send(&publish(V5, 3, "dt/other", &[], b"kept"));
    assert!(client.message().retain);
    client.send(&crate::wire::subscribe(V5, &[("$share/g/dt/x", 0b0101)]));
    client.expect_end(0x82);
}

/// One thing may have 8 MB of them; AWS throttles retained messages when an account has as many as it may.
#[test]
fn retained_messages_over_a_things_bytes_are_throttled_and_reach_nobody() {
    let endpoint = Endpoint::start(&[]);
    let large = vec![b'x'; 128 * 1024];
    for (version, thing) in BOTH.into_iter().zip(["t-1", "t-2"]) {
        let mut sender = clean(&endpoint, version, thing);
        let topic = |n: usize| format!("cfg/{thing}/{n}");
        for n in 0..63 {
            sender.send(&publish(version, 3, &topic(n), &[], &large));
            assert_eq!(sender.puback(), 0, "message {n}");
        }
        let mut listener = clean(&endpoint, version, "t-3");
        listener.subscribe(&[(&topic(63), 1)]);
        sender.send(&publish(version, 3, &topic(63), &[], &large));
        match version {
            V5 => assert_eq!(sender.puback(), 0x97),
            _ => sender.expect_quiet(),
        }
        listener.expect_quiet();
        assert_eq!(sender.publish(&topic(63), b"not retained"), 0);
        assert_eq!(listener.take().1, "not retained");
        let mut other = clean(&endpoint, version, "t-0");
        other.send(&publish(version, 3, "cfg/t-0", &[], &large));
        assert_eq!(other.puback(), 0, "another thing has bytes of its own");
    }
}

#[test]
fn a_retained_message_is_for_exact_filters_until_it_is_deleted() {
    let endpoint = Endpoint::start(&[]);
    for version in BOTH {
        let mut sender = clean(&endpoint, version, "t-1");
        sender.send(&publish(version, 3, "cfg/a", &[], b"kept"));
        assert_eq!(sender.puback(), 0);
        let mut late = clean(&endpoint, version, "t-2");
        late.subscribe(&[("cfg/+", 1), ("cfg/#", 1), ("$share/g/cfg/a", 1)]);
        late.expect_quiet();
        late.subscribe(&[("cfg/a", 1)]);
        let message = late.message();
        assert_eq!((message.retain, message.qos, &*message.payload), (true, 1, &b"kept"[..]));
        late.acknowledge(&message);
        late.subscribe(&[("cfg/a", 1)]);
        assert_eq!(late.take().1, "kept", "with every subscription");
        if version == V5 {
            late.subscribe(&[("cfg/a", 0x11)]);
            late.expect_quiet();
            let mut other = clean(&endpoint, V5, "t-3");
            other.subscribe(&[("cfg/a", 0x21)]);
            other.expect_quiet();
            other.send(&crate::wire::unsubscribe(V5, &["cfg/a"]));
            other.client.packet();
            other.subscribe(&[("cfg/a", 0x11)]);
            assert_eq!(other.take().1, "kept", "it is a new one");
        }
        sender.send(&publish(version, 3, "cfg/a", &[], b""));
        sender.puback();
        let mut later = clean(&endpoint, version, "t-3");
        later.subscribe(&[("cfg/a", 1)]);
        later.expect_quiet();
    }
}

#[test]
fn each_message_of_a_share_goes_to_one() {
    let endpoint = Endpoint::start(&[]);
    for version in BOTH {
        let mut sender = clean(&endpoint, version, "t-0");
        let mut sharers = [clean(&endpoint, version, "t-1"), clean(&endpoint, V5, "t-2")];
        sharers.iter_mut().for_each(|sharer| assert_eq!(sharer.subscribe(&[("$share/g/dt/#", 0)]), [0]));
        let mut alone = clean(&endpoint, version, "t-3");
        alone.subscribe(&[("dt/#", 0)]);
        for n in 0..10 {
            sender.publish("dt/x", &[b'0' + n]);
        }
        let mut told = String::new();
        for sharer in &mut sharers {
            // Half of them each, in turn.
            (0..5).for_each(|_| told += &sharer.take().1);
            sharer.expect_quiet();
        }
        let mut told: Vec<char> = told.chars().collect();
        told.sort_unstable();
        assert_eq!(told.into_iter().collect::<String>(), "0123456789");
        (0..10).for_each(|_| drop(alone.take()));
    }
}

fn with_will(delay: u32, expiry: u32) -> Connect<'static> {
    let properties = [&[0x18][..], &delay.to_be_bytes(), &[0x03, 0, 1, b't']].concat();
    let will = Will { topic: "wills/t-1", payload: b"gone", qos: 1, properties };
    Connect { keep: true, properties: session_expiry(expiry), will: Some(will), ..Connect::default() }
}

#[test]
fn a_will_is_published_for_every_end_but_an_orderly_one() {
    let endpoint = Endpoint::start(&["--keep-alive-min", "1s"]);
    let mut heir = clean(&endpoint, V5, "t-2");
    heir.subscribe(&[("wills/#", 1)]);
    for version in BOTH {
        let will = Connect { keep: false, ..with_will(0, 0) };
        let dying = || connected(&endpoint, version, "t-1", &will).0;
        let mut orderly = dying();
        orderly.send(&[0xe0, 0]);
        assert!(orderly.client.is_closed());
        heir.expect_quiet();
        dying().drop_hard();
        let message = heir.message();
        assert_eq!((&*message.topic, &*message.payload, message.qos), ("wills/t-1", &b"gone"[..], 1));
        let forwarded: &[u8] = if version == V5 { &[0x03, 0, 1, b't'] } else { &[] };
        assert_eq!(message.properties, forwarded);
        heir.acknowledge(&message);
        let mut broken = dying();
        broken.send(&[0x00, 0x00]);
        assert_eq!(heir.take().1, "gone", "a malformed packet");
        let replaced = dying();
        let successor = clean(&endpoint, version, "t-1");
        replaced.expect_end(0x8e);
        assert_eq!(heir.take().1, "gone", "a take-over");
        drop(successor);
        let (silent, _) = connected(&endpoint, version, "t-1", &Connect { keep_alive: 1, ..will.clone() });
        silent.expect_end(0x8d);
        assert_eq!(heir.take().1, "gone", "silence");
    }
    let mut willing = connected(&endpoint, V5, "t-1", &with_will(0, 0)).0;
    willing.send(&[0xe0, 1, 4]);
    assert_eq!(heir.take().1, "gone", "DISCONNECT with will");
}

#[test]
fn a_will_with_a_delay_waits_for_its_client_and_no_longer_than_the_session() {
    let endpoint = Endpoint::start(&[]);
    let mut heir = clean(&endpoint, V5, "t-2");
    heir.subscribe(&[("wills/#", 1)]);
    connected(&endpoint, V5, "t-1", &with_will(30, 60)).0.drop_hard();
    // Back in time, and away again with a shorter delay: that one is published, the first never.
    let (back, present) = connected(&endpoint, V5, "t-1", &with_will(1, 60));
    assert!(present);
    let start = Instant::now();
    back.drop_hard();
    assert_eq!(heir.take().1, "gone");
    assert!(start.elapsed() >= Duration::from_millis(950), "{:?}", start.elapsed());
    connected(&endpoint, V5, "t-1", &with_will(30, 1)).0.drop_hard();
    assert_eq!(heir.take().1, "gone", "with the end of the session");
    connected(&endpoint, V5, "t-1", &with_will(30, 60)).0.drop_hard();
    heir.expect_quiet();
    clean(&endpoint, V5, "t-1");
    assert_eq!(heir.take().1, "gone", "a clean start ends the session");
    heir.expect_quiet();
}

#[test]
fn events_of_the_service_are_not_for_things() {
    let endpoint = Endpoint::start(&[]);
    let mut client = clean(&endpoint, V5, "t-1");
    assert_eq!(client.subscribe(&[("$aws/events/#", 1), ("$aws/events/job/+/completed", 1)]), [0x87, 0x87]);
    client.expect_quiet();
}
