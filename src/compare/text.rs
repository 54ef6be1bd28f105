//! A comparison in a terminal.

use super::comparison::{Comparison, FigureRow, Outcome};
use super::words;
use crate::report::{finish, table};

pub(super) fn text(comparison: &Comparison, colour: bool) -> String {
    let Comparison { base, run, noise, .. } = comparison;
    let mut parts = vec![differences(comparison)];
    let mut runs = vec![format!("BASE  {}", words::runs(base)), format!("RUN   {}", words::runs(run))];
    runs.extend((!noise.runs.is_empty()).then(|| format!("noise {}", words::runs(noise))));
    parts.push(runs.join("\n"));
    let remarks = comparison.remarks.iter().map(|remark| format!("! {remark}"));
    parts.extend(
        comparison.left_out().map(|(side, run)| format!("! {side}: {} is not counted: {}", run.dir, run.why)).chain(remarks),
    );
    parts.push(figures(comparison, colour));
    let not_compared: Vec<String> =
        comparison.not_compared.iter().map(|figure| format!("not compared: {}: {}", figure.figure, figure.why)).collect();
    parts.extend((!not_compared.is_empty()).then(|| not_compared.join("\n")));
    parts.push(painted(&comparison.says, comparison.outcome, colour));
    parts.join("\n\n")
}

fn differences(comparison: &Comparison) -> String {
    if comparison.differences.is_empty() {
        return "no difference between the sides is recorded in their folders".into();
    }
    let mut table = table(&["what differs", "key", "BASE", "RUN"]);
    for difference in &comparison.differences {
        table.add_row([difference.about.as_str(), &difference.key, &difference.base, &difference.run]);
    }
    finish(table, 4)
}

fn figures(comparison: &Comparison, colour: bool) -> String {
    let mut table = table(&["figure", "BASE", "RUN", "change", "95 % interval", "verdict"]);
    for row in &comparison.figures {
        let FigureRow { figure, unit, .. } = row;
        table.add_row([
            figure.clone(),
            words::side(row.base, row.base_within, *unit),
            words::side(row.run, row.run_within, *unit),
            words::change(row.ratio),
            words::interval(row),
            words::verdict(row),
        ]);
    }
    let text = finish(table, 1);
    if !colour {
        return text;
    }
    // The head and the line below it come before the rows.
    let paint = |(n, line): (usize, &str)| match n.checked_sub(2).and_then(|n| comparison.figures.get(n)) {
        Some(row) => painted(line, row.verdict, colour),
        None => line.to_owned(),
    };
    text.lines().enumerate().map(paint).collect::<Vec<_>>().join("\n")
}

fn painted(text: &str, outcome: Outcome, colour: bool) -> String {
    match outcome {
        Outcome::Worse if colour => format!("\u{1b}[1;31m{text}\u{1b}[0m"),
        Outcome::Better if colour => format!("\u{1b}[1;32m{text}\u{1b}[0m"),
        _ => text.to_owned(),
    }
}
