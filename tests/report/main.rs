//! The results folder: made from what shards and service told, read back as anybody would.

mod ci;
mod folder;
#[path = "../common/manifest.rs"]
mod manifest;
mod page;
mod parsed;

use fleetsim::report::{self, ReconciliationTotals, ReportError, Verdict};
use folder::{Run, THINGS, create, manifest};
use iot_jobs::ledger::HEADER;
use load_metrics::ExecutionStage;
use std::collections::BTreeMap;
use std::fs;
use strum::VariantArray;

/// The columns that others rely on, in their order; more may follow.
const CONTRACT: [(&str, &str); 6] = [
    (
        "summary.csv",
        "scope,operation,started,ok,rejected,timeout,error,open,rate_per_s,service_ms_mean,service_ms_p50,service_ms_p90,\
         service_ms_p95,service_ms_p99,service_ms_p999,service_ms_max,response_ms_mean,response_ms_p50,response_ms_p90,\
         response_ms_p95,response_ms_p99,response_ms_p999,response_ms_max",
    ),
    (
        "timeseries.csv",
        "t_s,phase,connected,connects_per_s,messages_in_per_s,messages_out_per_s,exec_queued,exec_notified,exec_in_progress,\
         exec_succeeded,exec_failed,exec_rejected,exec_timed_out,exec_canceled,exec_removed,start_next_response_ms_p50,\
         start_next_response_ms_p99,update_response_ms_p99,notify_next_ms_p99,lateness_ms_p99,cpu_share,rss_bytes,\
         endpoint_cpu_share,endpoint_rss_bytes",
    ),
    (
        "operations.csv",
        "t_s,scope,operation,started,ok,rejected,timeout,error,lost_arrivals,open,service_ms_p50,service_ms_p90,service_ms_p99,\
         service_ms_max,response_ms_p50,response_ms_p90,response_ms_p99,response_ms_max",
    ),
    (
        "rollouts.csv",
        "job,t_s,targets,exec_queued,exec_notified,exec_in_progress,exec_succeeded,exec_failed,exec_rejected,exec_timed_out,\
         exec_canceled,done_share",
    ),
    (
        "executions.csv",
        "thing,cohort,job,execution_number,queued_ms,notified_ms,started_ms,finished_ms,status,updates,rejections,reconnects,anomaly",
    ),
    ("errors.csv", "operation,kind,code,count,first_ms,last_ms,example"),
];

fn number(row: &BTreeMap<String, String>, column: &str) -> u64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column} is {:?}", row[column]))
}

// ------------------------------------------------------------------------------------------------------------ what is in it

#[test]
fn columns_are_those_of_the_contract_and_all_are_documented() {
    let run = Run::whole(true);
    let dictionary = report::dictionary();
    for (file, expected) in CONTRACT {
        let text = fs::read_to_string(run.path(file)).unwrap();
        let header = text.lines().next().unwrap();
        assert!(header.starts_with(expected), "{file}: {header}");
        let section = dictionary.split(&format!("\n## `{file}`\n")).nth(1).unwrap_or_else(|| panic!("{file} is not documented"));
        let section = section.split("\n## ").next().unwrap();
        let documented: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        assert_eq!(documented, header.split(',').collect::<Vec<_>>(), "{file}");
    }
}

#[test]
fn counts_add_up_in_every_row_and_over_the_files() {
    let run = Run::whole(true);
    let summary = run.rows("summary.csv");
    let operations = run.rows("operations.csv");
    let counts = ["started", "ok", "rejected", "timeout", "error"];
    for row in &summary {
        let ended: u64 = counts[1..].iter().map(|column| number(row, column)).sum();
        assert_eq!(number(row, "started"), ended + number(row, "open"), "{row:?}");
        let seconds: Vec<_> = operations.iter().filter(|o| ["scope", "operation"].iter().all(|c| o[*c] == row[*c])).collect();
        for column in counts {
            assert_eq!(seconds.iter().map(|second| number(second, column)).sum::<u64>(), number(row, column), "{column}: {row:?}");
        }
        let (mut started, mut ended) = (0, 0);
        for second in seconds {
            started += number(second, "started");
            ended += counts[1..].iter().map(|column| number(second, column)).sum::<u64>();
            assert_eq!(number(second, "open"), started - ended, "{second:?}");
        }
    }
    let of = |scope: &str, operation: &str| {
        let row = summary.iter().find(|row| row["scope"] == scope && row["operation"] == operation).unwrap();
        counts.map(|column| number(row, column))
    };
    assert_eq!(of("all", "update"), [18, 12, 2, 2, 2]);
    assert_eq!(of("cohort:slow", "update"), [9, 6, 1, 1, 1]);
    assert_eq!(of("transport:mqtt", "connect"), [12, 12, 0, 0, 0]);
    assert_eq!(of("all", "describe"), [2, 0, 0, 0, 0]);
    assert_eq!(of("all", "notify_next"), [12, 12, 0, 0, 0]);
    let update = summary.iter().find(|row| row["operation"] == "update").unwrap();
    assert_eq!(update["rate_per_s"], format!("{:.3}", 12.0 / 7.0));
}

