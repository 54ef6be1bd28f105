//! Things that speak HTTPS, and endpoints that do not answer as they should.

use crate::odd::{Met, Tls, meet_as, operation, send};
use std::io::{BufRead as _, BufReader, Read as _};

const HTTPS: &str = "fleet.transport='https-mtls'";
const POLLS: &str = "cohort=[{ name = 'all', poll = { every = '200ms', jitter = 0 } }]";
const NOTHING: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

fn meet(behaviour: impl Fn(Tls) + Send + Sync + 'static) -> Met {
    meet_as(&[HTTPS, POLLS], behaviour)
}

/// Reads one request: its first line.
fn request(stream: &mut Tls) -> Option<String> {
    let mut reader = BufReader::with_capacity(1, stream);
    let (mut first, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        let line = line.trim_end().to_ascii_lowercase();
        length = line.strip_prefix("content-length: ").map_or(length, |value| value.parse().unwrap());
        if line.is_empty() {
            break;
        }
        first.get_or_insert(line);
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
    first
}

/// Answers every request of a connection with this.
pub(crate) fn answer(mut stream: Tls, text: &str) {
    while request(&mut stream).is_some() {
        send(&mut stream, text.as_bytes());
    }
}

#[track_caller]
fn count(met: &Met, operation: &str, code: &str) -> u64 {
    met.0.get(&(operation.to_owned(), code.to_owned())).copied().unwrap_or(0)
}

#[test]
fn polls_stay_on_one_connection_and_are_in_time() {
    let met = meet(|stream| answer(stream, NOTHING));
    assert_eq!((met.1, met.0.len()), (0, 0), "{:?}", met.0);
    assert_eq!(operation(&met.2, "connect")["ok"], 2);
    let polls = operation(&met.2, "describe")["ok"].as_u64().unwrap();
    assert!((12..=40).contains(&polls), "two things, five a second, for three seconds less their first: {polls}");
}

#[test]
fn a_connection_that_is_closed_between_two_polls_is_made_again_for_the_next() {
    let met = meet(|mut stream| {
        assert!(request(&mut stream).is_none_or(|line| line.starts_with("get /things/t-")));
        send(&mut stream, NOTHING.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n").as_bytes());
    });
    assert_eq!(met.1, 0);
    let polls = operation(&met.2, "describe")["ok"].as_u64().unwrap();
    assert!((10..=40).contains(&polls), "no poll is missed: {polls}, {:?}", met.0);
    assert!(count(&met, "connect", "closed_idle") >= polls - 2, "{:?}", met.0);
    assert_eq!(met.0.len(), 1, "that is no error of anything else: {:?}", met.0);
}

/// What the thing wants next is wanted at once, when nobody has told it yet that its connection is gone.
#[test]
fn a_request_after_the_last_answer_of_a_connection_goes_on_the_next_one() {
    let execution =
        r#"{"execution":{"jobId":"fw","status":"QUEUED","queuedAt":1,"lastUpdatedAt":1,"versionNumber":1,"executionNumber":1}}"#;
    let met = meet_as(&[HTTPS, POLLS, "behavior.b={ reaction = '0s' }"], move |mut stream| {
        let line = request(&mut stream).unwrap_or_default();
        let body = if line.starts_with("get") { execution } else { "{}" };
        let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}", body.len());
        send(&mut stream, format!("{head}\r\n\r\n{body}").as_bytes());
    });
    assert!(operation(&met.2, "start_next")["ok"].as_u64().unwrap() >= 10, "{:?}", met.0);
    for name in ["describe", "start_next"] {
        let operation = operation(&met.2, name);
        assert_eq!((&operation["timeout"], &operation["error"]), (&0.into(), &0.into()), "{name}: {:?}", met.0);
    }
}

#[test]
fn a_certificate_that_is_refused_after_the_handshake_is_no_connection() {
    let met = meet(|mut stream| {
        // The handshake, and then the alert that TLS 1.3 has room for only after it.
        let _ = stream.conn.complete_io(&mut stream.sock);
        stream.conn.send_close_notify();
        let _ = stream.conn.complete_io(&mut stream.sock);
    });
    let connect = operation(&met.2, "connect");
    assert_eq!(connect["ok"], 0, "{connect}");
    // Whoever is late with its first request finds the pipe broken.
    let closed = count(&met, "connect", "closed") + count(&met, "connect", "broken_pipe");
    assert!(connect["error"].as_u64().unwrap() >= 4 && closed >= 4, "{connect} {:?}", met.0);
}

#[test]
fn a_connection_that_is_closed_before_any_answer_is_come_back_to_by_the_policy() {
    let met = meet(drop);
    let again: u64 = met.0.values().sum();
    assert!((4..40).contains(&again), "every 400 ms, not at once: {:?}", met.0);
}

#[test]
fn an_answer_that_never_comes_costs_its_connection() {
    let met = meet(|mut stream| while request(&mut stream).is_some() {});
    let polls = count(&met, "describe", "no_answer");
    assert!(polls >= 4 && count(&met, "connect", "answer") == polls, "{:?}", met.0);
}

#[test]
fn an_answer_that_breaks_off_is_lost_with_its_connection() {
    let met = meet(|mut stream| {
        let _ = request(&mut stream);
        send(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\n{\"execution\"");
    });
    let lost = count(&met, "connect", "closed") + count(&met, "connect", "unexpected_eof");
    assert!(lost >= 4, "{:?}", met.0);
    assert_eq!(operation(&met.2, "describe")["error"].as_u64().unwrap(), lost);
}

#[test]
fn what_is_no_http_breaks_the_protocol() {
    let met = meet(|mut stream| {
        let _ = request(&mut stream);
        send(&mut stream, b"\x20\x02\x00\x00");
    });
    assert!(count(&met, "connect", "protocol") >= 4, "{:?}", met.0);
}

#[test]
fn an_answer_without_end_is_not_waited_for_and_not_held() {
    let met = meet(|mut stream| {
        let _ = request(&mut stream);
        send(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n");
        for _ in 0..100 {
            send(&mut stream, &[b' '; 10_000]);
        }
    });
    assert!(count(&met, "connect", "protocol") >= 4, "{:?}", met.0);
}

#[test]
fn who_may_not_ask_is_told_why() {
    let met = meet(|stream| {
        let error =
            "HTTP/1.1 403 Forbidden\r\nx-amzn-errortype: ForbiddenException\r\ncontent-length: 17\r\n\r\n{\"message\":\"why\"}";
        answer(stream, error);
    });
    assert!(count(&met, "connect", "forbidden") >= 4, "{:?}", met.0);
    let errors = met.2["totals"]["errors"].as_array().unwrap();
    let example = errors.iter().find(|error| error["code"] == "forbidden").unwrap()["example"].as_str().unwrap();
    assert!(example.contains("403 ForbiddenException: why"), "{example}");
}

#[test]
fn refusals_are_counted_and_the_next_poll_is_the_retry() {
    for (status, code) in [("503 Busy", "InternalError"), ("429 Slow down", "RequestThrottled"), ("404 Gone", "ResourceNotFound")] {
        let met = meet(move |stream| answer(stream, &format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")));
        assert!((12..=40).contains(&count(&met, "describe", code)), "{status}: {:?}", met.0);
        assert_eq!(operation(&met.2, "connect")["ok"], 2, "the connection is kept");
    }
}

#[test]
fn answers_that_make_no_sense_are_counted_and_survived() {
    let met = meet(|stream| answer(stream, "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>"));
    let unreadable = count(&met, "describe", "payload");
    assert!(unreadable >= 12 && count(&met, "describe", "no_answer") == 0, "{:?}", met.0);
    assert_eq!(met.1, 99, "nothing was ever understood");
    assert_eq!(operation(&met.2, "connect")["ok"], 2);
}

#[cfg(feature = "aws")]
#[test]
fn an_upgrade_that_is_refused_says_why() {
    let refuse = |mut stream: Tls| {
        assert!(request(&mut stream).is_none_or(|line| line.starts_with("get /mqtt?x-amz-algorithm=aws4-hmac-sha256&")));
        let head = "HTTP/1.1 403 Forbidden\r\nx-amzn-errortype: InvalidSignatureException\r\ncontent-length: 17";
        send(&mut stream, format!("{head}\r\n\r\n{{\"message\":\"why\"}}").as_bytes());
    };
    let met = meet_as(&["fleet.transport='mqtt-ws'"], refuse);
    assert!(count(&met, "connect_mqtt", "upgrade_refused") >= 4, "{:?}", met.0);
    let example = met.2["totals"]["errors"][0]["example"].as_str().unwrap();
    assert!(example.contains("403 InvalidSignatureException"), "{example}");
}
