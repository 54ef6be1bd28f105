//! AWS's model of the control plane as far as this endpoint serves it: for each operation its route, and for each member of its request
//! where it stands, of which kind it is, whether it has to be there, and what a text may hold (as in botocore's `iot/2015-05-28` model).
//!
//! One table, so that no operation is more lenient than the others. Ranges of numbers, and words of which there are a few, are known to
//! what reads them. Members that are not listed are for their reader to refuse by name. `tests/outside/test_model.py` breaks every rule of
//! AWS's own model, one at a time.

mod authorities;
mod jobs;
mod registry;
mod shapes;
mod tags;
mod templates;

pub use jobs::OPERATIONS as JOBS;
pub use templates::OPERATIONS as TEMPLATES;

/// All of them, by what they are about.
static ALL: [&[Operation]; 5] =
    [jobs::OPERATIONS, templates::OPERATIONS, registry::OPERATIONS, authorities::OPERATIONS, tags::OPERATIONS];

use super::control::invalid;
use crate::ControlError;
use serde_json::{Map, Value};

/// An operation of the control plane.
#[derive(Debug)]
pub struct Operation {
    /// As AWS calls it.
    pub name: &'static str,
    method: &'static str,
    /// With `{member}` for segments that are members of the request.
    path: &'static str,
    members: &'static [Member],
}

/// A member of a request, or of an object in one.
#[derive(Debug)]
struct Member {
    /// On the wire.
    name: &'static str,
    place: Place,
    is_required: bool,
    shape: &'static Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Path,
    Query,
    Header,
    Body,
}

#[derive(Debug)]
enum Shape {
    Text(Text),
    Number,
    Flag,
    /// Of what is not built: refused by its name, never ignored.
    Unbuilt,
    List {
        min: usize,
        of: &'static Self,
    },
    Map {
        key: Text,
        value: &'static Self,
    },
    Object(&'static [Member]),
}

/// What a text may be, in characters.
#[derive(Clone, Copy, Debug)]
struct Text {
    min: usize,
    max: usize,
    /// As AWS writes it.
    pattern: &'static str,
    is_allowed: fn(char) -> bool,
}

/// What is wrong, and where.
struct Violation {
    at: String,
    why: String,
}

impl Violation {
    fn here(why: impl Into<String>) -> Self {
        Self { at: String::new(), why: why.into() }
    }

    /// Seen from what it is a part of.
    fn within(self, part: &str) -> Self {
        let dot = if self.at.is_empty() || self.at.starts_with('[') { "" } else { "." };
        Self { at: format!("{part}{dot}{}", self.at), ..self }
    }

    fn missing(name: &str) -> Self {
        Self::here("is required").within(name)
    }
}

impl From<Violation> for ControlError {
    fn from(Violation { at, why }: Violation) -> Self {
        invalid(format!("{at} {why}"))
    }
}

impl Text {
    fn check(&self, text: &str) -> Result<(), Violation> {
        let Self { min, max, pattern, is_allowed } = *self;
        let found = text.chars().count();
        if found < min {
            return Err(Violation::here(format!("must have at least {min} characters, this has {found}")));
        }
        if found > max {
            return Err(Violation::here(format!("must have at most {max} characters, this has {found}")));
        }
        match text.chars().find(|&c| !is_allowed(c)) {
            Some(found) => Err(Violation::here(format!("must match {pattern}; found {found:?}"))),
            None => Ok(()),
        }
    }
}

impl Shape {
    /// In words.
    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Number => "a number",
            Self::Flag => "true or false",
            Self::Unbuilt => "left out: it is not supported here",
            Self::List { .. } => "an array",
            Self::Map { .. } | Self::Object(_) => "an object",
        }
    }

    fn check(&self, value: &Value) -> Result<(), Violation> {
        match (self, value) {
            (Self::Text(rule), Value::String(text)) => rule.check(text),
            (Self::Number, Value::Number(_)) | (Self::Flag, Value::Bool(_)) => Ok(()),
            (Self::List { min, of }, Value::Array(items)) => check_list(items, *min, of),
            (Self::Map { key, value }, Value::Object(pairs)) => pairs.iter().try_for_each(|(name, found)| {
                key.check(name).map_err(|violation| violation.within(&format!("[the key {name:?}]")))?;
                value.check(found).map_err(|violation| violation.within(name))
            }),
            (Self::Object(members), Value::Object(found)) => members.iter().try_for_each(|member| member.check_in(found)),
            _ => Err(Violation::here(format!("must be {}", self.kind()))),
        }
    }

    /// As [`Self::check`], of what stands in a path, a query or a header.
    fn check_text(&self, text: &str) -> Result<(), Violation> {
        match self {
            Self::Text(rule) => rule.check(text),
            Self::Flag if matches!(text, "true" | "false") => Ok(()),
            Self::Flag | Self::Unbuilt => Err(Violation::here(format!("must be {}", self.kind()))),
            _ => Ok(()),
        }
    }
}

