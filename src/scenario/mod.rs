//! Scenario text -> [`plan::Plan`]: a small compiler. `tree` parses and keeps places, `reader` gathers what is wrong instead of
//! stopping, `resolve` fills in defaults and cross-checks, `print` writes the plan back.

mod list;
pub mod plan;
mod print;
mod problem;
pub mod quotas;
mod reader;
mod resolve;
mod shipped;
mod thresholds;
mod tree;
pub mod units;

pub use problem::{Code, Place, Problem, Problems};
pub use shipped::{SHIPPED, Shipped, shipped};

use plan::Plan;

/// A value laid over the file: `--set`, or a flag that is short for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Path with dots; elements of arrays of tables go by name.
    pub key: String,
    /// TOML.
    pub value: String,
    /// What was typed, for messages.
    pub origin: String,
}

/// Reads a scenario and lays `overrides` over it, later ones over earlier ones.
///
/// # Errors
/// With everything that is wrong, in the order of the text.
pub fn load(source_name: &str, text: &str, overrides: &[Override]) -> Result<Plan, Problems> {
    let (table, sources, mut list) = tree::build(source_name, text, overrides);
    if list.iter().all(|problem| problem.code != Code::Syntax) {
        let gathered = reader::Gathered::default();
        let plan = resolve::resolve(&table, &gathered);
        list.extend(gathered.into_inner());
        if list.is_empty() {
            return Ok(plan);
        }
    }
    list.sort_by_key(|problem| (problem.place.source, problem.place.span.start));
    Err(Problems { sources, list })
}
