//! The walls of the workspace, as Cargo sees them: which crates are pure, and who may name whom (docs/ARCHITECTURE.md).
//!
//! That a pure crate reads no clock, file or environment through the standard library is clippy's to see (`crates/pure-clippy.toml`).

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Crates whose machines get time, chance and bytes handed in.
const PURE: [&str; 9] = [
    "fleet-forecast",
    "iot-jobs",
    "iot-policy",
    "jobs-engine",
    "load-metrics",
    "run-compare",
    "sim-units",
    "thing-agent",
    "thing-faults",
];

/// What a pure crate has no business with: runtimes, sockets, TLS, files, clocks, the terminal.
const IMPURE: [&str; 20] = [
    "async-std",
    "aws-sigv4",
    "chrono",
    "crossterm",
    "host",
    "hyper",
    "mio",
    "native-tls",
    "nix",
    "openssl",
    "procfs",
    "redb",
    "ring",
    "rustix",
    "rustls",
    "smol",
    "socket2",
    "tempfile",
    "tokio",
    "tracing-subscriber",
];

/// Every library and the libraries of the workspace that it may name. The program, `fleetsim`, may name all.
const MAY_NAME: [(&str, &[&str]); 15] = [
    ("iot-jobs", &[]),
    ("iot-policy", &[]),
    ("sim-units", &["iot-jobs"]),
    ("config-text", &["sim-units"]),
    ("run-compare", &["sim-units"]),
    ("thing-faults", &["iot-jobs", "sim-units"]),
    ("jobs-engine", &["iot-jobs", "sim-units"]),
    ("thing-agent", &["iot-jobs", "sim-units", "thing-faults"]),
    ("load-metrics", &["iot-jobs", "thing-faults"]),
    ("fleet-forecast", &["iot-jobs", "jobs-engine", "sim-units", "thing-agent", "thing-faults"]),
    ("host", &["iot-jobs"]),
    ("aws-signing", &["host", "iot-jobs"]),
    ("dev-pki", &["host", "iot-jobs"]),
    ("iot-endpoint", &["aws-signing", "config-text", "dev-pki", "host", "iot-jobs", "iot-policy", "jobs-engine", "sim-units"]),
    ("thing-transport", &["aws-signing", "host", "iot-jobs", "sim-units", "thing-agent", "thing-faults"]),
];

/// Libraries that no request and no second of a run goes through.
const FOR_SIZE: [&str; 2] = ["config-text", "dev-pki"];

/// Packages by name, each with the names of what it is built with; tests of a package may use more.
struct Graph {
    dependencies: BTreeMap<String, BTreeSet<String>>,
    members: BTreeSet<String>,
}

impl Graph {
    fn of_this_workspace() -> Self {
        // For this host alone: what only others need may never have been fetched.
        let rustc = Command::new("rustc").arg("-vV").output().expect("rustc runs");
        let rustc = String::from_utf8(rustc.stdout).expect("rustc writes text");
        let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
        let cargo = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", host])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
            .output()
            .expect("cargo runs");
        assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
        Self::of(&serde_json::from_slice(&cargo.stdout).expect("cargo writes JSON"))
    }

    fn of(metadata: &Value) -> Self {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let names: BTreeMap<String, String> =
            list(&metadata["packages"]).iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect();
        let is_built_with = |dependency: &Value| list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
        let mut dependencies: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in list(&metadata["resolve"]["nodes"]) {
            let built_with = list(&node["deps"]).into_iter().filter(is_built_with).map(|dep| names[&text(&dep["pkg"])].clone());
            dependencies.entry(names[&text(&node["id"])].clone()).or_default().extend(built_with);
        }
        let members = list(&metadata["workspace_members"]).iter().map(|id| names[&text(id)].clone()).collect();
        Self { dependencies, members }
    }

    /// Everything that `package` is built with, with a way that leads there.
    fn reached_from(&self, package: &str) -> BTreeMap<String, String> {
        let mut ways = BTreeMap::from([(package.to_owned(), package.to_owned())]);
        let mut open = vec![package.to_owned()];
        while let Some(next) = open.pop() {
            for dependency in self.dependencies.get(&next).into_iter().flatten() {
                if !ways.contains_key(dependency) {
                    ways.insert(dependency.clone(), format!("{} -> {dependency}", ways[&next]));
                    open.push(dependency.clone());
                }
            }
        }
        ways.remove(package);
        ways
    }

    fn impurities(&self, package: &str) -> Vec<String> {
        let told = |(_, way): (String, String)| {
            format!("{way}: a pure crate gets time, chance and bytes handed in; what needs this belongs to its caller")
        };
        self.reached_from(package).into_iter().filter(|(name, _)| IMPURE.contains(&name.as_str())).map(told).collect()
    }

