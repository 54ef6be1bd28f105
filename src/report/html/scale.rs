//! Where values lie along an axis, and what is written at it.

use load_metrics::format;
use std::time::Duration;

/// Steps between the ticks of time, in seconds; beyond them whole days.
const TIME_STEPS: [u64; 17] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400];
const TIME_TICKS_MAX: u64 = 6;
/// Ticks of an axis of numbers, about.
const TICKS: f64 = 4.0;
/// A logarithmic axis over so many decades has the decades for ticks; over fewer, 2 and 5 as well.
const FINE_DECADES_MAX: f64 = 2.5;
/// Percentiles behind this one have their labels left out where there is no room.
const CROWDED_FROM: f64 = 1e3;

/// What an axis shows, and so how its values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Seconds as `12:34`.
    Time,
    /// 1 / (1 - p), logarithmic.
    Percentile,
    /// From 0.
    Linear,
    /// Decades.
    Log,
}

impl Kind {
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Percentile => "percentile",
            Self::Linear => "linear",
            Self::Log => "log",
        }
    }

    fn is_log(self) -> bool {
        matches!(self, Self::Log | Self::Percentile)
    }
}

pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) label: String,
    /// Whether its label may be left out where there is no room.
    pub(super) is_crowded: bool,
}

/// An axis.
pub(super) struct Scale {
    pub(super) kind: Kind,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) ticks: Vec<Tick>,
    pub(super) unit: &'static str,
}

impl Scale {
    /// From the origin to the last second.
    pub(super) fn time(last: f64) -> Self {
        let last = last.max(1.0) as u64;
        let wanted = last.div_ceil(TIME_TICKS_MAX);
        let day = TIME_STEPS[TIME_STEPS.len() - 1];
        let step = TIME_STEPS.into_iter().find(|step| *step >= wanted).unwrap_or_else(|| wanted.next_multiple_of(day));
        let ticks = (0..=last / step).map(|n| tick((n * step) as f64, clock((n * step) as f64))).collect();
        let unit = if last >= 3600 { "h:min:s" } else { "min:s" };
        Self { kind: Kind::Time, low: 0.0, high: last as f64, ticks, unit }
    }

    /// Percentiles of so many samples: each nine has the same room.
    pub(super) fn percentiles(count: u64) -> Self {
        let high = (count as f64).max(10.0);
        let nines = (1..=15).map(|n| 10_f64.powi(n)).take_while(|at| *at <= high * 1.001);
        let nine = |at: f64| {
            let is_crowded = at > CROWDED_FROM && at.log10().round() as i64 % 2 == 0;
            Tick { at, label: percentile(at), is_crowded }
        };
        let ticks = std::iter::once(tick(2.0, percentile(2.0))).chain(nines.map(nine)).collect();
        Self { kind: Kind::Percentile, low: 1.0, high, ticks, unit: "%" }
    }

    /// From 0 to the highest of the values.
    pub(super) fn linear(values: impl Iterator<Item = f64>, unit: &'static str) -> Self {
        let max = values.fold(0.0, f64::max);
        let step = if max > 0.0 { nice(max / TICKS) } else { 1.0 };
        let count = (max / step - 1e-9).ceil().max(1.0);
        let digits = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
        let label = |value: f64| if step < 1.0 { format!("{value:.digits$}") } else { format::short(value).replace(".0", "") };
        let ticks = (0..=count as u32).map(|n| f64::from(n) * step).map(|at| tick(at, label(at))).collect();
        Self { kind: Kind::Linear, low: 0.0, high: count * step, ticks, unit }
    }

