//! A chart with axes, units and a legend that needs no colours.

use super::section;
use crate::tui::app::App;
use load_metrics::format::{clock, short};
use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Chart, Dataset, GraphType};
use std::time::Duration;

/// Labels of the y axis keep their width, so that a chart does not jump when its values grow.
const LABEL_WIDTH: usize = 6;

/// One line of a chart.
pub(super) struct Series {
    pub name: &'static str,
    pub style: Style,
    pub marker: Marker,
    /// Runs of points without a gap.
    pub pieces: Vec<Vec<(f64, f64)>>,
}

impl Series {
    /// A line that is drawn where there are values; `step` is how far apart neighbours are.
    pub(super) fn new(name: &'static str, style: Style, marker: Marker, points: impl Iterator<Item = (f64, Option<f64>)>) -> Self {
        let mut pieces: Vec<Vec<(f64, f64)>> = vec![Vec::new()];
        for (x, y) in points {
            match y {
                Some(y) => pieces.last_mut().expect("there is always one").push((x, y)),
                None => pieces.push(Vec::new()),
            }
        }
        pieces.retain(|piece| !piece.is_empty());
        Self { name, style, marker, pieces }
    }

    fn max(&self) -> f64 {
        self.pieces.iter().flatten().map(|point| point.1).fold(0.0, f64::max)
    }

    /// How it looks in the legend.
    fn sample(&self) -> &'static str {
        if self.marker == Marker::Dot { "•" } else { "⠒" }
    }
}

/// The x axis.
pub(super) struct XAxis {
    pub bounds: [f64; 2],
    pub labels: Vec<String>,
}

impl XAxis {
    /// Seconds of the run.
    pub(super) fn time(from_s: u64, to_s: u64) -> Self {
        let to_s = to_s.max(from_s + 1);
        let labels = [from_s, from_s.midpoint(to_s), to_s].map(|s| clock(Duration::from_secs(s)));
        Self { bounds: [from_s as f64, to_s as f64], labels: labels.to_vec() }
    }
}

/// A chart.
pub(super) struct Plot<'a> {
    pub title: String,
    pub unit: &'a str,
    pub across: XAxis,
    /// What comes later lies above.
    pub series: &'a [Series],
    /// The end of the y axis, where that is known.
    pub top: Option<f64>,
}

pub(super) fn plot(frame: &mut Frame, area: Rect, app: &App, plot: Plot) {
    let Plot { title, unit, across, series, top } = plot;
    let mut heading = vec![Span::raw(title)];
    for series in series {
        heading.push(Span::styled(format!("  {} {}", series.sample(), series.name), series.style));
    }
    heading.push(Span::styled(format!("  {unit} "), app.theme.muted()));
    let block = section(app, Line::from(heading));
    if series.iter().all(|series| series.pieces.is_empty()) {
        let inner = block.inner(area);
        frame.render_widget(block, area);
        frame.render_widget(Line::styled("nothing yet", app.theme.muted()), inner);
        return;
    }
    let top = top.unwrap_or_else(|| nice_top(series.iter().map(Series::max).fold(0.0, f64::max)));
    let steps = if area.height > 14 { 4 } else { 2 };
    let labels = (0..=steps).map(|n| format!("{:>LABEL_WIDTH$}", short(top * f64::from(n) / f64::from(steps))));
    let y = Axis::default().bounds([0.0, top]).labels(labels).style(app.theme.muted()).labels_alignment(Alignment::Right);
    let x = Axis::default().bounds(across.bounds).labels(across.labels).style(app.theme.muted());
    let datasets = series.iter().flat_map(|series| {
        series.pieces.iter().map(|piece| {
            let kind = if piece.len() == 1 { GraphType::Scatter } else { GraphType::Line };
            Dataset::default().data(piece).graph_type(kind).marker(series.marker).style(series.style)
        })
    });
    let chart = Chart::new(datasets.collect()).block(block).x_axis(x).y_axis(y).legend_position(None);
    frame.render_widget(chart, area);
}

/// The next of 1, 2, 3, 4, 5, 6, 8, 10 times a power of ten.
fn nice_top(max: f64) -> f64 {
    if max <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(max.log10().floor());
    let factor = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0].into_iter().find(|factor| factor * power >= max * 0.999_999);
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers_above_the_values() {
        let tops = [0.0, 0.7, 1.0, 3.1, 9_300.0, 10_000.0, 10_001.0].map(nice_top);
        assert_eq!(tops, [1.0, 0.8, 1.0, 4.0, 10_000.0, 10_000.0, 20_000.0]);
    }

    #[test]
    fn a_gap_ends_a_line() {
        let points = [(1.0, Some(1.0)), (2.0, None), (3.0, Some(2.0)), (4.0, Some(3.0))];
        let series = Series::new("p99", Style::new(), Marker::Braille, points.into_iter());
        assert_eq!(series.pieces, [vec![(1.0, 1.0)], vec![(3.0, 2.0), (4.0, 3.0)]]);
    }
}
