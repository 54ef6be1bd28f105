//! A table of the summary, for terminals and as Markdown.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

/// Head and rows; columns behind the first `text_columns` are numbers.
pub(super) struct Grid {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    text_columns: usize,
}

impl Grid {
    pub(super) fn new(text_columns: usize, head: &[&'static str]) -> Self {
        Self { head: head.to_vec(), rows: Vec::new(), text_columns }
    }

    pub(super) fn row(&mut self, cells: impl Into<Vec<String>>) {
        self.rows.push(cells.into());
    }

    pub(super) fn text(&self) -> String {
        let mut table = table(&self.head);
        for row in &self.rows {
            table.add_row(row);
        }
        finish(table, self.text_columns)
    }

    /// As GitHub and GitLab read it; at most so many rows, and a line that says how many are missing.
    pub(super) fn markdown(&self, rows_max: usize) -> String {
        let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
        let rule = |n| if n < self.text_columns { "---" } else { "---:" };
        let head = self.head.iter().map(|&cell| cell.to_owned()).collect();
        let rules = (0..self.head.len()).map(|n| rule(n).to_owned()).collect();
        let rows = self.rows.iter().take(rows_max).map(|row| row.iter().map(|cell| markdown_text(cell)).collect());
        let mut lines: Vec<String> = [head, rules].into_iter().chain(rows).map(line).collect();
        let more = self.rows.len().saturating_sub(rows_max);
        if more > 0 {
            lines.push(format!("\nand {more} more"));
        }
        lines.join("\n")
    }
}

/// Text of others within Markdown: nothing in it is markup, a link, a mention, a line or a cell of its own.
pub(super) fn markdown_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\n' | '\r' | '\t' => out.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' | '$' => out.extend(['\\', c]),
            '@' => out.push_str("&#64;"),
            ':' if text[at..].starts_with("://") => out.push_str("&#58;"),
            c => out.push(c),
        }
    }
    out
}

/// An empty table with these columns, without lines but one below its head.
pub(crate) fn table(headers: &[&str]) -> Table {
    let mut table = Table::new();
    let line = LineStyle::none().fill('─').junction('─');
    table.load_style(TableStyle::new().header_separator(line)).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headers.iter().copied());
    table
}

/// The table's text; columns behind the first `text_columns` are numbers.
pub(crate) fn finish(mut table: Table, text_columns: usize) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    for column in table.column_iter_mut().skip(text_columns) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_has_columns_and_says_what_is_missing() {
        let mut grid = Grid::new(1, &["job", "done"]);
        (0..3).for_each(|n| grid.row([format!("a|{n}"), "100 %".into()]));
        assert_eq!(grid.markdown(2), "| job | done |\n| --- | ---: |\n| a\\|0 | 100 % |\n| a\\|1 | 100 % |\n\nand 1 more");
        assert!(!grid.markdown(3).contains("more"));
    }

    #[test]
    fn text_of_others_is_text() {
        let text = "<img src=x> [a](https://x) @you `c` **b**\n# head | cell & #1";
        let expected = "&lt;img src=x&gt; \\[a\\](https&#58;//x) &#64;you \\`c\\` \\*\\*b\\*\\* \\# head \\| cell &amp; \\#1";
        assert_eq!(markdown_text(text), expected);
    }
}
