//! Why the service refuses a data-plane request (PROTOCOL 8).

use super::execution::ExecutionState;
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// `code` of an MQTT `rejected` answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
pub enum ErrorCode {
    /// A topic in the Jobs namespace that is no operation's.
    InvalidTopic,
    /// A payload that is no JSON object.
    InvalidJson,
    /// A member that is missing or against a rule, such as a `status` that a device may not set.
    InvalidRequest,
    /// An update to a status that cannot follow the present one; comes with `executionState`.
    InvalidStateTransition,
    /// No such execution on that thing.
    ResourceNotFound,
    /// `expectedVersion` is not the version there is; comes with `executionState`.
    VersionMismatch,
    /// A describe of an execution that has ended.
    TerminalStateReached,
    /// Over a quota of the account (PROTOCOL 15.3).
    RequestThrottled,
    /// A failure of the service.
    InternalError,
    /// A code that a thing does not know, or cannot read: no name on the wire.
    Unknown,
}

impl ErrorCode {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The code of that name on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|code| *code != Self::Unknown)
    }

    /// Those that a service may answer with.
    pub fn of_service() -> impl Iterator<Item = Self> {
        Self::VARIANTS.iter().copied().filter(|code| *code != Self::Unknown)
    }

    /// Whether the same request may succeed later; of an unknown code it is to be tried (inferred).
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::RequestThrottled | Self::InternalError | Self::Unknown)
    }
}

/// The body of a `rejected` answer, without what every answer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// `code`.
    pub code: ErrorCode,
    /// `message`: text for people, which nothing is to depend on.
    pub message: String,
    /// Only with `InvalidStateTransition` and `VersionMismatch`: the state as it is.
    pub execution_state: Option<ExecutionState>,
}

impl Rejection {
    /// A rejection without an `executionState`.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), execution_state: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_none_is_the_unknown_one() {
        for code in ErrorCode::of_service() {
            assert_eq!(ErrorCode::parse(code.as_str()), Some(code));
        }
        assert_eq!(ErrorCode::parse(ErrorCode::Unknown.as_str()), None);
    }
}
