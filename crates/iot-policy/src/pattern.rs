//! Text with wildcards and variables, and what it matches (PROTOCOL-CORE 1.4).

use crate::client::Client;
use crate::request::Request;
use crate::variable::Variable;
use smallvec::SmallVec;
use std::borrow::Cow;

/// Pieces of most patterns.
const PIECES: usize = 6;

/// A text of a policy, taken apart once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Box<[Part]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    /// `*`: any run of characters, also an empty one, also across `/`.
    AnyRun,
    /// `?`: one character.
    AnyOne,
    Variable(Variable),
}

/// What a text of a policy may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Language {
    /// `*` and `?` are wildcards; otherwise they are plain characters.
    pub(crate) wildcards: bool,
    /// `${...}` is a variable, or one of the characters `*`, `?` and `$`; documents of the old version have none.
    pub(crate) variables: bool,
}

/// A part when variables have their values: these are plain text.
#[derive(Clone, Debug)]
enum Piece<'a> {
    Text(Cow<'a, str>),
    AnyRun,
    AnyOne,
}

impl Pattern {
    /// # Errors
    /// When a variable has no end.
    pub(crate) fn parse(text: &str, language: Language) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            if language.variables
                && let Some(inside) = rest.strip_prefix("${")
            {
                let (name, after) = inside.split_once('}').ok_or_else(|| format!("the variable {rest:?} has no closing brace"))?;
                rest = after;
                if matches!(name, "*" | "?" | "$") {
                    plain.push_str(name);
                } else {
                    flush(&mut plain, &mut parts);
                    parts.push(Part::Variable(Variable::parse(name)));
                }
                continue;
            }
            rest = &rest[next.len_utf8()..];
            match next {
                '*' if language.wildcards => {
                    flush(&mut plain, &mut parts);
                    if parts.last() != Some(&Part::AnyRun) {
                        parts.push(Part::AnyRun);
                    }
                }
                '?' if language.wildcards => {
                    flush(&mut plain, &mut parts);
                    parts.push(Part::AnyOne);
                }
                plain_char => plain.push(plain_char),
            }
        }
        flush(&mut plain, &mut parts);
        Ok(Self(parts.into()))
    }

    pub(crate) fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.0.iter().filter_map(|part| match part {
            Part::Variable(variable) => Some(variable),
            _ => None,
        })
    }

    /// The five parts of an ARN before its resource, with the colon behind them, where they are plain text.
    pub(crate) fn home(&self) -> Option<&str> {
        let Some(Part::Text(text)) = self.0.first() else { return None };
        text.match_indices(':').nth(4).map(|(at, _)| &text[..=at])
    }

    /// One whose variables have not all a value matches nothing.
    pub(crate) fn matches(&self, text: &str, client: &Client, request: &Request<'_>) -> bool {
        self.pieces(client, request).is_some_and(|pieces| is_match(&pieces, text))
    }

    /// The first variable without a value.
    pub(crate) fn missing(&self, client: &Client, request: &Request<'_>) -> Option<&Variable> {
        self.variables().find(|variable| variable.substitute(client, request).is_none())
    }

    fn pieces<'a>(&'a self, client: &'a Client, request: &Request<'_>) -> Option<SmallVec<[Piece<'a>; PIECES]>> {
        let piece = |part: &'a Part| {
            Some(match part {
                Part::Text(text) => Piece::Text(Cow::Borrowed(text)),
                Part::AnyRun => Piece::AnyRun,
                Part::AnyOne => Piece::AnyOne,
                Part::Variable(variable) => Piece::Text(variable.substitute(client, request)?),
            })
        };
        self.0.iter().map(piece).collect()
    }

    /// The text with the values of its variables; those without one stay as they are written.
    pub(crate) fn expand(&self, client: &Client, request: &Request<'_>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::AnyRun => text.push('*'),
                Part::AnyOne => text.push('?'),
                Part::Variable(variable) => match variable.substitute(client, request) {
                    Some(value) => text.push_str(&value),
                    None => text.push_str(&variable.to_string()),
                },
            }
        }
        text
    }
}

fn flush(plain: &mut String, parts: &mut Vec<Part>) {
    if !plain.is_empty() {
        parts.push(Part::Text(std::mem::take(plain).into()));
    }
}

/// Runs of pieces between wildcards of any length: the first stands at the beginning, the last at the end, and those between at their
/// first place.
fn is_match(pieces: &[Piece<'_>], text: &str) -> bool {
    let mut runs = pieces.split(|piece| matches!(piece, Piece::AnyRun));
    let Some(mut rest) = runs.next().and_then(|first| after(first, text)) else { return false };
    let mut runs = runs.peekable();
    if runs.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(run) = runs.next() {
        let is_last = runs.peek().is_none();
        let fits = |from: usize| after(run, &rest[from..]).filter(|left| !is_last || left.is_empty());
        let places = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
        // A run of nothing at the end takes all that is left.
        if is_last && run.is_empty() {
            return true;
        }
        let Some(left) = places.into_iter().find_map(fits) else { return false };
        rest = left;
    }
    true
}

/// What is left of the text behind these pieces, when it begins with them.
fn after<'t>(run: &[Piece<'_>], text: &'t str) -> Option<&'t str> {
    run.iter().try_fold(text, |text, piece| match piece {
        Piece::Text(plain) => text.strip_prefix(&**plain),
        Piece::AnyOne => text.chars().next().map(|one| &text[one.len_utf8()..]),
        Piece::AnyRun => Some(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Action, Home};

    const FULL: Language = Language { wildcards: true, variables: true };

    fn matches(pattern: &str, text: &str, language: Language) -> bool {
        let client = Client { id: Some("m*1".into()), ..Client::default() };
        let home = Home::new("r", "1");
        let request = Request { action: Action::Connect, name: "x", home: &home, connect: None, epoch_s: 0 };
        Pattern::parse(pattern, language).unwrap().matches(text, &client, &request)
    }

    #[test]
    fn wildcards_match_across_slashes_and_the_empty_run() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a/b", true),
            ("a*", "a", true),
            ("a*b", "ab", true),
            ("a*b", "a/x/b", true),
            ("a*b", "a/b/c", false),
            ("a*b*c", "abbc", true),
            ("*ab", "aab", true),
            ("*a?c", "abcadc", true),
            ("a?", "a", false),
            ("a?", "aé", true),
            ("a?", "abc", false),
            ("a/+/b", "a/x/b", false),
            ("a/+/b", "a/+/b", true),
            ("**", "x", true),
            ("a**b", "ab", true),
            ("*a*", "bbb", false),
        ] {
            assert_eq!(matches(pattern, text, FULL), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn values_of_variables_and_escaped_characters_are_plain_text() {
        for (pattern, text, expected) in [
            ("${iot:ClientId}", "m*1", true),
            ("${iot:ClientId}", "mx1", false),
            ("a${*}b", "a*b", true),
            ("a${*}b", "axb", false),
            ("${$}${?}", "$?", true),
            ("$aws/x", "$aws/x", true),
            ("${iot:Nothing}", "", false),
        ] {
            assert_eq!(matches(pattern, text, FULL), expected, "{pattern} {text}");
        }
        let old = Language { variables: false, ..FULL };
        assert!(matches("${iot:ClientId}", "${iot:ClientId}", old) && !matches("${iot:ClientId}", "m*1", old));
        assert!(!matches("a*", "ab", Language { wildcards: false, ..FULL }));
        assert!(Pattern::parse("a${b", FULL).is_err());
    }
}
