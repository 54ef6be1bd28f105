//! `--metrics`: what Prometheus sees of a run, and what a dashboard may ask of it.

use crate::bench::{Bench, Guard};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// A fleet with everything that a family is about: cohorts, a job, an event, errors, thresholds, one of which fails. It ends when all is over for
/// a while, so that a scrape has all of it.
const WATCHED: &str = "
name = 'watched'
[fleet]
things = 12
connect = { rate = '50/s' }
reconnect = { policy = 'fixed', base = '300ms' }
[[cohort]]
name = 'good'
share = 0.5
behavior = 'quick'
[[cohort]]
name = 'bad'
share = 0.5
behavior = 'faulty'
[behavior.quick]
reaction = '0s'
updates = 2
step = '700ms'
[behavior.faulty]
reaction = '0s'
updates = 1
step = '700ms'
faults = { stale_version = { share = 1.0, per = 'execution' } }
[[rollout]]
job = 'fw'
after = 'connected'
rate = '50/s'
document = {}
[[event]]
at = '1500ms'
kind = 'disconnect'
share = 0.5
for = '300ms'
[end]
when = 'idle'
idle = '2s'
limit = '60s'
[thresholds]
'start_next.response_ms.p99' = { check = '< 60000', over = 'last 60s' }
'executions.lost' = '== 0'
'executions.succeeded' = '< 1'
'update.failed_share' = { check = '<= 1', cohort = 'bad' }
";

/// A run that serves its metrics, and where.
fn start(bench: &Bench, more: &[&str]) -> (Guard, String) {
    fs::write(bench.path("watched.toml"), WATCHED).unwrap();
    let args = [&["run", "watched.toml", "--ui", "none", "--out", "out", "--metrics", "127.0.0.1:0"], more].concat();
    let mut run = Guard(bench.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(run.0.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.strip_prefix("metrics: http://").and_then(|rest| rest.trim().strip_suffix("/metrics"));
    (run, address.unwrap_or_else(|| panic!("{line:?}")).to_owned())
}

/// The page; `None` where nobody serves it any more.
fn scrape(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    // A run may end while it answers.
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    (length.parse() == Ok(body.len())).then(|| body.to_owned())
}

/// One series: name, labels, value.
type Series = (String, BTreeMap<String, String>, f64);

fn parse(page: &str) -> Vec<Series> {
    let series = |line: &str| {
        let (key, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = key.split_once('{').unwrap_or((key, "}"));
        let pairs = labels.strip_suffix('}').unwrap().split("\",").filter(|pair| !pair.is_empty());
        let pair =
            |pair: &str| pair.split_once("=\"").map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned()));
        (name.to_owned(), pairs.map(|text| pair(text).unwrap()).collect(), value.parse().unwrap())
    };
    page.lines().filter(|line| !line.starts_with('#')).map(series).collect()
}

/// Everything that a run exposed, scrape by scrape.
fn watch(address: &str, run: &mut Guard) -> Vec<Vec<Series>> {
    let mut scrapes = Vec::new();
    while run.0.try_wait().unwrap().is_none() {
        scrapes.extend(scrape(address).map(|page| parse(&page)));
        std::thread::sleep(Duration::from_millis(200));
    }
    scrapes
}

fn sum(scrape: &[Series], name: &str, labels: &[(&str, &str)]) -> f64 {
    let is_wanted = |series: &&Series| {
        series.0 == name && labels.iter().all(|(label, value)| series.1.get(*label).is_some_and(|found| found == value))
    };
    scrape.iter().filter(is_wanted).map(|series| series.2).sum()
}

#[test]
fn a_scrape_adds_up_and_the_dashboard_asks_for_what_there_is() {
    let bench = Bench::new();
    let (mut run, address) = start(&bench, &[]);
    let scrapes = watch(&address, &mut run);
    let status = run.0.wait().unwrap();
    assert_eq!(bench.code(status), Some(99));
    assert!(scrape(&address).is_none(), "it ends with the run");
    let last = scrapes.last().expect("there was a scrape");

    // Parts and their whole.
    for operation in ["connect", "start_next", "update", "execution"] {
        let of = |family: &str| sum(last, family, &[("operation", operation)]);
        let all = of("fleetsim_operations_total");
        assert!(all > 0.0, "{operation}");
        assert_eq!((of("fleetsim_cohort_operations_total"), of("fleetsim_transport_operations_total")), (all, all), "{operation}");
        assert_eq!(of("fleetsim_operations_started_total"), all + of("fleetsim_open_operations"), "{operation}");
        let timed = of("fleetsim_service_seconds_count");
        assert_eq!(
            timed,
            all - sum(last, "fleetsim_operations_total", &[("operation", operation), ("outcome", "error")]),
            "{operation}"
        );
        assert_eq!(of("fleetsim_cohort_service_seconds_count"), timed, "{operation}");
        let buckets = |bound| sum(last, "fleetsim_service_seconds_bucket", &[("operation", operation), ("le", bound)]);
        assert_eq!(buckets("+Inf"), timed, "{operation}");
        assert!(buckets("0.001") <= buckets("16.384") && of("fleetsim_service_seconds_sum") > 0.0, "{operation}");
    }
    let stages = sum(last, "fleetsim_executions", &[]);
    assert_eq!((stages, sum(last, "fleetsim_job_executions", &[("job_id", "fw")])), (12.0, 12.0));
    for one_of in ["fleetsim_verdict", "fleetsim_phase", "fleetsim_run_info"] {
        assert_eq!(sum(last, one_of, &[]), 1.0, "{one_of}");
    }
    assert_eq!(sum(last, "fleetsim_run_info", &[("scenario", "watched"), ("run", "out")]), 1.0);
    assert_eq!(sum(last, "fleetsim_threshold_holds", &[]), 3.0);
    assert_eq!(sum(last, "fleetsim_threshold_value", &[("metric", "executions.succeeded")]), 12.0);
    // On a busy machine it is no evidence.
    let verdict = |verdict| sum(last, "fleetsim_verdict", &[("verdict", verdict)]);
    assert_eq!((verdict("PASS"), verdict("FAIL") + sum(last, "fleetsim_invalid", &[])), (0.0, 1.0));
    assert_eq!(sum(last, "fleetsim_threshold_limit", &[("metric", "start_next.response_ms.p99"), ("check", "< 60000")]), 60_000.0);
    assert_eq!(sum(last, "fleetsim_faults_total", &[("fault", "stale_version")]), 12.0, "each of two updates of six executions");
    assert!(sum(last, "fleetsim_errors_total", &[("code", "VersionMismatch")]) > 0.0);

    // Counters only grow, up to what the files say.
    let counters = |scrape: &[Series]| sum(scrape, "fleetsim_messages_total", &[("direction", "out")]);
    assert!(scrapes.windows(2).all(|pair| counters(&pair[0]) <= counters(&pair[1])));
    assert!(counters(last) <= bench.manifest("out")["totals"]["messages_out"].as_f64().unwrap());

    // The dashboard, against all that there ever was.
    let mut exposed = BTreeMap::<String, BTreeSet<String>>::new();
    for (name, labels, _) in scrapes.into_iter().flatten() {
        exposed.entry(name).or_default().extend(labels.into_keys());
    }
    let faults = faults_of_dashboard(&exposed);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let page = fs::read_to_string(root().join("docs/METRICS.md")).unwrap();
    for name in exposed.keys() {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
        assert!(page.contains(&format!("| `{family}` |")), "docs/METRICS.md does not have {family}");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Words of letters, digits and underscores, each with what follows it.
fn words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        rest = &rest[rest.find(is_part)?..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        rest = behind;
        Some((word, behind))
    })
}

/// What an expression selects, and what it names: series, the labels of their selectors, and labels that are to be left over.
fn asked(expression: &str, legend: &str) -> Vec<(String, Vec<String>)> {
    let between = |text: &str, open: &str, close: &str| -> Vec<String> {
        text.split(open).skip(1).filter_map(|rest| rest.split_once(close)).map(|(inner, _)| inner.to_owned()).collect()
    };
    let kept: Vec<String> = between(expression, "by (", ")")
        .iter()
        .flat_map(|list| list.split(',').map(|label| label.trim().to_owned()).collect::<Vec<_>>())
        .chain(between(legend, "{{", "}}"))
        .collect();
    let selected = words(expression).filter(|(word, _)| word.starts_with("fleetsim_"));
    selected
        .map(|(name, behind)| {
            let selector = behind.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(inner, _)| inner);
            let labels = selector.split(',').filter_map(|part| Some(part.split_once(['=', '!'])?.0.trim().to_owned()));
            (name.to_owned(), labels.chain(kept.iter().cloned()).collect())
        })
        .collect()
}

