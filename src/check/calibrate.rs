//! A small run on this machine, over loopback, to see what it can do.

use super::sizing::{Calibration, Second};
use crate::exit;
use crate::preflight;
use crate::report::{self, ReportError};
use crate::run::{JobsAfterwards, Outlets, RunOptions, UiKind, run};
use crate::scenario;
use crate::slice::Slice;
use crate::workload::needs;
use procfs::{CpuTime, CurrentSI as _, KernelStats};
use std::path::Path;
use std::time::Duration;

const SCENARIO: &str = include_str!("calibration.toml");
/// For so long the machine is watched before the run.
const WATCH: Duration = Duration::from_secs(1);
/// A machine that is busier than this with other work is not judged.
const BUSY_SHARE: f64 = 0.2;

/// Why a machine cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    #[error("this machine is busy with other work ({:.0} % of its cores): calibrate when it is idle; end other programs and try again", share * 100.0)]
    Busy { share: f64 },
    #[error("the small run was no evidence: {0}")]
    Invalid(String),
    #[error("the small run was not carried out to its end (exit code {0})")]
    Run(u8),
    #[error("read /proc/stat: {0}")]
    Proc(#[from] procfs::ProcError),
    #[error("make a folder for the small run: {0}")]
    Folder(#[source] std::io::Error),
    #[error("{0}")]
    Report(#[from] ReportError),
    #[error("read the seconds of the small run: {0}")]
    Seconds(#[from] csv::Error),
}

impl CalibrateError {
    /// What it means for the exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Busy { .. } | Self::Invalid(_) => exit::INVALID,
            Self::Run(exit::INTERRUPTED) => exit::INTERRUPTED,
            Self::Run(_) | Self::Proc(_) | Self::Folder(_) | Self::Report(_) | Self::Seconds(_) => exit::ERROR,
        }
    }
}

/// Runs a small scenario, and throws its results away when they are read. Takes some ten seconds, and less than a minute.
///
/// # Errors
/// When the machine is busy, or the run failed.
///
/// # Panics
/// Never: a test reads the embedded scenario.
pub fn calibrate() -> Result<Calibration, CalibrateError> {
    let share = busy_share()?;
    if share > BUSY_SHARE {
        return Err(CalibrateError::Busy { share });
    }
    let mut plan = scenario::load("calibration.toml", SCENARIO, &[]).expect("the embedded scenario is well formed");
    let room = preflight::room(&needs(&plan, Slice::WHOLE), &preflight::facts());
    plan.fleet.things = plan.fleet.things.min(room.descriptors).min(room.ports).min(room.memory).max(1);
    let folder = tempfile::tempdir().map_err(CalibrateError::Folder)?;
    let out = folder.path().join("results");
    let options = RunOptions {
        plan,
        out: Some(out.clone()),
        certs: Some(folder.path().join("certs")),
        ui: UiKind::None,
        shards: None,
        title: None,
        shard: None,
        led: None,
        step: None,
        jobs_afterwards: JobsAfterwards::Deleted,
        outlets: Outlets::default(),
    };
    match run(options) {
        exit::PASS => Ok(Calibration::new(&seconds(&out)?).map_err(CalibrateError::Invalid)?),
        exit::INVALID | exit::FAIL => Err(CalibrateError::Invalid(report::load(&out)?.manifest().findings.join("; "))),
        code => Err(CalibrateError::Run(code)),
    }
}

fn seconds(out: &Path) -> Result<Vec<Second>, csv::Error> {
    csv::Reader::from_path(out.join("timeseries.csv"))?.deserialize().collect()
}

/// The part of all cores that is at work.
fn busy_share() -> Result<f64, procfs::ProcError> {
    let before = KernelStats::current()?.total;
    std::thread::sleep(WATCH);
    let after = KernelStats::current()?.total;
    let passed = |part: fn(&CpuTime) -> u64| part(&after).saturating_sub(part(&before)) as f64;
    let idle = passed(|time| time.idle + time.iowait.unwrap_or(0));
    let busy = passed(|time| {
        time.user + time.nice + time.system + time.irq.unwrap_or(0) + time.softirq.unwrap_or(0) + time.steal.unwrap_or(0)
    });
    Ok(if busy + idle > 0.0 { busy / (busy + idle) } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_scenario_is_one_and_this_machine_has_a_load() {
        let plan = scenario::load("calibration.toml", SCENARIO, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(plan.fleet.things > 0 && plan.end.limit <= Duration::from_secs(30));
        assert!((0.0..=1.0).contains(&busy_share().unwrap()));
    }

    /// As a run leaves it; without an endpoint on this host its cells are empty.
    #[test]
    fn the_seconds_of_a_run_are_read_by_their_columns() {
        let folder = tempfile::tempdir().unwrap();
        let text = "t_s,phase,connected,connects_per_s,messages_in_per_s,messages_out_per_s,cpu_share,rss_bytes,endpoint_cpu_share,\
                    endpoint_rss_bytes,shard_busy_max\n\
                    1,connect,93,93,77,94,0.170,52609024,0.169,35659776,0.1\n2,connect,155,62,67,62,0.220,54624256,,,0.1\n";
        std::fs::write(folder.path().join("timeseries.csv"), text).unwrap();
        let seconds = seconds(folder.path()).unwrap();
        let told: Vec<_> = seconds.iter().map(|second| (second.connected, second.messages_out_per_s, second.cpu_share)).collect();
        assert_eq!(told, [(93, 94, 0.17), (155, 62, 0.22)]);
        let endpoint: Vec<_> = seconds.iter().map(|second| (second.endpoint_cpu_share, second.endpoint_rss_bytes)).collect();
        assert_eq!(endpoint, [(Some(0.169), Some(35_659_776)), (None, None)]);
        assert!(super::seconds(&folder.path().join("nowhere")).is_err());
    }
}
