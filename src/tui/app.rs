//! What the dashboard shows, as plain values: no terminal, no clock, no channel.

use super::finder::Finder;
use super::model::Model;
use super::theme::Theme;
use crate::inspect::{Card, Question, Reply};
use crate::roster::Things;
use crate::slice::Slice;
use iot_jobs::JobId;
use load_metrics::Phase;
use load_metrics::{ErrorKey, ErrorTally, ExecutionStage, Measure, Operation, OperationRow, RolloutRow, ScopeName, Snapshot};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use strum::{IntoStaticStr, VariantArray, VariantNames};

/// Lines of the log kept for its pane.
const LOG_MAX: usize = 500;
/// Things with the most errors that are shown.
pub const MOST_HIT: usize = 20;
/// Time windows of the charts, in seconds.
pub const WINDOWS: [u64; 9] = [30, 60, 120, 300, 600, 1_800, 3_600, 6 * 3_600, 24 * 3_600];

/// What the dashboard must know of a run besides its seconds.
#[derive(Clone, Debug)]
pub struct RunInfo {
    pub name: String,
    pub seed: u64,
    /// Of the whole fleet.
    pub things: Arc<Things>,
    /// What this process drives of it.
    pub slice: Slice,
    pub shards: usize,
    /// Processes that drive its things for this one; 0 where it does so itself.
    pub workers: usize,
    pub cores: u64,
    /// Descriptors this process may have open.
    pub descriptors_max: u64,
    /// When the run ends, in words.
    pub end: String,
    /// How long it lasts, where that is what ends it.
    pub duration: Option<Duration>,
    /// The results folder.
    pub results: String,
    /// Executions a minute that a job is rolled out at.
    pub rates: BTreeMap<JobId, u32>,
    /// Of a run that is one of several: which one, and how they stand.
    pub title: Option<String>,
}

impl RunInfo {
    /// How many things this process drives.
    #[must_use]
    pub fn things_driven(&self) -> u64 {
        self.slice.things(self.things.names.len() as u64)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoStaticStr, VariantArray)]
pub enum Tab {
    #[default]
    Overview,
    Latency,
    #[strum(serialize = "Rollouts")]
    Rollouts,
    Errors,
    Things,
    Workers,
}

/// A worker of the run, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerRow {
    pub slice: u32,
    pub hostname: String,
    /// How it stands, in a word.
    pub state: &'static str,
    /// Whether it is one of those that the run counts on, or that have ended.
    pub is_here: bool,
    pub connected: u64,
    /// To and from the endpoint.
    pub messages_per_s: u64,
    /// CPU time of its busiest thread, as a share of a core.
    pub busy: f64,
    /// Of the last second, p99.
    pub lateness_ms: Option<f64>,
    /// The last second that it told of.
    pub second: Option<u64>,
    /// The leader's clock less its own.
    pub clock_offset_ms: f64,
    pub clock_uncertainty_ms: f64,
}

impl Tab {
    #[must_use]
    pub fn title(self) -> &'static str {
        self.into()
    }

    /// What its table can be sorted by.
    #[must_use]
    pub fn sorts(self) -> &'static [&'static str] {
        match self {
            Self::Latency => words_of::<SortOperations>(),
            Self::Rollouts => words_of::<SortRollouts>(),
            Self::Errors => words_of::<SortErrors>(),
            Self::Things => words_of::<SortThings>(),
            Self::Workers => words_of::<SortWorkers>(),
            Self::Overview => &[],
        }
    }

    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// Each table has sort keys of its own, so that who sorts it has to say what each of them means.
#[derive(Clone, Copy, VariantArray, VariantNames)]
#[strum(serialize_all = "lowercase")]
enum SortOperations {
    Operation,
    Count,
    P99,
}

#[derive(Clone, Copy, VariantArray, VariantNames)]
#[strum(serialize_all = "lowercase")]
enum SortRollouts {
    Start,
    Done,
    Failed,
}

#[derive(Clone, Copy, VariantArray, VariantNames)]
#[strum(serialize_all = "lowercase")]
enum SortErrors {
    Count,
    Rate,
    #[strum(serialize = "last seen")]
    LastSeen,
}

#[derive(Clone, Copy, VariantArray, VariantNames)]
#[strum(serialize_all = "lowercase")]
enum SortThings {
    Name,
    Errors,
}

#[derive(Clone, Copy, VariantArray, VariantNames)]
#[strum(serialize_all = "lowercase")]
enum SortWorkers {
    Slice,
    Lateness,
    Busy,
}

fn words_of<S: VariantNames>() -> &'static [&'static str] {
    S::VARIANTS
}

/// What lies over the panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlay {
    Help,
    /// Really abort?
    Question,
}