#[test]
fn the_interval_log_has_the_percentiles_of_the_summary() {
    let run = Run::whole(true);
    let log = run.log();
    let mut compared = 0;
    for row in run.rows("summary.csv").iter().filter(|row| row["scope"] == "all") {
        let operation = row["operation"].as_str();
        let per_ms = if ["notify_next", "execution"].contains(&operation) { 1.0 } else { 1_000.0 };
        for measure in ["service", "response"] {
            let cell = |figure: &str| row[&format!("{measure}_ms_{figure}")].clone();
            let Some(histogram) = log.get(&format!("{operation}.{measure}")) else {
                assert_eq!(cell("p50"), "", "{operation}.{measure} is not in the log");
                continue;
            };
            for (figure, quantile) in [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)] {
                let logged = histogram.value_at_quantile(quantile) as f64 / per_ms;
                assert_eq!(cell(figure), format!("{logged:.3}"), "{operation}.{measure} {figure}");
            }
            let mean: f64 = cell("mean").parse().unwrap();
            assert!((mean - histogram.mean() / per_ms).abs() <= mean * 0.001, "{operation}.{measure}");
            compared += 1;
        }
    }
    assert_eq!(compared, 8, "connect, start_next and update twice, execution and notify_next once");
    let text = fs::read_to_string(run.path("histograms.hlog")).unwrap();
    assert!(text.contains("#[StartTime: ") && text.contains("milliseconds"), "{}", &text[..200]);
}

#[test]
fn executions_are_told_by_both_sides_once_each() {
    let run = Run::whole(true);
    let executions = run.rows("executions.csv");
    assert_eq!(executions.len(), THINGS as usize);
    let first = &executions[0];
    let cells = ["thing", "cohort", "job", "queued_ms", "notified_ms", "started_ms", "finished_ms", "status", "anomaly"];
    let expected = ["sim-000000", "healthy", "fw-1", "100.000", "103.000", "240.000", "800.000", "SUCCEEDED", ""];
    assert_eq!(cells.map(|cell| first[cell].as_str()), expected);
    let rollouts = run.rows("rollouts.csv");
    assert_eq!((rollouts[0]["targets"].as_str(), rollouts[0]["exec_succeeded"].as_str()), ("12", "2"));
    assert_eq!(rollouts.last().unwrap()["done_share"], "1.000000");
    let last = run.rows("timeseries.csv").pop().unwrap();
    assert_eq!((last["t_s"].as_str(), last["connected"].as_str(), last["exec_succeeded"].as_str()), ("7", "12", "12"));
}

#[test]
fn text_with_commas_quotes_and_lines_comes_back() {
    let run = Run::whole(true);
    let error = run.rows("errors.csv").pop().unwrap();
    assert_eq!((error["example"].as_str(), error["count"].as_str()), ("said \"no\",\nthen no", "2"));
    assert_eq!((error["first_ms"].as_str(), error["last_ms"].as_str()), ("2470.000", "2470.000"));
}

