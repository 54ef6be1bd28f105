//! What readers know of their keys, for pages that describe a format.

use std::cell::RefCell;
use std::ops::RangeInclusive;

/// A key of a table, and what it means.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// Half a sentence for people, in Markdown; empty for keys of formats that no page describes.
    pub meaning: &'static str,
}

impl From<&'static str> for Key {
    fn from(name: &'static str) -> Self {
        Self { name, meaning: "" }
    }
}

impl From<(&'static str, &'static str)> for Key {
    fn from((name, meaning): (&'static str, &'static str)) -> Self {
        Self { name, meaning }
    }
}

/// What a key has for a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A table.
    Table,
    /// A table of tables, by names that the author chooses.
    NamedTables,
    /// An array of tables.
    Tables,
    /// A value: its type with its limits, in words.
    Value(String),
}

impl Kind {
    /// A whole number within `range`.
    #[must_use]
    pub(crate) fn integer(range: &RangeInclusive<i64>) -> Self {
        let (from, to) = (grouped(*range.start()), grouped(*range.end()));
        Self::Value(if *range.end() == i64::MAX { format!("integer, {from} or more") } else { format!("integer, {from} to {to}") })
    }
}

/// In groups of three digits, as TOML takes them.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join("_")
}

/// A key as its reader knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDescription {
    /// Path of the table that the key is in; empty for the root.
    pub table: String,
    /// As it is written.
    pub name: &'static str,
    /// What it has for a value.
    pub kind: Kind,
    /// Whether its table is incomplete without it.
    pub is_required: bool,
    /// What holds where it is left out, where its reader says so.
    pub default: Option<String>,
    /// [`Key::meaning`].
    pub meaning: &'static str,
}

/// Gathers what readers know.
#[derive(Default)]
pub(crate) struct KeyLog {
    keys: RefCell<Vec<KeyDescription>>,
    required: RefCell<Vec<(String, String)>>,
    defaults: RefCell<Vec<(String, &'static str, String)>>,
}

impl KeyLog {
    /// A key may be read several times: the first time that says what it means counts.
    pub(crate) fn add(&self, table: &str, key: Key, kind: Kind) {
        let Key { name, meaning } = key;
        let new = KeyDescription { table: table.to_owned(), name, kind, is_required: false, default: None, meaning };
        let mut keys = self.keys.borrow_mut();
        match keys.iter_mut().find(|known| known.table == table && known.name == name) {
            Some(known) if known.meaning.is_empty() => *known = new,
            Some(_) => {}
            None => keys.push(new),
        }
    }

    pub(crate) fn require(&self, table: &str, name: &str) {
        self.required.borrow_mut().push((table.to_owned(), name.to_owned()));
    }

    pub(crate) fn set_default(&self, table: &str, name: &'static str, default: String) {
        self.defaults.borrow_mut().push((table.to_owned(), name, default));
    }

    /// In the order in which they were read first.
    pub(crate) fn into_descriptions(self) -> Vec<KeyDescription> {
        let (required, defaults) = (self.required.into_inner(), self.defaults.into_inner());
        let mut keys = self.keys.into_inner();
        for key in &mut keys {
            key.is_required = required.iter().any(|(table, name)| *table == key.table && name == key.name);
            let known = defaults.iter().find(|(table, name, _)| *table == key.table && *name == key.name);
            key.default = known.map(|(_, _, default)| default.clone());
        }
        keys
    }
}
