//! This moment in UTC, as people and files write it.

use host::clock;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

fn now() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(clock::epoch_ms())
}

/// `20260131T120000Z`, for names.
pub(crate) fn stamp() -> String {
    now().format(format_description!("[year][month][day]T[hour][minute][second]Z")).expect("a date of our time has this form")
}

/// `20260131T120000123Z`, to the millisecond: for names that runs must not share which begin in the same second.
pub(crate) fn fine_stamp() -> String {
    let form = format_description!("[year][month][day]T[hour][minute][second][subsecond digits:3]Z");
    now().format(form).expect("a date of our time has this form")
}

pub(crate) fn rfc3339() -> String {
    now().format(&Rfc3339).expect("a date of our time has this form")
}