#[test]
fn what_a_target_cannot_show_is_empty_and_never_zero() {
    let run = Run::whole(false);
    let seconds = run.rows("timeseries.csv");
    for row in &seconds {
        for column in ["exec_queued", "notify_next_ms_p99", "endpoint_cpu_share", "endpoint_rss_bytes"] {
            assert_eq!(row[column], "", "{column}");
        }
    }
    assert_eq!(seconds[6]["start_next_response_ms_p99"], "", "nothing was asked in the last second");
    assert_ne!(seconds[5]["start_next_response_ms_p99"], "");
    assert_eq!(run.rows("rollouts.csv")[0]["targets"], "");
    let executions = run.rows("executions.csv");
    assert!(executions.len() == THINGS as usize && executions.iter().all(|row| row["queued_ms"].is_empty()));
    assert!(run.rows("summary.csv").iter().all(|row| row["operation"] != "notify_next"));
    let execution = run.rows("summary.csv").into_iter().find(|row| row["operation"] == "execution").unwrap();
    assert_eq!((execution["service_ms_p50"].is_empty(), execution["response_ms_p50"].as_str()), (false, ""));
}

#[test]
fn what_only_the_services_ledger_knows_is_unknown_on_every_face_without_it() {
    let run = Run::whole(false);
    for (file, row) in
        ["timeseries.csv", "rollouts.csv"].into_iter().flat_map(|file| run.rows(file).into_iter().map(move |row| (file, row)))
    {
        for stage in ExecutionStage::VARIANTS {
            let cell = &row[&format!("exec_{}", stage.key())];
            assert_eq!(cell.is_empty(), stage.is_of_ledger(), "{file}: {stage:?} is {cell:?}");
        }
    }
    let text = report::load(&run.path("")).unwrap().summary(false);
    assert!(text.contains("12 executions: 12 succeeded (100.0 %), ? timed out, ? canceled, ? queued"), "{text}");
    let totals = serde_json::to_value(&report::load(&run.path("")).unwrap().manifest().totals).unwrap();
    let mut live = Run::new(false);
    live.second();
    let snapshot = live.second();
    let json: serde_json::Value = serde_json::from_str(&report::json::line(&snapshot)).unwrap();
    for stage in ExecutionStage::VARIANTS {
        let counts = [&totals["executions"], &totals["rollouts"][0]["executions"]];
        assert!(counts.iter().all(|counts| counts.get(stage.key()).is_none() == stage.is_of_ledger()), "{stage:?}");
        assert_eq!(json["executions"].get(stage.key()).unwrap().is_null(), stage.is_of_ledger(), "{stage:?}");
    }
    let line = report::plain::line(&snapshot);
    assert!(line.contains("exec: queued=? run=0 ok=4 fail=0 "), "{line}");
}

// ---------------------------------------------------------------------------------------------------- written as the run goes

#[test]
fn every_finished_second_is_on_disk_before_the_next() {
    let mut run = Run::new(true);
    let mut writer = run.writer();
    for file in CONTRACT.map(|(file, _)| file) {
        assert_eq!(run.rows(file).len(), 0, "{file} has its header from the start");
    }
    for second in 1..=3 {
        writer.second(&run.second()).unwrap();
        for (file, _) in CONTRACT {
            assert!(fs::read_to_string(run.path(file)).unwrap().ends_with('\n'), "{file} ends with a whole row");
        }
        assert_eq!(run.rows("timeseries.csv").len(), second);
        assert_eq!(run.rows("rollouts.csv").len(), second);
        assert_eq!(run.rows("executions.csv").len(), 2 * second);
        let connect = run.rows("summary.csv").into_iter().find(|row| row["operation"] == "connect").unwrap();
        assert_eq!(number(&connect, "ok"), 2 * second as u64);
        assert_eq!(run.log()["connect.service"].len(), 2 * second as u64);
    }
    let left: Vec<_> = fs::read_dir(run.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".part")), "{left:?}");
}

#[test]
fn a_folder_that_holds_anything_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    let Err(error) = create(dir.path()) else { panic!("it was taken") };
    assert!(matches!(error, ReportError::NotEmpty { .. }), "{error}");
    assert!(error.to_string().contains(&dir.path().display().to_string()));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let mut run = Run::new(true);
    let mut writer = run.writer();
    fs::remove_dir_all(run.path("")).unwrap();
    let error = writer.second(&run.second()).unwrap_err().to_string();
    assert!(error.contains("summary.csv"), "{error}");
}

// ------------------------------------------------------------------------------------------------------------------ read back