fn check_list(items: &[Value], min: usize, of: &Shape) -> Result<(), Violation> {
    if items.len() < min {
        return Err(Violation::here(format!("must have at least {min} item")));
    }
    items.iter().enumerate().try_for_each(|(n, item)| of.check(item).map_err(|violation| violation.within(&format!("[{n}]"))))
}

impl Member {
    /// What is `null` is not there.
    fn check_in(&self, object: &Map<String, Value>) -> Result<(), Violation> {
        match object.get(self.name) {
            None | Some(Value::Null) if self.is_required => Err(Violation::missing(self.name)),
            None | Some(Value::Null) => Ok(()),
            Some(value) => self.shape.check(value).map_err(|violation| violation.within(self.name)),
        }
    }

    fn check_text(&self, text: Option<&str>) -> Result<(), Violation> {
        match text {
            None if self.is_required => Err(Violation::missing(self.name)),
            None => Ok(()),
            Some(text) => self.shape.check_text(text).map_err(|violation| violation.within(self.name)),
        }
    }
}

impl Operation {
    /// Whether a request line is one of it; `path` is in segments, each percent-decoded.
    #[must_use]
    pub fn is(&self, method: &str, path: &[&str]) -> bool {
        let mut path = path.iter();
        let is_next = |wanted: &str| path.next().is_some_and(|found| wanted.starts_with('{') || wanted == *found);
        self.method == method && self.path.split('/').skip(1).all(is_next) && path.next().is_none()
    }

    /// Holds path, query and headers of a request against the model. Its body is held against it by who reads it.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the member.
    pub fn check_head<'a>(
        &self,
        path: &[&str],
        query: impl Fn(&str) -> Option<&'a str>,
        header: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<(), ControlError> {
        for member in self.members {
            match member.place {
                Place::Path => member.check_text(self.segment(member.name, path))?,
                Place::Query => member.check_text(query(member.name))?,
                Place::Header => member.check_text(header(member.name))?,
                Place::Body => {}
            }
        }
        Ok(())
    }

    fn segment<'a>(&self, name: &str, path: &[&'a str]) -> Option<&'a str> {
        let is_of = |wanted: &str| wanted.strip_prefix('{').and_then(|wanted| wanted.strip_suffix('}')) == Some(name);
        self.path.split('/').skip(1).zip(path).find(|(wanted, _)| is_of(wanted)).map(|(_, found)| *found)
    }

    fn body(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.place == Place::Body)
    }
}

/// The operation that a request line asks for.
#[must_use]
pub fn find(method: &str, path: &[&str]) -> Option<&'static Operation> {
    ALL.into_iter().flatten().find(|operation| operation.is(method, path))
}

fn by_name(name: &str) -> &'static Operation {
    ALL.into_iter().flatten().find(|operation| operation.name == name).expect("an operation that has a reader is in the table")
}

/// Holds the members of a body against the model of `operation`.
pub(super) fn check_body(operation: &str, members: &Map<String, Value>) -> Result<(), ControlError> {
    Ok(by_name(operation).body().try_for_each(|member| member.check_in(members))?)
}

/// As [`check_body`], where some members were taken out.
pub(super) fn check_rest(operation: &str, members: &Map<String, Value>) -> Result<(), ControlError> {
    let mut left = by_name(operation).body().filter(|member| members.contains_key(member.name));
    Ok(left.try_for_each(|member| member.check_in(members))?)
}

#[cfg(test)]
mod tests;
