//! TOML for people: typed reading that knows where every value stands, and tells everything that is wrong at once.
//!
//! `tree` parses and keeps places, [`Reader`] reads values and gathers [`Problem`]s instead of stopping at the first one. It reads no
//! files and knows no key: what a table holds, its reader says.

#![warn(missing_docs)]

mod problem;
mod reader;
mod tree;

pub use problem::{Code, Place, Problem, Problems, nearest};
pub use reader::{Located, ProblemSink, Reader};
pub use tree::{Entry, Node, Override, Table, Value};

/// Parses a text, lays `overrides` over it, later ones over earlier ones, and has it read by `read`.
///
/// # Errors
/// With everything that is wrong, in the order of the text.
pub fn load<T>(source_name: &str, text: &str, overrides: &[Override], read: impl FnOnce(Reader<'_>) -> T) -> Result<T, Problems> {
    let (table, sources, mut list) = tree::parse(source_name, text, overrides);
    if list.iter().all(|problem| problem.code != Code::Syntax) {
        let gathered = ProblemSink::default();
        let value = read(Reader::new(&table, Place { source: 0, span: 0..0 }, "", &gathered));
        list.extend(gathered.into_inner());
        if list.is_empty() {
            return Ok(value);
        }
    }
    list.sort_by_key(|problem| (problem.place.source, problem.place.span.start));
    Err(Problems { sources, list })
}
