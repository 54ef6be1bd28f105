//! Why a run could not be carried out, and the exit code of one that never began.

use super::conductor::ConductError;
use super::fleet::FleetError;
use super::jobs::run_id::RunIdError;
use super::led::LedError;
use super::shard::TooLate;
use super::targets::TargetError;
use crate::exit;
use crate::exposition::ExpositionError;
use crate::report::ReportError;
use crate::workload::jobs::ScheduleError;
use iot_jobs::NameError;

/// A run that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    #[error("{0}")]
    Host(String),
    #[error("{0}")]
    Report(#[from] ReportError),
    #[error("{0}")]
    Target(#[from] TargetError),
    #[error("{0}")]
    Conduct(#[from] ConductError),
    #[error("{0}")]
    Fleet(#[from] FleetError),
    #[error("{0}")]
    Exposition(#[from] ExpositionError),
    #[error("{0}")]
    TooLate(#[from] TooLate),
    #[error("{0}")]
    Led(#[from] LedError),
    #[error("name a thing: {0}")]
    Name(#[from] NameError),
    #[error("{0}")]
    RunId(#[from] RunIdError),
    #[error("{0}")]
    Schedule(#[from] ScheduleError),
    #[error("start the runtime: {0}")]
    Runtime(#[source] std::io::Error),
    #[error("listen for signals: {0}")]
    Signals(#[source] std::io::Error),
    #[error("take the terminal over for the dashboard: {0}; --ui plain does without")]
    Terminal(#[source] std::io::Error),
}

impl RunError {
    /// Exit code of a run that never began, and why in words.
    pub(super) fn refusal(&self) -> (u8, String) {
        match self {
            Self::Host(shortages) => (exit::ERROR, shortages.clone()),
            Self::RunId(error) => (exit::SCENARIO, format!("failed to {error}")),
            Self::Report(ReportError::NotEmpty { .. }) => (exit::USAGE, format!("failed to {self}")),
            _ => (exit::ERROR, format!("failed to {self}")),
        }
    }
}