#[test]
fn a_finished_run_is_summed_up_again_within_the_width_of_a_terminal() {
    let run = Run::whole(true);
    let record = report::load(&run.path("")).unwrap();
    assert_eq!((record.manifest().verdict, record.manifest().exit_code), (Verdict::Pass, Some(0)));
    let text = record.summary(false);
    for part in
        ["PASS", "12 executions: 12 succeeded", "fw-1", "start_next", "VersionMismatch", "generator:", "endpoint:", "results:"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "colours only where they are asked for");
    let wide = text.lines().find(|line| !line.starts_with("results:") && line.chars().count() > 120);
    assert_eq!(wide, None, "{text}");
}

#[test]
fn a_run_that_was_killed_says_so_and_shows_what_there_is() {
    let mut run = Run::new(true);
    let mut writer = run.writer();
    writer.second(&run.second()).unwrap();
    drop(writer);
    let text = report::load(&run.path("")).unwrap().summary(false);
    assert!(text.contains("RUNNING") && text.contains("never finished") && text.contains("start_next"), "{text}");
}

#[test]
fn what_the_reconciliation_says_now_replaces_what_it_said_at_the_end() {
    let mut run = Run::new(true);
    let mut writer = run.writer();
    writer.second(&run.second()).unwrap();
    fs::write(run.path(report::SERVICE_LEDGER), format!("{HEADER}\n")).unwrap();
    let told = [
        "the reconciliation found a difference: once".to_owned(),
        "and 7 more differences: `fleetsim report` lists all".to_owned(),
    ];
    let reconciliation = Some(ReconciliationTotals { differences: 8, findings: told.len() });
    let all = std::iter::once("the reconciliation found a difference: says somebody else".to_owned()).chain(told.clone()).collect();
    writer.finish(Verdict::Fail, 1, "2026-01-01T00:00:10Z".into(), all, reconciliation).unwrap();
    let stored = writer.manifest().findings.clone();
    assert_eq!(stored[1..], told, "run.json has all");
    let written: serde_json::Value = serde_json::from_slice(&fs::read(run.path("run.json")).unwrap()).unwrap();
    assert_eq!(written["audit_findings"], 2, "by the name that files have had from the start");
    let record = report::load(&run.path("")).unwrap();
    let findings = &record.manifest().findings;
    assert!(findings.contains(&stored[0]) && !findings.iter().any(|finding| told.contains(finding)), "{findings:?}");
    let differences = findings.iter().filter(|finding| finding.starts_with("the reconciliation found a difference: sim-")).count();
    assert_eq!(differences, record.differences().len());
    assert!(differences > 0);
    assert!(record.has_ledgers());
    fs::write(run.path("executions.csv"), "thing,cohort\n\"").unwrap();
    let record = report::load(&run.path("")).unwrap();
    assert!(record.summary(false).contains("the reconciliation is not possible"), "{}", record.summary(false));
    assert!(!record.has_ledgers());
}

#[test]
fn files_that_are_missing_or_damaged_are_named() {
    let run = Run::whole(true);
    fs::remove_file(run.path("operations.csv")).unwrap();
    let text = report::load(&run.path("")).unwrap().summary(false);
    assert!(text.contains("operations.csv is missing"), "{text}");
    let manifest = fs::read_to_string(run.path("run.json")).unwrap();
    fs::write(run.path("run.json"), &manifest[..manifest.len() / 2]).unwrap();
    let told = |run: &Run| report::load(&run.path("")).err().unwrap().to_string();
    assert!(told(&run).contains("run.json"), "{}", told(&run));
    fs::remove_file(run.path("run.json")).unwrap();
    assert!(told(&run).contains("run.json"), "{}", told(&run));
}

#[test]
fn a_second_is_one_line_for_people_and_one_object_for_programs() {
    let mut run = Run::new(true);
    run.second();
    let snapshot = run.second();
    let line = report::plain::line(&snapshot);
    let head =
        "t=2s phase=rollout conn=4/12 (+2/s) exec: queued=0 run=0 ok=4 fail=0 msg=2/s start_next p99=30.0ms lateness p99=0.26ms";
    assert_eq!(line, head);
    let json = report::json::line(&snapshot);
    assert!(!json.contains('\n'));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["type"], &json["t_s"], &json["executions"]["succeeded"]), (&"second".into(), &2.into(), &4.into()));
    assert_eq!(json["operations"]["start_next"]["ok"], 2);
    let summary: serde_json::Value = serde_json::from_str(&report::json::summary(&manifest())).unwrap();
    assert_eq!((&summary["type"], &summary["verdict"]), (&"summary".into(), &"RUNNING".into()));
}
