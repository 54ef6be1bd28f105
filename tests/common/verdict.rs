//! How a run ended, on however busy a machine.

use serde_json::Value;
use std::path::Path;
use std::process::ExitStatus;

/// The exit code of a run with its results in `out`, had the machine been quick enough: 0 or 99 by what was counted. That its figures are
/// no evidence (98), and that latencies are over their thresholds, says something of the machine alone.
#[track_caller]
pub(crate) fn code(status: ExitStatus, out: &Path) -> Option<i32> {
    let code = status.code();
    let verdict = match code {
        Some(0) => "PASS",
        Some(98) => "INVALID",
        Some(99) => "FAIL",
        _ => return code,
    };
    let manifest: Value = serde_json::from_str(&std::fs::read_to_string(out.join("run.json")).unwrap()).unwrap();
    assert_eq!(manifest["verdict"], verdict);
    let list = |key: &str| manifest[key].as_array().unwrap().iter();
    let is_slow = |threshold: &Value| threshold["metric"].as_str().unwrap().contains("_ms.") && threshold["value"].is_number();
    let failed = list("thresholds").any(|threshold| threshold["holds"] != true && !is_slow(threshold))
        || manifest["differences"].as_u64().is_some_and(|count| count > 0)
        || list("findings").any(|finding| finding.as_str().unwrap().starts_with("the limit of "));
    Some(if failed { 99 } else { 0 })
}
