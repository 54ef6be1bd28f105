//! The book in docs/: what is in it, and that its page of error messages has those of the program.

#[path = "common/files.rs"]
mod files;

use files::files_below;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

#[test]
fn every_page_is_in_the_table_of_contents_once() {
    let summary = read("docs/SUMMARY.md");
    let listed: Vec<&str> = summary.lines().filter_map(|line| line.split("](").nth(1)?.strip_suffix(')')).collect();
    let pages = files_below(&root().join("docs"), "md");
    let pages: BTreeSet<&str> = pages.iter().map(|page| page.file_name().unwrap().to_str().unwrap()).collect();
    let pages: BTreeSet<&str> = pages.into_iter().filter(|page| *page != "SUMMARY.md").collect();
    assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), pages, "docs/SUMMARY.md against docs/");
    assert_eq!(listed.len(), pages.len(), "a page is listed twice");
}

// ---------------------------------------------------------------------------------------------------------- error messages

/// What varies in a message, as the page writes it.
const VARIES: &str = "...";

/// The texts in double quotes of some code, without its comments and unit tests; what is filled in is `...`.
fn texts(code: &str) -> Vec<String> {
    let code = code.split("#[cfg(test)]\nmod ").next().unwrap();
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find(['"', '/', '\'']) {
        let here = &rest[at..];
        rest = if here.starts_with("//") {
            &here[here.find('\n').unwrap_or(here.len())..]
        } else if let Some(character) = ["'\"'", "'\\\"'"].iter().find(|character| here.starts_with(**character)) {
            &here[character.len()..]
        } else if let Some(literal) = here.strip_prefix('"') {
            let text = quoted(literal);
            found.push(message(text));
            &literal[text.len() + 1..]
        } else {
            &here[1..]
        };
    }
    found
}

/// Up to the closing quote.
fn quoted(text: &str) -> &str {
    let mut is_escaped = false;
    let end = text.find(|c| {
        let ends = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    &text[..end.expect("a text ends")]
}

/// As it is printed.
fn message(literal: &str) -> String {
    let mut lines = literal.split("\\\n");
    let joined = lines.next().unwrap_or_default().to_owned() + &lines.map(str::trim_start).collect::<String>();
    let mut plain = joined.replace("\\\"", "\"").replace("{{", "\u{1}").replace("}}", "\u{2}");
    while let Some((before, after)) = plain.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?.1))) {
        plain = format!("{before}{VARIES}{after}");
    }
    plain.replace("......", VARIES).replace('\u{1}', "{").replace('\u{2}', "}")
}

/// Headings of the page that are messages, in backticks.
fn quoted_messages(page: &str) -> Vec<&str> {
    page.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect()
}

#[test]
fn the_page_of_error_messages_quotes_them_as_the_program_prints_them() {
    let mut files = files_below(&root().join("src"), "rs");
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let source = entry.unwrap().path().join("src");
        if source.exists() {
            files.extend(files_below(&source, "rs"));
        }
    }
    let known: Vec<String> = files.iter().flat_map(|file| texts(&fs::read_to_string(file).unwrap())).collect();
    let page = read("docs/TROUBLESHOOTING.md");
    let messages = quoted_messages(&page);
    assert!(messages.len() >= 40, "only {} messages were found: has their form changed?", messages.len());
    let strange: Vec<&&str> = messages.iter().filter(|message| !known.iter().any(|known| known.contains(**message))).collect();
    assert!(strange.is_empty(), "no text in the code says so: {strange:#?}");
}

#[test]
fn messages_are_found_in_code_as_they_are_printed() {
    let code = "// \"no\"\nlet a = '\"'; f(\"the file {path:?} is \\\"{0}{1}\\\": \\\n        it {{has}} no end\")\n#[cfg(test)]\nmod tests { \"x\" }";
    assert_eq!(texts(code), ["the file ... is \"...\": it {has} no end"]);
    assert_eq!(quoted_messages("### `a ...`\n### b\n"), ["a ..."]);
}
