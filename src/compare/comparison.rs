//! The whole result, as `--json` has it and every other face shows it.

use super::CompareError;
use super::differences::{Difference, between, within};
use super::figures::{Figure, NotCompared, figures};
use super::sides::{LeftOut, Side, Sides};
use super::words::runs_needed;
use crate::report::Verdict as RunVerdict;
use load_metrics::Metric;
use run_compare::{Estimate, Judgement, Missing, Settings, Verdict, judge};
use serde::Serialize;

/// What comes of a figure, and of them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    #[strum(serialize = "worse")]
    Worse,
    #[strum(serialize = "better")]
    Better,
    #[strum(serialize = "same")]
    Same,
    #[strum(serialize = "not decided")]
    NotDecided,
}

impl Outcome {
    pub(super) fn as_str(self) -> &'static str {
        self.into()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    Ms,
    PerSecond,
    Share,
}

#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    pub(super) outcome: Outcome,
    /// The outcome in a sentence.
    pub(super) says: String,
    /// Before the figures: what differs between the sides.
    pub(super) differences: Vec<Difference>,
    /// What a reader must know besides.
    pub(super) remarks: Vec<String>,
    pub(super) base: SideOf,
    pub(super) run: SideOf,
    pub(super) noise: SideOf,
    pub(super) figures: Vec<FigureRow>,
    pub(super) not_compared: Vec<NotCompared>,
    /// What is too little to matter, as a share.
    pub(super) margin: f64,
    /// What is left out at the beginning of each run.
    pub(super) skip_s: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct SideOf {
    pub(super) runs: Vec<RunOf>,
    pub(super) left_out: Vec<LeftOut>,
}

#[derive(Debug, Serialize)]
pub(super) struct RunOf {
    pub(super) dir: String,
    pub(super) name: String,
    pub(super) verdict: RunVerdict,
    pub(super) started_at: String,
}

#[derive(Debug, Serialize)]
pub(super) struct FigureRow {
    /// Its name in thresholds.
    pub(super) figure: String,
    pub(super) unit: Unit,
    /// Geometric mean of the runs.
    pub(super) base: f64,
    pub(super) run: f64,
    pub(super) ratio: f64,
    /// Of the ratio, with 95 % confidence.
    pub(super) interval: Option<[f64; 2]>,
    /// From run to run, as a share; with earlier runs also theirs.
    pub(super) deviation: Option<f64>,
    pub(super) verdict: Outcome,
    /// About so many a side would decide.
    pub(super) runs_needed: Option<u64>,
    /// Of a side with one run: where the figure lies by that run alone.
    pub(super) base_within: Option<[f64; 2]>,
    pub(super) run_within: Option<[f64; 2]>,
    /// By run.
    pub(super) base_values: Vec<f64>,
    pub(super) run_values: Vec<f64>,
}

impl Comparison {
    /// # Errors
    /// When no figure can be compared.
    pub(super) fn new(sides: &Sides, skip_s: u64) -> Result<Self, CompareError> {
        let settings = Settings::default();
        let (figures, not_compared) = figures(sides, skip_s);
        if figures.is_empty() {
            return Err(CompareError::Incomparable(nothing_in_common(&not_compared, skip_s)));
        }
        let samples: Vec<_> = figures.iter().map(|figure| figure.sample.clone()).collect();
        let judgements = judge(&samples, &settings);
        let rows: Vec<FigureRow> = figures.iter().zip(&judgements).map(|(figure, judged)| FigureRow::new(figure, judged)).collect();
        let outcome = outcome(&rows);
        Ok(Self {
            outcome,
            says: says(outcome, &rows, &judgements, &settings),
            differences: between(&sides.base.manifests(), &sides.run.manifests()),
            remarks: remarks(sides),
            base: SideOf::new(&sides.base),
            run: SideOf::new(&sides.run),
            noise: SideOf::new(&sides.noise),
            figures: rows,
            not_compared,
            margin: settings.margin,
            skip_s,
        })
    }

    pub(super) fn is_worse(&self) -> bool {
        self.outcome == Outcome::Worse
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a comparison has string keys")
    }

    /// Runs that do not count, with the side that named them.
    pub(super) fn left_out(&self) -> impl Iterator<Item = (&'static str, &LeftOut)> {
        let sides = [("BASE", &self.base), ("RUN", &self.run), ("--noise", &self.noise)];
        sides.into_iter().flat_map(|(name, side)| side.left_out.iter().map(move |run| (name, run)))
    }
}

impl SideOf {
    fn new(side: &Side) -> Self {
        let run = |run: &super::sides::RunFolder| RunOf {
            dir: run.dir.display().to_string(),
            name: run.manifest.name.clone(),
            verdict: run.manifest.verdict,
            started_at: run.manifest.started_at.clone(),
        };
        Self { runs: side.runs.iter().map(run).collect(), left_out: side.left_out.clone() }
    }
}

