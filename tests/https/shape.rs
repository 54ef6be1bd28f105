//! An endpoint in trouble treats requests over HTTP as it does those over MQTT.

use super::Listener;
use crate::common::Endpoint;
use std::time::{Duration, Instant};

const PENDING: (&str, &str, &str) = ("GET", "/things/t-1/jobs", "");

#[test]
fn reads_and_writes_over_their_rates_are_throttled_whatever_they_came_by() {
    let endpoint = Endpoint::start(&["--quotas", "aws"]);
    let [mut one, mut other] = Listener::both(&endpoint, "t-1");
    let start = Instant::now();
    let (mut served, mut throttled) = (0, 0);
    for n in 0..600 {
        let listener = if n % 2 == 0 { &mut one } else { &mut other };
        let answer = listener.ask(PENDING.0, PENDING.1, PENDING.2);
        match answer.status {
            200 => served += 1,
            _ => {
                assert_eq!(answer.refused(429, "ThrottlingException"), "Rate exceeded");
                throttled += 1;
            }
        }
    }
    let allowed = 200.0 * (1.0 + start.elapsed().as_secs_f64()) + 1.0;
    assert!(f64::from(served) <= allowed, "{served} served, {throttled} throttled, {allowed} allowed");
    // Those of MQTT count for the same.
    let mut client = endpoint.connect("t-1");
    if start.elapsed() < Duration::from_secs(2) {
        assert!(throttled > 0);
    }
    assert_eq!(client.request("start-next", &serde_json::json!({})).0, "start-next/accepted", "writes have a bucket of their own");
}

#[test]
fn a_share_is_refused_with_the_codes_asked_for() {
    let endpoint = Endpoint::start(&["--reject", "1", "--reject-codes", "InternalError"]);
    for mut listener in Listener::both(&endpoint, "t-1") {
        listener.ask(PENDING.0, PENDING.1, PENDING.2).refused(503, "ServiceUnavailableException");
        listener.ask("POST", "/things/t-1/jobs/fw", "{}").refused(400, "InvalidRequestException");
    }
    let endpoint = Endpoint::start(&["--reject", "1"]);
    for mut listener in Listener::both(&endpoint, "t-1") {
        listener.ask("PUT", "/things/t-1/jobs/$next", "").refused(429, "ThrottlingException");
    }
}

#[test]
fn latency_and_the_queue_of_a_server_delay_answers() {
    let endpoint = Endpoint::start(&["--latency", "30ms", "--server", "40ms"]);
    for mut listener in Listener::both(&endpoint, "t-1") {
        let start = Instant::now();
        for _ in 0..3 {
            listener.ask(PENDING.0, PENDING.1, PENDING.2).ok();
        }
        assert!(start.elapsed() >= Duration::from_millis(3 * 70), "{:?}", start.elapsed());
    }
}

#[test]
fn a_dropped_request_is_never_answered_and_never_done() {
    let endpoint = Endpoint::start(&["--drop", "1"]);
    endpoint.create_job("fw", "t-1");
    for mut listener in Listener::both(&endpoint, "t-1") {
        let bytes = listener.bytes("POST", "/things/t-1/jobs/fw", r#"{"status":"FAILED"}"#);
        listener.http.send(&bytes);
        listener.http.stream.sock.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let silence = std::io::Read::read(&mut listener.http.stream, &mut [0; 64]).unwrap_err();
        assert_eq!(silence.kind(), std::io::ErrorKind::WouldBlock);
    }
    let (_, _, described) = endpoint.call("GET", "/things/t-1/jobs/fw", "", |_| {});
    assert_eq!(described["execution"]["versionNumber"], 1);
}

#[test]
fn a_connection_ends_when_its_time_is_over_and_its_request_is_answered() {
    let endpoint = Endpoint::start(&["--disconnect", "400ms", "--latency", "600ms"]);
    let mut listener = Listener::by_certificate(&endpoint, "t-1");
    listener.ask(PENDING.0, PENDING.1, PENDING.2).ok();
    assert!(listener.http.message().is_none(), "closed");
}

#[test]
fn each_request_has_a_row_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("requests.csv");
    let endpoint = Endpoint::start(&["--requests", log.to_str().unwrap()]);
    for mut listener in Listener::both(&endpoint, "t-1") {
        listener.ask(PENDING.0, PENDING.1, PENDING.2).ok();
        listener.ask("GET", "/things/t-1/jobs/fw", "").refused(404, "ResourceNotFoundException");
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    let rows = loop {
        let text = std::fs::read_to_string(&log).unwrap();
        let rows: Vec<String> = text.lines().skip(1).map(|line| line.splitn(3, ',').nth(2).unwrap().to_owned()).collect();
        if rows.len() >= 4 {
            break rows;
        }
        assert!(Instant::now() < deadline, "{text}");
        std::thread::sleep(Duration::from_millis(20));
    };
    let expected = ["t-1,get-pending,accepted,", "t-1,describe,ResourceNotFound,"];
    assert_eq!(rows, [expected, expected].concat());
}
