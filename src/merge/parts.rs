//! The folders that are to be one run, and whether they are.

use super::MergeError;
use super::difference;
use super::leader::Leader;
use crate::preflight::HostFacts;
use crate::report::{self, Manifest, MergedShard, Mode, ReportError, SCENARIO, ShardClock, ShardMeasured, ShardTotals, Verdict};
use crate::results_folder::fingerprint;
use crate::roster::Roster;
use crate::run::StartAt;
use crate::scenario;
use crate::scenario::plan::Plan;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Of one process: more of them no host has cores for.
const THREADS_MAX: usize = 4_096;
/// Slices that are named in one message.
const NAMED_MAX: usize = 20;

/// A shard's folder.
#[derive(Debug)]
pub(super) struct Part {
    pub dir: PathBuf,
    pub manifest: Manifest,
    pub shard: ShardTotals,
}

/// All shards of one run.
#[derive(Debug)]
pub(super) struct Parts {
    pub plan: Plan,
    pub roster: Roster,
    pub start_at: StartAt,
    /// In the order of their slices; at least one.
    pub parts: Vec<Part>,
    /// Of whoever led them, where it is known.
    pub leader: Option<Leader>,
}

impl Parts {
    /// Reads what the folders say of themselves.
    ///
    /// # Errors
    /// When one of them cannot be read, or they are not the shards of one run: with everything that is wrong.
    pub(super) fn read(dirs: &[PathBuf]) -> Result<Self, MergeError> {
        let mut refused = Vec::new();
        let (mut parts, mut leaders) = (Vec::new(), Vec::new());
        for dir in dirs {
            let manifest = report::load_manifest(dir)?;
            if manifest.shards > THREADS_MAX {
                let why = format!("its run.json has {} threads", manifest.shards);
                return Err(MergeError::Report(ReportError::Damaged { path: dir.clone(), why }));
            }
            if Leader::is_of(dir, &manifest) {
                refused.extend(going_on(dir, &manifest));
                leaders.push(Leader::new(dir, &manifest));
                continue;
            }
            match shard_of(dir, &manifest) {
                Ok(shard) => parts.push(Part { dir: dir.clone(), manifest, shard }),
                Err(why) => refused.push(why),
            }
        }
        if let Some((first, others)) = parts.split_first() {
            refused.extend(others.iter().flat_map(|other| differences(first, other)));
            refused.extend(slices(&parts));
            refused.extend(leaders.iter().filter_map(|leader| leader.differs(first)));
        }
        if let [first, second, ..] = &leaders[..] {
            refused.push(format!("two leaders: {} and {}", first.dir.display(), second.dir.display()));
        }
        if parts.is_empty() && refused.is_empty() {
            refused.push("none of them is the folder of a slice: name those of all slices".into());
        }
        if !refused.is_empty() {
            return Err(MergeError::Refused(refused));
        }
        parts.sort_by_key(|part| part.shard.slice.index());
        let plan = plan(&parts[0])?;
        let start_at = parts[0].shard.start_at.parse().map_err(|why: String| damaged(&parts[0], why))?;
        Ok(Self { roster: Roster::new(&plan)?, plan, start_at, parts, leader: leaders.pop() })
    }

    /// Of the hosts of all shards, each counted once: what they have together, and of limits the lowest.
    pub(super) fn host(&self) -> HostFacts {
        let mut hosts: BTreeMap<&str, &HostFacts> = BTreeMap::new();
        self.parts.iter().for_each(|part| _ = hosts.entry(&part.manifest.host.hostname).or_insert(&part.manifest.host));
        let least = |pick: fn(&HostFacts) -> u64| hosts.values().map(|host| pick(host)).min().unwrap_or(0);
        HostFacts {
            hostname: hosts.keys().copied().collect::<Vec<_>>().join(", "),
            kernel: hosts
                .values()
                .map(|host| host.kernel.as_str())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect::<Vec<_>>()
                .join(", "),
            cores: hosts.values().map(|host| host.cores).sum(),
            memory_available_bytes: hosts.values().map(|host| host.memory_available_bytes).sum(),
            descriptors: least(|host| host.descriptors),
            ephemeral_ports: least(|host| host.ephemeral_ports),
        }
    }

    /// The folder of a shard is none of what its leader has led.
    pub(super) fn of_another_run(&self, dir: &Path) -> MergeError {
        let leader = self.leader.as_ref().map_or_else(String::new, |leader| leader.dir.display().to_string());
        MergeError::Refused(vec![format!("different runs: {} began at another instant than what {leader} has led", dir.display())])
    }

    /// Of each shard.
    pub(super) fn threads(&self) -> Vec<usize> {
        self.parts.iter().map(|part| part.manifest.shards).collect()
    }

