//! What people expect of any program on their command line: streams, folders, variables.

use crate::bench::{Bench, SMALL};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Every command that prints something, in a folder with a scenario, a store and results.
const PRINTING: &[&[&str]] = &[
    &["--help"],
    &["--version"],
    &["run", "--help"],
    &["completions", "bash"],
    &["scenarios"],
    &["scenarios", "show", "smoke"],
    &["scenarios", "thresholds"],
    &["scenarios", "init", "smoke", "-"],
    &["check", "smoke"],
    &["check", "smoke", "--json"],
    &["check", "smoke", "--print-scenario"],
    &["check", "--print-prices"],
    &["report", "out"],
    &["serve", "--print-quotas"],
    &["serve", "--print-config"],
    &["certs", "pack", "certs/smoke", "-"],
    &["certs", "pack", "certs/smoke", "fleet.pem"],
];
/// Those of whole runs.
const RUNS: &[&[&str]] = &[
    &["run", "smoke", "--things", "2", "--out", "again", "--ui", "plain"],
    &["run", "smoke", "--things", "2", "--out", "again", "--ui", "json"],
];

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn bench_with_results() -> Bench {
    let bench = Bench::new();
    assert_eq!(bench.code(bench.run(SMALL).status), Some(0));
    bench
}

fn run_into(bench: &Bench, args: &[&str], stdout: impl Into<Stdio>) -> Output {
    let _ = fs::remove_dir_all(bench.path("again"));
    bench.command(args).stdout(stdout).output().unwrap()
}

