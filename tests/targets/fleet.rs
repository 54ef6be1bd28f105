//! `fleetsim aws provision` and `deprovision`, with the local endpoint as the account: the whole story, killed and resumed, throttled, and
//! with its secrets kept.

use crate::bench::{Bench, Guard, Serve, assert_code, in_account};
use aws_signing::keyring::Keyring;
use fleetsim::aws::calls::Call;
use fleetsim::aws::client::{Client, ControlEndpoint};
use fleetsim::aws::server::Server;
use host::tls;
use http::Method;
use iot_endpoint::DEVICE_POLICY;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Minutes pass fast, so that a thing type can be deleted soon.
const MINUTE: [&str; 2] = ["--minute", "100ms"];

fn aws_command(bench: &Bench, serve: &Serve, args: &str) -> Command {
    let mut command = bench.command(&[&["aws"], &args.split(' ').collect::<Vec<_>>()[..]].concat());
    in_account(&mut command, serve);
    command.env("AWS_REGION", "us-east-1");
    command
}

fn aws(bench: &Bench, serve: &Serve, args: &str) -> Output {
    aws_command(bench, serve, args).output().unwrap()
}

#[track_caller]
fn said(output: &Output, code: i32) -> String {
    let stderr = assert_code(output, code);
    String::from_utf8_lossy(&output.stdout).into_owned() + &stderr
}

/// Somebody else who looks at the account.
struct Auditor(Client);

impl Auditor {
    fn new(bench: &Bench, serve: &Serve) -> Self {
        let ca = CertificateDer::from_pem_file(bench.path("pki/ca.cert.pem")).unwrap();
        let file = bench.text("pki/aws-credentials");
        let value = |key: &str| file.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = ")).unwrap();
        let keyring = Arc::new(Keyring::of(value("aws_access_key_id"), value("aws_secret_access_key")));
        let tls = Arc::new(tls::client_config(tls::roots([ca]).unwrap(), None).unwrap());
        let server = Server {
            addresses: vec![serve.api.parse().unwrap()],
            authority: serve.api.clone(),
            tls: Some((tls, ServerName::try_from("localhost").unwrap())),
        };
        let endpoint = ControlEndpoint { server, region: "us-east-1".into() };
        Self(Client::new(endpoint, keyring, None))
    }

