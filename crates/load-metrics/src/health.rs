//! Whether the generator itself was the bottleneck, so that its figures are no evidence.
//!
//! Judged over every 10 s of a phase that a threshold is about, or of any phase where there is no threshold. Storms of connects taint
//! the figures of connecting only: while there is one, only thresholds on those count, and after the connect phase none where there is
//! no threshold: a fleet that comes back as one is late by its number, on any machine. Where a load is measured only its seconds count,
//! and connects are a part of it.

use super::histogram::{Distribution, Resolution};
use super::sample::Operation;
use super::threshold::{Metric, Threshold};
use crate::Phase;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::time::Duration;

/// Seconds that are judged together; where fewer are measured, all of those.
pub const WINDOW: usize = 10;
/// Starts may be told of this many seconds after they were due.
const REPORT_DELAY_S: usize = 10;
/// Fewer starts than that say nothing of a percentile, or of a share.
const STARTS_MIN: u64 = 100;
/// So many of them are to be late: of a few hundred starts the 99th percentile is one or two, and any host holds a process up for some
/// milliseconds now and then.
const LATE_STARTS_MIN: u64 = 10;
/// Of the starts of a window, at p99.
pub const LATENESS_MAX_MS: f64 = 10.0;
/// The same as a part of the latency that is to be held.
const LATENESS_OF_THRESHOLD: f64 = 0.05;
/// Of one core, over a window.
pub const BUSY_MAX: f64 = 0.9;
/// Of the time of a window, running or waiting for a core.
const READY_MAX: f64 = 0.95;
/// Of the starts that were due in a window.
const ACHIEVED_MIN: f64 = 0.98;
/// Of a machine's cores, by generator and endpoint together.
const MACHINE_BUSY: f64 = 0.9;
/// Attempts to connect in a window, as a share of all things, that make a storm.
const STORM_SHARE: f64 = 0.1;

/// A start this late is counted where it was due, not where it left.
pub(super) const START_SLACK: Duration = Duration::from_millis(LATENESS_MAX_MS as u64);

/// What went wrong in a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Excess {
    /// At p99, in milliseconds.
    Late {
        /// As it was.
        p99: f64,
        /// What it may be at most.
        limit: f64,
    },
    /// The busiest shard, as a share of one core.
    Busy {
        /// Its number, from 0.
        shard: usize,
        /// CPU time over the time of the window.
        share: f64,
    },
    /// The shard that had least time left, since there was no core for it while it was ready to run.
    Starved {
        /// Its number, from 0.
        shard: usize,
        /// CPU time over the time of the window.
        ran: f64,
        /// Time that it was ready and had no core, likewise.
        waited: f64,
    },
    /// Achieved starts as a share of offered ones.
    Missed {
        /// From 0 to 1.
        achieved: f64,
    },
}

impl Excess {
    fn rank(self) -> u8 {
        match self {
            Self::Late { .. } => 0,
            Self::Busy { .. } => 1,
            Self::Starved { .. } => 2,
            Self::Missed { .. } => 3,
        }
    }

    fn size(self) -> f64 {
        match self {
            Self::Late { p99, .. } => p99,
            Self::Busy { share, .. } => share,
            Self::Starved { ran, waited, .. } => ran + waited,
            Self::Missed { achieved } => -achieved,
        }
    }
}

/// What held the generator up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cause {
    /// Generator and endpoint together kept this many of the machine's cores busy.
    Machine {
        /// Cores that were busy, on average over the window.
        used: f64,
        /// Cores there are.
        cores: u64,
    },
    /// The shard had no time left, while the machine had.
    Shard {
        /// Its number, from 0.
        shard: usize,
        /// Its CPU time, as a share of one core.
        share: f64,
        /// Shards there are.
        shards: usize,
        /// Cores there are.
        cores: u64,
    },
    /// Neither: the busiest shard had time left.
    Elsewhere {
        /// Its CPU time, as a share of one core.
        busiest: f64,
    },
}

/// The worst window of its kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Breach {
    /// What was exceeded, and by how much.
    pub excess: Excess,
    /// What held the generator up.
    pub cause: Cause,
    /// The phase that the window began in.
    pub phase: Phase,
    /// End of the window, in seconds from the origin.
    pub until_s: u64,
}

