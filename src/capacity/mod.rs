//! `fleetsim capacity`: the highest load that still meets a scenario's thresholds. [`search`] says which load to try next, a run tries it,
//! and what all trials say is written after each of them.

mod ceiling;
mod judge;
pub mod load;
pub mod search;
mod show;
mod step;
mod words;

pub use step::Timing;

use crate::exit;
use crate::report::{self, CapacityEnd, CapacityFolder, CapacityRecord, CapacityRow, PlotNotes, Question, ReportError};
use crate::results_folder::results_root;
use crate::roster::Roster;
use crate::run::{JobsAfterwards, Outlets, RunOptions, UiKind, run_step, runtime};
use crate::scenario::plan::{Plan, TargetPlan};
use crate::scenario::{Source, Value};
use crate::stop::StopRequests;
use crate::timestamp::{rfc3339, stamp};
use ceiling::{Ceiling, ceiling};
use host::clock;
use iot_endpoint::quotas::QuotasChoice;
use iot_jobs::Spread;
use iot_jobs::instant::Mono;
use jobs_engine::quotas::Quotas;
use judge::{StepEnd, StepFacts, judge};
use load::{Load, Written};
use load_metrics::{Comparison, Measure, Metric, Operation, Statistic};
use search::{Found, Next, Range, Search, Verdict};
use sha2::{Digest as _, Sha256};
use show::Show;
use std::path::{Path, PathBuf};
use std::time::Duration;
use step::{Steps, operation};
use words::{Ending, Findings, standing};

/// What `fleetsim capacity` was asked for.
pub struct CapacityOptions {
    pub source: Source,
    /// Of `source`.
    pub plan: Plan,
    /// The path that is varied.
    pub vary: String,
    /// The first load, in its unit; default: what the scenario says.
    pub from: Option<f64>,
    /// The highest one.
    pub to: Option<f64>,
    /// Trials at the load that holds, beside the first.
    pub confirm: u32,
    pub timing: Timing,
    /// No step begins that would end later than this.
    pub max_time: Option<Duration>,
    pub out: Option<PathBuf>,
    /// Go on with the search in `out`.
    pub resume: bool,
    pub certs: Option<PathBuf>,
    pub ui: UiKind,
    pub shards: Option<usize>,
}

/// Why there is no search: exit code, and words for people.
type Refusal = (u8, String);

/// Searches; returns the exit code.
#[must_use]
pub fn capacity(options: CapacityOptions) -> u8 {
    let show = Show::new(options.ui);
    match CapacitySearch::prepare(options, &show) {
        Ok(search) => search.conduct(&show),
        Err((code, why)) => {
            show.complain(&why);
            code
        }
    }
}

struct CapacitySearch {
    steps: Steps,
    search: Search,
    rows: Vec<CapacityRow>,
    folder: CapacityFolder,
    record: CapacityRecord,
    operation: Operation,
    quotas: Option<Quotas>,
    is_paced: bool,
    /// There is no load above it to try.
    ceiling: Option<Ceiling>,
    max_time: Option<Duration>,
    certs: Option<PathBuf>,
    ui: UiKind,
    shards: Option<usize>,
}

