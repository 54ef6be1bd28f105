//! Agents and engine on one thread, in virtual time, with a network that drops, delays, duplicates and reorders, sessions that are
//! lost, jobs that are canceled and executions that time out: all drawn from one seed. First safety, at every step; then, when the
//! network has healed, liveness: every execution ends.
//!
//! A seed that fails is replayed, with its story told, by
//!
//! ```text
//! SWARM_SEED=1234 cargo test --test pair -- --nocapture replay
//! ```
//!
//! and what it found becomes a test of its own in `found.rs`, with its steps spelled out.

mod bugs;
mod found;
mod oracle;
mod world;

use bugs::Bug;
use world::World;

/// In the gate.
const SEEDS: u64 = 2_000;

fn run(seed: u64, bug: Option<Bug>) -> Result<(), String> {
    World::new(seed, bug, false).run()
}

#[test]
fn every_seed_is_safe_and_every_execution_ends() {
    swarm(SEEDS, |seed| World::new(seed, None, false));
}

#[test]
fn the_same_with_things_that_fail_on_purpose() {
    swarm(SEEDS, |seed| World::flaky(seed, false));
}

fn swarm(seeds: u64, world: impl Fn(u64) -> World + Sync) {
    let run = |seed| world(seed).run();
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let part = |first| move || (first..seeds).step_by(threads as usize).filter_map(|seed| tell(seed, run(seed))).collect();
        let parts: Vec<_> = (0..threads).map(|first| scope.spawn(part(first))).collect();
        parts.into_iter().flat_map(|part| -> Vec<String> { part.join().expect("no seed panics") }).collect()
    });
    assert!(failures.is_empty(), "{} of {seeds} seeds fail:\n{}", failures.len(), failures[..failures.len().min(5)].join("\n"));
}

fn tell(seed: u64, outcome: Result<(), String>) -> Option<String> {
    let why = outcome.err()?;
    Some(format!("seed {seed}: {why}\n  replay: SWARM_SEED={seed} cargo test --test pair -- --nocapture replay"))
}

#[test]
fn replay() {
    let Some(seed) = std::env::var("SWARM_SEED").ok().and_then(|seed| seed.parse().ok()) else { return };
    let bug = std::env::var("SWARM_BUG").ok().and_then(|name| Bug::ALL.into_iter().find(|bug| format!("{bug:?}") == name));
    let mut world = if std::env::var_os("SWARM_FLAKY").is_some() { World::flaky(seed, true) } else { World::new(seed, bug, true) };
    if let Err(why) = world.run() {
        panic!("seed {seed}: {why}");
    }
}

/// The net has no holes of this size.
#[test]
fn every_planted_bug_is_caught() {
    const TRIES: u64 = 300;
    for bug in Bug::ALL {
        let caught = (0..TRIES).find_map(|seed| run(seed, Some(bug)).err().map(|why| (seed, why)));
        let (seed, why) = caught.unwrap_or_else(|| panic!("{bug:?} was not caught by {TRIES} seeds"));
        println!("{bug:?}: seed {seed}: {why}");
    }
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    for seed in 0..20 {
        let story = || {
            let mut world = World::new(seed, None, true);
            let outcome = world.run();
            (outcome, world.story)
        };
        let first = story();
        assert!(first.1.len() > 20, "seed {seed}: {} steps", first.1.len());
        assert_eq!(first, story(), "seed {seed}");
    }
}
