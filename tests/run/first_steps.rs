//! The first five minutes: what the program says by itself, the demo, and what to do after a run.

use crate::bench::{Bench, SMALL};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The commands that a summary ends with. They name the program as it was started: here by its path.
fn next_commands(summary: &str) -> Vec<String> {
    let summary = summary.replace(env!("CARGO_BIN_EXE_fleetsim"), "fleetsim");
    let (_, next) = summary.split_once("\nnext:\n").unwrap_or_else(|| panic!("nothing is next in\n{summary}"));
    next.lines().map(|line| line.trim().split_once("  ").unwrap().0.to_owned()).collect()
}

/// Runs what the program told somebody to type.
fn type_in(bench: &Bench, command: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_fleetsim"));
    let folder = program.parent().unwrap().display().to_string();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(bench.dir.path()).env("PATH", path).env("FLEETSIM_RUN_UI", "none");
    shell.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn alone_it_says_what_to_do_next_and_each_of_it_works() {
    let bench = Bench::new();
    let output = type_in(&bench, "fleetsim");
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(text.lines().count() < 15 && text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let is_shown = |command: &str| text.lines().any(|line| line.trim().starts_with(&format!("{command}  ")));
    assert!(is_shown("fleetsim demo") && is_shown("fleetsim run 10k"), "{text}");
    // The two above take their time: others run the same scenarios.
    for command in ["fleetsim scenarios", "fleetsim scenarios init 10k mine.toml", "fleetsim check mine.toml"] {
        assert!(text.contains(command), "{text}");
        let done = type_in(&bench, command);
        assert!(done.status.success(), "{command}: {}", stderr(&done));
    }
    let by_path = stdout(&bench.run(&[]));
    assert!(by_path.contains(&format!("{} demo  ", env!("CARGO_BIN_EXE_fleetsim"))), "who has it not on the PATH, too: {by_path}");
    let wrong = bench.run(&["--nothing"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", stderr(&wrong));
}

#[test]
fn the_demo_ends_by_itself_and_says_how_to_go_on() {
    let bench = Bench::new();
    let mut command = bench.command(&["demo", "--ui", "plain", "--out", "out"]);
    let output = command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").output().unwrap();
    assert_eq!(bench.code(output.status), Some(0), "{}", stderr(&output));
    let told = stderr(&output);
    assert!(told.contains("certificates: 300 made") && told.contains("phase=rollout"), "{told}");
    let ended: Vec<u64> = ["succeeded", "failed", "rejected"]
        .map(|status| bench.manifest("out")["totals"]["executions"][status].as_u64().unwrap())
        .into();
    assert!(ended.iter().sum::<u64>() == 300 && ended[1] > 0, "all end, and not all well: {ended:?}");
    if bench.manifest("out")["verdict"] == "PASS" {
        assert_eq!(next_commands(&stdout(&output))[0], "fleetsim run 10k");
        assert!(stdout(&output).contains(&format!("{} run 10k  ", env!("CARGO_BIN_EXE_fleetsim"))));
    }
}

#[test]
fn a_run_that_passed_can_be_checked_and_had_again_as_it_says() {
    let bench = Bench::new();
    bench.run(&["scenarios", "init", "smoke", "mine.toml"]);
    let text = bench.text("mine.toml").replace("name = \"smoke\"", "name = \"mine\"");
    fs::write(bench.path("mine.toml"), text).unwrap();
    let args = ["run", "mine.toml", "--things", "4", "--ui", "plain", "--out", "my runs/first"];
    let output = bench.command(&args).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").output().unwrap();
    // On a busy machine other commands are named.
    if bench.manifest("my runs/first")["verdict"] != "PASS" {
        return;
    }
    let commands = next_commands(&stdout(&output));
    assert_eq!(commands, ["fleetsim check 'my runs/first/scenario.toml'", "fleetsim run 'my runs/first/scenario.toml'"]);
    for command in commands {
        let done = type_in(&bench, &command);
        assert!(matches!(done.status.code(), Some(0 | 98)), "{command}: {}", stderr(&done));
    }
    assert_eq!(bench.manifest("results/latest")["scenario_sha256"], bench.manifest("my runs/first")["scenario_sha256"]);
}

#[test]
fn a_run_that_failed_names_its_errors_and_one_that_never_began_its_scenario() {
    let bench = Bench::new();
    let refuse =
        ["--set", "target.emulator.reject={ share = 0.5 }", "--set", "thresholds.\"start_next.response_ms.p99\"='< 0.001'"];
    let failed = bench.run(&[SMALL, &refuse].concat());
    if bench.manifest("out")["verdict"] == "FAIL" {
        assert_eq!(next_commands(&stdout(&failed))[0], "less out/errors.csv");
        assert!(bench.text("out/errors.csv").lines().count() > 1);
    }
    let lost = "name = 'lost'\n[target]\nkind = 'mqtt'\nhost = '127.0.0.1'\nport = 1\n[target.tls]\nca = 'no.pem'\ncert = 'no.pem'\nkey = 'no.pem'\n\
                [fleet]\nthings = 2\n[end]\nduration = '2s'\n";
    fs::write(bench.path("lost.toml"), lost).unwrap();
    let output = bench.run(&["run", "lost.toml", "--ui", "plain", "--out", "lost"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(next_commands(&stdout(&output)), ["fleetsim check lost/scenario.toml", "fleetsim run lost/scenario.toml"]);
}

#[test]
fn there_is_a_manual_page_for_every_command_of_the_help() {
    let bench = Bench::new();
    let output = bench.run(&["man", "pages/man1"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let help = stdout(&bench.run(&["--help"]));
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<&str> = commands.filter(|line| line.starts_with("  ") && !line.starts_with("   ")).collect();
    assert!(commands.len() > 10, "{help}");
    for command in commands.iter().map(|line| line.split_whitespace().next().unwrap()).filter(|command| *command != "help") {
        let page = bench.text(&format!("pages/man1/fleetsim-{command}.1"));
        assert!(page.contains(".SH SYNOPSIS") && page.contains("fleetsim"), "{command}: {page}");
    }
    assert!(bench.text("pages/man1/fleetsim.1").contains(".SH SUBCOMMANDS"));
    let again = bench.run(&["man", "again"]);
    assert!(again.status.success());
    assert_eq!(bench.text("again/fleetsim-run.1"), bench.text("pages/man1/fleetsim-run.1"), "pages carry no date");
}
