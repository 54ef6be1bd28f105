//! A comparison for a pull request.

use super::comparison::{Comparison, FigureRow, Outcome};
use super::words;

pub(super) fn markdown(comparison: &Comparison) -> String {
    let mut parts =
        vec![format!("### fleetsim compare: {}", escaped(&comparison.says)), differences(comparison), list(&runs(comparison))];
    parts.push(table(
        "| figure | BASE | RUN | change | 95 % interval | verdict |\n|---|--:|--:|--:|--:|---|",
        comparison.figures.iter().map(cells),
    ));
    let not_compared = comparison.not_compared.iter().map(|figure| format!("not compared: {}: {}", figure.figure, figure.why));
    parts.push(list(&not_compared.collect::<Vec<_>>()));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n") + "\n"
}

fn differences(comparison: &Comparison) -> String {
    if comparison.differences.is_empty() {
        return "No difference between the sides is recorded in their folders.".into();
    }
    let rows = comparison
        .differences
        .iter()
        .map(|difference| [difference.about.as_str(), &difference.key, &difference.base, &difference.run].map(escaped));
    table("| what differs | key | BASE | RUN |\n|---|---|---|---|", rows)
}

/// Who counts, who does not, and what there is to know of them.
fn runs(comparison: &Comparison) -> Vec<String> {
    let Comparison { base, run, noise, .. } = comparison;
    let sides = [("BASE", base), ("RUN", run), ("noise", noise)].into_iter().filter(|(_, side)| !side.runs.is_empty());
    let counted = sides.map(|(name, side)| format!("{name}: {}", words::runs(side)));
    let left_out = comparison.left_out().map(|(side, run)| format!("{side}: {} is not counted: {}", run.dir, run.why));
    counted.chain(left_out).chain(comparison.remarks.iter().cloned()).collect()
}

fn cells(row: &FigureRow) -> [String; 6] {
    let verdict = words::verdict(row);
    let verdict = if row.verdict == Outcome::Worse { format!("**{verdict}**") } else { verdict };
    let [base, run] =
        [(row.base, row.base_within), (row.run, row.run_within)].map(|(value, within)| words::side(value, within, row.unit));
    [row.figure.clone(), base, run, words::change(row.ratio), words::interval(row), verdict]
}

fn table<const N: usize>(head: &str, rows: impl Iterator<Item = [String; N]>) -> String {
    std::iter::once(head.to_owned()).chain(rows.map(|cells| format!("| {} |", cells.join(" | ")))).collect::<Vec<_>>().join("\n")
}

fn list(items: &[String]) -> String {
    items.iter().map(|item| format!("- {}", escaped(item))).collect::<Vec<_>>().join("\n")
}

/// Text that Markdown takes for text, in one line: names are whatever people chose.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '#' | '!' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_a_table() {
        let rows = [["a|b\n<c>", "d"].map(escaped)];
        assert_eq!(table("| x | y |\n|---|---|", rows.into_iter()), "| x | y |\n|---|---|\n| a\\|b \\<c\\> | d |");
    }
}
