//! A job execution: its status with the one table of legal moves, and the shapes in which it is told (PROTOCOL 5 and 9).

use super::name::{JobDocument, JobId, StatusDetails, ThingName};
use crate::instant::EpochSeconds;
use serde::{Deserialize, Serialize};
use std::fmt;

/// PROTOCOL 9.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ExecutionStatus {
    Queued,
    InProgress,
    Succeeded,
    Failed,
    TimedOut,
    Rejected,
    Removed,
    Canceled,
}

use ExecutionStatus::{Canceled, Failed, InProgress, Queued, Rejected, Removed, Succeeded, TimedOut};

impl ExecutionStatus {
    pub const ALL: [Self; 8] = [Queued, InProgress, Succeeded, Failed, TimedOut, Rejected, Removed, Canceled];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Queued => "QUEUED",
            InProgress => "IN_PROGRESS",
            Succeeded => "SUCCEEDED",
            Failed => "FAILED",
            TimedOut => "TIMED_OUT",
            Rejected => "REJECTED",
            Removed => "REMOVED",
            Canceled => "CANCELED",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    #[must_use]
    pub fn is_terminal(self) -> bool {
        !matches!(self, Queued | InProgress)
    }

    /// Whether a device may ask for this status in an update (PROTOCOL 2 fact 13).
    #[must_use]
    pub fn may_be_set_by_device(self) -> bool {
        matches!(self, InProgress | Succeeded | Failed | Rejected)
    }

    /// The one table of legal moves, whoever makes them (PROTOCOL 9.2).
    ///
    /// `QUEUED` straight to `SUCCEEDED` or `FAILED` is (inferred): no rule against it was found.
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        match self {
            Queued => !matches!(to, Queued | TimedOut),
            InProgress => to != Queued,
            Succeeded | Failed | TimedOut | Rejected | Removed | Canceled => false,
        }
    }
}

impl fmt::Display for ExecutionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `JobExecution` (PROTOCOL 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobExecution {
    pub job_id: JobId,
    /// Absent in captured MQTT messages; present over HTTP.
    pub thing_name: Option<ThingName>,
    pub status: ExecutionStatus,
    /// Omitted on the wire when empty.
    pub status_details: StatusDetails,
    pub queued_at: EpochSeconds,
    /// Absent while `QUEUED`.
    pub started_at: Option<EpochSeconds>,
    pub last_updated_at: EpochSeconds,
    /// Whole seconds; only while a timer runs.
    pub approximate_seconds_before_timed_out: Option<i64>,
    /// 1 on creation, +1 with every accepted change.
    pub version_number: i64,
    /// Identifies one run of the job on the thing; the first is 1.
    pub execution_number: i64,
    pub job_document: Option<JobDocument>,
}

/// `JobExecutionSummary` (PROTOCOL 5.2): the enclosing list tells the status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionSummary {
    pub job_id: JobId,
    pub queued_at: EpochSeconds,
    pub started_at: Option<EpochSeconds>,
    pub last_updated_at: EpochSeconds,
    pub version_number: i64,
    pub execution_number: i64,
}

/// `JobExecutionState` (PROTOCOL 5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionState {
    pub status: ExecutionStatus,
    pub status_details: StatusDetails,
    pub version_number: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_of_legal_moves() {
        let mut table = String::from("from \\ to    ");
        for to in ExecutionStatus::ALL {
            table += &format!(" {:>11}", to.as_str());
        }
        for from in ExecutionStatus::ALL {
            table += &format!("\n{:<13}", from.as_str());
            for to in ExecutionStatus::ALL {
                table += &format!(" {:>11}", if from.may_become(to) { "yes" } else { "-" });
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn names_round_trip() {
        for status in ExecutionStatus::ALL {
            assert_eq!(ExecutionStatus::parse(status.as_str()), Some(status));
        }
        assert_eq!(ExecutionStatus::parse("SUCCESS"), None);
    }
}
