//! What is worth doing after a run: the two most useful commands, given how it went.

use super::html::PAGE;
use super::manifest::{Manifest, Mode, Verdict};
use super::record::load_manifest;
use super::shard_totals::MergedShard;
use super::tables;
use super::writer::SCENARIO;
use host::environment::variable;
use host::shell::{program, quoted};
use std::fs;
use std::path::{Path, PathBuf};

const SHOWN: usize = 2;
/// Folders of earlier runs that are looked at, the newest first.
const EARLIER_MAX: usize = 20;
/// Shorter runs are over before there is anything to compare.
const COMPARABLE_S: u64 = 30;
/// Shipped scenarios that only show that all is in place, and the one to go on with.
const FIRST_STEPS: [&str; 2] = ["demo", "smoke"];
const FIRST_REAL: &str = "10k";

/// A command, and what it is for.
struct Step {
    command: String,
    why: &'static str,
}

/// The lines that end a summary; none where nothing can be done with the folder.
pub(super) fn steps(manifest: &Manifest, dir: &Path) -> String {
    let steps: Vec<Step> = useful(&Facts::of(manifest, dir)).into_iter().flatten().take(SHOWN).collect();
    let width = steps.iter().map(|step| step.command.chars().count()).max().unwrap_or(0);
    let lines: Vec<String> = steps.iter().map(|Step { command, why }| format!("\n  {command:width$}  {why}")).collect();
    if lines.is_empty() { String::new() } else { format!("\n\nnext:{}", lines.concat()) }
}

/// What there is to go on with.
struct Facts {
    /// `fleetsim`, as it was started.
    program: String,
    mode: Mode,
    verdict: Verdict,
    is_first_step: bool,
    /// The page, where there is a desktop to show it.
    page: Option<String>,
    scenario: Option<String>,
    /// What follows the scenario in a command that runs all of it as it was run; `None`: one command does not.
    run_options: Option<String>,
    errors: Option<String>,
    log: Option<String>,
    /// This run, and the one before it of the same name.
    runs: Option<(String, String)>,
}

impl Facts {
    fn of(manifest: &Manifest, dir: &Path) -> Self {
        let file = |name: &str| {
            Some(dir.join(name)).filter(|path| path.metadata().is_ok_and(|file| file.len() > 0)).map(|path| quoted(&path))
        };
        let has_desktop = ["DISPLAY", "WAYLAND_DISPLAY"].into_iter().any(|name| variable(name).is_some());
        Self {
            program: program(),
            mode: manifest.mode,
            verdict: manifest.verdict,
            is_first_step: FIRST_STEPS.contains(&&*manifest.name),
            page: file(PAGE).filter(|_| has_desktop),
            scenario: file(SCENARIO),
            run_options: run_options(manifest.mode, manifest.shard.is_some(), &manifest.merged),
            errors: file(tables::ERRORS).filter(|_| !manifest.totals.errors.is_empty()),
            log: file("endpoint.log"),
            runs: earlier(manifest, dir).map(|earlier| (quoted(dir), quoted(&earlier))),
        }
    }
}

/// None for one process. Of several, how many slices there were, where a leader had all their workers on one host. Workers on several
/// hosts, and slices that were started by hand, take a command each.
fn run_options(mode: Mode, is_slice: bool, merged: &[MergedShard]) -> Option<String> {
    match (mode, merged) {
        (Mode::Merged, [first, ..]) => {
            let is_beside_it = |slice: &MergedShard| slice.clock.is_some() && slice.host.hostname == first.host.hostname;
            merged.iter().all(is_beside_it).then(|| format!(" --slices {}", first.slice.count()))
        }
        (Mode::Merged, []) => None,
        (Mode::Run | Mode::Forecast, _) => (!is_slice).then(String::new),
    }
}

/// In the order of their use.
fn useful(facts: &Facts) -> Vec<Option<Step>> {
    let own = |command: String| format!("{} {command}", facts.program);
    let open = |with: &str, file: &Option<String>, why| file.as_ref().map(|file| Step { command: format!("{with} {file}"), why });
    let of_scenario =
        |command: &str, why| facts.scenario.as_ref().map(|file| Step { command: own(format!("{command} {file}")), why });
    let page = || open("xdg-open", &facts.page, "the report with charts");
    let check = || of_scenario("check", "what it asks of this host and of an account's quotas, and its cost");
    let run = |why| {
        let options = facts.run_options.as_ref()?;
        facts.scenario.as_ref().map(|file| Step { command: own(format!("run {file}{options}")), why })
    };
    let again = || run("the same run once more");
    let errors = || open("less", &facts.errors, "what went wrong: kinds, counts, an example of each");
    match (facts.mode, facts.verdict) {
        (Mode::Forecast, _) => {
            vec![page(), run("the same over real sockets"), check()]
        }
        (_, Verdict::Pass) => {
            let compare = facts.runs.as_ref().map(|(this, earlier)| Step {
                command: own(format!("compare {earlier} -- {this}")),
                why: "what is different from the run before",
            });
            let larger = Step { command: own(format!("run {FIRST_REAL}")), why: "10,000 things, in under 3 minutes" };
            vec![page(), Some(larger).filter(|_| facts.is_first_step), compare, check(), again()]
        }
        (_, Verdict::Fail) => vec![errors(), page(), check(), again()],
        (_, Verdict::Invalid) => vec![
            of_scenario("check --calibrate", "how much this host carries, and how many like it are needed"),
            page(),
            run("the same run once more, with nothing else running"),
        ],
        (_, Verdict::Interrupted | Verdict::Running) => vec![page(), again(), errors()],
        (_, Verdict::Error) => vec![open("less", &facts.log, "what the local endpoint said"), errors(), check(), again()],
    }
}

