//! One run of several processes: their seconds become the seconds that one process with all their threads would have had.

use super::collector::SecondInput;
use super::shard_second::ShardSecond;
use super::snapshot::ProcessUsage;
use crate::{Phase, PhaseSet};
use iot_jobs::JobId;
use iot_jobs::instant::Mono;
use std::collections::BTreeSet;

/// Joins the seconds of the shards of a run, one after the other; it keeps nothing of a second that is joined.
#[derive(Debug)]
pub struct Joiner {
    origin: Mono,
    /// How many threads the shards before each have.
    threads_before: Vec<usize>,
    phase: Phase,
    /// Of each shard, as it was last told.
    usage: Vec<Option<ProcessUsage>>,
    jobs: BTreeSet<JobId>,
}

/// A second of the whole run.
#[derive(Debug)]
pub struct Joined {
    /// For [`Collector::second`](crate::Collector::second).
    pub input: SecondInput,
    /// Jobs that were first begun in it, and when: for [`Collector::job_created`](crate::Collector::job_created), before that.
    pub jobs: Vec<(JobId, Mono)>,
}

impl Joiner {
    /// `threads` of each shard, in the order of the shards; instants will count from `origin`.
    #[must_use]
    pub fn new(origin: Mono, threads: &[usize]) -> Self {
        let before = threads.iter().scan(0, |sum, threads| {
            let before = *sum;
            *sum += threads;
            Some(before)
        });
        Self {
            origin,
            threads_before: before.collect(),
            phase: Phase::Connect,
            usage: vec![None; threads.len()],
            jobs: BTreeSet::new(),
        }
    }

    /// What the shards have to say of a second, each by its place; a shard that has ended says nothing. Seconds come in their order, and
    /// as [`ShardSecond::check`] takes them.
    pub fn join(&mut self, second: u64, parts: impl IntoIterator<Item = (usize, ShardSecond)>) -> Joined {
        let (mut intervals, mut intervals_lost, mut jobs) = (Vec::new(), 0, Vec::new());
        let mut told = PhaseSet::empty();
        let mut phase: Option<Phase> = None;
        // Who has ended takes no more time, and its memory is free.
        for usage in self.usage.iter_mut().flatten() {
            *usage = ProcessUsage { cpu_seconds: usage.cpu_seconds, ..ProcessUsage::default() };
        }
        for (shard, part) in parts {
            let part = part.from_origin(self.origin);
            told.extend(part.phases);
            // The run is in the phase of those that are least far.
            phase = Some(phase.map_or(part.phase, |phase| phase.min(part.phase)));
            self.usage[shard] = part.generator.or(self.usage[shard]);
            intervals_lost += part.intervals_lost;
            jobs.extend(part.jobs);
            intervals.extend(part.intervals.into_iter().map(|mut interval| {
                interval.shard += self.threads_before[shard];
                interval
            }));
        }
        jobs.sort_by_key(|(_, at)| *at);
        jobs.retain(|(job, _)| self.jobs.insert(job.clone()));
        let before = self.phase;
        self.phase = phase.map_or(before, |phase| phase.max(before));
        let phases = told.iter().filter(|phase| (before..=self.phase).contains(phase)).collect::<PhaseSet>() | self.phase;
        let input = SecondInput {
            second,
            span_s: 1,
            phase: self.phase,
            phases,
            intervals,
            intervals_lost,
            ledger: Vec::new(),
            generator: self.generator(),
            endpoint: None,
        };
        Joined { input, jobs }
    }

