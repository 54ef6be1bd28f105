//! One line a second, for terminals without a dashboard and for logs.

use load_metrics::format::{UNKNOWN, milliseconds, plain};
use load_metrics::{ExecutionStage, Operation, Snapshot};

/// `t=90s phase=rollout conn=9998/10000 (+0/s) exec: queued=120 run=431 ok=9401 fail=46 msg=3120/s start_next p99=41ms ...`
#[must_use]
pub fn line(snapshot: &Snapshot) -> String {
    let executions = &snapshot.executions;
    let known = |count: Option<u64>| count.map_or_else(|| UNKNOWN.to_owned(), |count| count.to_string());
    let mut line = format!(
        "t={}s phase={} conn={}/{} (+{}/s) exec: queued={} run={} ok={} fail={} msg={}/s",
        snapshot.t_s,
        snapshot.phase,
        snapshot.connected,
        snapshot.things,
        snapshot.connects_per_s,
        known(executions.sum(&[ExecutionStage::Queued, ExecutionStage::Notified])),
        known(executions.get(ExecutionStage::InProgress)),
        known(executions.get(ExecutionStage::Succeeded)),
        executions.bad(),
        snapshot.messages_in_per_s + snapshot.messages_out_per_s,
    );
    if let Some(latency) = snapshot.of_second(Operation::StartNext).and_then(|row| row.response) {
        line += &format!(" start_next p99={}", milliseconds(latency.p99));
    }
    if let Some(latency) = snapshot.lateness {
        line += &format!(" lateness p99={}", milliseconds(latency.p99));
    }
    if !snapshot.thresholds.is_empty() {
        let that = |holds| snapshot.thresholds.iter().filter(move |row| row.holds() == Some(holds));
        line += &format!(" thresholds={}/{}", that(true).count(), snapshot.thresholds.len());
        for row in that(false) {
            line += &format!(" !{}={}", row.threshold.metric, row.value.map_or_else(String::new, plain));
        }
    }
    line
}