/// The run of this name before this one, beside it, that it can be compared with.
fn earlier(manifest: &Manifest, dir: &Path) -> Option<PathBuf> {
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty())?;
    let name = dir.file_name()?.to_str()?;
    let prefix = format!("{}-", manifest.name);
    let names = fs::read_dir(parent).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    // They end with a time, so that they sort by it.
    let mut before: Vec<String> = names.filter(|other| other.starts_with(&prefix) && &**other < name).collect();
    before.sort_unstable();
    let is_comparable = |run: &Manifest| {
        run.mode == Mode::Run && matches!(run.verdict, Verdict::Pass | Verdict::Fail) && run.totals.run_s >= COMPARABLE_S
    };
    let is_like_it = |other: &Manifest| other.name == manifest.name && is_comparable(other) && is_comparable(manifest);
    let mut folders = before.into_iter().rev().take(EARLIER_MAX).map(|name| parent.join(name));
    folders.find(|folder| load_manifest(folder).is_ok_and(|other| is_like_it(&other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(mode: Mode, verdict: Verdict) -> Facts {
        let file = |name: &str| Some(name.to_owned());
        Facts {
            program: "fleetsim".into(),
            mode,
            verdict,
            is_first_step: false,
            page: file("report.html"),
            scenario: file("scenario.toml"),
            run_options: Some(String::new()),
            errors: file("errors.csv"),
            log: file("endpoint.log"),
            runs: Some(("this".into(), "earlier".into())),
        }
    }

    fn commands(facts: &Facts) -> Vec<String> {
        useful(facts).into_iter().flatten().take(SHOWN).map(|step| step.command).collect()
    }

    #[test]
    fn the_commands_depend_on_how_it_went() {
        let of = |verdict| commands(&facts(Mode::Run, verdict));
        assert_eq!(of(Verdict::Pass), ["xdg-open report.html", "fleetsim compare earlier -- this"]);
        assert_eq!(of(Verdict::Fail), ["less errors.csv", "xdg-open report.html"]);
        assert_eq!(of(Verdict::Invalid), ["fleetsim check --calibrate scenario.toml", "xdg-open report.html"]);
        assert_eq!(of(Verdict::Interrupted), ["xdg-open report.html", "fleetsim run scenario.toml"]);
        assert_eq!(of(Verdict::Error), ["less endpoint.log", "less errors.csv"]);
        assert_eq!(commands(&facts(Mode::Forecast, Verdict::Pass)), ["xdg-open report.html", "fleetsim run scenario.toml"]);
    }

    #[test]
    fn what_is_not_there_is_not_named() {
        let bare = |verdict| Facts { page: None, errors: None, log: None, runs: None, ..facts(Mode::Run, verdict) };
        assert_eq!(commands(&bare(Verdict::Pass)), ["fleetsim check scenario.toml", "fleetsim run scenario.toml"]);
        assert_eq!(commands(&bare(Verdict::Error)), ["fleetsim check scenario.toml", "fleetsim run scenario.toml"]);
        assert_eq!(commands(&Facts { is_first_step: true, ..bare(Verdict::Pass) })[0], "fleetsim run 10k");
        assert!(commands(&Facts { scenario: None, ..bare(Verdict::Fail) }).is_empty());
    }

    /// A slice of three, with or without a leader.
    fn slice(index: u32, hostname: &str, is_led: bool) -> MergedShard {
        let clock = is_led.then(|| serde_json::json!({ "offset_ms": 0.0, "uncertainty_ms": 0.1 }));
        serde_json::from_value(serde_json::json!({
            "slice": format!("{index}/3"), "dir": "x", "verdict": "PASS", "exit_code": 0, "shards": 1, "things": 5,
            "started_at": "2026-01-01T00:00:00Z", "finished_at": null, "clock": clock,
            "host": { "hostname": hostname, "kernel": "6.1", "cores": 2, "memory_available_bytes": 1, "descriptors": 1,
                "ephemeral_ports": 1 },
        }))
        .unwrap()
    }

    #[test]
    fn a_run_of_several_processes_is_run_again_as_one_where_one_command_does_that() {
        let merged = |hosts: [&str; 3], is_led| {
            let slices: Vec<MergedShard> = (0..).zip(hosts).map(|(index, host)| slice(index, host, is_led)).collect();
            let run_options = run_options(Mode::Merged, false, &slices);
            let bare = |verdict| Facts { page: None, errors: None, log: None, runs: None, ..facts(Mode::Merged, verdict) };
            move |verdict| commands(&Facts { run_options: run_options.clone(), ..bare(verdict) })
        };
        let here = merged(["a", "a", "a"], true);
        let again = "fleetsim run scenario.toml --slices 3";
        assert_eq!(here(Verdict::Pass), ["fleetsim check scenario.toml", again]);
        assert_eq!(here(Verdict::Invalid), ["fleetsim check --calibrate scenario.toml", again]);
        assert_eq!(here(Verdict::Interrupted), [again]);
        for elsewhere in [merged(["a", "b", "a"], true), merged(["a", "a", "a"], false)] {
            assert_eq!(elsewhere(Verdict::Pass), ["fleetsim check scenario.toml"], "its workers are started elsewhere, or by hand");
            assert!(elsewhere(Verdict::Interrupted).is_empty());
        }
        assert_eq!(run_options(Mode::Merged, false, &[]), None, "a leader that was killed knows no slices");
        assert_eq!((run_options(Mode::Run, true, &[]), run_options(Mode::Run, false, &[])), (None, Some(String::new())));
    }
}
