//! `docs/SCENARIO.md`: every key of a scenario, as its reader knows it.

use super::{load, resolve};
use config_text::{KeyDescription, Kind, describe};
use toml::{Table, Value};

const INTRODUCTION: &str = "\
# Scenario reference

Every key of a scenario, by table. This page is made from the code that reads scenarios (`src/scenario/`); a test fails when they differ. How the
parts work together is described in [Scenarios](SCENARIOS.md).

| type | written as |
|---|---|
| duration | `\"250ms\"`, `\"30s\"`, `\"5m\"`, `\"12h\"` |
| rate | `\"500/s\"`, `\"1000/min\"`; always of the whole fleet, or of the cohort that says it |
| distribution | a duration, or `\"uniform(10s, 60s)\"`, `\"exp(30s)\"`, `\"normal(30s, 5s)\"`, `\"lognormal(30s, 0.6)\"`; an `every` is per thing |
| integer | may have underscores: `10_000` |
| template | `{thing}` is the name of a thing, `{index}` its number, `{index:06}` with leading zeros |

A table without a *required* key is refused. Default `[fleet]`: inherited from `[fleet]`.
Unknown keys are errors that name the nearest known key. `fleetsim check FILE --print-scenario` prints a scenario with every default filled in.
";

/// Every table that a scenario can have, in the order of the page: a reader only asks for the keys of tables that are there.
const TABLES: [&str; 2] = [
    "
    [target]
    kind = 'emulator'
    [target.tls]
    [target.emulator.server]
    [target.emulator.reject]
    [target.emulator.drop]
    [target.emulator.disconnect]
    [target.emulator.notifications]
    [fleet]
    [fleet.connect]
    [fleet.reconnect]
    [fleet.retry]
    [fleet.timeouts]
    [[cohort]]
    [cohort.poll]
    [behavior.NAME]
    [behavior.NAME.outcome]
    [behavior.NAME.faults]
    [[rollout]]
    [rollout.targets]
    [rollout.artifact]
    [[rollout.maintenance_windows]]
    [[event]]
    [telemetry]
    [end]
    [thresholds.METRIC]
    check = ''
    ",
    "
    [target]
    kind = 'aws'
    [target.ports]
    [target.tls]
    ",
];

/// Scenarios that say no more than they must: what else is in them once they are resolved is a default.
const SHORT: [&str; 2] = [
    "
    name = 'x'
    target = { emulator = { server = { service = '1s' }, reject = { share = 1 }, notifications = { delay = 'exp(1s)' } } }
    fleet = { things = 9, connect = {} }
    telemetry = { topic = 't/{thing}', every = '1s' }
    [[cohort]]
    name = 'x'
    workflow = 'poll'
    [behavior.NAME]
    [[rollout]]
    job = 'x'
    artifact = { bytes = 1 }
    [[event]]
    at = '1s'
    kind = 'disconnect'
    ",
    "
    name = 'x'
    target = { kind = 'mqtt', host = 'x', tls = { cert = 'x', key = 'x' } }
    fleet = { things = 9 }
    end = { expect = 1 }
    ",
];

/// The page.
///
/// # Panics
/// Where a key has no description, or a text of this file is no scenario: a test makes this page.
#[must_use]
pub fn reference() -> String {
    let keys = keys();
    let defaults = Defaults::new();
    let mut tables: Vec<&str> = Vec::new();
    for key in &keys {
        if !tables.contains(&&*key.table) {
            tables.push(&key.table);
        }
    }
    let mut page = INTRODUCTION.to_owned();
    for table in &tables {
        page += &format!("\n## {}\n\n| key | type | default | meaning |\n|---|---|---|---|\n", heading(table, &keys));
        for key in keys.iter().filter(|key| key.table == *table) {
            let (kind, default) = (kind(key, &keys), defaults.text(key, &keys));
            page += &format!("| `{}` | {kind} | {default} | {} |\n", key.name, cell(key.meaning));
        }
    }
    page
}

fn keys() -> Vec<KeyDescription> {
    let mut keys: Vec<KeyDescription> = Vec::new();
    for text in TABLES {
        for key in describe(text, resolve::resolve) {
            if !keys.iter().any(|known| known.table == key.table && known.name == key.name) {
                keys.push(key);
            }
        }
    }
    let bare: Vec<String> = keys.iter().filter(|key| key.meaning.is_empty()).map(|key| path(&key.table, key.name)).collect();
    assert!(bare.is_empty(), "keys without a description beside them: {}", bare.join(", "));
    keys.sort_by_key(|key| TABLES[0].find(&format!("[{}", key.table.split('.').next().unwrap_or_default())));
    keys
}

fn path(table: &str, name: &str) -> String {
    if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") }
}

/// As TOML writes it.
fn heading(table: &str, keys: &[KeyDescription]) -> String {
    let is_array = keys.iter().any(|key| key.kind == Kind::Tables && path(&key.table, key.name) == table);
    match (table, is_array) {
        ("", _) => "The scenario itself".to_owned(),
        (_, true) => format!("`[[{table}]]`"),
        (_, false) => format!("`[{table}]`"),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn kind(key: &KeyDescription, keys: &[KeyDescription]) -> String {
    let path = path(&key.table, key.name);
    let kind = match &key.kind {
        Kind::Value(text) => return cell(text),
        Kind::Table => "table",
        Kind::NamedTables => "tables by name",
        Kind::Tables => "array of tables",
    };
    let below = keys.iter().find(|below| below.table == path || below.table.starts_with(&format!("{path}.")));
    // What a cohort overrides of the fleet is written as there.
    let fleet = keys.iter().find(|of_fleet| key.table == "cohort" && of_fleet.table == format!("fleet.{}", key.name));
    match below.or(fleet) {
        Some(below) => format!("[{kind}](#{})", below.table.replace('.', "").to_lowercase()),
        None if key.table.ends_with(".faults") => format!("[{kind}](FAULTS.md#{})", key.name),
        None => kind.to_owned(),
    }
}

/// What holds where a key is left out.
struct Defaults(Vec<(Table, Table)>);

impl Defaults {
    /// Each scenario as it is written, and as it is resolved.
    fn new() -> Self {
        let pair = |text: &&str| {
            let plan = load("reference", text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
            let table = |text: &str| text.parse().expect("a scenario is TOML");
            (table(text), table(&plan.to_toml()))
        };
        Self(SHORT.iter().map(pair).collect())
    }

    fn text(&self, key: &KeyDescription, keys: &[KeyDescription]) -> String {
        if key.is_required {
            return "*required*".into();
        }
        if let Some(default) = &key.default {
            return format!("`\"{default}\"`");
        }
        if key.table == "cohort" && keys.iter().any(|of_fleet| of_fleet.table == "fleet" && of_fleet.name == key.name) {
            return "`[fleet]`".into();
        }
        if !matches!(key.kind, Kind::Value(_)) {
            return String::new();
        }
        let path = path(&key.table, key.name);
        let resolved = |(written, resolved): &(Table, Table)| match find(written, &path) {
            Some(_) => None,
            None => find(resolved, &path).map(ToString::to_string),
        };
        self.0.iter().find_map(resolved).map(|value| format!("`{}`", cell(&value))).unwrap_or_default()
    }
}

/// The value at a path; of an array of tables, in its first one.
fn find<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let value = table.get(first)?;
    let Some(rest) = rest else { return Some(value) };
    match value {
        Value::Table(below) => find(below, rest),
        Value::Array(elements) => find(elements.first()?.as_table()?, rest),
        _ => None,
    }
}
