//! Names that are numbered.

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
}