#[test]
fn what_does_not_get_onto_a_full_disk_is_an_error() {
    let bench = bench_with_results();
    for args in PRINTING.iter().chain(RUNS) {
        let output = run_into(&bench, args, File::options().write(true).open("/dev/full").unwrap());
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("write to standard output: No space left on device"), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_nobodys_problem() {
    let bench = bench_with_results();
    for args in PRINTING.iter().chain(RUNS) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = run_into(&bench, args, writer);
        assert!(matches!(output.status.code(), Some(0 | 98)), "{args:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("panicked"), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn errors_that_nobody_can_read_have_their_exit_code() {
    let bench = Bench::new();
    fs::write(bench.path("bad.toml"), "name = 'x'\nsede = 1\n").unwrap();
    fs::write(bench.path("endpoint.toml"), "minute = 'x'\n").unwrap();
    for (args, code) in [
        (&["check", "bad.toml"][..], 104),
        (&["run", "nowhere.toml"], 104),
        (&["serve", "--dir", "d", "--config", "endpoint.toml"], 104),
        (&["report", "nowhere"], 1),
        (&["walk"], 2),
        (&["run", "smoke", "--ui", "tui"], 2),
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        assert_eq!(bench.command(args).stderr(full).status().unwrap().code(), Some(code), "{args:?}");
    }
}

#[test]
fn an_endpoint_that_cannot_say_where_it_is_ends() {
    let bench = Bench::new();
    let args = ["serve", "--dir", "pki", "--mqtt-port", "0", "--https-port", "0", "--api-port", "0"];
    let output = run_into(&bench, &args, File::options().write(true).open("/dev/full").unwrap());
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("standard output"), "{}", stderr(&output));
}

// ------------------------------------------------------------------------------------------------------------------ streams

fn feed(mut command: Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_dash_is_standard_input_or_output_where_a_file_is_wanted() {
    let bench = bench_with_results();
    let packed = bench.run(&["certs", "pack", "certs/smoke", "-"]);
    let packed = String::from_utf8(packed.stdout).unwrap();
    assert!(packed.starts_with("thing: ") && !packed.contains("things:"), "the bundle alone");
    assert!(bench.run(&["certs", "pack", "certs/smoke", "fleet.pem"]).status.success());
    assert_eq!(packed, bench.text("fleet.pem"));

    let scenario = String::from_utf8(bench.run(&["scenarios", "init", "smoke", "-"]).stdout).unwrap();
    let quotas = String::from_utf8(bench.run(&["serve", "--print-quotas"]).stdout).unwrap();
    let ca = bench.text("certs/smoke/ca.cert.pem");
    let other = "name = 's'\n[target]\nkind = 'mqtt'\nhost = 'localhost'\n[target.tls]\nbundle = 'fleet.pem'\n[fleet]\nthings = 2\n[end]\nidle = '1s'\n";
    fs::write(bench.path("other.toml"), other).unwrap();
    for (args, input, shown) in [
        (&["check", "-", "--seed", "9", "--print-scenario"][..], &*scenario, "seed = 9"),
        (&["check", "other.toml", "--ca", "-"], &ca, "it fits"),
        (&["certs", "unpack", "-", "again"], &packed, "8 things: again"),
        (&["serve", "--print-config", "--config", "-"], "minute = '2s'\n", "minute = \"2s\""),
        (&["serve", "--print-config", "--quotas", "-"], &quotas, "quotas"),
    ] {
        let output = feed(bench.command(args), input);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(stdout.contains(shown), "{args:?}: {stdout}");
    }
    assert!(!bench.path("-").exists(), "no file has that name");

    for (args, input, why) in [
        (&["check", "-"][..], "name = 1\n", "standard input:1"),
        (&["check", "-", "--host", "h", "--set", "target.kind='mqtt'", "--ca", "-"], other, "only one file may be"),
        (&["serve", "--dir", "d", "--state", "-"], "", "--state"),
        (&["serve", "--dir", "d", "--ledger", "-", "--requests", "-"], "", "one of them"),
    ] {
        let output = feed(bench.command(args), input);
        assert!(!output.status.success() && stderr(&output).contains(why), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn a_ledger_on_standard_output_is_nothing_but_a_ledger() {
    use std::io::{BufRead as _, BufReader};
    let bench = Bench::new();
    let args = ["serve", "--dir", "pki", "--mqtt-port", "0", "--https-port", "0", "--api-port", "0", "--ledger", "-"];
    let mut serve = crate::bench::Guard(bench.spawn(&args));
    let (mut ready, mut header) = (String::new(), String::new());
    BufReader::new(serve.0.stderr.take().unwrap()).read_line(&mut ready).unwrap();
    BufReader::new(serve.0.stdout.take().unwrap()).read_line(&mut header).unwrap();
    assert!(ready.contains("\"event\":\"ready\""), "{ready}");
    assert!(header.starts_with("mono_ns,thing,job"), "{header}");
}

// ------------------------------------------------------------------------------------------------------------------ folders

/// Nobody makes files there, not even root.
const READ_ONLY: &str = "/proc";
const FEW: &[&str] = &["run", "smoke", "--things", "2", "--ui", "plain"];

fn run_at(bench: &Bench, args: &[&str], variables: &[(&str, &Path)]) -> Output {
    let out = bench.path("out");
    let _ = fs::remove_dir_all(&out);
    let mut command = bench.command(&[FEW, &["--out", out.to_str().unwrap()], args].concat());
    for name in ["XDG_DATA_HOME", "HOME", "FLEETSIM_CERTS"] {
        command.env_remove(name);
    }
    command.current_dir(READ_ONLY).envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn a_run_needs_no_working_directory_that_can_be_written() {
    let bench = Bench::new();
    let (home, data, said) = (bench.path("home"), bench.path("data"), bench.path("said"));
    let empty = Path::new("");
    let said_text = said.display().to_string();
    for (args, variables, expected) in [
        (&[][..], &[("HOME", &*home)][..], home.join(".local/share/fleetsim/certs/smoke")),
        (
            &[],
            &[("HOME", &home), ("XDG_DATA_HOME", empty), ("FLEETSIM_CERTS", empty)],
            home.join(".local/share/fleetsim/certs/smoke"),
        ),
        (&[], &[("HOME", &home), ("XDG_DATA_HOME", &data)], data.join("fleetsim/certs/smoke")),
        (&[], &[("XDG_DATA_HOME", &data), ("FLEETSIM_CERTS", &said)], said.join("smoke")),
        (&["--certs", &said_text], &[("FLEETSIM_CERTS", &data)], said.join("smoke")),
    ] {
        let output = run_at(&bench, args, variables);
        assert_eq!(bench.code(output.status), Some(0), "{args:?} {variables:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(&format!("certificates: {}", expected.display())), "{}", stderr(&output));
        assert!(expected.join("ca.cert.pem").exists());
        fs::remove_dir_all(&expected).unwrap();
    }
    let output = run_at(&bench, &[], &[]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("--certs or FLEETSIM_CERTS"), "{}", stderr(&output));
    // So have the results, with a link to the newest.
    let without_out = || {
        let mut command = bench.command(FEW);
        command.current_dir(READ_ONLY).env_remove("XDG_DATA_HOME").env("HOME", &home);
        command
    };
    let output = without_out().output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 98)), "{}", stderr(&output));
    let results = home.join(".local/share/fleetsim/results");
    assert!(stderr(&output).contains(&format!("results: {}/smoke-", results.display())), "{}", stderr(&output));
    assert!(results.join("latest/run.json").exists() && !bench.path("results").exists());
    let output = without_out().env_remove("HOME").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("--out DIR"), "{}", stderr(&output));
}

#[test]
fn certificates_stay_beside_the_scenario_where_they_can() {
    let bench = Bench::new();
    let output = bench.command(&[FEW, &["--out", "out"]].concat()).env("XDG_DATA_HOME", bench.path("data")).output().unwrap();
    assert_eq!(bench.code(output.status), Some(0), "{}", stderr(&output));
    assert!(bench.path("certs/smoke/ca.cert.pem").exists() && !bench.path("data").exists());
    let other =
        "name = 's'\n[target]\nkind = 'mqtt'\nhost = 'localhost'\n[fleet]\nthings = 2\ntransport = 'mqtt-ws'\n[end]\nidle = '1s'\n";
    fs::write(bench.path("other.toml"), other).unwrap();
    let refused = bench.run(&["run", "other.toml", "--certs", "x"]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("target.tls"), "{}", stderr(&refused));
}

#[test]
fn runs_that_begin_together_have_results_of_their_own() {
    let bench = Bench::new();
    let args = ["run", "smoke", "--things", "2", "--ui", "none"];
    let mut runs: Vec<_> = (0..3).map(|_| crate::bench::Guard(bench.spawn(&args))).collect();
    for run in &mut runs {
        let code = run.wait(std::time::Duration::from_secs(100));
        assert!(matches!(code, 0 | 98 | 99), "{code}");
    }
    let results = fs::read_dir(bench.path("results")).unwrap().map(|entry| entry.unwrap().path());
    let manifests = results.filter(|path| !path.is_symlink() && path.join("run.json").exists()).count();
    assert_eq!(manifests, 3);
    assert!(bench.path("results/latest/run.json").exists());
}

// ---------------------------------------------------------------------------------------------------------------- variables

#[test]
fn an_empty_variable_counts_as_unset() {
    let bench = Bench::new();
    let names = ["OUT", "UI", "SHARDS", "FPS", "THINGS", "SEED", "HOST", "PORT", "CA", "CERT", "KEY"]
        .map(|name| format!("FLEETSIM_RUN_{name}"));
    let empty = |args: &[&str]| {
        let mut command = bench.command(args);
        let others = ["FLEETSIM_CERTS", "RUST_LOG", "NO_COLOR", "SSLKEYLOGFILE", "CI"];
        command.envs(names.iter().map(String::as_str).chain(others).map(|name| (name, "")));
        command.output().unwrap()
    };
    let checked = empty(&["check", "smoke", "--print-scenario"]);
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
    assert_eq!(checked.stdout, bench.run(&["check", "smoke", "--print-scenario"]).stdout);
    let ran = empty(FEW);
    assert!(matches!(ran.status.code(), Some(0 | 98)), "{}", stderr(&ran));
    assert!(bench.path("results/latest/run.json").exists() && bench.path("certs/smoke").exists());
    // Warnings are as without it, not fewer.
    fs::write(bench.path("certs/smoke/aws-credentials"), "nothing of use").unwrap();
    let warned = empty(FEW);
    assert!(stderr(&warned).contains("no usable credentials"), "{}", stderr(&warned));
}
