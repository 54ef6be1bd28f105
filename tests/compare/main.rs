//! `fleetsim compare` as its users meet it: folders in, a verdict and an exit code out.

mod folder;
#[path = "../common/manifest.rs"]
mod manifest;
#[path = "../report/parsed.rs"]
#[expect(dead_code, reason = "a part of it is for the page of a run")]
mod parsed;

use folder::{Bench, Made};
use parsed::Page;
use serde_json::{Value, json};
use std::fs;

/// Three runs a side that differ by a per cent or so among themselves; those of `after` take `factor` times as long.
fn three_a_side(factor: f64) -> Bench {
    let bench = Bench::new();
    for (n, noise) in [1.0, 1.01, 0.99].into_iter().enumerate() {
        bench.make(&format!("before/{}", n + 1), &Made { ms: 5.0 * noise, ..Made::default() });
        bench.make(&format!("after/{}", n + 1), &Made { ms: 5.0 * factor * (2.0 - noise), ..Made::default() });
    }
    bench
}

fn row<'a>(told: &'a Value, figure: &str) -> &'a Value {
    let rows = told["figures"].as_array().unwrap();
    rows.iter().find(|row| row["figure"] == figure).unwrap_or_else(|| panic!("no {figure}: {rows:?}"))
}

// ---------------------------------------------------------------------------------------------------------------- what it finds

#[test]
fn a_fifth_more_is_worse_and_the_same_is_the_same() {
    let bench = three_a_side(1.2);
    let told = bench.json(&["before", "--", "after"]);
    assert_eq!(told["outcome"], "worse");
    for percentile in ["p50", "p90", "p99"] {
        let row = row(&told, &format!("update.response_ms.{percentile}"));
        assert_eq!(row["verdict"], "worse", "{row}");
        let (low, high) = (row["interval"][0].as_f64().unwrap(), row["interval"][1].as_f64().unwrap());
        assert!(1.05 < low && low < 1.2 && 1.2 < high && high < 1.3, "{row}");
    }
    assert!((row(&told, "update.response_ms.p50")["base"].as_f64().unwrap() - 5.0).abs() < 0.1);
    assert_eq!(row(&told, "update.rate_per_s")["verdict"], "same");
    assert_eq!(bench.json(&["after", "--", "before"])["outcome"], "better");
    let equal = three_a_side(1.0);
    assert_eq!(equal.json(&["before", "--", "after"])["outcome"], "same");
}

#[test]
fn only_fail_if_worse_makes_it_an_error() {
    let bench = three_a_side(1.2);
    assert_eq!(bench.compare(&["before", "--", "after"]).0, 0);
    let (code, stdout, _) = bench.compare(&["--fail-if", "worse", "before", "--", "after"]);
    assert!(code == 99 && stdout.contains("worse: of 4 figures 3 are worse by more than 5 %, 1 is the same"), "{stdout}");
    assert_eq!(bench.compare(&["--fail-if", "worse", "after", "--", "before"]).0, 0, "better");
    assert_eq!(bench.compare(&["--fail-if", "worse", "before/1", "--", "after/1"]).0, 0, "not decided");
}

#[test]
fn failures_and_rates_are_figures_too() {
    let bench = Bench::new();
    for n in 1..=3_u64 {
        bench.make(&format!("before/{n}"), &Made { failed: 0, ..Made::default() });
        bench.make(&format!("after/{n}"), &Made { failed: 4 + n % 2, per_second: 60 + n, ..Made::default() });
    }
    let told = bench.json(&["before", "--", "after"]);
    assert_eq!(row(&told, "update.failed_share")["verdict"], "worse");
    assert_eq!(row(&told, "update.rate_per_s")["verdict"], "worse", "a lower rate is worse");
    assert!(
        told["figures"].as_array().unwrap().iter().all(|row| row["figure"] != "connect.failed_share"),
        "nothing failed on either side"
    );
}

