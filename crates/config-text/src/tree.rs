//! A scenario's text as a tree that knows where everything stands, and the overrides laid over it.

use crate::problem::{Code, Place, Problem, Source, nearest};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value laid over the file: `--set`, or a flag that is short for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Path with dots; elements of arrays of tables go by name.
    pub key: String,
    /// TOML.
    pub value: String,
    /// What was typed, for messages.
    pub origin: String,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value itself.
    pub value: Value,
    /// Where it stands, quotes and brackets included.
    pub place: Place,
}

impl Node {
    /// Entries of that key in all tables below.
    pub fn entries(&self, key: &str) -> Vec<&Entry> {
        match &self.value {
            Value::Array(nodes) => nodes.iter().flat_map(|node| node.entries(key)).collect(),
            Value::Table(table) => {
                let here = table.entries.iter().filter(|entry| entry.key == key);
                here.chain(table.entries.iter().flat_map(|entry| entry.node.entries(key))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// A number below that JSON has no word for.
    pub fn infinite(&self) -> Option<&Self> {
        match &self.value {
            Value::Float(number) if !number.is_finite() => Some(self),
            Value::Array(nodes) => nodes.iter().find_map(Self::infinite),
            Value::Table(table) => table.entries.iter().find_map(|entry| entry.node.infinite()),
            _ => None,
        }
    }
}

/// A TOML value.
#[derive(Clone, Debug)]
pub enum Value {
    /// Without its quotes and escapes.
    String(String),
    /// A whole number of 64 bits; a larger one is an infinite `Float`.
    Integer(i64),
    /// A number with a fraction, or `inf` or `nan`.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A date, a time or both, as text of RFC 3339.
    Datetime(String),
    /// In the order of the text; of tables, too (`[[key]]`).
    Array(Vec<Node>),
    /// A table, however it is written.
    Table(Table),
}

impl Value {
    /// What people call it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Boolean(_) => "a boolean",
            Self::Datetime(_) => "a date",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
        }
    }

    /// As it might have been written.
    pub fn text(&self) -> String {
        match self {
            Self::String(text) => format!("{text:?}"),
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Boolean(value) => value.to_string(),
            Self::Datetime(text) => text.clone(),
            Self::Array(_) | Self::Table(_) => self.kind().to_owned(),
        }
    }

    /// A document of a job: TOML as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::String(text) | Self::Datetime(text) => text.as_str().into(),
            Self::Integer(number) => (*number).into(),
            Self::Float(number) => (*number).into(),
            Self::Boolean(value) => (*value).into(),
            Self::Array(nodes) => nodes.iter().map(|node| node.value.to_json()).collect(),
            Self::Table(table) => table.entries.iter().map(|entry| (entry.key.clone(), entry.node.value.to_json())).collect(),
        }
    }
}

/// Entries in the order of the text.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// In the order of the text, then what overrides have added.
    pub entries: Vec<Entry>,
}

/// A key of a table with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Without quotes, and without the path that leads to it.
    pub key: String,
    /// Where the key itself stands.
    pub key_place: Place,
    /// The value.
    pub node: Node,
}

impl Table {
    /// The value of `key`, if it is there.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.node)
    }
}

/// Parses the file and lays the overrides over it. What can be read is returned even when something cannot.
pub(crate) fn parse(name: &str, text: &str, overrides: &[Override]) -> (Table, Vec<Source>, Vec<Problem>) {
    let mut sources = vec![Source { name: name.into(), text: text.into() }];
    let mut problems = Vec::new();
    let (parsed, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or(0..text.len().min(1));
        let message = format!("the text is not TOML: {}", error.message());
        problems.push(Problem { code: Code::Syntax, place: Place { source: 0, span }, message, help: None });
    }
    let mut table = convert_table(parsed.get_ref(), &|span| Place { source: 0, span });
    // A text that is no TOML would make every override, and every missing key, a problem of its own.
    if problems.is_empty() {
        for wanted in overrides {
            let place = Place { source: sources.len(), span: 0..wanted.origin.len() };
            sources.push(Source { name: "command line".into(), text: wanted.origin.clone() });
            if let Err((message, help)) = apply(&mut table, wanted, &place) {
                problems.push(Problem { code: Code::Override, place, message, help });
            }
        }
    }
    (table, sources, problems)
}

fn convert_table(table: &DeTable<'_>, place: &dyn Fn(Range<usize>) -> Place) -> Table {
    let entry = |(key, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| Entry {
        key: key.get_ref().to_string(),
        key_place: place(key.span()),
        node: convert(value, place),
    };
    let mut entries: Vec<Entry> = table.iter().map(entry).collect();
    entries.sort_by_key(|entry| entry.key_place.span.start);
    Table { entries }
}

fn convert(value: &Spanned<DeValue<'_>>, place: &dyn Fn(Range<usize>) -> Place) -> Node {
    let converted = match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            // Too large for an integer of 64 bits: no key wants that, and the reader says what it wants.
            Err(_) => Value::Float(f64::INFINITY),
        },
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Datetime(date) => Value::Datetime(date.to_string()),
        DeValue::Array(nodes) => Value::Array(nodes.iter().map(|node| convert(node, place)).collect()),
        DeValue::Table(table) => Value::Table(convert_table(table, place)),
    };
    Node { value: converted, place: place(value.span()) }
}

type ParseError = (String, Option<String>);

/// The keys of a path: what is between dots, or, where a key has dots itself, between quotes.
fn segments(path: &str) -> Vec<&str> {
    let mut is_quoted = false;
    let border = |c: char| {
        is_quoted ^= c == '"';
        c == '.' && !is_quoted
    };
    path.split(border).map(|key| key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key)).collect()
}

