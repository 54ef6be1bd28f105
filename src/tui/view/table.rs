//! A table whose columns keep their places: fixed widths, the less important columns left out where room is short.

use super::panel;
use crate::tui::app::App;
use load_metrics::format::grouped_or_unknown;
use load_metrics::{ExecutionStage, StageCounts};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// A column of rows of type `R`.
pub(super) struct Column<R> {
    pub title: &'static str,
    pub width: u16,
    pub is_right: bool,
    /// 0: always there; the others go from the highest rank down.
    pub rank: u8,
    pub cell: Cell<R>,
}

pub(super) enum Cell<R> {
    Text(fn(&R) -> String),
    /// Executions at a stage.
    Stage(ExecutionStage, fn(&R) -> StageCounts),
}

impl<R> Cell<R> {
    fn of(&self, row: &R) -> String {
        match self {
            Self::Text(text) => text(row),
            Self::Stage(stage, counts) => grouped_or_unknown(counts(row).get(*stage)),
        }
    }
}

impl<R> Column<R> {
    pub(super) const fn text(title: &'static str, width: u16, rank: u8, cell: fn(&R) -> String) -> Self {
        Self { title, width, is_right: false, rank, cell: Cell::Text(cell) }
    }

    pub(super) const fn number(title: &'static str, width: u16, rank: u8, cell: fn(&R) -> String) -> Self {
        Self { title, width, is_right: true, rank, cell: Cell::Text(cell) }
    }

    pub(super) const fn stage(
        title: &'static str,
        width: u16,
        rank: u8,
        stage: ExecutionStage,
        counts: fn(&R) -> StageCounts,
    ) -> Self {
        Self { title, width, is_right: true, rank, cell: Cell::Stage(stage, counts) }
    }

    fn fit(&self, text: &str, width: u16) -> String {
        let width = usize::from(width);
        let count = text.chars().count();
        let cut: String =
            if count > width { text.chars().take(width.saturating_sub(1)).chain(['…']).collect() } else { text.into() };
        if self.is_right { format!("{cut:>width$} ") } else { format!("{cut:width$} ") }
    }
}

/// A table; the selected row is on its page, and the last text column takes the room that is left.
pub(super) struct Table<'a, R> {
    pub title: String,
    pub columns: &'a [Column<R>],
    pub rows: &'a [R],
    pub selected: Option<usize>,
}

pub(super) fn table<R>(frame: &mut Frame, area: Rect, app: &App, table: Table<R>, style: impl Fn(&R) -> Style) {
    let Table { title, columns, rows, selected } = table;
    let inner = panel(frame, area, app, title);
    if inner.height < 2 {
        return;
    }
    let shown = fitting(columns, inner.width);
    let used: u16 = shown.iter().map(|column| column.width + 1).sum();
    let spare = inner.width.saturating_sub(used);
    let stretched = shown.iter().rposition(|column| !column.is_right);
    let line = |cell: &dyn Fn(&Column<R>) -> String| -> String {
        let parts = shown.iter().enumerate().map(|(n, column)| {
            let extra = if Some(n) == stretched { spare } else { 0 };
            column.fit(&cell(column), column.width + extra)
        });
        parts.collect()
    };
    let page = usize::from(inner.height - 1);
    let first = selected.unwrap_or(0) / page * page;
    let mut lines = vec![Line::styled(line(&|column| column.title.to_owned()), app.theme.muted())];
    for (n, row) in rows.iter().enumerate().skip(first).take(page) {
        let mut style = style(row);
        if selected == Some(n) {
            style = style.patch(app.theme.selected());
        }
        lines.push(Line::from(Span::styled(line(&|column| column.cell.of(row)), style)));
    }
    if rows.is_empty() {
        lines.push(Line::styled("none", app.theme.muted()));
    }
    frame.render_widget(ratatui::text::Text::from(lines), inner);
}

/// The columns that fit, in their order.
fn fitting<R>(columns: &[Column<R>], width: u16) -> Vec<&Column<R>> {
    let mut rank = columns.iter().map(|column| column.rank).max().unwrap_or(0);
    loop {
        let shown: Vec<_> = columns.iter().filter(|column| column.rank <= rank).collect();
        if rank == 0 || shown.iter().map(|column| column.width + 1).sum::<u16>() <= width {
            return shown;
        }
        rank -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_important_columns_go_first() {
        let column = |width, rank| Column::<()>::text("", width, rank, |()| String::new());
        let columns = [column(10, 0), column(5, 2), column(5, 1)];
        let widths = |width| fitting(&columns, width).iter().map(|column| column.width).sum::<u16>();
        assert_eq!([23, 22, 17, 5].map(widths), [20, 15, 15, 10]);
    }
}
