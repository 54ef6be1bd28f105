//! Durations, rates, distributions and name templates as text, both ways.

use crate::distribution::Distribution;
use crate::name_template::NameTemplate;
use serde::{Serialize, Serializer};
use std::time::Duration;

/// Longest first, so that `ms` is not read as `m`.
const DURATION_UNITS: [(&str, f64); 7] =
    [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0)];
const DURATION_EXAMPLES: &str = "write it like \"250ms\", \"30s\", \"5m\" or \"1h30m\"";
const RATE_EXAMPLES: &str = "write it like \"500/s\", \"1000/min\" or \"20/h\"";
const BYTE_UNITS: [(&str, u64); 7] =
    [("GB", 1_000_000_000), ("GiB", 1 << 30), ("MB", 1_000_000), ("MiB", 1 << 20), ("KB", 1_000), ("KiB", 1 << 10), ("B", 1)];
const BYTE_RATE_EXAMPLES: &str = "write it like \"1 MB/s\", \"500 KB/s\" or \"64 KiB/s\"";
const DISTRIBUTION_EXAMPLES: &str =
    "write it like \"30s\", \"uniform(10s, 60s)\", \"exp(30s)\", \"normal(30s, 5s)\" or \"lognormal(30s, 0.6)\"";

/// # Errors
/// With what is wrong and what would be right.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = |why: &str| Err(format!("{text:?} is not a duration: {why}; {DURATION_EXAMPLES}"));
    let mut rest = text.trim();
    if rest.is_empty() {
        return wrong("it is empty");
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(rest.len());
        let Ok(number) = rest[..end].replace('_', "").parse::<f64>() else { return wrong("a number is missing") };
        rest = &rest[end..];
        let unit_end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let Some((_, scale)) = DURATION_UNITS.iter().find(|(name, _)| *name == &rest[..unit_end]) else {
            return wrong("it has no unit that is known");
        };
        seconds += number * scale;
        rest = &rest[unit_end..];
    }
    Duration::try_from_secs_f64(seconds).or_else(|_| wrong("it is too long"))
}

