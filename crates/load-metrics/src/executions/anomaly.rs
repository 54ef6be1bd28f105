//! What should never be.

use enumset::{EnumSet, EnumSetType};
use strum::{Display, EnumIter, EnumString, IntoStaticStr};
use thing_faults::{Fault, FaultSet};

/// What the things and the service ledger, joined, show that should not be; its snake-case name stands in files and thresholds.
#[derive(Debug, PartialOrd, Ord, Hash, EnumSetType, Display, EnumIter, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Anomaly {
    /// Open at the service at the end of the run, and its subscribed thing is not at work on it.
    Lost,
    /// Handed out to its thing a second time, not as work to be taken up again.
    DuplicateStart,
    /// Never told to its thing, which was subscribed all the while.
    MissingNotify,
    /// Told over 1 s after it became the thing's next, which was subscribed all the while.
    LateNotify,
    /// Ended twice.
    TerminalTwice,
    /// Its thing and the service name different ends.
    StatusDiffers,
}

impl Anomaly {
    /// Its name in files and thresholds.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether `fault`, which struck the thing on purpose, is reason enough for it.
    #[must_use]
    pub fn is_excused_by(self, fault: Fault) -> bool {
        matches!(self, Self::Lost | Self::MissingNotify | Self::LateNotify) && fault.row().is_deaf
    }

    /// Whether the two sides contradict each other, rather than somebody having been slow.
    #[must_use]
    pub fn is_difference(self) -> bool {
        self != Self::LateNotify
    }
}

/// The anomalies of one execution.
pub type Anomalies = EnumSet<Anomaly>;

/// Without those that these faults are reason enough for.
pub(super) fn unexcused(anomalies: Anomalies, faults: FaultSet) -> Anomalies {
    anomalies.iter().filter(|anomaly| !faults.iter().any(|fault| anomaly.is_excused_by(fault))).collect()
}
