//! Who may name whom: reads the source and says kindly when the structure drifts.

use std::fs;
use std::path::{Path, PathBuf};

/// Pure modules: files or folders, as seen from `src`. Pure crates are held by Cargo (tests/walls.rs) and clippy.
const PURE: &[&str] = &[
    "../crates/iot-endpoint/src/broker",
    "aws/inventory.rs",
    "aws/pace.rs",
    "aws/plan.rs",
    "aws/wish.rs",
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
    "run/checks.rs",
    "run/verdict.rs",
    "slice.rs",
    "tui/app.rs",
    "tui/finder.rs",
    "tui/history.rs",
    "tui/input.rs",
    "tui/model.rs",
    "tui/theme.rs",
    "tui/update.rs",
    "tui/view",
    "workers/leader/seconds.rs",
    "workers/leader/table.rs",
    "workers/names.rs",
    "workers/place.rs",
    "workers/worker/follower.rs",
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

/// A module (below `src`) and what it may not name: modules beside it, libraries of the workspace.
const DIRECTION: &[(&str, &[&str])] = &[
    (
        "aws",
        &[
            "crate::inspect",
            "crate::report",
            "crate::run",
            "crate::scenario",
            "crate::tui",
            "crate::capacity",
            "crate::exposition",
            "crate::cli",
            "iot_endpoint",
        ],
    ),
    ("check", &["crate::aws", "crate::inspect", "crate::tui", "crate::cli", "thing_transport"]),
    (
        "exposition",
        &[
            "crate::aws",
            "crate::inspect",
            "crate::run",
            "crate::scenario",
            "crate::tui",
            "crate::capacity",
            "crate::check",
            "crate::cli",
            "iot_endpoint",
            "thing_agent",
            "thing_transport",
        ],
    ),
    (
        "inspect",
        &[
            "crate::aws",
            "crate::report",
            "crate::run",
            "crate::scenario",
            "crate::tui",
            "crate::capacity",
            "crate::exposition",
            "crate::cli",
            "iot_endpoint",
            "load_metrics",
            "thing_transport",
        ],
    ),
    (
        "report",
        &[
            "crate::aws",
            "crate::inspect",
            "crate::run",
            "crate::tui",
            "crate::capacity",
            "crate::exposition",
            "crate::cli",
            "iot_endpoint",
            "thing_agent",
            "thing_transport",
        ],
    ),
    (
        "scenario",
        &[
            "crate::aws",
            "crate::inspect",
            "crate::report",
            "crate::run",
            "crate::tui",
            "crate::capacity",
            "crate::exposition",
            "crate::cli",
            "thing_transport",
        ],
    ),
    (
        "tui",
        &[
            "crate::aws",
            "crate::report",
            "crate::run",
            "crate::scenario",
            "crate::capacity",
            "crate::exposition",
            "crate::cli",
            "iot_endpoint",
            "thing_agent",
            "thing_transport",
        ],
    ),
    (
        "roster",
        &[
            "crate::aws",
            "crate::inspect",
            "crate::report",
            "crate::run",
            "crate::tui",
            "crate::capacity",
            "crate::exposition",
            "crate::cli",
            "iot_endpoint",
            "thing_transport",
        ],
    ),
    ("capacity", &["crate::aws", "crate::cli", "crate::inspect", "crate::tui", "thing_transport"]),
    (
        "compare",
        &[
            "crate::aws",
            "crate::inspect",
            "crate::run",
            "crate::scenario",
            "crate::tui",
            "crate::capacity",
            "crate::cli",
            "iot_endpoint",
            "thing_transport",
        ],
    ),
    (
        "merge",
        &[
            "crate::aws",
            "crate::capacity",
            "crate::check",
            "crate::cli",
            "crate::inspect",
            "crate::tui",
            "crate::workers",
            "iot_endpoint",
            "thing_transport",
        ],
    ),
    ("run", &["crate::capacity", "crate::check", "crate::cli", "crate::compare", "crate::merge", "crate::workers"]),
    (
        "workers",
        &[
            "crate::aws",
            "crate::capacity",
            "crate::check",
            "crate::cli",
            "crate::compare",
            "crate::inspect",
            "iot_endpoint",
            "thing_transport",
        ],
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

fn rust_files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    entries
        .flat_map(|entry| rust_files(&entry.unwrap().path()))
        .filter(|file| file.extension().is_some_and(|e| e == "rs"))
        .collect()
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

#[test]
fn dependencies_point_downward() {
    let mut drift = Vec::new();
    for (module, forbidden) in DIRECTION {
        let mut files = rust_files(&source().join(module));
        files.extend(rust_files(&source().join(format!("{module}.rs"))));
        assert!(!files.is_empty(), "there is no module {module}");
        for file in files {
            for (number, line) in code(&file) {
                for other in forbidden.iter().filter(|other| names(&line, other)) {
                    drift.push(format!("{}:{number}: {module} may not name {other} (docs/ARCHITECTURE.md)", file.display()));
                }
            }
        }
    }
    assert!(drift.is_empty(), "\n{}", drift.join("\n"));
}

#[test]
fn streams_and_variables_are_used_in_one_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = fs::read_dir(root.join("crates")).unwrap().map(|entry| entry.unwrap().path().join("src"));
    let files: Vec<PathBuf> = crates.chain([source()]).flat_map(|folder| rust_files(&folder)).collect();
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
}
