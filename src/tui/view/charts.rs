//! The charts that more than one screen shows.

use super::plot::{Plot, Series, XAxis, plot};
use crate::tui::app::App;
use crate::tui::history::Slot;
use crate::tui::model::Model;
use load_metrics::Measure;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::symbols::Marker;

/// Points of a percentile curve.
const CURVE_POINTS: usize = 80;

/// The slots that the charts show, and their time.
pub(super) fn slots(app: &App) -> (Vec<&Slot>, XAxis) {
    let history = &app.model().history;
    let slots = history.window(app.window_s());
    let from = slots.first().map_or(0, |slot| slot.t_s - slot.span_s);
    (slots, XAxis::time(from, history.end_s().max(from + 10)))
}

/// The first series: a line.
fn first(app: &App, slots: &[&Slot], name: &'static str, value: impl Fn(&Slot) -> Option<f64>) -> Series {
    Series::new(name, app.theme.accent(), Marker::Braille, slots.iter().map(|slot| (slot.t_s as f64, value(slot))))
}

/// The second series: dots, so that it is told from the first one without colours too.
fn second(app: &App, slots: &[&Slot], name: &'static str, value: impl Fn(&Slot) -> Option<f64>) -> Series {
    Series::new(name, app.theme.second(), Marker::Dot, slots.iter().map(|slot| (slot.t_s as f64, value(slot))))
}

pub(super) fn connections(frame: &mut Frame, area: Rect, app: &App) {
    let (slots, across) = slots(app);
    let series = [first(app, &slots, "connected", |slot| Some(slot.connected as f64))];
    let top = Some(app.run_info.things_driven() as f64);
    plot(frame, area, app, Plot { title: "things".into(), unit: "things", across, series: &series, top });
}

pub(super) fn connect_rate(frame: &mut Frame, area: Rect, app: &App) {
    let (slots, across) = slots(app);
    let series = [first(app, &slots, "connects", |slot| Some(slot.per_s(slot.connects)))];
    plot(frame, area, app, Plot { title: "connect rate".into(), unit: "per s", across, series: &series, top: None });
}

pub(super) fn messages(frame: &mut Frame, area: Rect, app: &App) {
    let (slots, across) = slots(app);
    let series = [
        second(app, &slots, "in", |slot| Some(slot.per_s(slot.messages_in))),
        first(app, &slots, "out", |slot| Some(slot.per_s(slot.messages_out))),
    ];
    plot(frame, area, app, Plot { title: "messages".into(), unit: "per s", across, series: &series, top: None });
}

/// p50 and p99 of the chosen operation.
pub(super) fn latency(frame: &mut Frame, area: Rect, app: &App) {
    let (slots, across) = slots(app);
    let (operation, measure) = (app.chosen_operation(), shown_measure(app));
    let series = [
        second(app, &slots, "p50", |slot| slot.times(operation, measure).map(|times| times.p50)),
        first(app, &slots, "p99", |slot| slot.times(operation, measure).map(|times| times.p99)),
    ];
    let title = format!("{} {}", operation.as_str(), measure.as_str());
    plot(frame, area, app, Plot { title, unit: "ms", across, series: &series, top: None });
}

/// What is not measured from an intended start has a service time only.
pub(super) fn shown_measure(app: &App) -> Measure {
    if app.chosen_operation().has_response() { app.measure } else { Measure::Service }
}

/// How far the rollouts have come: queued and ended executions.
pub(super) fn progress(frame: &mut Frame, area: Rect, app: &App) {
    let (slots, across) = slots(app);
    let series = [
        second(app, &slots, "queued so far", |slot| Some(slot.executions.all() as f64)),
        first(app, &slots, "ended", |slot| Some(slot.executions.terminal() as f64)),
    ];
    plot(frame, area, app, Plot { title: "executions".into(), unit: "", across, series: &series, top: None });
}

/// One job's ended executions over time: its S-curve. `place` is its row in the slots.
pub(super) fn s_curve(frame: &mut Frame, area: Rect, app: &App, title: String, place: usize, targets: Option<u64>) {
    let (slots, across) = slots(app);
    let series = [first(app, &slots, "ended", |slot| slot.done.get(place).map(|count| *count as f64))];
    let top = targets.filter(|targets| *targets > 0).map(|targets| targets as f64);
    plot(frame, area, app, Plot { title, unit: "executions", across, series: &series, top });
}

/// The times of the chosen operation over the run, by percentile: every step to the right has a tenth of the values above it.
pub(super) fn percentiles(frame: &mut Frame, area: Rect, app: &App) {
    let operation = app.chosen_operation();
    let model = app.model();
    let count = model.distribution(operation, Measure::Service).map_or(0, |(_, distribution)| distribution.count());
    let nines = (count.max(10) as f64).log10().ceil().clamp(1.0, 5.0);
    let labels = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"];
    let across = XAxis { bounds: [0.0, nines], labels: labels[..=nines as usize].iter().map(|label| (*label).into()).collect() };
    let service = curve(model, app, Measure::Service, nines);
    let mut series = vec![Series::new("service", app.theme.accent(), Marker::Braille, service)];
    if operation.has_response() {
        let response = curve(model, app, Measure::Response, nines);
        series.insert(0, Series::new("response", app.theme.second(), Marker::Dot, response));
    }
    plot(frame, area, app, Plot { title: operation.as_str().into(), unit: "ms", across, series: &series, top: None });
}

fn curve(model: &Model, app: &App, measure: Measure, nines: f64) -> impl Iterator<Item = (f64, Option<f64>)> {
    let points = model.distribution(app.chosen_operation(), measure).map_or_else(Vec::new, |(resolution, distribution)| {
        let count = distribution.count();
        let at = |n: usize| {
            let x = nines * n as f64 / CURVE_POINTS as f64;
            let quantile = 1.0 - 10f64.powf(-x);
            let rank = ((quantile * count as f64).ceil() as u64).clamp(1, count.max(1));
            (x, distribution.ms_at_rank(rank, *resolution))
        };
        (0..=CURVE_POINTS).map(at).collect()
    });
    points.into_iter()
}
