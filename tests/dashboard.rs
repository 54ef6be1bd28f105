//! Panels on a test backend: what each screen looks like for a full fleet, an empty one, a failing one and a finished one, at three
//! sizes; what keys do; and what is true at any size.

use fleetsim::inspect::{Card, Message, Question, Reply, What};
use fleetsim::roster::Things;
use fleetsim::slice::Slice;
use fleetsim::tui::app::{App, Conclusion, Overlay, RunInfo, RunState, Step, Tab, WorkerRow};
use fleetsim::tui::input::action;
use fleetsim::tui::theme::Theme;
use fleetsim::tui::update::{Command, mode, update};
use fleetsim::tui::view::render;
use iot_jobs::instant::Mono;
use iot_jobs::{ErrorCode, ExecutionStatus, JobId, RequestKind, ThingName};
use load_metrics::ExecutionStage::{Canceled, Failed, InProgress, Notified, Queued, Rejected, Removed, Succeeded, TimedOut};
use load_metrics::Phase;
use load_metrics::{
    Breach, Cause, Check, Counts, ErrorKey, ErrorKind, ErrorTally, EventRow, Excess, Histogram, Latency, Measure, Metered, Metric,
    Operation, OperationRow, ProcessUsage, Resolution, RolloutRow, ScopeName, Snapshot, StageCounts, TaggedTimes, Threshold,
    ThresholdRow,
};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use strum::VariantArray;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];
const ORIGIN: Mono = Mono(5_000_000_000);

fn at(ms: u64) -> Mono {
    ORIGIN + Duration::from_millis(ms)
}

// ---------------------------------------------------------------------------------------------------------- made-up fleets

fn app(name: &str, things: usize) -> App {
    let run_info = RunInfo {
        name: name.into(),
        seed: 42,
        things: Arc::new(Things {
            names: (0..things).map(|n| ThingName::new(&format!("sim-{n:06}")).unwrap()).collect(),
            cohorts: (0..things).map(|n| u16::from(n % 10 == 0)).collect(),
            cohort_names: vec!["healthy".into(), "slow".into()],
        }),
        slice: Slice::WHOLE,
        shards: 2,
        workers: 0,
        cores: 2,
        descriptors_max: 20_000,
        end: "executions done, 5m at most".into(),
        duration: None,
        results: "results/latest".into(),
        rates: BTreeMap::from([(JobId::new("fw-2-4-1").unwrap(), 12_000)]),
        title: None,
    };
    App::new(run_info, Theme { has_colour: true })
}

fn nothing(t_s: u64, things: u64) -> Snapshot {
    Snapshot {
        t_s,
        span_s: 1,
        origin: ORIGIN,
        phase: Phase::Connect,
        things,
        connected: 0,
        connects_per_s: 0,
        messages_in_per_s: 0,
        messages_out_per_s: 0,
        messages_in: 0,
        messages_out: 0,
        metered: Metered::default(),
        executions: StageCounts::new(true),
        rollouts: Vec::new(),
        second: Vec::new(),
        totals: Vec::new(),
        lateness: None,
        lateness_total: None,
        generator: Some(ProcessUsage { cpu_share: 0.01, cpu_seconds: 0.1, rss_bytes: 21_000_000, descriptors: 34 }),
        endpoint: Some(ProcessUsage { cpu_share: 0.0, cpu_seconds: 0.1, rss_bytes: 13_000_000, descriptors: 12 }),
        errors: BTreeMap::new(),
        closed: Vec::new(),
        anomalies: BTreeMap::new(),
        thresholds: Vec::new(),
        events: Vec::new(),
        breaches: Vec::new(),
        storm: None,
        busy: vec![0.1, 0.2],
        times: Vec::new(),
        intervals_lost: 0,
        events_lost: 0,
        beyond: 0,
        saturated: 0,
    }
}

fn latency(p50: f64) -> Latency {
    Latency { mean: p50, p50, p90: p50 * 2.0, p95: p50 * 3.0, p99: p50 * 5.0, p999: p50 * 20.0, max: p50 * 31.0 }
}

fn row(operation: Operation, ok: u64, timeout: u64, p50: f64) -> OperationRow {
    let counts = Counts { started: ok + timeout, ok, timeout, ..Counts::default() };
    let times = Some(latency(p50));
    let response = if operation.has_response() { Some(latency(p50 * 1.5)) } else { None };
    OperationRow { scope: ScopeName::All, operation, counts, open: 0, since_s: 0, service: times, response }
}

