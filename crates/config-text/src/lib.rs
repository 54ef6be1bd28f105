//! TOML for people: typed reading that knows where every value stands, and tells everything that is wrong at once.
//!
//! `tree` parses and keeps places, [`Reader`] reads values and gathers [`Problem`]s instead of stopping at the first one. It reads no
//! files and knows no key: what a table holds, its reader says.

#![warn(missing_docs)]

mod description;
mod problem;
mod reader;
mod sink;
mod tree;

pub use description::{Key, KeyDescription, Kind};
pub use problem::{Code, Place, Problem, Problems, nearest};
pub use reader::{Located, Reader};
pub use sink::ProblemSink;
pub use tree::{ELEMENT_NAMES, Entry, Node, Override, Table, Value};

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

/// What `read` knows of the keys of every table that the text has, in the order in which it reads them. The text may be wrong: a key is
/// required where its absence is a problem.
pub fn describe<T>(text: &str, read: impl FnOnce(Reader<'_>) -> T) -> Vec<KeyDescription> {
    let (table, ..) = tree::parse("", text, &[]);
    let gathered = ProblemSink::describing();
    read(Reader::new(&table, Place { source: 0, span: 0..0 }, "", &gathered));
    gathered.into_descriptions()
}

/// The value at a path as `--set` takes it, once the overrides are laid over the text; `Ok(None)` where there is none.
///
/// # Errors
/// With what is wrong where the path names an element of an array that is not there, or there twice. What is wrong with the text itself
/// is for [`load`] to tell.
pub fn lookup(text: &str, overrides: &[Override], path: &str) -> Result<Option<Value>, String> {
    tree::lookup(text, overrides, path)
}

/// The path of `text` that `path` was most likely meant to be, if any is near enough.
#[must_use]
pub fn nearest_path(text: &str, path: &str) -> Option<String> {
    let paths = tree::paths(text);
    nearest(path, paths.iter().map(String::as_str)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const TEXT: &str =
        "seed = 7\n[fleet]\nconnect = { rate = '5/s' }\n[[cohort]]\nname = 'a'\npoll.every = '9s'\n[[cohort]]\nname = 'b'\n";

    #[test]
    fn values_are_found_at_the_paths_that_overrides_use() {
        let find = |path| lookup(TEXT, &[], path).map(|value| value.map(|value| value.text()));
        assert_eq!(find("seed"), Ok(Some("7".into())));
        assert_eq!(find("fleet.connect.rate"), Ok(Some("\"5/s\"".into())));
        assert_eq!(find("cohort.a.poll.every"), Ok(Some("\"9s\"".into())));
        assert_eq!([find("fleet.things"), find("seed.more"), find("")], [const { Ok(None) }; 3]);
        assert!(find("cohort.c.poll.every").unwrap_err().contains("no element of cohort is called \"c\""));
        let set = Override { key: "cohort.b.poll.every".into(), value: "'3s'".into(), origin: String::new() };
        assert_eq!(lookup(TEXT, &[set], "cohort.b.poll.every").unwrap().unwrap().text(), "\"3s\"");
    }

    #[test]
    fn a_key_with_dots_stands_in_quotes() {
        let text = "[thresholds]\n\"update.failed_share\" = '< 1'\n";
        let path = "thresholds.\"update.failed_share\"";
        assert_eq!(lookup(text, &[], path).unwrap().unwrap().text(), "\"< 1\"");
        let set = |key: &str| Override { key: key.into(), value: "'< 2'".into(), origin: String::new() };
        assert_eq!(lookup(text, &[set(path)], path).unwrap().unwrap().text(), "\"< 2\"");
        assert!(lookup(text, &[], "thresholds.\"").unwrap().is_none());
        assert!(load("x", text, &[set("thresholds.\"\".x")], |_| ()).is_err(), "an empty key");
    }

    #[test]
    fn keys_are_described_by_what_reads_them() {
        let described = describe("[fleet]\n", |root| {
            let fleet = root.table(("fleet", "the things")).unwrap();
            fleet.integer(("things", "how many"), 1..=1_000_000);
            fleet.missing("things", "say how many");
            let key = Key::from(("every", "how often"));
            fleet.declare_default(key, || "5s".into());
            fleet.duration(key, Duration::ZERO..=Duration::from_secs(60));
            fleet.string("every");
            fleet.word(("kind", "which"), &[("a", 1), ("b", 2)]);
        });
        let shown: Vec<_> = described
            .iter()
            .map(|key| (&*key.table, key.name, key.kind.clone(), key.is_required, key.default.as_deref(), key.meaning))
            .collect();
        let value = |text: &str| Kind::Value(text.into());
        let wanted = [
            ("", "fleet", Kind::Table, false, None, "the things"),
            ("fleet", "things", value("integer, 1 to 1_000_000"), true, None, "how many"),
            ("fleet", "every", value("duration, 0s to 1m"), false, Some("5s"), "how often"),
            ("fleet", "kind", value("`a`, `b`"), false, None, "which"),
        ];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn the_path_that_was_meant_is_named() {
        assert_eq!(nearest_path(TEXT, "fleet.conect.rate").as_deref(), Some("fleet.connect.rate"));
        assert_eq!(nearest_path(TEXT, "cohort.a.pol.every").as_deref(), Some("cohort.a.poll.every"));
    }
}
