//! When a run is over.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndPlan {
    pub when: EndWhen,
    /// The run never lasts longer than this.
    pub limit: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndWhen {
    /// Every execution of every rollout is terminal; with jobs of others, once `expect` executions are.
    ExecutionsDone {
        expect: Option<u64>,
    },
    Duration(Duration),
    /// Nothing happened for this long, and all are connected.
    Idle(Duration),
}
