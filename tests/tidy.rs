//! Who may name whom: reads the source and says kindly when the structure drifts.

#[path = "common/files.rs"]
mod files;

use files::files_below;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Pure modules: files or folders, as seen from `src`. Pure crates are held by Cargo (tests/walls.rs) and clippy.
const PURE: &[&str] = &[
    "../crates/iot-endpoint/src/broker",
    "aws/inventory.rs",
    "aws/pace.rs",
    "aws/plan.rs",
    "aws/selection.rs",
    "billing",
    "capacity/judge.rs",
    "capacity/load.rs",
    "capacity/search.rs",
    "capacity/step.rs",
    "capacity/words.rs",
    "check/causes.rs",
    "check/csv.rs",
    "check/loads.rs",
    "check/production.rs",
    "check/quotas.rs",
    "check/sizing.rs",
    "compare/figures.rs",
    "compare/window.rs",
    "compare/words.rs",
    "exposition/families.rs",
    "exposition/family.rs",
    "exposition/operations.rs",
    "exposition/times.rs",
    "inspect/card.rs",
    "inspect/cards.rs",
    "roster.rs",
    "slice.rs",
    "tui/app.rs",
    "tui/finder.rs",
    "tui/history.rs",
    "tui/input.rs",
    "tui/model.rs",
    "tui/theme.rs",
    "tui/update.rs",
    "tui/view",
    "verdict",
    "workers/leader/seconds.rs",
    "workers/leader/table.rs",
    "workers/names.rs",
    "workers/place.rs",
    "workers/worker/follower.rs",
    "workload",
];

/// Words a pure module has no business with: runtimes, TLS, JSON, files, environment, clocks, threads.
const IMPURE: &[&str] = &[
    "tokio",
    "rustls",
    "serde_json",
    "std::fs",
    "std::env",
    "std::net",
    "std::thread",
    "std::process",
    "Instant::now",
    "SystemTime",
    "host",
];

/// Modules of `src`, each with the modules above it and the libraries of the workspace that it may name. Tests may name more.
const MAY_NAME: &[(&str, &[&str], &[&str])] = &[
    ("aws_quotas", &[], &["iot_endpoint", "jobs_engine"]),
    ("billing", &[], &["config_text", "fleet_forecast"]),
    ("exit", &[], &[]),
    ("inspect", &[], &["host", "iot_jobs", "thing_faults"]),
    ("logging", &[], &[]),
    ("preflight", &[], &[]),
    ("samples", &[], &["host", "iot_jobs", "load_metrics", "thing_agent", "thing_faults", "thing_transport"]),
    (
        "scenario",
        &[],
        &["config_text", "host", "iot_endpoint", "iot_jobs", "load_metrics", "sim_units", "thing_agent", "thing_faults"],
    ),
    ("slice", &[], &[]),
    ("tail", &[], &[]),
    ("timestamp", &[], &["host"]),
    ("user_folder", &[], &["host"]),
    ("aws", &["billing"], &["aws_signing", "dev_pki", "host", "iot_jobs", "jobs_engine", "load_metrics", "sim_units"]),
    ("ledger", &["tail"], &["iot_jobs"]),
    ("roster", &["scenario"], &["iot_jobs", "sim_units", "thing_faults"]),
    ("stop", &["exit"], &[]),
    (
        "report",
        &["aws_quotas", "billing", "exit", "ledger", "preflight", "roster", "slice", "tail"],
        &["config_text", "host", "iot_jobs", "jobs_engine", "load_metrics", "sim_units", "thing_faults"],
    ),
    ("tui", &["inspect", "roster", "slice"], &["host", "iot_jobs", "load_metrics"]),
    (
        "workload",
        &["preflight", "roster", "scenario", "slice"],
        &["iot_jobs", "load_metrics", "sim_units", "thing_agent", "thing_faults"],
    ),
    ("compare", &["exit", "report"], &["host", "load_metrics", "run_compare"]),
    ("exposition", &["report"], &["load_metrics", "sim_units"]),
    ("results_folder", &["preflight", "report", "roster", "scenario", "slice", "timestamp", "user_folder"], &[]),
    ("verdict", &["exit", "report"], &["iot_jobs", "load_metrics", "sim_units"]),
    (
        "forecast",
        &[
            "billing",
            "exit",
            "preflight",
            "report",
            "results_folder",
            "roster",
            "samples",
            "scenario",
            "stop",
            "timestamp",
            "verdict",
            "workload",
        ],
        &[
            "fleet_forecast",
            "host",
            "iot_endpoint",
            "iot_jobs",
            "jobs_engine",
            "load_metrics",
            "sim_units",
            "thing_agent",
            "thing_transport",
        ],
    ),
    (
        "run",
        &[
            "aws",
            "exit",
            "exposition",
            "forecast",
            "inspect",
            "ledger",
            "logging",
            "preflight",
            "report",
            "results_folder",
            "roster",
            "samples",
            "scenario",
            "slice",
            "stop",
            "tail",
            "timestamp",
            "tui",
            "user_folder",
            "verdict",
            "workload",
        ],
        &[
            "aws_signing",
            "dev_pki",
            "host",
            "iot_endpoint",
            "iot_jobs",
            "iot_policy",
            "load_metrics",
            "sim_units",
            "thing_agent",
            "thing_faults",
            "thing_transport",
        ],
    ),
    (
        "capacity",
        &["exit", "report", "results_folder", "roster", "run", "scenario", "stop", "timestamp"],
        &["host", "iot_endpoint", "iot_jobs", "jobs_engine", "load_metrics", "sim_units", "thing_agent"],
    ),
    (
        "check",
        &["billing", "exit", "preflight", "report", "roster", "run", "scenario", "slice", "workload"],
        &[
            "fleet_forecast",
            "iot_endpoint",
            "iot_jobs",
            "iot_policy",
            "jobs_engine",
            "load_metrics",
            "sim_units",
            "thing_agent",
            "thing_faults",
        ],
    ),
    (
        "merge",
        &["ledger", "preflight", "report", "results_folder", "roster", "run", "scenario", "workload"],
        &["iot_jobs", "load_metrics"],
    ),
    (
        "workers",
        &[
            "exit",
            "exposition",
            "merge",
            "preflight",
            "report",
            "results_folder",
            "roster",
            "run",
            "scenario",
            "slice",
            "stop",
            "timestamp",
            "tui",
            "verdict",
            "workload",
        ],
        &["host", "iot_jobs", "load_metrics"],
    ),
    (
        "cli",
        &[
            "aws",
            "billing",
            "capacity",
            "check",
            "compare",
            "exit",
            "exposition",
            "forecast",
            "logging",
            "merge",
            "preflight",
            "report",
            "roster",
            "run",
            "scenario",
            "slice",
            "stop",
            "workers",
            "workload",
        ],
        &["config_text", "dev_pki", "fleet_forecast", "host", "iot_endpoint", "iot_jobs", "load_metrics", "sim_units"],
    ),
];

