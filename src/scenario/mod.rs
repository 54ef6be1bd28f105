//! Scenario text -> [`plan::Plan`]: a small compiler. `tree` parses and keeps places, `reader` gathers what is wrong instead of
//! stopping, `resolve` fills in defaults and cross-checks, `print` writes the plan back.

mod list;
pub mod plan;
mod print;
mod resolve;
mod shipped;
mod thresholds;

pub use config_text::{Code, Override, Place, Problem, Problems};
pub use shipped::{SHIPPED, Shipped, shipped};

use plan::Plan;

/// Reads a scenario and lays `overrides` over it, later ones over earlier ones.
///
/// # Errors
/// With everything that is wrong, in the order of the text.
pub fn load(source_name: &str, text: &str, overrides: &[Override]) -> Result<Plan, Problems> {
    let (table, sources, mut list) = config_text::parse(source_name, text, overrides);
    if list.iter().all(|problem| problem.code != Code::Syntax) {
        let gathered = config_text::Gathered::default();
        let plan = resolve::resolve(&table, &gathered);
        list.extend(gathered.into_inner());
        if list.is_empty() {
            return Ok(plan);
        }
    }
    list.sort_by_key(|problem| (problem.place.source, problem.place.span.start));
    Err(Problems { sources, list })
}
