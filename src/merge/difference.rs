//! Where two resolved scenarios differ first.

use serde_json::Value;
use std::collections::BTreeSet;

/// Characters of a value that are shown.
const SHOWN_MAX: usize = 60;

/// A key of which two scenarios say different things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// As `--set` takes it: elements of arrays go by their names.
    pub key: String,
    pub left: String,
    pub right: String,
}

/// The first difference, in the order of the keys; `None` where there is none.
pub(super) fn first(left: &Value, right: &Value) -> Option<Difference> {
    below(&mut Vec::new(), Some(left), Some(right))
}

fn below(path: &mut Vec<String>, left: Option<&Value>, right: Option<&Value>) -> Option<Difference> {
    if left == right {
        return None;
    }
    let inner = match (left, right) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            keys.into_iter().find_map(|key| step(path, key.clone(), left.get(key), right.get(key)))
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) => (0..left.len().max(right.len())).find_map(|n| {
            let (left, right) = (left.get(n), right.get(n));
            step(path, element(left.or(right), n), left, right)
        }),
        _ => None,
    };
    inner.or_else(|| Some(Difference { key: path.join("."), left: shown(left), right: shown(right) }))
}

fn step(path: &mut Vec<String>, name: String, left: Option<&Value>, right: Option<&Value>) -> Option<Difference> {
    path.push(name);
    let found = below(path, left, right);
    path.pop();
    found
}

/// What an element of an array is called: by its name or job, else by its place, from 1.
fn element(value: Option<&Value>, n: usize) -> String {
    let name = ["name", "job"].iter().find_map(|key| value?.get(key)?.as_str());
    name.map_or_else(|| (n + 1).to_string(), str::to_owned)
}

fn shown(value: Option<&Value>) -> String {
    let text = value.map_or_else(|| "not there".to_owned(), Value::to_string);
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_key_that_differs_is_named() {
        let scenario = json!({
            "name": "x", "seed": 1, "cohort": [{ "name": "a", "share": 0.5 }, { "name": "b", "share": 0.5 }],
            "rollout": [{ "job": "fw-1", "at": "5s" }], "event": [{ "at": "1s", "kind": "disconnect" }],
        });
        assert_eq!(first(&scenario, &scenario.clone()), None);
        for (pointer, value, expected) in [
            ("/cohort/1/share", json!(0.25), ("cohort.b.share", "0.5", "0.25")),
            ("/rollout/0/at", json!("6s"), ("rollout.fw-1.at", "\"5s\"", "\"6s\"")),
            ("/event/0/kind", json!("outage"), ("event.1.kind", "\"disconnect\"", "\"outage\"")),
            ("/cohort", json!([{ "name": "a", "share": 0.5 }]), ("cohort.b", "{\"name\":\"b\",\"share\":0.5}", "not there")),
            ("/seed", json!("x".repeat(100)), ("seed", "1", &*format!("\"{}...", "x".repeat(59)))),
        ] {
            let mut other = scenario.clone();
            *other.pointer_mut(pointer).unwrap() = value;
            let (key, left, right) = expected;
            let expected = Difference { key: key.into(), left: left.into(), right: right.into() };
            assert_eq!(first(&scenario, &other), Some(expected));
        }
    }
}