    fn ask(&self, method: Method, uri: &str, body: &str) -> Value {
        let call = Call { operation: "ask", method, uri: uri.into(), principal: None, body: body.into() };
        let body = tokio::runtime::Runtime::new().unwrap().block_on(self.0.call(&call)).unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    /// Names of what is listed there, of at most a page.
    fn names(&self, uri: &str, list: &str, name: &str) -> BTreeSet<String> {
        let page = self.ask(Method::GET, uri, "");
        page[list].as_array().unwrap().iter().map(|item| item[name].as_str().unwrap().to_owned()).collect()
    }

    fn things(&self) -> BTreeSet<String> {
        self.names("/things?maxResults=250", "things", "thingName")
    }

    /// Policies, but for that which the endpoint has for certificates of its own.
    fn policies(&self) -> BTreeSet<String> {
        let mut policies = self.names("/policies?pageSize=250", "policies", "policyName");
        policies.remove(DEVICE_POLICY);
        policies
    }

    /// Certificates, policies, groups, types and jobs.
    fn others(&self) -> [usize; 5] {
        [
            self.names("/certificates?pageSize=250", "certificates", "certificateId"),
            self.policies(),
            self.names("/thing-groups?maxResults=250", "thingGroups", "groupName"),
            self.names("/thing-types?maxResults=250", "thingTypes", "thingTypeName"),
            self.names("/jobs?maxResults=250", "jobs", "jobId"),
        ]
        .map(|names| names.len())
    }

    fn jobs(&self) -> Vec<Value> {
        self.ask(Method::GET, "/jobs", "")["jobs"].as_array().unwrap().clone()
    }

    #[track_caller]
    fn wait_until(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !condition() {
            assert!(Instant::now() < deadline, "timed out waiting until {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[track_caller]
    fn wait_for_a_job(&self, number: usize) {
        self.wait_until("a job is created", || self.others()[4] >= number);
    }

    #[track_caller]
    fn assert_whole(&self, things: usize) {
        let expected: BTreeSet<String> = (0..things).map(|n| format!("sim-{n:06}")).collect();
        assert_eq!(self.things(), expected);
        assert_eq!(self.others(), [things, 1, 1, 1, 0]);
    }

    #[track_caller]
    fn assert_empty(&self) {
        assert_eq!((self.things(), self.others()), (BTreeSet::new(), [0; 5]));
    }
}

const SCENARIO: &str = "name = 's'\n[target]\nkind = 'aws'\ntls.ca = 'pki/ca.cert.pem'\n[fleet]\nthings_from = 'fleet/fleet.csv'\n\
    [behavior.quick]\nreaction = '0s'\nstep = '20ms'\nupdates = 1\n\
    [[rollout]]\njob = 'fw'\nrate = '1000/min'\ndocument = { operation = 'x' }\n[end]\nlimit = '90s'\n";

fn run(bench: &Bench, serve: &Serve, scenario: &str, more: &[&str]) -> Command {
    bench.write("s.toml", scenario);
    let _ = std::fs::remove_dir_all(bench.path("out"));
    let mut command = bench.command(&[&["run", "s.toml", "--ui", "none", "--out", "out"], more].concat());
    in_account(&mut command, serve);
    command.env("AWS_REGION", "us-east-1");
    command
}

#[test]
fn from_an_empty_account_to_a_finished_rollout_and_back() {
    let bench = Bench::new(0);
    let serve = bench.serve(&MINUTE);
    let auditor = Auditor::new(&bench, &serve);
    let told = said(&aws(&bench, &serve, "provision --things 200 --dry-run"), 0);
    assert_eq!(told.lines().filter(|line| line.starts_with("AttachThingPrincipal PUT /things/sim-")).count(), 200);
    assert!(told.contains("1,003: ") && told.contains("0.0007525 USD for 602 registry operations"), "{told}");
    auditor.assert_empty();
    assert!(!bench.path("fleet").exists(), "nothing is done, nor written");

    let told = said(&aws(&bench, &serve, "provision --things 200 --yes --quotas none"), 0);
    for part in ["region:    us-east-1", "which is not AWS's own", "200 things", "things_from = \"fleet/fleet.csv\""] {
        assert!(told.contains(part), "{part}: {told}");
    }
    auditor.assert_whole(200);
    // Whoever asks again changes nothing.
    assert!(said(&aws(&bench, &serve, "provision --yes"), 0).contains("0 of them created now"));

    let told = said(&run(&bench, &serve, SCENARIO, &[]).output().unwrap(), 2);
    for part in ["account:", "endpoint:", "things:    200", "quotas:", "cost:      0.60", "--yes"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!bench.path("out").exists());
    said(&run(&bench, &serve, SCENARIO, &["--yes"]).output().unwrap(), 0);
    let rows = bench.cells("executions.csv", &["job", "status", "anomaly"]);
    assert!(rows.len() == 200 && rows.iter().all(|row| row[0].starts_with("fw-2") && row[1] == "SUCCEEDED"), "{rows:?}");
    // The job was for the fleet's own group, and is deleted.
    auditor.assert_whole(200);

    let told = said(&aws(&bench, &serve, "deprovision --dry-run"), 0);
    assert_eq!(told.lines().filter(|line| line.starts_with("DeleteThing DELETE")).count(), 200);
    auditor.assert_whole(200);
    assert!(said(&aws(&bench, &serve, "deprovision --yes --quotas none"), 0).contains("nothing is left"));
    auditor.assert_empty();
    assert!(said(&aws(&bench, &serve, "deprovision --yes"), 0).contains("nothing is left"));
    assert!(!bench.path("fleet/fleet.csv").exists());
}

/// Lines of the inventory.
fn lines(bench: &Bench) -> usize {
    std::fs::read(bench.path("fleet/inventory.jsonl")).map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count())
}

/// Kills the command once the inventory has so many lines, unless it ends before; whether it was killed.
fn kill_at(bench: &Bench, serve: &Serve, args: &str, line: usize) -> bool {
    let mut command = aws_command(bench, serve, args);
    let mut process = Guard(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let deadline = Instant::now() + Duration::from_secs(120);
    while lines(bench) < line {
        if process.0.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(Instant::now() < deadline, "{args} stands still before line {line}");
        std::thread::sleep(Duration::from_micros(200));
    }
    process.0.kill().unwrap();
    process.0.wait().unwrap();
    true
}

/// Kills it at `kills` random lines of the next `lines_of_work`, and lets it come to its end.
fn kill_often(bench: &Bench, serve: &Serve, args: &str, kills: usize, lines_of_work: usize) {
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let (mut rng, first) = (StdRng::seed_from_u64(seed), lines(bench));
    let mut at: Vec<usize> = (0..kills).map(|_| first + rng.random_range(1..lines_of_work)).collect();
    at.sort_unstable();
    let killed = at.into_iter().filter(|line| kill_at(bench, serve, args, *line)).count();
    assert_eq!(killed, kills, "seed {seed}");
    said(&aws(bench, serve, args), 0);
}

#[test]
fn killed_at_twenty_random_points_and_resumed_it_is_whole_and_then_gone() {
    let bench = Bench::new(0);
    let serve = bench.serve(&MINUTE);
    let auditor = Auditor::new(&bench, &serve);
    // Two lines for each thing, and what is begun again has one more.
    kill_often(&bench, &serve, "provision --things 200 --yes --quotas none", 20, 400);
    auditor.assert_whole(200);
    kill_often(&bench, &serve, "deprovision --yes --quotas none", 20, 200);
    auditor.assert_empty();
}

#[test]
fn keys_that_aws_makes_are_kept_and_those_whose_answer_was_lost_are_removed() {
    let bench = Bench::new(0);
    let serve = bench.serve(&MINUTE);
    let auditor = Auditor::new(&bench, &serve);
    kill_often(&bench, &serve, "provision --things 30 --aws-keys --bundle --yes --quotas none", 10, 90);
    assert_eq!(auditor.things().len(), 30);
    assert!(auditor.others()[0] >= 30, "besides, those whose keys were lost");
    let packed = std::fs::metadata(bench.path("fleet/things.pem")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&packed.permissions()) & 0o777, 0o600);
    let scenario = SCENARIO.replace("[fleet]", "tls.bundle = 'fleet/things.pem'\n[fleet]");
    said(&run(&bench, &serve, &scenario, &["--yes"]).output().unwrap(), 0);
    assert_eq!(bench.cells("executions.csv", &["status"]), vec![["SUCCEEDED"]; 30]);
    kill_often(&bench, &serve, "deprovision --yes --quotas none", 3, 30);
    auditor.assert_empty();
}

#[test]
fn a_service_that_throttles_is_asked_more_slowly_and_nothing_is_made_twice() {
    let bench = Bench::new(0);
    let serve = bench.serve(&[&MINUTE[..], &["--quotas", "aws"]].concat());
    let mut provision = aws_command(&bench, &serve, "provision --things 40 --yes --quotas none");
    let told = said(&provision.env("RUST_LOG", "fleetsim=debug").output().unwrap(), 0);
    assert!(told.contains("ThrottlingException"), "it is throttled, and goes on: {told}");
    let auditor = Auditor::new(&bench, &serve);
    auditor.assert_whole(40);
    said(&aws(&bench, &serve, "deprovision --yes --quotas none"), 0);
    auditor.assert_empty();
}

#[test]
fn a_fleet_grows_and_what_is_not_its_own_is_left_alone() {
    let bench = Bench::new(0);
    let serve = bench.serve(&MINUTE);
    let auditor = Auditor::new(&bench, &serve);
    auditor.ask(Method::POST, "/things/sim-000003", "{}");
    said(&aws(&bench, &serve, "provision --things 2 --yes --quotas none"), 0);
    let told = said(&aws(&bench, &serve, "provision --things 5 --yes --quotas none"), 1);
    assert!(told.contains("sim-000003") && told.contains("not of this fleet"), "{told}");
    said(&aws(&bench, &serve, "deprovision --yes --quotas none"), 0);
    assert_eq!(auditor.things().into_iter().collect::<Vec<_>>(), ["sim-000003"]);
    assert_eq!(auditor.others(), [0; 5]);
    // Somebody gives a thing of his the type of the fleet, so that it has to stay: that is said.
    said(&aws(&bench, &serve, "provision --things 2 --yes --quotas none"), 0);
    let types = auditor.names("/thing-types", "thingTypes", "thingTypeName");
    let body = format!("{{\"thingTypeName\":{:?}}}", types.first().unwrap());
    auditor.ask(Method::POST, "/things/theirs", &body);
    let told = said(&aws(&bench, &serve, "deprovision --yes --quotas none"), 1);
    assert!(told.contains("what is left") && told.contains("thing theirs: it has the type"), "{told}");
    auditor.ask(Method::DELETE, "/things/theirs", "");
    said(&aws(&bench, &serve, "deprovision --yes --quotas none"), 0);
    assert_eq!(auditor.others(), [0; 5]);
}

#[test]
fn what_cannot_be_is_refused_before_any_call() {
    let bench = Bench::new(0);
    let serve = bench.serve(&[]);
    bench.write("policy.json", "{}");
    for (args, part) in [
        ("provision --things 2", "--yes"),
        ("provision --yes", "--things N"),
        ("provision --things 2000 --yes", "--allow-things 2000"),
        ("provision --things 2 --thing-name x --yes", "one name"),
        ("provision --things 2 --policy policy.json --yes", "policy.json"),
        ("provision --things 2 --policy nowhere.json --yes", "nowhere.json"),
    ] {
        let told = said(&aws(&bench, &serve, args), 2);
        assert!(told.contains(part), "{args}: {told}");
    }
    assert!(said(&aws(&bench, &serve, "deprovision --yes"), 1).contains("find a fleet in fleet"));
    Auditor::new(&bench, &serve).assert_empty();
    said(&aws(&bench, &serve, "provision --things 2 --yes --quotas none"), 0);
    for (args, part) in [
        ("provision --things 1 --yes", "not shrink"),
        ("provision --aws-keys --yes", "--aws-keys"),
        ("provision --region eu-west-1 --yes", "region us-east-1"),
        ("deprovision --region eu-west-1 --yes", "region us-east-1"),
    ] {
        let told = said(&aws(&bench, &serve, args), 2);
        assert!(told.contains(part), "{args}: {told}");
    }
}

#[test]
fn a_policy_of_ones_own_is_the_fleets() {
    let bench = Bench::new(0);
    let serve = bench.serve(&MINUTE);
    let document = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iot:*","Resource":"*"}}"#;
    bench.write("policy.json", document);
    said(&aws(&bench, &serve, "provision --things 1 --policy policy.json --yes --quotas none"), 0);
    let auditor = Auditor::new(&bench, &serve);
    let policy = auditor.ask(Method::GET, &format!("/policies/{}", auditor.policies().first().unwrap()), "");
    assert_eq!(policy["policyDocument"], document);
}

#[test]
fn a_run_that_is_interrupted_cancels_its_jobs_and_takes_them_away_unless_they_are_kept() {
    let bench = Bench::new(0);
    let serve = bench.serve(&MINUTE);
    let auditor = Auditor::new(&bench, &serve);
    said(&aws(&bench, &serve, "provision --things 3 --yes --quotas none"), 0);
    let endless = SCENARIO.replace("step = '20ms'", "step = '60s'");
    for (more, left) in [(&["--yes"][..], 0), (&["--yes", "--keep-jobs"], 1)] {
        let mut process = Guard(run(&bench, &serve, &endless, more).stderr(Stdio::null()).spawn().unwrap());
        auditor.wait_for_a_job(1);
        let interrupt = |process: &Guard| {
            let pid = rustix::process::Pid::from_child(&process.0);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        };
        interrupt(&process);
        // At once, and not when things have done what they had begun, or 10 s are up.
        auditor.wait_until("the job is canceled", || auditor.jobs().iter().any(|job| job["status"] == "CANCELED"));
        assert!(process.0.try_wait().unwrap().is_none(), "the run drains");
        interrupt(&process);
        assert_eq!(process.0.wait().unwrap().code(), Some(105));
        let jobs = auditor.jobs();
        assert_eq!(jobs.len(), left, "{jobs:?}");
        assert!(jobs.iter().all(|job| job["status"] == "CANCELED"), "{jobs:?}");
    }
    // A run for a part of the fleet makes a group; killed, it can take nothing away.
    let for_some = endless.replace("rate =", "targets = { share = 0.7 }\nrate =");
    let mut process = Guard(run(&bench, &serve, &for_some, &["--yes"]).stderr(Stdio::null()).spawn().unwrap());
    auditor.wait_for_a_job(2);
    process.0.kill().unwrap();
    process.0.wait().unwrap();
    assert_eq!(auditor.others(), [3, 1, 2, 1, 2]);
    // All of which the inventory knows of.
    said(&aws(&bench, &serve, "deprovision --yes --quotas none"), 0);
    auditor.assert_empty();
}

#[test]
fn no_secret_is_in_any_log_error_or_result() {
    let bench = Bench::new(0);
    let serve = bench.serve(&MINUTE);
    let file = bench.text("pki/aws-credentials");
    let value = |key: &str| file.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = ")).unwrap().to_owned();
    let (id, secret, token) = (value("aws_access_key_id"), value("aws_secret_access_key"), "T0kenThatNobodyMaySee");
    let mut told = String::new();
    let mut keep = |mut command: Command, code: i32| {
        command.env("AWS_ACCESS_KEY_ID", &id).env("AWS_SECRET_ACCESS_KEY", &secret).env("AWS_SESSION_TOKEN", token);
        told += &said(&command.env("RUST_LOG", "trace").output().unwrap(), code);
    };
    keep(aws_command(&bench, &serve, "provision --things 3 --aws-keys --yes --quotas none"), 0);
    keep(aws_command(&bench, &serve, "provision --things 3 --yes --region eu-west-1"), 2);
    keep(run(&bench, &serve, SCENARIO, &["--yes"]), 0);
    keep(aws_command(&bench, &serve, "endpoint --type nothing"), 1);
    keep(aws_command(&bench, &serve, "deprovision --yes --quotas none"), 0);
    for (what, text) in [("the secret key", &*secret), ("the session token", token), ("a private key", "PRIVATE KEY")] {
        let line = told.lines().find(|line| line.contains(text));
        assert!(line.is_none(), "{what} was said: {line:?}");
        for folder in ["out", "fleet"] {
            assert_eq!(files_with(&bench.path(folder), text), [""; 0], "{what} is in a file");
        }
    }
}

/// Files below a folder that hold the text; keys are where they belong in `*.key.pem`.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if !path.to_string_lossy().ends_with(".key.pem") {
            let bytes = std::fs::read(&path).unwrap();
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}
