//! Names that are numbered.

use iot_jobs::{NameError, ThingName};

/// `"sim-{index:06}"`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTemplate {
    /// What stands before the index.
    pub prefix: String,
    /// Zero-padded width of the index, 0: as wide as it is; `None`: the name has no index.
    pub index: Option<usize>,
    /// What stands behind it.
    pub suffix: String,
}

impl NameTemplate {
    /// The name of number `index`; without a place for it, all names are the same.
    #[must_use]
    pub fn name(&self, index: u64) -> String {
        let Self { prefix, suffix, .. } = self;
        match self.index {
            Some(width) => format!("{prefix}{index:0width$}{suffix}"),
            None => format!("{prefix}{suffix}"),
        }
    }

    /// The names of so many things, the first with number `first_index`.
    ///
    /// # Errors
    /// When they would all have one name, or one is no name of a thing.
    pub fn things(&self, first_index: u64, count: u64) -> Result<Vec<ThingName>, String> {
        if self.index.is_none() && count > 1 {
            return Err(format!("{:?} has no {{index}}, so that all things would have one name", self.name(0)));
        }
        let names: Result<_, NameError> =
            (first_index..first_index.saturating_add(count)).map(|index| ThingName::new(&self.name(index))).collect();
        names.map_err(|error| error.to_string())
    }
}