    /// Libraries of the workspace that `package` names itself, and may not.
    fn trespasses(&self, package: &str, may_name: &[&str]) -> Vec<String> {
        let named = self.dependencies.get(package).into_iter().flatten().filter(|name| self.members.contains(*name));
        let told = |name: &String| format!("{package} names {name}; it may name {may_name:?} (docs/ARCHITECTURE.md)");
        named.filter(|name| !may_name.contains(&name.as_str())).map(told).collect()
    }
}

/// A file of the repository.
fn read(path: &str) -> String {
    let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(whole).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn pure_crates_are_built_with_nothing_impure() {
    let graph = Graph::of_this_workspace();
    let found: Vec<String> = PURE.iter().flat_map(|package| graph.impurities(package)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn clippy_keeps_every_pure_crate_from_clocks_files_and_the_environment() {
    let rules = read("crates/pure-clippy.toml");
    for name in PURE {
        let path = format!("crates/{name}/clippy.toml");
        assert_eq!(read(&path), rules, "{path} is a link to ../pure-clippy.toml");
    }
}

#[test]
fn every_library_wants_its_items_documented() {
    for (name, _) in MAY_NAME {
        let path = format!("crates/{name}/src/lib.rs");
        assert!(read(&path).lines().any(|line| line == "#![warn(missing_docs)]"), "{path} lacks #![warn(missing_docs)]");
    }
}

#[test]
fn every_library_names_only_those_below_it() {
    let graph = Graph::of_this_workspace();
    let known: BTreeSet<&str> = MAY_NAME.iter().map(|(name, _)| *name).chain(["fleetsim"]).collect();
    let members: BTreeSet<&str> = graph.members.iter().map(String::as_str).collect();
    assert_eq!(members, known, "a crate came or went: give it its row here, and its line in docs/ARCHITECTURE.md");
    let found: Vec<String> = MAY_NAME.iter().flat_map(|(package, may_name)| graph.trespasses(package, may_name)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn what_carries_load_is_optimized_for_speed() {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("Cargo.toml is TOML");
    let packages = manifest["profile"]["release"]["package"].as_table().expect("[profile.release.package]");
    let for_speed: BTreeSet<&str> = packages
        .iter()
        .filter(|(_, package)| package["opt-level"].as_integer() == Some(3))
        .map(|(name, _)| name.as_str())
        .collect();
    for (name, _) in MAY_NAME {
        assert_eq!(for_speed.contains(name), !FOR_SIZE.contains(&name), "{name}: [profile.release.package], or FOR_SIZE here");
    }
    let known = Graph::of_this_workspace().dependencies;
    // An override forgets it, and would leave the names of all functions in what is linked: 7 MB.
    assert_eq!(packages["fleetsim"].get("strip"), manifest["profile"]["release"].get("strip"));
    // And what inherits it, inherits the override.
    let profiling = &manifest["profile"]["profiling"];
    let own = profiling.get("package").and_then(|packages| packages.get("fleetsim")?.get("strip"));
    assert_eq!(own, profiling.get("strip"), "perf would see no names");
    let gone: Vec<&&str> = for_speed.iter().filter(|name| !known.contains_key(**name)).collect();
    assert!(gone.is_empty(), "[profile.release.package] names what nothing is built with: {gone:?}");
}

#[test]
fn what_is_built_into_a_pure_crate_by_detour_is_found() {
    let dependency = |name: &str, kind: Value| serde_json::json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
    let node = |name: &str, dependencies: &[Value]| serde_json::json!({ "id": name, "deps": dependencies });
    let packages = ["thing-agent", "helper", "tokio", "iot-endpoint"].map(|name| serde_json::json!({ "id": name, "name": name }));
    let graph = Graph::of(&serde_json::json!({
        "packages": packages,
        "workspace_members": ["thing-agent", "iot-endpoint"],
        "resolve": { "nodes": [
            node("thing-agent", &[dependency("helper", Value::Null), dependency("iot-endpoint", "dev".into())]),
            node("helper", &[dependency("tokio", Value::Null)]),
            node("iot-endpoint", &[dependency("thing-agent", Value::Null)]),
        ] },
    }));
    let found = graph.impurities("thing-agent");
    assert!(found.len() == 1 && found[0].starts_with("thing-agent -> helper -> tokio: "), "{found:?}");
    assert!(graph.trespasses("thing-agent", &[]).is_empty(), "tests may use more");
    assert_eq!(graph.trespasses("iot-endpoint", &[]).len(), 1);
}
