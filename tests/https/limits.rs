//! Connections: kept alive, pipelined, slow, too large.

use super::Listener;
use crate::common::Endpoint;
use crate::common::http::{header, request};
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn a_connection_is_kept_and_requests_may_come_before_the_answers() {
    let endpoint = Endpoint::start(&[]);
    endpoint.create_job("fw", "t-1");
    for mut listener in Listener::both(&endpoint, "t-1") {
        let own = "/things/t-1/jobs/fw";
        let requests = [
            listener.bytes("GET", own, ""),
            listener.bytes("POST", own, r#"{"status":"IN_PROGRESS","includeJobExecutionState":true}"#),
            listener.bytes("GET", "/nothing", ""),
            listener.bytes("GET", "/things/t-1/jobs", ""),
        ];
        listener.http.send(&requests.concat());
        let answers: Vec<_> = requests.iter().map(|_| listener.http.answer().expect("an answer")).collect();
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200, 404, 200]);
        assert!(answers[0].body["execution"].is_object() && answers[1].body["executionState"].is_object());
        assert!(answers[3].body["inProgressJobs"][0].is_object());
        // In pieces, each in a record of its own.
        for byte in listener.bytes("GET", "/things/t-1/jobs", "") {
            listener.http.send(&[byte]);
        }
        listener.http.answer().expect("an answer").ok();
        for _ in 0..50 {
            listener.ask("GET", own, "").ok();
        }
    }
}

#[test]
fn a_body_may_come_in_chunks_and_after_a_continue() {
    let endpoint = Endpoint::start(&[]);
    endpoint.create_job("fw", "t-1");
    let mut http = Listener::by_certificate(&endpoint, "t-1").http;
    let head = format!("POST /things/t-1/jobs/fw HTTP/1.1\r\nhost: {}\r\n", endpoint.https);
    http.send(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes());
    http.send(b"a\r\n{\"status\":\r\n");
    http.send(b"e\r\n\"IN_PROGRESS\"}\r\n0\r\n\r\n");
    assert_eq!(http.answer().unwrap().ok(), json!({}));
    let body = r#"{"status":"SUCCEEDED"}"#;
    http.send(format!("{head}expect: 100-continue\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes());
    assert!(http.message().expect("an interim answer").0.starts_with("HTTP/1.1 100"));
    http.send(body.as_bytes());
    assert_eq!(http.answer().unwrap().ok(), json!({}));
}

#[test]
fn what_is_too_large_or_no_http_ends_the_connection() {
    let endpoint = Endpoint::start(&[]);
    for mut listener in Listener::both(&endpoint, "t-1") {
        let length = 300 * 1024;
        let head = format!("POST /things/t-1/jobs/fw HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
        listener.http.send(head.as_bytes());
        listener.http.send(&vec![b' '; 280 * 1024]);
        listener.http.answer().expect("an answer").refused(413, "InvalidRequestException");
        assert!(listener.http.answer().is_none(), "and closed");
    }
    for (what, status) in [
        (format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(20_000)), "431"),
        ("\r\n\u{0}\u{1}nonsense\r\n\r\n".into(), "400"),
        ("GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n".into(), "400"),
    ] {
        for mut listener in Listener::both(&endpoint, "t-1") {
            // It may close before it has read all.
            let _ = std::io::Write::write_all(&mut listener.http.stream, what.as_bytes());
            if let Some((head, _)) = listener.http.message() {
                assert_eq!(head.split(' ').nth(1), Some(status), "{what:.60}");
                assert!(listener.http.message().is_none(), "and closed");
            }
        }
    }
}

#[test]
fn a_head_has_ten_seconds_and_a_silent_connection_longer() {
    let endpoint = Endpoint::start(&[]);
    let mut silent = Listener::both(&endpoint, "t-2");
    for listener in &mut silent {
        listener.ask("GET", "/things/t-2/jobs", "").ok();
        // Head and body apart, as many clients send them.
        let bytes = listener.bytes("PUT", "/things/t-2/jobs/$next", "{}");
        listener.http.send(&bytes[..bytes.len() - 2]);
        std::thread::sleep(Duration::from_millis(50));
        listener.http.send(&bytes[bytes.len() - 2..]);
        listener.http.answer().expect("an answer").ok();
    }
    let mut slow = Listener::both(&endpoint, "t-1");
    let start = Instant::now();
    for listener in &mut slow {
        listener.http.stream.sock.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let bytes = listener.bytes("GET", "/things/t-1/jobs", "");
        listener.http.send(&bytes);
        listener.http.answer().expect("an answer");
        listener.http.send(&bytes[..bytes.len() / 2]);
    }
    for listener in &mut slow {
        assert!(listener.http.message().is_none(), "the rest did not come");
    }
    let waited = start.elapsed().as_secs();
    assert!((9..=15).contains(&waited), "{waited} s");
    for mut listener in silent {
        listener.ask("GET", "/things/t-2/jobs", "").ok();
    }
}

#[test]
fn a_client_that_wants_no_connection_to_stay_gets_none() {
    let endpoint = Endpoint::start(&[]);
    let mut http = Listener::by_certificate(&endpoint, "t-1").http;
    let bytes = String::from_utf8(request(&endpoint.https, "GET", "/things/t-1/jobs", "")).unwrap();
    http.send(bytes.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n").as_bytes());
    let (head, _) = http.message().unwrap();
    assert_eq!(header(&head, "content-type").as_deref(), Some("application/json"));
    assert!(http.message().is_none(), "and closed");
}
