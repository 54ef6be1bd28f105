//! What should never be.

use std::fmt;
use thing_faults::{Fault, FaultSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
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
    pub const COUNT: usize = 6;
    pub const ALL: [Self; Self::COUNT] =
        [Self::Lost, Self::DuplicateStart, Self::MissingNotify, Self::LateNotify, Self::TerminalTwice, Self::StatusDiffers];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::DuplicateStart => "duplicate_start",
            Self::MissingNotify => "missing_notify",
            Self::LateNotify => "late_notify",
            Self::TerminalTwice => "terminal_twice",
            Self::StatusDiffers => "status_differs",
        }
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anomalies(u8);

impl Anomalies {
    pub(super) fn insert(&mut self, anomaly: Anomaly) {
        self.0 |= 1 << anomaly as u8;
    }

    /// Without those that these faults are reason enough for.
    pub(super) fn unexcused(self, faults: FaultSet) -> Self {
        let mut left = Self::default();
        self.iter()
            .filter(|anomaly| !faults.iter().any(|fault| anomaly.is_excused_by(fault)))
            .for_each(|anomaly| left.insert(anomaly));
        left
    }

    pub fn iter(self) -> impl Iterator<Item = Anomaly> {
        Anomaly::ALL.into_iter().filter(move |anomaly| self.0 & (1 << *anomaly as u8) != 0)
    }

    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Anomalies {
    /// The names, joined by `;`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().enumerate().try_for_each(|(index, anomaly)| {
            f.write_str(if index > 0 { ";" } else { "" })?;
            f.write_str(anomaly.as_str())
        })
    }
}