#[test]
fn what_differs_is_told_before_the_figures() {
    let bench = three_a_side(1.0);
    for n in 1..=3 {
        bench.edit(&format!("after/{n}"), |manifest| {
            manifest["scenario"]["fleet"]["things"] = json!(60);
            manifest["scenario"]["target"]["emulator"]["latency"] = json!("6ms");
            manifest["version"] = json!("9.9.9");
            manifest["host"]["hostname"] = json!("elsewhere");
            manifest["mode"] = json!("run");
        });
    }
    let (code, text, _) = bench.compare(&["before", "--", "after"]);
    assert_eq!(code, 0);
    let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}: {text}"));
    let named = ["9.9.9", "elsewhere", "target.emulator.latency", "fleet.things"].map(place);
    assert!(named.iter().all(|at| *at < place("update.response_ms.p50")), "{text}");
    let about: Vec<String> = bench.json(&["before", "--", "after"])["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| format!("{} {}: {} {}", found["about"], found["key"], found["base"], found["run"]).replace('"', ""))
        .collect();
    let expected = [
        "version version: 0.0.0 9.9.9",
        "host hostname: here elsewhere",
        "scenario fleet.things: 50 60",
        "endpoint target.emulator.latency: 5ms 6ms",
    ];
    assert_eq!(about, expected);
}

#[test]
fn the_same_folders_give_the_same_words() {
    let bench = three_a_side(1.03);
    assert_eq!(bench.compare(&["before", "--", "after"]), bench.compare(&["before", "--", "after"]));
}

// ---------------------------------------------------------------------------------------------------------------- few runs

#[test]
fn one_run_a_side_is_not_decided_and_shows_what_each_knows() {
    let bench = three_a_side(3.0);
    let (code, text, _) = bench.compare(&["before/1", "--", "after/1"]);
    assert_eq!(code, 0);
    assert!(text.contains("not decided: one run a side") && text.contains("made alternately, before, after"), "{text}");
    let told = bench.json(&["before/1", "--", "after/1"]);
    let row = row(&told, "update.response_ms.p50");
    assert_eq!((&told["outcome"], &row["verdict"], &row["interval"]), (&json!("not_decided"), &json!("not_decided"), &Value::Null));
    let at = |value: &Value| value.as_f64().unwrap();
    let within = |side: &str| row[format!("{side}_within")].as_array().unwrap().iter().map(at).collect::<Vec<f64>>();
    for side in ["base", "run"] {
        let value = at(&row[side]);
        assert!(matches!(within(side)[..], [low, high] if low < value && value < high), "{row}");
    }
    assert!(within("base")[1] < within("run")[0], "{row}");
    let (_, text, _) = bench.compare(&["before", "--", "after/1"]);
    assert!(text.contains("one run on a side needs four or more on the other"), "{text}");
}

#[test]
fn five_earlier_runs_decide_for_one_a_side_and_four_are_refused() {
    let bench = three_a_side(1.3);
    for n in 1..=5 {
        bench.make(&format!("earlier/{n}"), &Made { ms: 5.0 * (1.0 + 0.004 * f64::from(n)), ..Made::default() });
    }
    assert_eq!(bench.json(&["before/1", "--noise", "earlier", "--", "after/1"])["outcome"], "worse");
    let four = ["before/1", "--noise", "earlier/1", "earlier/2", "earlier/3", "earlier/4", "--", "after/1"];
    let (code, _, stderr) = bench.compare(&four);
    assert!(code == 2 && stderr.contains("4 runs that count") && stderr.contains("takes 5 at least"), "{stderr}");
    bench.edit("earlier/3", |manifest| manifest["verdict"] = json!("INVALID"));
    let (code, _, stderr) = bench.compare(&["before/1", "--noise", "earlier", "--", "after/1"]);
    assert!(code == 2 && stderr.contains("earlier/3: it is INVALID"), "{stderr}");
    bench.edit("earlier/3", |manifest| {
        manifest["verdict"] = json!("PASS");
        manifest["scenario"]["fleet"]["things"] = json!(7);
    });
    let (code, _, stderr) =
        bench.compare(&["before/1", "--noise", "earlier/3", "earlier/1", "earlier/2", "earlier/4", "earlier/5", "--", "after/1"]);
    assert!(code != 0 && stderr.contains("fleet.things is 7 and 50"), "{stderr}");
}

// ---------------------------------------------------------------------------------------------------------------- what counts