/// What one file does for all others, and why: text that no other file has, and files that may.
const ONE_PLACE: &[(&[&str], &[&str], &str)] = &[
    (
        &["println!", "eprintln!", "print!(", "(io::stdout(), ", "(std::io::stdout(), ", "io::stdout().write"],
        &["crates/host/src/stdio.rs"],
        "host::stdio loses nothing unseen and survives a closed pipe",
    ),
    (
        &["env::var(", "env::var_os"],
        &["crates/host/src/environment.rs", "src/cli/mod.rs"],
        "host::environment takes an empty variable for unset",
    ),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The libraries of the workspace.
fn crates() -> Vec<String> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("crates")).unwrap().map(Result::unwrap);
    entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().unwrap()).collect()
}

fn rust_files(path: &Path) -> Vec<PathBuf> {
    files_below(path, "rs")
}

/// Lines of code with their numbers: no comments, and nothing from the unit tests at the end of a file.
fn code(file: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]").enumerate();
    lines.filter(|(_, line)| !line.trim_start().starts_with("//")).map(|(n, line)| (n + 1, line.to_owned())).collect()
}

/// Whether `word` stands in `line` as a path of its own, not as a part of another name, or in a list behind its path.
fn names(line: &str, word: &str) -> bool {
    let is_there = line.match_indices(word).any(|(at, _)| {
        let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        edge(line[..at].chars().next_back()) && edge(line[at + word.len()..].chars().next())
    });
    let listed = |(path, last): (&str, &str)| {
        let list = line.split_once(&format!("{path}::{{")).map(|(_, list)| list);
        list.is_some_and(|list| list.split(|c: char| !c.is_alphanumeric() && c != '_').any(|name| name == last))
    };
    is_there || word.rsplit_once("::").is_some_and(listed)
}

/// Whether `line` has a path that begins with `library`.
fn links(line: &str, library: &str) -> bool {
    line.match_indices(&format!("{library}::"))
        .any(|(at, _)| line[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && !"_:".contains(c)))
}

