//! The seconds of all shards, taken in by one collector as if one process had driven all things.

use super::MergeError;
use super::parts::Parts;
use crate::report::{IntervalsReader, ReportError};
use crate::run::events;
use crate::run::jobs::run_id::{run_id, with_run_id};
use iot_jobs::JobId;
use iot_jobs::instant::Mono;
use load_metrics::{Bounds, Collector, CollectorSettings, Joiner, ShardSecond, Snapshot};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) struct Replay {
    streams: Vec<Stream>,
    joiner: Joiner,
    collector: Collector,
    /// Of the scenario's jobs, over the whole fleet.
    targets: BTreeMap<JobId, u64>,
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
        let start_at = parts.parts.iter().find_map(|part| Some(part.manifest.shard.as_ref()?.start_at.as_str()));
        let plan = &with_run_id(parts.plan.clone(), &run_id(start_at)).map_err(|error| MergeError::RunId(error.to_string()))?;
        let transports = plan.transports();
        let cohorts_and_transports = plan.cohorts.len() + transports.len();
        let mut streams = Vec::with_capacity(parts.parts.len());
        for part in &parts.parts {
            let bounds = Bounds { things: plan.fleet.things, cohorts_and_transports, threads: part.manifest.shards };
            let mut reader = IntervalsReader::open(&part.dir, bounds)?;
            let next = reader.next_second()?;
            let expected = (!part.is_cut()).then_some(part.manifest.totals.run_s);
            let stream = Stream { dir: part.dir.clone(), reader, next, seconds: 0, expected };
            stream.check_end()?;
            streams.push(stream);
        }
        let origin = streams.iter().find_map(|stream| Some(stream.next.as_ref()?.origin)).unwrap_or(Mono(0));
        let targets = plan.rollouts.iter().enumerate().flat_map(|(n, rollout)| {
            let targets = roster.targets_of(n).len() as u64;
            rollout.jobs.iter().map(move |job| (job.clone(), targets))
        });
        Ok(Self {
            streams,
            joiner: Joiner::new(origin, &parts.threads()),
            collector: Collector::new(CollectorSettings {
                origin,
                things: roster.names().to_vec(),
                cohorts: plan.cohorts.iter().map(|cohort| cohort.name.clone()).collect(),
                transports: transports.into_iter().map(|transport| transport.as_str().into()).collect(),
                // Endpoints of somebody else's show no ledger.
                has_service: false,
                thresholds: plan.thresholds.clone(),
                events: events::planned(plan, origin),
                cores: parts.host().cores,
            }),
            targets: targets.collect(),
        })
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
        let joined = self.joiner.join(second, parts);
        for (job, at) in joined.jobs {
            let targets = self.targets.get(&job).copied().unwrap_or_default();
            self.collector.job_created(&job, targets, at);
        }
        let is_last = self.streams.iter().all(|stream| stream.next.is_none());
        let snapshot = match is_last {
            true => self.collector.finish(joined.input, None),
            false => self.collector.second(joined.input),
        };
        Ok(Some((snapshot, is_last)))
    }

    /// Seconds that each shard has told of.
    pub(super) fn seconds(&self) -> impl Iterator<Item = u64> {
        self.streams.iter().map(|stream| stream.seconds)
    }
}
