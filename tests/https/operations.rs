//! What the four operations answer.

use super::Listener;
use crate::common::Endpoint;
use serde_json::{Value, json};

fn details(pairs: usize, value: &str) -> String {
    let details: serde_json::Map<String, Value> = (0..pairs).map(|n| (format!("k{n}"), json!(value))).collect();
    json!({"status": "IN_PROGRESS", "statusDetails": details}).to_string()
}

#[test]
fn a_job_from_creation_to_success_by_either_listener() {
    let endpoint = Endpoint::start(&[]);
    for (thing, job, mut listener) in
        [("t-1", "fw-1", Listener::by_certificate(&endpoint, "t-1")), ("t-2", "fw-2", Listener::by_signature(&endpoint))]
    {
        let jobs = format!("/things/{thing}/jobs");
        let (next, encoded, own) = (format!("{jobs}/$next"), format!("{jobs}/%24next"), format!("{jobs}/{job}"));
        assert_eq!(listener.ask("GET", &jobs, "").ok(), json!({"inProgressJobs": [], "queuedJobs": []}));
        for path in [&next, &encoded] {
            assert_eq!(listener.ask("GET", path, "").ok(), json!({}), "nothing is pending");
            assert_eq!(listener.ask("PUT", path, "{}").ok(), json!({}));
        }
        endpoint.create_job(job, thing);
        let mut subscriber = endpoint.connect(thing);
        subscriber.subscribe(&["notify", "notify-next"]);
        let pending = listener.ask("GET", &jobs, "").ok();
        let queued = &pending["queuedJobs"][0];
        assert_eq!((&queued["jobId"], &queued["versionNumber"]), (&json!(job), &json!(1)));
        for path in [&next, &encoded, &own] {
            let execution = &listener.ask("GET", path, "").ok()["execution"];
            let expected = json!({
                "jobId": job, "thingName": thing, "status": "QUEUED", "queuedAt": queued["queuedAt"], "lastUpdatedAt": queued["queuedAt"],
                "versionNumber": 1, "executionNumber": 1, "jobDocument": r#"{"operation":"x"}"#,
            });
            assert_eq!(execution, &expected, "the document is text");
        }
        let bare = listener.ask("GET", &format!("{own}?includeJobDocument=false&executionNumber=1"), "").ok();
        assert!(bare["execution"]["jobId"] == job && bare["execution"].get("jobDocument").is_none(), "{bare}");
        let started =
            listener.ask("PUT", &next, r#"{"statusDetails":{"step":"1"},"stepTimeoutInMinutes":5,"clientToken":"c"}"#).ok();
        let execution = &started["execution"];
        assert_eq!((&execution["status"], &execution["versionNumber"]), (&json!("IN_PROGRESS"), &json!(2)));
        assert_eq!((&execution["statusDetails"], started.as_object().unwrap().len()), (&json!({"step": "1"}), 1));
        assert!(execution["jobDocument"].is_string() && execution["startedAt"].is_i64());
        assert_eq!(listener.ask("POST", &own, r#"{"status":"IN_PROGRESS"}"#).ok(), json!({}), "no flags, nothing told");
        let told = listener.ask(
            "POST",
            &own,
            r#"{"status":"IN_PROGRESS","expectedVersion":"3","includeJobExecutionState":true,"includeJobDocument":true,
                "clientToken":"c","statusDetails":{"progress":"40"}}"#,
        );
        let state = json!({"status": "IN_PROGRESS", "statusDetails": {"progress": "40"}, "versionNumber": 4});
        assert_eq!(told.ok(), json!({"executionState": state, "jobDocument": r#"{"operation":"x"}"#}));
        let message = listener
            .ask("POST", &own, r#"{"status":"IN_PROGRESS","expectedVersion":3}"#)
            .refused(409, "InvalidStateTransitionException");
        assert_eq!(message, "Expected version 3 but found version 4");
        subscriber.expect_quiet();
        assert_eq!(listener.ask("POST", &own, r#"{"status":"SUCCEEDED"}"#).ok(), json!({}));
        let (topic, notified) = subscriber.message();
        assert_eq!((&*topic, &notified["jobs"], &*subscriber.message().0), ("notify", &json!({}), "notify-next"));
        listener.ask("POST", &own, r#"{"status":"IN_PROGRESS"}"#).refused(409, "InvalidStateTransitionException");
        listener.ask("GET", &own, "").refused(410, "TerminalStateException");
        listener.ask("GET", &format!("{jobs}/nothing"), "").refused(404, "ResourceNotFoundException");
        listener.ask("POST", &format!("{jobs}/nothing"), r#"{"status":"FAILED"}"#).refused(404, "ResourceNotFoundException");
    }
}

#[test]
fn what_breaks_a_rule_is_refused_with_status_and_name() {
    let endpoint = Endpoint::start(&[]);
    endpoint.create_job("fw", "t-1");
    for mut listener in Listener::both(&endpoint, "t-1") {
        let own = "/things/t-1/jobs/fw";
        for (what, body) in [
            ("no status", "{}".to_owned()),
            ("a status a thing may not set", r#"{"status":"CANCELED"}"#.to_owned()),
            ("an array", "[1,2]".to_owned()),
            ("broken JSON", r#"{"status""#.to_owned()),
            ("11 details", details(11, "v")),
            ("a detail with a newline", details(1, "a\n")),
            ("a detail that is too long", details(1, &"x".repeat(1_025))),
            ("a step timeout of nothing", r#"{"status":"IN_PROGRESS","stepTimeoutInMinutes":0}"#.to_owned()),
            ("a step timeout of more than a week", r#"{"status":"IN_PROGRESS","stepTimeoutInMinutes":10081}"#.to_owned()),
            ("a version that is none", r#"{"status":"IN_PROGRESS","expectedVersion":true}"#.to_owned()),
        ] {
            let answer = listener.ask("POST", own, &body);
            assert_eq!((answer.status, answer.error.as_deref()), (400, Some("InvalidRequestException")), "{what}: {}", answer.body);
        }
        let message = listener.ask("POST", own, "{}").refused(400, "InvalidRequestException");
        assert_eq!(message, "Value null at 'status' failed to satisfy constraint: Member must not be null");
        for path in ["?includeJobDocument=yes", "?executionNumber=one", "?executionNumber="] {
            listener.ask("GET", &format!("{own}{path}"), "").refused(400, "InvalidRequestException");
        }
        listener.ask("GET", &format!("{own}?executionNumber=77"), "").refused(404, "ResourceNotFoundException");
        listener.ask("POST", "/things/t-1/jobs/$next", r#"{"status":"FAILED"}"#).refused(400, "InvalidRequestException");
        listener.ask("GET", "/things/t-1/jobs/a%20b", "").refused(400, "InvalidRequestException");
        listener.ask("GET", "/things/a%20b/jobs", "").refused(400, "InvalidRequestException");
        for (method, path) in [
            ("PUT", own),
            ("DELETE", own),
            ("GET", "/things/t-1"),
            ("GET", "/things/t-1/jobs/fw/x"),
            ("GET", "/"),
            ("POST", "/command-executions"),
            ("PUT", "/jobs/fw"),
        ] {
            listener.ask(method, path, "").refused(404, "UnknownOperationException");
        }
        assert_eq!(listener.ask("GET", own, "").ok()["execution"]["versionNumber"], 1, "and nothing has changed");
    }
}

/// serde would read an array as a request without members.
#[test]
fn an_array_starts_no_execution() {
    let endpoint = Endpoint::start(&[]);
    endpoint.create_job("fw", "t-1");
    for mut listener in Listener::both(&endpoint, "t-1") {
        for body in ["[]", " [null]", "null", "1"] {
            listener.ask("PUT", "/things/t-1/jobs/$next", body).refused(400, "InvalidRequestException");
        }
        let execution = listener.ask("GET", "/things/t-1/jobs/fw", "").ok()["execution"].clone();
        assert_eq!((&execution["status"], &execution["versionNumber"]), (&json!("QUEUED"), &json!(1)), "nothing was started");
    }
}

#[test]
fn the_signing_name_tells_the_planes_apart() {
    let endpoint = Endpoint::start(&[]);
    endpoint.create_job("fw", "t-1");
    let (status, _, listed) = endpoint.call("GET", "/things/t-1/jobs", "", |_| {});
    assert_eq!((status, &listed["executionSummaries"][0]["jobId"]), (200, &json!("fw")));
    let pending = Listener::by_signature(&endpoint).ask("GET", "/things/t-1/jobs", "").ok();
    assert_eq!(pending["queuedJobs"][0]["jobId"], "fw");
}

#[test]
fn a_thing_without_executions_has_empty_lists_even_if_nobody_knows_it() {
    let endpoint = Endpoint::start(&[]);
    let mut listener = Listener::by_signature(&endpoint);
    assert_eq!(listener.ask("GET", "/things/nobody/jobs", "").ok(), json!({"inProgressJobs": [], "queuedJobs": []}));
    assert_eq!(listener.ask("PUT", "/things/nobody/jobs/$next", "").ok(), json!({}));
}
