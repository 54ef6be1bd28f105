//! The life of jobs end to end, on real sockets, with a minute of one second: time-outs and retries, an exponential roll-out, an abort,
//! a schedule, events, and what a restart keeps.

#[path = "shape/client.rs"]
mod client;

use client::{Client, Endpoint, PATIENCE};
use serde_json::{Value, json};
use std::time::Instant;

const MINUTE: &[&str] = &["--minute", "1s"];

fn group(endpoint: &Endpoint) -> String {
    let (status, _, answer) = endpoint.call("POST", "/thing-groups/all", "{}");
    assert_eq!(status, 200);
    for n in 0..4 {
        let body = json!({"thingGroupName": "all", "thingName": format!("t-{n}")});
        assert_eq!(endpoint.call("PUT", "/thing-groups/addThingToThingGroup", &body.to_string()).0, 200);
    }
    answer["thingGroupArn"].as_str().unwrap().to_owned()
}

#[track_caller]
fn create(endpoint: &Endpoint, job: &str, body: &Value) {
    let (status, error, answer) = endpoint.call("PUT", &format!("/jobs/{job}"), &body.to_string());
    assert_eq!(status, 200, "{error:?} {answer}");
}

fn job(endpoint: &Endpoint, id: &str) -> Value {
    endpoint.call("GET", &format!("/jobs/{id}"), "").2["job"].clone()
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
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// (executionNumber, status) of the executions of one thing.
fn executions(endpoint: &Endpoint, thing: &str) -> Vec<(i64, String)> {
    let (_, _, answer) = endpoint.call("GET", &format!("/things/{thing}/jobs"), "");
    let all = answer["executionSummaries"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let of = |e: &Value| {
        let summary = &e["jobExecutionSummary"];
        (summary["executionNumber"].as_i64().unwrap(), summary["status"].as_str().unwrap().to_owned())
    };
    all.iter().map(of).collect()
}

/// A request at QoS 0 and its answer, past whatever notifications come before.
#[track_caller]
fn ask(client: &mut Client, last: &str, payload: &Value) -> Value {
    client.send(&client.request(last, payload));
    loop {
        let (topic, answer) = client.message();
        match topic.strip_prefix(last) {
            Some("/accepted") => return answer,
            Some("/rejected") => panic!("{answer}"),
            _ => {}
        }
    }
}

#[test]
fn an_execution_times_out_and_is_tried_again() {
    let endpoint = Endpoint::start(MINUTE);
    let mut thing = endpoint.connect("t-0");
    thing.subscribe(&["$aws/things/t-0/jobs/notify-next"]);
    let retry = json!({"criteriaList": [{"failureType": "TIMED_OUT", "numberOfRetries": 1}]});
    let more = json!({"timeoutConfig": {"inProgressTimeoutInMinutes": 1}, "jobExecutionsRetryConfig": retry});
    assert_eq!(endpoint.try_create_job("fw", "t-0", &more).0, 200);
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
    let endpoint = Endpoint::start(&[MINUTE, &["--ledger", ledger.to_str().unwrap()]].concat());
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
    let endpoint = Endpoint::start(MINUTE);
    let targets = [group(&endpoint)];
    let criterion =
        json!({"failureType": "FAILED", "action": "CANCEL", "thresholdPercentage": 50.0, "minNumberOfExecutedThings": 2});
    create(&endpoint, "fw", &json!({"targets": targets, "document": "{}", "abortConfig": {"criteriaList": [criterion]}}));
    let mut waiting = endpoint.connect("t-3");
    waiting.subscribe(&["$aws/things/t-3/jobs/notify-next"]);
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
    let endpoint = Endpoint::start(&["--minute", "100ms"]);
    let at = |seconds: i64| {
        let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
        (time::OffsetDateTime::now_utc() + time::Duration::seconds(seconds)).format(format).unwrap()
    };
    let early = json!({"startTime": at(1)});
    assert_eq!(
        endpoint.try_create_job("early", "t-0", &json!({"schedulingConfig": early})).1.as_deref(),
        Some("InvalidRequestException")
    );
    let scheduling = json!({"startTime": at(4), "endTime": at(8), "endBehavior": "FORCE_CANCEL"});
    assert_eq!(endpoint.try_create_job("fw", "t-0", &json!({"schedulingConfig": scheduling})).0, 200);
    assert_eq!((&job(&endpoint, "fw")["status"], executions(&endpoint, "t-0").len()), (&json!("SCHEDULED"), 0));
    wait_for(&endpoint, "fw", |job| job["status"] == "IN_PROGRESS");
    assert_eq!(executions(&endpoint, "t-0"), [(1, "QUEUED".to_owned())]);
    wait_for(&endpoint, "fw", |job| job["status"] == "COMPLETED");
    assert_eq!(executions(&endpoint, "t-0"), [(1, "CANCELED".to_owned())]);
}

#[test]
fn events_are_told_to_whoever_subscribed_once_they_are_enabled() {
    let endpoint = Endpoint::start(MINUTE);
    let mut watcher = endpoint.connect("t-1");
    assert_eq!(watcher.subscribe(&["$aws/events/job/+/+", "$aws/events/jobExecution/#"]), [0, 0]);
    let enable = json!({"eventConfigurations": {"JOB": {"Enabled": true}, "JOB_EXECUTION": {"Enabled": true}}});
    assert_eq!(endpoint.call("PATCH", "/event-configurations", &enable.to_string()).0, 200);
    endpoint.create_job("fw", "t-0");
    let mut thing = endpoint.connect("t-0");
    ask(&mut thing, "fw/update", &json!({"status": "SUCCEEDED", "statusDetails": {"progress": "100"}}));
    let (topic, event) = watcher.message();
    assert_eq!(topic, "$aws/events/jobExecution/fw/succeeded");
    assert_eq!((&event["status"], &event["statusDetails"]), (&json!("SUCCEEDED"), &json!({"progress": "100"})));
    let (topic, event) = watcher.message();
    assert_eq!((&*topic, &event["operation"]), ("$aws/events/job/fw/completed", &json!("completed")));
    assert_eq!(event["jobProcessDetails"]["numberOfSucceededThings"], 1);
}
