//! SUBSCRIBE, UNSUBSCRIBE and PUBLISH with their limits (PROTOCOL 13.1, 13.3, 13.5 to 13.7, 15.2).

use crate::common::{Endpoint, field, packet};
use crate::wire::{BOTH, Connect, V3, V5, clean, connected, publish, subscribe, unsubscribe};
use serde_json::{Value, json};

/// By version.
fn code(version: u8, v3: u8, v5: u8) -> u8 {
    if version == V3 { v3 } else { v5 }
}

#[test]
fn qos_2_gets_silence_or_a_disconnect() {
    let endpoint = Endpoint::start(&[]);
    for bytes in [publish(V3, 4, "dt/x", &[], b"x"), subscribe(V3, &[("dt/x", 2)])] {
        let mut client = clean(&endpoint, V3, "t-1");
        client.send(&bytes);
        client.expect_quiet();
    }
    for bytes in [publish(V5, 4, "dt/x", &[], b"x"), subscribe(V5, &[("dt/x", 2)])] {
        let mut client = clean(&endpoint, V5, "t-1");
        client.send(&bytes);
        client.expect_end(0x9b);
    }
}

#[test]
fn filters_get_their_codes_and_the_connection_stays() {
    let endpoint = Endpoint::start(&[]);
    for version in BOTH {
        let mut client = clean(&endpoint, version, "t-1");
        let malformed = code(version, 0x80, 0x8f);
        let told = client.subscribe(&[
            ("$aws/things/t-1/jobs/notify", 1),
            ("$aws/things/t-1/jobs/+/update/+", 0),
            ("a/#/b", 1),
            ("a/b/c/d/e/f/g/h/i", 1),
            ("$share/workers/dt/#", 1),
            ("$share/dt", 1),
        ]);
        assert_eq!(told, [1, 0, malformed, malformed, 1, malformed]);
        if version == V5 {
            let denied = [("$aws/things/t-2/jobs/notify", 1), ("dt/x", 1), ("$aws/things/+/jobs/notify", 1)];
            assert_eq!(client.subscribe(&denied), [0x87, 1, 0x87], "each has its code");
        }
        client.expect_quiet();
        client.send(&unsubscribe(version, &["dt/never", "a/#/b"]));
        let acknowledged = if version == V3 { vec![0, 9] } else { vec![0, 9, 0, 0, 0x8f] };
        assert_eq!(client.client.packet(), Some((0xb0, acknowledged)));
    }
}

/// No SUBACK, and the session ends (PROTOCOL-CORE 1.9).
#[test]
fn a_denied_filter_closes_a_connection_of_3_1_1() {
    let endpoint = Endpoint::start(&[]);
    for filter in ["$aws/things/t-2/jobs/notify", "$aws/things/+/jobs/notify", "$aws/events/#"] {
        let mut client = clean(&endpoint, V3, "t-1");
        client.send(&subscribe(V3, &[("dt/x", 1), (filter, 1)]));
        client.expect_end(0);
    }
}

#[test]
fn nine_filters_end_the_connection_and_the_51st_subscription_fails() {
    let endpoint = Endpoint::start(&[]);
    let names: Vec<String> = (0..56).map(|n| format!("dt/{n}")).collect();
    let filters: Vec<(&str, u8)> = names.iter().map(|name| (&**name, 1)).collect();
    for version in BOTH {
        let mut client = clean(&endpoint, version, "t-1");
        let codes: Vec<u8> = filters.chunks(8).flat_map(|chunk| client.subscribe(chunk)).collect();
        assert!(codes[..50].iter().all(|code| *code == 1));
        assert!(codes[50..].iter().all(|told| *told == code(version, 0x80, 0x97)), "{codes:?}");
        client.send(&subscribe(version, &filters[..9]));
        client.expect_end(0x97);
    }
}

#[test]
fn subscription_identifiers_are_not_supported() {
    let endpoint = Endpoint::start(&[]);
    let mut client = clean(&endpoint, V5, "t-1");
    client.send(&packet(0x82, &[&[0, 9, 2, 0x0b, 1][..], &field(b"dt/x"), &[1]].concat()));
    client.expect_end(0xa1);
    let mut client = clean(&endpoint, V5, "t-1");
    client.send(&publish(V5, 0, "dt/x", &[0x0b, 1], b""));
    client.expect_end(0x82);
}

#[test]
fn a_publish_over_a_limit_ends_the_connection() {
    let endpoint = Endpoint::start(&[]);
    let long = "x".repeat(257);
    let large = vec![0; 128 * 1024 + 1];
    let huge = vec![0; 146 * 1024];
    for version in BOTH {
        for (bytes, reason) in [
            (publish(version, 0, &long, &[], b""), 0x90),
            (publish(version, 0, "a/b/c/d/e/f/g/h/i", &[], b""), 0x90),
            (publish(version, 0, "dt/+/x", &[], b""), 0x90),
            (publish(version, 0, "dt/#", &[], b""), 0x90),
            (publish(version, 2, "$aws/nothing", &[], b""), 0x90),
            (publish(version, 2, "$other", &[], b""), 0x90),
            (publish(version, 3, "$aws/things/t-1/jobs/get", &[], b"{}"), 0x82),
            (publish(version, 0, "dt/x", &[], &large), 0x82),
            (publish(version, 0, "dt/x", &[], &huge), 0x82),
        ] {
            let mut client = clean(&endpoint, version, "t-1");
            // The endpoint need not read to the end of what is too large.
            client.client.try_send(&bytes);
            client.expect_end(reason);
        }
        let mut client = clean(&endpoint, version, "t-1");
        assert_eq!(client.publish("a/b/c/d/e/f/g/h", &large[1..]), 0, "as much as may be");
    }
}

