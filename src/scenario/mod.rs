//! Scenario text -> [`plan::Plan`]: a small compiler. `config_text` parses, keeps places and gathers what is wrong instead of
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
    config_text::load(source_name, text, overrides, resolve::resolve)
}
