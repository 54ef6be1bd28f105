//! Whatever is cited can be looked up: sections of the protocol reference, and links between pages.
//!
//! `PROTOCOL 6.2`, `PROTOCOL 13.2 to 13.5 and 15` and `PROTOCOL 2 facts 2 and 11` name sections of `docs/PROTOCOL.md`,
//! `PROTOCOL-CORE 1.9` one of `docs/PROTOCOL-CORE.md`. Pages of tables write `§6.2` where they say what § is. In the two references
//! a bare `section 6.2` is one of the same page.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const REFERENCES: [(&str, &str); 2] = [("PROTOCOL", "docs/PROTOCOL.md"), ("PROTOCOL-CORE", "docs/PROTOCOL-CORE.md")];
const FOLDERS: [&str; 6] = ["src", "crates", "tests", "benches", "scripts", "docs"];
const PAGES: [&str; 4] = ["README.md", "CONTRIBUTING.md", "certs/README.md", "results/README.md"];
/// They hold wrong citations on purpose.
const SAMPLES: [&str; 2] = ["tests/citations.rs", "tests/fidelity.rs"];

/// What a reference has: each section with the numbers of its ordered lists.
type Sections = BTreeMap<String, BTreeSet<u32>>;

/// Lines outside fenced blocks.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    page.lines().filter(move |line| {
        let is_fence = line.starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

fn headings(page: &str) -> impl Iterator<Item = &str> {
    prose(page).filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim())
}

fn sections(page: &str) -> Sections {
    let mut found = Sections::new();
    let mut current = String::new();
    for line in prose(page) {
        let (number, rest) = split_number(line.trim_start_matches('#').trim_start());
        if line.starts_with('#') {
            current = number.to_owned();
            found.entry(current.clone()).or_default();
        } else if let (Ok(item), true) = (number.parse(), rest.starts_with(". ")) {
            found.entry(current.clone()).or_default().insert(item);
        }
    }
    found.remove("");
    found
}

/// `6.2` before what follows it; a full stop behind it is no part of it.
fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number = text[..end].trim_end_matches('.');
    if number.starts_with('.') { ("", text) } else { text.split_at(number.len()) }
}

/// The numbers of a list such as `2, 3 and 11`, with what stands between each and the one before it; and what follows the list.
fn split_list<'a>(mut text: &'a str, separators: &[&'a str]) -> (Vec<(&'a str, &'a str)>, &'a str) {
    let mut found = Vec::new();
    let mut separator = "";
    loop {
        let (number, rest) = split_number(text);
        if number.is_empty() {
            return (found, text);
        }
        found.push((separator, number));
        let next = separators
            .iter()
            .find(|separator| rest.strip_prefix(**separator).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())));
        let Some(next) = next else { return (found, rest) };
        separator = next;
        text = &rest[next.len()..];
    }
}

/// What is wrong with the citation whose numbers `text` starts with, as they follow `mark`.
fn problems_of_citation(mark: &str, text: &str, known: &Sections) -> Vec<String> {
    let separators: &[&str] = if mark == "§" { &[] } else { &[", ", " and ", " to "] };
    let (numbers, rest) = split_list(text, separators);
    let mut found = Vec::new();
    for (index, (separator, number)) in numbers.iter().enumerate() {
        if !known.contains_key(*number) {
            found.push(format!("{mark} has no section {number}"));
        }
        if *separator == " to " && !is_range(numbers[index - 1].1, number) {
            found.push(format!("{mark} {} to {number} is no range", numbers[index - 1].1));
        }
    }
    let facts = rest.strip_prefix(" facts ").or_else(|| rest.strip_prefix(" fact "));
    if let (Some(facts), Some((_, section))) = (facts, numbers.last()) {
        for (_, fact) in split_list(facts, &[", ", " and "]).0 {
            if !known.get(*section).is_some_and(|items| fact.parse().is_ok_and(|fact: u32| items.contains(&fact))) {
                found.push(format!("{mark} {section} has no fact {fact}"));
            }
        }
    }
    found
}

/// Whether two sections are of one parent, and in their order.
fn is_range(from: &str, to: &str) -> bool {
    let split = |number: &str| {
        let (parent, last) = number.rsplit_once('.').unwrap_or(("", number));
        (parent.to_owned(), last.parse::<u32>().unwrap_or(0))
    };
    let ((parent, from), (parent_of_to, to)) = (split(from), split(to));
    parent == parent_of_to && from < to
}

/// A line with the beginning of the next one, so that what is broken between them is seen: without indentation and comment marks.
fn joined(line: &str, next: Option<&&str>) -> String {
    let next = next.map_or("", |next| next.trim_start().trim_start_matches(['/', '!', '#']).trim_start());
    format!("{} {next}", line.trim_end())
}