#[test]
fn runs_that_are_no_evidence_are_named_and_not_counted() {
    let bench = three_a_side(1.2);
    for (n, verdict, why) in [
        (4, "INVALID", "it is INVALID"),
        (5, "ERROR", "could not be carried out"),
        (6, "INTERRUPTED", "interrupted"),
        (7, "RUNNING", "never finished"),
    ] {
        bench.make(
            &format!("after/{n}"),
            &Made { verdict: serde_json::from_value(json!(verdict)).unwrap(), ms: 900.0, ..Made::default() },
        );
        let (code, text, _) = bench.compare(&["before", "--", "after"]);
        assert!(
            code == 0 && text.contains(&format!("after/{n} is not counted: {}", if n == 5 { "it could not" } else { "it " })),
            "{text}"
        );
        assert!(text.contains(why), "{text}");
    }
    let told = bench.json(&["before", "--", "after"]);
    assert_eq!((told["run"]["runs"].as_array().unwrap().len(), told["run"]["left_out"].as_array().unwrap().len()), (3, 4));
    let (code, _, stderr) = bench.compare(&["before", "--", "after/4", "after/6"]);
    assert!(code == 98 && stderr.contains("nothing is left of RUN") && stderr.contains("after/4: it is INVALID"), "{stderr}");
    assert_eq!(bench.compare(&["before", "--", "after/6"]).0, 1);
    bench.edit("after/1", |manifest| manifest["verdict"] = json!("FAIL"));
    assert_eq!(
        bench.json(&["before", "--", "after"])["run"]["runs"].as_array().unwrap().len(),
        3,
        "a threshold says nothing of the figures"
    );
}

#[test]
fn damaged_files_are_named_and_the_run_is_not_counted() {
    for (file, damage) in [
        ("histograms.hlog", "HISTFAA!"),
        ("histograms.hlog", "Tag=update.response,1.0"),
        ("operations.csv", "31,all,update,many,0,0,0\n"),
        ("timeseries.csv", "x,steady\n"),
        ("operations.csv", "31,\"all"),
    ] {
        let bench = three_a_side(1.2);
        let path = bench.path(&format!("after/2/{file}"));
        let text = fs::read_to_string(&path).unwrap();
        let damaged = if damage.starts_with("HIST") { text.replacen("HISTFAAA", damage, 3) } else { text + damage };
        fs::write(&path, damaged).unwrap();
        let told = bench.json(&["before", "--", "after"]);
        let left_out = &told["run"]["left_out"][0];
        assert!(left_out["dir"] == "after/2" && left_out["why"].as_str().unwrap().contains(file), "{damage}: {told}");
        fs::remove_file(&path).unwrap();
        assert!(bench.json(&["before", "--", "after"])["run"]["left_out"][0]["why"].as_str().unwrap().contains(file));
    }
}

#[test]
fn a_forecast_may_stand_beside_runs_and_counts_once() {
    let bench = three_a_side(1.2);
    for n in 1..=2 {
        bench.make(&format!("forecast/{n}"), &Made::default());
        bench.edit(&format!("forecast/{n}"), |manifest| manifest["mode"] = json!("forecast"));
    }
    bench.make("before/4", &Made::default());
    let told = bench.json(&["before", "--", "forecast"]);
    assert_eq!((&told["differences"][0]["about"], &told["differences"][0]["run"]), (&json!("mode"), &json!("forecast")));
    assert_eq!(told["run"]["runs"].as_array().unwrap().len(), 1);
    assert_eq!(row(&told, "update.response_ms.p50")["verdict"], "same");
    let (code, _, stderr) = bench.compare(&["before/1", "forecast/1", "--", "after"]);
    assert!(code == 1 && stderr.contains("one is a forecast"), "{stderr}");
}

