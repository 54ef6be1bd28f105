//! Scenario text to plan: what is wrong is told all at once, what is right reads back as it was meant.

use fleetsim::roster::Roster;
use fleetsim::scenario::plan::{ArtifactPlan, EndWhen, Plan, Tamper, TargetPlan, Transport};
use fleetsim::scenario::{Code, Override, Problems, SHIPPED, load};
use iot_endpoint::quotas::QuotasChoice;
use iot_jobs::JobId;
use jobs_engine::faults::ServerConfig;
use proptest::prelude::*;
use sim_units::distribution::Distribution;
use std::time::Duration;
use thing_agent::telemetry::PayloadBytes;
use thing_agent::workflow::{Poll, Workflow};
use thing_faults::{FaultProbability, Per, Setting, TABLE};

const GOOD: &str = r#"
name = "demo"
seed = 1

[fleet]
things = 10

[[cohort]]
name = "a"
share = 0.9
behavior = "fast"

[[cohort]]
name = "b"
share = 0.1
behavior = "slow"

[behavior.fast]
step = "1s"

[behavior.slow]
step = "exp(10s)"

[[rollout]]
job = "fw-1"
rate = "600/min"
document = { operation = "x" }
"#;

fn set(key: &str, value: &str) -> Override {
    Override { key: key.into(), value: value.into(), origin: format!("--set {key}={value}") }
}

fn plan(overrides: &[Override]) -> Result<Plan, Problems> {
    load("demo.toml", GOOD, overrides)
}

fn codes(result: Result<Plan, Problems>) -> Vec<&'static str> {
    result.map_or_else(|problems| problems.iter().map(|problem| problem.code.as_str()).collect(), |_| vec![])
}

// ---------------------------------------------------------------------------------------------------------- what is right

#[test]
fn shipped_scenarios_are_those_of_the_folder_and_resolve() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    let mut names: Vec<String> = SHIPPED.iter().map(|shipped| format!("{}.toml", shipped.name)).collect();
    files.sort();
    names.sort();
    assert_eq!(files, names);
    for shipped in SHIPPED {
        let plan = load(shipped.name, shipped.text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(plan.name, shipped.name);
        assert_eq!(shipped.text.lines().next(), Some(&*format!("# {}", shipped.summary)));
        let again = load("printed", &plan.to_toml(), &[]).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(plan, again);
    }
}

#[test]
fn the_ten_thousand_resolved() {
    let shipped = SHIPPED.iter().find(|shipped| shipped.name == "10k").unwrap();
    insta::assert_snapshot!(load("10k", shipped.text, &[]).unwrap().to_toml());
}

