//! Figures of a comparison as people read them, on every face.

use super::comparison::{FigureRow, SideOf, Unit};
use load_metrics::format::{milliseconds, plain};

/// Beyond that a change is told as a factor.
const FACTOR_FROM: f64 = 10.0;
/// Runs that nobody will make.
const RUNS_MAX: u64 = 1_000;

/// A value in its unit.
pub(super) fn value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Ms => milliseconds(value),
        Unit::PerSecond => format!("{}/s", plain(value)),
        Unit::Share => format!("{} %", plain(100.0 * value)),
    }
}

/// `+19.7 %`, or `x 12.3` where a percentage says less.
pub(super) fn change(ratio: f64) -> String {
    let percent = 100.0 * (ratio - 1.0);
    match ratio {
        ratio if ratio >= FACTOR_FROM => format!("x {}", plain(ratio)),
        _ if percent.abs() < 0.05 => "0.0 %".into(),
        _ => format!("{percent:+.1} %"),
    }
}

/// From where to where the change may be, or what stands for it.
pub(super) fn interval(row: &FigureRow) -> String {
    row.interval.map_or_else(|| "-".to_owned(), |[low, high]| format!("{} to {}", change(low), change(high)))
}

/// `not decided (9 runs a side)`.
pub(super) fn verdict(row: &FigureRow) -> String {
    match row.runs_needed {
        Some(runs) => format!("{} ({} runs a side)", row.verdict.as_str(), runs_needed(runs)),
        None => row.verdict.as_str().to_owned(),
    }
}

pub(super) fn runs_needed(runs: u64) -> String {
    if runs > RUNS_MAX { format!("over {RUNS_MAX}") } else { runs.to_string() }
}

/// Where a side has one run: between which values the figure lies by that run alone.
pub(super) fn side(figure: f64, band: Option<[f64; 2]>, unit: Unit) -> String {
    let shown = value(figure, unit);
    band.map_or_else(|| shown.clone(), |[low, high]| format!("{shown} ({} to {})", value(low, unit), value(high, unit)))
}

/// Which runs count, in one line.
pub(super) fn runs(side: &SideOf) -> String {
    let dirs: Vec<&str> = side.runs.iter().map(|run| run.dir.as_str()).collect();
    let many = if dirs.len() == 1 { "run" } else { "runs" };
    format!("{} {many}: {}", dirs.len(), dirs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_percentages_until_they_are_factors() {
        let told = [1.197, 0.8, 1.0, 0.999_9, 12.34, 9.99].map(change);
        assert_eq!(told, ["+19.7 %", "-20.0 %", "0.0 %", "0.0 %", "x 12.34", "+899.0 %"]);
    }

    #[test]
    fn values_have_their_units() {
        assert_eq!(value(5.0, Unit::Ms), "5.00ms");
        assert_eq!(value(1_234.0, Unit::PerSecond), "1,234/s");
        assert_eq!(value(0.0123, Unit::Share), "1.23 %");
        assert_eq!(side(5.0, Some([4.0, 6.0]), Unit::Ms), "5.00ms (4.00ms to 6.00ms)");
        assert_eq!([40, 5_000].map(runs_needed), ["40", "over 1000"]);
    }
}
