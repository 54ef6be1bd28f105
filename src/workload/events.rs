//! The events of a scenario: when each step of one is due, which things it cuts off, and what is watched of it.

use crate::roster::Roster;
use crate::scenario::plan::{EventKind, EventPlan, Plan};
use iot_jobs::instant::Mono;
use load_metrics::format::grouped;
use load_metrics::{EventRow, PlannedEvent};
use sim_units::text::duration_text;
use std::collections::VecDeque;
use thing_agent::cut::{Cut, CutKind};

/// One step of the event with this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    End(usize),
    Begin(usize),
}

/// The steps that are left, in the order of time.
pub(crate) struct EventSchedule {
    steps: VecDeque<(Mono, Step)>,
}

impl EventSchedule {
    pub(crate) fn new(events: &[EventPlan], origin: Mono) -> Self {
        let steps = events.iter().enumerate().flat_map(|(n, event)| {
            let (at, lasts) = (origin + event.at, event.kind.lasts());
            let end = (!lasts.is_zero()).then_some((at + lasts, Step::End(n)));
            [Some((at, Step::Begin(n))), end].into_iter().flatten()
        });
        let mut steps: Vec<_> = steps.collect();
        // What is over makes room for what begins in the same moment.
        steps.sort();
        Self { steps: steps.into() }
    }

    /// When the next step is due.
    pub(crate) fn next(&self) -> Option<Mono> {
        self.steps.front().map(|(at, _)| *at)
    }

    /// The next step, once it is due.
    pub(crate) fn poll(&mut self, now: Mono) -> Option<Step> {
        self.steps.pop_front_if(|(at, _)| *at <= now).map(|(_, step)| step)
    }
}

/// The orders to the things, in the order of time.
pub(crate) fn cuts(plan: &Plan, roster: &Roster, origin: Mono) -> Vec<Cut> {
    let cut = |(n, event): (usize, &EventPlan)| {
        let kind = match event.kind {
            EventKind::Disconnect { .. } => CutKind::Away,
            EventKind::Outage { .. } => CutKind::Unreachable,
            EventKind::ReconnectStorm { .. } => CutKind::AtOnce,
            EventKind::EndpointRestart { .. } | EventKind::EndpointFreeze { .. } => return None,
        };
        let at = origin + event.at;
        let things = roster.affected_by(n).to_vec();
        let number = u16::try_from(n).expect("a scenario has no more events than a number of 16 bits can name");
        Some(Cut { event: number, kind, at, until: at + event.kind.lasts(), things })
    };
    let mut cuts: Vec<Cut> = plan.events.iter().enumerate().filter_map(cut).collect();
    cuts.sort_by_key(|cut| cut.at);
    cuts
}

/// What is to be watched. `tells_return`: somebody tells when an endpoint that was restarted is back; otherwise it counts as back in time.
pub(crate) fn planned(plan: &Plan, origin: Mono, tells_return: bool) -> Vec<PlannedEvent> {
    let planned = |event: &EventPlan| PlannedEvent {
        kind: event.kind.as_str(),
        at: origin + event.at,
        lasts: event.kind.lasts(),
        is_of_endpoint: event.kind.who().is_none(),
        ends_on_time: !tells_return || !matches!(event.kind, EventKind::EndpointRestart { .. }),
    };
    plan.events.iter().map(planned).collect()
}

/// The step in words; `None` where something else tells of it.
pub(crate) fn in_words(plan: &Plan, roster: &Roster, step: Step) -> Option<String> {
    let (Step::Begin(n) | Step::End(n)) = step;
    let kind = &plan.events[n].kind;
    let lasts = duration_text(kind.lasts());
    let what = match (step, kind) {
        (Step::Begin(_), EventKind::EndpointFreeze { .. }) => format!("the endpoint is frozen for {lasts}"),
        (Step::Begin(_), EventKind::EndpointRestart { .. }) => format!("the endpoint stops, and starts again after {lasts}"),
        (Step::Begin(_), _) => {
            let things = grouped(roster.affected_by(n).len() as u64);
            match kind {
                EventKind::Outage { .. } => format!("{things} things have no route to the endpoint for {lasts}"),
                EventKind::Disconnect { .. } if !kind.lasts().is_zero() => {
                    format!("{things} things lose their connections and stay away for {lasts}")
                }
                EventKind::ReconnectStorm { .. } => format!("{things} things lose their connections and try again at once"),
                _ => format!("{things} things lose their connections"),
            }
        }
        (Step::End(_), EventKind::EndpointFreeze { .. }) => "the endpoint resumes".into(),
        (Step::End(_), EventKind::EndpointRestart { .. }) => return None,
        (Step::End(_), _) => "the event is over".into(),
    };
    Some(format!("{}: {what}", title(n, kind.as_str())))
}

