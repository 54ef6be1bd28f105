//! Latency over time as a heat map: how many values a span of time has in a band of latency, told by shade.

use super::charts::{shown_measure, slots};
use super::panel;
use crate::tui::app::App;
use crate::tui::history::{Slot, band_floor};
use load_metrics::format::{clock, milliseconds};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use std::time::Duration;

const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
const LABEL_WIDTH: u16 = 8;

pub(super) fn render(frame: &mut Frame, area: Rect, app: &App) {
    let (operation, measure) = (app.chosen_operation(), shown_measure(app));
    let title = format!("{} {} over time  {} few {} many ", operation.as_str(), measure.as_str(), SHADES[1], SHADES[4]);
    let inner = panel(frame, area, app, title);
    let (slots, across) = slots(app);
    let occupied: Vec<u8> = slots
        .iter()
        .filter_map(|slot| slot.times(operation, measure))
        .flat_map(|times| times.bands.iter().map(|band| band.0))
        .collect();
    let (Some(lowest), Some(highest)) = (occupied.iter().min(), occupied.iter().max()) else {
        frame.render_widget(Line::styled("nothing yet", app.theme.muted()), inner);
        return;
    };
    if inner.height < 3 || inner.width <= LABEL_WIDTH + 2 {
        return;
    }
    let (lowest, bands) = (usize::from(*lowest), usize::from(highest - lowest) + 1);
    let (columns, height) = (usize::from(inner.width - LABEL_WIDTH), usize::from(inner.height - 1));
    // A band may be several rows high, or a row several bands.
    let per_row = bands.div_ceil(height);
    let rows = bands.div_ceil(per_row);
    let high = height / rows;
    let [from, to] = across.bounds;
    let grid = gather(
        &slots,
        columns,
        (from, to),
        rows,
        |band| (band - lowest) / per_row,
        |slot| slot.times(operation, measure).map_or(&[][..], |times| &times.bands),
    );
    let most = grid.iter().flatten().copied().max().unwrap_or(1).max(1);
    let mut lines = Vec::new();
    for (row, cells) in grid.iter().enumerate().rev() {
        for line in 0..high {
            // The label of a band stands where the band begins: on its lowest line.
            let label = if line + 1 == high { milliseconds(band_floor(lowest + row * per_row)) } else { String::new() };
            let shades: String = cells.iter().map(|count| shade(*count, most)).collect();
            lines.push(Line::from(vec![
                Span::styled(format!("{label:>7} "), app.theme.muted()),
                Span::styled(shades, app.theme.accent()),
            ]));
        }
    }
    let (left, right) = (clock(Duration::from_secs(from as u64)), clock(Duration::from_secs(to as u64)));
    let space = columns.saturating_sub(left.len() + right.len());
    lines.push(Line::styled(format!("{:8}{left}{}{right}", "", " ".repeat(space)), app.theme.muted()));
    frame.render_widget(ratatui::text::Text::from(lines), inner);
}

/// Counts by row, from the lowest band up, and column.
fn gather<'a>(
    slots: &[&'a Slot],
    columns: usize,
    (from, to): (f64, f64),
    rows: usize,
    row: impl Fn(usize) -> usize,
    bands: impl Fn(&'a Slot) -> &'a [(u8, u32)],
) -> Vec<Vec<u64>> {
    let mut grid = vec![vec![0; columns]; rows];
    let edge = |t_s: u64| (((t_s as f64 - from) / (to - from) * columns as f64) as usize).min(columns);
    for slot in slots {
        let first = edge(slot.t_s - slot.span_s).min(columns - 1);
        let end = edge(slot.t_s).max(first + 1);
        for (band, count) in bands(slot) {
            // A slot wider than a column fills all of its columns: time has no holes.
            for cell in &mut grid[row(usize::from(*band))][first..end] {
                *cell += u64::from(*count);
            }
        }
    }
    grid
}

fn shade(count: u64, most: u64) -> char {
    if count == 0 {
        return SHADES[0];
    }
    // By factors: one slow answer among ten thousand must be seen.
    let level = (count as f64).ln_1p() / (most as f64).ln_1p();
    SHADES[1 + ((level * 4.0).ceil() as usize).clamp(1, 4) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_many_is_seen() {
        assert_eq!([0, 1, 100, 10_000].map(|count| shade(count, 10_000)), [' ', '░', '▓', '█']);
        assert_eq!(shade(1, 1), '█');
    }

    #[test]
    fn a_slot_wider_than_a_column_has_no_holes() {
        let slot = |t_s| Slot { t_s, span_s: 1, ..Slot::default() };
        let slots = [slot(1), slot(2)];
        let bands: &[(u8, u32)] = &[(5, 3)];
        let grid = gather(&[&slots[0], &slots[1]], 8, (0.0, 2.0), 1, |_| 0, |_| bands);
        assert_eq!(grid[0], [3; 8]);
    }
}
