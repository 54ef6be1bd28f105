//! What is worth doing after a run: the two most useful commands, given how it went.

use super::html::PAGE;
use super::manifest::{Manifest, Mode, Verdict};
use super::record::load_manifest;
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
            errors: file(tables::ERRORS).filter(|_| !manifest.totals.errors.is_empty()),
            log: file("endpoint.log"),
            runs: earlier(manifest, dir).map(|earlier| (quoted(dir), quoted(&earlier))),
        }
    }
}

/// In the order of their use.
fn useful(facts: &Facts) -> Vec<Option<Step>> {
    let own = |command: String| format!("{} {command}", facts.program);
    let open = |with: &str, file: &Option<String>, why| file.as_ref().map(|file| Step { command: format!("{with} {file}"), why });
    let of_scenario =
        |command: &str, why| facts.scenario.as_ref().map(|file| Step { command: own(format!("{command} {file}")), why });
    let page = || open("xdg-open", &facts.page, "the run as one page, with charts");
    let check = || of_scenario("check", "what it asks of this host and of an account's quotas, and its cost");
    let again = || of_scenario("run", "the same run once more");
    let errors = || open("less", &facts.errors, "what went wrong: kinds, counts, an example of each");
    match (facts.mode, facts.verdict) {
        (Mode::Forecast, _) => {
            vec![page(), of_scenario("run", "the same over real sockets"), check()]
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
            of_scenario("run", "the same run once more, with nothing beside it"),
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
}