    /// Of all processes together.
    fn generator(&self) -> Option<ProcessUsage> {
        self.usage.iter().copied().flatten().reduce(|sum, usage| ProcessUsage {
            cpu_share: sum.cpu_share + usage.cpu_share,
            cpu_seconds: sum.cpu_seconds + usage.cpu_seconds,
            rss_bytes: sum.rss_bytes.saturating_add(usage.rss_bytes),
            descriptors: sum.descriptors.saturating_add(usage.descriptors),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Interval;
    use std::time::Duration;

    const ORIGIN: Mono = Mono(5_000_000_000);

    fn part(phases: &[Phase], threads: usize, cpu: f64) -> ShardSecond {
        ShardSecond {
            origin: Mono(1_000_000_000),
            second: 0,
            phase: *phases.last().unwrap(),
            phases: phases.to_vec(),
            jobs: Vec::new(),
            intervals: (0..threads).map(|shard| Interval { shard, ..Interval::default() }).collect(),
            intervals_lost: 1,
            generator: Some(ProcessUsage { cpu_share: cpu, cpu_seconds: 10.0 * cpu, rss_bytes: 5, descriptors: 1 }),
        }
    }

    #[test]
    fn threads_are_numbered_through_and_usage_adds_up() {
        let mut joiner = Joiner::new(ORIGIN, &[2, 1, 2]);
        let steady = |cpu| part(&[Phase::Connect], 2, cpu);
        let joined = joiner.join(0, [(0, steady(0.5)), (1, part(&[Phase::Connect], 1, 0.25)), (2, steady(0.25))]);
        let threads: Vec<usize> = joined.input.intervals.iter().map(|interval| interval.shard).collect();
        assert_eq!((threads, joined.input.intervals_lost), (vec![0, 1, 2, 3, 4], 3));
        let usage = joined.input.generator.unwrap();
        assert_eq!((usage.cpu_share, usage.cpu_seconds, usage.rss_bytes, usage.descriptors), (1.0, 10.0, 15, 3));
        let usage = joiner.join(1, [(2, steady(0.25))]).input.generator.unwrap();
        assert_eq!((usage.cpu_share, usage.cpu_seconds, usage.rss_bytes), (0.25, 10.0, 5), "two have ended");
    }

    #[test]
    fn the_run_is_in_the_phase_of_who_is_least_far_and_never_goes_back() {
        use Phase::{Connect, Done, Rollout, Steady};
        let mut joiner = Joiner::new(ORIGIN, &[1, 1]);
        let mut join = |phases: &[&[Phase]]| {
            let parts = phases.iter().enumerate().map(|(shard, phases)| (shard, part(phases, 1, 0.0)));
            let input = joiner.join(0, parts).input;
            (input.phase, input.phases)
        };
        assert_eq!(join(&[&[Connect, Steady], &[Connect]]), (Connect, Connect.into()));
        assert_eq!(join(&[&[Steady], &[Connect, Steady]]), (Steady, Connect | Steady));
        assert_eq!(join(&[&[Steady, Rollout], &[Steady, Rollout]]), (Rollout, Steady | Rollout));
        assert_eq!(join(&[&[Rollout, Done], &[Rollout]]), (Rollout, Rollout.into()));
        assert_eq!(join(&[]), (Rollout, Rollout.into()), "nobody has anything to say of it");
        assert_eq!(join(&[&[Rollout, Done]]), (Done, Rollout | Done));
    }

    #[test]
    fn a_job_is_begun_once_whichever_shard_is_first() {
        let job = |id: &str, ms: u64| (JobId::new(id).unwrap(), Mono(1_000_000_000) + Duration::from_millis(ms));
        let with = |jobs: Vec<(JobId, Mono)>| ShardSecond { jobs, ..part(&[Phase::Rollout], 1, 0.0) };
        let mut joiner = Joiner::new(ORIGIN, &[1, 1]);
        let first = joiner.join(0, [(0, with(vec![job("b", 20), job("a", 9)])), (1, with(vec![job("a", 8)]))]).jobs;
        let told: Vec<(&str, Duration)> = first.iter().map(|(job, at)| (job.as_str(), at.since(ORIGIN))).collect();
        assert_eq!(told, [("a", Duration::from_millis(8)), ("b", Duration::from_millis(20))]);
        assert_eq!(joiner.join(1, [(1, with(vec![job("b", 21)]))]).jobs, []);
    }
}
