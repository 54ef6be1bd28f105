//! The seconds of all shards, taken in by one collector as if one process had driven all things.

use super::MergeError;
use super::parts::Parts;
use super::service::{Service, ServiceError};
use crate::report::{IntervalsReader, ReportError};
use crate::roster::Roster;
use crate::run::LOST_AFTER;
use crate::run::jobs::run_id::{run_id, with_run_id};
use crate::scenario::plan::Plan;
use crate::workload::events;
use iot_jobs::JobId;
use iot_jobs::instant::Mono;
use load_metrics::{Bounds, Collector, CollectorSettings, Joined, Joiner, SecondInput, ShardSecond, Snapshot};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Replay {
    streams: Vec<Stream>,
    whole: WholeRun,
    /// At the end: what the service had queued for longer is lost.
    lost_after: Option<Duration>,
}

/// The seconds of all shards of a run, and of its endpoint where that is the run's own, as one collector takes them in.
pub(crate) struct WholeRun {
    origin: Mono,
    joiner: Joiner,
    collector: Collector,
    /// Of the scenario's jobs, over the whole fleet.
    targets: BTreeMap<JobId, u64>,
    service: Option<Service>,
}

impl WholeRun {
    /// Of a plan whose jobs have the ids of their run; `threads` of each shard, and the cores of all hosts.
    pub(crate) fn new(
        plan: &Plan,
        roster: &Roster,
        origin: Mono,
        (threads, cores): (&[usize], u64),
        service: Option<Service>,
    ) -> Self {
        let targets = plan.rollouts.iter().enumerate().flat_map(|(n, rollout)| {
            let targets = roster.targets_of(n).len() as u64;
            rollout.jobs.iter().map(move |job| (job.clone(), targets))
        });
        Self {
            origin,
            joiner: Joiner::new(origin, threads),
            collector: Collector::new(CollectorSettings {
                origin,
                things: roster.names().to_vec(),
                cohorts: plan.cohorts.iter().map(|cohort| cohort.name.clone()).collect(),
                transports: plan.transports().into_iter().map(|transport| transport.as_str().into()).collect(),
                // Endpoints of somebody else's show no ledger.
                has_service: service.is_some(),
                thresholds: plan.thresholds.clone(),
                events: events::planned(plan, origin, service.is_some()),
                cores,
            }),
            targets: targets.collect(),
            service,
        }
    }

    /// Takes in what the shards have to say of a second, each by its place; so many of them say nothing that should.
    ///
    /// # Errors
    /// When what the endpoint tells cannot be read.
    pub(crate) fn take(
        &mut self,
        second: u64,
        parts: Vec<(usize, ShardSecond)>,
        missing: u64,
    ) -> Result<Arc<Snapshot>, ServiceError> {
        let mut input = self.input(second, parts, false)?;
        input.intervals_lost += missing;
        Ok(self.collector.second(input))
    }

    /// The same of the last second; what the service had queued longer ago than `lost_after` is lost.
    fn finish(
        &mut self,
        second: u64,
        parts: Vec<(usize, ShardSecond)>,
        lost_after: Option<Duration>,
    ) -> Result<Arc<Snapshot>, ServiceError> {
        let input = self.input(second, parts, true)?;
        Ok(self.collector.finish(input, lost_after.filter(|_| self.service.is_some())))
    }

    fn input(&mut self, second: u64, parts: Vec<(usize, ShardSecond)>, is_last: bool) -> Result<SecondInput, ServiceError> {
        let Joined { mut input, jobs } = self.joiner.join(second, parts);
        for (job, at) in jobs {
            let targets = self.targets.get(&job).copied().unwrap_or_default();
            self.collector.job_created(&job, targets, at);
        }
        if let Some(service) = &mut self.service {
            let told = service.second((self.origin, second), is_last, &mut input.intervals)?;
            told.events_over.into_iter().for_each(|(event, at)| self.collector.event_over(event, at));
            (input.ledger, input.endpoint) = (told.ledger, told.usage);
        }
        Ok(input)
    }
}

/// What a second of a shard of this plan can be about.
pub(crate) fn bounds(plan: &Plan, threads: usize) -> Bounds {
    Bounds { things: plan.fleet.things, cohorts_and_transports: plan.cohorts.len() + plan.transports().len(), threads }
}

