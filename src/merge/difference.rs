//! Where two resolved scenarios differ first.

use crate::report::differences;
use serde_json::Value;

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
    let found = differences(left, right).into_iter().next()?;
    Some(Difference { key: found.key, left: shown(found.left), right: shown(found.right) })
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
            ("/event/0/at", json!("2s"), ("event.disconnect.at", "\"1s\"", "\"2s\"")),
            ("/event/0/kind", json!("outage"), ("event.disconnect", "{\"at\":\"1s\",\"kind\":\"disconnect\"}", "not there")),
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
