//! Pages that promise something are held to it.

#[path = "common/files.rs"]
mod files;

use files::files_below;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A page that is made by the program.
fn hold(name: &str, expected: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(page(name), expected).unwrap();
    }
    let found = fs::read_to_string(page(name)).unwrap();
    assert_eq!(found, expected, "run `UPDATE_DOCS=1 cargo test --test docs`");
}

#[test]
fn the_dictionary_of_results_is_that_of_the_tables() {
    hold("docs/RESULTS.md", &fleetsim::report::dictionary());
}

#[test]
fn the_page_of_faults_is_that_of_the_table() {
    hold("docs/FAULTS.md", &fleetsim::report::faults_page());
}

#[test]
fn the_page_of_metrics_is_that_of_the_families() {
    hold("docs/METRICS.md", &fleetsim::exposition::metrics_page());
}

#[test]
fn the_reference_of_scenarios_is_that_of_their_reader() {
    hold("docs/SCENARIO.md", &fleetsim::scenario::reference());
}

#[test]
fn the_two_commands_of_the_readme_are_what_they_were() {
    let readme = fs::read_to_string(page("README.md")).unwrap();
    assert!(readme.contains("```console\ncargo run --release -- run scenarios/10k.toml\n```"));
    assert!(readme.contains("```console\nscripts/test\n```"));
    assert!(fs::read_to_string(page(".ci/run")).unwrap().contains("scripts/test"));
}

/// `scripts/try-packages` runs what the README says.
#[test]
fn a_tarball_is_unpacked_and_tried_with_one_line() {
    let line = "tar -xJf fleetsim-*-x86_64-linux.tar.xz && fleetsim-*/fleetsim demo";
    assert!(fs::read_to_string(page("README.md")).unwrap().contains(&format!("```text\n{line}\n```")));
    assert!(fs::read_to_string(page("docs/INSTALL.md")).unwrap().contains(line));
}

#[test]
fn workflows_run_scripts_that_are_there() {
    let mut scripts = BTreeSet::new();
    for file in fs::read_dir(page(".github/workflows")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let words = text.split(|c: char| c.is_whitespace() || "\"'`(),;".contains(c));
        scripts.extend(words.filter(|word| word.starts_with("scripts/") || word.starts_with(".ci/")).map(str::to_owned));
    }
    assert!(scripts.contains("scripts/package") && scripts.contains(".ci/run"), "{scripts:?}");
    let missing: Vec<&String> = scripts.iter().filter(|script| !page(script).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The roll-out that a page shows in pieces first, put together.
#[test]
fn the_rollout_that_the_page_shows_is_one() {
    let text = fs::read_to_string(page("docs/ROLLOUTS.md")).unwrap();
    let (first, _) = text.split_once("## Job templates").unwrap();
    let shown: String = first.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let around = "name = 'x'\n[fleet]\nthings = 10\n[[cohort]]\nname = 'healthy'\nbehavior = 'slow-ota'\n[behavior.slow-ota]\n[end]\nlimit = '20m'\n";
    let plan = fleetsim::scenario::load("x", &format!("{around}{shown}"), &[]).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!((plan.rollouts[0].jobs.len(), plan.rollouts[0].settings.config.retry[0].retries), (20, 2));
}

/// Every crate and every module of the program is on the map, and nothing else.
#[test]
fn the_map_names_every_crate_and_every_module_of_the_program() {
    let map = fs::read_to_string(page("docs/ARCHITECTURE.md")).unwrap();
    let rows: Vec<&str> = map.lines().filter(|line| line.starts_with("| `")).collect();
    let crates: BTreeSet<String> =
        rows.iter().map(|row| row.split('`').nth(1).unwrap().to_owned()).filter(|name| name != "fleetsim").collect();
    assert_eq!(crates, names_in("crates", |path| path.join("Cargo.toml").exists()), "crates");
    let program = rows.iter().find(|row| row.starts_with("| `fleetsim`")).expect("the program has a row");
    for module in names_in("src", |path| path.join("mod.rs").exists()) {
        assert!(program.contains(&format!("`{module}` ")), "the map does not say what src/{module} does");
    }
}

fn names_in(folder: &str, is_wanted: impl Fn(&Path) -> bool) -> BTreeSet<String> {
    let entries = fs::read_dir(page(folder)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| is_wanted(path)).map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

/// What a page names in backticks as a path of this repository.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    const FOLDERS: [&str; 9] = ["benches", "crates", "deploy", "docs", "packaging", "scenarios", "scripts", "src", "tests"];
    let marked =
        text.split('`').skip(1).step_by(2).filter(|marked| !marked.contains(|c: char| c.is_whitespace() || "*<{,=".contains(c)));
    let paths = marked.map(|marked| marked.split_once("::").map_or(marked, |(path, _test)| path));
    paths.filter(|path| path.split_once('/').is_some_and(|(folder, _)| FOLDERS.contains(&folder)))
}

#[test]
fn files_that_pages_name_are_there() {
    let pages = fs::read_dir(page("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut named = 0;
    let mut missing = Vec::new();
    for page_path in pages.chain(["README.md", "CONTRIBUTING.md"].map(page)) {
        let text = fs::read_to_string(&page_path).unwrap();
        for path in paths(&text) {
            named += 1;
            missing.extend((!page(path).exists()).then(|| format!("{}: {path}", page_path.display())));
        }
    }
    assert!(named > 100, "{named}");
    assert!(missing.is_empty(), "not there: {missing:#?}");
}

#[test]
fn a_path_is_told_from_other_code() {
    let text = "`src/run/` and `tests/pki.rs::a_test`, not `fleetsim run`, `scripts/prove NAME`, `src/{a,b}` or `target/x`";
    assert_eq!(paths(text).collect::<Vec<_>>(), ["src/run/", "tests/pki.rs"]);
}

/// Names of the code, in backticks, such as `FaultConfig` or `Mono::ms_since`.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let marked = text.split('`').skip(1).step_by(2).filter(|marked| marked.chars().all(is_of_a_word_or_colon));
    marked.flat_map(|marked| marked.split("::")).filter(|name| name.contains(|c: char| c.is_ascii_uppercase() || c == '_'))
}

fn is_of_a_word_or_colon(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// Words of all sources but this one.
fn words_of_sources() -> BTreeSet<String> {
    let files = ["benches", "crates", "src", "tests"].into_iter().flat_map(|folder| files_below(&page(folder), "rs"));
    let sources = files.filter(|path| !path.ends_with(file!())).map(|path| fs::read_to_string(path).unwrap());
    sources.fold(BTreeSet::new(), |mut words, source| {
        words.extend(source.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').map(str::to_owned));
        words
    })
}

#[test]
fn names_of_the_code_in_pages_for_contributors_are_still_its_names() {
    let words = words_of_sources();
    for name in ["CONTRIBUTING.md", "docs/ARCHITECTURE.md"] {
        let text = fs::read_to_string(page(name)).unwrap();
        let missing: Vec<&str> = names(&text).filter(|name| !words.contains(*name)).collect();
        assert!(missing.is_empty(), "{name} names what no source has any more: {missing:?}");
    }
    assert_eq!(
        names("`Mono::ms_since` of `src/a.rs`, `reject = 1`, `tests` and `WIRE`").collect::<Vec<_>>(),
        ["Mono", "ms_since", "WIRE"]
    );
}
