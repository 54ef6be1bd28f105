//! How the local endpoint can be shaped, on real sockets: each quota is enforced with AWS's answer, each fault does what it says.
//! Rates are compared with the time that really passed, so that a slow machine fails nothing.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/verdict.rs"]
mod verdict;

use common::{Endpoint, Message, PATIENCE, publish_packet};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// What a rate and its burst allow in a time, of a bucket that was full.
#[track_caller]
fn assert_rate(count: usize, rate: f64, seconds: f64) {
    let count = count as f64;
    assert!((rate..=rate * (1.0 + seconds) + 1.0).contains(&count), "{count} in {seconds:.3} s at {rate}/s");
}

fn rejected_by(messages: &[Message], code: &str) -> usize {
    messages.iter().filter(|(topic, body)| topic.ends_with("/rejected") && body["code"] == code).count()
}

// ----------------------------------------------------------------------------------------------------------------- quotas

#[test]
fn the_201st_read_of_a_second_is_throttled_and_writes_are_counted_apart() {
    let endpoint = Endpoint::with_quotas("[connection]\npublishes_per_second = \"unlimited\"\n");
    let mut client = endpoint.connect("t-1");
    for (reads, other) in [(["get", "fw/get"], "start-next"), (["start-next", "fw/update"], "get")] {
        let requests: Vec<u8> = (0..600)
            .flat_map(|n| client.request_packet(reads[n % 2], &json!({"status": "SUCCEEDED", "clientToken": n.to_string()})))
            .collect();
        let (_, answers, seconds) = client.burst(&requests);
        assert_eq!(answers.len(), 600, "all are answered");
        assert_eq!(rejected_by(&answers[..200], "RequestThrottled"), 0, "200 are served");
        assert_rate(600 - rejected_by(&answers, "RequestThrottled"), 200.0, seconds);
        let (topic, throttled) = answers.iter().find(|(_, body)| body["code"] == "RequestThrottled").unwrap();
        assert!(topic.ends_with("/rejected") && throttled["message"] == "Rate exceeded" && throttled["clientToken"].is_string());
        let (_, answers, _) = client.burst(&client.request_packet(other, &json!({})));
        assert_eq!(rejected_by(&answers, "RequestThrottled"), 0, "the other bucket is full");
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn a_call_over_the_rate_of_its_operation_gets_a_throttling_exception() {
    let endpoint = Endpoint::with_quotas("[jobs]\ncreate_job_per_second = 1\ncontrol_plane_per_second = 1\n");
    let create = |n: usize| endpoint.try_create_job(&format!("fw-{n}"), "t-1", &json!({}));
    assert_eq!(create(0).0, 200);
    let (status, error, body) = (1..50).map(create).find(|(status, ..)| *status != 200).expect("one of many is throttled");
    assert_eq!((status, error.as_deref(), &body["message"]), (400, Some("ThrottlingException"), &json!("Rate exceeded")));
    assert_eq!(endpoint.call("GET", "/jobs/fw-0", "", |_| {}).0, 200, "another operation has a rate of its own");
    assert!((0..50).any(|_| endpoint.call("GET", "/jobs/fw-0", "", |_| {}).1.as_deref() == Some("ThrottlingException")));
    assert!((0..50).all(|_| endpoint.call("GET", "/endpoint", "", |_| {}).0 == 200), "the registry has none");
    let deadline = Instant::now() + PATIENCE;
    while create(99).0 != 200 {
        assert!(Instant::now() < deadline, "the rate comes back");
    }
}

#[test]
fn one_client_id_may_connect_once_a_second() {
    let endpoint = Endpoint::with(&["--quotas", "aws"]);
    let (mut refused, start) = (0, Instant::now());
    for _ in 0..50 {
        let (code, mut client) = endpoint.try_connect("t-1");
        if code != 0 {
            assert_eq!(code, 3, "server unavailable");
            assert!(client.packet().is_none(), "and closed");
            refused += 1;
        }
    }
    assert_rate(50 - refused, 1.0, start.elapsed().as_secs_f64());
    endpoint.connect("t-2");
}

#[test]
fn an_account_has_a_rate_of_connects_and_a_number_of_connections() {
    let endpoint = Endpoint::with_quotas("[account]\nconnects_per_second = 3\nconnects_per_second_per_client_id = \"unlimited\"\n");
    let start = Instant::now();
    let accepted = (0..100).filter(|n| endpoint.try_connect(&format!("t-{}", n % 4)).0 == 0).count();
    assert_rate(accepted, 3.0, start.elapsed().as_secs_f64());

    let endpoint = Endpoint::with_quotas("[account]\nconnections = 2\nconnects_per_second_per_client_id = \"unlimited\"\n");
    let (first, _second) = (endpoint.connect("t-0"), endpoint.connect("t-1"));
    assert_eq!(endpoint.try_connect("t-2").0, 3);
    drop(first);
    let deadline = Instant::now() + PATIENCE;
    while endpoint.try_connect("t-2").0 != 0 {
        assert!(Instant::now() < deadline, "a closed connection makes room");
    }
}

#[test]
fn the_101st_publish_of_a_second_on_a_connection_is_discarded() {
    let endpoint = Endpoint::with(&["--quotas", "aws"]);
    let mut client = endpoint.connect("t-1");
    let publishes: Vec<u8> = (1..=400).flat_map(|id| publish_packet("dt/x", 1, id, b"{}", false)).collect();
    let (acknowledged, _, seconds) = client.burst(&publishes);
    assert_rate(acknowledged, 100.0, seconds);
    // Requests and their answers count together.
    let mut other = endpoint.connect("t-2");
    let requests = other.request_packet("get", &json!({})).repeat(400);
    let (_, answers, seconds) = other.burst(&requests);
    assert_rate(answers.len(), 50.0, seconds);
}

#[test]
fn what_comes_in_over_the_accounts_rate_gets_no_puback() {
    let endpoint =
        Endpoint::with_quotas("[account]\ninbound_publishes_per_second = 20\n[connection]\npublishes_per_second = 10_000\n");
    let mut listener = endpoint.connect("t-2");
    listener.subscribe_at(0, &["=dt/#"]);
    let mut client = endpoint.connect("t-1");
    let publishes: Vec<u8> = (1..=200).flat_map(|id| publish_packet("dt/x", 1, id, b"{}", false)).collect();
    let (acknowledged, _, seconds) = client.burst(&publishes);
    assert_rate(acknowledged, 20.0, seconds);
    (0..acknowledged).for_each(|_| assert_eq!(listener.message_qos_0().0, "dt/x"));
    assert!(listener.burst(&[]).1.is_empty(), "and reaches nobody");
}

#[test]
fn what_goes_out_over_the_accounts_rate_is_discarded() {
    let endpoint =
        Endpoint::with_quotas("[account]\noutbound_publishes_per_second = 20\n[connection]\npublishes_per_second = 10_000\n");
    let mut listener = endpoint.connect("t-2");
    listener.subscribe_at(0, &["=dt/#"]);
    let mut client = endpoint.connect("t-1");
    let start = Instant::now();
    let publishes: Vec<u8> = (1..=20).flat_map(|id| publish_packet("dt/x", 1, id, b"{}", false)).collect();
    // Its answer counts as well, and comes when there is room.
    let (deadline, request) = (Instant::now() + PATIENCE, listener.request_packet("get", &json!({})));
    let (mut published, mut heard) = (0, 0);
    loop {
        if published < 200 {
            assert_eq!(client.burst(&publishes).0, 20, "what comes in is counted apart");
            published += 20;
        }
        let (_, messages, _) = listener.burst(&request);
        heard += messages.iter().filter(|(topic, _)| topic == "dt/x").count();
        if published == 200 && messages.iter().any(|(topic, _)| topic.ends_with("/accepted")) {
            break;
        }
        assert!(Instant::now() < deadline, "the rate comes back");
    }
    assert_rate(heard, 20.0, start.elapsed().as_secs_f64());
}

#[test]
fn bytes_over_the_rate_of_a_connection_are_late_and_not_lost() {
    let endpoint = Endpoint::with_quotas("[connection]\nbytes_per_second = 100_000\n");
    let mut client = endpoint.connect("t-1");
    let publishes: Vec<u8> = (1..=3).flat_map(|id| publish_packet("dt/x", 1, id, &[b'x'; 100_000], false)).collect();
    let (acknowledged, _, seconds) = client.burst(&publishes);
    assert_eq!(acknowledged, 3);
    assert!(seconds >= 0.9, "three seconds' worth of bytes, of which a burst is free and the last one is read already: {seconds}");
}

#[test]
fn filters_over_the_rate_or_the_number_of_subscriptions_get_the_failure_code() {
    let endpoint = Endpoint::with_quotas("[account]\nsubscribes_per_second = 3\n");
    let mut client = endpoint.connect("t-1");
    assert_eq!(client.subscribe_at(0, &["=a", "=b", "=c", "=d", "=e"]), [0, 0, 0, 0x80, 0x80]);
    let endpoint = Endpoint::with_quotas("[connection]\nsubscriptions = 2\n");
    let mut client = endpoint.connect("t-1");
    assert_eq!(client.subscribe_at(0, &["=a", "=b", "=c"]), [0, 0, 0x80]);
}

#[test]
fn without_quotas_nothing_is_throttled() {
    let endpoint = Endpoint::with(&[]);
    let mut client = endpoint.connect("t-1");
    let (_, answers, _) = client.burst(&client.request_packet("start-next", &json!({})).repeat(1_000));
    assert_eq!((answers.len(), rejected_by(&answers, "RequestThrottled")), (1_000, 0));
    (0..5).for_each(|_| drop(endpoint.connect("t-2")));
}

#[test]
fn an_account_has_a_number_of_job_templates() {
    let endpoint = Endpoint::with_quotas("[jobs]\njob_templates = 1\n");
    let create = |id: &str| {
        let body = r#"{"description":"d","document":"{}"}"#;
        let (status, error, _) = endpoint.call("PUT", &format!("/job-templates/{id}"), body, |_| {});
        (status, error)
    };
    assert_eq!(create("a"), (200, None));
    assert_eq!(create("b"), (410, Some("LimitExceededException".into())));
    assert_eq!(endpoint.call("DELETE", "/job-templates/a", "", |_| {}).0, 200);
    assert_eq!(create("b"), (200, None));
}

#[test]
fn a_job_over_a_quota_is_refused_and_one_without_a_rate_has_the_services() {
    let endpoint = Endpoint::with_quotas("[jobs]\nactive_jobs = 1\nrollout_per_minute = 60\ntargets_per_job = 2\n");
    let targets =
        |count: usize| -> Vec<String> { (0..count).map(|n| format!("arn:aws:iot:us-east-1:111122223333:thing/t-{n}")).collect() };
    let refused = |job: &str, more: Value| {
        let (status, error, _) = endpoint.try_create_job(job, "t-0", &more);
        (status, error.unwrap_or_default())
    };
    let limit = (410, "LimitExceededException".to_owned());
    assert_eq!(refused("fast", json!({"jobExecutionsRolloutConfig": {"maximumPerMinute": 61}})), limit);
    assert_eq!(refused("wide", json!({"targets": targets(3)})), limit);
    let mut second = endpoint.connect("t-1");
    second.subscribe_at(0, &["notify"]);
    let start = Instant::now();
    assert_eq!(refused("fits", json!({"targets": targets(2)})), (200, String::new()));
    assert_eq!(refused("one-more", json!({})), limit);
    assert_eq!(second.message_qos_0().0, "notify");
    assert!(start.elapsed() >= Duration::from_secs(1), "60 a minute, one after the other");
}

fn fleetsim(dir: &std::path::Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fleetsim")).args(arguments).current_dir(dir).output().unwrap()
}

#[test]
fn quotas_are_printed_to_be_changed_and_a_mistake_in_them_is_told_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let printed = fleetsim(dir.path(), &["serve", "--print-quotas"]);
    assert!(printed.status.success());
    drop(Endpoint::with_quotas(std::str::from_utf8(&printed.stdout).unwrap()));
    std::fs::write(dir.path().join("quotas.toml"), "[jobs]\nread_per_second = 5\n").unwrap();
    std::fs::write(
        dir.path().join("s.toml"),
        "name = 's'\n[target.emulator]\nquotas = 'quotas.toml'\n[fleet]\nthings = 1\n[end]\nduration = '1s'\n",
    )
    .unwrap();
    for (arguments, code) in [(&["serve", "--dir", "d", "--quotas", "quotas.toml"][..], 2), (&["check", "s.toml"], 104)] {
        let output = fleetsim(dir.path(), arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert!(message.contains("quotas.toml:2:") && message.contains("did you mean \"reads_per_second\"?"), "{message}");
    }
    let missing = fleetsim(dir.path(), &["serve", "--dir", "d", "--quotas", "asw"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8(missing.stderr).unwrap().contains("known are none, aws, or a file"));
}

// ----------------------------------------------------------------------------------------------------------------- faults

#[test]
fn a_burst_builds_up_a_queue_in_front_of_the_engine() {
    for workers in [1, 2] {
        let endpoint = Endpoint::with(&["--server", "50ms", "--server-workers", &workers.to_string()]);
        let mut client = endpoint.connect("t-1");
        let burst: Vec<u8> = (0..8)
            .flat_map(|n| {
                client.request_packet(if n % 2 == 0 { "get" } else { "start-next" }, &json!({"clientToken": n.to_string()}))
            })
            .collect();
        let start = Instant::now();
        client.send(&burst);
        for n in 0..8 {
            let (_, answer) = client.message_qos_0();
            assert_eq!(answer["clientToken"], n.to_string(), "first come, first served");
            let departure = Duration::from_millis(50 * (n / workers + 1));
            assert!(start.elapsed() >= departure, "request {n} with {workers} workers left after {:?}", start.elapsed());
        }
        assert!(start.elapsed() < PATIENCE / 2);
    }
}

#[test]
fn what_is_dropped_is_acknowledged_and_never_answered_nor_done() {
    let endpoint = Endpoint::with(&["--drop", "1"]);
    endpoint.create_job("fw", "t-1");
    let mut client = endpoint.connect("t-1");
    let topic = client.topic("start-next");
    let (acknowledged, answers, _) = client.burst(&publish_packet(&topic, 1, 1, b"{}", false));
    assert_eq!((acknowledged, answers), (1, vec![]));
    let (_, _, job) = endpoint.call("GET", "/jobs/fw", "", |_| {});
    assert_eq!(job["job"]["jobProcessDetails"]["numberOfQueuedThings"], 1);
}

#[test]
fn who_is_dropped_or_refused_is_a_function_of_the_seed() {
    let fates = |seed: &str| {
        let endpoint = Endpoint::with(&["--drop", "0.3", "--reject", "0.3", "--seed", seed]);
        let mut client = endpoint.connect("t-1");
        let requests: Vec<u8> =
            (0..100).flat_map(|n| client.request_packet("get", &json!({"clientToken": n.to_string()}))).collect();
        let (_, answers, _) = client.burst(&requests);
        answers.into_iter().map(|(topic, body)| (topic, body["clientToken"].clone())).collect::<Vec<_>>()
    };
    let first = fates("7");
    assert!((50..90).contains(&first.len()), "{}", first.len());
    assert_eq!(first, fates("7"));
    assert_ne!(first, fates("8"));
}

#[test]
fn the_server_ends_a_connection_when_its_time_is_over() {
    let endpoint = Endpoint::with(&["--disconnect", "300ms"]);
    for _ in 0..2 {
        let start = Instant::now();
        let mut client = endpoint.connect("t-1");
        assert!(client.burst(&[]).1.is_empty(), "it works until then");
        assert!(client.packet().is_none(), "closed");
        assert!(start.elapsed() >= Duration::from_millis(300));
    }
}

#[test]
fn notifications_are_late_in_their_order_and_answers_are_not() {
    let endpoint = Endpoint::with(&["--notification-delay", "300ms"]);
    let mut client = endpoint.connect("t-1");
    client.subscribe_at(0, &["notify", "notify-next"]);
    let start = Instant::now();
    endpoint.create_job("fw", "t-1");
    let told: BTreeSet<String> = [client.message_qos_0().0, client.message_qos_0().0].into();
    assert_eq!(told, ["notify", "notify-next"].map(str::to_owned).into());
    assert!(start.elapsed() >= Duration::from_millis(300));
    client.burst(&client.request_packet("start-next", &json!({})));
    let start = Instant::now();
    let (_, answers, _) = client.burst(&client.request_packet("fw/update", &json!({"status": "SUCCEEDED"})));
    assert_eq!(answers[0].0, "fw/update/accepted");
    (answers.len() - 1..2).for_each(|_| drop(client.message_qos_0()));
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn shuffled_notifications_come_in_any_order_and_before_the_answer_too() {
    let endpoint = Endpoint::with(&["--notification-delay", "uniform(0s, 60ms)", "--notification-shuffle"]);
    let mut client = endpoint.connect("t-1");
    client.subscribe_at(0, &["notify", "notify-next"]);
    let mut orders = BTreeSet::new();
    for n in 0..16 {
        let job = format!("fw-{n}");
        endpoint.create_job(&job, "t-1");
        let _told = [client.message_qos_0(), client.message_qos_0()];
        client.send(&client.request_packet("start-next", &json!({})));
        assert_eq!(client.message_qos_0().0, "start-next/accepted");
        client.send(&client.request_packet(&format!("{job}/update"), &json!({"status": "SUCCEEDED"})));
        let order = [client.message_qos_0().0, client.message_qos_0().0, client.message_qos_0().0];
        orders.insert(order.map(|topic| topic.replace(&job, "fw")));
    }
    let accepted_at: BTreeSet<usize> =
        orders.iter().map(|order| order.iter().position(|topic| topic == "fw/update/accepted").unwrap()).collect();
    assert!(orders.len() >= 3 && accepted_at.len() >= 2, "{orders:?}");
}

// ------------------------------------------------------------------------------------------------------------- whole runs

#[test]
fn a_fleet_gets_through_everything_at_once_and_both_ledgers_agree() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("quotas.toml"), "[jobs]\nreads_per_second = 30\nwrites_per_second = 30\n").unwrap();
    let scenario = "
        name = 'rough'
        seed = 3
        [target.emulator]
        quotas = 'quotas.toml'
        latency = 'uniform(1ms, 5ms)'
        server = { workers = 2, service = 'exp(2ms)' }
        reject = { share = 0.05, codes = ['InternalError'] }
        drop = { share = 0.05 }
        disconnect = { every = 'uniform(2s, 4s)' }
        notifications = { delay = 'uniform(0s, 200ms)', shuffle = true }
        [fleet]
        things = 30
        connect = { rate = '100/s' }
        reconnect = { policy = 'full-jitter', base = '1s', cap = '2s' }
        retry = { policy = 'full-jitter', base = '100ms', cap = '1s' }
        timeouts = { answer = '1s' }
        [behavior.quick]
        reaction = 'uniform(0s, 200ms)'
        updates = 2
        step = '300ms'
        [[rollout]]
        job = 'fw'
        rate = '900/min'
        [end]
        limit = '60s'
        [thresholds]
        'start_next.rejected' = '> 0'
        'executions.lost' = '== 0'
    ";
    std::fs::write(dir.path().join("rough.toml"), scenario).unwrap();
    let output = fleetsim(dir.path(), &["run", "rough.toml", "--ui", "none", "--out", "out"]);
    assert_eq!(
        verdict::code(output.status, &dir.path().join("out")),
        Some(0),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let errors = std::fs::read_to_string(dir.path().join("out/errors.csv")).unwrap();
    for kind in ["RequestThrottled", "InternalError", "timeout"] {
        assert!(errors.contains(kind), "{kind}\n{errors}");
    }
    assert_eq!(fleetsim(dir.path(), &["report", "out"]).status.code(), Some(0));
}
