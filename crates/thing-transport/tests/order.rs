//! Modules name only those before them.

use std::fs;
use std::path::{Path, PathBuf};

/// As `src/lib.rs` shows it.
const ORDER: [&str; 21] = [
    "error",
    "gates",
    "memory",
    "pacer",
    "ports",
    "socket",
    "credentials",
    "download",
    "thing_id",
    "endpoint",
    "faults",
    "cause",
    "mqtt",
    "observer",
    "shard",
    "connect",
    "fetch",
    "wire",
    "driver",
    "duplicate_client",
    "thing",
];

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    fs::read_dir(path).unwrap().flat_map(|entry| files(&entry.unwrap().path())).collect()
}

/// What stands behind each `crate::` of a line.
fn named(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("crate::").map(|(at, path)| {
        let rest = &line[at + path.len()..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

#[test]
fn modules_name_only_those_before_them() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut drift = Vec::new();
    for file in files(&source).iter().filter(|file| !file.ends_with("lib.rs")) {
        let below = file.strip_prefix(&source).unwrap();
        let module = Path::new(below.iter().next().unwrap()).file_stem().unwrap().to_str().unwrap();
        let Some(place) = ORDER.iter().position(|name| *name == module) else {
            drift.push(format!("{module} has no place in the order of modules"));
            continue;
        };
        for (number, line) in fs::read_to_string(file).unwrap().lines().enumerate() {
            let wrong = named(line).filter(|name| !ORDER[..=place].contains(name));
            drift.extend(wrong.map(|name| format!("{}:{}: {module} may not name {name:?}", below.display(), number + 1)));
        }
    }
    assert!(drift.is_empty(), "\n{}", drift.join("\n"));
}

#[test]
fn the_check_itself_sees_what_it_looks_for() {
    assert_eq!(named("use crate::error::{Failure, Stage}; crate::Observer").collect::<Vec<_>>(), ["error", "Observer"]);
    assert_eq!(named("use crate::{Observer, SessionEvent};").collect::<Vec<_>>(), [""]);
}
