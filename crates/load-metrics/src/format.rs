//! Figures as people read them: the same words in lines, in the summary and on the dashboard.

use std::time::Duration;

/// Short for people: three significant digits or so.
#[must_use]
pub fn milliseconds(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}ms"),
        value if value < 100.0 => format!("{value:.1}ms"),
        value if value < 10_000.0 => format!("{value:.0}ms"),
        value => format!("{:.1}s", value / 1000.0),
    }
}

/// `12345` -> `12,345`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// What stands for a number that nobody knows.
pub const UNKNOWN: &str = "?";

/// [`grouped`], or [`UNKNOWN`].
#[must_use]
pub fn grouped_or_unknown(number: Option<u64>) -> String {
    number.map_or_else(|| UNKNOWN.to_owned(), grouped)
}

/// At most five characters: `812`, `9,999`, `12.3k`, `4.5M`.
#[must_use]
pub fn short(number: f64) -> String {
    match number {
        number if number.abs() >= 99_950_000.0 => format!("{:.0}M", number / 1e6),
        number if number.abs() >= 999_950.0 => format!("{:.1}M", number / 1e6),
        number if number.abs() >= 99_950.0 => format!("{:.0}k", number / 1e3),
        number if number.abs() >= 9_999.5 => format!("{:.1}k", number / 1e3),
        number if number.abs() >= 9.95 || number.fract() == 0.0 => grouped_signed(number.round()),
        number => format!("{number:.1}"),
    }
}

fn grouped_signed(number: f64) -> String {
    let sign = if number < 0.0 { "-" } else { "" };
    format!("{sign}{}", grouped(number.abs() as u64))
}

/// A number of any kind, with four digits behind it where they tell anything: `0.9787`, `31.27`, `12,345`.
#[must_use]
pub fn plain(number: f64) -> String {
    match number.abs() {
        _ if number.fract() == 0.0 => grouped_signed(number),
        size if size < 1.0 => format!("{number:.4}"),
        size if size < 100.0 => format!("{number:.2}"),
        size if size < 10_000.0 => format!("{number:.1}"),
        _ => grouped_signed(number.round()),
    }
}

/// `155 MB`, `1.2 GB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    match count {
        count if count < 1_000_000 => format!("{:.0} KB", count as f64 / 1e3),
        count if count < 1_000_000_000 => format!("{:.0} MB", count as f64 / 1e6),
        count => format!("{:.1} GB", count as f64 / 1e9),
    }
}

/// `0:07`, `12:34`, `1:02:03`.
#[must_use]
pub fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn short_numbers_are_short() {
        let cases = [0.0, 0.25, 9.94, 9.96, 812.4, 9_999.0, 12_345.0, 99_960.0, 1_234_567.0, 123_456_789.0, -3.0];
        let shown = cases.map(short);
        assert_eq!(shown, ["0", "0.2", "9.9", "10", "812", "9,999", "12.3k", "100k", "1.2M", "123M", "-3"]);
        assert!(shown.iter().all(|text| text.len() <= 5));
    }

    #[test]
    fn numbers_of_any_kind() {
        assert_eq!([0.0, 0.978_66, 31.274, 312.44, 12_345.6].map(plain), ["0", "0.9787", "31.27", "312.4", "12,346"]);
    }

    #[test]
    fn times_and_sizes() {
        assert_eq!([7, 754, 3723].map(|s| clock(Duration::from_secs(s))), ["0:07", "12:34", "1:02:03"]);
        assert_eq!([900, 155_400_000, 1_240_000_000].map(bytes), ["1 KB", "155 MB", "1.2 GB"]);
    }
}
