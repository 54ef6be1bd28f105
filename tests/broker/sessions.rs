//! Persistent sessions (PROTOCOL 13.4).

use crate::common::Endpoint;
use crate::wire::{BOTH, Connect, Mqtt, V3, V5, clean, connected, kept, publish, session_expiry};
use std::time::{Duration, Instant};

/// Away, and known to be: what is published from now on is stored.
fn leave(mut client: Mqtt) {
    client.send(&[0xe0, 0]);
    assert!(client.client.is_closed());
}

#[test]
fn a_session_that_is_kept_has_its_subscriptions_and_what_was_published_meanwhile() {
    let endpoint = Endpoint::start(&[]);
    for version in BOTH {
        let (mut client, present) = kept(&endpoint, version, "t-1");
        assert!(!present);
        client.subscribe(&[("dt/high", 1), ("dt/low", 0)]);
        leave(client);
        let mut other = clean(&endpoint, version, "t-2");
        other.publish("dt/high", b"one");
        other.publish("dt/low", b"not stored");
        other.send(&publish(version, 0, "dt/high", &[], b"not stored either"));
        other.publish("dt/high", b"two");
        let (mut client, present) = kept(&endpoint, version, "t-1");
        assert!(present);
        assert_eq!((client.take().1, client.take().1), ("one".into(), "two".into()));
        client.expect_quiet();
        other.publish("dt/low", b"live");
        assert_eq!(client.take().1, "live");
        leave(client);
        assert!(!connected(&endpoint, version, "t-1", &Connect::default()).1, "a clean start ends it");
    }
}

#[test]
fn notifications_wait_for_a_session_that_is_kept_and_for_no_other() {
    let endpoint = Endpoint::start(&[]);
    for version in BOTH {
        let thing = format!("t-{}", version - 3);
        let filter = format!("$aws/things/{thing}/jobs/notify-next");
        let (mut client, _) = kept(&endpoint, version, &thing);
        client.subscribe(&[(&filter, 1)]);
        leave(client);
        endpoint.create_job(&format!("a-{version}"), &thing);
        let (mut client, present) = kept(&endpoint, version, &thing);
        assert!(present);
        let told = client.take();
        assert!(told.0 == filter && told.1.contains(&format!("a-{version}")), "{told:?}");
        leave(client);
        let mut client = clean(&endpoint, version, &thing);
        client.subscribe(&[(&filter, 1)]);
        client.expect_quiet();
    }
}

#[test]
fn what_was_not_acknowledged_comes_again() {
    let endpoint = Endpoint::start(&[]);
    for version in BOTH {
        let (mut client, _) = kept(&endpoint, version, "t-1");
        client.subscribe(&[("dt/x", 1)]);
        let mut other = clean(&endpoint, version, "t-2");
        other.publish("dt/x", b"one");
        other.publish("dt/x", b"two");
        let (_, second) = (client.message(), client.message());
        client.acknowledge(&second);
        client.expect_quiet();
        // The connection is not even closed: the next one takes the session over.
        let (mut client, present) = kept(&endpoint, version, "t-1");
        assert!(present);
        let again = client.message();
        assert_eq!((&*again.payload, again.dup), (&b"one"[..], false));
        client.acknowledge(&again);
        client.expect_quiet();
        leave(client);
        let (mut client, _) = kept(&endpoint, version, "t-1");
        client.expect_quiet();
        leave(client);
        clean(&endpoint, version, "t-1");
    }
}

#[test]
fn stored_messages_come_at_ten_a_second() {
    let endpoint = Endpoint::start(&[]);
    for version in BOTH {
        let (mut client, _) = kept(&endpoint, version, "t-1");
        client.subscribe(&[("dt/x", 1)]);
        leave(client);
        let mut other = clean(&endpoint, version, "t-2");
        (0..6).for_each(|n| assert_eq!(other.publish("dt/x", &[b'0' + n]), 0));
        let start = Instant::now();
        let (mut client, _) = kept(&endpoint, version, "t-1");
        let told: String = (0..6).map(|_| client.take().1).collect();
        assert_eq!(told, "012345");
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(500) && took < Duration::from_secs(5), "{took:?}");
        leave(client);
        clean(&endpoint, version, "t-1");
    }
}

#[test]
fn an_answer_is_for_the_connection_that_asked() {
    let endpoint = Endpoint::start(&["--latency", "500ms"]);
    let (mut client, _) = kept(&endpoint, V3, "t-1");
    client.subscribe(&[("$aws/things/t-1/jobs/get/+", 1)]);
    client.publish("$aws/things/t-1/jobs/get", b"{}");
    leave(client);
    let (mut client, present) = kept(&endpoint, V3, "t-1");
    assert!(present);
    client.publish("$aws/things/t-1/jobs/start-next", b"{}");
    assert_eq!(client.take().0, "$aws/things/t-1/jobs/start-next/accepted", "the other one is lost");
}

#[test]
fn no_session_goes_on_in_another_version() {
    let endpoint = Endpoint::start(&[]);
    for (one, other) in [(V3, V5), (V5, V3)] {
        let (mut client, _) = kept(&endpoint, one, "t-1");
        client.subscribe(&[("dt/x", 1)]);
        leave(client);
        let (mut client, present) = kept(&endpoint, other, "t-1");
        assert!(!present);
        clean(&endpoint, V3, "t-2").publish("dt/x", b"x");
        client.expect_quiet();
        leave(client);
        clean(&endpoint, V3, "t-1");
    }
}

#[test]
fn a_session_ends_when_its_time_is_over() {
    let endpoint = Endpoint::start(&["--session-expiry", "1s"]);
    for version in BOTH {
        leave(kept(&endpoint, version, "t-1").0);
        let (client, present) = kept(&endpoint, version, "t-1");
        assert!(present, "the time begins with the end of the connection");
        leave(client);
        std::thread::sleep(Duration::from_millis(1_500));
        assert!(!kept(&endpoint, version, "t-1").1);
        clean(&endpoint, version, "t-1");
    }
}

#[test]
fn an_mqtt_5_client_may_change_its_mind_when_it_leaves() {
    let endpoint = Endpoint::start(&[]);
    let (mut client, _) = kept(&endpoint, V5, "t-1");
    client.send(&[0xe0, 7, 0, 5, 0x11, 0, 0, 0, 0]);
    assert!(client.client.is_closed());
    let (client, present) = kept(&endpoint, V5, "t-1");
    assert!(!present, "an expiry of 0 ends the session");
    leave(client);
    let mut client = clean(&endpoint, V5, "t-1");
    client.send(&[0xe0, 7, 0, 5, 0x11, 0, 0, 0, 9]);
    client.expect_end(0x82);
    let wanted = Connect { properties: session_expiry(60), ..Connect::default() };
    leave(connected(&endpoint, V5, "t-1", &wanted).0);
    assert!(kept(&endpoint, V5, "t-1").1, "a clean start may begin a session that is kept");
}

#[test]
fn a_message_whose_time_is_over_is_not_delivered() {
    let endpoint = Endpoint::start(&[]);
    let (mut client, _) = kept(&endpoint, V5, "t-1");
    client.subscribe(&[("dt/x", 1)]);
    leave(client);
    let mut other = clean(&endpoint, V5, "t-2");
    other.send(&publish(V5, 2, "dt/x", &[0x02, 0, 0, 0, 1], b"short"));
    other.puback();
    other.publish("dt/x", b"long");
    std::thread::sleep(Duration::from_millis(1_200));
    let (mut client, _) = kept(&endpoint, V5, "t-1");
    assert_eq!(client.take().1, "long");
    client.expect_quiet();
}
