//! How far a run has come.

use iot_jobs::JobId;
use iot_jobs::instant::Mono;
use load_metrics::{Operation, Phase, PhaseSet, Snapshot};
use std::sync::Arc;

/// What an endpoint may still be at work on.
const REQUESTS: [Operation; 6] =
    [Operation::GetPending, Operation::StartNext, Operation::Describe, Operation::Update, Operation::Puback, Operation::Telemetry];

/// How a run stands between two looks.
pub(super) struct Progress {
    pub(super) phase: Phase,
    /// Since the last second that was taken in.
    pub(super) phases: PhaseSet,
    pub(super) connected_at: Option<Mono>,
    /// When things last happened: a message, a connection, an execution.
    pub(super) busy_at: Mono,
    pub(super) last: Option<Arc<Snapshot>>,
    /// Jobs of the plan that are not created, at the end of the run.
    pub(super) uncreated: Vec<JobId>,
}

impl Progress {
    pub(super) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.phases.insert(phase);
    }

    /// Requests that have no answer yet, as of the last second.
    pub(super) fn open_requests(&self) -> u64 {
        let open = |operation: &Operation| self.last.as_ref()?.of_run(*operation).map(|row| row.open);
        REQUESTS.iter().filter_map(open).sum()
    }

    pub(super) fn take_phases(&mut self) -> PhaseSet {
        std::mem::replace(&mut self.phases, self.phase.into())
    }
}
