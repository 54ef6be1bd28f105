//! `docs/FIDELITY.md` keeps its word: each promise has a source and tests that exist, and no rule of the reference is passed over.

use std::fs;
use std::path::Path;

const PAGE: &str = "docs/FIDELITY.md";
const PROMISES: &str = "| promise | source | held by |";
const DISCLAIMERS: &str = "| not imitated | source | instead |";
/// What services of others do otherwise.
const DIFFERENCES: &str = "| otherwise | here, with its source | seen by |";
/// The sections of the protocol reference.
const SECTIONS: std::ops::RangeInclusive<u32> = 1..=22;
/// The rules of PROTOCOL 19.1.
const RULES: std::ops::RangeInclusive<u32> = 1..=24;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Promise,
    Disclaimer,
    Difference,
}

/// A row of one of the kinds of table, with the number of its line.
#[derive(Debug, PartialEq, Eq)]
struct Row<'a> {
    line: usize,
    kind: Kind,
    cells: Vec<&'a str>,
}

/// All rows of the tables with these heads; other tables are not ours.
fn rows(page: &str) -> Vec<Row<'_>> {
    let mut table = None;
    let mut found = Vec::new();
    for (index, line) in page.lines().enumerate() {
        match line {
            PROMISES => table = Some(Kind::Promise),
            DISCLAIMERS => table = Some(Kind::Disclaimer),
            DIFFERENCES => table = Some(Kind::Difference),
            _ if !line.starts_with('|') => table = None,
            _ if line.trim_matches(['|', '-']).is_empty() => {}
            _ => found.extend(table.map(|kind| {
                let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
                Row { line: index + 1, kind, cells: inner.split('|').map(str::trim).collect() }
            })),
        }
    }
    found
}

/// The numbers that follow `mark` in a cell: 12 in `§12.3`, 7 in `E7`.
fn numbers_after(mark: char, cell: &str) -> Vec<u32> {
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    let starts_a_word = |at: usize| !cell[..at].ends_with(char::is_alphanumeric);
    cell.match_indices(mark)
        .filter(|(at, _)| starts_a_word(*at))
        .filter_map(|(at, _)| digits(&cell[at + mark.len_utf8()..]))
        .collect()
}

/// What is wrong with a row; `source_of` reads a file below the root of the repository.
fn problems(row: &Row<'_>, source_of: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let at = |what: String| format!("{PAGE}:{}: {what}", row.line);
    let [claim, source, third] = row.cells[..] else { return vec![at(format!("{} cells, not 3", row.cells.len()))] };
    let mut found = Vec::new();
    if claim.is_empty() || third.is_empty() {
        found.push(at("an empty cell".into()));
    }
    let (sections, rules) = (numbers_after('§', source), numbers_after('E', source));
    if sections.is_empty() && rules.is_empty() {
        found.push(at(format!("no source (§ or E) in {source:?}")));
    }
    found.extend(sections.iter().filter(|n| !SECTIONS.contains(n)).map(|n| at(format!("there is no §{n}"))));
    found.extend(rules.iter().filter(|n| !RULES.contains(n)).map(|n| at(format!("there is no E{n}"))));
    if row.kind != Kind::Disclaimer {
        let tests: Vec<&str> = third.split('`').skip(1).step_by(2).collect();
        if tests.is_empty() {
            found.push(at("no test is named".into()));
        }
        for test in tests {
            match test.split_once("::") {
                None => found.push(at(format!("`{test}` is not FILE::TEST"))),
                Some((file, name)) => match source_of(file) {
                    None => found.push(at(format!("there is no file {file}"))),
                    Some(text) if !has_test(file, &text, name) => found.push(at(format!("{file} has no test {name}"))),
                    Some(_) => {}
                },
            }
        }
    }
    found
}