#[test]
fn an_unauthorised_publish_closes_3_1_1_and_is_told_in_5() {
    let endpoint = Endpoint::start(&[]);
    let topic = "$aws/things/t-2/jobs/get";
    for flags in [0, 2] {
        let mut client = clean(&endpoint, V3, "t-1");
        client.send(&publish(V3, flags, topic, &[], b"{}"));
        client.expect_end(0);
    }
    let mut client = clean(&endpoint, V5, "t-1");
    assert_eq!(client.publish(topic, b"{}"), 0x87);
    client.expect_quiet();
    client.send(&publish(V5, 0, topic, &[], b"{}"));
    client.expect_end(0x87);
}

#[test]
fn topic_aliases_from_1_to_8() {
    let endpoint = Endpoint::start(&[]);
    let mut client = clean(&endpoint, V5, "t-1");
    client.send(&publish(V5, 2, "$aws/things/t-1/jobs/get", &[0x23, 0, 8], b"{}"));
    assert_eq!((client.puback(), client.take().0), (0, "$aws/things/t-1/jobs/get/accepted".into()));
    client.send(&publish(V5, 2, "", &[0x23, 0, 8], b"{}"));
    assert_eq!((client.puback(), client.take().0), (0, "$aws/things/t-1/jobs/get/accepted".into()));
    for (topic, alias, reason) in [("dt/x", 0, 0x94), ("dt/x", 9, 0x94), ("", 1, 0x82)] {
        let mut client = clean(&endpoint, V5, "t-1");
        client.send(&publish(V5, 0, topic, &[0x23, 0, alias], b""));
        client.expect_end(reason);
    }
    let mut client = clean(&endpoint, V5, "t-1");
    client.send(&publish(V5, 0, "", &[], b""));
    client.expect_end(0x90);
}

#[test]
fn jobs_over_mqtt_5_as_over_3_1_1() {
    let endpoint = Endpoint::start(&[]);
    for version in BOTH {
        let thing = format!("t-{}", version - 3);
        let topic = |last: &str| format!("$aws/things/{thing}/jobs/{last}");
        let mut client = clean(&endpoint, version, &thing);
        assert_eq!(client.subscribe(&[(&topic("notify-next"), 1), (&topic("start-next/+"), 0)]), [1, 0]);
        let job = format!("fw-{version}");
        endpoint.create_job(&job, &thing);
        let told = client.take();
        let body: Value = serde_json::from_str(&told.1).unwrap();
        assert_eq!((told.0, &body["execution"]["jobId"]), (topic("notify-next"), &json!(job)));
        assert_eq!(client.publish(&topic("start-next"), br#"{"clientToken":"a"}"#), 0);
        let answer = client.message();
        assert_eq!((&*answer.topic, answer.qos), (&*topic("start-next/accepted"), 0), "at the QoS of its subscription");
        assert_eq!(client.publish(&topic(&format!("{job}/update")), br#"{"status":"SUCCEEDED"}"#), 0);
        let mut told = [client.take().0, client.take().0];
        told.sort_unstable();
        assert_eq!(told, [topic(&format!("{job}/update/accepted")), topic("notify-next")]);
        client.expect_quiet();
    }
}

#[test]
fn no_more_leaves_than_the_client_takes_unacknowledged() {
    let endpoint = Endpoint::start(&[]);
    let properties = vec![0x21, 0, 2];
    let (mut client, _) = connected(&endpoint, V5, "t-1", &Connect { properties, ..Connect::default() });
    client.subscribe(&[("dt/x", 1)]);
    for _ in 0..4 {
        client.send(&publish(V5, 2, "$aws/things/t-1/jobs/get", &[], b"{}"));
    }
    let mut messages = Vec::new();
    for _ in 0..6 {
        let (first, _) = client.client.packet().unwrap();
        messages.push(first & 0xf0);
    }
    messages.sort_unstable();
    assert_eq!(messages, [0x30, 0x30, 0x40, 0x40, 0x40, 0x40]);
    client.expect_quiet();
    client.send(&[0x40, 2, 0, 1]);
    client.take();
    client.take();
    client.expect_quiet();
}

#[test]
fn a_packet_that_is_too_large_for_the_client_is_not_sent() {
    let endpoint = Endpoint::start(&[]);
    let properties = vec![0x27, 0, 0, 2, 0];
    let (mut small, _) = connected(&endpoint, V5, "t-1", &Connect { properties, ..Connect::default() });
    small.subscribe(&[("dt/x", 1)]);
    let mut other = clean(&endpoint, V3, "t-2");
    other.publish("dt/x", &[b'x'; 600]);
    other.publish("dt/x", b"fits");
    assert_eq!(small.take().1, "fits");
}
