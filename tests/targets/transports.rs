//! Every way in at an endpoint that is not the run's own: ports, certificates where they are shown, keys where they sign.

use crate::account::{ROLLOUT, WORK, aws, run};
use crate::bench::{Bench, EACH_ITS_OWN, Guard, Serve, assert_code, create_job, mqtt};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

/// Cohorts of one thing each, over every transport.
const EACH_TRANSPORT: &str = "[[cohort]]\nname = 'mqtt'\nshare = 0.2\n\
     [[cohort]]\nname = 'mqtt5'\nshare = 0.2\ntransport = 'mqtt5'\n\
     [[cohort]]\nname = 'mqtt-ws'\nshare = 0.2\ntransport = 'mqtt-ws'\n\
     [[cohort]]\nname = 'https-mtls'\nshare = 0.2\ntransport = 'https-mtls'\npoll = { every = '300ms' }\n\
     [[cohort]]\nname = 'https-sigv4'\nshare = 0.2\ntransport = 'https-sigv4'\npoll = { every = '300ms' }\n";

fn ports(serve: &Serve) -> String {
    let api = serve.api.rsplit(':').next().unwrap();
    format!("ports = {{ mqtt = {}, https = {}, api = {api} }}", serve.mqtt_port, serve.https_port)
}

/// Statuses by cohort, in its order.
fn statuses(bench: &Bench) -> Vec<Vec<String>> {
    let mut rows = bench.cells("executions.csv", &["cohort", "status", "anomaly"]);
    rows.sort();
    rows
}

fn all_succeeded() -> Vec<Vec<String>> {
    ["https-mtls", "https-sigv4", "mqtt", "mqtt-ws", "mqtt5"]
        .map(|cohort| vec![cohort.into(), "SUCCEEDED".into(), String::new()])
        .into()
}

#[test]
fn an_account_is_reached_by_every_transport() {
    let bench = Bench::new(5);
    let serve = bench.serve(&["--things", "5"]);
    let target = format!("region = 'us-east-1'\nhost = '127.0.0.1'\n{}\nserver_name = 'localhost'", ports(&serve));
    let rollout = ROLLOUT.replace("0.6", "1.0");
    assert_code(&run(&bench, &serve, &aws(5, &target, &format!("{EACH_TRANSPORT}{rollout}")), |_| {}), 0);
    assert_eq!(statuses(&bench), all_succeeded());
    // The address that the account tells is the same for all.
    let target = target.replace("host = '127.0.0.1'\n", "");
    let rollout = rollout.replace("fw-1", "fw-2");
    assert_code(&run(&bench, &serve, &aws(5, &target, &format!("{EACH_TRANSPORT}{rollout}")), |_| {}), 0);
    assert_eq!(statuses(&bench), all_succeeded());
}

#[test]
fn jobs_of_others_reach_things_over_every_transport() {
    reach_things_over_every_transport("127.0.0.1", "127.0.0.1");
}

#[test]
fn an_ipv6_address_is_a_host_as_it_is() {
    reach_things_over_every_transport("[::1]", "::1");
}

#[test]
fn an_ipv6_address_in_brackets_is_a_host_too() {
    reach_things_over_every_transport("::1", "[::1]");
}

#[test]
fn an_account_at_an_ipv6_address_is_reached_by_every_transport() {
    let bench = Bench::new(5);
    let serve = bench.serve(&["--things", "5", "--bind", "::1"]);
    assert!(serve.api.starts_with("[::1]:"), "{}", serve.api);
    let target = format!("region = 'us-east-1'\n{}\nserver_name = 'localhost'", ports(&serve));
    let rollout = ROLLOUT.replace("0.6", "1.0");
    assert_code(&run(&bench, &serve, &aws(5, &target, &format!("{EACH_TRANSPORT}{rollout}")), |_| {}), 0);
    assert_eq!(statuses(&bench), all_succeeded());
}

