//! What all parts of the page are written with: tables that scroll by themselves, and text that nobody's names can break.

use maud::{Markup, html};

/// Rows of a table, at most: the page stays one that can be sent around.
const ROWS_MAX: usize = 100;
/// Characters of a cell, at most.
const CELL_MAX: usize = 200;

/// A table: its first `text_columns` columns are text, the others figures. What is too long is cut, and says so.
pub(crate) fn table(caption: &str, head: Vec<String>, rows: Vec<Vec<String>>, text_columns: usize) -> Markup {
    let more = rows.len().saturating_sub(ROWS_MAX);
    html! {
        div.scroll tabindex="0" role="group" aria-label={ "Table: " (caption) } {
            table {
                caption { (caption) }
                thead { tr { @for (n, cell) in head.iter().enumerate() { th.text[n < text_columns] scope="col" { (cell) } } } }
                tbody {
                    @for row in rows.iter().take(ROWS_MAX) {
                        tr {
                            @for (n, cell) in row.iter().enumerate() {
                                @if n == 0 { th.text[text_columns > 0] scope="row" { (cut(cell)) } } @else { td.text[n < text_columns] { (cut(cell)) } }
                            }
                        }
                    }
                }
            }
        }
        @if more > 0 { p.note { "and " (more) " more rows, in the files of the folder" } }
    }
}

/// At most as long as a cell may be.
pub(super) fn cut(text: &str) -> String {
    cut_to(text, CELL_MAX)
}

/// At most so many characters, with a mark where some are missing.
pub(super) fn cut_to(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}\u{2026}", &text[..end]),
        None => text.to_owned(),
    }
}

/// A page in which every character can be seen: controls, marks that turn the direction of text, and code points that HTML forbids are
/// written as their numbers. The page's own text has none of them.
pub(in crate::report) fn printable(page: &str) -> String {
    let mut out = String::with_capacity(page.len());
    for c in page.chars() {
        if is_hidden(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

fn is_hidden(c: char) -> bool {
    let is_forbidden = matches!(u32::from(c), 0xfdd0..=0xfdef) || u32::from(c) & 0xfffe == 0xfffe;
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (c.is_control() && c != '\n') || is_forbidden || turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        assert_eq!(printable("a\u{0}b\u{1b}[31m\r\n\u{202e}c\u{fffe}é…"), "a\\u{0}b\\u{1b}[31m\\u{d}\n\\u{202e}c\\u{fffe}é…");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!((cut_to("ééé", 2), cut_to("ééé", 3)), ("éé…".into(), "ééé".into()));
    }

    #[test]
    fn a_long_table_says_what_is_missing() {
        let rows = |count: usize| (0..count).map(|n| vec![n.to_string()]).collect();
        let page = table("x", vec!["n".into()], rows(ROWS_MAX + 7), 0).into_string();
        assert!(page.contains("and 7 more rows") && page.matches("<tr>").count() == ROWS_MAX + 1);
        assert!(!table("x", vec!["n".into()], rows(ROWS_MAX), 0).into_string().contains("more rows"));
    }
}