/// How the run stands, as far as keys are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    Preparing,
    Running,
    /// It was asked to stop, and drains.
    Stopping,
    Finished(Conclusion),
}

/// How a run went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion {
    pub verdict: &'static str,
    pub exit_code: u8,
    pub findings: Vec<String>,
}

/// Something long before the run begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub what: &'static str,
    pub done: u64,
    pub of: u64,
    /// Since it began.
    pub elapsed: Duration,
}

pub struct App {
    pub run_info: RunInfo,
    pub theme: Theme,
    pub tab: Tab,
    pub overlay: Option<Overlay>,
    pub shows_log: bool,
    pub state: RunState,
    live: Model,
    /// What is shown instead of the live values.
    frozen: Option<Box<Model>>,
    pub log: VecDeque<String>,
    pub steps: Vec<Step>,
    /// Index into [`WINDOWS`]; `None`: the whole run.
    pub window: Option<usize>,
    /// `None`: the one [`Model::telling_operation`] names.
    pub operation: Option<Operation>,
    pub measure: Measure,
    /// Selected row by tab.
    pub selected: [usize; Tab::VARIANTS.len()],
    /// Index into [`Tab::sorts`] by tab.
    pub sorts: [usize; Tab::VARIANTS.len()],
    pub finder: Finder,
    pub most_hit: Vec<Card>,
    /// Those of a run that has workers, by slice.
    pub workers: Vec<WorkerRow>,
    /// The shards do not answer questions, or not any more.
    pub unanswered: bool,
    /// When the last screen goes, where nobody has touched a key.
    pub leaves_in_s: Option<u64>,
}

impl App {
    #[must_use]
    pub fn new(run_info: RunInfo, theme: Theme) -> Self {
        let finder = Finder::new(Arc::clone(&run_info.things.names), run_info.slice);
        // Things of workers are too far away to be asked.
        let unanswered = run_info.workers > 0;
        Self {
            run_info,
            theme,
            tab: Tab::Overview,
            overlay: None,
            shows_log: false,
            state: RunState::Preparing,
            live: Model::default(),
            frozen: None,
            log: VecDeque::new(),
            steps: Vec::new(),
            window: None,
            operation: None,
            measure: Measure::Response,
            selected: [0; Tab::VARIANTS.len()],
            sorts: [0; Tab::VARIANTS.len()],
            finder,
            most_hit: Vec::new(),
            workers: Vec::new(),
            unanswered,
            leaves_in_s: None,
        }
    }

    // ------------------------------------------------------------------------------------------------- what comes in

    pub fn second(&mut self, snapshot: Arc<Snapshot>) {
        if self.state == RunState::Preparing {
            self.state = RunState::Running;
        }
        if snapshot.phase == Phase::Drain && self.state == RunState::Running {
            self.state = RunState::Stopping;
        }
        self.live.take(snapshot);
    }

    pub fn log(&mut self, line: String) {
        if self.log.len() == LOG_MAX {
            self.log.pop_front();
        }
        self.log.push_back(line);
    }

    pub fn step(&mut self, step: Step) {
        match self.steps.iter_mut().find(|known| known.what == step.what) {
            Some(known) => *known = step,
            None => self.steps.push(step),
        }
    }

    pub fn finished(&mut self, conclusion: Conclusion) {
        if self.overlay == Some(Overlay::Question) {
            self.overlay = None;
        }
        self.state = RunState::Finished(conclusion);
    }

    // --------------------------------------------------------------------------------------------------- what is shown