/// Of which events all things are back that were not `before`, in words.
pub(crate) fn back_since<'a>(before: &'a [EventRow], now: &'a [EventRow]) -> impl Iterator<Item = String> + 'a {
    now.iter().enumerate().filter_map(|(n, row)| back_in_words(n, before.get(n), row))
}

fn back_in_words(event: usize, before: Option<&EventRow>, now: &EventRow) -> Option<String> {
    let after = now.back_after.filter(|_| now.is_done && !before.is_some_and(|before| before.is_done))?;
    let things = grouped(now.affected);
    Some(format!("{}: all {things} things are back, {:.1} s after it began", title(event, now.kind), after.as_secs_f64()))
}

/// That an endpoint that was restarted is back, as another process.
pub(crate) fn back_again(plan: &Plan, event: usize, pid: u32) -> String {
    format!("{}: the endpoint is back, pid {pid}", title(event, plan.events[event].kind.as_str()))
}

/// People count from 1.
fn title(event: usize, kind: &str) -> String {
    format!("event {} ({kind})", event + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const EVENTS: &str = "
        name = 'x'
        fleet.things = 1_000
        end.duration = '60s'
        cohort = [{ name = 'a', share = 0.9 }, { name = 'b', share = 0.1 }]
        event = [
            { at = '20s', kind = 'endpoint-freeze', for = '5s' },
            { at = '25s', kind = 'outage', share = 0.2, for = '10s' },
            { at = '3s', kind = 'endpoint-restart', for = '1s' },
            { at = '4s', kind = 'reconnect-storm', cohort = 'b', share = 0.5 },
            { at = '30s', kind = 'disconnect' },
        ]
    ";

    fn plan(text: &str) -> Plan {
        crate::scenario::load("x.toml", text, &[]).unwrap_or_else(|problems| panic!("{problems}"))
    }

    #[test]
    fn steps_come_in_the_order_of_time_and_ends_before_beginnings() {
        let origin = Mono(7_000_000_000);
        let at = |seconds| origin + Duration::from_secs(seconds);
        let mut timetable = EventSchedule::new(&plan(EVENTS).events, origin);
        assert_eq!(timetable.next(), Some(at(3)));
        assert_eq!(timetable.poll(at(2)), None);
        let steps: Vec<Step> = std::iter::from_fn(|| timetable.poll(at(60))).collect();
        let (begin, end) = (Step::Begin, Step::End);
        assert_eq!(steps, [begin(2), end(2), begin(3), begin(0), end(0), begin(1), begin(4), end(1)]);
    }

    #[test]
    fn cuts_are_for_exact_shares_that_the_seed_spreads() {
        let cuts_of = |plan: &Plan| super::cuts(plan, &Roster::new(plan).unwrap(), Mono(0));
        let plan = plan(EVENTS);
        let (roster, cuts) = (Roster::new(&plan).unwrap(), cuts_of(&plan));
        let told: Vec<_> =
            cuts.iter().map(|cut| (cut.event, cut.kind, cut.until.since(cut.at).as_secs(), cut.things.len())).collect();
        assert_eq!(told, [(3, CutKind::AtOnce, 0, 50), (1, CutKind::Unreachable, 10, 200), (4, CutKind::Away, 0, 1_000)]);
        assert!(cuts[0].things.iter().all(|thing| roster.cohorts()[*thing as usize] == 1), "of the cohort");
        assert!(cuts.iter().all(|cut| cut.things.is_sorted()));
        let reseeded = Plan { seed: 1, ..plan.clone() };
        assert_ne!(cuts_of(&reseeded)[1].things, cuts[1].things);
        let of_two = |events: &str| cuts_of(&self::plan(&EVENTS.replace("{ at = '30s', kind = 'disconnect' },", events)));
        let twice = of_two("{ at = '30s', kind = 'disconnect', share = 0.2 }");
        assert_ne!(twice[1].things, twice[2].things, "each event has its own things");
    }

    #[test]
    fn every_step_has_its_words() {
        let plan = plan(EVENTS);
        let roster = Roster::new(&plan).unwrap();
        let words = |step| in_words(&plan, &roster, step).unwrap_or_default();
        assert_eq!(words(Step::Begin(1)), "event 2 (outage): 200 things have no route to the endpoint for 10s");
        assert_eq!(words(Step::Begin(3)), "event 4 (reconnect-storm): 50 things lose their connections and try again at once");
        assert_eq!(words(Step::Begin(2)), "event 3 (endpoint-restart): the endpoint stops, and starts again after 1s");
        assert_eq!(words(Step::Begin(4)), "event 5 (disconnect): 1,000 things lose their connections");
        assert_eq!(words(Step::End(0)), "event 1 (endpoint-freeze): the endpoint resumes");
        assert_eq!(words(Step::End(2)), "", "the endpoint itself says when it is back");
    }
}