/// What is not held against the generator since connects were a storm.
#[derive(Clone, Debug, PartialEq)]
pub struct Storm {
    /// At the end of so many seconds the window before them was one in which it did not keep up.
    pub seconds: u64,
    /// The worst of each kind.
    pub worst: Vec<Excess>,
}

/// How a window is judged.
enum Rule {
    /// With so many milliseconds of lateness at most.
    Held(f64),
    /// With the general limit, and not held against the run: connects are a storm.
    Storm,
    /// Nothing was said of it.
    Free,
}

/// What one second says.
pub(super) struct HealthSecond<'a> {
    pub(super) second: u64,
    pub(super) phase: Phase,
    pub(super) lateness: &'a Distribution,
    /// CPU time of each shard, as a share of one core.
    pub(super) busy: Vec<f64>,
    /// How long each was ready to run and had no core, as a share of the time.
    pub(super) waited: Vec<f64>,
    /// (second in which they were due, starts).
    pub(super) starts: Vec<(u64, u64)>,
    /// Attempts that began.
    pub(super) connects: u64,
    /// Cores kept busy by generator and endpoint together.
    pub(super) machine: f64,
}

struct Second {
    second: u64,
    phase: Phase,
    lateness: Distribution,
    busy: Vec<f64>,
    waited: Vec<f64>,
    connects: u64,
    machine: f64,
    offered: u64,
    achieved: u64,
}

/// Watches the generator.
pub(super) struct Health {
    thresholds: Vec<Threshold>,
    things: u64,
    cores: u64,
    seconds: VecDeque<Second>,
    /// Windows outside it do not count.
    measured: Option<Range<u64>>,
    worst: BTreeMap<u8, Breach>,
    /// The same in storms, and at the end of which seconds there was any.
    in_storms: BTreeMap<u8, Excess>,
    storm_seconds: BTreeSet<u64>,
}

impl Health {
    pub(super) fn new(thresholds: Vec<Threshold>, things: u64, cores: u64) -> Self {
        Self {
            thresholds,
            things,
            cores,
            seconds: VecDeque::new(),
            measured: None,
            worst: BTreeMap::new(),
            in_storms: BTreeMap::new(),
            storm_seconds: BTreeSet::new(),
        }
    }

    /// So many things are driven.
    pub(super) fn drives(&mut self, things: u64) {
        self.things = things;
    }

    /// Only windows of these seconds count.
    pub(super) fn measure(&mut self, seconds: Range<u64>) {
        self.measured = Some(seconds);
    }

    /// The worst of each kind so far.
    pub(super) fn breaches(&self) -> Vec<Breach> {
        self.worst.values().copied().collect()
    }

    /// What storms of connects excuse, where there is anything.
    pub(super) fn storm(&self) -> Option<Storm> {
        let worst: Vec<Excess> = self.in_storms.values().copied().collect();
        (!worst.is_empty()).then_some(Storm { seconds: self.storm_seconds.len() as u64, worst })
    }

    pub(super) fn second(&mut self, second: HealthSecond<'_>) {
        let achieved = second.starts.iter().map(|(_, count)| count).sum();
        self.seconds.push_back(Second {
            second: second.second,
            phase: second.phase,
            lateness: second.lateness.clone(),
            busy: second.busy,
            waited: second.waited,
            connects: second.connects,
            machine: second.machine,
            offered: 0,
            achieved,
        });
        for (due, count) in second.starts {
            if let Some(known) = self.seconds.iter_mut().find(|known| known.second == due) {
                known.offered += count;
            }
        }
        while self.seconds.len() > WINDOW + REPORT_DELAY_S {
            self.seconds.pop_front();
        }
        self.judge_newest();
        self.judge_starts(0);
    }

    /// No more starts will be told of.
    pub(super) fn finish(&mut self) {
        (1..=REPORT_DELAY_S).for_each(|skipped| self.judge_starts(skipped));
    }

    /// Seconds that are judged together.
    fn window(&self) -> usize {
        let measured = self.measured.as_ref().map(|measured| (measured.end - measured.start) as usize);
        measured.map_or(WINDOW, |measured| WINDOW.min(measured))
    }

