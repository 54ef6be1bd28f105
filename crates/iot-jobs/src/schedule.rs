//! `schedulingConfig` of a job: start, end and maintenance windows (PROTOCOL 11.2, PROTOCOL-CORE 2.3).

use super::control::ControlError;
use super::cron::Cron;
use super::job::{TargetSelection, refuse, within};
use super::limits;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use strum::{IntoStaticStr, VariantArray};

const DAY: Duration = Duration::from_secs(86_400);

/// `schedulingConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulingConfig {
    /// Milliseconds since the epoch.
    pub start_ms: Option<i64>,
    /// Milliseconds since the epoch, and what happens then.
    pub end: Option<ScheduledEnd>,
    /// `maintenanceWindows`: when the job is rolled out; none: always.
    #[serde(default)]
    pub windows: Vec<MaintenanceWindow>,
}

/// `endTime` and `endBehavior` of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledEnd {
    /// `endTime`, in milliseconds since the epoch.
    pub at_ms: i64,
    /// `endBehavior`.
    pub behavior: EndBehavior,
}

/// What happens to a job at its `endTime`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum EndBehavior {
    /// No further executions.
    #[default]
    StopRollout,
    /// What is `QUEUED` is cancelled too.
    Cancel,
    /// What is `IN_PROGRESS` is cancelled too.
    ForceCancel,
}

/// One of `maintenanceWindows`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaintenanceWindow {
    /// `startTime`: when it opens.
    pub start: Cron,
    /// `durationInMinutes`, 1 to 1,430.
    pub minutes: u32,
}

/// Whether a job is rolled out at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowState {
    /// One of its windows is open, or it has none.
    pub is_open: bool,
    /// When to ask again, in milliseconds since the epoch; `None`: it stays like this.
    pub until_ms: Option<i64>,
}

impl SchedulingConfig {
    /// Start: 30 minutes to a year after `created_ms`. End: 30 minutes after the start, at most two years ahead. Windows: of continuous
    /// jobs only, and less than a day long.
    ///
    /// # Errors
    /// `InvalidRequest` with the member that is out of its limits.
    pub fn check(&self, selection: TargetSelection, created_ms: i64, minute: Duration) -> Result<(), ControlError> {
        self.check_windows(selection)?;
        let ahead = (minute * limits::SCHEDULE_MINUTES_MIN).as_millis() as i64;
        let years = |count: u32| created_ms + (DAY * limits::SCHEDULE_START_DAYS_MAX * count).as_millis() as i64;
        let refuse = |what: &str, from: &str, most: &str| {
            let minutes = limits::SCHEDULE_MINUTES_MIN;
            refuse(format!("{what} must be at least {minutes} minutes after {from}, and at most {most} ahead"))
        };
        if let Some(start) = self.start_ms
            && !(created_ms + ahead..=years(1)).contains(&start)
        {
            return refuse("startTime", "now", "a year");
        }
        let from = self.start_ms.unwrap_or(created_ms);
        match self.end {
            Some(end) if !(from + ahead..=years(2)).contains(&end.at_ms) => refuse("endTime", "the start", "two years"),
            _ => Ok(()),
        }
    }

    /// What of [`Self::check`] does not depend on the time.
    ///
    /// # Errors
    /// `InvalidRequest`.
    pub fn check_windows(&self, selection: TargetSelection) -> Result<(), ControlError> {
        if !self.windows.is_empty() && selection != TargetSelection::Continuous {
            return refuse("maintenanceWindows are for jobs whose targetSelection is CONTINUOUS".into());
        }
        self.windows.iter().try_for_each(MaintenanceWindow::check)
    }

    /// How things stand at `ms`, with minutes of this length.
    #[must_use]
    pub fn window_at(&self, ms: i64, minute: Duration) -> WindowState {
        let mut state = WindowState { is_open: self.windows.is_empty(), until_ms: None };
        for window in &self.windows {
            let length = window.length_ms(minute);
            let open = window.start.next_after(ms - length).filter(|start| *start <= ms);
            state.is_open |= open.is_some();
            let changes = [open.map(|start| start + length), window.start.next_after(ms)];
            state.until_ms = changes.into_iter().flatten().chain(state.until_ms).min();
        }
        state
    }