impl CapacitySearch {
    fn prepare(options: CapacityOptions, show: &Show) -> Result<Self, Refusal> {
        let CapacityOptions { source, plan, vary, from, to, confirm, timing, .. } = options;
        if plan.thresholds.is_empty() {
            let help = "add what has to hold, as in [thresholds] \"start_next.response_ms.p99\" = \"< 1000\"";
            return Err((exit::SCENARIO, format!("the scenario has no [thresholds], so every load would pass: {help}")));
        }
        if let (TargetPlan::Aws(_), Some(rollout)) = (&plan.target, plan.rollouts.first()) {
            let why = format!(
                "each step of a search would roll {} out in the account, at a price that is not known beforehand",
                rollout.name
            );
            return Err((exit::SCENARIO, format!("{why}: leave [[rollout]] out, or use the local endpoint")));
        }
        let (source, load) = find_load(&source, &plan, &vary).map_err(|why| (exit::SCENARIO, format!("--vary {vary}: {why}")))?;
        let start = from.unwrap_or(load.start);
        if let Some(to) = to.filter(|to| *to < start) {
            let (to, start) = (load.text(to), load.text(start));
            return Err((exit::USAGE, format!("--to {to} is below the first load, {start}: give a lower --from")));
        }
        let roster = Roster::new(&plan).map_err(|error| (exit::ERROR, format!("failed to name a thing: {error}")))?;
        let quotas = known_quotas(&plan);
        let ceiling = ceiling(&load, &plan, &roster, timing, quotas.as_ref(), to);
        let highest = ceiling.as_ref().map(|ceiling| ceiling.highest);
        let operation = operation(&plan, &load);
        let question = Question {
            scenario_sha256: hex::encode(Sha256::digest(plan.to_toml().as_bytes())),
            vary,
            from: start,
            to,
            confirm,
            step_s: timing.step,
            warm_up_s: timing.warm_up,
        };
        let search = Search::new(
            Range { start, floor: load.of_periods().map_or(0.0, |(lowest, _)| lowest), highest, grain: load.grain() },
            confirm,
        );
        let record = first_record(&plan, &load, operation, question);
        let folder = place(&plan, options.out, options.resume)?;
        let (folder, record, rows) = open(&folder, record, plot_notes(&plan, operation), options.resume)?;
        let steps = Steps { source, load, seed: plan.seed, timing };
        let is_paced = matches!(&plan.target, TargetPlan::Emulator(emulator) if emulator.endpoint.spread == Spread::Smooth);
        let (max_time, certs, ui, shards) = (options.max_time, options.certs, options.ui, options.shards);
        let mut this = Self {
            steps,
            search,
            rows: Vec::new(),
            folder,
            record,
            operation,
            quotas,
            is_paced,
            ceiling,
            max_time,
            certs,
            ui,
            shards,
        };
        this.replay(rows)?;
        this.write(None).map_err(|error| (exit::ERROR, format!("failed to {error}")))?;
        show.begins(this.folder.dir(), &this.steps.load, this.rows.len());
        Ok(this)
    }

    /// Takes in the steps of a search that is resumed.
    fn replay(&mut self, rows: Vec<CapacityRow>) -> Result<(), Refusal> {
        for row in rows {
            let verdict = match row.verdict {
                report::Verdict::Pass => Verdict::Pass,
                report::Verdict::Fail => Verdict::Fail,
                _ => Verdict::Invalid,
            };
            if !matches!(self.search.next(), Next::Try(load) if search::is_same(load, row.offered)) {
                let why = format!("step {} of capacity.csv does not belong to this search", row.step);
                return Err((exit::ERROR, format!("failed to resume: {why}; begin a new one in another folder")));
            }
            self.search.record(verdict);
            self.rows.push(row);
        }
        Ok(())
    }

    fn conduct(mut self, show: &Show) -> u8 {
        let ending = match runtime() {
            Ok(runtime) => {
                let ending = runtime.block_on(self.run(show));
                // Certificates that nobody waits for any more may still be in the making.
                runtime.shutdown_background();
                ending
            }
            Err(error) => Ending::Error(format!("failed to start the runtime: {error}")),
        };
        let written = self.write(Some(&ending));
        let code = self.record.exit_code.unwrap_or(exit::ERROR);
        if let Err(error) = written {
            show.complain(&format!("failed to {error}"));
            return exit::ERROR;
        }
        if self.record.result == CapacityEnd::Error {
            show.complain(&self.record.text);
        }
        show.concludes(&self.record, &self.rows, &self.steps.load, self.folder.dir(), code)
    }

    async fn run(&mut self, show: &Show) -> Ending {
        let begun = clock::mono();
        let mut stop = match StopRequests::listen(None) {
            Ok(stop) => stop,
            Err(error) => return Ending::Error(format!("failed to listen for signals: {error}")),
        };
        loop {
            let offered = match self.search.next() {
                Next::Try(offered) => offered,
                Next::End(found) => return Ending::Found(found),
            };
            if stop.is_asked().await {
                return Ending::Interrupted;
            }
            match self.step(offered, begun, show).await {
                Ok(None) => {}
                Ok(Some(ending)) => return ending,
                Err(why) => return Ending::Error(why),
            }
        }
    }

