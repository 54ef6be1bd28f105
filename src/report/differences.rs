//! Where two resolved scenarios differ.

use config_text::ELEMENT_NAMES;
use serde_json::Value;

/// A key of which two scenarios say different things.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeyDifference<'a> {
    /// A path as `--set` takes it.
    pub(crate) key: String,
    /// `None` where it is not there.
    pub(crate) left: Option<&'a Value>,
    pub(crate) right: Option<&'a Value>,
}

/// Every key that two resolved scenarios differ in: in the order of the left one's keys, and then those that only the right one has.
pub(crate) fn differences<'a>(left: &'a Value, right: &'a Value) -> Vec<KeyDifference<'a>> {
    let mut found = Vec::new();
    descend("", Some(left), Some(right), &mut found);
    found
}

fn descend<'a>(path: &str, left: Option<&'a Value>, right: Option<&'a Value>, found: &mut Vec<KeyDifference<'a>>) {
    if left == right {
        return;
    }
    let (Some(lefts), Some(rights)) = (left.and_then(members), right.and_then(members)) else {
        return found.push(KeyDifference { key: path.to_owned(), left, right });
    };
    let of = |members: &[(String, &'a Value)], name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
    let only_right = rights.iter().filter(|(name, _)| of(&lefts, name).is_none());
    for (name, _) in lefts.iter().chain(only_right) {
        let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        descend(&below, of(&lefts, name), of(&rights, name), found);
    }
}

/// Of a table, or of an array of tables: by their names as `--set` takes them, or by their numbers where these do not tell them apart.
fn members(value: &Value) -> Option<Vec<(String, &Value)>> {
    match value {
        Value::Object(members) => Some(members.iter().map(|(key, value)| (key.clone(), value)).collect()),
        Value::Array(elements) if !elements.is_empty() && elements.iter().all(Value::is_object) => {
            let name = |element: &Value| ELEMENT_NAMES.iter().find_map(|key| Some(element.get(*key)?.as_str()?.to_owned()));
            let named: Option<Vec<(String, &Value)>> = elements.iter().map(|element| Some((name(element)?, element))).collect();
            let are_apart = |named: &Vec<(String, &Value)>| {
                named.iter().enumerate().all(|(n, (name, _))| named[..n].iter().all(|(other, _)| other != name))
            };
            let numbered = || elements.iter().zip(1..).map(|(element, number)| (format!("{number}"), element)).collect();
            Some(named.filter(are_apart).unwrap_or_else(numbered))
        }
        _ => None,
    }
}