    /// From a round number below the values to one above them.
    pub(super) fn log(values: impl Iterator<Item = f64>, unit: &'static str) -> Self {
        let (low, high) =
            values.filter(|value| *value > 0.0).fold((f64::MAX, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if high > 0.0 { (low, high) } else { (1.0, 10.0) };
        let round = rounds(low, high);
        let below = round.iter().copied().rfind(|at| *at <= low * 1.000_001).unwrap_or(low);
        let above = round.iter().copied().find(|at| *at >= high * 0.999_999 && *at > below).unwrap_or(high * 2.0);
        let is_fine = (above / below).log10() <= FINE_DECADES_MAX;
        let is_decade = |at: f64| (at.log10() - at.log10().round()).abs() < 1e-9;
        let shown = round.into_iter().filter(|at| (below..=above).contains(at) && (is_fine || is_decade(*at)));
        let ticks =
            shown.map(|at| tick(at, if at < 1.0 { format!("{}", (at * 1e6).round() / 1e6) } else { format::plain(at) })).collect();
        Self { kind: Kind::Log, low: below, high: above, ticks, unit }
    }

    /// What stands at the axis, with its unit.
    pub(super) fn title(&self) -> String {
        let unit = self.unit;
        match self.kind {
            Kind::Time => format!("time from the first connect arrival ({unit})"),
            Kind::Percentile => format!("percentile ({unit})"),
            Kind::Linear => unit.to_owned(),
            Kind::Log => format!("{unit}, logarithmic"),
        }
    }

    /// Where a value lies, from 0 to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = if self.kind.is_log() {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        // What is no number, or lies below a logarithmic axis, lies at its foot.
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }

    /// A value as the table has it.
    pub(super) fn written(&self, value: f64) -> String {
        match self.kind {
            Kind::Time => clock(value),
            Kind::Percentile => percentile(value),
            Kind::Linear | Kind::Log => format::plain(value),
        }
    }
}

fn tick(at: f64, label: String) -> Tick {
    Tick { at, label, is_crowded: false }
}

/// 1, 2 and 5 of every decade around this range.
fn rounds(low: f64, high: f64) -> Vec<f64> {
    let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
    decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(decade))).collect()
}

/// The next of 1, 2 and 5 times a power of ten.
fn nice(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power).into_iter().find(|nice| *nice >= step * 0.999_999).unwrap_or(step)
}

/// `1:23`, `1:02:03`.
pub(super) fn clock(seconds: f64) -> String {
    format::clock(Duration::from_secs(seconds.max(0.0).round() as u64))
}

/// 1 / (1 - p) as `99.9`.
fn percentile(at: f64) -> String {
    if at.is_infinite() {
        return "100".into();
    }
    let digits = (at.log10().ceil() - 2.0).clamp(0.0, 12.0) as usize;
    let text = format!("{:.digits$}", 100.0 - 100.0 / at);
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<&str> {
        scale.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn time_has_few_round_ticks_for_any_length() {
        assert_eq!(labels(&Scale::time(1.0)), ["0:00", "0:01"]);
        assert_eq!(labels(&Scale::time(0.0)), ["0:00", "0:01"], "a run that never began has an axis");
        assert_eq!(labels(&Scale::time(173.0)), ["0:00", "0:30", "1:00", "1:30", "2:00", "2:30"]);
        assert_eq!(labels(&Scale::time(86_400.0)).len(), 7);
        for last in [1, 7, 61, 3_599, 3_601, 90_000, 1_000_000, 31_536_000] {
            assert!((2..=8).contains(&Scale::time(f64::from(last)).ticks.len()), "{last}");
        }
    }

    #[test]
    fn each_nine_has_the_same_room() {
        let scale = Scale::percentiles(100_000);
        assert_eq!(labels(&scale), ["50", "90", "99", "99.9", "99.99", "99.999"]);
        let places: Vec<f64> = scale.ticks[1..].iter().map(|tick| scale.place(tick.at)).collect();
        assert!(places.windows(2).all(|pair| (pair[1] - pair[0] - 0.2).abs() < 1e-9), "{places:?}");
        assert_eq!(labels(&Scale::percentiles(1)), ["50", "90"]);
        let crowded: Vec<bool> = scale.ticks.iter().map(|tick| tick.is_crowded).collect();
        assert_eq!(crowded, [false, false, false, false, true, false]);
    }

    #[test]
    fn numbers_reach_from_zero_to_beyond_the_highest() {
        assert_eq!(labels(&Scale::linear([3.0, 9_400.0].into_iter(), "things")), ["0", "5,000", "10k"]);
        assert_eq!(labels(&Scale::linear([0.013].into_iter(), "share")), ["0.000", "0.005", "0.010", "0.015"]);
        assert_eq!(labels(&Scale::linear(std::iter::empty(), "things")), ["0", "1"]);
        assert_eq!(labels(&Scale::linear([4.0].into_iter(), "things")), ["0", "1", "2", "3", "4"]);
    }

    #[test]
    fn decades_are_round_and_hold_every_value() {
        assert_eq!(labels(&Scale::log([3.0, 400.0].into_iter(), "ms")), ["2", "5", "10", "20", "50", "100", "200", "500"]);
        assert_eq!(labels(&Scale::log([0.02, 5_000.0].into_iter(), "ms")), ["0.1", "1", "10", "100", "1,000"]);
        for values in [vec![5.0], vec![], vec![0.0], vec![1e-9, 1e15]] {
            let scale = Scale::log(values.iter().copied(), "ms");
            assert!(scale.low < scale.high && !scale.ticks.is_empty(), "{values:?}");
            assert!(values.iter().all(|value| (0.0..=1.0).contains(&scale.place(*value))));
        }
    }
}