/// So many values around `p50_us`, the same ones for the same second.
fn times(operation: Operation, measure: Measure, count: u64, p50_us: u64) -> TaggedTimes {
    let mut histogram = Histogram::new(Resolution::of(operation, false));
    for n in 0..count {
        let spread = 1 + (n * 7_919 % 97) / 40 + if n % 50 == 49 { 20 } else { 0 };
        histogram.record(Duration::from_micros(p50_us * spread + n % 13));
    }
    TaggedTimes { scope: ScopeName::All, operation, measure, distribution: histogram.take() }
}

fn job(name: &str, targets: u64, counts: StageCounts) -> RolloutRow {
    RolloutRow {
        job: JobId::new(name).unwrap(),
        targets: Some(targets),
        created: None,
        counts,
        repeated: 0,
        seconds_to: [Some(31.2), None, None, None],
    }
}

fn threshold(metric: &str, check: &str, value: Option<f64>) -> ThresholdRow {
    let (metric, check) = (Metric::parse(metric).unwrap(), Check::parse(check).unwrap());
    ThresholdRow { threshold: Threshold { metric, check, over: None, phase: None, cohort: None }, value }
}

/// 10,000 things connect within 20 s and roll out two jobs.
fn full_second(t_s: u64) -> Snapshot {
    let connected = (t_s * 500).min(10_000);
    let queued_so_far = t_s.saturating_sub(20).min(45) * 200;
    let ended = t_s.saturating_sub(32).min(40) * 220;
    let failed = ended / 50;
    let counts = StageCounts::of(
        true,
        [
            (Notified, queued_so_far.saturating_sub(ended).min(180)),
            (InProgress, queued_so_far.saturating_sub(ended).saturating_sub(180)),
            (Succeeded, ended - failed),
            (Failed, failed),
        ],
    );
    let wave = 1_000 + 40 * (t_s % 7);
    let times = [Operation::Connect, Operation::StartNext, Operation::Update].into_iter().flat_map(|operation| {
        let busy = if operation == Operation::Connect { t_s <= 20 } else { t_s > 20 };
        let count = if busy { 200 } else { 0 };
        [times(operation, Measure::Service, count, 80 + t_s), times(operation, Measure::Response, count, 110 + 9 * (t_s % 11))]
    });
    let rest = StageCounts::of(true, [(InProgress, 12), (Succeeded, 388)]);
    Snapshot {
        phase: if t_s <= 20 { Phase::Connect } else { Phase::Rollout },
        connected,
        connects_per_s: if t_s <= 20 { 500 } else { 0 },
        messages_in_per_s: wave * 4 / 3,
        messages_out_per_s: wave,
        messages_in: wave * t_s * 4 / 3,
        messages_out: wave * t_s,
        executions: counts,
        rollouts: if t_s > 20 { vec![job("fw-2-4-1", 10_000, counts), job("config-7", 400, rest)] } else { Vec::new() },
        totals: vec![
            row(Operation::Connect, connected, 0, 0.62),
            row(Operation::ConnectTls, connected, 0, 0.40),
            row(Operation::Subscribe, connected, 0, 0.03),
            row(Operation::StartNext, 15_358, 0, 0.04),
            row(Operation::Update, 14_308 + t_s, 0, 0.08),
            row(Operation::NotifyNext, 5_578, 0, 1.0),
            row(Operation::Execution, ended, 0, 15_100.0),
            row(Operation::Puback, 29_666, 0, 0.04),
        ],
        times: times.filter(|times| !times.distribution.is_empty()).collect(),
        lateness: Some(latency(0.03)),
        lateness_total: Some(latency(0.04)),
        generator: Some(ProcessUsage { cpu_share: 0.21, cpu_seconds: 9.5, rss_bytes: 155_000_000, descriptors: 10_034 }),
        endpoint: Some(ProcessUsage { cpu_share: 0.15, cpu_seconds: 5.9, rss_bytes: 162_000_000, descriptors: 10_020 }),
        ..nothing(t_s, 10_000)
    }
}

