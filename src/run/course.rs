//! The course of a run: target, start, fleet and collector, in this order, and what conducts them.

use super::cohorts;
use super::conductor::{Conductor, Ended, Ending};
use super::error::RunError;
use super::fleet::{Fleet, FleetSettings, PlannedThing};
use super::jobs::cleanup::JobsAfterwards;
use super::led::{self, Following, Led, LedError};
use super::measure::Measuring;
use super::prediction::Prediction;
use super::setup::Setup;
use super::shard::{ShardOptions, ShardStart, preparing_took};
use super::stagger;
use super::targets::{self, Driver, Folders};
use super::ui::Ui;
use crate::report::ResultsWriter;
use crate::roster::Roster;
use crate::scenario::plan::{Plan, TargetPlan};
use crate::stop::StopRequests;
use crate::workload::events;
use crate::workload::jobs::check_schedules;
use crate::workload::starts::starts;
use host::clock;
use load_metrics::{Collector, CollectorSettings};
use std::collections::BTreeMap;
use std::time::Duration;
use thing_transport::credentials::Credentials;

/// Between the last preparation and the first connect arrival.
const START_LEAD: Duration = Duration::from_millis(200);

/// Brings everything up, and conducts the run.
pub(super) async fn carry_out(
    setup: &Setup,
    writer: &mut ResultsWriter,
    ui: &Ui,
    stop: &mut StopRequests,
    led: Option<Led>,
) -> Result<Ended, RunError> {
    let Setup { plan, roster, host, shards, certs, shard, step, exposition, .. } = setup;
    let slice = setup.slice();
    let never_begun =
        || Ended { ending: Ending::Interrupted, last: None, uncreated: Vec::new(), predicted: Vec::new(), measured: None };
    let shared = shard.as_ref().and_then(ShardOptions::endpoint);
    if shared.is_none() {
        check_schedules(plan, clock::epoch_ms())?;
    }
    let prediction = Prediction::start(plan, roster, writer.dir(), step.is_none() && shard.is_none());
    let folders = Folders { results: writer.dir(), certs: certs.as_deref() };
    let mut target = tokio::select! {
        target = targets::bring_up(plan, roster, Driver { slice, shared }, folders, ui) => target?,
        () = stop.next() => return Ok(never_begun()),
    };
    let predicted = prediction.made().await;
    ui.tell(&format!("results: {}", writer.dir().display()));

    let mut following = None;
    let origin = match (shard.as_ref().map(|shard| &shard.start), led) {
        (Some(ShardStart::At(start_at)), _) => {
            start_at.wait(slice, ui, stop).await.map_err(|late| preparing_took(*start_at, late))?
        }
        (Some(ShardStart::Led { .. }), Some(Led { ready, start, connected, met, seconds, .. })) => {
            following = Some(Following { connected, met, is_met: false, seconds });
            led::start((ready, start), (slice, *shards), ui, stop).await?.map(|(start_at, origin)| {
                writer.set_shard_start(start_at.rfc3339());
                origin
            })
        }
        (Some(ShardStart::Led { .. }), None) => return Err(LedError::NoStart.into()),
        (None, _) => Some(clock::mono() + START_LEAD),
    };
    let Some(origin) = origin else { return Ok(never_begun()) };
    let starts = starts(plan, roster.cohorts());
    let measuring = step.as_ref().map(|measure| Measuring::new(measure.clone(), &plan.thresholds));
    let measured_starts = if measuring.is_some() { starts.clone() } else { Vec::new() };
    let credentials = std::mem::take(&mut target.credentials);
    let expired = std::mem::take(&mut target.expired);
    let has_endpoint = target.local.is_some();
    let planned = planned(plan, roster, credentials, expired, starts).filter(|thing| slice.has(thing.position));
    let settings = FleetSettings {
        endpoints: std::mem::take(&mut target.endpoints),
        cohorts: cohorts::settings(plan, roster, slice, &target),
        shards: *shards,
        connects_in_progress: slice.part(plan.fleet.connect.in_progress as usize),
        origin,
        inspect: ui.wants_cards(),
        has_ledger: matches!(plan.target, TargetPlan::Emulator(_)),
        cuts: events::cuts(plan, roster, origin),
        has_events: !plan.events.is_empty(),
        lag: stagger::lag(slice),
    };
    let fleet = Fleet::start(planned, &settings)?;
    ui.fleet(fleet.inspector.clone());
    let things = slice.things(plan.fleet.things);
    let mut collector = Collector::new(CollectorSettings {
        origin,
        things: roster.names().to_vec(),
        cohorts: plan.cohorts.iter().map(|cohort| cohort.name.clone()).collect(),
        transports: plan.transports().into_iter().map(|transport| transport.as_str().into()).collect(),
        has_service: has_endpoint,
        thresholds: plan.thresholds.clone(),
        events: events::planned(plan, origin, has_endpoint),
        cores: host.cores,
    });
    collector.drives(things);
    let conductor = Conductor {
        plan,
        roster,
        things,
        origin,
        fleet,
        shards: *shards,
        local: target.local.as_mut(),
        control: target.control.as_ref(),
        collector,
        writer,
        ui,
        exposition: exposition.as_ref(),
        begun: Vec::new(),
        restarting: None,
        measuring,
        starts: measured_starts,
        stop,
        following,
    };
    let outcome = conductor.conduct().await;
    if let Some(cleanup) = target.control.as_ref().and_then(|control| control.cleanup.as_ref()) {
        let is_complete = outcome.as_ref().is_ok_and(|ended| ended.ending == Ending::Complete);
        let afterwards = if slice.count() == 1 { setup.jobs_afterwards } else { JobsAfterwards::Kept };
        cleanup.finish(is_complete && step.is_none(), afterwards, ui, stop).await;
    }
    Ok(Ended { predicted, ..outcome? })
}

fn planned<'a>(
    plan: &'a Plan,
    roster: &'a Roster,
    credentials: Vec<Option<Credentials>>,
    mut expired: BTreeMap<u32, Credentials>,
    starts: Vec<Duration>,
) -> impl Iterator<Item = PlannedThing> + 'a {
    credentials.into_iter().zip(starts).zip(roster.names().iter().zip(roster.cohorts())).zip(0..).map(
        move |(((credentials, arrival), (name, cohort)), place)| PlannedThing {
            position: place,
            name: name.clone(),
            client_id: plan.fleet.client_id_of(name, u64::from(place)).map(Into::into),
            index: plan.fleet.first_index + u64::from(place),
            cohort: *cohort,
            credentials,
            expired: expired.remove(&place),
            arrival,
        },
    )
}
