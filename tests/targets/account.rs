//! `kind = "aws"`, with the local endpoint as the account; and jobs that others create.

use crate::bench::{Bench, EACH_ITS_OWN, Guard, Serve, assert_code, create_job, in_account, mqtt};
use std::process::{Output, Stdio};

pub(crate) const WORK: &str = "[behavior.quick]\nreaction = '0s'\nstep = '20ms'\nupdates = 1\n";

pub(crate) fn aws(things: usize, target: &str, rest: &str) -> String {
    format!(
        "name = 's'\n[target]\nkind = 'aws'\n{target}\n[target.tls]\nca = 'pki/ca.cert.pem'\n{EACH_ITS_OWN}\n\
         [fleet]\nthings = {things}\nthing_name = 't-{{index}}'\n{WORK}{rest}\n[end]\nlimit = '30s'\n"
    )
}

pub(crate) const ROLLOUT: &str =
    "[[rollout]]\njob = 'fw-1'\nrate = '100/s'\ntargets = { share = 0.6 }\ndocument = { operation = 'x' }";

/// Runs against the account that `serve` is.
pub(crate) fn run(bench: &Bench, serve: &Serve, scenario: &str, change: impl FnOnce(&mut std::process::Command)) -> Output {
    bench.write("s.toml", scenario);
    let _ = std::fs::remove_dir_all(bench.path("out"));
    let mut command = bench.command(&["run", "s.toml", "--ui", "none", "--out", "out", "--yes"]);
    in_account(&mut command, serve);
    change(&mut command);
    command.output().unwrap()
}

#[cfg(feature = "aws")]
#[test]
fn an_account_tells_its_endpoint_and_takes_rollouts() {
    let bench = Bench::new(5);
    let serve = bench.serve(&["--things", "5"]);
    let output = run(&bench, &serve, &aws(5, "region = 'us-east-1'", ROLLOUT), |_| {});
    assert_code(&output, 0);
    let rows = bench.cells("executions.csv", &["job", "status", "anomaly"]);
    assert_eq!(rows.len(), 3, "six tenths of five things: {rows:?}");
    assert!(rows.iter().all(|row| row[0].starts_with("fw-1-2") && row[1] == "SUCCEEDED" && row[2].is_empty()), "{rows:?}");
    assert_eq!(bench.connected(), 5);
    // The region may come from the environment, and where a variable is empty from the profile; the job of each run is another.
    let again = run(&bench, &serve, &aws(5, "", ROLLOUT), |command| {
        command.env("AWS_REGION", "us-east-1");
    });
    assert_code(&again, 0);
    bench.write("config", "[default]\nregion = us-east-1\n");
    let of_profile = run(&bench, &serve, &aws(5, "", ROLLOUT), |command| {
        command.env("AWS_REGION", "").env("AWS_DEFAULT_REGION", "").env("AWS_CONFIG_FILE", "config");
    });
    assert_code(&of_profile, 0);
}

#[cfg(feature = "aws")]
#[test]
fn what_an_account_does_not_give_is_said_in_words() {
    let bench = Bench::new(1);
    let serve = bench.serve(&["--things", "1"]);
    let idle = "";
    let scenario = |target: &str| aws(1, target, idle).replace("[end]\n", "[end]\nduration = '1s'\n");
    let told = assert_code(&run(&bench, &serve, &scenario(""), |_| {}), 1);
    assert!(told.contains("no region") && told.contains("AWS_REGION"), "{told}");
    let told = assert_code(&run(&bench, &serve, &scenario("region = 'eu-west-1'"), |_| {}), 1);
    assert!(told.contains("DescribeEndpoint") && told.contains("InvalidSignatureException"), "{told}");
    let nobody = |command: &mut std::process::Command| {
        command.env("AWS_SHARED_CREDENTIALS_FILE", "nowhere");
    };
    let told = assert_code(&run(&bench, &serve, &scenario("region = 'us-east-1'"), nobody), 1);
    assert!(told.contains("get credentials"), "{told}");
    let told = assert_code(&run(&bench, &serve, &scenario("region = 'us-east-1'\nprofile = 'other'"), |_| {}), 1);
    assert!(told.contains("get credentials") && told.contains("other"), "{told}");
    let strange = |command: &mut std::process::Command| {
        command.env("AWS_ENDPOINT_URL_IOT", "ftp://x");
    };
    assert!(assert_code(&run(&bench, &serve, &scenario("region = 'us-east-1'"), strange), 1).contains("https://"));
    // A host that is said needs nothing of an account.
    let host = format!("host = '127.0.0.1'\nport = {}", serve.mqtt_port);
    assert_code(&run(&bench, &serve, &scenario(&host), nobody), 0);
    assert_eq!(bench.connected(), 1);
}