/// Whether a file defines this test: a Rust function under `#[test]` (or one like it), or a Python function that pytest collects.
fn has_test(file: &str, text: &str, name: &str) -> bool {
    if file.ends_with(".py") {
        return name.starts_with("test_") && text.lines().any(|line| line.starts_with(&format!("def {name}(")));
    }
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.iter().enumerate().any(|(at, line)| {
        let defines =
            line.trim_start_matches("async ").strip_prefix("fn ").is_some_and(|rest| rest.starts_with(&format!("{name}(")));
        let attributes = || lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        defines && attributes().any(|attribute| attribute.starts_with("#[test]") || attribute.starts_with("#[tokio::test"))
    })
}

fn source_of(file: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).ok()
}

#[test]
fn every_promise_has_a_source_and_tests_that_exist() {
    let page = source_of(PAGE).unwrap();
    let rows = rows(&page);
    let found: Vec<String> = rows.iter().flat_map(|row| problems(row, &source_of)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    let count = |kind| rows.iter().filter(|row| row.kind == kind).count();
    let promises = count(Kind::Promise);
    assert!(promises >= 50, "only {promises} promises were found: has the form of the tables changed?");
    assert!(count(Kind::Disclaimer) > 0, "the page says nothing of what is not imitated");
    assert!(count(Kind::Difference) > 0, "the page says nothing of services of others");
}

#[test]
fn every_rule_of_the_reference_is_promised_or_disclaimed() {
    let page = source_of(PAGE).unwrap();
    let rows = rows(&page);
    let ours = rows.iter().filter(|row| row.kind != Kind::Difference);
    let told: Vec<u32> = ours.filter_map(|row| row.cells.get(1).copied()).flat_map(|source| numbers_after('E', source)).collect();
    let missing: Vec<u32> = RULES.filter(|rule| !told.contains(rule)).collect();
    assert!(missing.is_empty(), "{PAGE} says nothing of E{missing:?}");
}

#[test]
fn the_check_itself_sees_what_it_looks_for() {
    let files = |file: &str| match file {
        "tests/a.rs" => Some("#[test]\n#[ignore]\nfn holds() {}\nfn helper() {}\n".to_owned()),
        "tests/a.py" => Some("def test_holds(site):\n    def test_inner():\n".to_owned()),
        _ => None,
    };
    let under = |head: &str, row: &str| {
        let page = format!("{head}\n|---|---|---|\n{row}\n");
        rows(&page).iter().flat_map(|row| problems(row, &files)).collect::<Vec<_>>().join("; ")
    };
    let of = |row: &str| under(PROMISES, row);
    assert_eq!(under(DIFFERENCES, "| another order | this order, §9.4 | `tests/a.py::test_holds` |"), "");
    assert!(under(DIFFERENCES, "| another order | this order, §9.4 | by nature |").contains("no test is named"));
    assert_eq!(under(DISCLAIMERS, "| prices | §16 | none |"), "");
    for (row, wrong) in [
        ("| it holds | §7.2, E4 | `tests/a.rs::holds`, `tests/a.py::test_holds` |", ""),
        ("| it holds | E4 (*inferred*) | `tests/a.rs::holds` |", ""),
        ("| it holds | §7.2 | |", "an empty cell"),
        ("| it holds | §7.2 | by nature |", "no test is named"),
        ("| it holds | said by many | `tests/a.rs::holds` |", "no source"),
        ("| it holds | §70 | `tests/a.rs::holds` |", "there is no §70"),
        ("| it holds | E25 | `tests/a.rs::holds` |", "there is no E25"),
        ("| it holds | §7 | `tests/a.rs::helper` |", "tests/a.rs has no test helper"),
        ("| it holds | §7 | `tests/a.rs::hold` |", "tests/a.rs has no test hold"),
        ("| it holds | §7 | `tests/a.py::test_inner` |", "tests/a.py has no test test_inner"),
        ("| it holds | §7 | `tests/b.rs::holds` |", "there is no file tests/b.rs"),
        ("| it holds | §7 | `holds` |", "is not FILE::TEST"),
        ("| it holds | §7 |", "2 cells"),
    ] {
        let found = of(row);
        assert!(if wrong.is_empty() { found.is_empty() } else { found.contains(wrong) }, "{row}: {found:?}");
    }
}
