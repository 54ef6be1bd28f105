//! The phases of a run, in their order.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    pub const ALL: [Self; 5] = [Self::Connect, Self::Steady, Self::Rollout, Self::Drain, Self::Done];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Steady => "steady",
            Self::Rollout => "rollout",
            Self::Drain => "drain",
            Self::Done => "done",
        }
    }
}

/// Phases that a run was in, one after the other, within a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseSet(u8);

impl PhaseSet {
    pub fn insert(&mut self, phase: Phase) {
        self.0 |= Self::from(phase).0;
    }

    #[must_use]
    pub fn contains(self, phase: Phase) -> bool {
        self.0 & Self::from(phase).0 != 0
    }
}

impl From<Phase> for PhaseSet {
    fn from(phase: Phase) -> Self {
        Self(1 << phase as u8)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
