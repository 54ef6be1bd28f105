//! Scenario text -> [`plan::Plan`]: a small compiler. `config_text` parses, keeps places and gathers what is wrong instead of
//! stopping, `resolve` fills in defaults and cross-checks, `print` writes the plan back.

mod list;
pub mod plan;
mod print;
mod reference;
mod resolve;
mod shipped;
mod thresholds;

pub use config_text::{Code, Override, Place, Problem, Problems, Value};
pub use reference::reference;
pub use shipped::{SHIPPED, Shipped, shipped};

use plan::Plan;

/// Reads a scenario and lays `overrides` over it, later ones over earlier ones.
///
/// # Errors
/// With everything that is wrong, in the order of the text.
pub fn load(source_name: &str, text: &str, overrides: &[Override]) -> Result<Plan, Problems> {
    config_text::load(source_name, text, overrides, resolve::resolve)
}

/// A scenario as it was given: its text, and what the command line lays over it.
#[derive(Clone, Debug)]
pub struct Source {
    /// For messages.
    pub name: String,
    pub text: String,
    /// Later ones over earlier ones.
    pub overrides: Vec<Override>,
}

impl Source {
    /// # Errors
    /// With everything that is wrong, in the order of the text.
    pub fn load(&self) -> Result<Plan, Problems> {
        load(&self.name, &self.text, &self.overrides)
    }

    /// The same with one more value laid over all others.
    #[must_use]
    pub fn with(mut self, key: &str, value: String) -> Self {
        let origin = format!("{key}={value}");
        self.overrides.push(Override { key: key.to_owned(), value, origin });
        self
    }

    /// The value at `path` as `--set` takes it, a default where the text says nothing, and the source in which it can be set.
    ///
    /// # Errors
    /// With what is wrong with the path.
    pub fn value_at(&self, plan: &Plan, path: &str) -> Result<(Value, Self), String> {
        if let Some(value) = config_text::lookup(&self.text, &self.overrides, path)? {
            return Ok((value, self.clone()));
        }
        let resolved = Self { name: self.name.clone(), text: plan.to_toml(), overrides: Vec::new() };
        match config_text::lookup(&resolved.text, &[], path)? {
            Some(value) => Ok((value, resolved)),
            None => {
                let near = config_text::nearest_path(&resolved.text, path).map(|near| format!("; did you mean {near:?}?"));
                Err(format!("the scenario has no such value{}", near.unwrap_or_default()))
            }
        }
    }
}
