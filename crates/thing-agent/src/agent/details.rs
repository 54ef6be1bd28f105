//! The `statusDetails` a thing writes.

use iot_jobs::{ExecutionStatus, StatusDetails};

/// `statusDetails` keys: how far the work is, one mark per report, and why it did not succeed.
const PROGRESS: &str = "progress";
const REASON: &str = "reason";
/// What has arrived of a file.
const DOWNLOAD: &str = "download";
/// Characters of a reason; more of it helps nobody.
const REASON_CHARS_MAX: usize = 256;
/// Of the first reports; with progress and reason they stay within 10 pairs.
const MARKS: [&str; 8] = ["step-1", "step-2", "step-3", "step-4", "step-5", "step-6", "step-7", "step-8"];

/// Grows with every report: what is done stays marked.
pub(super) fn of_work(reports_before: u32, planned: u32, status: ExecutionStatus) -> StatusDetails {
    let reports = if status == ExecutionStatus::InProgress { reports_before + 1 } else { reports_before };
    let progress = match status {
        ExecutionStatus::Succeeded => 100,
        _ => 100 * u64::from(reports) / (u64::from(planned) + 1),
    };
    let progress = progress.to_string();
    let reason = match status {
        ExecutionStatus::Failed => Some("simulated failure"),
        ExecutionStatus::Rejected => Some("simulated refusal of the document"),
        _ => None,
    };
    let marks = MARKS.iter().take(reports as usize).map(|mark| (*mark, "done"));
    let pairs = [(PROGRESS, &*progress)].into_iter().chain(marks).chain(reason.map(|reason| (REASON, reason)));
    StatusDetails::new(pairs).expect("progress, a reason and 8 marks are within the limits")
}

/// A file is under way, and no work done.
pub(super) fn of_file(received: u64, length: Option<u64>) -> StatusDetails {
    let arrived = length.map_or_else(|| format!("{received} bytes"), |length| format!("{received} of {length} bytes"));
    StatusDetails::new([(PROGRESS, "0".to_owned()), (DOWNLOAD, arrived)]).expect("two pairs of plain text are within the limits")
}

/// A file is not what it should be. What others wrote may stand in the reason, so it is made to fit.
pub(super) fn of_bad_file(reason: &str) -> StatusDetails {
    let plain = |c: char| if c.is_ascii_graphic() { c } else { ' ' };
    let reason: String = reason.chars().map(plain).take(REASON_CHARS_MAX).collect();
    StatusDetails::new([(PROGRESS, "0"), (REASON, &format!("{reason:-<1}"))])
        .expect("two pairs of plain text are within the limits")
}

/// How many reports a thing had made, read back from what it wrote.
pub(super) fn marks(details: &StatusDetails) -> u32 {
    details.iter().filter(|(key, _)| MARKS.contains(key)).count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_made_to_fit() {
        let reason = |text: &str| of_bad_file(text).get(REASON).unwrap().to_owned();
        assert_eq!(reason("403 AccessDenied"), "403 AccessDenied");
        assert_eq!(reason("a\n\u{202e}\u{0}b"), "a   b");
        assert_eq!(reason(""), "-");
        assert_eq!(reason(&"x".repeat(5_000)).len(), REASON_CHARS_MAX);
    }

    #[test]
    fn details_grow_and_stay_within_the_limits() {
        let pairs = |n, status| of_work(n, 12, status).iter().count();
        assert_eq!(
            [pairs(0, ExecutionStatus::InProgress), pairs(1, ExecutionStatus::InProgress), pairs(11, ExecutionStatus::InProgress)],
            [2, 3, 9]
        );
        assert_eq!(pairs(12, ExecutionStatus::Failed), 10);
        assert_eq!(of_work(12, 12, ExecutionStatus::Succeeded).get(PROGRESS), Some("100"));
        assert_eq!(marks(&of_work(3, 12, ExecutionStatus::InProgress)), 4);
    }
}
