//! What was meant: defaults, cross-checks, sections into the plan. Every section is read to its end whatever is wrong with it.

mod artifact;
mod cohorts;
mod end;
mod events;
mod faults;
mod fleet;
mod rollouts;
mod targets;
mod telemetry;
mod things;

use super::plan::Plan;
use super::thresholds::thresholds;
use config_text::{Code, Key, Located, Reader};
use std::ops::RangeInclusive;
use std::time::Duration;

const NAME_CHARS_MAX: usize = 64;
/// Samples and orders to things carry places of cohorts and events as 16 bits.
const COHORTS_MAX: usize = 1_000;
const EVENTS_MAX: usize = 1_000;
const DAY: Duration = Duration::from_secs(24 * 3600);
const ANY_DURATION: RangeInclusive<Duration> = Duration::ZERO..=DAY;
const SOME_DURATION: RangeInclusive<Duration> = Duration::from_millis(1)..=DAY;

pub(super) fn resolve(root: Reader<'_>) -> Plan {
    let name = scenario_name(&root);
    let seed =
        root.integer(("seed", "everything random in a run follows from it"), 0..=i64::MAX).map_or(0, |seed| seed.value as u64);
    let fleet = fleet::fleet(&root);
    let target = targets::target(&root, &fleet);
    let behaviors = cohorts::behaviors(&root);
    let cohorts = cohorts::cohorts(&root, &target, &fleet, &behaviors);
    cohorts::check_signer(&root, &target, &cohorts);
    cohorts::check_certificates(&root, &target, &cohorts);
    things::check_cohorts(&root, &fleet, &cohorts);
    let rollouts = rollouts::rollouts(&root, &target, &cohorts, &behaviors);
    let end = end::end(&root, &target, &rollouts);
    rollouts::check_dues(&root, &rollouts, &end);
    let thresholds = thresholds(&root, &cohorts);
    let events = events::events(&root, &target, &cohorts, &end);
    faults::check(&root, &target, &cohorts, &behaviors, &rollouts, &end);
    let telemetry = telemetry::telemetry(&root, &fleet, &cohorts);
    root.finish();
    Plan { name, seed, target, fleet, cohorts, behaviors, rollouts, events, telemetry, end, thresholds }
}

/// The name is part of paths.
fn scenario_name(root: &Reader<'_>) -> String {
    let Some(Located { value, place }) =
        root.string(("name", "letters, digits, `-`, `_` and `.`: results and certificates are kept under it"))
    else {
        if !root.has("name") {
            root.missing("name", "give the scenario a name, as in name = \"10k\"; results and certificates are kept under it");
        }
        return String::new();
    };
    let fits = !value.is_empty()
        && value.len() <= NAME_CHARS_MAX
        && !value.starts_with('.')
        && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !fits {
        let help = format!(
            "use 1 to {NAME_CHARS_MAX} letters, digits, '-', '_' and '.', not starting with '.': the name is part of paths"
        );
        root.gathered.push(Code::BadValue, &place, format!("name {value:?} cannot be part of a path"), Some(help));
    }
    value
}

/// The tables `[[key]]`, of which there may be so many.
fn tables_at_most<'a>(root: &Reader<'a>, key: impl Into<Key>, max: usize) -> Vec<Reader<'a>> {
    let key = key.into();
    let readers = root.tables(key);
    if let Some(first_over) = readers.get(max) {
        let message = format!("there are {} of [[{}]], and {max} are the most", readers.len(), key.name);
        root.gathered.push(Code::OutOfRange, &first_over.place, message, None);
    }
    readers
}

/// As a list in a message.
fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}
