//! The charts that more than one screen shows.

use super::plot::{Across, Series, plot};
use crate::tui::app::App;
use crate::tui::history::{Measure, Slot};
use crate::tui::model::Model;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::symbols::Marker;

/// Points of a percentile curve.
const CURVE_POINTS: usize = 80;

/// The slots that the charts show, and their time.
pub(super) fn slots(app: &App) -> (Vec<&Slot>, Across) {
    let history = &app.model().history;
    let slots = history.window(app.window_s());
    let from = slots.first().map_or(0, |slot| slot.t_s - slot.span_s);
    (slots, Across::time(from, history.end_s().max(from + 10)))
}

fn over_time<'a>(slots: &'a [&Slot], value: impl Fn(&Slot) -> Option<f64> + 'a) -> impl Iterator<Item = (f64, Option<f64>)> + 'a {
    slots.iter().map(move |slot| (slot.t_s as f64, value(slot)))
}

pub(super) fn connections(frame: &mut Frame, area: Rect, app: &App) {
    let (slots, across) = slots(app);
    let things = app.brief.things.len() as f64;
    let connected =
        Series::new("connected", app.theme.accent(), Marker::Braille, over_time(&slots, |slot| Some(slot.connected as f64)));
    plot(frame, area, app, "things".into(), "things", across, &[connected], Some(things));
}

pub(super) fn connect_rate(frame: &mut Frame, area: Rect, app: &App) {
    let (slots, across) = slots(app);
    let rate =
        Series::new("connects", app.theme.accent(), Marker::Braille, over_time(&slots, |slot| Some(slot.per_s(slot.connects))));
    plot(frame, area, app, "connect rate".into(), "per s", across, &[rate], None);
}

pub(super) fn messages(frame: &mut Frame, area: Rect, app: &App) {
    let (slots, across) = slots(app);
    let out =
        Series::new("out", app.theme.accent(), Marker::Braille, over_time(&slots, |slot| Some(slot.per_s(slot.messages_out))));
    let inward = Series::new("in", app.theme.second(), Marker::Dot, over_time(&slots, |slot| Some(slot.per_s(slot.messages_in))));
    plot(frame, area, app, "messages".into(), "per s", across, &[inward, out], None);
}

/// p50 and p99 of the chosen operation.
pub(super) fn latency(frame: &mut Frame, area: Rect, app: &App) {
    let (slots, across) = slots(app);
    let (operation, measure) = (app.chosen_operation(), shown_measure(app));
    let times = |slot: &Slot| slot.times(operation, measure).map(|times| (times.p50, times.p99));
    let p50 = Series::new("p50", app.theme.accent(), Marker::Dot, over_time(&slots, |slot| times(slot).map(|times| times.0)));
    let p99 = Series::new("p99", app.theme.second(), Marker::Braille, over_time(&slots, |slot| times(slot).map(|times| times.1)));
    let title = format!("{} {}", operation.as_str(), measure.as_str());
    plot(frame, area, app, title, "ms", across, &[p99, p50], None);
}

/// What is not measured from an intended start has a service time only.
pub(super) fn shown_measure(app: &App) -> Measure {
    if app.chosen_operation().has_response() { app.measure } else { Measure::Service }
}

/// How far the roll-outs have come: started and ended executions.
pub(super) fn progress(frame: &mut Frame, area: Rect, app: &App) {
    let (slots, across) = slots(app);
    let ended = Series::new(
        "ended",
        app.theme.accent(),
        Marker::Braille,
        over_time(&slots, |slot| Some(slot.executions.terminal() as f64)),
    );
    let begun =
        Series::new("queued so far", app.theme.second(), Marker::Dot, over_time(&slots, |slot| Some(slot.executions.all() as f64)));
    plot(frame, area, app, "executions".into(), "executions", across, &[begun, ended], None);
}

/// One job's ended executions over time: its S-curve. `place` is its row in the slots.
pub(super) fn s_curve(frame: &mut Frame, area: Rect, app: &App, title: String, place: usize, targets: Option<u64>) {
    let (slots, across) = slots(app);
    let ended = Series::new(
        "ended",
        app.theme.accent(),
        Marker::Braille,
        over_time(&slots, |slot| slot.terminal.get(place).map(|count| *count as f64)),
    );
    plot(
        frame,
        area,
        app,
        title,
        "executions",
        across,
        &[ended],
        targets.filter(|targets| *targets > 0).map(|targets| targets as f64),
    );
}

/// The times of the chosen operation over the run, by percentile: every step to the right has a tenth of the values above it.
pub(super) fn percentiles(frame: &mut Frame, area: Rect, app: &App) {
    let operation = app.chosen_operation();
    let model = app.model();
    let count = model.distribution(operation, Measure::Service).map_or(0, |(_, distribution)| distribution.count());
    let nines = (count.max(10) as f64).log10().ceil().clamp(1.0, 5.0);
    let labels = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"];
    let across = Across { bounds: [0.0, nines], labels: labels[..=nines as usize].iter().map(|label| (*label).into()).collect() };
    let mut series = vec![Series::new("service", app.theme.accent(), Marker::Braille, curve(model, app, Measure::Service, nines))];
    if operation.has_response() {
        series.push(Series::new("response", app.theme.second(), Marker::Dot, curve(model, app, Measure::Response, nines)));
    }
    plot(frame, area, app, format!("{} by percentile", operation.as_str()), "ms", across, &series, None);
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