#[test]
fn what_cannot_be_compared_is_refused_with_the_reason() {
    let bench = three_a_side(1.2);
    bench.edit("after/2", |manifest| manifest["scenario"]["fleet"]["things"] = json!(7));
    fs::create_dir(bench.path("empty")).unwrap();
    bench.make("short", &Made { seconds: 9, ..Made::default() });
    for (args, code, says) in [
        (&["before", "--", "after"][..], 1, "of RUN, after/1 and after/2 differ: fleet.things is 50 and 7"),
        (&["before"], 2, "RUN"),
        (&["before", "after"], 2, "RUN"),
        (&["before", "--", "after/1", "--fail-if", "worse"], 2, "--fail-if stands after --"),
        (&["before/1", "before", "--", "after/1"], 2, "before/1 is given twice"),
        (&["before", "--", "before/../before/2"], 2, "are the same run"),
        (&["nowhere", "--", "after/1"], 1, "nowhere"),
        (&["empty", "--", "after/1"], 1, "empty is no results folder"),
        (&["short", "--", "after/1"], 1, "update: no second of BASE counts"),
        (&["before", "--skip", "2.5s", "--", "after/1"], 2, "whole seconds"),
        (&["before/1", "--json", "--html", "-", "--", "after/1"], 2, "standard output"),
        (&["before/1", "--html", "none/x.html", "--", "after/1"], 1, "none/x.html"),
        (&["before", "--fail-if", "better", "--", "after/1"], 2, "worse"),
    ] {
        let (found, _, stderr) = bench.compare(args);
        assert!(found == code && stderr.contains(says), "{args:?}: {found} {stderr}");
    }
    assert_eq!(bench.compare(&["short", "--skip", "0s", "--", "after/1"]).0, 0, "what a run has is enough then");
    fs::write(bench.path("after/3/run.json"), "{").unwrap();
    let (code, _, stderr) = bench.compare(&["before", "--", "after/3"]);
    assert!(code == 1 && stderr.contains("after/3/run.json"), "{stderr}");
}

// ---------------------------------------------------------------------------------------------------------------- its faces

#[test]
fn every_face_tells_the_same() {
    let bench = three_a_side(1.2);
    let told = bench.json(&["--markdown", "c.md", "--html", "c.html", "before", "--", "after"]);
    let text = bench.compare(&["before", "--", "after"]).1;
    let markdown = fs::read_to_string(bench.path("c.md")).unwrap();
    let page = Page::parse(&fs::read_to_string(bench.path("c.html")).unwrap());
    let figures = told["figures"].as_array().unwrap();
    assert_eq!(figures.len(), 4);
    for figure in figures {
        let name = figure["figure"].as_str().unwrap();
        let change =
            format!("{:+.1} %", 100.0 * (figure["ratio"].as_f64().unwrap() - 1.0)).replace("-0.0", "0.0").replace("+0.0", "0.0");
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line.contains(&change), "{line} and {change}");
        let line = markdown.lines().find(|line| line.starts_with(&format!("| {name} "))).unwrap();
        assert!(line.contains(&change), "{line} and {change}");
        assert!(page.by_id("figures").text.contains(&change) && page.by_id("ratios").text.contains(name));
    }
    let says = told["says"].as_str().unwrap();
    assert!(text.ends_with(&format!("{says}\n")) && markdown.contains(says) && page.text.contains(says));
    assert!(markdown.contains("**worse**"));
    assert_eq!(page.all("circle").count(), 4);
    let places: Vec<f64> =
        page.all("circle").map(|circle| circle.get("cx").unwrap().trim_end_matches('%').parse().unwrap()).collect();
    assert!(places.iter().all(|place| (0.0..=100.0).contains(place)) && places[0] > 50.0, "{places:?}");
    let policy = page.all("meta").find_map(|meta| meta.get("content").filter(|content| content.contains("default-src"))).unwrap();
    assert!(policy.contains("script-src 'none'"), "{policy}");
    let (code, stdout, _) = bench.compare(&["--markdown", "-", "before", "--", "after"]);
    assert_eq!((code, stdout), (0, markdown));
    let (_, stdout, _) = bench.compare(&["--html", "-", "before", "--", "after"]);
    assert!(stdout == page.text, "a page and nothing else");
}

#[test]
fn names_of_any_kind_break_no_face() {
    let bench = three_a_side(1.2);
    for n in 1..=3 {
        bench.edit(&format!("after/{n}"), |manifest| manifest["scenario"]["name"] = json!("<b>|\u{202e}x\n\"y\""));
    }
    let (code, ..) = bench.compare(&["--markdown", "c.md", "--html", "c.html", "before", "--", "after"]);
    assert_eq!(code, 0);
    let markdown = fs::read_to_string(bench.path("c.md")).unwrap();
    assert!(markdown.lines().any(|line| line.starts_with("| scenario | name | test | \\<b\\>\\|")), "{markdown}");
    let page = Page::parse(&fs::read_to_string(bench.path("c.html")).unwrap());
    assert!(page.by_id("differences").text.contains("<b>|\\u{202e}x"));
}
