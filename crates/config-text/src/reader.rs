//! Reads typed values out of the tree and gathers what is wrong, instead of stopping at the first mistake.

use crate::description::{Key, Kind};
use crate::problem::{Code, Place, nearest};
use crate::sink::ProblemSink;
use crate::tree::{Node, Table, Value};
use sim_units::distribution::Distribution;
use sim_units::text;
use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;
use strum::VariantArray;

/// The highest quota that is not `"unlimited"`.
const QUOTA_MAX: i64 = 1_000_000_000;

/// A value with its place, for checks that come later.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// What was read.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

/// Reads one table. Every key that is asked for is known; [`Reader::finish`] complains about the others.
pub struct Reader<'a> {
    table: &'a Table,
    /// Of the table itself.
    pub place: Place,
    /// How the table is called in messages: empty for the root.
    path: String,
    /// Where the problems of this table, and of those below it, go.
    pub gathered: &'a ProblemSink,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Reader<'a> {
    /// A reader of `table`, which stands at `place` and is called `path` in messages; no path for the root.
    pub fn new(table: &'a Table, place: Place, path: impl Into<String>, gathered: &'a ProblemSink) -> Self {
        Self { table, place, path: path.into(), gathered, known: RefCell::default() }
    }

    /// What stands at a key, with the key's name.
    fn node(&self, key: impl Into<Key>, kind: impl FnOnce() -> Kind) -> Option<(&'static str, &'a Node)> {
        let key = key.into();
        self.describe(key, kind);
        self.know(key.name);
        Some((key.name, self.table.get(key.name)?))
    }

    fn describe(&self, key: Key, kind: impl FnOnce() -> Kind) {
        if let Some(keys) = &self.gathered.keys {
            keys.add(&self.path, key, kind());
        }
    }

    /// What holds where the key is left out, for pages that describe the format.
    pub fn declare_default(&self, key: Key, default: impl FnOnce() -> String) {
        if let Some(keys) = &self.gathered.keys {
            keys.set_default(&self.path, key.name, default());
        }
    }

    /// The full path of a key of this table, as messages show it.
    pub fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn wrong_type(&self, key: &str, node: &Node, wanted: &str) {
        let message = format!("{} must be {wanted}, not {} ({})", self.name(key), node.value.kind(), node.value.text());
        self.gathered.push(Code::WrongType, &node.place, message, None);
    }

    /// Whether the key is there; that does not make it a known one.
    pub fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// A key that is no mistake here, whatever was said about it.
    pub fn know(&self, key: &'static str) {
        self.known.borrow_mut().push(key);
    }

    /// Where the key's value stands; without one, the table's own place.
    pub fn place_of(&self, key: &str) -> Place {
        self.table.get(key).map_or_else(|| self.place.clone(), |node| node.place.clone())
    }

    /// A text; `None` when the key is absent, or has another type, which becomes a problem.
    pub fn string(&self, key: impl Into<Key>) -> Option<Located<String>> {
        let (key, node) = self.node(key, || Kind::Value("string".into()))?;
        match &node.value {
            Value::String(text) => Some(Located { value: text.clone(), place: node.place.clone() }),
            _ => {
                self.wrong_type(key, node, "a string");
                None
            }
        }
    }

    /// `true` or `false`; `None` when the key is absent, or has another type, which becomes a problem.
    pub fn boolean(&self, key: impl Into<Key>) -> Option<Located<bool>> {
        let (key, node) = self.node(key, || Kind::Value("`true` or `false`".into()))?;
        match node.value {
            Value::Boolean(value) => Some(Located { value, place: node.place.clone() }),
            _ => {
                self.wrong_type(key, node, "true or false");
                None
            }
        }
    }

    /// A whole number within `range`; `None` when the key is absent, or when its value is another, which becomes a problem.
    pub fn integer(&self, key: impl Into<Key>, range: RangeInclusive<i64>) -> Option<Located<i64>> {
        let (key, node) = self.node(key, || Kind::integer(&range))?;
        let Value::Integer(value) = node.value else {
            self.wrong_type(key, node, "an integer");
            return None;
        };
        self.check_range(key, node, value, &range).then(|| Located { value, place: node.place.clone() })
    }

    /// A share: 0 to 1.
    pub fn share(&self, key: impl Into<Key>) -> Option<Located<f64>> {
        let (key, node) = self.node(key, || Kind::Value("number, 0 to 1".into()))?;
        let value = match node.value {
            Value::Float(value) => value,
            Value::Integer(value) => value as f64,
            _ => {
                self.wrong_type(key, node, "a number from 0 to 1");
                return None;
            }
        };
        self.check_range(key, node, value, &(0.0..=1.0)).then(|| Located { value, place: node.place.clone() })
    }

    /// A whole number of at least 1, or `"unlimited"`, which is `None`.
    pub fn quota(&self, key: impl Into<Key>) -> Option<Option<u32>> {
        let (key, node) = self.node(key, || Kind::Value(format!("integer, 1 to {QUOTA_MAX}, or `\"unlimited\"`")))?;
        match &node.value {
            Value::Integer(value) if (1..=QUOTA_MAX).contains(value) => return Some(Some(*value as u32)),
            Value::String(text) if text == "unlimited" => return Some(None),
            _ => {}
        }
        let message = format!("{} must be 1 to {QUOTA_MAX}, or \"unlimited\", not {}", self.name(key), node.value.text());
        let code = if matches!(node.value, Value::Integer(_)) { Code::OutOfRange } else { Code::BadValue };
        self.gathered.push(code, &node.place, message, None);
        None
    }

    /// A whole number, or what a text says.
    pub fn integer_or<T>(
        &self,
        key: impl Into<Key>,
        wanted: &str,
        range: RangeInclusive<i64>,
        of_integer: impl Fn(i64) -> T,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (key, node) = self.node(key, || Kind::Value(format!("{wanted}; {} to {}", range.start(), range.end())))?;
        match &node.value {
            Value::Integer(value) => self.check_range(key, node, *value, &range).then(|| of_integer(*value)),
            Value::String(_) => self.parsed(key, wanted, parse).map(|parsed| parsed.value),
            _ => {
                self.wrong_type(key, node, wanted);
                None
            }
        }
    }

    fn check_range<T: PartialOrd + Display>(&self, key: &str, node: &Node, value: T, range: &RangeInclusive<T>) -> bool {
        let fits = range.contains(&value);
        if !fits {
            let message = format!("{} must be {} to {}, not {value}", self.name(key), range.start(), range.end());
            self.gathered.push(Code::OutOfRange, &node.place, message, None);
        }
        fits
    }

    fn parsed<T>(&self, key: impl Into<Key>, wanted: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Located<T>> {
        let (key, node) = self.node(key, || Kind::Value(wanted.into()))?;
        let Value::String(text) = &node.value else {
            self.wrong_type(key, node, wanted);
            return None;
        };
        match parse(text) {
            Ok(value) => Some(Located { value, place: node.place.clone() }),
            Err(error) => {
                self.gathered.push(Code::BadValue, &node.place, format!("{}: {error}", self.name(key)), None);
                None
            }
        }
    }

    /// A duration such as `"30s"` within `range`; `None` when the key is absent, or when its value is another, which becomes a problem.
    pub fn duration(&self, key: impl Into<Key>, range: RangeInclusive<Duration>) -> Option<Located<Duration>> {
        let key = key.into();
        let text = text::duration_text;
        let (from, to) = (text(*range.start()), text(*range.end()));
        self.describe(key, || Kind::Value(format!("duration, {from} to {to}")));
        let located = self.parsed(key, "a duration such as \"30s\"", text::duration)?;
        if range.contains(&located.value) {
            return Some(located);
        }
        let message = format!("{} must be {from} to {to}, not {}", self.name(key.name), text(located.value));
        self.gathered.push(Code::OutOfRange, &located.place, message, None);
        None
    }

    /// A rate such as `"500/s"`, in events per second; `None` when the key is absent, or malformed, which becomes a problem.
    pub fn rate(&self, key: impl Into<Key>) -> Option<Located<f64>> {
        self.parsed(key, "a rate such as \"500/s\"", text::rate)
    }

    /// A distribution of durations such as `"exp(30s)"`; `None` when the key is absent, or malformed, which becomes a problem.
    pub fn distribution(&self, key: impl Into<Key>) -> Option<Located<Distribution>> {
        self.parsed(key, "a distribution such as \"exp(30s)\"", text::distribution)
    }

    /// What `parse` makes of a text, its error being the problem; `wanted` says in a message of another type what the text should be.
    pub fn with<T>(&self, key: impl Into<Key>, wanted: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Located<T>> {
        self.parsed(key, wanted, parse)
    }

    /// One of a few words.
    pub fn word<T: Copy>(&self, key: impl Into<Key>, known: &[(&str, T)]) -> Option<Located<T>> {
        let key = key.into();
        let words = || known.iter().map(|(word, _)| *word);
        self.describe(key, || Kind::Value(words().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")));
        let Located { value, place } = self.string(key)?;
        if let Some((_, meaning)) = known.iter().find(|(word, _)| *word == value) {
            return Some(Located { value: *meaning, place });
        }
        let meant = nearest(&value, words()).map(|near| format!("did you mean {near:?}?"));
        let message = format!("{} must be one of {}, not {value:?}", self.name(key.name), words().collect::<Vec<_>>().join(", "));
        self.gathered.push(Code::BadValue, &place, message, meant);
        None
    }

    /// One of the variants of `T`, each by its name.
    pub fn variant<T: VariantArray + Copy + Into<&'static str>>(&self, key: impl Into<Key>) -> Option<Located<T>> {
        let known: Vec<(&str, T)> = T::VARIANTS.iter().map(|variant| ((*variant).into(), *variant)).collect();
        self.word(key, &known)
    }

    /// The reader of a table below; `None` when the key is absent, or no table, which becomes a problem.
    pub fn table(&self, key: impl Into<Key>) -> Option<Self> {
        let (key, node) = self.node(key, || Kind::Table)?;
        match &node.value {
            Value::Table(table) => Some(Reader::new(table, node.place.clone(), self.name(key), self.gathered)),
            _ => {
                self.wrong_type(key, node, "a table");
                None
            }
        }
    }

    /// A table as it stands.
    pub fn raw_table(&self, key: impl Into<Key>) -> Option<&'a Table> {
        let (key, node) = self.node(key, || Kind::Table)?;
        match &node.value {
            Value::Table(table) => Some(table),
            _ => {
                self.wrong_type(key, node, "a table");
                None
            }
        }
    }

    /// A table whose keys are names.
    pub fn named_tables(&self, key: impl Into<Key>) -> Vec<(String, Self)> {
        let Some((key, node)) = self.node(key, || Kind::NamedTables) else { return Vec::new() };
        let Value::Table(table) = &node.value else {
            self.wrong_type(key, node, "a table");
            return Vec::new();
        };
        let mut named = Vec::new();
        for entry in &table.entries {
            let path = format!("{}.{}", self.name(key), entry.key);
            match &entry.node.value {
                Value::Table(inner) => {
                    named.push((entry.key.clone(), Reader::new(inner, entry.key_place.clone(), path, self.gathered)));
                }
                other => {
                    let message = format!("{path} must be a table, not {} ({})", other.kind(), other.text());
                    self.gathered.push(Code::WrongType, &entry.node.place, message, None);
                }
            }
        }
        named
    }

    /// An array of tables (`[[key]]`).
    pub fn tables(&self, key: impl Into<Key>) -> Vec<Self> {
        let Some((key, node)) = self.node(key, || Kind::Tables) else { return Vec::new() };
        let Value::Array(elements) = &node.value else {
            self.wrong_type(key, node, &format!("an array of tables ([[{key}]])"));
            return Vec::new();
        };
        let mut readers = Vec::new();
        for element in elements {
            match &element.value {
                Value::Table(table) => readers.push(Reader::new(table, element.place.clone(), self.name(key), self.gathered)),
                _ => self.wrong_type(key, element, "a table"),
            }
        }
        readers
    }

    /// An array of texts.
    pub fn strings(&self, key: impl Into<Key>) -> Option<Vec<Located<String>>> {
        let (key, node) = self.node(key, || Kind::Value("array of strings".into()))?;
        let texts: Option<Vec<Located<String>>> = match &node.value {
            Value::Array(elements) => elements
                .iter()
                .map(|element| match &element.value {
                    Value::String(text) => Some(Located { value: text.clone(), place: element.place.clone() }),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        if texts.is_none() {
            self.wrong_type(key, node, "an array of strings");
        }
        texts
    }

    /// Any value, as JSON.
    pub fn json(&self, key: impl Into<Key>) -> Option<Located<serde_json::Value>> {
        let (key, node) = self.node(key, || Kind::Value("any value".into()))?;
        if let Some(number) = node.infinite() {
            self.wrong_type(key, number, "JSON");
            return None;
        }
        Some(Located { value: node.value.to_json(), place: node.place.clone() })
    }

    /// A table, as a JSON object.
    pub fn json_table(&self, key: impl Into<Key>) -> Option<Located<serde_json::Value>> {
        let key = key.into();
        self.describe(key, || Kind::Value("table".into()));
        let located = self.json(key)?;
        if !located.value.is_object() {
            self.table(key);
            return None;
        }
        Some(located)
    }

    /// Where a message about the value of `key` belongs: to the key within it that the message names, if it stands there just once.
    pub fn place_named(&self, key: &str, message: &str) -> Place {
        let Some(node) = self.table.get(key) else { return self.place.clone() };
        let words = message.split(|c: char| !c.is_ascii_alphanumeric());
        let found = words.filter(|word| *word != key).find_map(|word| match node.entries(word)[..] {
            [entry] => Some(entry.node.place.clone()),
            _ => None,
        });
        found.unwrap_or_else(|| node.place.clone())
    }

    /// Adds the problem that `key` is not there.
    pub fn missing(&self, key: &str, help: &str) {
        if let Some(keys) = &self.gathered.keys {
            keys.require(&self.path, key);
        }
        let message = format!("{} is missing", self.name(key));
        self.gathered.push(Code::MissingKey, &self.place, message, Some(help.to_owned()));
    }

    /// Adds the problem that what stands at `place` does not go together with something else.
    pub fn conflict(&self, place: &Place, message: impl Into<String>, help: &str) {
        self.gathered.push(Code::Conflict, place, message, Some(help.to_owned()));
    }

    /// Whatever was not asked for is unknown.
    pub fn finish(self) {
        let known = self.known.borrow();
        for entry in self.table.entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let help = match nearest(&entry.key, known.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("known here: {}", known.join(", ")),
            };
            self.gathered.push(Code::UnknownKey, &entry.key_place, format!("unknown key {:?}", self.name(&entry.key)), Some(help));
        }
    }
}
