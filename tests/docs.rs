//! Pages that promise something are held to it.

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
fn the_two_commands_of_the_readme_are_what_they_were() {
    let readme = fs::read_to_string(page("README.md")).unwrap();
    assert!(readme.contains("```console\ncargo run --release -- run scenarios/10k.toml\n```"));
    assert!(readme.contains("```console\nscripts/test\n```"));
    assert!(fs::read_to_string(page(".ci/run")).unwrap().contains("scripts/test"));
}

/// The scenarios that a page shows in pieces, put together.
#[test]
fn the_rollout_that_the_page_shows_is_one() {
    let text = fs::read_to_string(page("docs/ROLLOUTS.md")).unwrap();
    let shown: String = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let around = "name = 'x'\n[fleet]\nthings = 10\n[[cohort]]\nname = 'healthy'\nbehavior = 'slow-ota'\n[behavior.slow-ota]\n[end]\nlimit = '20m'\n";
    let plan = fleetsim::scenario::load("x", &format!("{around}{shown}"), &[]).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!((plan.rollouts[0].jobs.len(), plan.rollouts[0].settings.config.retry[0].retries), (20, 2));
}

#[test]
fn every_room_of_the_map_exists() {
    let map = fs::read_to_string(page("docs/ARCHITECTURE.md")).unwrap();
    let rooms = map
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|line| line.split('|').nth(1).unwrap().split(',').map(str::trim));
    let mut count = 0;
    for room in rooms.map(|room| room.trim_matches('`')) {
        assert!(page("src").join(room).exists() || page("src/emulator").join(room).exists(), "the map names {room}");
        count += 1;
    }
    assert!(count >= 15);
}
