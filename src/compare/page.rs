//! A comparison as one page that needs nothing else: what differs, every change with its interval, and the figures.

use super::comparison::{Comparison, FigureRow, Outcome};
use super::words;
use crate::report::{Document, html_table};
use maud::{Markup, html};

const STYLE: &str = include_str!("page.css");
/// Axes of changes: the factor at their tick, and that at their end; it is the same downwards.
const AXES: [(f64, f64); 7] = [(1.05, 1.1), (1.1, 1.2), (1.2, 1.5), (1.5, 2.0), (2.0, 4.0), (3.0, 10.0), (10.0, 100.0)];

pub(super) fn page(comparison: &Comparison) -> String {
    let title = format!("fleetsim compare: {}", comparison.outcome.as_str());
    let body = html! {
        header {
            h1 { "Comparison: " span.badge.{ (colour(comparison.outcome)) } { (comparison.outcome.as_str()) } }
            p { (comparison.says) "." }
        }
        main {
            (section("differences", "What differs", &differences(comparison)))
            (section("runs", "Runs", &runs(comparison)))
            (section("changes", "Changes", &changes(comparison)))
            (section("figures", "Figures", &figures(comparison)))
            (section("method", "How it was decided", &method(comparison)))
        }
    };
    Document { title: &title, style: STYLE, script: None, body }.render()
}

fn section(id: &str, title: &str, content: &Markup) -> Markup {
    html! { section id=(id) aria-labelledby={ (id) "-head" } { h2 id={ (id) "-head" } { (title) } (content) } }
}

fn colour(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Worse => "bad",
        Outcome::Better | Outcome::Same => "good",
        Outcome::NotDecided => "open",
    }
}

fn differences(comparison: &Comparison) -> Markup {
    if comparison.differences.is_empty() {
        return html! { p { "No difference between the sides is recorded in their folders." } };
    }
    let rows = comparison.differences.iter().map(|difference| {
        vec![difference.about.as_str().to_owned(), difference.key.clone(), difference.base.clone(), difference.run.clone()]
    });
    html_table("Between the sides", ["what", "key", "BASE", "RUN"].map(str::to_owned).into(), rows.collect(), 4)
}

fn runs(comparison: &Comparison) -> Markup {
    let Comparison { base, run, noise, remarks, .. } = comparison;
    let sides = [("BASE", base), ("RUN", run), ("Earlier runs, for their noise", noise)];
    html! {
        dl {
            @for (name, side) in sides.into_iter().filter(|(_, side)| !side.runs.is_empty()) { dt { (name) } dd { (words::runs(side)) } }
        }
        @for (side, run) in comparison.left_out() { p.note { (side) ": " (run.dir) " is not counted: " (run.why) } }
        @for remark in remarks { p.note { (remark) } }
    }
}

/// An interval a figure on one axis.
fn changes(comparison: &Comparison) -> Markup {
    let axis = Axis::of(&comparison.figures);
    let margin = 1.0 + comparison.margin;
    let (from, to) = (axis.place(1.0 / margin), axis.place(margin));
    html! {
        figure id="ratios" {
            figcaption {
                h3 id="ratios-title" { "RUN against BASE" }
                p id="ratios-says" {
                    "Each figure's change with its 95 % interval, on a logarithmic axis. The grey band is the margin: "
                    (format!("{:.0} %", 100.0 * comparison.margin)) "."
                }
            }
            div.ratios role="img" aria-labelledby="ratios-title ratios-says" {
                span {}
                svg.axis { @for (ratio, label) in axis.ticks() { text x=(percent(axis.place(ratio))) y="1em" { (label) } } }
                span {}
                @for row in &comparison.figures {
                    span { (row.figure) }
                    svg {
                        rect.within x=(percent(from)) width=(percent(to - from)) y="0" height="100%" {}
                        line.even x1="50%" x2="50%" y1="0" y2="100%" {}
                        (mark(row, &axis))
                    }
                    span.told { (words::change(row.ratio)) ", " (words::verdict(row)) }
                }
            }
        }
    }
}

fn mark(row: &FigureRow, axis: &Axis) -> Markup {
    let at = |ratio: f64| percent(axis.place(ratio));
    let class = match row.verdict {
        Outcome::Worse => "worse",
        Outcome::Better => "better",
        Outcome::Same | Outcome::NotDecided => "open",
    };
    html! {
        @if let Some([low, high]) = row.interval { line.mark.{ (class) } x1=(at(low)) x2=(at(high)) y1="50%" y2="50%" {} }
        circle.mark.{ (class) } r="4" cx=(at(row.ratio)) cy="50%" {}
    }
}

fn figures(comparison: &Comparison) -> Markup {
    let head = ["figure", "BASE", "RUN", "change", "95 % interval", "from run to run", "verdict"].map(str::to_owned);
    let row = |row: &FigureRow| {
        vec![
            row.figure.clone(),
            words::side(row.base, row.base_within, row.unit),
            words::side(row.run, row.run_within, row.unit),
            words::change(row.ratio),
            words::interval(row),
            row.deviation.map_or_else(|| "-".to_owned(), |deviation| format!("{:.1} %", 100.0 * deviation)),
            words::verdict(row),
        ]
    };
    let not_compared =
        comparison.not_compared.iter().map(|figure| vec![figure.figure.clone(), figure.why.clone()]).collect::<Vec<_>>();
    html! {
        (html_table("Figures that are compared", head.into(), comparison.figures.iter().map(row).collect(), 1))
        @if !not_compared.is_empty() { (html_table("Figures that are not", ["figure", "why"].map(str::to_owned).into(), not_compared, 2)) }
    }
}

fn method(comparison: &Comparison) -> Markup {
    html! {
        p {
            "Values are geometric means of the runs. The interval is Student's t on their logarithms, with the variance between runs pooled over the "
            "sides, and at least that within a run (circular block bootstrap of its seconds). A figure is worse, or better, when its change is beyond "
            "the margin by Holm's step-down over all of them; it is the same when its interval lies within the margin. "
            "Of each run the steady and rollout phases after its first " (comparison.skip_s) " s count, and of connecting all of it."
        }
    }
}

/// Logarithms of ratios, as far to the left as to the right.
struct Axis {
    tick: f64,
    end: f64,
}

impl Axis {
    fn of(rows: &[FigureRow]) -> Self {
        let ends = rows.iter().flat_map(|row| row.interval.into_iter().flatten().chain([row.ratio]));
        let furthest = ends.map(|ratio| ratio.ln().abs()).filter(|ln| ln.is_finite()).fold(0.0, f64::max);
        let (tick, end) = AXES.into_iter().find(|(_, end)| end.ln() >= furthest).unwrap_or(AXES[AXES.len() - 1]);
        Self { tick, end }
    }

    /// From 0 to 1.
    fn place(&self, ratio: f64) -> f64 {
        (0.5 + 0.5 * ratio.ln() / self.end.ln()).clamp(0.0, 1.0)
    }

    /// One at an end would stand half outside.
    fn ticks(&self) -> [(f64, String); 3] {
        let change = |ratio| (ratio, words::change(ratio));
        [change(1.0 / self.tick), (1.0, "even".into()), change(self.tick)]
    }
}

/// With two decimals where they tell anything.
fn percent(share: f64) -> String {
    format!("{}%", (share * 1e4).round() / 1e2)
}
