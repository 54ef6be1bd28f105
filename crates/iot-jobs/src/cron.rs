//! When a maintenance window opens: `cron(minute hour day-of-month month day-of-week year)` in UTC (PROTOCOL-CORE 2.3).
//!
//! The dialect is AWS's own: six fields with a year, one of the two day fields `?`, weekdays from 1 (Sunday), and `L`, `W` and `#`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeInclusive;
use time::{Date, Duration, Month, OffsetDateTime, Time};

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const YEARS: RangeInclusive<u16> = 1970..=2199;
const SATURDAY: u16 = 7;
/// Weeks of a month that `#` can name.
const WEEKS: RangeInclusive<u16> = 1..=5;

/// Instants, each the start of a minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cron {
    text: Box<str>,
    minutes: Box<[u16]>,
    hours: Box<[u16]>,
    days: Days,
    months: Box<[u16]>,
    years: Box<[u16]>,
}

/// Why a text is no such expression. Fits after "failed to".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CronError(String);

/// Which days of the months: one of the two day fields.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Days {
    OfMonth(Vec<DayOfMonth>),
    OfWeek(Vec<DayOfWeek>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DayOfMonth {
    Day(u16),
    /// `L`
    Last,
    /// `LW`
    LastWorkday,
    /// `15W`: the working day that is nearest, in the same month.
    Workday(u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DayOfWeek {
    Every(u16),
    /// `6L`: the last of the month.
    Last(u16),
    /// `3#2`: the second of the month.
    Nth(u16, u16),
}

fn refuse<T>(why: impl Into<String>) -> Result<T, CronError> {
    Err(CronError(why.into()))
}

/// A field: what it is called, its numbers, and the words for them, the first of which stands for the first number.
struct Field {
    name: &'static str,
    numbers: RangeInclusive<u16>,
    words: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", numbers: 0..=59, words: &[] };
const HOUR: Field = Field { name: "hour", numbers: 0..=23, words: &[] };
const DAY_OF_MONTH: Field = Field { name: "day-of-month", numbers: 1..=31, words: &[] };
const MONTH: Field = Field { name: "month", numbers: 1..=12, words: &MONTHS };
const DAY_OF_WEEK: Field = Field { name: "day-of-week", numbers: 1..=7, words: &WEEKDAYS };
const YEAR: Field = Field { name: "year", numbers: YEARS, words: &[] };

impl Field {
    fn number(&self, text: &str) -> Result<u16, CronError> {
        let word = self.words.iter().position(|word| word.eq_ignore_ascii_case(text));
        let number = word.map(|place| place as u16 + self.numbers.start()).or_else(|| text.parse().ok());
        match number.filter(|number| self.numbers.contains(number)) {
            Some(number) => Ok(number),
            None => {
                let (first, last) = (self.numbers.start(), self.numbers.end());
                refuse(format!("the {} must be {first} to {last}, not {text:?}", self.name))
            }
        }
    }

    /// `*`, `5`, `1-5`, `*/10`, `5/10` and `1-30/10`.
    fn numbers(&self, part: &str) -> Result<Vec<u16>, CronError> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (self.number(first)?, self.number(last)?),
            None if range == "*" => (*self.numbers.start(), *self.numbers.end()),
            None if step.is_some() => (self.number(range)?, *self.numbers.end()),
            None => (self.number(range)?, self.number(range)?),
        };
        if first > last {
            return refuse(format!("the {} has a range that ends before it begins: {part:?}", self.name));
        }
        Ok((first..=last).step_by(usize::from(step.unwrap_or(1))).collect())
    }

    fn step(&self, text: &str) -> Result<u16, CronError> {
        match text.parse() {
            Ok(step) if step > 0 => Ok(step),
            _ => refuse(format!("the {} has a step that is no number from 1: {text:?}", self.name)),
        }
    }

    fn list(&self, text: &str) -> Result<Box<[u16]>, CronError> {
        let parts = text.split(',').map(|part| self.numbers(part)).collect::<Result<Vec<_>, _>>()?;
        let mut numbers = parts.concat();
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers.into())
    }
}

impl Days {
    fn parse(of_month: &str, of_week: &str) -> Result<Self, CronError> {
        match (of_month, of_week) {
            ("?", "?") => refuse("one of day-of-month and day-of-week must say which days: both are ?"),
            (of_month, "?") => of_month_parts(of_month).map(Self::OfMonth),
            ("?", of_week) => of_week_parts(of_week).map(Self::OfWeek),
            _ => refuse("one of day-of-month and day-of-week must be ?"),
        }
    }

    fn has(&self, date: Date) -> bool {
        match self {
            Self::OfMonth(days) => days.iter().any(|day| day.is(date)),
            Self::OfWeek(days) => days.iter().any(|day| day.is(date)),
        }
    }
}

fn of_month_parts(text: &str) -> Result<Vec<DayOfMonth>, CronError> {
    let mut days = Vec::new();
    for part in text.split(',') {
        match (part, part.strip_suffix('W')) {
            ("L", _) => days.push(DayOfMonth::Last),
            ("LW", _) => days.push(DayOfMonth::LastWorkday),
            (_, Some(day)) => days.push(DayOfMonth::Workday(DAY_OF_MONTH.number(day)?)),
            _ => days.extend(DAY_OF_MONTH.numbers(part)?.into_iter().map(DayOfMonth::Day)),
        }
    }
    Ok(days)
}

fn of_week_parts(text: &str) -> Result<Vec<DayOfWeek>, CronError> {
    let mut days = Vec::new();
    for part in text.split(',') {
        match (part, part.split_once('#'), part.strip_suffix('L')) {
            ("L", _, _) => days.push(DayOfWeek::Every(SATURDAY)),
            (_, Some((day, week)), _) => match week.parse() {
                Ok(week) if WEEKS.contains(&week) => days.push(DayOfWeek::Nth(DAY_OF_WEEK.number(day)?, week)),
                _ => return refuse(format!("the week after # must be 1 to 5, not {week:?}")),
            },
            (_, None, Some(day)) => days.push(DayOfWeek::Last(DAY_OF_WEEK.number(day)?)),
            _ => days.extend(DAY_OF_WEEK.numbers(part)?.into_iter().map(DayOfWeek::Every)),
        }
    }
    Ok(days)
}

fn last_day(date: Date) -> u16 {
    date.month().length(date.year()).into()
}

/// 1: Sunday.
fn weekday(date: Date) -> u16 {
    date.weekday().number_from_sunday().into()
}

fn is_workday(date: Date) -> bool {
    !matches!(weekday(date), 1 | SATURDAY)
}

impl DayOfMonth {
    fn is(self, date: Date) -> bool {
        let (day, last) = (u16::from(date.day()), last_day(date));
        match self {
            Self::Day(wanted) => day == wanted,
            Self::Last => day == last,
            Self::LastWorkday => is_nearest_workday(date, last),
            Self::Workday(wanted) => wanted <= last && is_nearest_workday(date, wanted),
        }
    }
}

/// Whether `date` is the working day that is nearest to `wanted` of its month, and in it.
fn is_nearest_workday(date: Date, wanted: u16) -> bool {
    if !is_workday(date) {
        return false;
    }
    let last = last_day(date);
    let Ok(wanted_date) = date.replace_day(wanted as u8) else { return false };
    let nearest = match weekday(wanted_date) {
        SATURDAY if wanted == 1 => 3,
        SATURDAY => wanted - 1,
        1 if wanted == last => wanted - 2,
        1 => wanted + 1,
        _ => wanted,
    };
    u16::from(date.day()) == nearest
}

impl DayOfWeek {
    fn is(self, date: Date) -> bool {
        let day = u16::from(date.day());
        match self {
            Self::Every(wanted) => weekday(date) == wanted,
            Self::Last(wanted) => weekday(date) == wanted && day + 7 > last_day(date),
            Self::Nth(wanted, week) => weekday(date) == wanted && day.div_ceil(7) == week,
        }
    }
}

impl Cron {
    /// # Errors
    /// When the text is no expression of AWS's form, or one that never comes.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let fields = text.strip_prefix("cron(").and_then(|rest| rest.strip_suffix(')'));
        let fields: Vec<&str> = fields.unwrap_or_default().split_whitespace().collect();
        let [minute, hour, of_month, month, of_week, year] = fields[..] else {
            return refuse(format!(
                "it must be like \"cron(0 22 ? * SAT *)\" (minute hour day-of-month month day-of-week year, UTC), not {text:?}"
            ));
        };
        let cron = Self {
            text: text.into(),
            minutes: MINUTE.list(minute)?,
            hours: HOUR.list(hour)?,
            days: Days::parse(of_month, of_week)?,
            months: MONTH.list(month)?,
            years: YEAR.list(year)?,
        };
        match cron.next_after(i64::MIN) {
            Some(_) => Ok(cron),
            None => refuse(format!("there is no such day: {text:?}")),
        }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first of its instants that is later than `after_ms`, in milliseconds since the epoch; `None`: there is none before the year 2200.
    #[must_use]
    pub fn next_after(&self, after_ms: i64) -> Option<i64> {
        let epoch_s = after_ms.div_euclid(1000).max(-1);
        // The start of a minute that is later than now is at least the next one.
        let from = OffsetDateTime::from_unix_timestamp((epoch_s.div_euclid(60) + 1) * 60).ok()?;
        let (mut date, mut earliest) = (from.date(), from.time());
        loop {
            let year = u16::try_from(date.year()).ok().filter(|year| year <= YEARS.end())?;
            if self.years.binary_search(&year).is_err() {
                date = Date::from_calendar_date(date.year() + 1, Month::January, 1).ok()?;
                earliest = Time::MIDNIGHT;
                continue;
            }
            if self.months.binary_search(&u16::from(u8::from(date.month()))).is_err() {
                date = date.replace_day(last_day(date) as u8).ok()?.next_day()?;
                earliest = Time::MIDNIGHT;
                continue;
            }
            if self.days.has(date)
                && let Some(time) = self.time_from(earliest)
            {
                return Some(date.with_time(time).assume_utc().unix_timestamp() * 1000);
            }
            date = date.checked_add(Duration::DAY)?;
            earliest = Time::MIDNIGHT;
        }
    }

    /// The first time of a day that is not before `earliest`.
    fn time_from(&self, earliest: Time) -> Option<Time> {
        let (hour, minute) = (u16::from(earliest.hour()), u16::from(earliest.minute()));
        let in_this_hour = || {
            self.hours.binary_search(&hour).ok()?;
            self.minutes.iter().find(|found| **found >= minute).map(|found| (hour, *found))
        };
        let later = || Some((*self.hours.iter().find(|found| **found > hour)?, *self.minutes.first()?));
        let (hour, minute) = in_this_hour().or_else(later)?;
        Time::from_hms(hour as u8, minute as u8, 0).ok()
    }
}

impl TryFrom<String> for Cron {
    type Error = CronError;

    fn try_from(text: String) -> Result<Self, CronError> {
        Self::parse(&text)
    }
}

impl From<Cron> for String {
    fn from(cron: Cron) -> Self {
        cron.text.into()
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::format_description::BorrowedFormatItem;
    use time::macros::format_description;

    const FORMAT: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]");

    fn ms(text: &str) -> i64 {
        time::PrimitiveDateTime::parse(text, FORMAT).unwrap().assume_utc().unix_timestamp() * 1000
    }

    fn after(cron: &str, from: &str, count: usize) -> Vec<String> {
        let cron = Cron::parse(cron).unwrap_or_else(|error| panic!("{cron}: {error}"));
        let starts = std::iter::successors(cron.next_after(ms(from)), |at| cron.next_after(*at));
        let text = |at: i64| OffsetDateTime::from_unix_timestamp(at / 1000).unwrap().format(FORMAT).unwrap();
        starts.take(count).map(text).collect()
    }

    #[test]
    fn instants_of_every_kind_of_field() {
        // 2026-03-01 is a Sunday.
        for (cron, from, expected) in [
            ("cron(0 22 ? * SAT *)", "2026-03-01 00:00", &["2026-03-07 22:00", "2026-03-14 22:00"][..]),
            ("cron(0 22 ? * 7 *)", "2026-03-07 22:00", &["2026-03-14 22:00"]),
            ("cron(0/20 8-9 * * ? *)", "2026-03-01 08:30", &["2026-03-01 08:40", "2026-03-01 09:00", "2026-03-01 09:20"]),
            ("cron(15,45 10 1,15 * ? *)", "2026-03-01 10:15", &["2026-03-01 10:45", "2026-03-15 10:15"]),
            ("cron(0 0 L * ? *)", "2026-02-01 00:00", &["2026-02-28 00:00", "2026-03-31 00:00"]),
            ("cron(0 0 LW * ? *)", "2026-02-01 00:00", &["2026-02-27 00:00", "2026-03-31 00:00"]),
            ("cron(0 0 1W * ? *)", "2026-07-31 23:59", &["2026-08-03 00:00"]),
            ("cron(0 0 15W * ? *)", "2026-03-01 00:00", &["2026-03-16 00:00"]),
            ("cron(0 0 31W * ? *)", "2026-02-01 00:00", &["2026-03-31 00:00", "2026-05-29 00:00"]),
            ("cron(0 0 ? * TUE#2 *)", "2026-03-01 00:00", &["2026-03-10 00:00", "2026-04-14 00:00"]),
            ("cron(0 0 ? * 6L *)", "2026-03-01 00:00", &["2026-03-27 00:00"]),
            ("cron(0 0 ? * L *)", "2026-03-01 00:00", &["2026-03-07 00:00"]),
            ("cron(0 0 ? FEB-MAR mon-tue 2027-2028)", "2026-03-01 00:00", &["2027-02-01 00:00", "2027-02-02 00:00"]),
            ("cron(0 12 29 2 ? *)", "2026-03-01 00:00", &["2028-02-29 12:00", "2032-02-29 12:00"]),
            ("cron(30 4 * * ? 2026)", "2026-12-31 04:29", &["2026-12-31 04:30"]),
            ("cron(* * * * ? *)", "2026-12-31 23:59", &["2027-01-01 00:00"]),
        ] {
            assert_eq!(after(cron, from, expected.len()), expected, "{cron}");
        }
        assert!(after("cron(0 0 * * ? 2025)", "2026-01-01 00:00", 1).is_empty(), "all of its instants are over");
    }

    #[test]
    fn a_minute_that_has_begun_is_over() {
        let cron = Cron::parse("cron(* * * * ? *)").unwrap();
        let at = ms("2026-03-01 10:00");
        assert_eq!(cron.next_after(at), Some(at + 60_000));
        assert_eq!(cron.next_after(at - 1), Some(at));
        assert_eq!(cron.next_after(at + 1), Some(at + 60_000));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (cron, named) in [
            ("0 22 ? * SAT *", "like"),
            ("cron(0 22 ? * SAT)", "like"),
            ("cron(60 22 ? * SAT *)", "minute must be 0 to 59"),
            ("cron(0 24 ? * SAT *)", "hour"),
            ("cron(0 0 * * * *)", "must be ?"),
            ("cron(0 0 ? * ? *)", "both are ?"),
            ("cron(0 0 0 * ? *)", "day-of-month must be 1 to 31"),
            ("cron(0 0 ? * 8 *)", "day-of-week must be 1 to 7"),
            ("cron(0 0 ? * 2#6 *)", "after #"),
            ("cron(0 0 ? SMARCH 1 *)", "month must be 1 to 12"),
            ("cron(5-1 0 1 1 ? *)", "ends before"),
            ("cron(0/0 0 1 1 ? *)", "step"),
            ("cron(0 0 30 2 ? *)", "no such day"),
            ("cron(0 0 1 1 ? 2200)", "year must be 1970 to 2199"),
        ] {
            let why = Cron::parse(cron).unwrap_err().to_string();
            assert!(why.contains(named), "{cron}: {why}");
        }
    }

    #[test]
    fn it_is_kept_as_it_was_written() {
        let cron = Cron::parse("cron(0  22 ? * SAT *)").unwrap();
        let text = serde_json::to_string(&cron).unwrap();
        assert_eq!((&*text, serde_json::from_str::<Cron>(&text).unwrap()), ("\"cron(0  22 ? * SAT *)\"", cron));
    }
}