#[test]
fn a_resolved_mqtt_target_reads_back() {
    let text = r#"
        name = "m"
        target = { kind = "mqtt", host = "::1", port = 1, alpn = "x-amzn-mqtt-ca", tls = { ca = "c", cert = "{thing}.pem", key = "k{index}" } }
        [fleet]
        things = 3
        thing_name = "m{index}"
        connect = { rate = "0.5/s", arrival = "poisson" }
        reconnect = { policy = "fixed", base = "250ms" }
        [end]
        expect = 3
    "#;
    let plan = load("m", text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(matches!(&plan.target, TargetPlan::Mqtt(mqtt) if mqtt.hosts == ["::1"] && mqtt.server_name.is_none()));
    assert_eq!(load("printed", &plan.to_toml(), &[]).unwrap(), plan);
    assert_eq!(plan.to_json()["target"]["tls"]["cert"], "{thing}.pem");
}

#[test]
fn events_and_arrivals_read_back() {
    let text = r#"
        name = "e"
        [fleet]
        things = 10
        connect = { arrival = "burst", in_progress = 8 }
        [[cohort]]
        name = "near"
        share = 0.5
        reconnect = { policy = "fixed", base = "2s" }
        [[cohort]]
        name = "far"
        share = 0.5
        reconnect = { policy = "exponential", base = "1s", cap = "8s" }
        [[event]]
        at = "1s"
        kind = "disconnect"
        share = 0.2
        [[event]]
        at = "2s"
        kind = "disconnect"
        cohort = "far"
        for = "3s"
        [[event]]
        at = "3s"
        kind = "outage"
        for = "1m"
        [[event]]
        at = "4s"
        kind = "reconnect-storm"
        share = 0.5
        cohort = "near"
        [[event]]
        at = "5s"
        kind = "endpoint-restart"
        for = "2s"
        [[event]]
        at = "7s"
        kind = "endpoint-freeze"
        for = "2s"
        [end]
        duration = "10s"
    "#;
    let plan = load("e", text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    let ramp = load("e", text, &[set("fleet.connect", "{ arrival = 'ramp', rate = '7/s' }")]).unwrap();
    for plan in [&plan, &ramp] {
        assert_eq!(load("printed", &plan.to_toml(), &[]).unwrap(), *plan);
    }
    let json = plan.to_json();
    assert_eq!(json["fleet"]["connect"], serde_json::json!({ "arrival": "burst", "in_progress": 8 }), "a burst has no rate");
    let kinds: Vec<&str> = plan.events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["disconnect", "disconnect", "outage", "reconnect-storm", "endpoint-restart", "endpoint-freeze"]);
    assert_eq!(json["event"][3], serde_json::json!({ "at": "4s", "kind": "reconnect-storm", "share": 0.5, "cohort": "near" }));
}

#[test]
fn an_event_of_the_endpoint_needs_the_local_one() {
    let text = "name = 'm'\nfleet.things = 1\nend.idle = '5s'\n[target]\nkind = 'mqtt'\nhost = 'h'\n[target.tls]\nca = 'a'\ncert = 'c'\nkey = 'k'\n";
    let with = |event: &str| codes(load("m", &format!("{text}[[event]]\nat = '1s'\n{event}"), &[]));
    assert_eq!(with("kind = 'endpoint-restart'\nfor = '1s'"), ["conflict"]);
    assert_eq!(with("kind = 'endpoint-freeze'\nfor = '1s'"), ["conflict"]);
    assert!(with("kind = 'outage'\nfor = '1s'").is_empty());
    assert!(with("kind = 'reconnect-storm'").is_empty());
}

#[test]
fn a_resolved_aws_target_reads_back() {
    let text = r#"
        name = "m"
        [target]
        kind = "aws"
        region = "eu-central-1"
        profile = "fleet"
        port = 443
        source_ips = ["127.0.0.1-127.0.0.8", "127.0.0.77"]
        tls = { bundle = "fleet.pem", resumption = true }
        [fleet]
        things = 3
        [[rollout]]
        job = "fw-1"
    "#;
    let plan = load("m", text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(load("printed", &plan.to_toml(), &[]).unwrap(), plan);
    let TargetPlan::Aws(aws) = &plan.target else { panic!("{:?}", plan.target) };
    assert_eq!((aws.remote.alpn.as_deref(), aws.remote.hosts.len()), (Some("x-amzn-mqtt-ca"), 0), "443 wants to be told");
    let sources: Vec<String> =
        aws.remote.link.source_ips.iter().flat_map(|range| range.addresses()).map(|address| address.to_string()).collect();
    assert_eq!((sources.len(), &*sources[7], &*sources[8]), (9, "127.0.0.8", "127.0.0.77"));
    let local = load("demo.toml", GOOD, &[set("target.tls.resumption", "true"), set("target.source_ips", "['::1']")]).unwrap();
    assert!(local.target.link().resumption);
    assert_eq!(load("printed", &local.to_toml(), &[]).unwrap(), local);
}

#[test]
fn cohorts_get_their_exact_shares() {
    let plan = plan(&[set("fleet.things", "1000")]).unwrap();
    let targets = |plan: &Plan| Roster::new(plan).unwrap().targets_of(0).len();
    let in_b = Roster::new(&plan).unwrap().cohorts().iter().filter(|cohort| **cohort == 1).count();
    assert_eq!(in_b, 100);
    let half = load("demo.toml", GOOD, &[set("rollout.fw-1.targets", "{ share = 0.5 }"), set("fleet.things", "1000")]).unwrap();
    assert_eq!(targets(&half), 500);
    let cohort = load("demo.toml", GOOD, &[set("rollout.fw-1.targets.cohort", "'b'"), set("fleet.things", "1000")]).unwrap();
    assert_eq!(targets(&cohort), 100);
}

#[test]
fn how_a_run_ends_may_be_left_out_where_it_is_clear() {
    assert!(matches!(plan(&[]).unwrap().end.when, EndWhen::ExecutionsDone { expect: None }));
    let when = |overrides: &[Override]| load("x", "name = 'x'\nfleet.things = 1", overrides).map(|plan| plan.end.when);
    assert_eq!(when(&[set("end.duration", "'5s'")]).unwrap(), EndWhen::Duration(Duration::from_secs(5)));
    assert_eq!(when(&[set("end.idle", "'5s'")]).unwrap(), EndWhen::Idle(Duration::from_secs(5)));
    assert_eq!(codes(load("x", "name = 'x'\nfleet.things = 1", &[])), ["conflict"]);
}

// ---------------------------------------------------------------------------------------------------------- what is wrong

#[test]
fn every_problem_is_told_at_once_with_its_place() {
    let text = r#"
name = "a/b"
sede = 1

[target]
kind = "emulater"

[fleet]
things = 0
keep_alive = "5 minutes"
transport = "mqtt-wss"

[[cohort]]
name = "a"
share = 0.5
behavior = "fsat"

[behavior.fast]
outcome = { failed = 0.7, rejected = 0.7 }
step = 4

[[rollout]]
job = "fw 1"
rate = "0/min"
abortConfig = { }

[thresholds]
"start_next.p99" = "< 250"
"executions.lost" = { check = "0", cohort = "a" }
"#;
    let problems = load("bad.toml", text, &[]).unwrap_err();
    insta::assert_snapshot!(problems.render(false));
}

#[test]
fn each_mistake_has_its_code() {
    for (key, value, code) in [
        ("fleet.thing", "1", Code::UnknownKey),
        ("fleet.things", "\"ten\"", Code::WrongType),
        ("fleet.things", "1.5", Code::WrongType),
        ("fleet.things", "1_000_001", Code::OutOfRange),
        ("fleet.things", "99999999999999999999", Code::WrongType),
        ("fleet.thing_name", "\"same\"", Code::BadValue),
        ("fleet.thing_name", "\"a/{index}\"", Code::BadValue),
        ("fleet.keep_alive", "\"10s\"", Code::OutOfRange),
        ("fleet.connect.rate", "\"fast\"", Code::BadValue),
        ("fleet.connect", "{ arrival = 'burst', rate = '5/s' }", Code::Conflict),
        ("fleet.connect.arrival", "'brust'", Code::BadValue),
        ("fleet.things_from", "\"nowhere.csv\"", Code::BadValue),
        ("fleet.things_from", "7", Code::WrongType),
        ("fleet.transport", "\"https\"", Code::BadValue),
        ("cohort.a.transport", "\"mqtt6\"", Code::BadValue),
        ("cohort.a.clean_session", "\"no\"", Code::WrongType),
        ("telemetry", "{ topic = 'dt/{thing}' }", Code::MissingKey),
        ("telemetry", "{ every = '10s' }", Code::MissingKey),
        ("telemetry", "{ topic = 'dt/{name}', every = '10s' }", Code::BadValue),
        ("telemetry", "{ topic = '$aws/things/{thing}/x', every = '10s' }", Code::BadValue),
        ("telemetry", "{ topic = 'dt/#', every = '10s' }", Code::BadValue),
        ("telemetry", "{ topic = 'dt/{thing}', every = '1ms' }", Code::OutOfRange),
        ("telemetry", "{ topic = 'dt/{thing}', every = '10s', qos = 2 }", Code::OutOfRange),
        ("telemetry", "{ topic = 'dt/{thing}', every = '10s', bytes = 131_073 }", Code::OutOfRange),
        ("telemetry", "{ topic = 'dt/{thing}', every = '10s', bytes = 'exp(3)' }", Code::BadValue),
        ("telemetry", "{ topic = 'dt/{thing}', every = '10s', byte = 1 }", Code::UnknownKey),
        ("fleet.reconnect", "{ base = '2s', cap = '1s' }", Code::Conflict),
        ("cohort.a.share", "0.8", Code::OutOfRange),
        ("cohort.a.name", "\"b\"", Code::Duplicate),
        ("cohort.a.behavior", "\"slwo\"", Code::UnknownName),
        ("cohort.a.poll", "{ every = '60s' }", Code::Conflict),
        ("behavior.fast.outcome", "{ succeeded = 0.5 }", Code::OutOfRange),
        ("behavior.fast.faults", "{ crash_in_progres = { share = 0.1 } }", Code::UnknownKey),
        ("behavior.fast.faults.crash_in_progress", "0.1", Code::WrongType),
        ("behavior.fast.faults.crash_in_progress", "{}", Code::MissingKey),
        ("behavior.fast.faults.crash_in_progress", "{ share = 2 }", Code::OutOfRange),
        ("behavior.fast.faults.crash_in_progress", "{ share = 0.1, rate = '1/s' }", Code::Conflict),
        ("behavior.fast.faults.crash_in_progress", "{ share = 0.1, per = 'session' }", Code::BadValue),
        ("behavior.fast.faults.crash_in_progress", "{ share = 0.1, away = 'soon' }", Code::BadValue),
        ("behavior.fast.faults.crash_in_progress", "{ share = 0.1, up = '1s' }", Code::UnknownKey),
        ("behavior.fast.faults.publish_flood", "{ share = 0.1, publishes = 0 }", Code::OutOfRange),
        ("behavior.fast.faults.flapping", "{ rate = '1/s' }", Code::Conflict),
        ("behavior.fast.faults.stale_version", "{ rate = '1/s', per = 'thing' }", Code::Conflict),
        ("behavior.fast.faults.stall", "{ share = 0.1 }", Code::Conflict),
        ("behavior.fast.step", "\"gamma(1s)\"", Code::BadValue),
        ("rollout.fw-1.targets", "{ share = 0.5, cohort = 'a' }", Code::Conflict),
        ("rollout.fw-1.targets.cohort", "'c'", Code::UnknownName),
        ("rollout.fw-1.jobExecutionsRolloutConfig.maximumPerMinute", "5", Code::Conflict),
        ("rollout.fw-1.rate", "'0.001/min'", Code::OutOfRange),
        ("rollout.fw-1.jobExecutionsRolloutConfig.maximumPerMinute", "0", Code::BadValue),
        ("rollout.fw-1.count", "20", Code::Conflict),
        ("rollout.fw-1.every", "'20s'", Code::Conflict),
        ("rollout.fw-1.count", "0", Code::OutOfRange),
        ("rollout.fw-1.job", "'fw-{n:03}'", Code::MissingKey),
        ("rollout.fw-1.job", "'fw-{m}'", Code::BadValue),
        ("rollout.fw-1.job", "'fw.1'", Code::BadValue),
        ("rollout.fw-1.delay", "'10m'", Code::Conflict),
        ("rollout.fw-1.targetSelection", "'SOME'", Code::BadValue),
        ("rollout.fw-1.abortConfig", "{}", Code::BadValue),
        ("rollout.fw-1.abortConfig", "5", Code::BadValue),
        ("rollout.fw-1.timeoutConfig", "{ inProgressTimeoutInMinutes = 10_081 }", Code::BadValue),
        ("rollout.fw-1.timeoutConfig", "{ inProgressTimeoutInMinutes = inf }", Code::WrongType),
        ("rollout.fw-1.schedulingConfig", "{ startTime = 'soon' }", Code::BadValue),
        ("rollout.fw-1.schedulingConfig", "{ maintenanceWindows = [{ startTime = 'daily' }] }", Code::BadValue),
        ("rollout.fw-1.maintenance_windows", "[{ start = 'daily', minutes = 5 }]", Code::BadValue),
        ("rollout.fw-1.maintenance_windows", "[{ start = 'cron(0 1 * * ? *)', minutes = 1_431 }]", Code::OutOfRange),
        ("rollout.fw-1.maintenance_windows", "[{ minutes = 5 }]", Code::MissingKey),
        ("rollout.fw-1.maintenance_windows", "[{ start = 'cron(0 1 * * ? *)', minutes = 5 }]", Code::Conflict),
        ("rollout.fw-1.namespace", "'a b'", Code::BadValue),
        ("rollout.fw-1.namespace", "'gg'", Code::Conflict),
        ("cohort.a.namespace", "'gg'", Code::Conflict),
        ("rollout.fw-1.template", "'AWS-Reboot'", Code::Conflict),
        ("rollout.fw-1.parameters", "{ command = 'ls' }", Code::Conflict),
        ("rollout", "[{ job = 'fw-1', template = 'AWS-Fly' }]", Code::BadValue),
        ("rollout", "[{ job = 'fw-1', template = 'AWS-Reboot', parameters = { color = 'red' } }]", Code::BadValue),
        ("rollout", "[{ job = 'fw-1', template = 'AWS-Reboot', parameters = { runAsUser = 5 } }]", Code::WrongType),
        ("rollout", "[{ job = 'fw-1', template = 'mine' }]", Code::Conflict),
        ("rollout.fw-1.presignedUrlConfig", "{ expiresInSec = 59 }", Code::BadValue),
        ("rollout.fw-1.documentSource", "'https://s3.us-east-1.amazonaws.com/b/k'", Code::Conflict),
        ("rollout.fw-1.jobTemplateArn", "'arn'", Code::Conflict),
        ("rollout.fw-1.document", "{ size = nan }", Code::WrongType),
        ("cohort.a.connect", "{ rat = '5/s' }", Code::UnknownKey),
        ("cohort.a.connect", "{ in_progress = 0 }", Code::OutOfRange),
        ("rollout.fw-2.rate", "'1/s'", Code::Override),
        ("rollout.fw-1", "1", Code::Override),
        ("fleet.things", "ten", Code::Override),
        ("fleet..things", "1", Code::Override),
        ("seed.x", "1", Code::Override),
        ("target.host", "'h'", Code::Conflict),
        ("target.kind", "'aws'", Code::MissingKey),
        ("target.region", "'eu-central-1'", Code::Conflict),
        ("target.tls.ca", "'c'", Code::Conflict),
        ("target", "{ kind = 'aws', region = 'Frankfurt', tls = { bundle = 'b' } }", Code::BadValue),
        ("target", "{ kind = 'mqtt', host = 'a', hosts = ['b'], tls = { bundle = 'b' } }", Code::Conflict),
        ("target", "{ kind = 'mqtt', hosts = [], tls = { bundle = 'b' } }", Code::OutOfRange),
        ("target", "{ kind = 'mqtt', host = 'a', port = 1, ports = { mqtt = 2 }, tls = { bundle = 'b' } }", Code::Conflict),
        ("target", "{ kind = 'mqtt', host = 'a', ports = { api = 0 }, tls = { bundle = 'b' } }", Code::OutOfRange),
        ("target", "{ kind = 'mqtt', host = 'a', tls = { cert = 'c' } }", Code::MissingKey),
        ("target", "{ kind = 'mqtt', host = 'a', tls = { cert = 'c', key = 'k', bundle = 'b' } }", Code::Conflict),
        ("target", "{ kind = 'mqtt', host = 'a', tls = { bundle = '{thing}' } }", Code::BadValue),
        ("target.source_ips", "['127.0.0.9-127.0.0.1']", Code::BadValue),
        ("target.source_ips", "['127.0.0.1', '::1']", Code::Conflict),
        ("target.source_ips", "['10.0.0.0-10.1.0.0']", Code::OutOfRange),
        ("target.source_ips", "'127.0.0.1'", Code::WrongType),
        ("target.emulator.latency", "'soon'", Code::BadValue),
        ("target.emulator.server", "{}", Code::MissingKey),
        ("target.emulator.server", "{ workers = 0, service = '1ms' }", Code::OutOfRange),
        ("target.emulator.server", "{ worker = 1, service = '1ms' }", Code::UnknownKey),
        ("target.emulator.server", "{ service = 'gamma(1s)' }", Code::BadValue),
        ("target.emulator.drop", "{}", Code::MissingKey),
        ("target.emulator.drop", "{ share = 2 }", Code::OutOfRange),
        ("target.emulator.drop", "0.1", Code::WrongType),
        ("target.emulator.disconnect", "{}", Code::MissingKey),
        ("target.emulator.disconnect", "{ every = '0s' }", Code::OutOfRange),
        ("target.emulator.notifications", "{ shuffle = true }", Code::MissingKey),
        ("target.emulator.notifications", "{ delay = '1s', shuffle = true }", Code::Conflict),
        ("target.emulator.notifications", "{ delay = '1s', shuffle = 'yes' }", Code::WrongType),
        ("target.emulator.latenzy", "'1s'", Code::UnknownKey),
        ("target.emulator.minute", "'10ms'", Code::OutOfRange),
        ("target.emulator.session_expiry", "'8d'", Code::OutOfRange),
        ("target.emulator.mqtt_port", "8883", Code::UnknownKey),
        ("target.emulator.reject", "{ codes = ['InternalError'] }", Code::MissingKey),
        ("target.emulator.reject", "{ share = 1.5 }", Code::OutOfRange),
        ("target.emulator.reject", "{ share = 0.1, codes = ['Throttled'] }", Code::UnknownName),
        ("target.emulator.reject", "{ share = 0.1, codes = [] }", Code::BadValue),
        ("event", "[{ at = '1s', kind = 'outage' }]", Code::MissingKey),
        ("event", "[{ at = '1s', kind = 'outrage', for = '1s' }]", Code::BadValue),
        ("event", "[{ kind = 'disconnect' }]", Code::MissingKey),
        ("event", "[{ at = '1s', kind = 'disconnect', share = 0 }]", Code::OutOfRange),
        ("event", "[{ at = '1s', kind = 'disconnect', cohort = 'c' }]", Code::UnknownName),
        ("event", "[{ at = '1s', kind = 'disconnect', for = '0s' }]", Code::OutOfRange),
        ("event", "[{ at = '1s', kind = 'disconnect', things = 5 }]", Code::UnknownKey),
        ("event", "[{ at = '1s', kind = 'reconnect-storm', for = '1s' }]", Code::Conflict),
        ("event", "[{ at = '1s', kind = 'endpoint-freeze' }]", Code::MissingKey),
        ("event", "[{ at = '1s', kind = 'endpoint-freeze', for = '1s', share = 0.5 }]", Code::Conflict),
        ("event", "[{ at = '1s', kind = 'endpoint-restart', for = '1s', cohort = 'a' }]", Code::Conflict),
        ("event", "[{ at = '11m', kind = 'disconnect' }]", Code::Conflict),
        (
            "event",
            "[{ at = '1s', kind = 'endpoint-restart', for = '2s' }, { at = '2s', kind = 'endpoint-freeze', for = '1s' }]",
            Code::Conflict,
        ),
        ("thresholds", "{ 'update.timeout' = '0' }", Code::BadValue),
        ("thresholds", "{ 'update.timeouts' = '== 0' }", Code::UnknownName),
        ("thresholds", "{ 'update.timeout' = { over = 'last 60s' } }", Code::MissingKey),
        ("thresholds", "{ 'update.timeout' = { check = '== 0', over = '60s' } }", Code::BadValue),
        ("thresholds", "{ 'update.timeout' = { check = '== 0', phase = 'rolout' } }", Code::BadValue),
        ("thresholds", "{ 'update.timeout' = { check = '== 0', cohort = 'c' } }", Code::UnknownName),
        ("thresholds", "{ 'puback.timeout' = { check = '== 0', cohort = 'a' } }", Code::Conflict),
        ("thresholds", "{ 'executions.lost' = { check = '== 0', over = 'last 5s' } }", Code::Conflict),
        ("target.emulator.quotas", "'asw'", Code::BadValue),
        ("target.emulator.quotas", "200", Code::WrongType),
        ("end.when", "'never'", Code::BadValue),
        ("end.when", "'idle'", Code::MissingKey),
        ("end", "{ when = 'executions-done', duration = '5s' }", Code::Conflict),
        ("name", "''", Code::BadValue),
    ] {
        let found = codes(plan(&[set(key, value)]));
        assert!(found.contains(&code.as_str()), "{key} = {value}: {found:?}");
        let rendered = plan(&[set(key, value)]).unwrap_err().render(false);
        assert!(rendered.contains(code.as_str()) && rendered.contains('─'), "the message shows the place:\n{rendered}");
    }
}

#[test]
fn cohorts_and_events_are_limited() {
    let head = GOOD.split("\n[[cohort]]").next().unwrap();
    let rest =
        "[behavior.fast]\nstep = \"1s\"\n[[rollout]]\njob = \"fw-1\"\nrate = \"600/min\"\ndocument = { operation = \"x\" }\n";
    let cohorts = |count: usize| -> String {
        (0..count).map(|n| format!("[[cohort]]\nname = \"c-{n}\"\nshare = {}\n", 1.0 / count as f64)).collect()
    };
    let events = |count: usize| -> String {
        (1..=count).map(|n| format!("[[event]]\nkind = \"reconnect-storm\"\nat = \"{n}ms\"\n")).collect()
    };
    let problems = |cohort_count, event_count| {
        codes(load("many.toml", &format!("{head}\n{}{}{rest}", cohorts(cohort_count), events(event_count)), &[]))
    };
    assert_eq!(problems(1_000, 1_000), [""; 0]);
    assert_eq!(problems(1_001, 1_000), ["out-of-range"]);
    assert_eq!(problems(1_000, 1_001), ["out-of-range"]);
}

#[test]
fn an_mqtt_target_says_what_it_needs() {
    assert_eq!(codes(plan(&[set("target.kind", "'mqtt'")])), ["conflict", "missing-key", "missing-key"]);
}

#[test]
fn an_ambiguous_path_lists_what_there_is() {
    let twice = GOOD.replace("name = \"b\"", "name = \"a\"");
    let message = load("twice.toml", &twice, &[set("cohort.a.share", "0.5")]).unwrap_err().render(false);
    assert!(message.contains("ambiguous") && message.contains("known here: a, a"), "{message}");
    let message = plan(&[set("cohort.aa.share", "0.5")]).unwrap_err().render(false);
    assert!(message.contains("did you mean \"a\"?") && message.contains("known here: a, b"), "{message}");
}

#[test]
fn a_text_that_is_no_toml_is_a_problem_with_a_place() {
    let message = load("x.toml", "name = \"a\"\n[fleet\nthings = 1\n", &[]).unwrap_err().render(false);
    assert!(message.contains("x.toml:2:"), "{message}");
}

#[test]
fn later_overrides_win() {
    assert_eq!(plan(&[set("fleet.things", "5"), set("fleet.things", "7")]).unwrap().fleet.things, 7);
    let overridden = plan(&[set("rollout.fw-1.rate", "'60/min'"), set("cohort.a.keep_alive", "'60s'")]).unwrap();
    assert_eq!(overridden.rollouts[0].rate_per_minute(), Some(60));
    assert_eq!(overridden.cohorts[0].session.keep_alive, Duration::from_secs(60));
}

#[test]
fn thresholds_are_read_in_either_spelling_and_overridden_by_name() {
    let shown =
        |overrides: &[Override]| -> Vec<String> { plan(overrides).unwrap().thresholds.iter().map(ToString::to_string).collect() };
    let file =
        set("thresholds", "{ 'update.response_ms.p99' = { check = '< 250', over = 'last 60s', phase = 'rollout', cohort = 'a' } }");
    let line = "update.response_ms.p99 < 250 over the last 60 s in rollout of a";
    assert_eq!(shown(std::slice::from_ref(&file)), [line]);
    let nested = set("thresholds.update.response_ms.p99", "'< 300'");
    assert_eq!(shown(std::slice::from_ref(&nested)), ["update.response_ms.p99 < 300"]);
    assert_eq!(shown(&[file.clone(), nested]), ["update.response_ms.p99 < 300"]);
    let twice = format!("{GOOD}\n[thresholds]\n'update.timeout' = '== 0'\nupdate.timeout = '< 3'\n");
    assert_eq!(codes(load("twice", &twice, &[])), ["duplicate"]);
    let printed = plan(&[file]).unwrap();
    assert_eq!(load("printed", &printed.to_toml(), &[]).unwrap(), printed);
}

#[test]
fn faults_events_and_polls_are_read_and_printed() {
    let overrides = [
        set("target.emulator.latency", "'uniform(2ms, 8ms)'"),
        set("target.emulator.reject", "{ share = 0.01, codes = ['RequestThrottled', 'InternalError'] }"),
        set("target.emulator.server", "{ workers = 2, service = 'exp(20ms)' }"),
        set("target.emulator.drop", "{ share = 0.01 }"),
        set("target.emulator.disconnect", "{ every = 'exp(10m)' }"),
        set("target.emulator.notifications", "{ delay = 'uniform(0s, 1s)', shuffle = true }"),
        set("target.emulator.quotas", "'quotas.toml'"),
        set("event", "[{ at = '20s', kind = 'endpoint-freeze', for = '5s' }]"),
        set("cohort.a.workflow", "'poll'"),
        set("cohort.a.poll", "{ every = '10s', jitter = 0 }"),
    ];
    let read = plan(&overrides).unwrap();
    let TargetPlan::Emulator(emulator) = &read.target else { panic!("{:?}", read.target) };
    let endpoint = &emulator.endpoint;
    assert_eq!(endpoint.quotas, QuotasChoice::File("quotas.toml".into()));
    let exp = |seconds| Distribution::Exp(Duration::from_secs_f64(seconds));
    assert_eq!(endpoint.faults.server, Some(ServerConfig { workers: 2, service: exp(0.02) }));
    assert_eq!((endpoint.faults.drop, endpoint.faults.disconnect), (Some(0.01), Some(exp(600.0))));
    assert!(endpoint.faults.notifications.is_some_and(|plan| plan.shuffle));
    assert_eq!(read.events[0].at, Duration::from_secs(20));
    assert_eq!(read.cohorts[0].workflow, Workflow::Poll(Poll { every: Duration::from_secs(10), jitter: 0.0 }));
    assert_eq!(load("printed", &read.to_toml(), &[]).unwrap(), read);
}

#[test]
fn every_fault_of_the_table_is_read_with_its_defaults_and_printed() {
    let all = TABLE.iter().map(|row| format!("{} = {{ share = 0.25 }}", row.key)).collect::<Vec<_>>().join(", ");
    let overrides = [
        set("behavior.fast.faults", &format!("{{ {all} }}")),
        set(
            "behavior.slow.faults",
            "{ stale_version = { rate = '30/min', per = 'execution' }, slow_reader = { share = 1, bytes_per_s = 0 } }",
        ),
        set("rollout.fw-1.timeoutConfig.inProgressTimeoutInMinutes", "1"),
    ];
    let read = plan(&overrides).unwrap_or_else(|problems| panic!("{problems}"));
    let faults = &read.behaviors["fast"].faults;
    assert_eq!(faults.len(), TABLE.len());
    for (spec, row) in faults.iter().zip(TABLE) {
        let defaults: Vec<Setting> = row.parameters.iter().map(|parameter| parameter.default).collect();
        assert_eq!(
            (spec.fault, spec.probability, spec.per, &spec.settings),
            (row.fault, FaultProbability::Share(0.25), row.per[0], &defaults)
        );
    }
    let slow = &read.behaviors["slow"].faults;
    assert_eq!((slow[0].probability, slow[0].per, slow[1].count(0)), (FaultProbability::Rate(0.5), Per::Execution, 0));
    assert_eq!(load("printed", &read.to_toml(), &[]).unwrap(), read);
}

#[test]
fn a_fault_that_could_have_no_effect_is_refused() {
    let faults = |fault: &str| set("behavior.fast.faults", &format!("{{ {fault} = {{ share = 0.1 }} }}"));
    for overrides in [
        vec![faults("flapping"), set("rollout.fw-1.behavior", "'fast'")],
        vec![faults("no_notify_next"), set("cohort.a.workflow", "'poll'")],
        vec![faults("no_notify_next"), set("cohort.a.workflow", "'list'")],
    ] {
        assert_eq!(codes(plan(&overrides)), ["conflict"], "{overrides:?}");
    }
    let remote = "name = 'x'\ntarget = { kind = 'mqtt', host = 'h', tls = { ca = 'c', cert = 'd', key = 'k' } }\nfleet.things = 1\n\
                  [behavior.b.faults]\nexpired_certificate = { share = 0.1 }\n[end]\nduration = '1s'";
    assert_eq!(codes(load("x", remote, &[])), ["conflict"]);
}

#[test]
fn over_https_things_poll_and_have_no_session() {
    let scenario = |cohort: &str, rest: &str| {
        format!(
            "name = 'x'\nfleet.things = 10\n{rest}\n[[cohort]]\nname = 'a'\nshare = 0.5\n{cohort}\n\
             [[cohort]]\nname = 'b'\nshare = 0.5\n[end]\nduration = '1s'\n"
        )
    };
    let read = |cohort: &str, rest: &str| load("x", &scenario(cohort, rest), &[]);
    let plan = read("transport = 'https-sigv4'\npoll = { every = '10s' }", "fleet.clean_session = false").unwrap();
    let poll = plan.cohorts[0].workflow.poll().unwrap();
    assert_eq!((poll.every, poll.jitter), (Duration::from_secs(10), 0.2));
    assert_eq!(plan.cohorts[1].workflow, Workflow::StartNext);
    assert_eq!(load("printed", &plan.to_toml(), &[]).unwrap(), plan);
    let plan = load("x", "name = 'x'\nfleet = { things = 1, transport = 'https-mtls' }\nend.duration = '1s'", &[]).unwrap();
    assert_eq!(plan.cohorts[0].workflow.poll().unwrap().every, Duration::from_secs(60), "without a cohort, too");
    assert_eq!(load("printed", &plan.to_toml(), &[]).unwrap(), plan);
    let faulty = |fault: &str| format!("[behavior.b.faults]\n{fault} = {{ share = 0.1 }}");
    for (cohort, rest) in [
        ("transport = 'https-mtls'\nworkflow = 'start-next'", String::new()),
        ("transport = 'https-mtls'\nclean_session = false", String::new()),
        ("transport = 'https-mtls'\nkeep_alive = '5m'", String::new()),
        ("transport = 'https-mtls'", faulty("no_puback")),
        ("transport = 'https-mtls'", faulty("wrong_topic")),
        ("transport = 'https-sigv4'", faulty("expired_certificate")),
        ("transport = 'mqtt-ws'", faulty("expired_certificate")),
    ] {
        assert_eq!(codes(read(cohort, &rest)), ["conflict"], "{cohort} {rest}");
    }
    assert!(read("transport = 'https-mtls'", &faulty("stale_version")).is_ok());
    let telemetry = "telemetry = { topic = 'dt/{thing}', every = '10s' }";
    assert!(read("transport = 'https-mtls'", telemetry).is_ok(), "the others publish");
    let none = format!("name = 'x'\n{telemetry}\nfleet = {{ things = 1, transport = 'https-mtls' }}\nend.duration = '1s'");
    assert_eq!(codes(load("x", &none, &[])), ["conflict"]);
}

#[test]
fn only_things_that_show_a_certificate_need_one() {
    let remote = |transport: &str| {
        let target = "target = { kind = 'mqtt', host = 'h', ports = { api = 4443 } }";
        load("x", &format!("name = 'x'\n{target}\nfleet = {{ things = 1, transport = '{transport}' }}\nend.duration = '1s'"), &[])
    };
    for transport in ["https-sigv4", "mqtt-ws"] {
        let plan = remote(transport).unwrap();
        assert_eq!(load("printed", &plan.to_toml(), &[]).unwrap(), plan);
    }
    for transport in ["mqtt", "mqtt5", "https-mtls"] {
        assert_eq!(codes(remote(transport)), ["missing-key"], "{transport}");
    }
}

#[test]
fn transports_sessions_and_telemetry_are_read_and_printed() {
    let overrides = [
        set("fleet.transport", "'mqtt5'"),
        set("cohort.a.clean_session", "false"),
        set("cohort.b.transport", "'mqtt'"),
        set("telemetry", "{ topic = 'dt/{thing}/{index}', every = '10s', jitter = 0.25, bytes = 'uniform(100, 400)', qos = 0 }"),
    ];
    let read = plan(&overrides).unwrap();
    let sessions: Vec<_> = read.cohorts.iter().map(|cohort| (cohort.session.transport, cohort.session.clean_session)).collect();
    assert_eq!(sessions, [(Transport::Mqtt5, false), (Transport::Mqtt, true)]);
    assert_eq!(read.transports(), [Transport::Mqtt, Transport::Mqtt5]);
    assert_eq!(plan(&overrides[..1]).unwrap().transports(), [Transport::Mqtt5], "only those that are used");
    let telemetry = read.telemetry.clone().unwrap();
    assert_eq!((telemetry.bytes, telemetry.is_acknowledged), (PayloadBytes::Uniform(100, 400), false));
    assert_eq!(load("printed", &read.to_toml(), &[]).unwrap(), read);
    let plain = plan(&[set("telemetry", "{ topic = 'dt', every = '10s' }")]).unwrap();
    let telemetry = plain.telemetry.clone().unwrap();
    assert_eq!((telemetry.bytes, telemetry.is_acknowledged), (PayloadBytes::Constant(256), true));
    assert_eq!(load("printed", &plain.to_toml(), &[]).unwrap(), plain);
}

#[test]
fn a_topic_that_is_too_long_for_the_last_thing_is_found() {
    let topic = |length: usize| set("telemetry", &format!("{{ topic = '{}{{thing}}', every = '10s' }}", "x".repeat(length)));
    let fits = 256 - plan(&[]).unwrap().fleet.thing_name.name(0).len();
    assert!(codes(plan(&[topic(fits)])).is_empty());
    assert_eq!(codes(plan(&[topic(fits + 1)])), ["out-of-range"]);
}

#[test]
fn every_workflow_is_read_and_printed() {
    for (word, workflow) in
        [("start-next", Workflow::StartNext), ("describe-update", Workflow::DescribeUpdate), ("list", Workflow::List)]
    {
        let read = plan(&[set("cohort.a.workflow", &format!("'{word}'"))]).unwrap();
        assert_eq!(read.cohorts[0].workflow, workflow);
        assert_eq!(load("printed", &read.to_toml(), &[]).unwrap(), read);
        let with_poll = [set("cohort.a.workflow", &format!("'{word}'")), set("cohort.a.poll", "{ every = '10s' }")];
        assert_eq!(codes(plan(&with_poll)), ["conflict"], "{word}");
    }
}

#[test]
fn a_fleet_without_jobs_has_no_rollouts_and_does_not_poll() {
    let text = |more: &str| {
        format!(
            "name = 'n'\n[fleet]\nthings = 4\n[telemetry]\ntopic = 'dt/{{thing}}'\nevery = '1s'\n[[cohort]]\nname = 'a'\nshare = 0.5\n\
             workflow = 'none'\n[[cohort]]\nname = 'b'\nshare = 0.5\n{more}"
        )
    };
    let end = "[end]\nduration = '5s'\n";
    let read = load("n", &text(end), &[]).unwrap();
    assert_eq!(read.cohorts[0].workflow, Workflow::None);
    assert_eq!(load("printed", &read.to_toml(), &[]).unwrap(), read);
    for (rollout, is_right) in [("", false), ("targets = { cohort = 'a' }", false), ("targets = { cohort = 'b' }", true)] {
        let read = load("n", &text(&format!("[[rollout]]\njob = 'j'\n{rollout}\n[end]\nlimit = '5s'\n")), &[]);
        assert_eq!(codes(read), if is_right { vec![] } else { vec!["conflict"] }, "{rollout}");
    }
    let over_https = text(end).replace("workflow = 'none'", "workflow = 'none'\ntransport = 'https-mtls'");
    assert!(codes(load("n", &over_https, &[])).contains(&"conflict"));
}

/// Everything a rollout can say.
const FULL: &str = r#"
name = "full"
[fleet]
things = 100
[[cohort]]
name = "early"
share = 0.2
connect = { rate = "5/s", arrival = "poisson", in_progress = 2 }
[[cohort]]
name = "others"
share = 0.8
[[rollout]]
job = "fw-{n:03}"
count = 20
every = "30s"
at = "25s"
delay = "5s"
targets = { cohort = "early" }
targetSelection = "CONTINUOUS"
description = "firmware"
jobExecutionsRolloutConfig = { maximumPerMinute = 1000, exponentialRate = { baseRatePerMinute = 50, incrementFactor = 1.5, rateIncreaseCriteria = { numberOfSucceededThings = 10 } } }
timeoutConfig = { inProgressTimeoutInMinutes = 5 }
schedulingConfig = { startTime = "2030-01-31 12:00", endTime = "2030-02-01 12:00", endBehavior = "FORCE_CANCEL" }
presignedUrlConfig = { roleArn = "arn:aws:iam::111122223333:role/r", expiresInSec = 60 }
document = { operation = "firmware", sizes = [1, 2.5] }
[[rollout.abortConfig.criteriaList]]
failureType = "FAILED"
action = "CANCEL"
thresholdPercentage = 10.25
minNumberOfExecutedThings = 5
[[rollout.jobExecutionsRetryConfig.criteriaList]]
failureType = "TIMED_OUT"
numberOfRetries = 2
[end]
limit = "20m"
"#;

#[test]
fn a_rollout_takes_the_members_of_create_job_and_prints_them() {
    let read = load("full.toml", FULL, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    let rollout = &read.rollouts[0];
    let ids: Vec<&str> = rollout.jobs.iter().map(JobId::as_str).collect();
    assert_eq!((ids.len(), ids[0], ids[19]), (20, "fw-001", "fw-020"));
    assert_eq!([0, 1, 19].map(|n| rollout.creation(n)), [5, 35, 575].map(Duration::from_secs));
    let config = &rollout.settings.config;
    assert_eq!((config.abort[0].threshold_hundredths, config.retry[0].retries), (1_025, 2));
    assert_eq!((config.rollout.maximum_per_minute, rollout.rate_per_minute()), (Some(1_000), None), "there is no one rate");
    assert_eq!(read.cohorts[0].connect.map(|connect| connect.in_progress), Some(2));
    assert_eq!(read.cohorts[1].connect, None);
    assert_eq!(load("printed", &read.to_toml(), &[]).unwrap_or_else(|problems| panic!("{problems}")), read);
}

#[test]
fn what_the_service_would_refuse_is_told_at_its_key() {
    let place = |from: &str, to: &str| {
        assert!(FULL.contains(from), "{from}");
        let problems = load("full.toml", &FULL.replacen(from, to, 1), &[]).unwrap_err();
        let told: Vec<String> = problems
            .iter()
            .map(|problem| {
                let line = FULL.replacen(from, to, 1)[..problem.place.span.start].lines().count();
                format!("{line}: {}", problem.message)
            })
            .collect();
        told.join("; ")
    };
    let line_of = |text: &str| 1 + FULL.lines().position(|line| line.contains(text)).unwrap();
    for (from, to, says) in [
        (
            "thresholdPercentage = 10.25",
            "thresholdPercentage = 10.255",
            "rollout.abortConfig: thresholdPercentage may have 2 decimals",
        ),
        ("action = \"CANCEL\"", "action = \"STOP\"", "rollout.abortConfig: action must be CANCEL"),
        ("numberOfRetries = 2", "numberOfRetries = 11", "numberOfRetries of all criteria together must be 0 to 10, not 11"),
        ("incrementFactor = 1.5", "incrementFactor = 6", "incrementFactor must be 1.1 to 5"),
        ("maximumPerMinute = 1000", "maximumPerMinutes = 1000", "unknown field `maximumPerMinutes`"),
        ("expiresInSec = 60", "expiresInSec = 6_000", "expiresInSec must be 60 to 3600"),
    ] {
        let told = place(from, to);
        let line = line_of(from.split(" = ").next().unwrap());
        assert!(told.starts_with(&format!("{line}: ")) && told.contains(says), "line {line}: {told}");
    }
}

#[test]
fn templates_windows_and_namespaces_are_read_and_printed() {
    let read = |text: &str| {
        let read = load("n", text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(load("printed", &read.to_toml(), &[]).unwrap_or_else(|problems| panic!("{problems}")), read);
        read
    };
    let fleet = "name = 'n'\n[fleet]\nthings = 4\n[[cohort]]\nname = 'a'\nnamespace = 'aws-gg-deployment'\n[end]\nlimit = '60s'\n";
    let plan = read(&format!(
        "{fleet}[[rollout]]\njob = 'j'\nnamespace = 'aws-gg-deployment'\ntargetSelection = 'CONTINUOUS'\ntemplate = 'AWS-Run-Command'\n\
         parameters = {{ command = 'ls,-l' }}\nmaintenance_windows = [{{ start = 'cron(0 22 ? * SAT *)', minutes = 120 }}]\n"
    ));
    assert_eq!(plan.cohorts[0].workflow, Workflow::DescribeUpdate, "the only one that a namespace has");
    let rollout = &plan.rollouts[0];
    assert_eq!(rollout.template.as_ref().unwrap().arn, "arn:aws:iot:us-east-1::jobtemplate/AWS-Run-Command:1.0");
    assert!(rollout.document.as_json().contains("ls,-l"), "{}", rollout.document.as_json());
    let windows = &rollout.settings.scheduling.as_ref().unwrap().windows;
    assert_eq!((windows.len(), windows[0].minutes), (1, 120));
    for (workflow, transport, is_right) in
        [("describe-update", "mqtt5", true), ("start-next", "mqtt", false), ("list", "mqtt", false), ("poll", "https-mtls", false)]
    {
        let text = fleet.replace("[end]", &format!("workflow = '{workflow}'\ntransport = '{transport}'\n[end]\nduration = '5s'"));
        assert_eq!(codes(load("n", &text, &[])).is_empty(), is_right, "{workflow} {transport}");
    }
    let account = "name = 'n'\n[target]\nkind = 'aws'\nregion = 'us-east-1'\ntls = { bundle = 'b' }\n[fleet]\nthings = 4\n\
                   [[rollout]]\njob = 'j'\ntemplate = 'mine'\n[end]\nlimit = '60s'\n";
    assert_eq!(read(account).rollouts[0].template.as_ref().unwrap().arn, "arn:aws:iot:us-east-1:111122223333:jobtemplate/mine");
}

#[test]
fn a_series_of_jobs_shares_its_targets_and_its_ids_are_its_own() {
    let series = "{ job = 'fw-{n}', count = 3, every = '1s', targets = { share = 0.5 } }";
    let read = plan(&[set("rollout", &format!("[{series}]"))]).unwrap();
    assert_eq!(Roster::new(&read).unwrap().targets_of(0).len(), 5);
    assert_eq!(codes(plan(&[set("rollout", &format!("[{series}, {{ job = 'fw-2' }}]"))])), ["duplicate"]);
    let late = plan(&[set("rollout", "[{ job = 'fw-{n}', count = 21, every = '30s' }]")]).unwrap_err().render(false);
    assert!(late.contains("job fw-21 is due 10m into a run that ends after 10m"), "{late}");
}

/// A rollout with this artifact, besides that of the scenario.
fn with_artifact(artifact: &str) -> Vec<Override> {
    vec![set("rollout", &format!("[{{ job = 'fw', document = {{ v = 1 }}, artifact = {artifact} }}]"))]
}

#[test]
fn artifacts_are_read_and_printed() {
    for (artifact, expected) in [
        ("{ bytes = 262_144 }", ArtifactPlan { bytes: 262_144, sign: true, bandwidth: None, tamper: None }),
        (
            "{ bytes = 1, sign = true, bandwidth = '1 MB/s', tamper = 'length' }",
            ArtifactPlan { bytes: 1, sign: true, bandwidth: Some(1_000_000), tamper: Some(Tamper::Length) },
        ),
        ("{ bytes = 9, sign = false }", ArtifactPlan { bytes: 9, sign: false, bandwidth: None, tamper: None }),
    ] {
        let overrides = [with_artifact(artifact), vec![set("cohort.a.verify_signature", "true")]].concat();
        let read = plan(&overrides).unwrap();
        assert_eq!((read.rollouts[0].artifact.clone(), read.cohorts[0].verify_signature), (Some(expected), true), "{artifact}");
        assert_eq!(load("printed", &read.to_toml(), &[]).unwrap(), read);
    }
}

#[test]
fn artifacts_that_could_not_be_are_refused() {
    for (artifact, code) in [
        ("{}", "missing-key"),
        ("{ bytes = 0 }", "out-of-range"),
        ("{ bytes = 1_073_741_825 }", "out-of-range"),
        ("{ bytes = 5, bandwidth = '1 MB' }", "bad-value"),
        ("{ bytes = 5, tamper = 'all' }", "bad-value"),
        ("{ bytes = 5, sign = false, tamper = 'key' }", "conflict"),
        ("{ bytes = 5, sighn = true }", "unknown-key"),
    ] {
        assert_eq!(codes(plan(&with_artifact(artifact))), [code], "{artifact}");
    }
    let document =
        |document: &str| set("rollout", &format!("[{{ job = 'fw', document = {document}, artifact = {{ bytes = 5 }} }}]"));
    for member in ["presign", "codesign"] {
        assert_eq!(codes(plan(&[document(&format!("{{ {member} = 'mine' }}"))])), ["conflict"]);
    }
    assert_eq!(codes(plan(&[document(&format!("{{ text = '{}' }}", "x".repeat(32_300)))])), ["out-of-range"]);
}

#[test]
fn somebody_elses_signer_is_named_where_it_counts() {
    let remote = |target: &str, verifies: bool| {
        let text = format!(
            "name = 'x'\n[target]\n{target}\n[fleet]\nthings = 1\n[[cohort]]\nname = 'a'\nverify_signature = {verifies}\n[end]\nidle = '5s'\n"
        );
        load("x", &text, &[])
    };
    let place = "kind = 'mqtt'\nhost = 'h'\ntls = { cert = 'c', key = 'k' }\n";
    let signed = format!("{place}signer = 'signer.pem'");
    let read = remote(&signed, true).unwrap();
    assert_eq!(read.target.remote().unwrap().signer.as_deref(), Some("signer.pem"));
    assert_eq!(load("printed", &read.to_toml(), &[]).unwrap(), read);
    assert_eq!(codes(remote(place, true)), ["conflict"], "no signer is given whose signatures are accepted");
    assert_eq!(codes(remote(&signed, false)), ["conflict"], "nobody asks for signatures");
    assert_eq!(codes(plan(&[set("target.signer", "'signer.pem'")])), ["conflict"], "the run signs by itself");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = load("x", &text, &[]).map_err(|problems| problems.render(false));
    }

    #[test]
    fn no_damage_to_a_scenario_makes_it_panic(at in 0usize..4000, remove in 0usize..40, insert in "[\\[\\]{}=\"'a-z0-9.\n ]{0,8}") {
        let mut text: Vec<char> = SHIPPED[1].text.chars().collect();
        let at = at.min(text.len());
        let end = (at + remove).min(text.len());
        text.splice(at..end, insert.chars());
        let text: String = text.into_iter().collect();
        let _ = load("x", &text, &[set("cohort.slow.share", "0.5")]).map_err(|problems| problems.render(false));
    }

    #[test]
    fn no_override_makes_it_panic(key in "[a-z.\\-0-9]{0,30}", value in "\\PC{0,30}") {
        let _ = plan(&[set(&key, &value)]).map_err(|problems| problems.render(false));
    }
}