/// What the dashboard asks for in vain.
fn faults_of_dashboard(exposed: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(root().join("docs/grafana-dashboard.json")).unwrap()).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let asked: Vec<_> = targets
        .flat_map(|target| asked(target["expr"].as_str().unwrap(), target["legendFormat"].as_str().unwrap_or_default()))
        .collect();
    assert!(asked.len() > 30, "the expressions are found");
    let fault = |(name, labels): &(String, Vec<String>)| {
        let Some(known) = exposed.get(name) else { return Some(format!("no scrape has {name}")) };
        let is_unknown = |label: &&String| *label != "instance" && !known.contains(*label);
        labels.iter().find(is_unknown).map(|label| format!("{name} has no label {label}"))
    };
    asked.iter().filter_map(fault).collect()
}

#[test]
fn what_a_dashboard_asks_is_found() {
    let expression = "histogram_quantile(0.9, sum by (operation, le) (rate(fleetsim_a_bucket{instance=~\"$instance\", x!~\"y|z\"}[5m]))) / fleetsim_b";
    let labels = |labels: &[&str]| labels.iter().map(|&label| label.to_owned()).collect::<Vec<_>>();
    assert_eq!(
        asked(expression, "{{operation}} p90"),
        [
            ("fleetsim_a_bucket".to_owned(), labels(&["instance", "x", "operation", "le", "operation"])),
            ("fleetsim_b".to_owned(), labels(&["operation", "le", "operation"]))
        ]
    );
    let nothing = BTreeMap::new();
    assert!(faults_of_dashboard(&nothing).iter().any(|fault| fault == "no scrape has fleetsim_verdict"));
}

#[test]
fn an_address_that_is_none_or_taken_is_refused_before_anything_is_done() {
    let bench = Bench::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (address, code, word) in [
        (&*taken, 1, "another port"),
        ("9464", 2, "[::1]:9464"),
        ("metrics.example:9464", 2, "127.0.0.1:9464"),
        ("203.0.113.1:9464", 1, "203.0.113.1:9464"),
    ] {
        let _held = TcpListener::bind(&taken);
        let output = bench.run(&["run", "smoke", "--ui", "none", "--out", "out", "--metrics", address]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{address}: {told}");
        assert!(told.contains(word), "{address}: {told}");
        assert!(!bench.path("out").exists(), "{address}");
    }
}