/// Whether the section belongs to another document, going by what stands before it: `MQTT 5 section 4.4`, `RFC 6455, section 1.3`.
fn is_elsewhere(before: &str) -> bool {
    let mut words = before.trim_end().trim_end_matches(',').rsplit(' ');
    let version = words.next().unwrap_or("");
    let name = words.next().unwrap_or("").trim_start_matches(|c: char| !c.is_alphanumeric());
    let is_number = version.starts_with(|c: char| c.is_ascii_digit());
    is_number && matches!(name, "MQTT" | "RFC")
}

/// The places of a word that starts there.
fn starts<'a>(line: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    line.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| !line[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-'))
}

/// What is wrong with the citations of a file, as `(line, problem)`; and how many it has.
fn citations(file: &str, text: &str, references: &BTreeMap<&str, Sections>) -> (Vec<(usize, String)>, usize) {
    let lines: Vec<&str> = text.lines().collect();
    let own = REFERENCES.iter().find(|(_, page)| *page == file).map(|(mark, _)| *mark);
    let is_digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let (mut found, mut count) = (Vec::new(), 0);
    for (index, line) in lines.iter().enumerate() {
        let whole = joined(line, lines.get(index + 1));
        // How it is cited, which reference is meant, and where its number starts.
        let mut cited = Vec::new();
        for mark in references.keys() {
            let ends = starts(&whole, mark).filter(|at| *at < line.len()).map(|at| at + mark.len());
            cited.extend(ends.filter(|at| whole[*at..].starts_with(' ')).map(|at| (*mark, *mark, at + 1)));
        }
        cited.extend(line.match_indices('§').map(|(at, sign)| ("§", REFERENCES[0].0, at + sign.len())));
        let lower = whole.to_ascii_lowercase();
        for word in ["section ", "sections ", "spec "] {
            for at in starts(&lower, word).filter(|at| *at < line.len()) {
                let number = at + word.len();
                match own {
                    Some(own) => cited.push((own, own, number)),
                    None if is_digit(&whole[number..]) && !is_elsewhere(&whole[..at]) => {
                        found.push((index + 1, "a section of what? Say PROTOCOL and its number".into()));
                    }
                    None => {}
                }
            }
        }
        cited.retain(|(_, _, at)| is_digit(&whole[*at..]));
        count += cited.len();
        let problems = cited.iter().flat_map(|(mark, of, at)| problems_of_citation(mark, &whole[*at..], &references[of]));
        found.extend(problems.map(|problem| (index + 1, problem)));
    }
    if own.is_none() && text.contains('§') && !text.contains("PROTOCOL.md") {
        found.push((1, "says § and not that it is a section of PROTOCOL.md".into()));
    }
    (found, count)
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// The targets of a page's links that are not on the web.
fn links(page: &str) -> Vec<&str> {
    let targets = prose(page).flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.starts_with("http")).collect()
}

/// What is wrong with the links of a page; `read` has the text of whatever they lead to, empty for what is no page.
fn broken_links(name: &str, page: &str, read: &dyn Fn(&Path) -> Option<String>) -> Vec<String> {
    let folder = Path::new(name).parent().unwrap();
    let problem = |target: &str| {
        let (file, wanted) = target.split_once('#').unwrap_or((target, ""));
        let text = if file.is_empty() { Some(page.to_owned()) } else { read(&folder.join(file)) };
        let Some(text) = text else { return Some(format!("{name} links to {target}, which is not there")) };
        if folder == Path::new("docs") && target.starts_with("..") {
            return Some(format!("{name} links to {target}, which is not in the book: name the file instead"));
        }
        let has = wanted.is_empty() || headings(&text).any(|heading| anchor(heading) == wanted);
        (!has).then(|| format!("{name} links to {target}, and there is no such heading"))
    };
    links(page).into_iter().filter_map(problem).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn references() -> BTreeMap<&'static str, Sections> {
    REFERENCES.iter().map(|(mark, page)| (*mark, sections(&fs::read_to_string(root().join(page)).unwrap()))).collect()
}

/// All files below a folder of the repository that are text, with their names from its root.
fn text_files(folder: &Path, found: &mut Vec<(String, String)>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && !path.ends_with("target") {
            text_files(&path, found);
        } else if let Ok(text) = fs::read_to_string(&path) {
            found.push((path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(), text));
        }
    }
}