    /// One step; the end of the search, where that is what it is.
    async fn step(&mut self, offered: f64, begun: Mono, show: &Show) -> Result<Option<Ending>, String> {
        let step = self.rows.len() as u32 + 1;
        let load = &self.steps.load;
        let (plan, measure) = self.steps.plan(step, offered).map_err(|problems| {
            let first = problems.iter().next().map(|problem| problem.message.clone()).unwrap_or_default();
            format!("the scenario does not take {} = {}: {first}", load.path, load.setting(offered))
        })?;
        let lasts = self.steps.lasts(&plan);
        if self.max_time.is_some_and(|max| clock::mono().since(begun) + lasts > max) {
            return Ok(Some(Ending::OutOfTime));
        }
        let title = format!("step {step}: {}", standing(load, offered, self.search.bounds()));
        show.step_begins(step, offered, load, &title, lasts);
        let options = RunOptions {
            plan,
            out: Some(self.folder.step_dir(step).map_err(|error| format!("failed to {error}"))?),
            certs: self.certs.clone(),
            ui: show::of_steps(self.ui),
            shards: self.shards,
            title: Some(title),
            shard: None,
            led: None,
            step: Some(measure),
            jobs_afterwards: JobsAfterwards::Deleted,
            outlets: Outlets::default(),
        };
        let ran = run_step(options).await?;
        if ran.manifest.verdict == report::Verdict::Interrupted {
            return Ok(Some(Ending::Interrupted));
        }
        let facts =
            StepFacts { step, load, offered, operation: self.operation, quotas: self.quotas.as_ref(), is_paced: self.is_paced };
        let (thresholds, findings) = (&ran.manifest.thresholds, &ran.manifest.findings);
        let judged = ran
            .measured
            .as_ref()
            .and_then(|measured| judge(&facts, &StepEnd { verdict: ran.manifest.verdict, thresholds, findings, measured }));
        let Some((verdict, row)) = judged else {
            return Err(ran.failures.first().cloned().unwrap_or_else(|| "the run has no result".into()));
        };
        show.step_ends(&row, load, self.operation);
        self.search.record(verdict);
        self.rows.push(row);
        self.write(None).map_err(|error| format!("failed to {error}"))?;
        // What was to be on stdout is not there: nobody would hear of the rest.
        ran.failures.first().map_or(Ok(None), |lost| Err(lost.clone()))
    }

    /// Writes how the search stands, or how it ended.
    fn write(&mut self, ending: Option<&Ending>) -> Result<(), ReportError> {
        let load = &self.steps.load;
        let bounds = self.search.bounds();
        let tally = bounds.holds.map(|holds| self.search.tally(holds)).unwrap_or_default();
        let at = |verdict| move |row: &&CapacityRow| row.verdict == verdict;
        let is_lowest = |row: &&CapacityRow| bounds.fails.is_some_and(|fails| search::is_same(fails, row.offered));
        let failed = self.rows.iter().filter(at(report::Verdict::Fail)).rfind(is_lowest);
        let is_at_highest = matches!(ending, Some(Ending::Found(Found::Knee { fails: None, .. })));
        let quota = self.ceiling.as_ref().filter(|_| is_at_highest).and_then(|ceiling| ceiling.quota.as_deref());
        let breaks_first = failed.and_then(|row| row.reason.as_deref()).or(quota);
        let invalid = self.rows.last().filter(at(report::Verdict::Invalid)).and_then(|row| row.reason.as_deref());
        let findings =
            Findings { load, bounds, tally, breaks_first, invalid, ceiling: self.ceiling.as_ref().map(|ceiling| &*ceiling.why) };
        let interval = (tally.trials > 0).then(|| tally.interval());
        self.record = CapacityRecord {
            result: ending.map_or(CapacityEnd::Running, |ending| ending.result(bounds)),
            exit_code: ending.map(|ending| exit_code(ending.result(bounds))),
            text: ending.map_or_else(String::new, |ending| ending.text(&findings)),
            holds: bounds.holds,
            setting: bounds.holds.map(|holds| load.setting(holds)),
            fails: bounds.fails,
            trials: tally.trials,
            passes: tally.passes,
            pass_share_low: interval.map(|interval| interval.0),
            pass_share_high: interval.map(|interval| interval.1),
            breaks_first: breaks_first.map(str::to_owned),
            steps: self.rows.len(),
            finished_at: ending.map(|_| rfc3339()),
            ..self.record.clone()
        };
        self.folder.write(&self.record, &self.rows)
    }
}

