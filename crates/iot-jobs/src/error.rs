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
        text.parse().ok()
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::RequestThrottled | Self::InternalError)
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