fn cards(positions: impl IntoIterator<Item = u32>) -> Vec<Card> {
    let card = |position: u32| {
        let mut card = Card::new(position);
        let start = u64::from(position) * 2;
        card.note(at(start), What::Connecting);
        card.note(at(start + 1), What::Connected);
        card.note(at(start + 1), What::Asked(RequestKind::StartNext));
        card.note(at(start + 2), What::Accepted(RequestKind::StartNext));
        if !position.is_multiple_of(3) {
            card.note(at(30_000 + start), What::Notified(JobId::new("fw-2-4-1").unwrap(), 1));
        }
        if position % 3 > 1 {
            card.note(at(31_000 + start), What::Started(JobId::new("fw-2-4-1").unwrap(), 1));
            card.note(at(32_000 + start), What::Asked(RequestKind::Update));
            card.note(at(32_001 + start), What::Refused(RequestKind::Update, ErrorCode::VersionMismatch));
        }
        card
    };
    positions.into_iter().map(card).collect()
}

fn answer_cards(app: &mut App) {
    for question in [Question::Cards((0..60).collect()), Question::MostHit(20)] {
        let cards = if question == Question::MostHit(20) { cards([2, 5, 8]) } else { cards(0..60) };
        app.answered(&question, Reply { cards, ..Reply::default() });
    }
}

fn full() -> App {
    let mut app = app("10k", 10_000);
    (1..=48).for_each(|t_s| app.second(Arc::new(full_second(t_s))));
    answer_cards(&mut app);
    app
}

fn empty() -> App {
    let mut app = app("empty", 0);
    (1..=3).for_each(|t_s| app.second(Arc::new(Snapshot { phase: Phase::Steady, ..nothing(t_s, 0) })));
    app
}

/// Half of the things are refused, answers stay out, the generator is late and loses samples.
fn failing() -> App {
    let mut app = app("failing", 1_000);
    let tally = |count: u64, last_s: u64, example: &str| ErrorTally {
        count,
        first: at(1_000),
        last: at(last_s * 1_000),
        example: example.into(),
        last_example: format!("{example} again"),
    };
    for t_s in 1..=40 {
        let errors = BTreeMap::from([
            (
                ErrorKey { operation: Operation::Connect, kind: ErrorKind::Tcp, code: "connection_refused" },
                tally(812 * t_s, t_s, "sim-000017: Connection refused (os error 111)"),
            ),
            (
                ErrorKey { operation: Operation::Update, kind: ErrorKind::Timeout, code: "no_answer" },
                tally(3 * t_s, 30, "sim-000002"),
            ),
            (
                ErrorKey { operation: Operation::Update, kind: ErrorKind::Rejected, code: "VersionMismatch" },
                tally(1, 4, "sim-000003"),
            ),
        ]);
        let counts = StageCounts::of(true, [(Queued, 400), (InProgress, 90), (Failed, 300), (TimedOut, 7), (Rejected, 3)]);
        app.second(Arc::new(Snapshot {
            phase: if t_s < 10 { Phase::Connect } else { Phase::Rollout },
            connected: 500,
            executions: counts,
            rollouts: vec![job("fw-2-4-1", 800, counts)],
            totals: vec![row(Operation::Connect, 500, 4_321, 2_500.0), row(Operation::Update, 900, 3 * t_s, 812.0)],
            times: vec![
                times(Operation::Update, Measure::Service, 30, 300_000),
                times(Operation::Update, Measure::Response, 30, 900_000),
            ],
            thresholds: vec![
                threshold("connect.response_ms.p99", "< 2000", Some(8_123.0)),
                threshold("executions.lost", "== 0", None),
                threshold("executions.succeeded_share", "> 0.95", Some(0.977_31)),
            ],
            breaches: vec![Breach {
                excess: Excess::Late { p99: 45.0, limit: 10.0 },
                cause: Cause::Shard { shard: 1, share: 0.99, shards: 2, cores: 2 },
                phase: Phase::Rollout,
                until_s: 20,
            }],
            busy: vec![0.98, 0.99],
            lateness: Some(latency(9.0)),
            lateness_total: Some(latency(8.0)),
            errors,
            intervals_lost: 2,
            generator: Some(ProcessUsage { cpu_share: 1.98, cpu_seconds: 80.0, rss_bytes: 1_240_000_000, descriptors: 19_990 }),
            endpoint: None,
            ..nothing(t_s, 1_000)
        }));
    }
    answer_cards(&mut app);
    app
}