fn exit_code(result: CapacityEnd) -> u8 {
    match result {
        CapacityEnd::Knee | CapacityEnd::LowerBound => exit::PASS,
        CapacityEnd::NothingPasses => exit::FAIL,
        CapacityEnd::GeneratorBound => exit::INVALID,
        CapacityEnd::Interrupted => exit::INTERRUPTED,
        CapacityEnd::OutOfTime | CapacityEnd::Error | CapacityEnd::Running => exit::ERROR,
    }
}

/// The value at the path as a load, and the source that it can be set in.
fn find_load(source: &Source, plan: &Plan, path: &str) -> Result<(Source, Load), String> {
    let (value, source) = source.value_at(plan, path)?;
    let written = match &value {
        Value::Integer(value) => Written::Integer(*value),
        Value::Float(value) => Written::Number(*value),
        Value::String(text) => Written::Text(text),
        other => Written::Other(other.kind()),
    };
    Ok((source, Load::new(path, &written, plan)?))
}

fn first_record(plan: &Plan, load: &Load, operation: Operation, question: Question) -> CapacityRecord {
    CapacityRecord {
        name: plan.name.clone(),
        mode: "capacity".into(),
        result: CapacityEnd::Running,
        exit_code: None,
        text: String::new(),
        holds: None,
        setting: None,
        fails: None,
        trials: 0,
        passes: 0,
        pass_share_low: None,
        pass_share_high: None,
        breaks_first: None,
        unit: load.unit(),
        operation: operation.as_str().into(),
        steps: 0,
        seed: plan.seed,
        version: env!("CARGO_PKG_VERSION").into(),
        started_at: rfc3339(),
        finished_at: None,
        question,
        scenario: plan.to_json(),
    }
}

fn place(plan: &Plan, out: Option<PathBuf>, resume: bool) -> Result<PathBuf, Refusal> {
    match out {
        Some(out) => Ok(out),
        None if resume => Err((exit::USAGE, "--resume needs --out DIR, the folder of the search to go on with".into())),
        None => match results_root() {
            Ok(root) => Ok(root.join(format!("{}-capacity-{}", plan.name, stamp()))),
            Err(error) => Err((exit::ERROR, format!("failed to {error}"))),
        },
    }
}

/// A new folder, or that of a search to go on with, whose question has to be the same.
fn open(
    dir: &Path,
    record: CapacityRecord,
    notes: PlotNotes,
    resume: bool,
) -> Result<(CapacityFolder, CapacityRecord, Vec<CapacityRow>), Refusal> {
    if !resume {
        let folder = CapacityFolder::create(dir, notes).map_err(|error| {
            let code = if matches!(error, ReportError::NotEmpty { .. }) { exit::USAGE } else { exit::ERROR };
            (code, format!("failed to {error}; --resume goes on with a search"))
        })?;
        return Ok((folder, record, Vec::new()));
    }
    let (folder, found, rows) =
        CapacityFolder::open(dir, notes).map_err(|error| (exit::USAGE, format!("failed to resume: failed to {error}")))?;
    let differences = found.question.differences(&record.question);
    if !differences.is_empty() {
        let why = format!("{} is of another search: {}", dir.display(), differences.join("; "));
        return Err((exit::USAGE, format!("failed to resume: {why}")));
    }
    Ok((folder, CapacityRecord { started_at: found.started_at, ..record }, rows))
}

/// The limit that the plot shows.
fn plot_notes(plan: &Plan, operation: Operation) -> PlotNotes {
    let limit_ms = plan.thresholds.iter().find_map(|threshold| match (threshold.metric, threshold.check.comparison) {
        (Metric::Latency(of, Measure::Response, Statistic::P99), Comparison::Below | Comparison::AtMost) if of == operation => {
            Some(threshold.check.limit)
        }
        _ => None,
    });
    PlotNotes { limit_ms }
}

/// The quotas of the endpoint, where they are known: for an account those that it has by default.
fn known_quotas(plan: &Plan) -> Option<Quotas> {
    match &plan.target {
        TargetPlan::Emulator(emulator) => emulator.endpoint.quotas.load().ok(),
        TargetPlan::Aws(_) => QuotasChoice::Aws.load().ok(),
        TargetPlan::Mqtt(_) => None,
    }
}
