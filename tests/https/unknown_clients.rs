//! Clients that nobody knows: they cost little, and those who are known get in all the same.

use super::{Listener, request, signed, signing};
use crate::common::http::Http;
use crate::common::{Endpoint, PATIENCE, Tls};
use serde_json::json;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Of the endpoint's process, as the tables of the kernel have it.
fn resident_mb(endpoint: &Endpoint) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", endpoint.process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// Everybody who is known gets in, by every listener.
#[track_caller]
fn assert_open(endpoint: &Endpoint) {
    endpoint.connect("t-1").expect_quiet();
    for mut listener in Listener::both(endpoint, "t-2") {
        listener.ask("GET", "/things/t-2/jobs", "").ok();
    }
    assert_eq!(endpoint.call("GET", "/endpoint", "", |_| {}).0, 200);
}

/// Connections that never say a word, more than the endpoint has descriptors.
#[test]
fn idle_connections_of_unknown_clients_leave_the_descriptors_to_those_who_are_known() {
    let endpoint = Endpoint::with_descriptors(160);
    let addresses = [&endpoint.mqtt, &endpoint.https, &endpoint.api];
    let silent: Vec<TcpStream> =
        addresses.iter().flat_map(|address| (0..200).map(move |_| TcpStream::connect(address).unwrap())).collect();
    assert_open(&endpoint);
    // With a handshake, where nobody is asked for a certificate.
    let idle: Vec<Option<Tls>> = (0..160).map(|_| endpoint.tls(&endpoint.api, None).ok()).collect();
    assert_open(&endpoint);
    drop((silent, idle));
    assert_open(&endpoint);
}

/// More than a listener has places where there are descriptors enough.
#[test]
fn a_thousand_connections_without_a_word_do_not_stop_a_listener() {
    rlimit::increase_nofile_limit(rlimit::INFINITY).unwrap();
    let endpoint = Endpoint::start(&[]);
    for address in [&endpoint.mqtt, &endpoint.https, &endpoint.api] {
        let silent: Vec<TcpStream> = (0..1_100).map(|_| TcpStream::connect(address).unwrap()).collect();
        let start = Instant::now();
        assert_open(&endpoint);
        assert!(start.elapsed() < Duration::from_secs(8), "before their handshakes were over their time: {:?}", start.elapsed());
        drop(silent);
    }
}

#[test]
fn a_connection_whose_client_stays_unknown_is_not_kept_for_long() {
    let endpoint = Endpoint::start(&[]);
    let mut unknown = Http::without_certificate(&endpoint);
    assert_eq!(unknown.answer(), None, "closed, within {PATIENCE:?}");
}

/// The head of a request that is not signed as it should be is refused before its body is read.
#[test]
fn a_body_is_read_when_the_head_of_its_request_is_signed() {
    let endpoint = Endpoint::start(&[]);
    let body = "x".repeat(200 * 1024);
    let other_key = || {
        let mut signing = signing(&endpoint);
        signing.key.id = "AKIAOTHEROTHEROTHER1".into();
        signed(&endpoint.api, &signing, ("POST", "/things/t-1/jobs/fw", &body), |_| {})
    };
    for (request, error) in [
        (request(&endpoint.api, "POST", "/things/t-1/jobs/fw", &body), "MissingAuthenticationTokenException"),
        (other_key(), "UnrecognizedClientException"),
    ] {
        let mut http = Http::without_certificate(&endpoint);
        // Nothing of the body.
        http.send(&request[..request.len() - body.len()]);
        http.answer().expect("an answer").refused(403, error);
    }
}

/// Large bodies under signatures that turn out to be wrong, or never end: as many as there are places.
#[test]
fn bodies_of_unknown_clients_take_little_memory_and_known_ones_go_on() {
    rlimit::increase_nofile_limit(rlimit::INFINITY).unwrap();
    let endpoint = Endpoint::start(&[]);
    let mut known = Listener::by_signature(&endpoint);
    known.ask("GET", "/things/t-1/jobs", "").ok();
    let body = " ".repeat(250 * 1024);
    let mut unfinished = signed(&endpoint.api, &signing(&endpoint), ("PUT", "/things/t-1/jobs/$next", &body), |_| {});
    unfinished.pop();
    let before = resident_mb(&endpoint);
    let held: Vec<Tls> = (0..400)
        .map(|_| {
            let mut stream = endpoint.tls(&endpoint.api, None).unwrap();
            // What nobody reads stays in the sockets.
            stream.sock.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
            let _ = stream.write_all(&unfinished);
            stream
        })
        .collect();
    let grown = resident_mb(&endpoint).saturating_sub(before);
    assert!(grown < 60, "{grown} MB for {} connections that have sent {} MB", held.len(), (held.len() * body.len()) >> 20);
    known.ask("PUT", "/things/t-1/jobs/$next", &json!({"ignored": "x".repeat(100 * 1024)}).to_string()).ok();
    assert_open(&endpoint);
}

/// A client that sends all it has before it reads the answer.
#[test]
fn an_answer_that_comes_before_the_end_of_the_body_arrives() {
    let endpoint = Endpoint::start(&[]);
    for length in [300 * 1024, 4 << 20, 24 << 20] {
        for mut listener in Listener::both(&endpoint, "t-1") {
            let head = format!("POST /things/t-1/jobs/fw HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
            listener.http.send(head.as_bytes());
            listener.http.send(&vec![b' '; length]);
            listener.http.answer().expect("an answer").refused(413, "InvalidRequestException");
            assert!(listener.http.answer().is_none(), "and closed");
        }
        let mut unsigned = Http::without_certificate(&endpoint);
        let head = format!("PUT /objects/b/k HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
        unsigned.send(head.as_bytes());
        unsigned.send(&vec![b' '; length]);
        assert_eq!(unsigned.answer().expect("an answer").status, 403);
    }
}
