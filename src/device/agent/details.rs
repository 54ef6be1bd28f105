//! The `statusDetails` a thing writes.

use crate::jobs::{ExecutionStatus, StatusDetails};

/// `statusDetails` keys: how far the work is, one mark per report, and why it did not succeed.
const PROGRESS: &str = "progress";
const REASON: &str = "reason";
/// Marks kept, so that progress, reason and marks stay within 10 pairs.
const MARKS_MAX: u32 = 8;

/// Grows with every report: what is done stays marked.
pub(super) fn status_details(reports_before: u32, planned: u32, status: ExecutionStatus) -> StatusDetails {
    let reports = if status == ExecutionStatus::InProgress { reports_before + 1 } else { reports_before };
    let progress = match status {
        ExecutionStatus::Succeeded => 100,
        _ => 100 * u64::from(reports) / (u64::from(planned) + 1),
    };
    let mut pairs = vec![(PROGRESS.to_owned(), progress.to_string())];
    pairs.extend((1..=reports.min(MARKS_MAX)).map(|mark| (format!("step-{mark}"), "done".to_owned())));
    match status {
        ExecutionStatus::Failed => pairs.push((REASON.to_owned(), "simulated failure".to_owned())),
        ExecutionStatus::Rejected => pairs.push((REASON.to_owned(), "simulated refusal of the document".to_owned())),
        _ => {}
    }
    StatusDetails::new(pairs).expect("progress, a reason and 8 marks are within the limits")
}

/// How many reports a thing had made, read back from what it wrote.
pub(super) fn marks(details: &StatusDetails) -> u32 {
    details.iter().filter(|(key, _)| key.starts_with("step-")).count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_grow_and_stay_within_the_limits() {
        let pairs = |n, status| status_details(n, 12, status).iter().count();
        assert_eq!(
            [pairs(0, ExecutionStatus::InProgress), pairs(1, ExecutionStatus::InProgress), pairs(11, ExecutionStatus::InProgress)],
            [2, 3, 9]
        );
        assert_eq!(pairs(12, ExecutionStatus::Failed), 10);
        assert_eq!(status_details(12, 12, ExecutionStatus::Succeeded).get(PROGRESS), Some("100"));
        assert_eq!(marks(&status_details(3, 12, ExecutionStatus::InProgress)), 4);
    }
}
