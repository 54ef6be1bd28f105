//! What a run must hold to: one metric, a check, and which seconds and things it is about.

mod metric;
mod watch;

pub use metric::{ExecutionCount, Metric, OperationCount, Statistic};
pub(crate) use watch::{SecondView, Watch};

use crate::Phase;
use std::fmt;
use std::time::Duration;

/// How a value is compared with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `==`, to the precision of a float.
    Equal,
    /// `!=`, to the precision of a float.
    Unequal,
}

/// Two characters before one: `<=` begins with `<`.
const COMPARISONS: [(&str, Comparison); 6] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("==", Comparison::Equal),
    ("!=", Comparison::Unequal),
    ("<", Comparison::Below),
    (">", Comparison::Above),
];

/// `< 250`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Check {
    /// Which side of the limit is good.
    pub comparison: Comparison,
    /// In the unit of the metric.
    pub limit: f64,
}

impl Check {
    /// # Errors
    /// With what is wrong in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let found = COMPARISONS.iter().find_map(|(sign, comparison)| Some((*comparison, text.trim().strip_prefix(sign)?)));
        let (comparison, limit) =
            found.ok_or_else(|| format!("{text:?} must begin with one of < <= > >= == !=, as in \"< 250\""))?;
        let limit: f64 =
            limit.trim().replace('_', "").parse().map_err(|_| format!("{text:?} must end with a number, as in \"< 250\""))?;
        if limit.is_finite() { Ok(Self { comparison, limit }) } else { Err(format!("{text:?} must end with a finite number")) }
    }

    /// Whether `value` is on the good side.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        match self.comparison {
            Comparison::Below => value < self.limit,
            Comparison::AtMost => value <= self.limit,
            Comparison::Above => value > self.limit,
            Comparison::AtLeast => value >= self.limit,
            Comparison::Equal => (value - self.limit).abs() < f64::EPSILON * self.limit.abs().max(1.0),
            Comparison::Unequal => (value - self.limit).abs() >= f64::EPSILON * self.limit.abs().max(1.0),
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = COMPARISONS.iter().find(|(_, comparison)| *comparison == self.comparison).map_or("", |(sign, _)| sign);
        write!(f, "{sign} {}", self.limit)
    }
}

/// What a run must hold to.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// What is looked at.
    pub metric: Metric,
    /// What it must be.
    pub check: Check,
    /// Only the last seconds count.
    pub over: Option<Duration>,
    /// Only seconds of this phase count; `None`: of any.
    pub phase: Option<Phase>,
    /// Only things of this cohort count; `None`: all.
    pub cohort: Option<String>,
}

/// How a threshold stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ThresholdRow {
    /// What was asked for.
    pub threshold: Threshold,
    /// `None`: there is no sample.
    pub value: Option<f64>,
}

impl ThresholdRow {
    /// Without a sample: not known while the run goes on, and at its end a failure.
    #[must_use]
    pub fn holds(&self) -> Option<bool> {
        self.value.map(|value| self.threshold.check.holds(value))
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.metric, self.check)?;
        if let Some(over) = self.over {
            write!(f, " over the last {} s", over.as_secs())?;
        }
        if let Some(phase) = self.phase {
            write!(f, " in {phase}")?;
        }
        if let Some(cohort) = &self.cohort {
            write!(f, " of {cohort}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_say_what_they_mean() {
        for (text, value, holds) in [
            ("< 250", 249.9, true),
            ("< 250", 250.0, false),
            ("<= 250", 250.0, true),
            ("> 0.95", 0.95, false),
            (">=1_000", 1e3, true),
            ("== 0", 0.0, true),
            ("!= 0", 0.0, false),
        ] {
            assert_eq!(Check::parse(text).unwrap().holds(value), holds, "{value} {text}");
        }
        for wrong in ["250", "< ", "< many", "=< 3", "< inf", "~ 3"] {
            assert!(Check::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Check::parse("<=1_000").unwrap().to_string(), "<= 1000");
    }
}