fn reach_things_over_every_transport(bind: &str, host: &str) {
    let bench = Bench::new(5);
    let serve = bench.serve(&["--things", "5", "--bind", bind]);
    let scenario = mqtt(&serve.mqtt_port, 5, EACH_ITS_OWN, &format!("{WORK}{EACH_TRANSPORT}[end]\nexpect = 5\nlimit = '40s'"));
    let scenario = scenario.replace("host = '127.0.0.1'", &format!("host = '{host}'"));
    bench.write("s.toml", &scenario.replace(&format!("port = {}", serve.mqtt_port), &ports(&serve)));
    let mut command = bench.command(&["run", "s.toml", "--ui", "none", "--out", "out"]);
    let (id, secret) = key(&bench);
    command.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret).env("AWS_REGION", "us-east-1");
    let mut run = Guard(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    bench.wait_until_connected(5);
    create_job(&bench, &serve, 5, "theirs", r#"{"operation":"x"}"#);
    assert_eq!(run.0.wait().unwrap().code(), Some(0), "{}", bench.text("out/run.json"));
    assert_eq!(statuses(&bench), all_succeeded());
}

fn key(bench: &Bench) -> (String, String) {
    let file = bench.text("pki/aws-credentials");
    let value = |key: &str| file.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = ")).unwrap().to_owned();
    (value("aws_access_key_id"), value("aws_secret_access_key"))
}

/// Things that sign, for four seconds, and nothing of certificates but the CA.
fn signing(serve: &Serve, transport: &str) -> String {
    let poll =
        if transport.starts_with("https") { "[[cohort]]\nname = 'all'\npoll = { every = '200ms', jitter = 0 }\n" } else { "" };
    format!(
        "name = 's'\n[target]\nkind = 'mqtt'\nhost = '127.0.0.1'\n{}\nserver_name = 'localhost'\n[target.tls]\nca = 'pki/ca.cert.pem'\n\
         [fleet]\nthings = 3\nthing_name = 't-{{index}}'\ntransport = '{transport}'\n{poll}[end]\nduration = '4s'\n",
        ports(serve)
    )
}

#[test]
fn over_a_websocket_things_need_no_certificates_and_a_key_that_is_known() {
    need_a_known_key("mqtt-ws", "upgrade_refused");
}

#[test]
fn over_signed_https_things_need_no_certificates_and_a_key_that_is_known() {
    need_a_known_key("https-sigv4", "forbidden");
}

fn need_a_known_key(transport: &str, refusal: &str) {
    let bench = Bench::new(3);
    let serve = bench.serve(&["--things", "3"]);
    let run = |scenario: &str, change: &dyn Fn(&mut Command)| {
        bench.write("s.toml", scenario);
        let _ = std::fs::remove_dir_all(bench.path("out"));
        let mut command = bench.command(&["run", "s.toml", "--ui", "none", "--out", "out"]);
        command.env("AWS_CONFIG_FILE", "none").env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_REGION", "us-east-1");
        change(&mut command);
        command.output().unwrap()
    };
    let known = |command: &mut Command| {
        command.env("AWS_SHARED_CREDENTIALS_FILE", "pki/aws-credentials");
    };
    let unknown = |command: &mut Command| {
        command.env("AWS_ACCESS_KEY_ID", "AKIAOTHER").env("AWS_SECRET_ACCESS_KEY", "other");
    };
    let nobody = |command: &mut Command| {
        command.env("AWS_SHARED_CREDENTIALS_FILE", "nowhere");
    };
    let scenario = signing(&serve, transport);
    assert_code(&run(&scenario, &known), 0);
    assert_eq!((bench.connected(), bench.cells("errors.csv", &["code"]).len()), (3, 0), "{transport}");
    assert!(assert_code(&run(&scenario, &unknown), 1).contains("not one of 3 things could connect"));
    let codes = bench.cells("errors.csv", &["code"]);
    assert!(codes.iter().any(|row| row[0] == refusal), "{transport}: {codes:?}");
    let told = assert_code(&run(&scenario, &nobody), 1);
    assert!(told.contains("get credentials"), "before anything connects: {told}");
    let told = assert_code(&run(&scenario, &|command| known(command.env_remove("AWS_REGION"))), 1);
    assert!(told.contains("AWS_REGION"), "{told}");
}

/// The program that gives them is asked again five minutes before they expire, as AWS's SDKs do.
#[test]
fn keys_are_renewed_before_they_expire() {
    let bench = Bench::new(3);
    let serve = bench.serve(&["--things", "3"]);
    let (id, secret) = key(&bench);
    bench.write(
        "keys.sh",
        &format!(
            "#!/bin/sh\necho asked >> asked\nprintf '{{\"Version\":1,\"AccessKeyId\":\"{id}\",\"SecretAccessKey\":\"{secret}\",\
             \"SessionToken\":\"t\",\"Expiration\":\"%s\"}}' \"$(date -u -d '+301 seconds' +%Y-%m-%dT%H:%M:%SZ)\"\n"
        ),
    );
    std::fs::set_permissions(bench.path("keys.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    bench.write("config", &format!("[default]\nregion = us-east-1\ncredential_process = {}\n", bench.path("keys.sh").display()));
    bench.write("s.toml", &signing(&serve, "https-sigv4").replace("duration = '4s'", "duration = '7s'"));
    let mut command = bench.command(&["run", "s.toml", "--ui", "none", "--out", "out"]);
    command.env("AWS_CONFIG_FILE", "config").env("AWS_SHARED_CREDENTIALS_FILE", "none").env("AWS_EC2_METADATA_DISABLED", "true");
    assert_code(&command.output().unwrap(), 0);
    assert_eq!((bench.connected(), bench.cells("errors.csv", &["code"]).len()), (3, 0));
    let asked = bench.text("asked").lines().count();
    assert!(
        (2..=3).contains(&asked),
        "for seven seconds, each key to be renewed after one, and not asked for again within five: {asked}"
    );
}
