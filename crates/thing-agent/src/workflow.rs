//! How a thing learns of its jobs (PROTOCOL 18).

use iot_jobs::Subscription;
/// A schedule of polls.
pub use sim_units::periodic::Period as Poll;

/// How a thing learns of its jobs and starts them; once it has started one, all work alike.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Workflow {
    /// It is told by `notify-next`, and asks `start-next`.
    #[default]
    StartNext,
    /// It is told by `notify-next`, looks at `$next`, and starts that with an update of its own.
    DescribeUpdate,
    /// It is told by `notify`, picks from the pending list by itself, looks at its choice, and starts it with an update of its own.
    List,
    /// It asks `$next/get` every so often.
    Poll(Poll),
    /// It has no jobs: it subscribes to nothing, and asks for nothing.
    None,
}

impl Workflow {
    /// The word in scenarios.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StartNext => "start-next",
            Self::DescribeUpdate => "describe-update",
            Self::List => "list",
            Self::Poll(_) => "poll",
            Self::None => "none",
        }
    }

    /// What it subscribes to, one packet.
    #[must_use]
    pub fn subscriptions(self) -> &'static [Subscription] {
        use Subscription::{DescribeAnswers, GetPendingAnswers, Notify, NotifyNext, StartNextAnswers, UpdateAnswers};
        match self {
            Self::StartNext => &[NotifyNext, StartNextAnswers, DescribeAnswers, UpdateAnswers],
            Self::DescribeUpdate => &[NotifyNext, DescribeAnswers, UpdateAnswers],
            Self::List => &[Notify, GetPendingAnswers, DescribeAnswers, UpdateAnswers],
            Self::Poll(_) => &[StartNextAnswers, DescribeAnswers, UpdateAnswers],
            Self::None => &[],
        }
    }

    /// The schedule of polls, where it polls.
    #[must_use]
    pub fn poll(self) -> Option<Poll> {
        match self {
            Self::StartNext | Self::DescribeUpdate | Self::List | Self::None => None,
            Self::Poll(poll) => Some(poll),
        }
    }

    /// Whether it asks for jobs at all.
    #[must_use]
    pub fn has_jobs(self) -> bool {
        self != Self::None
    }
}