    /// `scheduledJobRollouts`: when the next windows open, up to `count` of them, between start and end of the job.
    #[must_use]
    pub fn next_windows(&self, now_ms: i64, count: usize) -> Vec<i64> {
        let after = self.start_ms.map_or(now_ms, |start| now_ms.max(start - 1));
        let next = |after: i64| self.windows.iter().filter_map(|window| window.start.next_after(after)).min();
        let is_before_end = |start: &i64| self.end.is_none_or(|end| *start < end.at_ms);
        std::iter::successors(next(after), |start| next(*start)).take_while(is_before_end).take(count).collect()
    }
}

impl MaintenanceWindow {
    /// # Errors
    /// `InvalidRequest` when it is too short or too long.
    pub fn check(&self) -> Result<(), ControlError> {
        within("durationInMinutes", self.minutes.into(), 1, limits::WINDOW_MINUTES_MAX.into())
    }

    fn length_ms(&self, minute: Duration) -> i64 {
        (minute * self.minutes).as_millis() as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const MINUTE_MS: i64 = 60_000;
    /// 2026-03-01 00:00 UTC, a Sunday.
    const SUNDAY: i64 = 1_772_323_200_000;
    const HOUR: i64 = 60 * MINUTE_MS;

    fn windows(list: &[(&str, u32)]) -> SchedulingConfig {
        let window = |(start, minutes): &(&str, u32)| MaintenanceWindow { start: Cron::parse(start).unwrap(), minutes: *minutes };
        SchedulingConfig { windows: list.iter().map(window).collect(), ..SchedulingConfig::default() }
    }

    #[test]
    fn a_window_opens_and_closes() {
        let config = windows(&[("cron(0 22 * * ? *)", 90)]);
        let open = SUNDAY + 22 * HOUR;
        for (ms, is_open, until) in [
            (SUNDAY + HOUR, false, open),
            (open - 1, false, open),
            (open, true, open + 90 * MINUTE_MS),
            (open + 90 * MINUTE_MS - 1, true, open + 90 * MINUTE_MS),
            (open + 90 * MINUTE_MS, false, open + 24 * HOUR),
        ] {
            assert_eq!(config.window_at(ms, MINUTE), WindowState { is_open, until_ms: Some(until) }, "{ms}");
        }
        assert!(!config.window_at(open + 90_000, MINUTE / 60).is_open, "minutes of a second");
        assert_eq!(windows(&[]).window_at(open, MINUTE), WindowState { is_open: true, until_ms: None });
    }

    #[test]
    fn several_windows_are_one_where_they_overlap() {
        let config = windows(&[("cron(0 22 * * ? *)", 90), ("cron(0 23 * * ? *)", 60)]);
        let at = |minutes: i64| config.window_at(SUNDAY + 22 * HOUR + minutes * MINUTE_MS, MINUTE);
        assert!(at(0).is_open && at(89).is_open && at(90).is_open && at(119).is_open && !at(120).is_open);
        let opens = |hours: i64| SUNDAY + hours * HOUR;
        assert_eq!(config.next_windows(SUNDAY, 3), [opens(22), opens(23), opens(46)]);
        let bounded = SchedulingConfig {
            start_ms: Some(opens(23)),
            end: Some(ScheduledEnd { at_ms: opens(47), behavior: EndBehavior::StopRollout }),
            ..config
        };
        assert_eq!(bounded.next_windows(SUNDAY, 7), [opens(23), opens(46)], "from the start to the end of the job");
    }

    #[test]
    fn windows_are_of_continuous_jobs_and_less_than_a_day() {
        let check = |minutes, selection| windows(&[("cron(0 22 * * ? *)", minutes)]).check(selection, SUNDAY, MINUTE);
        assert_eq!(check(1_430, TargetSelection::Continuous), Ok(()));
        assert!(check(1_431, TargetSelection::Continuous).is_err() && check(0, TargetSelection::Continuous).is_err());
        assert!(check(60, TargetSelection::Snapshot).unwrap_err().message().contains("CONTINUOUS"));
    }
}