fn finished() -> App {
    let mut app = full();
    (49..=75).for_each(|t_s| app.second(Arc::new(full_second(t_s))));
    let counts = StageCounts::of(true, [(Succeeded, 9_779), (Failed, 158), (Rejected, 63)]);
    let last = Snapshot {
        phase: Phase::Done,
        connected: 0,
        executions: counts,
        rollouts: vec![RolloutRow {
            seconds_to: [Some(40.0), Some(60.3), Some(66.9), Some(70.1)],
            ..job("fw-2-4-1", 10_000, counts)
        }],
        ..full_second(76)
    };
    app.second(Arc::new(last));
    app.finished(Conclusion { verdict: "PASS", exit_code: 0, findings: vec!["something a reader should know".into()] });
    answer_cards(&mut app);
    app
}

/// A fleet whose endpoint shows no ledger.
fn without_a_ledger() -> App {
    let mut app = app("an endpoint of others", 10);
    let counts = StageCounts::of(false, [(Notified, 2), (InProgress, 3), (Succeeded, 4), (Removed, 1)]);
    app.second(Arc::new(Snapshot {
        phase: Phase::Rollout,
        executions: counts,
        rollouts: vec![job("fw-2-4-1", 10, counts)],
        endpoint: None,
        ..nothing(5, 10)
    }));
    app
}

// ---------------------------------------------------------------------------------------------------------------- pictures

fn draw(app: &App, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| render(frame, app)).unwrap();
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width.max(1));
    let rows = buffer.content.chunks(width);
    rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned()).collect()
}

fn text(app: &App, size: (u16, u16)) -> String {
    lines(&draw(app, size)).join("\n")
}

/// Every tab at every size.
fn gallery(mut app: App) -> String {
    let mut pictures = Vec::new();
    for tab in app.tabs().iter().copied() {
        update(&mut app, fleetsim::tui::input::Action::Show(tab));
        for (width, height) in SIZES {
            pictures.push(format!("=== {} {width}x{height}\n{}", tab.title(), text(&app, (width, height))));
        }
    }
    pictures.join("\n")
}

#[test]
fn a_full_fleet() {
    insta::assert_snapshot!(gallery(full()));
}

#[test]
fn an_empty_fleet() {
    insta::assert_snapshot!(gallery(empty()));
}

#[test]
fn events_under_way_are_told_on_every_screen() {
    let event = |at_s, affected, back| EventRow {
        kind: "outage",
        at: ORIGIN + Duration::from_secs(at_s),
        lasts: Duration::from_secs(5),
        over: (at_s < 5).then(|| ORIGIN + Duration::from_secs(at_s + 5)),
        affected,
        back,
        failures: 0,
        back_after: None,
        recovery: None,
        peak_connects_per_s: 0,
        peak_attempts_per_s: 0,
        is_done: affected == back,
    };
    let mut app = app("10k", 10_000);
    let events = vec![event(1, 20, 20), event(2, 1_500, 300), event(8, 4_000, 0), event(30, 0, 0)];
    app.second(Arc::new(Snapshot { events, ..nothing(10, 10_000) }));
    for tab in app.tabs().iter().copied() {
        update(&mut app, fleetsim::tui::input::Action::Show(tab));
        let screen = text(&app, SIZES[0]);
        let told: Vec<&str> = screen.lines().filter(|line| line.contains("by it")).map(str::trim).collect();
        assert_eq!(told, ["event 2 (outage): 1,200 things are away by it", "event 3 (outage): 4,000 things are away by it"]);
    }
}

#[test]
fn a_failing_fleet() {
    insta::assert_snapshot!(gallery(failing()));
}

#[test]
fn a_finished_fleet() {
    insta::assert_snapshot!(gallery(finished()));
}

