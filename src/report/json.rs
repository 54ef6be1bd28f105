//! One JSON object a second, for programs.

use super::manifest::{EventTotals, Manifest, Percentiles, ThresholdTotals};
use load_metrics::Snapshot;
use serde_json::{Map, Value, json};

/// The second as one line of JSON, `"type":"second"`.
#[must_use]
pub fn line(snapshot: &Snapshot) -> String {
    let operations: Map<String, Value> = snapshot
        .second
        .iter()
        .filter(|row| row.scope == load_metrics::ScopeName::All)
        .map(|row| {
            let counts = &row.counts;
            let value = json!({
                "started": counts.started, "ok": counts.ok, "rejected": counts.rejected, "timeout": counts.timeout, "error": counts.error,
                "open": row.open,
                "service_ms": row.service.map(Percentiles::from), "response_ms": row.response.map(Percentiles::from),
            });
            (row.operation.as_str().to_owned(), value)
        })
        .collect();
    let executions: Map<String, Value> =
        snapshot.executions.iter().map(|(stage, count)| (stage.key().to_owned(), json!(count))).collect();
    json!({
        "type": "second",
        "t_s": snapshot.t_s,
        "phase": snapshot.phase.as_str(),
        "things": snapshot.things,
        "connected": snapshot.connected,
        "connects_per_s": snapshot.connects_per_s,
        "messages_in_per_s": snapshot.messages_in_per_s,
        "messages_out_per_s": snapshot.messages_out_per_s,
        "executions": executions,
        "operations": operations,
        "thresholds": snapshot.thresholds.iter().map(ThresholdTotals::from).collect::<Vec<_>>(),
        "events": snapshot.events.iter().map(|row| EventTotals::new(row, snapshot.origin)).collect::<Vec<_>>(),
        "lateness_ms": snapshot.lateness.map(Percentiles::from),
        "generator": snapshot.generator.map(|usage| json!({ "cpu_share": usage.cpu_share, "rss_bytes": usage.rss_bytes })),
        "endpoint": snapshot.endpoint.map(|usage| json!({ "cpu_share": usage.cpu_share, "rss_bytes": usage.rss_bytes })),
    })
    .to_string()
}

/// The end of the run as one line of JSON, `"type":"summary"`: the manifest.
#[must_use]
pub fn summary(manifest: &Manifest) -> String {
    let mut value = serde_json::to_value(manifest).expect("a manifest has string keys and finite numbers");
    if let Value::Object(members) = &mut value {
        members.insert("type".into(), "summary".into());
    }
    value.to_string()
}
