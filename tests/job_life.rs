//! The life of jobs end to end, on real sockets, with a minute of one second: time-outs and retries, an exponential roll-out, an abort,
//! a schedule, events, and what a restart keeps.

mod common;

use common::{Client, Endpoint};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// No wait for the endpoint is longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// One signed call: status, error type, body.
fn call(endpoint: &Endpoint, method: &str, path: &str, body: &Value) -> (u16, Option<String>, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    endpoint.call(method, path, &body, |_| {})
}

fn group(endpoint: &Endpoint) -> String {
    let (status, _, answer) = call(endpoint, "POST", "/thing-groups/all", &json!({}));
    assert_eq!(status, 200);
    for n in 0..4 {
        let body = json!({"thingGroupName": "all", "thingName": format!("t-{n}")});
        assert_eq!(call(endpoint, "PUT", "/thing-groups/addThingToThingGroup", &body).0, 200);
    }
    answer["thingGroupArn"].as_str().unwrap().to_owned()
}

#[track_caller]
fn create(endpoint: &Endpoint, job: &str, body: &Value) {
    let (status, error, answer) = call(endpoint, "PUT", &format!("/jobs/{job}"), body);
    assert_eq!(status, 200, "{error:?} {answer}");
}

fn job(endpoint: &Endpoint, id: &str) -> Value {
    call(endpoint, "GET", &format!("/jobs/{id}"), &Value::Null).2["job"].clone()
}

