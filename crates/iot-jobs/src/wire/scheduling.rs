//! `schedulingConfig` and maintenance windows as JSON (PROTOCOL 11.2, PROTOCOL-CORE 2.3).

use super::control::invalid;
use super::job_config::value_of;
use crate::cron::Cron;
use crate::{ControlError, MaintenanceWindow, ScheduledEnd, SchedulingConfig};
use serde::{Deserialize, Serialize};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// `startTime` and `endTime`: UTC. Seconds are for shortened minutes only.
const SCHEDULE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute][optional [:[second]]]");

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct SchedulingBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_behavior: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    maintenance_windows: Vec<WindowBody>,
}

/// One of `maintenanceWindows`.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WindowBody {
    start_time: String,
    duration_in_minutes: u32,
}

impl WindowBody {
    pub(super) fn parse(&self) -> Result<MaintenanceWindow, ControlError> {
        let start = Cron::parse(&self.start_time);
        let start = start.map_err(|error| invalid(format!("startTime of a maintenance window: {error}")))?;
        let window = MaintenanceWindow { start, minutes: self.duration_in_minutes };
        window.check().map(|()| window)
    }

    pub(super) fn of(window: &MaintenanceWindow) -> Self {
        Self { start_time: window.start.as_str().into(), duration_in_minutes: window.minutes }
    }
}

fn parse_time(what: &str, text: &str) -> Result<i64, ControlError> {
    let at = PrimitiveDateTime::parse(text, SCHEDULE)
        .map_err(|_| invalid(format!("{what} must be like \"2026-11-25 16:30\" (UTC), not {text:?}")))?;
    Ok(at.assume_utc().unix_timestamp() * 1000)
}

pub(super) fn time_text(ms: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let short = format_description!("[year]-[month]-[day] [hour]:[minute]");
    let long = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    if at.second() == 0 { at.format(short) } else { at.format(long) }.unwrap_or_default()
}

impl SchedulingBody {
    pub(super) fn parse(&self) -> Result<SchedulingConfig, ControlError> {
        let start_ms = self.start_time.as_deref().map(|text| parse_time("startTime", text)).transpose()?;
        let behavior = self.end_behavior.as_deref().map(|text| value_of("endBehavior", text)).transpose()?;
        let end = match (self.end_time.as_deref(), behavior) {
            (Some(text), behavior) => {
                Some(ScheduledEnd { at_ms: parse_time("endTime", text)?, behavior: behavior.unwrap_or_default() })
            }
            (None, Some(_)) => return Err(invalid("endBehavior needs an endTime")),
            (None, None) => None,
        };
        let windows = self.maintenance_windows.iter().map(WindowBody::parse).collect::<Result<_, _>>()?;
        Ok(SchedulingConfig { start_ms, end, windows })
    }

    pub(super) fn of(config: &SchedulingConfig) -> Self {
        Self {
            start_time: config.start_ms.map(time_text),
            end_time: config.end.map(|end| time_text(end.at_ms)),
            end_behavior: config.end.map(|end| <&str>::from(end.behavior).into()),
            maintenance_windows: config.windows.iter().map(WindowBody::of).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_minutes_and_seconds_where_they_are_needed() {
        for text in ["2026-11-25 16:30", "2026-11-25 16:30:05"] {
            assert_eq!(time_text(parse_time("startTime", text).unwrap()), text);
        }
    }
}
