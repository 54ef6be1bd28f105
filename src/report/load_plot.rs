//! `capacity.svg`: response times against the load, a mark a step, and where the knee is.

use super::capacity::{CapacityRecord, CapacityRow};
use super::manifest::Verdict;
use plotters::prelude::*;

const SIZE: (u32, u32) = (900, 540);
/// Of the axes, below and above what is to be seen.
const ROOM: f64 = 1.15;
const FONT: &str = "sans-serif";
const MEDIAN: RGBColor = RGBColor(0x6b, 0x72, 0x80);
const PASSED: RGBColor = RGBColor(0x0f, 0x76, 0x6e);
const FAILED: RGBColor = RGBColor(0xb9, 0x1c, 0x1c);
const KNEE: RGBColor = RGBColor(0x1d, 0x4e, 0xd8);

/// What is drawn.
pub(super) struct LoadPlot<'a> {
    pub(super) record: &'a CapacityRecord,
    pub(super) rows: &'a [CapacityRow],
    pub(super) limit_ms: Option<f64>,
}

/// The picture; `None` while no step has a time to show.
pub(super) fn svg(plot: &LoadPlot<'_>) -> Option<String> {
    let of = |pick: fn(&CapacityRow) -> Option<f64>| -> Vec<(f64, f64)> {
        plot.rows.iter().filter(|row| row.verdict != Verdict::Invalid).filter_map(|row| Some((row.offered, pick(row)?))).collect()
    };
    let medians = of(|row| row.response_ms_p50);
    let p99 = of(|row| row.response_ms_p99);
    let loads = || p99.iter().map(|point| point.0).chain(plot.record.holds);
    let times = || p99.iter().chain(&medians).map(|point| point.1).chain(plot.limit_ms).filter(|ms| *ms > 0.0);
    let (right, low, high) = (loads().reduce(f64::max)?, times().reduce(f64::min)?, times().reduce(f64::max)?);
    let mut out = String::new();
    let axes = (right * ROOM, low / (ROOM * ROOM), high * ROOM * ROOM);
    // Drawing into a string fails in no way that a caller could do anything about.
    draw(plot, &medians, axes, &mut out).ok()?;
    Some(out)
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(plot: &LoadPlot<'_>, medians: &[(f64, f64)], (right, low, high): (f64, f64, f64), out: &mut String) -> Drawn {
    let CapacityRecord { name, operation, unit, holds, .. } = plot.record;
    let root = SVGBackend::with_string(out, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(format!("{name}: response time of {operation} against the load"), (FONT, 20))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..right, (low..high).log_scale())?;
    let load = unit.trim();
    chart
        .configure_mesh()
        .x_desc(if load.is_empty() { format!("load: {}", plot.record.question.vary) } else { format!("load, {load}") })
        .y_desc("response time, ms")
        .axis_desc_style((FONT, 16))
        .label_style((FONT, 14))
        .light_line_style(RGBColor(0xf3, 0xf4, 0xf6))
        .y_label_formatter(&|ms| if *ms < 10.0 { format!("{ms:.1}") } else { format!("{ms:.0}") })
        .draw()?;
    chart
        .draw_series(medians.iter().map(|point| Circle::new(*point, 3, MEDIAN.filled())))?
        .label("p50")
        .legend(|(x, y)| Circle::new((x + 9, y), 3, MEDIAN.filled()));
    let p99 = |verdict: Verdict| {
        let rows = plot.rows.iter().filter(move |row| row.verdict == verdict);
        rows.filter_map(|row| Some((row.offered, row.response_ms_p99?)))
    };
    chart
        .draw_series(p99(Verdict::Pass).map(|point| Circle::new(point, 5, PASSED.filled())))?
        .label("p99 of a step that passed")
        .legend(|(x, y)| Circle::new((x + 9, y), 5, PASSED.filled()));
    chart
        .draw_series(p99(Verdict::Fail).map(|point| Cross::new(point, 6, FAILED.stroke_width(3))))?
        .label("p99 of a step that failed")
        .legend(|(x, y)| Cross::new((x + 9, y), 6, FAILED.stroke_width(3)));
    if let Some(limit) = plot.limit_ms {
        chart
            .draw_series(DashedLineSeries::new([(0.0, limit), (right, limit)], 8, 5, FAILED.stroke_width(1)))?
            .label(format!("limit of p99: {limit} ms"))
            .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], FAILED.stroke_width(1)));
    }
    if let Some(holds) = *holds {
        chart
            .draw_series(LineSeries::new([(holds, low), (holds, high)], KNEE.stroke_width(2)))?
            .label(format!("holds: {holds}{unit}"))
            .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], KNEE.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.9))
        .border_style(RGBColor(0xd1, 0xd5, 0xdb))
        .label_font((FONT, 14))
        .draw()?;
    root.present()?;
    Ok(())
}
