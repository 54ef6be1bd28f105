//! `[[event]]`.

use super::super::plan::{Affected, CohortPlan, EndPlan, EndWhen, EventKind, EventPlan, TargetPlan};
use super::{ANY_DURATION, EVENTS_MAX, SOME_DURATION, names, tables_at_most};
use config_text::{Code, Located, Reader};
use sim_units::text::duration_text;
use std::time::Duration;
use strum::{IntoStaticStr, VariantArray};

#[derive(Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
enum Kind {
    Disconnect,
    Outage,
    ReconnectStorm,
    EndpointRestart,
    EndpointFreeze,
}

impl Kind {
    /// Whether it happens to the endpoint, and not to things.
    fn is_of_endpoint(self) -> bool {
        matches!(self, Self::EndpointRestart | Self::EndpointFreeze)
    }
}

pub(super) fn events(root: &Reader<'_>, target: &TargetPlan, cohorts: &[CohortPlan], end: &EndPlan) -> Vec<EventPlan> {
    let mut events = Vec::new();
    for reader in tables_at_most(root, ("event", "what happens to things or to the endpoint during the run"), EVENTS_MAX) {
        let plan = event(&reader, target, cohorts);
        if let Some(plan) = plan {
            check_end(&reader, plan.at, end);
            check_overlap(&reader, &plan, &events);
            events.push(plan);
        }
        reader.finish();
    }
    events
}

fn event(reader: &Reader<'_>, target: &TargetPlan, cohorts: &[CohortPlan]) -> Option<EventPlan> {
    let kind = reader.variant(("kind", "what happens ([EVENTS.md](EVENTS.md))")).map(|kind| kind.value);
    if kind.is_none() && !reader.has("kind") {
        reader.missing("kind", "say what happens, as in kind = \"outage\"");
    }
    let at = reader.duration(("at", "when, from the first connect arrival"), ANY_DURATION);
    if at.is_none() && !reader.has("at") {
        reader.missing("at", "say when, counted from the first connect arrival, as in at = \"20s\"");
    }
    let lasts = lasts(reader, kind);
    let who = affected(reader, kind, cohorts);
    if target.remote().is_some() && kind.is_some_and(Kind::is_of_endpoint) {
        let help = "use it with target.kind = \"emulator\"; an outage or a reconnect-storm can happen with every target";
        reader.conflict(&reader.place_of("kind"), "only the local endpoint can be stopped or frozen", help);
    }
    let kind = match kind? {
        Kind::Disconnect => EventKind::Disconnect { who, lasts: lasts.unwrap_or_default() },
        Kind::Outage => EventKind::Outage { who, lasts: lasts? },
        Kind::ReconnectStorm => EventKind::ReconnectStorm { who },
        Kind::EndpointRestart => EventKind::EndpointRestart { lasts: lasts? },
        Kind::EndpointFreeze => EventKind::EndpointFreeze { lasts: lasts? },
    };
    Some(EventPlan { at: at?.value, kind })
}

fn lasts(reader: &Reader<'_>, kind: Option<Kind>) -> Option<Duration> {
    let lasts =
        reader.duration(("for", "how long; required for `outage`, `endpoint-restart` and `endpoint-freeze`"), SOME_DURATION);
    match (kind, &lasts) {
        (Some(Kind::ReconnectStorm), Some(lasts)) => {
            let help = "leave it out; things that are to stay away for a while need a disconnect or an outage";
            reader.conflict(&lasts.place, "in a reconnect-storm things come back at once", help);
        }
        (Some(Kind::Outage | Kind::EndpointRestart | Kind::EndpointFreeze), None) if !reader.has("for") => {
            reader.missing("for", "say how long it lasts, as in for = \"5s\"");
        }
        _ => {}
    }
    lasts.map(|lasts| lasts.value)
}

/// Without a word: all things.
fn affected(reader: &Reader<'_>, kind: Option<Kind>, cohorts: &[CohortPlan]) -> Affected {
    let (share, cohort) = (
        reader.share(("share", "part of the things that it happens to, chosen by the seed")),
        reader.string(("cohort", "the cohort that it happens to; by default all things")),
    );
    if kind.is_some_and(Kind::is_of_endpoint) {
        let places = share.iter().map(|share| &share.place).chain(cohort.iter().map(|cohort| &cohort.place));
        for place in places {
            reader.conflict(place, "an event of the endpoint concerns all things", "leave it out, or make it an outage of a share");
        }
    }
    if let Some(Located { value: 0.0, place }) = &share {
        reader.gathered.push(
            Code::OutOfRange,
            place,
            "event.share must be more than 0",
            Some("give the share of the things".into()),
        );
    }
    if let Some(Located { value, place }) = &cohort
        && !cohorts.iter().any(|known| known.name == *value)
    {
        let help = Some(format!("known here: {}", names(cohorts.iter().map(|cohort| &cohort.name))));
        reader.gathered.push(Code::UnknownName, place, format!("unknown cohort {value:?}"), help);
    }
    Affected { share: share.map_or(1.0, |share| share.value), cohort: cohort.map(|cohort| cohort.value) }
}

/// An event that a run never sees.
fn check_end(reader: &Reader<'_>, at: Duration, end: &EndPlan) {
    let ends = match end.when {
        EndWhen::Duration(duration) => duration.min(end.limit),
        EndWhen::ExecutionsDone { .. } | EndWhen::Idle(_) => end.limit,
    };
    if at >= ends {
        let message = format!("the run is over after {}, before this event at {}", duration_text(ends), duration_text(at));
        reader.conflict(&reader.place_of("at"), message, "move the event, or the end of the run");
    }
}

/// One thing at a time can happen to the endpoint.
fn check_overlap(reader: &Reader<'_>, new: &EventPlan, events: &[EventPlan]) {
    let overlaps = |known: &&EventPlan| {
        known.kind.who().is_none() && known.at < new.at + new.kind.lasts() && new.at < known.at + known.kind.lasts()
    };
    if let Some(known) = events.iter().find(overlaps).filter(|_| new.kind.who().is_none()) {
        let (kind, from) = (known.kind.as_str(), duration_text(known.at));
        let until = duration_text(known.at + known.kind.lasts());
        let message = format!("the endpoint has an {kind} from {from} to {until} already");
        reader.conflict(&reader.place_of("at"), message, "one thing at a time can happen to the endpoint: move one of them");
    }
}
