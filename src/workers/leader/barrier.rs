//! From the first worker to the start: all slices have to be ready by then, or nobody begins.

use super::LeadError;
use super::inbox::Delivery;
use super::live;
use super::outputs::Outputs;
use super::site::Site;
use super::table::Table;
use crate::run::StartAt;
use crate::stop::StopRequests;
use crate::workers::TICK;
use crate::workers::connection::put;
use crate::workers::message::{Order, WorkerEvent};
use crate::workers::names;
use host::clock;
use iot_jobs::instant::Mono;
use load_metrics::ShardFigures;
use load_metrics::format::grouped;
use std::time::{Duration, Instant};

/// From the word to the start: every worker hears it in time, and looks at its clock.
const START_LEAD: Duration = Duration::from_secs(5);
/// Slices named in one message.
const NAMED_MAX: usize = 20;

/// When second 0 begins, for the workers and by this host's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub at: StartAt,
    pub origin: Mono,
}

/// Waits until all slices are ready, and says when they start.
///
/// # Errors
/// When somebody is missing after `wait`, a worker says that it cannot, or somebody wants the run to stop; the workers that are there are told.
pub(super) async fn pass(
    site: &mut Site,
    table: &mut Table,
    wait: Duration,
    outputs: Outputs<'_>,
    stop: &mut StopRequests,
) -> Result<Start, LeadError> {
    let passed = assemble(site, table, wait, outputs, stop).await;
    if let Err(error) = &passed {
        site.give_up(Order::Abort, error).await;
    }
    passed?;
    let at = StartAt::after(START_LEAD);
    if let Err(why) = put(&site.keys, names::START, at.rfc3339()).await {
        let error = LeadError::Failed(why);
        site.give_up(Order::Abort, &error).await;
        return Err(error);
    }
    let origin = at.origin();
    site.heartbeat.start_at(at.rfc3339(), site.endpoint.is_some().then_some(origin));
    table.begin(origin);
    outputs.ui.tell(&format!("all {} slices are ready: they start at {}", table.rows().len(), at.rfc3339()));
    Ok(Start { at, origin })
}

async fn assemble(
    site: &mut Site,
    table: &mut Table,
    wait: Duration,
    outputs: Outputs<'_>,
    stop: &mut StopRequests,
) -> Result<(), LeadError> {
    let deadline = Instant::now() + wait;
    let slices = table.rows().len();
    let progress = outputs.ui.progress("slices ready", slices);
    let mut told = (0, 0);
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            delivery = site.inbox.next() => {
                take(table, &delivery)?;
                delivery.done().await;
            }
            () = stop.next() => return Err(LeadError::Interrupted),
            _ = tick.tick() => {}
        }
        let (registered, ready) = table.count();
        progress.set(ready);
        if told != (registered, ready) {
            told = (registered, ready);
            outputs.ui.tell(&format!("workers: {registered} of {slices} are there, {ready} ready"));
            outputs.workers(&live::workers(table, |_| ShardFigures::default()));
        }
        if ready == slices {
            progress.finish();
            return Ok(());
        }
        site.check_server()?;
        if let Some(local) = &mut site.local
            && let Some((slice, status)) = local.workers.poll().into_iter().next()
        {
            let words = local.workers.last_words(slice);
            return Err(LeadError::Failed(format!("begin: the worker of slice {slice}/{slices} ended ({status}): {words}")));
        }
        if Instant::now() >= deadline {
            return Err(LeadError::Failed(missing(table, wait)));
        }
    }
}

fn take(table: &mut Table, delivery: &Delivery) -> Result<(), LeadError> {
    let (slices, now) = (table.rows().len(), clock::mono());
    if delivery.slice as usize >= slices {
        return Ok(());
    }
    let event = match &delivery.event {
        Ok((event, _)) => event,
        Err(why) => {
            let slice = delivery.slice;
            return Err(LeadError::Failed(format!("begin: what the worker of slice {slice}/{slices} sends cannot be used: {why}")));
        }
    };
    match event {
        WorkerEvent::Registered { host, .. } => table.registered(delivery.slice, host.clone(), now),
        WorkerEvent::Ready { clock, threads } => table.ready(delivery.slice, *clock, *threads, now),
        WorkerEvent::Failed { why } => {
            return Err(LeadError::Failed(format!("begin: the worker of slice {}/{slices} cannot start: {why}", delivery.slice)));
        }
        WorkerEvent::Ended { exit_code, .. } => {
            return Err(LeadError::Failed(format!(
                "begin: the worker of slice {}/{slices} ended before the start, with exit code {exit_code}",
                delivery.slice
            )));
        }
        WorkerEvent::Second { .. } | WorkerEvent::Closing | WorkerEvent::File { .. } => {}
    }
    Ok(())
}

fn missing(table: &Table, wait: Duration) -> String {
    let slices = table.rows().len();
    let mut names: Vec<String> = table
        .unready()
        .map(|(slice, is_there)| format!("{slice}/{slices}{}", if is_there { " (there, and not ready)" } else { "" }))
        .collect();
    let more = names.len().saturating_sub(NAMED_MAX);
    names.truncate(NAMED_MAX);
    let more = if more > 0 { format!(" and {} more", grouped(more as u64)) } else { String::new() };
    format!("begin: after {} s the worker is missing of slice {}{more}; --wait gives them longer", wait.as_secs(), names.join(", "))
}
