//! How a thing learns of its jobs (spec section 18).

use crate::jobs::Subscription;
/// A schedule of polls.
pub use crate::periodic::Period as Poll;

/// How a thing learns of its jobs; once it has one, all work alike.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Workflow {
    /// It is told by `notify-next`, and asks `start-next`.
    #[default]
    StartNext,
    /// It asks `$next/get` every so often.
    Poll(Poll),
}

impl Workflow {
    /// What it subscribes to, one packet.
    #[must_use]
    pub fn subscriptions(self) -> &'static [Subscription] {
        use Subscription::{DescribeAnswers, NotifyNext, StartNextAnswers, UpdateAnswers};
        match self {
            Self::StartNext => &[NotifyNext, StartNextAnswers, DescribeAnswers, UpdateAnswers],
            Self::Poll(_) => &[StartNextAnswers, DescribeAnswers, UpdateAnswers],
        }
    }

    #[must_use]
    pub fn poll(self) -> Option<Poll> {
        match self {
            Self::StartNext => None,
            Self::Poll(poll) => Some(poll),
        }
    }
}