/// The job, once `is_so`.
#[track_caller]
fn wait_for(endpoint: &Endpoint, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let job = job(endpoint, id);
        if is_so(&job) {
            return job;
        }
        assert!(start.elapsed() < PATIENCE, "{job}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// (executionNumber, status) of the executions of one thing.
fn executions(endpoint: &Endpoint, thing: &str) -> Vec<(i64, String)> {
    let (_, _, answer) = call(endpoint, "GET", &format!("/things/{thing}/jobs"), &Value::Null);
    let all = answer["executionSummaries"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let of = |e: &Value| {
        let summary = &e["jobExecutionSummary"];
        (summary["executionNumber"].as_i64().unwrap(), summary["status"].as_str().unwrap().to_owned())
    };
    all.iter().map(of).collect()
}

/// The answer to a request, which must be accepted.
#[track_caller]
fn ask(client: &mut Client, last: &str, payload: &Value) -> Value {
    let (topic, answer) = client.request(last, payload);
    assert_eq!(topic, format!("{last}/accepted"), "{answer}");
    answer
}

/// A job for one thing, with `more` members.
fn body(thing: &str, more: Value) -> Value {
    let mut body = json!({"targets": [format!("arn:aws:iot:us-east-1:111122223333:thing/{thing}")], "document": "{}"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[test]
fn an_execution_times_out_and_is_tried_again() {
    let endpoint = Endpoint::start(&[]);
    let mut thing = endpoint.connect("t-0");
    thing.subscribe(&["notify-next"]);
    let retry = json!({"criteriaList": [{"failureType": "TIMED_OUT", "numberOfRetries": 1}]});
    let more = json!({"timeoutConfig": {"inProgressTimeoutInMinutes": 1}, "jobExecutionsRetryConfig": retry});
    create(&endpoint, "fw", &body("t-0", more));
    assert_eq!(thing.message().1["execution"]["executionNumber"], 1);
    let started = Instant::now();
    let answer = ask(&mut thing, "start-next", &json!({}));
    assert_eq!(answer["execution"]["approximateSecondsBeforeTimedOut"], 1);
    assert_eq!(thing.message().1.as_object().unwrap().len(), 1, "the queue is empty when it times out");
    let waited = started.elapsed().as_secs_f64();
    assert!((0.9..10.0).contains(&waited), "{waited}");
    let (_, again) = thing.message();
    assert_eq!((&again["execution"]["executionNumber"], &again["execution"]["status"]), (&json!(2), &json!("QUEUED")));
    ask(&mut thing, "start-next", &json!({}));
    ask(&mut thing, "fw/update", &json!({"status": "SUCCEEDED"}));
    assert_eq!(executions(&endpoint, "t-0"), [(1, "TIMED_OUT".to_owned()), (2, "SUCCEEDED".to_owned())]);
    let job = job(&endpoint, "fw");
    assert_eq!((&job["status"], &job["jobProcessDetails"]["numberOfSucceededThings"]), (&json!("COMPLETED"), &json!(1)));
}

#[test]
fn an_exponential_roll_out_gets_faster() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = dir.path().join("ledger.csv");
    let endpoint = Endpoint::start(&["--ledger", ledger.to_str().unwrap()]);
    let targets = [group(&endpoint)];
    let rate = json!({"baseRatePerMinute": 1, "incrementFactor": 2.0, "rateIncreaseCriteria": {"numberOfNotifiedThings": 1}});
    create(
        &endpoint,
        "fw",
        &json!({"targets": targets, "document": "{}", "jobExecutionsRolloutConfig": {"exponentialRate": rate}}),
    );
    let first = job(&endpoint, "fw");
    assert_eq!(first["jobProcessDetails"]["processingTargets"], json!(targets), "still being rolled out");
    wait_for(&endpoint, "fw", |job| job["jobProcessDetails"]["numberOfQueuedThings"] == 4);
    drop(endpoint);
    let rows = std::fs::read_to_string(ledger).unwrap();
    let at: Vec<f64> = rows
        .lines()
        .filter(|line| line.contains(",queued,"))
        .map(|line| line.split(',').next().unwrap().parse::<f64>().unwrap() / 1e9)
        .collect();
    let gaps: Vec<f64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // One in the first minute, then two, then four; each is due from the start of its minute.
    for (gap, least) in gaps.iter().zip([0.99, 0.49, 0.49]) {
        assert!((least..least + 0.4).contains(gap), "{gaps:?}");
    }
}

#[test]
fn a_job_aborts_when_too_many_things_fail() {
    let endpoint = Endpoint::start(&[]);
    let targets = [group(&endpoint)];
    let criterion =
        json!({"failureType": "FAILED", "action": "CANCEL", "thresholdPercentage": 50.0, "minNumberOfExecutedThings": 2});
    create(&endpoint, "fw", &json!({"targets": targets, "document": "{}", "abortConfig": {"criteriaList": [criterion]}}));
    let mut waiting = endpoint.connect("t-3");
    waiting.subscribe(&["notify-next"]);
    for name in ["t-0", "t-1"] {
        assert_eq!(job(&endpoint, "fw")["status"], "IN_PROGRESS");
        let mut thing = endpoint.connect(name);
        ask(&mut thing, "start-next", &json!({}));
        ask(&mut thing, "fw/update", &json!({"status": "FAILED", "statusDetails": {"why": "disk"}}));
    }
    assert_eq!(waiting.message().1.as_object().unwrap().len(), 1, "it hears that its queue is empty");
    let job = job(&endpoint, "fw");
    assert_eq!((&job["status"], &job["jobProcessDetails"]["numberOfCanceledThings"]), (&json!("CANCELED"), &json!(2)));
    assert!(job["reasonCode"].is_string() && job["comment"].is_string(), "{job}");
}

#[test]
fn a_schedule_starts_and_ends_a_job() {
    let endpoint = Endpoint::with(&["--minute", "100ms"]);
    let at = |seconds: i64| {
        let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
        (time::OffsetDateTime::now_utc() + time::Duration::seconds(seconds)).format(format).unwrap()
    };
    let early = json!({"startTime": at(1)});
    let refused = call(&endpoint, "PUT", "/jobs/early", &body("t-0", json!({"schedulingConfig": early})));
    assert_eq!(refused.1.as_deref(), Some("InvalidRequestException"), "{}", refused.2);
    // A start is in whole seconds, and at least 30 minutes, which are three seconds here, after the endpoint reads it.
    let scheduling = json!({"startTime": at(6), "endTime": at(10), "endBehavior": "FORCE_CANCEL"});
    create(&endpoint, "fw", &body("t-0", json!({"schedulingConfig": scheduling})));
    assert_eq!((&job(&endpoint, "fw")["status"], executions(&endpoint, "t-0").len()), (&json!("SCHEDULED"), 0));
    wait_for(&endpoint, "fw", |job| job["status"] == "IN_PROGRESS");
    assert_eq!(executions(&endpoint, "t-0"), [(1, "QUEUED".to_owned())]);
    wait_for(&endpoint, "fw", |job| job["status"] == "COMPLETED");
    assert_eq!(executions(&endpoint, "t-0"), [(1, "CANCELED".to_owned())]);
}