fn apply(root: &mut Table, wanted: &Override, place: &Place) -> Result<(), ParseError> {
    let text = format!("value = {}", wanted.value);
    let quoting = || Some("a value is TOML: text needs quotes, as in --set name='\"demo\"'".to_owned());
    let parsed = DeTable::parse(&text)
        .map_err(|error| (format!("{:?} is not a TOML value: {}", wanted.value, error.message()), quoting()))?;
    let value = match parsed.get_ref().iter().next() {
        Some((_, value)) if parsed.get_ref().len() == 1 => convert(value, &|_| place.clone()),
        _ => return Err((format!("{:?} is more than one TOML value", wanted.value), quoting())),
    };
    let path = segments(&wanted.key);
    if path.iter().any(|segment| segment.is_empty()) {
        return Err((format!("{:?} is not a path", wanted.key), Some("a path is keys with dots, as in fleet.things".into())));
    }
    place_value(root, &path, value, place, &wanted.key)
}

fn place_value(table: &mut Table, path: &[&str], value: Node, place: &Place, whole: &str) -> Result<(), ParseError> {
    let (key, rest) = (path[0], &path[1..]);
    if rest.is_empty() {
        match table.get_mut(key) {
            Some(node) => *node = value,
            None => table.entries.push(Entry { key: key.to_owned(), key_place: place.clone(), node: value }),
        }
        return Ok(());
    }
    if table.get(key).is_none() {
        let node = Node { value: Value::Table(Table::default()), place: place.clone() };
        table.entries.push(Entry { key: key.to_owned(), key_place: place.clone(), node });
    }
    match table.get_mut(key).map(|node| &mut node.value) {
        Some(Value::Table(inner)) => place_value(inner, rest, value, place, whole),
        Some(Value::Array(elements)) => {
            let element = named_element(elements, key, rest[0], whole)?;
            if rest.len() == 1 {
                return Err((
                    format!("{whole:?} names a whole element of {key}"),
                    Some(format!("name a key of it, as in {whole}.share")),
                ));
            }
            place_value(element, &rest[1..], value, place, whole)
        }
        _ => Err((format!("{whole:?} leads into {key:?}, which is no table"), None)),
    }
}

/// The value at a path as `--set` takes it, once the overrides are laid over the text; `Ok(None)` where there is none.
///
/// # Errors
/// With what is wrong where an element of an array is not there, or there twice. What is wrong with the text itself is told elsewhere.
pub(crate) fn lookup(text: &str, overrides: &[Override], path: &str) -> Result<Option<Value>, String> {
    let (mut root, ..) = parse("", text, overrides);
    let mut table = &mut root;
    let path_segments = segments(path);
    let mut rest = path_segments.iter();
    while let Some(key) = rest.next() {
        let Some(node) = table.get_mut(key) else { return Ok(None) };
        table = match (&mut node.value, rest.clone().next()) {
            (value, None) => return Ok(Some(value.clone())),
            (Value::Table(inner), Some(_)) => inner,
            (Value::Array(elements), Some(name)) => {
                rest.next();
                let element = named_element(elements, key, name, path);
                element.map_err(|(message, help)| format!("{message}; {}", help.unwrap_or_default()))?
            }
            _ => return Ok(None),
        };
    }
    Ok(None)
}

/// Every path that leads to a value that is no table, as `--set` takes it.
pub(crate) fn paths(text: &str) -> Vec<String> {
    fn gather(table: &Table, prefix: &str, paths: &mut Vec<String>) {
        for Entry { key, node, .. } in &table.entries {
            match &node.value {
                Value::Table(inner) => gather(inner, &format!("{prefix}{key}."), paths),
                Value::Array(elements) => elements.iter().for_each(|element| {
                    if let (Some(name), Value::Table(inner)) = (element_name(element), &element.value) {
                        gather(inner, &format!("{prefix}{key}.{name}."), paths);
                    }
                }),
                _ => paths.push(format!("{prefix}{key}")),
            }
        }
    }
    let mut paths = Vec::new();
    gather(&parse("", text, &[]).0, "", &mut paths);
    paths
}

/// Keys whose text an element of an array of tables goes by; the first one that it has.
pub const ELEMENT_NAMES: [&str; 3] = ["name", "job", "kind"];

/// What an element of an array of tables goes by.
fn element_name(node: &Node) -> Option<&str> {
    let Value::Table(table) = &node.value else { return None };
    ELEMENT_NAMES.iter().find_map(|key| match table.get(key).map(|node| &node.value) {
        Some(Value::String(name)) => Some(name.as_str()),
        _ => None,
    })
}

/// An element of an array of tables, by its `name`, `job` or `kind`.
fn named_element<'a>(elements: &'a mut [Node], array: &str, name: &str, whole: &str) -> Result<&'a mut Table, ParseError> {
    let known: Vec<String> = elements.iter().filter_map(element_name).map(str::to_owned).collect();
    let found: Vec<usize> =
        elements.iter().enumerate().filter(|(_, node)| element_name(node) == Some(name)).map(|(n, _)| n).collect();
    let list = || format!("known here: {}", if known.is_empty() { "none".into() } else { known.join(", ") });
    match found[..] {
        [one] => match &mut elements[one].value {
            Value::Table(table) => Ok(table),
            _ => unreachable!("only tables have names"),
        },
        [] => {
            let meant = nearest(name, known.iter().map(String::as_str)).map(|near| format!("did you mean {near:?}? "));
            Err((format!("{whole:?}: no element of {array} is called {name:?}"), Some(meant.unwrap_or_default() + &list())))
        }
        _ => Err((format!("{whole:?} is ambiguous: {} elements of {array} are called {name:?}", found.len()), Some(list()))),
    }
}
