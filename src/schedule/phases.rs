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

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
