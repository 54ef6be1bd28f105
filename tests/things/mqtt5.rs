//! What an MQTT 5 endpoint refuses, and what it promises.

use crate::odd::{Tls, expect_as, fall_silent, meet_as, operation, packet, send};

const MQTT5: &[&str] = &["fleet.transport='mqtt5'"];
const CONNACK: &[u8] = &[0x20, 3, 0, 0, 0];
const SUBACK: &[u8] = &[0x90, 7, 0, 1, 0, 1, 1, 1, 1];
const SUBSCRIBE: u8 = 0x82;
const PUBLISH_QOS_1: u8 = 0x32;

fn welcome(stream: &mut Tls) {
    let _ = packet(stream);
    send(stream, CONNACK);
    let _ = packet(stream);
    send(stream, SUBACK);
}

/// Id of a PUBLISH at QoS 1.
fn id_of(body: &[u8]) -> [u8; 2] {
    let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
    [body[2 + topic], body[3 + topic]]
}

#[test]
fn a_refused_connection_says_why() {
    let refuse = |mut stream: Tls| {
        let _ = packet(&mut stream);
        send(&mut stream, &[0x20, 3, 0, 0x97, 0]);
    };
    expect_as(MQTT5, refuse, "connect_mqtt", "quota_exceeded");
}

#[test]
fn an_endpoint_of_3_1_1_is_told_from_one_that_talks_nonsense() {
    let refuse = |mut stream: Tls| {
        let _ = packet(&mut stream);
        send(&mut stream, &[0x20, 2, 0, 1]);
    };
    expect_as(MQTT5, refuse, "connect_mqtt", "unsupported_protocol_version");
}

#[test]
fn a_refused_subscription_says_why() {
    let refuse = |mut stream: Tls| {
        let _ = packet(&mut stream);
        send(&mut stream, CONNACK);
        let _ = packet(&mut stream);
        send(&mut stream, &[0x90, 7, 0, 1, 0, 1, 0x87, 1, 1]);
        fall_silent(stream);
    };
    expect_as(MQTT5, refuse, "subscribe", "not_authorized");
}

#[test]
fn a_refused_publish_says_why_and_the_session_is_kept() {
    let refuse = |mut stream: Tls| {
        welcome(&mut stream);
        while let Ok((first, body)) = packet(&mut stream) {
            if first == PUBLISH_QOS_1 {
                let [high, low] = id_of(&body);
                send(&mut stream, &[0x40, 3, high, low, 0x97]);
            }
        }
    };
    let (errors, exit, manifest) = meet_as(MQTT5, refuse);
    let refused = errors[&("puback".to_owned(), "quota_exceeded".to_owned())];
    assert!(exit == 99 && refused >= 4, "nothing was ever done: {errors:?}");
    assert_eq!((&operation(&manifest, "puback")["rejected"], &operation(&manifest, "connect")["ok"]), (&refused.into(), &2.into()));
    // Nobody waits for an answer that will not come: three seconds, a wait of 200 ms before each new try, two things.
    let asked = &operation(&manifest, "start_next");
    assert_eq!((&asked["rejected"], &asked["timeout"]), (&refused.into(), &0.into()), "{asked}");
    assert!(refused >= 20, "{asked}");
}

/// With and without a reason, with and without properties.
#[test]
fn a_disconnect_says_why_in_all_its_forms() {
    for (bytes, code) in [
        (&[0xe0, 1, 0x8e][..], "session_taken_over"),
        (&[0xe0, 0], "normal_disconnection"),
        (&[0xe0, 2, 0x8b, 0], "server_shutting_down"),
    ] {
        let hang_up = move |mut stream: Tls| {
            welcome(&mut stream);
            send(&mut stream, bytes);
            fall_silent(stream);
        };
        let (errors, _, manifest) = meet_as(MQTT5, hang_up);
        assert!(errors[&("connect".to_owned(), code.to_owned())] >= 4, "{errors:?}");
        assert!(operation(&manifest, "reconnect")["ok"].as_u64().unwrap() >= 4);
    }
}

#[test]
fn what_an_endpoint_promises_is_heeded() {
    // A keep-alive of 1 s instead of 300, and packets of 40 bytes, too few for any request.
    let limit = |mut stream: Tls| {
        let _ = packet(&mut stream);
        send(&mut stream, &[0x20, 11, 0, 0, 8, 0x13, 0, 1, 0x27, 0, 0, 0, 40]);
        assert_eq!(packet(&mut stream).unwrap().0, SUBSCRIBE);
        send(&mut stream, SUBACK);
        while let Ok((first, _)) = packet(&mut stream) {
            // Anything but a PINGREQ ends the connection, which the run would tell.
            if first != 0xc0 {
                return;
            }
            send(&mut stream, &[0xd0, 0]);
        }
    };
    let (errors, _, manifest) = meet_as(MQTT5, limit);
    assert!(errors[&("puback".to_owned(), "packet_too_large".to_owned())] >= 2, "{errors:?}");
    assert!(!errors.keys().any(|(operation, _)| operation == "connect"), "{errors:?}");
    assert_eq!(operation(&manifest, "connect")["ok"], 2);
}
