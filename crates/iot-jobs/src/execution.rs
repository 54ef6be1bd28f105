//! A job execution: its status with the one table of legal moves, and the shapes in which it is told (PROTOCOL 5 and 9).

use super::document::JobDocument;
use super::name::{JobId, StatusDetails, ThingName};
use crate::instant::EpochSeconds;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// PROTOCOL 9.1.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum ExecutionStatus {
    /// `QUEUED`: rolled out to the thing, which has not started it.
    Queued,
    /// `IN_PROGRESS`: the thing has started it.
    InProgress,
    /// `SUCCEEDED`, set by the thing.
    Succeeded,
    /// `FAILED`, set by the thing; a retry may follow (PROTOCOL 9.6).
    Failed,
    /// `TIMED_OUT`, set by the service when a timer expires (PROTOCOL 9.5); a retry may follow.
    TimedOut,
    /// `REJECTED`, set by the thing: no retry can help.
    Rejected,
    /// `REMOVED`, set by the service: the thing is no target any more.
    Removed,
    /// `CANCELED`, set by the service (PROTOCOL 11.5).
    Canceled,
}

use ExecutionStatus::{Canceled, Failed, InProgress, Queued, Rejected, Removed, Succeeded, TimedOut};

impl ExecutionStatus {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The status of that name on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    /// Whether no status can follow it.
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

/// `JobExecution` (PROTOCOL 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobExecution {
    /// `jobId`.
    pub job_id: JobId,
    /// Absent in captured MQTT messages; present over HTTP.
    pub thing_name: Option<ThingName>,
    /// `status`.
    pub status: ExecutionStatus,
    /// Omitted on the wire when empty.
    pub status_details: StatusDetails,
    /// `queuedAt`.
    pub queued_at: EpochSeconds,
    /// Absent while `QUEUED`.
    pub started_at: Option<EpochSeconds>,
    /// `lastUpdatedAt`; the same as `queued_at` until the first change.
    pub last_updated_at: EpochSeconds,
    /// Whole seconds; only while a timer runs.
    pub approximate_seconds_before_timed_out: Option<i64>,
    /// 1 on creation, +1 with every accepted change.
    pub version_number: i64,
    /// Identifies one run of the job on the thing; the first is 1.
    pub execution_number: i64,
    /// `jobDocument`: a JSON value over MQTT, a text over HTTP (PROTOCOL 2 fact 2); absent where it was not asked for.
    pub job_document: Option<JobDocument>,
}

/// `JobExecutionSummary` (PROTOCOL 5.2): the enclosing list tells the status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionSummary {
    /// `jobId`.
    pub job_id: JobId,
    /// `queuedAt`.
    pub queued_at: EpochSeconds,
    /// `startedAt`; absent while `QUEUED`.
    pub started_at: Option<EpochSeconds>,
    /// `lastUpdatedAt`; the same as `queued_at` until the first change.
    pub last_updated_at: EpochSeconds,
    /// `versionNumber`: 1 on creation, +1 with every accepted change.
    pub version_number: i64,
    /// `executionNumber`: which run of the job on the thing it is, from 1.
    pub execution_number: i64,
}

/// `JobExecutionState` (PROTOCOL 5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionState {
    /// `status`.
    pub status: ExecutionStatus,
    /// `statusDetails`; omitted on the wire when empty.
    pub status_details: StatusDetails,
    /// `versionNumber`, which the next update may expect.
    pub version_number: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_of_legal_moves() {
        let mut table = String::from("from \\ to    ");
        for to in ExecutionStatus::VARIANTS.iter().copied() {
            table += &format!(" {:>11}", to.as_str());
        }
        for from in ExecutionStatus::VARIANTS.iter().copied() {
            table += &format!("\n{:<13}", from.as_str());
            for to in ExecutionStatus::VARIANTS.iter().copied() {
                table += &format!(" {:>11}", if from.may_become(to) { "yes" } else { "-" });
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn names_round_trip() {
        for status in ExecutionStatus::VARIANTS.iter().copied() {
            assert_eq!(ExecutionStatus::parse(status.as_str()), Some(status));
        }
        assert_eq!(ExecutionStatus::parse("SUCCESS"), None);
    }
}