impl FigureRow {
    fn new(figure: &Figure, judged: &Judgement) -> Self {
        let (verdict, runs_needed) = match judged.verdict {
            Verdict::Worse => (Outcome::Worse, None),
            Verdict::Better => (Outcome::Better, None),
            Verdict::Same => (Outcome::Same, None),
            Verdict::NotDecided(Missing::RunsASide(runs)) => (Outcome::NotDecided, Some(runs)),
            Verdict::NotDecided(Missing::Runs | Missing::RunsAgainstOne) => (Outcome::NotDecided, None),
        };
        let within = |side: &[Estimate]| match side {
            [only] => Some(only.band().into()),
            _ => None,
        };
        let values = |side: &[Estimate]| side.iter().map(|estimate| estimate.value()).collect();
        Self {
            figure: figure.metric.to_string(),
            unit: unit(figure.metric),
            base: judged.base,
            run: judged.run,
            ratio: judged.ratio,
            interval: judged.interval.map(<[f64; 2]>::from),
            deviation: judged.deviation,
            verdict,
            runs_needed,
            base_within: within(&figure.sample.base),
            run_within: within(&figure.sample.run),
            base_values: values(&figure.sample.base),
            run_values: values(&figure.sample.run),
        }
    }
}

fn unit(metric: Metric) -> Unit {
    match metric {
        Metric::Rate(_) => Unit::PerSecond,
        Metric::FailedShare(_) => Unit::Share,
        _ => Unit::Ms,
    }
}

/// One figure that is worse makes it worse, whatever else is better.
fn outcome(rows: &[FigureRow]) -> Outcome {
    let has = |outcome| rows.iter().any(|row| row.verdict == outcome);
    [Outcome::Worse, Outcome::Better, Outcome::NotDecided].into_iter().find(|outcome| has(*outcome)).unwrap_or(Outcome::Same)
}

fn says(outcome: Outcome, rows: &[FigureRow], judgements: &[Judgement], settings: &Settings) -> String {
    let missing = |missing| judgements.iter().any(|judged| judged.verdict == Verdict::NotDecided(missing));
    let by_turns = "made alternately, before, after, before, after (docs/COMPARING.md)";
    if missing(Missing::Runs) {
        return format!(
            "not decided: one run a side does not show how much runs vary; give three or more of each, {by_turns}, or five earlier ones with --noise"
        );
    }
    if missing(Missing::RunsAgainstOne) {
        return format!("not decided: one run on a side needs four or more on the other; give three or more of each, {by_turns}");
    }
    let margin = format!("{:.0} %", 100.0 * settings.margin);
    let count = |outcome| rows.iter().filter(|row| row.verdict == outcome).count();
    let are = |count: usize| format!("{count} {}", if count == 1 { "is" } else { "are" });
    let mut parts = Vec::new();
    for (outcome, how) in
        [(Outcome::Worse, "worse by more than"), (Outcome::Better, "better by more than"), (Outcome::Same, "the same within")]
    {
        let found = count(outcome);
        parts.extend((found > 0).then(|| format!("{} {how} {margin}", are(found))));
    }
    let open = count(Outcome::NotDecided);
    let runs = rows.iter().filter_map(|row| row.runs_needed);
    let needed = match (runs.clone().min(), runs.max()) {
        (Some(few), Some(many)) if few < many => {
            format!(" ({} to {} runs a side would decide)", runs_needed(few), runs_needed(many))
        }
        (Some(few), _) => format!(" ({} runs a side would decide)", runs_needed(few)),
        _ => String::new(),
    };
    parts.extend((open > 0).then(|| format!("{} not decided{needed}", are(open))));
    format!("{}: of {} figures {}", outcome.as_str(), rows.len(), parts.join(", "))
}

fn remarks(sides: &Sides) -> Vec<String> {
    let of_side = |(name, side): (&str, &Side)| {
        let told = |(key, values): (&'static str, String)| format!("the runs of {name} differ in their {key}: {values}");
        within(&side.manifests()).into_iter().map(told).collect::<Vec<_>>()
    };
    [("BASE", &sides.base), ("RUN", &sides.run), ("--noise", &sides.noise)].into_iter().flat_map(of_side).collect()
}

fn nothing_in_common(not_compared: &[NotCompared], skip_s: u64) -> String {
    let reasons: Vec<String> = not_compared.iter().map(|figure| format!("{}: {}", figure.figure, figure.why)).collect();
    let counts =
        format!("the steady and rollout phases after the first {skip_s} s count (--skip), and of connecting all of the run");
    if reasons.is_empty() {
        format!("nothing can be compared: no operation ended on both sides in the seconds that count; {counts}")
    } else {
        format!("nothing can be compared; {counts}:\n  {}", reasons.join("\n  "))
    }
}
