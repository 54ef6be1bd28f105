//! Our things against endpoints that misbehave: every wait has a deadline, every failure a name, and they come back.

mod evidence;
mod https;
mod misread;
mod mqtt5;
mod odd;
mod persistent;
mod telemetry;

use odd::{CONNACK, SUBACK, Tls, expect, fall_silent, meet, operation, packet, send, welcome};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[test]
fn an_endpoint_that_accepts_and_never_answers_the_handshake() {
    expect(|stream| drop((std::thread::sleep(Duration::from_secs(5)), stream)), "connect_tls", "tls");
}

#[test]
fn an_endpoint_that_never_sends_a_connack() {
    expect(fall_silent, "connect_mqtt", "connack");
}

#[test]
fn an_endpoint_that_refuses() {
    let refuse = |mut stream: Tls| {
        let _ = packet(&mut stream);
        send(&mut stream, &[0x20, 2, 0, 5]);
    };
    expect(refuse, "connect_mqtt", "not_authorized");
}

#[test]
fn an_endpoint_that_talks_nonsense() {
    let babble = |mut stream: Tls| {
        let _ = packet(&mut stream);
        send(&mut stream, &[0xff; 64]);
        fall_silent(stream);
    };
    expect(babble, "connect_mqtt", "protocol");
}

#[test]
fn an_endpoint_that_refuses_one_subscription() {
    let refuse = |mut stream: Tls| {
        let _ = packet(&mut stream);
        send(&mut stream, CONNACK);
        let _ = packet(&mut stream);
        send(&mut stream, &[0x90, 6, 0, 1, 1, 1, 0x80, 1]);
        fall_silent(stream);
    };
    expect(refuse, "subscribe", "suback_failure");
}

#[test]
fn an_endpoint_that_never_sends_a_suback() {
    let forget = |mut stream: Tls| {
        let _ = packet(&mut stream);
        send(&mut stream, CONNACK);
        fall_silent(stream);
    };
    expect(forget, "subscribe", "suback");
}

#[test]
fn an_endpoint_that_drops_connections_is_come_back_to() {
    let drop_soon = |mut stream: Tls| {
        welcome(&mut stream);
        std::thread::sleep(Duration::from_millis(100));
    };
    let (errors, _, manifest) = meet(drop_soon);
    assert!(
        errors.iter().any(|((operation, code), count)| operation == "connect"
            && ["closed", "unexpected_eof", "connection_reset"].contains(&&**code)
            && *count >= 4),
        "{errors:?}"
    );
    assert!(operation(&manifest, "reconnect")["ok"].as_u64().unwrap() >= 4);
}

#[test]
fn answers_and_pubacks_that_never_come_are_given_up_and_asked_for_again() {
    let ignore = |mut stream: Tls| {
        welcome(&mut stream);
        fall_silent(stream);
    };
    let (errors, exit, manifest) = meet(ignore);
    assert!(exit == 99 && errors[&("start_next".to_owned(), "no_answer".to_owned())] >= 4, "{exit} {errors:?}");
    let start_next = operation(&manifest, "start_next");
    assert!(start_next["service_ms"]["p50"].as_f64().unwrap() >= 499.0, "a timeout counts at its age: {start_next}");
    assert!(operation(&manifest, "puback")["timeout"].as_u64().unwrap() >= 4);
    assert_eq!(operation(&manifest, "connect")["ok"], 2, "the session itself is kept");
}

#[test]
fn messages_that_make_no_sense_are_counted_and_survived() {
    let confuse = |mut stream: Tls| {
        welcome(&mut stream);
        for (topic, payload) in [
            ("$aws/things/t-0/jobs/notify-next", "{"),
            ("$aws/things/other/jobs/notify-next", "{}"),
            ("$aws/things/t-0/jobs/start-next/accepted", r#"{"clientToken":"never-asked","timestamp":1}"#),
            ("dt/unasked", "{}"),
        ] {
            let body = [&(topic.len() as u16).to_be_bytes()[..], topic.as_bytes(), payload.as_bytes()].concat();
            send(&mut stream, &[&[0x30, body.len() as u8][..], &body].concat());
        }
        fall_silent(stream);
    };
    let (errors, exit, manifest) = meet(confuse);
    assert_eq!((exit, &operation(&manifest, "connect")["ok"]), (99, &2.into()), "nothing was ever answered");
    let count = |operation: &str, code: &str| errors[&(operation.to_owned(), code.to_owned())];
    assert_eq!((count("notify_next", "payload"), count("subscribe", "unasked")), (1, 6), "{errors:?}");
}

/// Sessions of a shard share one buffer; what a broken one had written there belongs to nobody.
#[test]
fn what_a_broken_session_did_not_send_goes_to_no_other_one() {
    let seen: Arc<Mutex<Vec<u8>>> = Arc::default();
    let heard = Arc::clone(&seen);
    meet(move |mut stream| {
        let _ = packet(&mut stream);
        send(&mut stream, CONNACK);
        let subscribe = packet(&mut stream);
        send(&mut stream, SUBACK);
        // A message that wants a PUBACK, and behind it a topic that ends the session before that has left.
        send(&mut stream, &[0x32, 6, 0, 1, b't', 0, 7, b'x', 0x30, 4, 0, 1, b'#', b'x']);
        let rest = std::iter::from_fn(|| packet(&mut stream).ok());
        heard.lock().unwrap().extend(subscribe.into_iter().chain(rest).map(|(first, _)| first));
    });
    let seen = seen.lock().unwrap();
    assert!(seen.iter().filter(|first| **first == 0x82).count() >= 4, "{seen:x?}");
    assert!(!seen.contains(&0x40), "a PUBACK of another connection: {seen:x?}");
}
