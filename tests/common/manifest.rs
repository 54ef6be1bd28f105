//! A manifest as a run has it that goes on.

use fleetsim::preflight::HostFacts;
use fleetsim::report::{Manifest, Mode, Totals, Verdict};

pub(crate) fn running() -> Manifest {
    Manifest {
        name: "test".into(),
        mode: Mode::Run,
        verdict: Verdict::Running,
        exit_code: None,
        seed: 42,
        scenario_sha256: "00".into(),
        scenario: serde_json::json!({ "name": "test" }),
        version: "0.0.0".into(),
        host: HostFacts {
            hostname: "here".into(),
            kernel: "6.0".into(),
            cores: 2,
            memory_available_bytes: 8 << 30,
            descriptors: 20_000,
            ephemeral_ports: 28_000,
        },
        pid: u32::MAX >> 1,
        shards: 2,
        started_at: "2026-01-01T00:00:00Z".into(),
        finished_at: None,
        totals: Totals::default(),
        thresholds: Vec::new(),
        events: Vec::new(),
        checks: Vec::new(),
        findings: Vec::new(),
        differences: None,
        reconciliation_findings: 0,
        predicted: Vec::new(),
        forecast: None,
        shard: None,
        merged: Vec::new(),
    }
}