#[test]
fn whatever_is_cited_exists() {
    let references = references();
    let mut files: Vec<_> = PAGES.iter().map(|page| ((*page).to_owned(), fs::read_to_string(root().join(page)).unwrap())).collect();
    FOLDERS.iter().for_each(|folder| text_files(&root().join(folder), &mut files));
    let (mut problems, mut total) = (Vec::new(), 0);
    for (file, text) in files.iter().filter(|(file, _)| !SAMPLES.contains(&file.as_str())) {
        let (found, count) = citations(file, text, &references);
        problems.extend(found.into_iter().map(|(line, problem)| format!("{file}:{line}: {problem}")));
        total += count;
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    assert!(total >= 300, "only {total} citations were found: has their form changed?");
}

#[test]
fn every_link_leads_somewhere() {
    let read = |path: &Path| {
        let path = root().join(path);
        path.exists().then(|| fs::read_to_string(path).unwrap_or_default())
    };
    let mut files = Vec::new();
    text_files(&root().join("docs"), &mut files);
    let docs = files.iter().map(|(name, _)| name.as_str()).filter(|name| name.ends_with(".md"));
    let problems: Vec<String> =
        PAGES.into_iter().chain(docs).flat_map(|name| broken_links(name, &read(Path::new(name)).unwrap(), &read)).collect();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn the_check_itself_sees_what_it_looks_for() {
    let page = "# Title\n## 2. Facts\n1. one\n2. two\n```\n# 9\n```\n## 13. Broker\n### 13.1 A\n### 13.2 B: `x/y`\n### 13.5 C\n";
    let references = BTreeMap::from([("PROTOCOL", sections(page)), ("PROTOCOL-CORE", sections("## 1. P\n### 1.9 Q\n"))]);
    assert_eq!(references["PROTOCOL"].keys().collect::<Vec<_>>(), ["13", "13.1", "13.2", "13.5", "2"]);
    for (line, wrong) in [
        ("// As it is (PROTOCOL 13.2, inferred).", ""),
        ("// PROTOCOL 13.1 to 13.5 and 2, PROTOCOL 2 facts 1 and 2; PROTOCOL-CORE 1.9.", ""),
        ("// PROTOCOL 13.2. 3 more; MQTT 5 section 4.4, (MQTT 3.1.1 section 4.7), RFC 6455, section 1.3.", ""),
        ("const PROTOCOL: u8 = 1; let a = PROTOCOL_TLS 9;", ""),
        ("// PROTOCOL 13.3.", "PROTOCOL has no section 13.3"),
        ("// PROTOCOL 9.", "PROTOCOL has no section 9"),
        ("// PROTOCOL 13.1, 13.4", "PROTOCOL has no section 13.4"),
        ("// PROTOCOL 2 to 14", "PROTOCOL has no section 14"),
        ("// PROTOCOL 13.5 to 13.1", "is no range"),
        ("// PROTOCOL 2 facts 1 and 3", "PROTOCOL 2 has no fact 3"),
        ("// PROTOCOL 13 fact 1", "PROTOCOL 13 has no fact 1"),
        ("// PROTOCOL-CORE 1.8", "PROTOCOL-CORE has no section 1.8"),
        ("| PROTOCOL.md | §13.2, §3 |", "§ has no section 3"),
        ("| §13.2 |", "says § and not"),
        ("// (PROTOCOL\n//! 13.7)", "PROTOCOL has no section 13.7"),
        ("// PROTOCOL 13.1 and\n    /// 13.7", "PROTOCOL has no section 13.7"),
        ("// As in spec section 13.2.", "a section of what?"),
        ("\"\"\"Section 13.\"\"\"", "a section of what?"),
        ("// (spec sections\n/// 13.1 and 13.2)", "a section of what?"),
    ] {
        let (found, _) = citations("src/a.rs", line, &references);
        let is_right = if wrong.is_empty() { found.is_empty() } else { found.len() == 1 && found[0].1.contains(wrong) };
        assert!(is_right, "{line}: {found:?}");
    }
    let (found, count) = citations(REFERENCES[0].1, "as in section 13.1\nand section 7\n", &references);
    assert_eq!((found, count), (vec![(2, "PROTOCOL has no section 7".to_owned())], 2));

    let read = |path: &Path| path.ends_with("docs/a.md").then(|| page.to_owned());
    let broken = |link: &str| broken_links("docs/b.md", &format!("## Own part\n[x]({link})\n"), &read);
    for link in ["a.md", "a.md#132-b-xy", "#own-part", "https://example.com/a.md"] {
        assert_eq!(broken(link), [""; 0], "{link}");
    }
    for link in ["c.md", "a.md#9", "#132-b-xy", "../docs/a.md"] {
        assert_eq!(broken(link).len(), 1, "{link}");
    }
}
