//! Results folders made by hand, with what a comparison reads of them.

use crate::manifest;
use fleetsim::report::{Manifest, Verdict};
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use load_metrics::{Operation, Resolution};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A folder with folders of runs.
pub(crate) struct Bench {
    dir: tempfile::TempDir,
}

/// How a run came out.
pub(crate) struct Made {
    /// Median of the response times of `update`, which spread from 0.5 to 1.5 of it, and a little from second to second.
    pub(crate) ms: f64,
    pub(crate) seconds: u64,
    pub(crate) per_second: u64,
    /// Of these, refused.
    pub(crate) failed: u64,
    pub(crate) verdict: Verdict,
}

impl Default for Made {
    fn default() -> Self {
        Self { ms: 5.0, seconds: 40, per_second: 100, failed: 0, verdict: Verdict::Pass }
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub(crate) fn make(&self, name: &str, made: &Made) {
        let dir = self.path(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("run.json"), serde_json::to_vec(&manifest(made.verdict)).unwrap()).unwrap();
        write_files(&dir, made);
    }

    pub(crate) fn edit(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        let path = self.path(name).join("run.json");
        let mut manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        edit(&mut manifest);
        fs::write(path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    }

    /// Exit code, standard output and standard error.
    pub(crate) fn compare(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetsim"));
        let output = command.arg("compare").args(args).current_dir(self.dir.path()).stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let (code, stdout, stderr) = self.compare(&[&["--json"], args].concat());
        assert_eq!(code, 0, "{args:?}: {stderr}");
        serde_json::from_str(&stdout).unwrap()
    }
}

fn write_files(dir: &Path, made: &Made) {
    let (mut timeseries, mut operations) = ("t_s,phase\n".to_owned(), "t_s,scope,operation,ok,rejected,timeout,error\n".to_owned());
    let (mut log, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
    let mut lines = IntervalLogWriterBuilder::new().begin_log_with(&mut log, &mut serializer).unwrap();
    for second in 1..=made.seconds {
        writeln!(timeseries, "{second},{}", if second <= 3 { "connect" } else { "rollout" }).unwrap();
        let Made { per_second, failed, .. } = made;
        writeln!(operations, "{second},all,update,{},{failed},0,0", per_second - failed).unwrap();
        let mut histogram = Resolution::of(Operation::Update, false).histogram();
        for n in 0..*per_second {
            let spread = 0.5 + (n as f64 + 0.5) / *per_second as f64;
            let wave = 1.0 + 0.005 * (second as f64).sin();
            histogram.record((1_000.0 * made.ms * spread * wave).round() as u64).unwrap();
        }
        let start = Duration::from_secs(second - 1);
        lines.write_histogram(&histogram, start, Duration::from_secs(1), Tag::new("update.response")).unwrap();
    }
    drop(lines);
    fs::write(dir.join("timeseries.csv"), timeseries).unwrap();
    fs::write(dir.join("operations.csv"), operations).unwrap();
    fs::write(dir.join("histograms.hlog"), log).unwrap();
}

fn manifest(verdict: Verdict) -> Manifest {
    Manifest {
        verdict,
        exit_code: Some(0),
        scenario: json!({ "name": "test", "fleet": { "things": 50 }, "target": { "emulator": { "latency": "5ms" } } }),
        findings: vec!["found".into()],
        ..manifest::running()
    }
}