#[test]
fn what_lies_over_the_panels() {
    let mut preparing = app("10k", 10_000);
    preparing.log("certificates: certs/10k".into());
    let step = |what, done| Step { what, done, of: 10_000, elapsed: Duration::from_secs(2) };
    preparing.step(step("thing certificates", 10_000));
    preparing.step(step("registrations", 2_500));
    let mut help = full();
    help.overlay = Some(Overlay::Help);
    let mut question = full();
    (question.state, question.overlay) = (RunState::Stopping, Some(Overlay::Question));
    let mut log = full();
    log.shows_log = true;
    (0..30).for_each(|n| log.log(format!("WARN line {n}")));
    let mut detail = full();
    press(&mut detail, "5 Down Down Enter");
    let messages = [
        (true, "$aws/things/sim-000002/jobs/start-next", r#"{"clientToken":"2-1"}"#),
        (false, "$aws/things/sim-000002/jobs/start-next/accepted", "{\"clientToken\":\"2-1\",\u{1b}[2J\"timestamp\":1}"),
    ];
    let messages =
        messages.map(|(is_out, topic, payload)| Message { at: at(44_000), is_out, topic: topic.into(), payload: payload.into() });
    detail.answered(&Question::Watch(2), Reply { cards: cards([2]), messages: messages.to_vec(), ..Reply::default() });
    let screens = [preparing, help, question, log, detail];
    let pictures: Vec<String> = screens.iter().map(|app| text(app, (80, 24))).collect();
    insta::assert_snapshot!(pictures.join("\n================\n"));
}

#[test]
fn workers_of_a_run_have_a_tab_and_the_overview_counts_them() {
    let mut app = full();
    app.run_info.workers = 3;
    let row = |slice, state, is_here, second| WorkerRow {
        slice,
        hostname: format!("host-{slice}"),
        state,
        is_here,
        connected: 3_333,
        messages_per_s: 1_200,
        busy: 0.25 * f64::from(slice + 1),
        lateness_ms: (slice != 1).then_some(1.5),
        second,
        clock_offset_ms: -0.25,
        clock_uncertainty_ms: 0.05,
    };
    app.workers = vec![row(0, "running", true, Some(59)), row(1, "silent", false, Some(55)), row(2, "running", true, Some(60))];
    let overview = text(&app, (120, 40));
    assert!(overview.contains("2/3 workers"), "{overview}");
    press(&mut app, "Left");
    assert_eq!(app.tab, Tab::Workers);
    press(&mut app, "s s");
    let sizes = [(80, 24), (120, 24)];
    insta::assert_snapshot!(sizes.map(|size| text(&app, size)).join("\n================\n"));
}

// -------------------------------------------------------------------------------------------------------------------- keys

fn press(app: &mut App, keys: &str) -> Vec<Command> {
    let mut commands = Vec::new();
    for key in keys.split(' ') {
        let (modifiers, code) = match key {
            "Down" => (KeyModifiers::NONE, KeyCode::Down),
            "Up" => (KeyModifiers::NONE, KeyCode::Up),
            "Right" => (KeyModifiers::NONE, KeyCode::Right),
            "Left" => (KeyModifiers::NONE, KeyCode::Left),
            "Enter" => (KeyModifiers::NONE, KeyCode::Enter),
            "Esc" => (KeyModifiers::NONE, KeyCode::Esc),
            "Backspace" => (KeyModifiers::NONE, KeyCode::Backspace),
            "Ctrl-C" => (KeyModifiers::CONTROL, KeyCode::Char('c')),
            key => (KeyModifiers::NONE, KeyCode::Char(key.chars().next().unwrap())),
        };
        let action = action(&KeyEvent::new(code, modifiers), mode(app));
        commands.extend(action.and_then(|action| update(app, action)));
    }
    commands.retain(|command| *command != Command::Look);
    commands
}

#[test]
fn stopping_drains_and_the_second_time_asks_before_it_aborts() {
    for key in ["q", "Ctrl-C"] {
        let mut app = full();
        assert_eq!(press(&mut app, key), [Command::Stop]);
        assert_eq!(app.state, RunState::Stopping);
        assert_eq!(press(&mut app, &format!("{key} n")), [], "a question first, and no is an answer");
        assert_eq!(press(&mut app, &format!("{key} y")), [Command::Stop]);
    }
    let mut app = finished();
    assert_eq!(press(&mut app, "2 3 q"), [Command::Leave], "one may look around before");
    for key in ["z", "Enter", "Esc", "Ctrl-C"] {
        assert_eq!(press(&mut finished(), key), [Command::Leave], "{key}");
    }
}

#[test]
fn the_question_goes_away_with_the_run() {
    let mut app = full();
    press(&mut app, "q q");
    assert_eq!(app.overlay, Some(Overlay::Question));
    app.finished(Conclusion { verdict: "INTERRUPTED", exit_code: 105, findings: vec![] });
    assert_eq!((app.overlay, press(&mut app, "q")), (None, vec![Command::Leave]));
}

#[test]
fn a_frozen_display_stands_still_and_the_run_goes_on() {
    let mut app = full();
    press(&mut app, "p");
    let before = text(&app, (120, 40));
    assert!(before.contains("FROZEN") && before.contains("t=48s"));
    (49..=60).for_each(|t_s| app.second(Arc::new(full_second(t_s))));
    assert_eq!(text(&app, (120, 40)), before);
    press(&mut app, "p");
    assert!(text(&app, (120, 40)).contains("t=60s"));
}

#[test]
fn tabs_wrap_around_and_rows_stay_in_range() {
    let mut app = full();
    press(&mut app, "Left");
    assert_eq!(app.tab, Tab::Things, "a run without workers has no tab for them");
    press(&mut app, "6");
    assert_eq!(app.tab, Tab::Things);
    press(&mut app, "Right Right");
    assert_eq!(app.tab, Tab::Latency);
    press(&mut app, "Up Down Down");
    assert_eq!(app.chosen_operation(), Operation::Subscribe);
    press(&mut app, "G Down");
    assert_eq!(app.chosen_operation(), Operation::Puback);
    press(&mut app, "Esc");
    assert_eq!(app.chosen_operation(), Operation::StartNext, "the telling one again");
}

#[test]
fn things_are_found_while_one_types() {
    let mut app = full();
    press(&mut app, "/ 0 4 2");
    assert_eq!((app.tab, app.finder.text.as_str()), (Tab::Things, "042"));
    assert_eq!(app.finder.found().len(), 120, "sim-0042nn, sim-00042n and sim-00n042");
    press(&mut app, "Backspace q Enter");
    assert_eq!((app.finder.text.as_str(), app.finder.found().len()), ("04q", 0));
    press(&mut app, "Esc");
    assert_eq!(app.finder.found().len(), 10_000);
}

#[test]
fn windows_go_from_the_whole_run_down_and_back() {
    let mut app = full();
    let seen: Vec<Option<u64>> = ["-", "-", "+", "+", "-", "a"]
        .into_iter()
        .map(|key| {
            press(&mut app, key);
            app.window_s()
        })
        .collect();
    assert_eq!(seen, [Some(30), Some(30), Some(60), Some(120), Some(60), None]);
}

#[test]
fn every_sort_order_is_one() {
    let mut app = failing();
    press(&mut app, "4");
    let mut firsts = Vec::new();
    for _ in Tab::Errors.sorts() {
        firsts.push((app.sort(), app.errors()[0].0.code));
        press(&mut app, "s");
    }
    assert_eq!(firsts, [("count", "connection_refused"), ("rate", "connection_refused"), ("last seen", "connection_refused")]);
    assert_eq!(app.sort(), "count");
    press(&mut app, "2 s");
    assert_eq!(app.operations()[0].operation, Operation::Connect, "by count");
    let words = [Tab::Latency, Tab::Rollouts, Tab::Things, Tab::Workers].map(|tab| tab.sorts().join(", "));
    assert_eq!(words, ["operation, count, p99", "start, done, failed", "name, errors", "slice, lateness, busy"]);
}

// ----------------------------------------------------------------------------------------------------------- at any size

#[test]
fn without_colours_nothing_is_coloured_and_nothing_is_lost() {
    for mut app in [full(), failing(), finished()] {
        for tab in Tab::VARIANTS.iter().copied() {
            app.tab = tab;
            let coloured = text(&app, (120, 40));
            app.theme.has_colour = false;
            let buffer = draw(&app, (120, 40));
            assert_eq!(lines(&buffer).join("\n"), coloured);
            assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
            app.theme.has_colour = true;
        }
    }
}

#[test]
fn columns_do_not_jump_from_one_second_to_the_next() {
    let mut app = full();
    let headers = |app: &App| -> Vec<String> {
        lines(&draw(app, (80, 24))).into_iter().filter(|line| line.contains("operation  ") || line.contains("targets")).collect()
    };
    for key in ["2", "3"] {
        press(&mut app, key);
        let before = headers(&app);
        assert_eq!(before.len(), 1, "{key}");
        (49..=70).for_each(|t_s| app.second(Arc::new(full_second(t_s))));
        assert_eq!(headers(&app), before);
    }
}

/// A series of 20 jobs, a new one every two seconds; things that fail try again.
fn series() -> App {
    let mut app = app("series", 100);
    for t_s in 1..=60 {
        let rows = (0..20).filter(|n| t_s > n * 2).map(|n| {
            let ended = (t_s - n * 2).min(20) * 6;
            let counts = StageCounts::of(true, [(Succeeded, ended - ended / 6), (Failed, ended / 6)]);
            RolloutRow { repeated: ended / 6, ..job(&format!("patch-{:02}", n + 1), 100, counts) }
        });
        let rollouts: Vec<RolloutRow> = rows.collect();
        let phase = Phase::Rollout;
        app.second(Arc::new(Snapshot {
            phase,
            connected: 100,
            rollouts,
            totals: Vec::new(),
            times: Vec::new(),
            ..nothing(t_s, 100)
        }));
    }
    app
}

#[test]
fn a_series_of_jobs_is_paged_through() {
    let mut app = series();
    press(&mut app, "3");
    for size in SIZES {
        let shown = |app: &App| text(app, size).lines().filter(|line| line.contains("100.0 %")).count();
        press(&mut app, &["Up"; 20].join(" "));
        let (first, jobs) = (text(&app, size), shown(&app));
        assert!((5..=20).contains(&jobs) && first.contains("patch-01: ended of 100"), "{jobs} of 20 jobs:\n{first}");
        press(&mut app, "G");
        let last = text(&app, size);
        assert!(last.contains("patch-20: ended of 100") && last.contains("patch-20  "), "{last}");
        assert!(last.lines().any(|line| line.contains("patch-20") && line.contains("100.0 %") && line.contains('█')), "{last}");
    }
    for (tab, size) in Tab::VARIANTS.iter().copied().flat_map(|tab| SIZES.map(|size| (tab, size))) {
        app.tab = tab;
        draw(&app, size);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn no_size_and_no_key_breaks_it(width in 0u16..230, height in 0u16..70, keys in "[1-5/smpa+lqynz?-]{0,12}") {
        for mut app in [full(), empty(), failing(), finished(), series()] {
            for key in keys.chars() {
                press(&mut app, &key.to_string());
                draw(&app, (width, height));
            }
            draw(&app, (width, height));
        }
    }
}

#[test]
fn a_status_of_an_execution_is_named_as_the_service_names_it() {
    let mut card = Card::new(0);
    card.note(at(1), What::Finished(ExecutionStatus::TimedOut));
    assert_eq!(card.recent[0].what.to_string(), "done: TIMED_OUT");
}

#[test]
fn what_only_the_services_ledger_knows_is_a_question_mark_without_it() {
    let mut app = without_a_ledger();
    app.tab = Tab::Overview;
    let overview = text(&app, SIZES[1]);
    for (stage, count) in app.model().snapshot.as_ref().unwrap().executions.iter() {
        let count = count.map_or_else(|| "?".to_owned(), |count| count.to_string());
        assert_eq!(count == "?", matches!(stage, Queued | TimedOut | Canceled));
        assert!(overview.contains(&format!("{:<12}{count:>9}", stage.label())), "{stage:?} in\n{overview}");
    }
    app.tab = Tab::Rollouts;
    let rollouts = lines(&draw(&app, SIZES[2]));
    let header = rollouts.iter().find(|line| line.contains("timed out")).unwrap();
    let row: Vec<char> = rollouts.iter().find(|line| line.contains("fw-2-4-1")).unwrap().chars().collect();
    let below = |title: &str| {
        let end = header[..header.find(title).unwrap() + title.len()].chars().count();
        row[end - 1]
    };
    let titles = ["queued", "notified", "in progress", "succeeded", "failed", "rejected", "timed out", "other"];
    assert_eq!(titles.map(below), ['?', '2', '3', '4', '0', '0', '?', '1']);
    app.overlay = Some(Overlay::Question);
    assert!(text(&app, SIZES[1]).contains("5 or more executions are open."));
}
