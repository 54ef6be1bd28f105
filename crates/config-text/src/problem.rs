//! What is wrong with a scenario: where, what, what would be right; all of it at once.

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity, SourceCode};
use std::fmt;
use std::ops::Range;
use strum::{IntoStaticStr, VariantArray};

/// Kinds of problems; the words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Code {
    /// The text is not TOML.
    Syntax,
    /// A key that its table does not have.
    UnknownKey,
    /// A value of another TOML type than the key wants.
    WrongType,
    /// A value of the right type that says nothing known, such as a duration without a unit.
    BadValue,
    /// A number, duration or rate outside its limits.
    OutOfRange,
    /// A key that must be there.
    MissingKey,
    /// A name that nothing here has.
    UnknownName,
    /// A name that is given twice.
    Duplicate,
    /// Two things that do not go together.
    Conflict,
    /// `--set` with a path that leads nowhere, or to several places.
    Override,
}

impl Code {
    /// The stable word of this kind, with hyphens, as messages show it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A place in one of the texts a scenario is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index into the sources: 0 is the file, the rest are overrides.
    pub source: usize,
    /// Byte offsets.
    pub span: Range<usize>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Of which kind it is.
    pub code: Code,
    /// What the message is about.
    pub place: Place,
    /// What is wrong, with the path of the key where there is one.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

/// A text with its name.
#[derive(Clone, Debug)]
pub struct Source {
    pub name: String,
    pub text: String,
}

/// Everything that is wrong; never empty.
#[derive(Clone, Debug)]
pub struct Problems {
    /// The texts that places refer to by index: the file first, then the overrides.
    pub sources: Vec<Source>,
    /// What is wrong, in the order of the text.
    pub list: Vec<Problem>,
}

impl Problems {
    /// In the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// All problems with the lines they are about, for people.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(110).with_links(false);
        let mut out = String::new();
        for problem in &self.list {
            let source = &self.sources[problem.place.source];
            let shown = Shown { problem, source: NamedSource::new(&source.name, source.text.clone()) };
            handler.render_report(&mut out, &shown).expect("writing to a String does not fail");
            out.push('\n');
        }
        let count = self.list.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        out + &format!("{count} {noun} in {}", self.sources[0].name)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

/// One problem as miette wants it.
#[derive(Debug)]
struct Shown<'a> {
    problem: &'a Problem,
    source: NamedSource<String>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.problem.code.as_str()))
    }

    fn severity(&self) -> Option<Severity> {
        Some(Severity::Error)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(LabeledSpan::underline(self.problem.place.span.clone()))))
    }
}

/// The nearest of `known`, if one is near enough to be meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const NEAR: f64 = 0.7;
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let words: std::collections::BTreeSet<_> = Code::VARIANTS.iter().map(|code| code.as_str()).collect();
        assert_eq!(words.len(), Code::VARIANTS.len());
    }

    #[test]
    fn the_nearest_key_is_one_that_could_be_meant() {
        assert_eq!(nearest("thing", ["things", "seed"]), Some("things"));
        assert_eq!(nearest("qqq", ["things", "seed"]), None);
    }
}