    /// As the manifest of the whole has them.
    pub(super) fn totals(&self, clocks: &BTreeMap<u32, ShardClock>) -> Vec<MergedShard> {
        let totals = |part: &Part| MergedShard {
            pid: part.manifest.pid,
            version: part.manifest.version.clone(),
            findings: if part.is_cut() { Vec::new() } else { part.manifest.findings.clone() },
            // Known when all of it is read.
            measured: ShardMeasured::default(),
            generator: part.manifest.totals.generator,
            clock: clocks.get(&part.shard.slice.index()).copied(),
            slice: part.shard.slice,
            dir: part.dir.display().to_string(),
            verdict: part.manifest.verdict,
            exit_code: part.manifest.exit_code,
            host: part.manifest.host.clone(),
            shards: part.manifest.shards,
            things: part.manifest.totals.things,
            started_at: part.manifest.started_at.clone(),
            finished_at: part.manifest.finished_at.clone(),
        };
        self.parts.iter().map(totals).collect()
    }
}

fn going_on(dir: &Path, manifest: &Manifest) -> Option<String> {
    report::is_going_on(manifest).then(|| format!("{} still goes on, as process {}: wait for its end", dir.display(), manifest.pid))
}

fn shard_of(dir: &Path, manifest: &Manifest) -> Result<ShardTotals, String> {
    match &manifest.shard {
        Some(shard) => going_on(dir, manifest).map_or_else(|| Ok(shard.clone()), Err),
        None if manifest.mode == Mode::Merged => Err(format!("{} is a merged run already: name its slices instead", dir.display())),
        None => Err(format!("{} is not a slice of a run: `fleetsim run --shard I/N --start-at TIME` makes those", dir.display())),
    }
}

/// In what two shards are not of one run.
fn differences(first: &Part, other: &Part) -> Vec<String> {
    let (left, right) = (first.dir.display(), other.dir.display());
    let differ = |what: &str, a: &str, b: &str| (a != b).then(|| format!("{what}: {a} in {left}, and {b} in {right}"));
    let (a, b) = (&first.manifest, &other.manifest);
    let counts = [first.shard.slice.count(), other.shard.slice.count()].map(|count| count.to_string());
    let of_scenario = || {
        let without_seed = |manifest: &Manifest| {
            let mut scenario = manifest.scenario.clone();
            scenario.as_object_mut().map(|keys| keys.remove("seed"));
            scenario
        };
        let found = difference::first(&without_seed(a), &without_seed(b))?;
        differ(&format!("different scenarios, {}", found.key), &found.left, &found.right)
    };
    let told = [
        differ("different versions of fleetsim", &a.version, &b.version),
        differ("different numbers of slices", &counts[0], &counts[1]),
        differ("different instants of --start-at", &first.shard.start_at, &other.shard.start_at),
        differ("different seeds", &a.seed.to_string(), &b.seed.to_string()),
        of_scenario(),
    ];
    let told: Vec<String> = told.into_iter().flatten().collect();
    match told.is_empty() {
        true => differ("different scenarios", &a.scenario_sha256, &b.scenario_sha256).into_iter().collect(),
        false => told,
    }
}

/// Slices that are there twice, or not at all.
fn slices(parts: &[Part]) -> Vec<String> {
    let count = parts[0].shard.slice.count();
    if parts.iter().any(|part| part.shard.slice.count() != count) {
        return Vec::new();
    }
    let mut of_slice: BTreeMap<u32, &Part> = BTreeMap::new();
    let mut told = Vec::new();
    for part in parts {
        if let Some(known) = of_slice.insert(part.shard.slice.index(), part) {
            told.push(format!(
                "overlapping: slice {} is in {} and in {}",
                part.shard.slice,
                known.dir.display(),
                part.dir.display()
            ));
        }
    }
    let missing: Vec<String> =
        (0..count).filter(|index| !of_slice.contains_key(index)).map(|index| format!("{index}/{count}")).collect();
    if !missing.is_empty() {
        let more = missing.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        told.push(format!("missing: slice {}{more}", missing[..missing.len().min(NAMED_MAX)].join(", ")));
    }
    told
}

fn plan(part: &Part) -> Result<Plan, MergeError> {
    let path = part.dir.join(SCENARIO);
    let text = fs::read_to_string(&path).map_err(|source| ReportError::Read { path: path.clone(), source })?;
    if fingerprint(&text) != part.manifest.scenario_sha256 {
        return Err(damaged(part, format!("{SCENARIO} is not the scenario of run.json")));
    }
    scenario::load(&path.display().to_string(), &text, &[]).map_err(MergeError::Scenario)
}

fn damaged(part: &Part, why: String) -> MergeError {
    MergeError::Report(ReportError::Damaged { path: part.dir.clone(), why })
}

impl Part {
    /// Whether it has no last word, though its process is gone.
    pub(super) fn is_cut(&self) -> bool {
        self.manifest.verdict == Verdict::Running
    }
}