/// A shard's seconds, with the next one at hand.
struct Stream {
    dir: PathBuf,
    reader: IntervalsReader,
    next: Option<ShardSecond>,
    /// Seconds of it that have been taken.
    seconds: u64,
    /// As many as there have to be, where its run has an end.
    expected: Option<u64>,
}

impl Stream {
    /// What it has to say of this second.
    fn take(&mut self, second: u64) -> Result<Option<ShardSecond>, MergeError> {
        let Some(part) = self.next.take_if(|next| next.second == second) else { return Ok(None) };
        self.seconds = second + 1;
        self.next = self.reader.next_second()?;
        self.check_end()?;
        Ok(Some(part))
    }

    /// # Errors
    /// When the file ends before the run did.
    fn check_end(&self) -> Result<(), MergeError> {
        match self.expected {
            Some(expected) if self.next.is_none() && self.seconds < expected => {
                let seconds = self.seconds;
                let why =
                    format!("its intervals.bin ends after second {seconds}, and its run after {expected}: copy the folder again");
                Err(MergeError::Report(ReportError::Damaged { path: self.dir.clone(), why }))
            }
            _ => Ok(()),
        }
    }
}

impl Replay {
    /// Opens the files of all shards.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub(super) fn open(parts: &Parts) -> Result<Self, MergeError> {
        let Parts { roster, .. } = parts;
        let shard = &parts.parts[0].shard;
        let run = shard.run_id.clone().unwrap_or_else(|| run_id(Some(&shard.start_at)));
        let plan = &with_run_id(parts.plan.clone(), &run).map_err(|error| MergeError::RunId(error.to_string()))?;
        let mut streams = Vec::with_capacity(parts.parts.len());
        for part in &parts.parts {
            let mut reader = IntervalsReader::open(&part.dir, bounds(plan, part.manifest.shards))?;
            let next = reader.next_second()?;
            let expected = (!part.is_cut()).then_some(part.manifest.totals.run_s);
            let stream = Stream { dir: part.dir.clone(), reader, next, seconds: 0, expected };
            stream.check_end()?;
            streams.push(stream);
        }
        let mut origins = streams.iter().filter_map(|stream| Some((&stream.dir, stream.next.as_ref()?.origin)));
        let mut service =
            parts.leader.as_ref().filter(|leader| Service::is_in(&leader.dir)).map(|leader| Service::open(&leader.dir));
        let origin = match service.as_mut().map(Service::origin).transpose()?.flatten() {
            Some(origin) => match origins.find(|(_, other)| *other != origin) {
                Some((dir, _)) => return Err(parts.of_another_run(dir)),
                None => origin,
            },
            None => origins.next().map_or(Mono(0), |(_, origin)| origin),
        };
        let whole = WholeRun::new(plan, roster, origin, (&parts.threads(), parts.host().cores), service);
        let lost_after = parts.parts.iter().any(|part| part.shard.limit_reached).then_some(LOST_AFTER);
        Ok(Self { streams, whole, lost_after })
    }

    /// How things stand after the next second, and whether it is the last; `None` when there are no more. `each` hears of what each shard has to say
    /// of it.
    ///
    /// # Errors
    /// When a file cannot be read further.
    pub(super) fn next(&mut self, mut each: impl FnMut(usize, &ShardSecond)) -> Result<Option<(Arc<Snapshot>, bool)>, MergeError> {
        let seconds = self.streams.iter().filter_map(|stream| Some(stream.next.as_ref()?.second));
        let Some(second) = seconds.min() else { return Ok(None) };
        let mut parts = Vec::with_capacity(self.streams.len());
        for (shard, stream) in self.streams.iter_mut().enumerate() {
            let Some(part) = stream.take(second)? else { continue };
            each(shard, &part);
            parts.push((shard, part));
        }
        let is_last = self.streams.iter().all(|stream| stream.next.is_none());
        let snapshot = match is_last {
            true => self.whole.finish(second, parts, self.lost_after)?,
            false => self.whole.take(second, parts, 0)?,
        };
        Ok(Some((snapshot, is_last)))
    }

    /// Seconds that each shard has told of.
    pub(super) fn seconds(&self) -> impl Iterator<Item = u64> {
        self.streams.iter().map(|stream| stream.seconds)
    }
}