    /// What has to hold in a window, by what the thresholds are about.
    fn rule(&self, window: &[&Second]) -> Rule {
        let phase = window[0].phase;
        if phase == Phase::Done || window.iter().any(|second| second.phase != phase) {
            return Rule::Free;
        }
        if self.measured.as_ref().is_some_and(|measured| window.iter().any(|second| !measured.contains(&second.second))) {
            return Rule::Free;
        }
        let connects: u64 = window.iter().map(|second| second.connects).sum();
        let is_storm = self.measured.is_none() && connects as f64 > STORM_SHARE * self.things as f64;
        if self.thresholds.is_empty() {
            return if phase == Phase::Connect || !is_storm { Rule::Held(LATENESS_MAX_MS) } else { Rule::Storm };
        }
        let is_storm = self.measured.is_none() && phase == Phase::Connect || is_storm;
        let mut is_excused = false;
        let covering = self.thresholds.iter().filter(|threshold| {
            let is_about_connecting = threshold.metric.operation().is_some_and(Operation::is_connecting);
            let is_covering = threshold.phase.is_none_or(|wanted| wanted == phase);
            let is_excusable = is_storm && !is_about_connecting && threshold.phase != Some(Phase::Connect);
            is_excused |= is_covering && is_excusable;
            is_covering && !is_excusable
        });
        let limits = covering.map(|threshold| match threshold.metric {
            Metric::Latency(..) => LATENESS_MAX_MS.max(LATENESS_OF_THRESHOLD * threshold.check.limit),
            _ => f64::INFINITY,
        });
        // Where nothing is said of latencies, the general limit stands.
        match limits.reduce(f64::min) {
            Some(limit) => Rule::Held(if limit.is_finite() { limit } else { LATENESS_MAX_MS }),
            None if is_excused => Rule::Storm,
            None => Rule::Free,
        }
    }

    fn judge_newest(&mut self) {
        let size = self.window();
        let Some(from) = self.seconds.len().checked_sub(size).filter(|_| size > 0) else { return };
        let window: Vec<&Second> = self.seconds.range(from..).collect();
        let rule = self.rule(&window);
        let limit = match rule {
            Rule::Held(limit) => limit,
            Rule::Storm => LATENESS_MAX_MS,
            Rule::Free => return,
        };
        let mut lateness = Distribution::default();
        window.iter().for_each(|second| lateness.merge(&second.lateness));
        let late = lateness
            .latency(Resolution::SHORT)
            .filter(|latency| lateness.count() >= STARTS_MIN && latency.p99 > limit)
            .filter(|_| lateness.count_above(limit, Resolution::SHORT) >= LATE_STARTS_MIN)
            .map(|latency| Excess::Late { p99: latency.p99, limit });
        let (shard, share) = busiest(&window);
        let busy = (share > BUSY_MAX).then_some(Excess::Busy { shard, share });
        let starved = starved(&window).filter(|_| busy.is_none());
        let excesses: Vec<Excess> = late.into_iter().chain(busy).chain(starved).collect();
        if matches!(rule, Rule::Storm) {
            let second = window[size - 1].second;
            excesses.into_iter().for_each(|excess| self.excuse(excess, second));
        } else {
            let breaches: Vec<Breach> = excesses.into_iter().map(|excess| self.breach(excess, &window)).collect();
            breaches.into_iter().for_each(|breach| self.keep(breach));
        }
    }

    /// Judges the window that ends `REPORT_DELAY_S - skipped` seconds before the newest one.
    fn judge_starts(&mut self, skipped: usize) {
        let size = self.window();
        let Some(from) = (self.seconds.len() + skipped).checked_sub(size + REPORT_DELAY_S) else { return };
        let window: Vec<&Second> = self.seconds.iter().skip(from).take(size).collect();
        if window.len() < size.max(1) {
            return;
        }
        let offered: u64 = window.iter().map(|second| second.offered).sum();
        let achieved = window.iter().map(|second| second.achieved).sum::<u64>() as f64 / offered.max(1) as f64;
        if offered < STARTS_MIN || achieved >= ACHIEVED_MIN {
            return;
        }
        let excess = Excess::Missed { achieved };
        match self.rule(&window) {
            Rule::Held(_) => self.keep(self.breach(excess, &window)),
            Rule::Storm => {
                let second = window[size - 1].second;
                self.excuse(excess, second);
            }
            Rule::Free => {}
        }
    }

