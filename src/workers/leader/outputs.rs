//! Who is shown how a run goes that is led: people, and whoever scrapes its metrics.

use crate::exposition::Exposition;
use crate::run::ui::Ui;
use crate::tui::app::WorkerRow;
use std::collections::BTreeMap;

/// Whoever shows the run.
#[derive(Clone, Copy)]
pub(super) struct Outputs<'a> {
    pub ui: &'a Ui,
    pub exposition: Option<&'a Exposition>,
}

impl Outputs<'_> {
    /// How the workers stand.
    pub(super) fn workers(&self, rows: &[WorkerRow]) {
        self.ui.workers(rows);
        if let Some(exposition) = self.exposition {
            let mut states = BTreeMap::new();
            rows.iter().for_each(|row| *states.entry(row.state).or_default() += 1);
            exposition.workers(states);
        }
    }
}
