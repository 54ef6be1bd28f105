//! `report.html`: a whole page for every kind of run, whatever its files hold.

use crate::folder::{Run, create};
use crate::parsed::Page;
use fleetsim::report::{self, FORECAST_FOLDER, Verdict};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;

impl Run {
    /// Its page as it is.
    fn page(&self) -> Page {
        let page = Page::parse(&fs::read_to_string(self.path("report.html")).unwrap());
        page.check();
        page
    }

    /// Its page made again from the files.
    fn page_again(&self) -> Page {
        report::load(&self.path("")).unwrap().write_page().unwrap();
        self.page()
    }

    fn edit(&self, edit: impl FnOnce(&mut Value)) {
        let mut manifest = serde_json::from_slice(&fs::read(self.path("run.json")).unwrap()).unwrap();
        edit(&mut manifest);
        fs::write(self.path("run.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    }

    /// Adds rows behind those of a file.
    fn append(&self, file: &str, rows: &str) {
        let text = fs::read_to_string(self.path(file)).unwrap();
        fs::write(self.path(file), text + rows).unwrap();
    }
}

fn threshold(metric: &str, check: &str) -> Value {
    json!({ "metric": metric, "check": check, "value": 30.0, "holds": true })
}

fn event(at: f64, over: Value) -> Value {
    json!({ "kind": "outage", "at_s": at, "lasts_s": 2.0, "over_ms": over, "affected": 7, "back": 5, "failures": 3, "back_ms": null,
        "recovery_ms": { "p50": 10.0, "p90": 20.0, "p99": 30.0, "max": 40.0 }, "peak_connects_per_s": 4, "peak_attempts_per_s": 9 })
}

// -------------------------------------------------------------------------------------------------------------- every kind of run

#[test]
fn a_run_leaves_its_page_and_the_files_give_it_again() {
    let run = Run::whole(true);
    let page = run.page();
    assert!(page.by_id("setup").text.contains("name = \"test\""));
    for chart in ["latency-update", "service-update", "curve-update", "latency-notify_next", "rollout-curves", "executions"] {
        page.by_id(chart);
    }
    for chart in ["connected", "connects", "messages", "answers", "lateness", "cores", "memory", "failed-share"] {
        page.by_id(chart);
    }
    fs::remove_file(run.path("report.html")).unwrap();
    assert!(run.page_again().text == page.text, "the same files give the same page");
    let text = report::load(&run.path("")).unwrap().summary(false);
    assert!(text.contains(&format!("report:  {}", run.path("report.html").display())), "{text}");
}

#[test]
fn percentiles_of_the_page_are_those_of_the_summary() {
    let run = Run::whole(true);
    let page = run.page();
    let summary =
        run.rows("summary.csv").into_iter().find(|row| row["scope"] == "all" && row["operation"] == "start_next").unwrap();
    let curve = page.table("curve-start_next");
    assert_eq!(curve[0], ["percentile", "service", "response"]);
    for (percentile, column) in [("50", "response_ms_p50"), ("100", "response_ms_max")] {
        let row = curve.iter().find(|row| row[0] == percentile).unwrap();
        let (shown, known): (f64, f64) = (row[2].parse().unwrap(), summary[column].parse().unwrap());
        assert!((shown - known).abs() <= known * 0.01, "{percentile}: {row:?} and {known}");
    }
    let seconds = run.rows("operations.csv");
    let second = seconds.iter().find(|row| row["t_s"] == "3" && row["scope"] == "all" && row["operation"] == "start_next").unwrap();
    let row = &page.table("latency-start_next")[3];
    assert_eq!(row[0], "0:03");
    let (shown, known): (f64, f64) = (row[3].parse().unwrap(), second["response_ms_p99"].parse().unwrap());
    assert!((shown - known).abs() <= known * 0.01, "{row:?} and {known}");
}

#[test]
fn every_verdict_has_a_whole_page_that_says_it() {
    for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Invalid, Verdict::Interrupted, Verdict::Error] {
        let mut run = Run::new(true);
        let mut writer = run.writer();
        writer.second(&run.second()).unwrap();
        writer.finish(verdict, 1, "2026-01-01T00:00:10Z".into(), vec!["it was seen".into()], None).unwrap();
        let page = run.page();
        let badge = page.all("strong").next().unwrap();
        assert_eq!(badge.text, verdict.as_str());
        assert!(page.by_id("findings").text.contains("it was seen"));
    }
}

#[test]
fn a_run_that_never_began_has_a_whole_page() {
    let run = Run::new(true);
    let mut writer = run.writer();
    writer.finish(Verdict::Error, 1, "2026-01-01T00:00:10Z".into(), vec!["failed to connect".into()], None).unwrap();
    let page = run.page();
    assert_eq!(page.all("figure").count(), 0);
    assert!(page.by_id("latency").text.contains("there is no latency"));
}

#[test]
fn a_run_of_one_second_has_points_where_lines_would_be() {
    let mut run = Run::new(true);
    let mut writer = run.writer();
    writer.second(&run.second()).unwrap();
    writer.finish(Verdict::Pass, 0, "2026-01-01T00:00:10Z".into(), Vec::new(), None).unwrap();
    let page = run.page();
    let path = page.all("path").find(|path| path.is_within("latency-connect")).unwrap();
    assert!(path.get("d").unwrap().starts_with("M10000 ") && path.get("d").unwrap().ends_with("h50"), "{path:?}");
}

#[test]
fn a_run_that_was_killed_has_a_whole_page_up_to_a_torn_row() {
    let mut run = Run::new(true);
    let mut writer = run.writer();
    for _ in 0..3 {
        writer.second(&run.second()).unwrap();
    }
    drop(writer);
    assert!(!run.path("report.html").exists());
    run.append("timeseries.csv", "4,rollout,\"1");
    run.append("histograms.hlog", "Tag=connect.service,3.000,1.000,30.0,HISTFAAA");
    let page = run.page_again();
    let findings = &page.by_id("findings").text;
    for part in ["never finished", "timeseries.csv is damaged", "histograms.hlog is damaged"] {
        assert!(findings.contains(part), "{part}: {findings}");
    }
    assert_eq!(page.all("strong").next().unwrap().text, "RUNNING");
    assert_eq!(page.table("connected").len(), 4, "head and three seconds");
    page.by_id("latency-update");
}

#[test]
fn what_is_not_there_leaves_no_chart_and_no_hole() {
    let run = Run::whole(false);
    let page = run.page();
    assert!(!page.text.contains("latency-notify_next") && !page.text.contains("local endpoint"));
    let stages = &page.table("executions")[0];
    assert!(!stages.contains(&"queued".to_owned()), "{stages:?}");
    for file in ["timeseries.csv", "operations.csv", "rollouts.csv", "errors.csv", "histograms.hlog"] {
        fs::remove_file(run.path(file)).unwrap();
        let page = run.page_again();
        assert!(page.by_id("findings").text.contains(&format!("{file} is missing")), "{file}");
    }
    assert_eq!(run.page().all("figure").count(), 0, "without files there is nothing to draw");
}

#[test]
fn a_fleet_without_jobs_says_so() {
    let run = Run::whole(true);
    fs::write(run.path("rollouts.csv"), "job,t_s,targets,done_share\n").unwrap();
    let timeseries = fs::read_to_string(run.path("timeseries.csv")).unwrap();
    fs::write(run.path("timeseries.csv"), timeseries.replace("exec_", "none_")).unwrap();
    run.edit(|manifest| manifest["totals"]["rollouts"] = json!([]));
    assert!(run.page_again().by_id("rollouts").text.contains("No thing had a job"));
}

// ------------------------------------------------------------------------------------------------------------------- what it shows

#[test]
fn thresholds_have_value_limit_and_period_and_a_line_over_it() {
    let run = Run::whole(true);
    run.edit(|manifest| {
        let mut late = threshold("start_next.response_ms.p99", "< 250");
        late["over_s"] = json!(3);
        late["holds"] = json!(false);
        let mut slow = threshold("update.service_ms.p50", "< 90");
        slow["cohort"] = json!("slow");
        manifest["thresholds"] = json!([
            late,
            slow,
            threshold("update.failed_share", "< 0.1"),
            threshold("executions.succeeded_share", "> 0.5"),
            threshold("connected_share", ">= 1"),
            threshold("lateness_ms.p99", "< 10"),
            threshold("connect_tls.service_ms.p99", "< 10"),
            threshold("executions.lost", "== 0"),
            threshold("of.another.version", "== 0"),
        ]);
    });
    let page = run.page_again();
    let table = page.table("thresholds");
    assert_eq!(table[1], ["start_next.response_ms.p99", "FAILS", "30", "< 250", "last 3 s"]);
    assert_eq!(table[8], ["executions.lost", "holds", "30", "== 0", "whole run"]);
    let line = |chart: &str| {
        let lines: Vec<_> = page
            .all("line")
            .filter(|line| line.is_within(chart) && line.has_class("limit") && line.get("y1") != Some("50%"))
            .collect();
        assert_eq!(lines.len(), 1, "{chart}");
        ["x1", "x2", "y1"].map(|at| lines[0].get(at).unwrap().to_owned())
    };
    let late = line("latency-start_next");
    assert_eq!((late[0].as_str(), late[1].as_str()), ("57.14%", "100%"), "the last three of seven seconds");
    assert_eq!(line("connected")[2], "20%", "12 of 15 things");
    for chart in ["service-update", "failed-share", "executions", "lateness"] {
        line(chart);
    }
    let legend = &page.by_id("service-update").text;
    assert!(legend.contains("update.service_ms.p50 < 90 (cohort slow)"), "{legend}");
    let links: Vec<&str> = page.all("a").filter(|link| link.is_within("thresholds")).filter_map(|link| link.get("href")).collect();
    assert_eq!(links, ["#connected", "#executions", "#failed-share", "#latency-start_next", "#lateness", "#service-update"]);
}

#[test]
fn a_roll_out_shows_when_its_shares_were_reached() {
    let page = Run::whole(true).page();
    let says = &page.by_id("rollout-curves-says").text;
    assert_eq!(says, "fw-1 reached 50 % by 0:03, 90 % by 0:06, 99 % by 0:06, 100 % by 0:06.");
    assert_eq!(page.all("circle").filter(|dot| dot.is_within("rollout-curves")).count(), 4);
    assert!(page.by_id("capacity").text.contains("12 targets: half of the executions had ended after"));
}

#[test]
fn the_capacity_plan_says_what_breaks_first_what_is_left_and_what_it_costs() {
    let plan = Run::whole(true).page().by_id("capacity").text.clone();
    let says = [
        "First bottleneckjobs.writes_per_second: 10 of the 200 that an AWS account has by default at its peak, by 0:03 (5.0 %).",
        "Headroomjobs.reads_per_second 1 of 200 (0.5 %, 99.5 % left); account.inbound_publishes_per_second 2 of 20,000 (0.0 %, 100.0 % left); ",
        "Cost0.04800096 USD at AWS (us-east-1, prices of 2026-09-20): 12 connection minutes, 12,000 messages of 5 KB, 12 remote actions",
    ];
    for part in says {
        assert!(plan.contains(part), "{part:?} is not in {plan:?}");
    }
}

#[test]
fn quotas_that_are_passed_behind_the_first_are_no_headroom() {
    let run = Run::whole(true);
    let quota = |name: &str, peak: u64| json!({ "quota": name, "limit": 200, "peak": peak, "peak_at_s": 2.0, "total": 900, "refused": 3, "first_refused_s": 1.0 });
    run.edit(|manifest| {
        let quotas = [quota("jobs.a", 250), quota("jobs.b", 400), quota("jobs.c", 50)];
        manifest["forecast"] = json!({ "enforced": false, "quotas": quotas, "assumptions": [] });
    });
    let plan = run.page_again().by_id("capacity").text.clone();
    for part in [
        "First bottleneckjobs.b: 400",
        "Also exceededjobs.a 250 of 200 (125.0 %).",
        "Headroomjobs.c 50 of 200 (25.0 %, 75.0 % left).",
    ] {
        assert!(plan.contains(part), "{part:?} is not in {plan:?}");
    }
}

#[test]
fn the_forecast_of_a_run_lies_over_its_roll_out() {
    let run = Run::whole(true);
    let forecast = run.path(FORECAST_FOLDER);
    fs::create_dir(&forecast).unwrap();
    let predicted: String =
        fs::read_to_string(run.path("rollouts.csv")).unwrap().lines().take(4).map(|row| format!("{row}\n")).collect();
    fs::write(forecast.join("rollouts.csv"), predicted).unwrap();
    let page = run.page_again();
    let says = &page.by_id("rollout-curves-says").text;
    assert_eq!(says, "fw-1 reached 50 % by 0:03, 90 % by 0:06, 99 % by 0:06, 100 % by 0:06; forecast: fw-1 reached 50 % by 0:03.");
    assert!(page.by_id("rollout-curves").text.contains("fw-1, forecast"));
}

#[test]
fn events_are_numbered_spans_on_every_chart_over_time() {
    let run = Run::whole(true);
    run.edit(|manifest| manifest["events"] = json!([event(1.0, json!(2500.0)), event(1.0, Value::Null), event(4.0, Value::Null)]));
    let page = run.page_again();
    let spans: Vec<_> =
        page.all("rect").filter(|rect| rect.is_within("latency-update")).map(|rect| rect.get("width").unwrap()).collect();
    assert_eq!(spans, ["21.43%", "28.57%", "28.57%"]);
    let numbers: Vec<_> = page.all("text").filter(|text| text.is_within("latency-update") && text.has_class("event")).collect();
    assert_eq!(numbers.iter().map(|text| text.text.as_str()).collect::<Vec<_>>(), ["1,2", "3"]);
    assert!(
        page.by_id("events").text.contains("3 events cost 21 sessions; 6 things were not back"),
        "{}",
        page.by_id("events").text
    );
    assert!(page.all("rect").all(|rect| !rect.is_within("curve-update")), "a distribution has no time");
}

#[test]
fn errors_are_counted_by_code_and_drawn_as_a_share() {
    let page = Run::whole(true).page();
    let says = &page.by_id("failed-share-says").text;
    assert_eq!(says, "update failed most: 75 % of what ended by 0:03 was rejected, timed out or failed with an error.");
    let errors = &page.by_id("errors").text;
    assert!(errors.contains("VersionMismatch") && errors.contains("said \"no\",\nthen no"), "{errors}");
}

// --------------------------------------------------------------------------------------------------------------------- what attacks it

const ATTACK: &str =
    "</script></style></title><script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg onload=alert(3)>&lt;&#0;";
const HIDDEN: &str = "\u{0}\u{1b}[31m\u{7}\r\u{202e}gpj\u{85}\u{fffe}";

#[test]
fn text_of_others_stays_text_wherever_it_stands() {
    let run = Run::whole(true);
    let text = format!("{ATTACK}{HIDDEN}");
    let shown = format!("{ATTACK}\\u{{0}}\\u{{1b}}[31m\\u{{7}}\\u{{d}}\\u{{202e}}gpj\\u{{85}}\\u{{fffe}}");
    run.edit(|manifest| {
        for member in ["name", "version", "started_at", "finished_at", "scenario_sha256"] {
            manifest[member] = json!(text);
        }
        manifest["scenario"] = json!({ "name": text, text.clone(): { "a": [text, null] } });
        manifest["host"]["hostname"] = json!(text);
        manifest["host"]["kernel"] = json!(text);
        manifest["findings"] = json!([text]);
        let mut named = threshold(&text, &text);
        named["cohort"] = json!(text);
        named["phase"] = json!(text);
        let mut drawn = threshold("update.response_ms.p99", "< 250");
        drawn["cohort"] = json!(text);
        manifest["thresholds"] = json!([named, drawn]);
        manifest["events"] = json!([{ "kind": text, "at_s": 1.0, "lasts_s": 1.0, "over_ms": null, "affected": 1, "back": 1, "failures": 0,
            "back_ms": null, "recovery_ms": null, "peak_connects_per_s": 0, "peak_attempts_per_s": 0 }]);
        let totals = &mut manifest["totals"];
        totals["phase"] = json!(text);
        totals["rollouts"][0]["job"] = json!(text);
        for row in totals["operations"].as_array_mut().unwrap() {
            row["scope"] = json!(format!("cohort:{text}"));
            row["operation"] = json!(text);
        }
    });
    let mut rows = csv::Writer::from_writer(Vec::new());
    rows.write_record(["operation", "kind", "code", "count", "first_ms", "last_ms", "example"]).unwrap();
    rows.write_record([&text, &text, &text, &text, &text, &text, &text]).unwrap();
    fs::write(run.path("errors.csv"), rows.into_inner().unwrap()).unwrap();
    let mut rows = csv::Writer::from_writer(Vec::new());
    rows.write_record(["job", "t_s", "done_share"]).unwrap();
    rows.write_record([text.as_str(), "3", "1"]).unwrap();
    fs::write(run.path("rollouts.csv"), rows.into_inner().unwrap()).unwrap();
    let mut rows = csv::Writer::from_writer(Vec::new());
    rows.write_record(["t_s", "phase", "connected"]).unwrap();
    rows.write_record(["1", text.as_str(), text.as_str()]).unwrap();
    rows.write_record(["7", text.as_str(), "5"]).unwrap();
    fs::write(run.path("timeseries.csv"), rows.into_inner().unwrap()).unwrap();

    let page = run.page_again();
    assert!(page.by_id("findings").text.contains("is no figure"), "the cell of connected");
    assert!(page.by_id("findings").text.contains(&shown), "{}", page.by_id("findings").text);
    for part in ["thresholds", "rollouts", "events", "errors", "breakdown", "capacity", "latency-update", "rollout-curves", "setup"]
    {
        assert!(page.by_id(part).text.contains(ATTACK), "{part}");
    }
    assert!(!page.text.contains(|c: char| c.is_control() && c != '\n') && !page.text.contains(['\u{202e}', '\u{fffe}']));
    let policy = page.all("meta").find_map(|meta| meta.get("content").filter(|content| content.contains("default-src"))).unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    assert!(page.elements().iter().all(|element| element.get("style").is_none()), "the policy lets no style of an element pass");
}

#[test]
fn figures_that_are_none_are_told_and_break_nothing() {
    let run = Run::whole(true);
    let mut rows = "t_s,phase,connected,rss_bytes,lateness_ms_p99\n".to_owned();
    for (end, cell) in [(1, "NaN"), (2, "inf"), (3, "-5"), (4, "1e308"), (5, "many"), (5, "0"), (4, "3")] {
        writeln!(rows, "{end},steady,{cell},{cell},{cell}").unwrap();
    }
    fs::write(run.path("timeseries.csv"), rows + "18446744073709551615,steady,1,1,1\nsoon,steady,1,1,1\n").unwrap();
    let findings = run.page_again().by_id("findings").text.clone();
    assert!(findings.contains("\"NaN\" is no figure") && findings.contains("more places cannot be read"), "{findings}");
}

// ------------------------------------------------------------------------------------------------------------------------- how large

/// A run of so many workers, of which the last one was lost.
fn workers(run: &Run, count: usize) {
    let second = json!({ "p50": 0.1, "p90": 0.2, "p99": 0.75, "max": 1.0 });
    let worker = |n: usize| {
        let is_lost = n + 1 == count;
        json!({
            "slice": format!("{n}/{count}"), "dir": format!("workers/slice-{n:03}"), "verdict": if is_lost { "RUNNING" } else { "PASS" },
            "exit_code": (!is_lost).then_some(0), "shards": 1, "things": 200, "started_at": "2026-01-01T00:00:00Z", "finished_at": null,
            "host": { "hostname": format!("node-{n}"), "kernel": "6.1", "cores": 2, "memory_available_bytes": 1, "descriptors": 1,
                "ephemeral_ports": 1 },
            "pid": 4_000 + n, "version": "1.2.3", "run_s": if is_lost { 3 } else { 7 }, "silent_s": if is_lost { 4 } else { 0 },
            "messages": 70, "busy": { "mean": 0.25, "max": 0.5 }, "lateness_ms": second, "connect_ms": second,
            "clock": { "offset_ms": -0.5, "uncertainty_ms": 0.25 },
            "findings": if n == 1 { vec!["shard 0 was busy <99 %>"] } else { Vec::new() },
        })
    };
    run.edit(|manifest| {
        manifest["mode"] = "merged".into();
        manifest["merged"] = (0..count).map(worker).collect();
    });
    let mut rows = "t_s,slice,connected,messages_in_per_s,messages_out_per_s,busy,lateness_ms_p99\n".to_owned();
    for t_s in 1..=7 {
        (0..count).for_each(|n| writeln!(rows, "{t_s},{n}/{count},200,{},{},0.25,0.75", t_s * n, t_s).unwrap());
    }
    fs::write(run.path("shards.csv"), rows).unwrap();
}

#[test]
fn each_worker_has_a_row_and_a_part_of_its_own_with_its_figures() {
    let run = Run::whole(true);
    workers(&run, 54);
    let page = run.page_again();
    let section = &page.by_id("shards").text;
    for part in [
        "The workers of the run",
        "Slice 53/54: 200 things on node-53, RUNNING",
        "4053",
        "shard 0 was busy <99 %>",
        "-0.50 ± 0.25 ms",
    ] {
        assert!(section.contains(part), "{part}: {section}");
    }
    let details = page.all("details").filter(|details| details.get("class") == Some("shard")).count();
    assert_eq!((details, page.all("figure").filter(|figure| figure.get("id").unwrap().starts_with("shard-")).count()), (54, 54));
    let chart = page.table("shard-3");
    assert_eq!(
        (&chart[0][..], &chart[7][..]),
        (&["until", "to things", "from things"].map(str::to_owned)[..], &["0:07", "21", "7"].map(str::to_owned)[..])
    );
    workers(&run, 900);
    let page = run.page_again();
    let section = &page.by_id("shards").text;
    assert!(section.contains("and 836 more, in run.json and shards.csv") && section.contains("and 800 more rows"), "it is bounded");
    fs::remove_file(run.path("shards.csv")).unwrap();
    let page = run.page_again();
    assert!(
        page.by_id("shards").text.contains("Slice 3/900") && !page.text.contains("Messages of slice"),
        "without the file no chart"
    );
}

#[test]
fn a_page_is_bounded_however_much_there_is_to_tell() {
    let run = Run::whole(true);
    let many = 3_000;
    run.edit(|manifest| {
        let finding = "a finding that goes on and on ".repeat(50);
        manifest["findings"] = json!(vec![finding; many]);
        manifest["thresholds"] = json!(vec![threshold("update.response_ms.p99", "< 250"); many]);
        manifest["scenario"] = json!({ "name": "x".repeat(1_000_000) });
        manifest["events"] = (0..many).map(|n| event(n as f64, Value::Null)).collect();
        let job = manifest["totals"]["rollouts"][0].clone();
        let jobs = (0..many).map(|n| {
            let mut job = job.clone();
            job["job"] = json!(format!("job-{n}-{}", "x".repeat(50)));
            job
        });
        manifest["totals"]["rollouts"] = jobs.collect();
        let row = manifest["totals"]["operations"][0].clone();
        let rows = (0..many).map(|n| {
            let mut row = row.clone();
            row["scope"] = json!(format!("cohort:{n}"));
            row
        });
        manifest["totals"]["operations"] = rows.collect();
    });
    let mut errors = "operation,kind,code,count,first_ms,last_ms,example\n".to_owned();
    (0..many).for_each(|n| writeln!(errors, "update,rejected,code-{n},{n},1,2,{}", "x".repeat(2_000)).unwrap());
    fs::write(run.path("errors.csv"), errors).unwrap();
    let (mut seconds, mut jobs) = ("t_s,phase,connected,cpu_share\n".to_owned(), "job,t_s,done_share\n".to_owned());
    for n in 1..=3_600 {
        writeln!(seconds, "{n},steady,{},{}", n * 37 % 101, f64::from(n * 53 % 97) / 97.0).unwrap();
        for job in 0..10 {
            writeln!(jobs, "job-{job}-{},{n},{}", "x".repeat(50), f64::from(n) / 3_600.0).unwrap();
        }
    }
    fs::write(run.path("timeseries.csv"), seconds).unwrap();
    fs::write(run.path("rollouts.csv"), jobs).unwrap();
    let page = run.page_again();
    for (part, note) in
        [("findings", "more findings"), ("thresholds", "more rows"), ("errors", "and 2900 more rows"), ("breakdown", "more rows")]
    {
        assert!(page.by_id(part).text.contains(note), "{part}");
    }
    assert!(page.by_id("capacity").text.contains("2990 more, in rollouts.csv"));
    assert!(page.by_id("rollout-curves").text.contains("and 2992 smaller ones that are not drawn"));
    let lines = page.all("path").filter(|path| path.is_within("rollout-curves")).count();
    assert_eq!(lines, 8);
    let points = page.all("path").map(|path| path.get("d").unwrap().matches(['M', 'l']).count()).max().unwrap();
    assert!((300..=400).contains(&points), "{points} points");
    assert!(page.table("connected").len() <= 41);
}

// ------------------------------------------------------------------------------------------------------------------------- where it goes

#[test]
fn a_page_that_cannot_be_written_is_an_error_of_the_run() {
    let mut run = Run::new(true);
    let mut writer = create(&run.path("")).unwrap();
    writer.second(&run.second()).unwrap();
    fs::create_dir(run.path("report.html")).unwrap();
    let error = writer.finish(Verdict::Pass, 0, "2026-01-01T00:00:10Z".into(), vec!["seen".into()], None).unwrap_err().to_string();
    assert!(error.contains("report.html"), "{error}");
    let record = report::load(&run.path("")).unwrap();
    let manifest = record.manifest();
    assert_eq!((manifest.verdict, manifest.exit_code), (Verdict::Error, Some(1)));
    assert!(manifest.findings[0].contains("report.html") && manifest.findings[1] == "seen", "{:?}", manifest.findings);
    let left = fs::read_dir(run.path("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(left.into_iter().all(|name| !name.ends_with(".part")));
    assert!(record.write_page().is_err());
}