    fn breach(&self, excess: Excess, window: &[&Second]) -> Breach {
        let (shard, share) = busiest(window);
        let used = mean(window.iter().map(|second| second.machine));
        let cores = self.cores;
        let cause = if used >= MACHINE_BUSY * cores as f64 {
            Cause::Machine { used, cores }
        } else if share > BUSY_MAX {
            Cause::Shard { shard, share, shards: window[0].busy.len(), cores }
        } else {
            Cause::Elsewhere { busiest: share }
        };
        Breach { excess, cause, phase: window[0].phase, until_s: window[window.len() - 1].second + 1 }
    }

    fn excuse(&mut self, excess: Excess, second: u64) {
        self.storm_seconds.insert(second);
        let known = self.in_storms.entry(excess.rank()).or_insert(excess);
        if excess.size() > known.size() {
            *known = excess;
        }
    }

    fn keep(&mut self, breach: Breach) {
        let known = self.worst.entry(breach.excess.rank()).or_insert(breach);
        if breach.excess.size() > known.excess.size() {
            *known = breach;
        }
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1) as f64;
    values.sum::<f64>() / count
}

/// Over the window, as a share of one core.
fn busiest(window: &[&Second]) -> (usize, f64) {
    let shares = shares(window, |second| &second.busy).into_iter().enumerate();
    shares.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.0))
}

/// The shard that was ready to run nearly all the time, whether it had a core or not.
fn starved(window: &[&Second]) -> Option<Excess> {
    let (ran, waited) = (shares(window, |second| &second.busy), shares(window, |second| &second.waited));
    let times = ran.into_iter().zip(waited).enumerate().map(|(shard, (ran, waited))| Excess::Starved { shard, ran, waited });
    times.filter(|time| time.size() > READY_MAX).max_by(|a, b| a.size().total_cmp(&b.size()))
}