/// The shortest text that reads back as the same duration.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let units: [(&str, u128); 6] =
        [("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];
    if nanos == 0 {
        return "0s".into();
    }
    let (unit, scale) = units.into_iter().find(|(_, scale)| nanos.is_multiple_of(*scale)).expect("every number is a multiple of 1");
    format!("{}{unit}", nanos / scale)
}

/// Events per second.
///
/// # Errors
/// With what is wrong and what would be right.
pub fn rate(text: &str) -> Result<f64, String> {
    let wrong = |why: &str| Err(format!("{text:?} is not a rate: {why}; {RATE_EXAMPLES}"));
    let Some((number, unit)) = text.split_once('/') else { return wrong("it has no unit") };
    let Ok(number) = number.trim().replace('_', "").parse::<f64>() else { return wrong("a number is missing") };
    let per = match unit.trim() {
        "s" | "sec" => 1.0,
        "min" | "m" => 60.0,
        "h" => 3600.0,
        _ => return wrong("its unit is not known"),
    };
    if !number.is_finite() || number <= 0.0 {
        return wrong("it must be greater than 0");
    }
    Ok(number / per)
}

/// Bytes per second.
///
/// # Errors
/// With what is wrong and what would be right.
pub fn byte_rate(text: &str) -> Result<u64, String> {
    let wrong = |why: &str| Err(format!("{text:?} is not a rate of bytes: {why}; {BYTE_RATE_EXAMPLES}"));
    let Some(amount) = text.trim().strip_suffix("/s") else { return wrong("it does not end in /s") };
    let end = amount.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(amount.len());
    let Ok(number) = amount[..end].replace('_', "").parse::<f64>() else { return wrong("a number is missing") };
    let Some((_, scale)) = BYTE_UNITS.iter().find(|(name, _)| *name == amount[end..].trim()) else {
        return wrong("its unit is not known");
    };
    let bytes = number * *scale as f64;
    if !(1.0..=1e12).contains(&bytes) {
        return wrong("it must be 1 B/s to 1000 GB/s");
    }
    Ok(bytes.round() as u64)
}

/// The shortest text that reads back as the same rate.
#[must_use]
pub fn byte_rate_text(bytes_per_s: u64) -> String {
    let (unit, scale) = BYTE_UNITS.iter().find(|(_, scale)| bytes_per_s.is_multiple_of(*scale)).unwrap_or(&("B", 1));
    format!("{} {unit}/s", bytes_per_s / scale)
}

/// # Errors
/// With what is wrong and what would be right.
pub fn distribution(text: &str) -> Result<Distribution, String> {
    let wrong = |why: String| Err(format!("{text:?} is not a distribution: {why}; {DISTRIBUTION_EXAMPLES}"));
    let Some((name, rest)) = text.split_once('(') else { return duration(text).map(Distribution::Constant).or_else(wrong) };
    let Some(arguments) = rest.trim_end().strip_suffix(')') else { return wrong("the closing bracket is missing".into()) };
    let arguments: Vec<&str> = arguments.split(',').map(str::trim).collect();
    match (name.trim(), &arguments[..]) {
        ("uniform", [low, high]) => match (duration(low), duration(high)) {
            (Ok(low), Ok(high)) if low <= high => Ok(Distribution::Uniform(low, high)),
            (Ok(_), Ok(_)) => wrong("the second value is below the first".into()),
            (Err(error), _) | (_, Err(error)) => wrong(error),
        },
        ("exp", [mean]) => duration(mean).map(Distribution::Exp).or_else(wrong),
        ("normal", [mean, deviation]) => match (duration(mean), duration(deviation)) {
            (Ok(mean), Ok(deviation)) => Ok(Distribution::Normal(mean, deviation)),
            (Err(error), _) | (_, Err(error)) => wrong(error),
        },
        ("lognormal", [median, sigma]) => match (duration(median), sigma.parse::<f64>()) {
            (Ok(median), Ok(sigma)) if sigma.is_finite() && (0.0..=5.0).contains(&sigma) => {
                Ok(Distribution::LogNormal(median, sigma))
            }
            (Ok(_), _) => wrong("sigma must be a number from 0 to 5".into()),
            (Err(error), _) => wrong(error),
        },
        ("uniform" | "exp" | "normal" | "lognormal", _) => wrong("it has another number of values".into()),
        _ => wrong("its name is not known".into()),
    }
}

/// The text that [`distribution`] reads back as the same distribution.
#[must_use]
pub fn distribution_text(distribution: &Distribution) -> String {
    let text = duration_text;
    match *distribution {
        Distribution::Constant(value) => text(value),
        Distribution::Uniform(low, high) => format!("uniform({}, {})", text(low), text(high)),
        Distribution::Exp(mean) => format!("exp({})", text(mean)),
        Distribution::Normal(mean, deviation) => format!("normal({}, {})", text(mean), text(deviation)),
        Distribution::LogNormal(median, sigma) => format!("lognormal({}, {sigma})", text(median)),
    }
}

/// As [`distribution`] reads it.
impl Serialize for Distribution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&distribution_text(self))
    }
}

/// `"sim-{index:06}"`: text around one `{index}` or `{index:0WIDTH}`, or no index at all.
///
/// # Errors
/// With what is wrong and what would be right.
pub fn name_template(text: &str) -> Result<NameTemplate, String> {
    let wrong = || format!("{text:?} is not a name template: write it like \"sim-{{index:06}}\" or \"meter-{{index}}\"");
    template(text, "index").ok_or_else(wrong)
}

/// `"fw-{n:03}"`: text around one `{n}` or `{n:0WIDTH}`, or no number at all.
///
/// # Errors
/// With what is wrong and what would be right.
pub fn job_template(text: &str) -> Result<NameTemplate, String> {
    let wrong = || format!("{text:?} is not a template of job ids: write it like \"fw-{{n:03}}\" or \"fw-{{n}}\"");
    template(text, "n").ok_or_else(wrong)
}

