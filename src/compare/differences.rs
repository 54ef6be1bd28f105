//! What two sets of runs differ in besides their figures.

use crate::report::{self, KeyDifference, Manifest, Mode};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// What stands for a key that is not there.
const ABSENT: &str = "not set";

/// Something that is one thing on the one side, and another on the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    pub(super) about: About,
    /// A path as `--set` takes it, where it is about the scenario or its endpoint.
    pub(super) key: String,
    pub(super) base: String,
    pub(super) run: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(super) enum About {
    Mode,
    Version,
    Host,
    Endpoint,
    Scenario,
}

impl About {
    pub(super) fn as_str(self) -> &'static str {
        self.into()
    }
}

type Fact = (About, &'static str, fn(&Manifest) -> String);

/// What a run was besides its scenario.
const FACTS: [Fact; 6] = [
    (About::Mode, "mode", |manifest| mode(manifest.mode)),
    (About::Version, "version", |manifest| manifest.version.clone()),
    (About::Host, "hostname", |manifest| manifest.host.hostname.clone()),
    (About::Host, "kernel", |manifest| manifest.host.kernel.clone()),
    (About::Host, "cores", |manifest| manifest.host.cores.to_string()),
    (About::Host, "shards", |manifest| manifest.shards.to_string()),
];

fn mode(mode: Mode) -> String {
    let value = serde_json::to_value(mode).expect("a mode is a word");
    value.as_str().unwrap_or_default().to_owned()
}

/// Between two sides, each of one scenario at least; the scenario is that of their first runs.
pub(super) fn between(base: &[&Manifest], run: &[&Manifest]) -> Vec<Difference> {
    let facts = FACTS.iter().filter_map(|(about, key, fact)| {
        let [base, run] = [base, run].map(|side| values(side, *fact));
        (base != run).then(|| Difference { about: *about, key: (*key).to_owned(), base, run })
    });
    facts.chain(between_scenarios(&base[0].scenario, &run[0].scenario)).collect()
}

/// What the runs of one side differ in, without what tells nothing: the scenario is the same.
pub(super) fn within(side: &[&Manifest]) -> Vec<(&'static str, String)> {
    let varies = |(_, key, fact): &Fact| {
        let known: BTreeSet<String> = side.iter().map(|manifest| fact(manifest)).collect();
        (known.len() > 1).then(|| (*key, known.into_iter().collect::<Vec<_>>().join(", ")))
    };
    FACTS.iter().filter_map(varies).collect()
}

/// Of a side, in the order of its runs, each once.
fn values(side: &[&Manifest], fact: fn(&Manifest) -> String) -> String {
    let mut known: Vec<String> = side.iter().map(|manifest| fact(manifest)).collect();
    let mut seen = BTreeSet::new();
    known.retain(|value| seen.insert(value.clone()));
    known.join(", ")
}

/// Every key that two resolved scenarios differ in.
pub(super) fn between_scenarios(base: &Value, run: &Value) -> Vec<Difference> {
    let difference = |found: KeyDifference<'_>| {
        let is_endpoint = found.key == "target" || found.key.starts_with("target.");
        let [base, run] = [found.left, found.right].map(|value| value.map_or_else(|| ABSENT.to_owned(), written));
        Difference { about: if is_endpoint { About::Endpoint } else { About::Scenario }, key: found.key, base, run }
    };
    report::differences(base, run).into_iter().map(difference).collect()
}

/// As it stands in a scenario, or nearly so.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(base: &Value, run: &Value) -> Vec<(String, String, String)> {
        between_scenarios(base, run).into_iter().map(|found| (found.key, found.base, found.run)).collect()
    }

    #[test]
    fn keys_are_paths_and_elements_go_by_name() {
        let base = json!({ "name": "x", "fleet": { "things": 5, "connect": { "rate": "5/s" } },
            "rollout": [{ "job": "a", "rate": "6/min" }, { "job": "b" }], "event": [{ "at": "1s", "kind": "outage" }, { "at": "5s", "kind": "outage" }] });
        let run = json!({ "name": "x", "fleet": { "things": 6, "connect": { "rate": "5/s" } },
            "rollout": [{ "job": "a", "rate": "9/min" }], "event": [{ "at": "2s", "kind": "outage" }, { "at": "5s", "kind": "outage" }], "seed": 4 });
        let expected = [
            ("event.1.at", "1s", "2s"),
            ("fleet.things", "5", "6"),
            ("rollout.a.rate", "6/min", "9/min"),
            ("rollout.b", "{\"job\":\"b\"}", ABSENT),
            ("seed", ABSENT, "4"),
        ];
        let mut found = told(&base, &run);
        found.sort();
        assert_eq!(found, expected.map(|(key, base, run)| (key.to_owned(), base.to_owned(), run.to_owned())));
        assert!(told(&base, &base).is_empty());
    }

    #[test]
    fn what_shapes_the_endpoint_is_of_the_endpoint() {
        let with = |latency: &str| json!({ "target": { "kind": "emulator", "emulator": { "latency": latency } } });
        let found = between_scenarios(&with("2ms"), &with("3ms"));
        assert_eq!((found.len(), found[0].about, found[0].key.as_str()), (1, About::Endpoint, "target.emulator.latency"));
    }
}
