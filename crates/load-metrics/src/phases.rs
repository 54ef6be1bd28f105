//! The phases of a run, in their order.

use enumset::{EnumSet, EnumSetType};
use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr, VariantArray};

/// A phase of a run; its snake-case name stands in files and scenarios.
#[derive(Debug, PartialOrd, Ord, Hash, EnumSetType, Serialize, Deserialize, Display, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Phase {
    /// Until every thing has been connected once, or its connect arrivals are used up and given up.
    Connect,
    /// Connected, and no rollout under way.
    Steady,
    /// From the first CreateJob until every execution is terminal.
    Rollout,
    /// No new work; what is open may end.
    Drain,
    /// Sessions are closed, files are complete.
    Done,
}

impl Phase {
    /// Its name in files and scenarios.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Phases that a run was in, one after the other, within a second.
pub type PhaseSet = EnumSet<Phase>;