fn template(text: &str, number: &str) -> Option<NameTemplate> {
    let Some((prefix, rest)) = text.split_once('{') else {
        return Some(NameTemplate { prefix: text.to_owned(), index: None, suffix: String::new() });
    };
    let (field, suffix) = rest.split_once('}')?;
    let width = match field.strip_prefix(number)? {
        "" => 0,
        format => format.strip_prefix(":0")?.parse::<usize>().ok().filter(|width| *width <= 18)?,
    };
    let is_plain = !prefix.contains('}') && !suffix.contains(['{', '}']);
    is_plain.then(|| NameTemplate { prefix: prefix.to_owned(), index: Some(width), suffix: suffix.to_owned() })
}

/// The text that [`name_template`] reads back as the same template.
#[must_use]
pub fn name_template_text(template: &NameTemplate) -> String {
    let NameTemplate { prefix, index, suffix } = template;
    match index {
        None => prefix.clone(),
        Some(0) => format!("{prefix}{{index}}{suffix}"),
        Some(width) => format!("{prefix}{{index:0{width}}}{suffix}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        let ms = |text: &str| duration(text).map(|d| d.as_millis());
        assert_eq!(
            [ms("250ms"), ms("30s"), ms("5m"), ms("1h30m"), ms("1.5s"), ms("0s")],
            [250, 30_000, 300_000, 5_400_000, 1_500, 0].map(Ok)
        );
        for wrong in ["", "30", "s", "30 s x", "-1s", "5 minutes", "1e400s", "..s", "99999999999999999999999d"] {
            assert!(duration(wrong).unwrap_err().contains("1h30m"), "{wrong}");
        }
    }

    #[test]
    fn rates() {
        assert_eq!(rate("500/s"), Ok(500.0));
        assert_eq!(rate("12_000/min"), Ok(200.0));
        assert_eq!(rate("36/h"), Ok(0.01));
        for wrong in ["500", "/s", "0/s", "-1/s", "5/fortnight", "inf/s", "NaN/s"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn byte_rates() {
        for (text, bytes) in [("1 MB/s", 1_000_000), ("64 KiB/s", 65_536), ("1.5KB/s", 1_500), ("7 B/s", 7), ("1_000 B/s", 1_000)] {
            assert_eq!(byte_rate(text), Ok(bytes));
            assert_eq!(byte_rate(&byte_rate_text(bytes)), Ok(bytes));
        }
        for wrong in ["", "1 MB", "MB/s", "1 Mbit/s", "0 B/s", "0.1 B/s", "1e9 GB/s", "-1 MB/s", "9999999 GB/s"] {
            assert!(byte_rate(wrong).unwrap_err().contains("KiB/s"), "{wrong}");
        }
    }

    #[test]
    fn distributions() {
        let seconds = Duration::from_secs;
        assert_eq!(distribution("30s"), Ok(Distribution::Constant(seconds(30))));
        assert_eq!(distribution("uniform(10s, 60s)"), Ok(Distribution::Uniform(seconds(10), seconds(60))));
        assert_eq!(distribution("lognormal(30s, 0.6)"), Ok(Distribution::LogNormal(seconds(30), 0.6)));
        for wrong in
            ["uniform(60s, 10s)", "uniform(1s)", "exp()", "exp(1s", "gamma(1s)", "lognormal(1s, -1)", "lognormal(1s, x)", ""]
        {
            assert!(distribution(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn name_templates() {
        assert_eq!(name_template("sim-{index:06}").unwrap().name(42), "sim-000042");
        assert_eq!(name_template("m{index}-x").unwrap().name(7), "m7-x");
        assert_eq!(name_template("alone").unwrap().name(7), "alone");
        for wrong in ["{thing}", "{index:6}", "{index", "{index}{index}", "a}b{index}", "{index:099}"] {
            assert!(name_template(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanos in 0u64..u64::MAX / 1000) {
            // Seconds are read through f64: 2^53 ns is 104 days.
            let value = Duration::from_nanos(nanos % (1 << 53));
            let back = duration(&duration_text(value)).unwrap();
            prop_assert!(back.abs_diff(value) <= Duration::from_nanos(1));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,30}") {
            let _ = (duration(&text), rate(&text), byte_rate(&text), distribution(&text), name_template(&text));
        }
    }
}