/// Of each shard, over the window.
fn shares(window: &[&Second], of: impl Fn(&Second) -> &Vec<f64>) -> Vec<f64> {
    let shards = window.iter().map(|second| of(second).len()).max().unwrap_or(0);
    (0..shards).map(|shard| mean(window.iter().map(|second| of(second).get(shard).copied().unwrap_or(0.0)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Check, Histogram};

    fn lateness(ms: u64) -> Distribution {
        let mut histogram = Histogram::new(Resolution::SHORT);
        (0..100).for_each(|_| histogram.record(Duration::from_millis(ms)));
        histogram.take()
    }

    fn threshold(metric: &str, check: &str, phase: Option<Phase>) -> Threshold {
        Threshold { metric: Metric::parse(metric).unwrap(), check: Check::parse(check).unwrap(), over: None, phase, cohort: None }
    }

    struct Story {
        health: Health,
        next: u64,
    }

    impl Story {
        fn new(thresholds: Vec<Threshold>) -> Self {
            Self { health: Health::new(thresholds, 1_000, 4), next: 0 }
        }

        /// Seconds in which 100 things start this late, on two shards of which the second is this busy.
        fn seconds(&mut self, count: u64, phase: Phase, late_ms: u64, busy: f64) -> &mut Self {
            self.starved_seconds(count, phase, late_ms, busy, 0.05)
        }

        /// The same with the second shard waiting for a core for this share of the time.
        fn starved_seconds(&mut self, count: u64, phase: Phase, late_ms: u64, busy: f64, waited: f64) -> &mut Self {
            for _ in 0..count {
                let (second, late) = (self.next, lateness(late_ms));
                self.next += 1;
                let due = second.saturating_sub(late_ms / 1_000);
                let (busy, starts) = (vec![0.2, busy], vec![(due, 100)]);
                let (machine, waited) = (busy.iter().sum(), vec![0.0, waited]);
                self.health.second(HealthSecond { second, phase, lateness: &late, busy, waited, starts, connects: 0, machine });
            }
            self
        }

        fn excesses(&mut self) -> Vec<Excess> {
            self.health.finish();
            self.health.breaches().iter().map(|breach| breach.excess).collect()
        }
    }

    #[test]
    fn a_generator_that_keeps_up_is_not_blamed() {
        assert_eq!(Story::new(Vec::new()).seconds(60, Phase::Rollout, 9, 0.89).excesses(), []);
    }

    #[test]
    fn a_shard_that_waits_for_a_core_has_no_time_left_either() {
        assert_eq!(Story::new(Vec::new()).starved_seconds(20, Phase::Rollout, 9, 0.4, 0.45).excesses(), []);
        let mut story = Story::new(Vec::new());
        story.starved_seconds(20, Phase::Rollout, 9, 0.4, 0.58);
        let [Excess::Starved { shard: 1, ran, waited }] = story.excesses()[..] else { panic!("{:?}", story.excesses()) };
        assert!((ran - 0.4).abs() < 1e-9 && (waited - 0.58).abs() < 1e-9, "{ran} {waited}");
        assert!(matches!(story.health.breaches()[0].cause, Cause::Elsewhere { .. }));
    }

    #[test]
    fn ten_late_seconds_of_one_phase_are_an_excess_and_nine_are_not() {
        let mut story = Story::new(Vec::new());
        story.seconds(5, Phase::Steady, 40, 0.1).seconds(9, Phase::Rollout, 40, 0.1);
        assert_eq!(story.excesses(), [], "no 10 s of one phase");
        story.seconds(1, Phase::Rollout, 40, 0.1);
        let [Excess::Late { p99, limit }] = story.excesses()[..] else { panic!("{:?}", story.excesses()) };
        assert_eq!((p99.round(), limit), (40.0, 10.0));
        let breach = story.health.breaches()[0];
        assert_eq!((breach.until_s, breach.phase), (15, Phase::Rollout));
        assert!(matches!(breach.cause, Cause::Elsewhere { busiest } if busiest < 0.21), "{breach:?}");
    }

    #[test]
    fn of_few_starts_ten_are_late_before_it_counts() {
        let late = |late: u64| {
            let mut health = Health::new(Vec::new(), 1_000, 4);
            for second in 0..10 {
                let mut histogram = Histogram::new(Resolution::SHORT);
                let late = if second == 3 { late } else { 0 };
                (0..20).for_each(|n| histogram.record(Duration::from_millis(if n < late { 40 } else { 1 })));
                let (busy, waited, starts) = (vec![0.1], vec![0.0], vec![(second, 20)]);
                let (lateness, phase, machine) = (histogram.take(), Phase::Steady, 0.1);
                health.second(HealthSecond { second, phase, lateness: &lateness, busy, waited, starts, connects: 0, machine });
            }
            health.breaches().len()
        };
        assert_eq!([late(3), late(9), late(10)], [0, 0, 1], "of 200 starts 3 are more than 1 %");
    }

    #[test]
    fn where_a_load_is_measured_only_its_seconds_count_and_connects_are_a_part_of_it() {
        let late = |measured: Range<u64>, phase| {
            let mut story = Story::new(vec![threshold("start_next.response_ms.p99", "< 100", None)]);
            story.health.measure(measured);
            story.seconds(12, phase, 40, 0.1).seconds(20, phase, 1, 0.1).excesses().len()
        };
        assert_eq!([late(0..20, Phase::Steady), late(12..22, Phase::Steady)], [1, 0], "where it was late, or not");
        assert_eq!(late(0..20, Phase::Connect), 1, "a storm is no excuse");
        assert_eq!([late(3..6, Phase::Steady), late(13..16, Phase::Steady)], [1, 0], "fewer than ten are judged together");
    }

    #[test]
    fn a_busy_shard_is_named_and_so_is_a_busy_machine() {
        let mut story = Story::new(Vec::new());
        story.seconds(12, Phase::Rollout, 1, 0.99);
        let [Excess::Busy { shard: 1, share }] = story.excesses()[..] else { panic!("{:?}", story.excesses()) };
        assert!((share - 0.99).abs() < 1e-9);
        assert!(matches!(story.health.breaches()[0].cause, Cause::Shard { shard: 1, shards: 2, cores: 4, .. }));
        let mut story = Story::new(Vec::new());
        story.health.cores = 1;
        story.seconds(12, Phase::Rollout, 1, 0.99);
        assert!(matches!(story.excesses()[..], [Excess::Busy { .. }]));
        assert!(matches!(story.health.breaches()[0].cause, Cause::Machine { cores: 1, .. }));
    }

    #[test]
    fn starts_that_leave_seconds_after_they_were_due_are_missed_where_they_were_due() {
        let mut story = Story::new(Vec::new());
        story.seconds(10, Phase::Rollout, 0, 0.1).seconds(4, Phase::Rollout, 4_000, 0.1);
        // 100 a second were due all the while; those of the last 4 s left late, and more were due than left.
        let excesses = story.excesses();
        assert!(excesses.iter().any(|excess| matches!(excess, Excess::Late { .. })), "{excesses:?}");
        let mut story = Story::new(Vec::new());
        story.seconds(12, Phase::Rollout, 0, 0.1);
        for n in 0..3 {
            let nothing = Distribution::default();
            let starts = vec![(11, 40), (12 + n, 60)];
            let (second, phase) = (12 + n, Phase::Rollout);
            story.health.second(HealthSecond {
                second,
                phase,
                lateness: &nothing,
                busy: vec![0.1],
                waited: vec![0.1],
                starts,
                connects: 0,
                machine: 0.1,
            });
        }
        let excesses = story.excesses();
        let [Excess::Missed { achieved }] = excesses[..] else { panic!("{excesses:?}") };
        assert!((achieved - 1_000.0 / 1_120.0).abs() < 1e-9, "{achieved}");
    }

    #[test]
    fn a_fleet_that_comes_back_as_one_taints_the_figures_of_connecting_only() {
        let storm = |thresholds, phase| {
            let is_held = |excesses: usize, told: Option<Storm>| (excesses, told.map(|storm| (storm.seconds, storm.worst.len())));
            let mut story = Story::new(thresholds);
            for second in 0..12 {
                let late = lateness(300);
                let (busy, starts) = (vec![0.99], vec![(second, 100)]);
                story.health.second(HealthSecond {
                    second,
                    phase,
                    lateness: &late,
                    busy,
                    waited: Vec::new(),
                    starts,
                    connects: 100,
                    machine: 1.0,
                });
            }
            is_held(story.excesses().len(), story.health.storm())
        };
        let of = |check| vec![threshold(check, "< 1000", None)];
        // What is not held against the run is told: late and busy at the end of three windows.
        assert_eq!(storm(Vec::new(), Phase::Rollout), (0, Some((3, 2))));
        assert_eq!(storm(of("start_next.response_ms.p99"), Phase::Rollout), (0, Some((3, 2))));
        assert_eq!(storm(of("connect.response_ms.p99"), Phase::Rollout), (2, None));
        assert_eq!(storm(Vec::new(), Phase::Connect), (2, None), "how a fleet first connects is the plan's own rate");
        let elsewhere = vec![threshold("start_next.response_ms.p99", "< 1000", Some(Phase::Steady))];
        assert_eq!(storm(elsewhere, Phase::Rollout), (0, None), "nothing is said of that phase");
    }

    #[test]
    fn only_phases_that_a_threshold_is_about_count_and_its_size_moves_the_limit() {
        let late = |thresholds, phase| Story::new(thresholds).seconds(12, phase, 40, 0.1).excesses().len();
        let of = |check, phase| vec![threshold("start_next.response_ms.p99", check, phase)];
        assert_eq!(late(of("< 250", None), Phase::Rollout), 1, "over 12.5 ms");
        assert_eq!(late(of("< 1000", None), Phase::Rollout), 0, "within 50 ms");
        assert_eq!(late(of("< 250", Some(Phase::Steady)), Phase::Rollout), 0);
        assert_eq!(late(of("< 250", None), Phase::Connect), 0, "a storm taints what is said of connecting");
        assert_eq!(late(vec![threshold("connect.response_ms.p99", "< 500", None)], Phase::Connect), 1);
        assert_eq!(late(vec![threshold("executions.lost", "== 0", None)], Phase::Rollout), 1);
        assert_eq!(late(Vec::new(), Phase::Connect), 1);
    }
}
