//! Bugs as agents and engines of others had them, planted between the two: what is sent or heard is what a machine with this bug would
//! send or hear.

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// The agent uses one client token for all its requests.
    ReusedToken,
    /// The agent asks before its subscriptions are granted.
    IgnoredSuback,
    /// The agent sends the update that ends an execution twice.
    DoubleTerminalUpdate,
    /// The engine forgets to tell of a new head.
    LostHeadChange,
    /// The engine forgets to tell of a change of the pending list.
    LostListChange,
    /// The agent does not ask again after a time-out.
    NoRetry,
    /// The agent that picks from the list does not see what is in progress.
    BlindToItsList,
    /// The agent that looks before it starts believes that it is always the first to update.
    BlindToVersions,
}

impl Bug {
    pub(crate) const ALL: [Self; 8] = [
        Self::ReusedToken,
        Self::IgnoredSuback,
        Self::DoubleTerminalUpdate,
        Self::LostHeadChange,
        Self::LostListChange,
        Self::NoRetry,
        Self::BlindToItsList,
        Self::BlindToVersions,
    ];
}
