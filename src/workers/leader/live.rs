//! How the run stands while it goes on: the seconds that workers tell, taken in by one collector, for the screen, the files and the metrics.

use super::seconds::Seconds;
use super::table::{Row, Stage, Table};
use crate::merge::{ServiceError, WholeRun};
use crate::tui::app::WorkerRow;
use load_metrics::{Phase, ShardFigures, ShardSecond, Snapshot};
use std::sync::Arc;

/// The run as a whole.
pub(super) struct Live {
    seconds: Seconds<ShardSecond>,
    whole: WholeRun,
    /// Of each worker's last second.
    figures: Vec<ShardFigures>,
    /// Whether every thing of the whole fleet has been connected.
    pub is_connected: bool,
}

impl Live {
    #[must_use]
    pub(super) fn new(whole: WholeRun, slices: usize) -> Self {
        Self { seconds: Seconds::new(slices), whole, figures: vec![ShardFigures::default(); slices], is_connected: false }
    }

    /// A worker tells of a second.
    pub(super) fn take(&mut self, slice: usize, second: ShardSecond) {
        self.figures[slice] = second.figures();
        self.seconds.take(slice, second.second, second);
    }

    /// How the run stands after the next second, once all who are waited for have told of it.
    ///
    /// # Errors
    /// When what the endpoint of the run's own tells cannot be read.
    pub(super) fn poll(&mut self, table: &Table) -> Result<Option<Arc<Snapshot>>, ServiceError> {
        let rows = table.rows();
        let Some((second, parts)) = self.seconds.poll(|slice| rows[slice].is_awaited()) else { return Ok(None) };
        let (slices, running) = (parts.len(), rows.iter().filter(|row| row.stage == Stage::Running).count());
        // A second without those who are silent is a part of one; what they say later is in the results.
        let snapshot = self.whole.take(second, parts, running.saturating_sub(slices) as u64)?;
        self.is_connected |= slices == rows.len() && snapshot.phase >= Phase::Steady;
        let late = self.seconds.take_late();
        if late > 0 {
            tracing::info!(late, "seconds of workers came after the run had gone on; they are in the results, and were not shown");
        }
        Ok(Some(snapshot))
    }

    /// How each worker stands, for the screen.
    #[must_use]
    pub(super) fn workers(&self, table: &Table) -> Vec<WorkerRow> {
        workers(table, |slice| self.figures[slice])
    }
}

/// How each worker stands, with such figures.
#[must_use]
pub(super) fn workers(table: &Table, figures: impl Fn(usize) -> ShardFigures) -> Vec<WorkerRow> {
    table.rows().iter().enumerate().map(|(slice, row)| worker_row(slice as u32, row, figures(slice))).collect()
}

fn worker_row(slice: u32, row: &Row, figures: ShardFigures) -> WorkerRow {
    let state = match &row.stage {
        Stage::Awaited => "missing",
        Stage::Registered => "preparing",
        Stage::Ready => "ready",
        Stage::Running if row.is_silent => "silent",
        Stage::Running => "running",
        Stage::Closing => "closing",
        Stage::Ended(_) => "ended",
        Stage::Lost => "lost",
    };
    WorkerRow {
        slice,
        hostname: row.facts.as_ref().map_or_else(String::new, |facts| facts.hostname.clone()),
        state,
        is_here: row.is_awaited() || matches!(row.stage, Stage::Ready | Stage::Registered | Stage::Closing | Stage::Ended(_)),
        connected: figures.connected,
        messages_per_s: figures.messages_in + figures.messages_out,
        busy: figures.busy,
        lateness_ms: figures.lateness_ms,
        second: row.second,
        clock_offset_ms: row.clock.offset_us as f64 / 1e3,
        clock_uncertainty_ms: row.clock.uncertainty_us as f64 / 1e3,
    }
}