    /// What the panels read.
    #[must_use]
    pub fn model(&self) -> &Model {
        self.frozen.as_deref().unwrap_or(&self.live)
    }

    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    pub fn toggle_freeze(&mut self) {
        self.frozen = if self.is_frozen() { None } else { Some(Box::new(self.live.clone())) };
    }

    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.state, RunState::Finished(_))
    }

    /// Seconds the charts show; `None`: the whole run.
    #[must_use]
    pub fn window_s(&self) -> Option<u64> {
        self.window.map(|window| WINDOWS[window])
    }

    /// The operation that the latency charts show.
    #[must_use]
    pub fn chosen_operation(&self) -> Operation {
        self.operation.unwrap_or_else(|| self.model().telling_operation())
    }

    #[must_use]
    pub fn sort(&self) -> &'static str {
        self.tab.sorts().get(self.sorts[self.tab.index()]).copied().unwrap_or("")
    }

    /// `S` are the sort keys of the tab.
    fn sort_of<S: Copy + VariantArray>(&self, tab: Tab) -> S {
        S::VARIANTS[self.sorts[tab.index()]]
    }

    /// The operations over the run, as the table of latencies lists them.
    #[must_use]
    pub fn operations(&self) -> Vec<&OperationRow> {
        let Some(snapshot) = &self.model().snapshot else { return Vec::new() };
        let mut rows: Vec<&OperationRow> = snapshot.totals.iter().filter(|row| row.scope == ScopeName::All).collect();
        let p99 = |row: &OperationRow| row.response.or(row.service).map_or(0.0, |latency| latency.p99);
        match self.sort_of::<SortOperations>(Tab::Latency) {
            SortOperations::Operation => {}
            SortOperations::Count => rows.sort_by_key(|row| std::cmp::Reverse(row.counts.finished())),
            SortOperations::P99 => rows.sort_by(|a, b| p99(b).total_cmp(&p99(a))),
        }
        rows
    }

    /// The jobs, with their places in a slot of the history.
    #[must_use]
    pub fn rollouts(&self) -> Vec<(usize, &RolloutRow)> {
        let Some(snapshot) = &self.model().snapshot else { return Vec::new() };
        let mut rows: Vec<_> = snapshot.rollouts.iter().enumerate().collect();
        match self.sort_of::<SortRollouts>(Tab::Rollouts) {
            SortRollouts::Start => {}
            SortRollouts::Done => {
                rows.sort_by(|a, b| b.1.done_share().unwrap_or(0.0).total_cmp(&a.1.done_share().unwrap_or(0.0)));
            }
            SortRollouts::Failed => rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.counts.get(ExecutionStage::Failed))),
        }
        rows
    }

    /// The kinds of errors with their rates per second.
    #[must_use]
    pub fn errors(&self) -> Vec<(&ErrorKey, &ErrorTally, f64)> {
        let model = self.model();
        let Some(snapshot) = &model.snapshot else { return Vec::new() };
        let mut rows: Vec<_> = snapshot.errors.iter().map(|(key, tally)| (key, tally, model.error_rate(key))).collect();
        match self.sort_of::<SortErrors>(Tab::Errors) {
            SortErrors::Count => rows.sort_by_key(|(_, tally, _)| std::cmp::Reverse(tally.count)),
            SortErrors::Rate => rows.sort_by(|a, b| b.2.total_cmp(&a.2)),
            SortErrors::LastSeen => rows.sort_by_key(|(_, tally, _)| std::cmp::Reverse(tally.last)),
        }
        rows
    }

    /// The tabs that this run has.
    #[must_use]
    pub fn tabs(&self) -> &'static [Tab] {
        let all = Tab::VARIANTS;
        if self.run_info.workers > 0 { all } else { &all[..all.len() - 1] }
    }

    /// The workers as their table lists them.
    #[must_use]
    pub fn sorted_workers(&self) -> Vec<&WorkerRow> {
        let mut rows: Vec<&WorkerRow> = self.workers.iter().collect();
        match self.sort_of::<SortWorkers>(Tab::Workers) {
            SortWorkers::Slice => {}
            SortWorkers::Lateness => {
                rows.sort_by(|a, b| b.lateness_ms.unwrap_or(0.0).total_cmp(&a.lateness_ms.unwrap_or(0.0)));
            }
            SortWorkers::Busy => rows.sort_by(|a, b| b.busy.total_cmp(&a.busy)),
        }
        rows
    }

    /// Workers that are there.
    #[must_use]
    pub fn workers_here(&self) -> usize {
        self.workers.iter().filter(|row| row.is_here).count()
    }

    /// Rows of the present tab's table.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self.tab {
            Tab::Latency => self.operations().len(),
            Tab::Rollouts => self.rollouts().len(),
            Tab::Errors => self.errors().len(),
            Tab::Things => self.finder.found().len(),
            Tab::Workers => self.workers.len(),
            Tab::Overview => 0,
        }
    }

    // ------------------------------------------------------------------------------------------- what is asked of shards

    /// What the present screen needs to know of single things.
    #[must_use]
    pub fn questions(&self) -> Vec<Question> {
        if self.is_frozen() {
            return Vec::new();
        }
        match self.tab {
            Tab::Errors => vec![Question::MostHit(MOST_HIT)],
            Tab::Things => {
                let is_by_errors = match self.sort_of::<SortThings>(Tab::Things) {
                    SortThings::Name => false,
                    SortThings::Errors => true,
                };
                self.finder.questions(self.selected[Tab::Things.index()], is_by_errors)
            }
            _ => Vec::new(),
        }
    }

    pub fn answered(&mut self, question: &Question, reply: Reply) {
        self.unanswered = false;
        if *question == Question::MostHit(MOST_HIT) {
            self.most_hit = reply.cards;
        } else {
            self.finder.answered(question, reply);
        }
        self.keep_selection();
    }

    /// Rows come and go; the selected one is always one of them.
    pub fn keep_selection(&mut self) {
        let last = self.rows().saturating_sub(1);
        let selected = &mut self.selected[self.tab.index()];
        *selected = (*selected).min(last);
    }
}