#[test]
fn a_name_is_seen_alone_and_in_a_list() {
    for (line, is_named) in [
        ("use crate::report;", true),
        ("use crate::{exit, report};", true),
        ("crate::report::open()", true),
        ("use crate::{exit, reporter};", false),
        ("use crate::reporter;", false),
        ("use other::{exit, report};", false),
    ] {
        assert_eq!(names(line, "crate::report"), is_named, "{line}");
    }
}

#[test]
fn pure_modules_name_nothing_impure() {
    let mut drift = Vec::new();
    let mut files = 0;
    for module in PURE {
        for file in rust_files(&source().join(module)) {
            files += 1;
            for (number, line) in code(&file) {
                for word in IMPURE.iter().filter(|word| names(&line, word)) {
                    drift.push(format!(
                        "{}:{number} names {word}: a pure module gets it handed in, or leaves it to its caller",
                        file.display()
                    ));
                }
            }
        }
    }
    assert!(files >= 10, "only {files} pure files were found: has the layout changed?");
    assert!(drift.is_empty(), "\n{}", drift.join("\n"));
}

/// Every module of `src`, with its files. Tests in files of their own are left out.
fn modules() -> BTreeMap<String, Vec<PathBuf>> {
    let mut modules: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for file in rust_files(&source()) {
        let below = file.strip_prefix(source()).unwrap().with_extension("");
        let parts: Vec<&str> = below.iter().map(|part| part.to_str().unwrap()).collect();
        if !parts.contains(&"tests") && !["lib", "main"].contains(&parts[0]) {
            modules.entry(parts[0].to_owned()).or_default().push(file);
        }
    }
    modules
}

#[test]
fn modules_name_only_what_they_may() {
    let modules = modules();
    let libraries: Vec<String> = crates().iter().map(|name| name.replace('-', "_")).collect();
    let mut drift = Vec::new();
    for (place, (module, may_name, _)) in MAY_NAME.iter().enumerate() {
        let above: Vec<&str> = MAY_NAME[..place].iter().map(|(above, ..)| *above).collect();
        drift.extend(
            may_name
                .iter()
                .filter(|name| !above.contains(name))
                .map(|name| format!("{module} names {name}, which is not above it")),
        );
        drift.extend((!modules.contains_key(*module)).then(|| format!("there is no module {module}")));
    }
    for (module, files) in &modules {
        let Some((_, may_name, may_link)) = MAY_NAME.iter().find(|(name, ..)| name == module) else {
            drift.push(format!("{module} has no place among the modules"));
            continue;
        };
        let mut unused: BTreeSet<&str> = may_name.iter().chain(*may_link).copied().collect();
        for (file, (number, line)) in files.iter().flat_map(|file| code(file).into_iter().map(move |line| (file, line))) {
            let others = modules.keys().filter(|name| *name != module && names(&line, &format!("crate::{name}")));
            let linked = libraries.iter().filter(|name| links(&line, name));
            for name in others.chain(linked) {
                if !may_name.contains(&name.as_str()) && !may_link.contains(&name.as_str()) {
                    drift.push(format!("{}:{number}: {module} may not name {name} (docs/ARCHITECTURE.md)", file.display()));
                }
                unused.remove(name.as_str());
            }
        }
        drift.extend(unused.iter().map(|name| format!("{module} does not name {name}: the table says more than is so")));
    }
    assert!(drift.is_empty(), "\n{}", drift.join("\n"));
}

#[test]
fn streams_and_variables_are_used_in_one_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let of_crates = crates().into_iter().map(|name| root.join("crates").join(name).join("src"));
    let files: Vec<PathBuf> = of_crates.chain([source()]).flat_map(|folder| rust_files(&folder)).collect();
    let mut drift = Vec::new();
    for (texts, places, why) in ONE_PLACE {
        assert!(places.iter().all(|place| root.join(place).exists()), "{places:?}");
        for file in files.iter().filter(|file| !places.iter().any(|place| **file == root.join(place))) {
            for (number, line) in code(file) {
                if texts.iter().any(|text| line.contains(text)) {
                    drift.push(format!("{}:{number}: {why}", file.display()));
                }
            }
        }
    }
    assert!(drift.is_empty(), "\n{}", drift.join("\n"));
}

#[test]
fn the_check_itself_sees_what_it_looks_for() {
    assert!(names("use tokio::time::Instant;", "tokio"));
    assert!(names("    serde_json::from_str(text)", "serde_json"));
    assert!(!names("use my_tokio_like::x;", "tokio"));
    assert!(!names("use crate::wireless;", "crate::wire"));
    assert!(links("use host::clock;", "host") && links("let at = host::clock::mono();", "host"));
    assert!(!links("let host = self.host;", "host") && !links("use crate::host::x;", "host"));
}
