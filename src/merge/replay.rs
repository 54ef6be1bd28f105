//! The seconds of all shards, taken in by one collector as if one process had driven all things.

use super::MergeError;
use super::parts::Parts;
use crate::report::{IntervalsReader, ReportError};
use crate::roster::Roster;
use crate::run::events;
use crate::run::jobs::run_id::{run_id, with_run_id};
use crate::scenario::plan::Plan;
use iot_jobs::JobId;
use iot_jobs::instant::Mono;
use load_metrics::{Bounds, Collector, CollectorSettings, Joiner, ShardSecond, Snapshot};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) struct Replay {
    streams: Vec<Stream>,
    whole: WholeRun,
}

/// The seconds of all shards of a run as one collector takes them in.
pub(crate) struct WholeRun {
    joiner: Joiner,
    collector: Collector,
    /// Of the scenario's jobs, over the whole fleet.
    targets: BTreeMap<JobId, u64>,
}

impl WholeRun {
    /// Of a plan whose jobs have the ids of their run; `threads` of each shard, and the cores of all hosts.
    pub(crate) fn new(plan: &Plan, roster: &Roster, origin: Mono, threads: &[usize], cores: u64) -> Self {
        let targets = plan.rollouts.iter().enumerate().flat_map(|(n, rollout)| {
            let targets = roster.targets_of(n).len() as u64;
            rollout.jobs.iter().map(move |job| (job.clone(), targets))
        });
        Self {
            joiner: Joiner::new(origin, threads),
            collector: Collector::new(CollectorSettings {
                origin,
                things: roster.names().to_vec(),
                cohorts: plan.cohorts.iter().map(|cohort| cohort.name.clone()).collect(),
                transports: plan.transports().into_iter().map(|transport| transport.as_str().into()).collect(),
                // Endpoints of somebody else's show no ledger.
                has_service: false,
                thresholds: plan.thresholds.clone(),
                events: events::planned(plan, origin),
                cores,
            }),
            targets: targets.collect(),
        }
    }

    /// Takes in what the shards have to say of a second, each by its place; so many of them say nothing that should.
    pub(crate) fn take(&mut self, second: u64, parts: Vec<(usize, ShardSecond)>, missing: u64, is_last: bool) -> Arc<Snapshot> {
        let mut joined = self.joiner.join(second, parts);
        joined.input.intervals_lost += missing;
        for (job, at) in joined.jobs {
            let targets = self.targets.get(&job).copied().unwrap_or_default();
            self.collector.job_created(&job, targets, at);
        }
        match is_last {
            true => self.collector.finish(joined.input, None),
            false => self.collector.second(joined.input),
        }
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
        let origin = streams.iter().find_map(|stream| Some(stream.next.as_ref()?.origin)).unwrap_or(Mono(0));
        let whole = WholeRun::new(plan, roster, origin, &parts.threads(), parts.host().cores);
        Ok(Self { streams, whole })
    }

    /// How things stand after the next second, and whether it is the last; `None` when there are no more.
    ///
    /// # Errors
    /// When a file cannot be read further.
    pub(super) fn next(&mut self) -> Result<Option<(Arc<Snapshot>, bool)>, MergeError> {
        let seconds = self.streams.iter().filter_map(|stream| Some(stream.next.as_ref()?.second));
        let Some(second) = seconds.min() else { return Ok(None) };
        let mut parts = Vec::with_capacity(self.streams.len());
        for (shard, stream) in self.streams.iter_mut().enumerate() {
            parts.extend(stream.take(second)?.map(|part| (shard, part)));
        }
        let is_last = self.streams.iter().all(|stream| stream.next.is_none());
        let snapshot = self.whole.take(second, parts, 0, is_last);
        Ok(Some((snapshot, is_last)))
    }

    /// Seconds that each shard has told of.
    pub(super) fn seconds(&self) -> impl Iterator<Item = u64> {
        self.streams.iter().map(|stream| stream.seconds)
    }
}