#[cfg(feature = "aws")]
#[test]
fn an_account_that_throttles_is_waited_for() {
    let bench = Bench::new(30);
    let serve = bench.serve(&["--things", "30", "--quotas", "aws"]);
    let rollout = ROLLOUT.replace("0.6", "1.0").replace("100/s", "1000/min");
    assert_code(&run(&bench, &serve, &aws(30, "region = 'us-east-1'", &rollout), |_| {}), 0);
    let rows = bench.cells("executions.csv", &["status"]);
    assert_eq!(rows, vec![["SUCCEEDED"]; 30], "30 calls at 10 a second");
}

#[cfg(feature = "aws")]
#[test]
fn temporary_credentials_are_signed_with_their_token() {
    let bench = Bench::new(1);
    let serve = bench.serve(&["--things", "1"]);
    let file = bench.text("pki/aws-credentials");
    let value = |key: &str| file.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = ")).unwrap().to_owned();
    let (id, secret) = (value("aws_access_key_id"), value("aws_secret_access_key"));
    let output = run(&bench, &serve, &aws(1, "region = 'us-east-1'", &ROLLOUT.replace("0.6", "1.0")), |command| {
        command.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret).env("AWS_SESSION_TOKEN", "a/token+==");
    });
    assert_code(&output, 0);
    assert_eq!(bench.cells("executions.csv", &["status"]), [["SUCCEEDED"]]);
}

#[cfg(not(feature = "aws"))]
#[test]
fn a_build_without_the_feature_refuses_with_the_remedy() {
    let bench = Bench::new(5);
    let serve = bench.serve(&["--things", "5"]);
    let told = assert_code(&run(&bench, &serve, &aws(5, "region = 'us-east-1'", ROLLOUT), |_| {}), 1);
    assert!(told.contains("--features aws"), "{told}");
}

fn jobs_of_others(end: &str) -> Vec<Vec<String>> {
    let bench = Bench::new(3);
    let serve = bench.serve(&["--things", "3"]);
    bench.write("s.toml", &mqtt(&serve.mqtt_port, 3, EACH_ITS_OWN, &format!("{WORK}[end]\n{end}\nlimit = '40s'")));
    let args = ["run", "s.toml", "--ui", "json", "--out", "out"];
    let mut run = Guard(bench.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    bench.wait_until_connected(3);
    create_job(&bench, &serve, 3, "theirs", r#"{"operation":"x"}"#);
    let status = run.0.wait().unwrap();
    assert_eq!(status.code(), Some(0), "{}", bench.text("out/run.json"));
    bench.cells("executions.csv", &["job", "status", "anomaly"])
}

#[test]
fn a_run_waits_for_as_many_executions_of_others_as_it_is_told() {
    let rows = jobs_of_others("expect = 3");
    assert_eq!(rows, vec![["theirs", "SUCCEEDED", ""]; 3]);
}

#[test]
fn a_run_ends_when_nothing_happens_any_more_after_jobs_of_others() {
    let rows = jobs_of_others("when = 'idle'\nidle = '4s'");
    assert_eq!(rows, vec![["theirs", "SUCCEEDED", ""]; 3]);
}
