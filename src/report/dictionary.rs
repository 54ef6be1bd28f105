//! `docs/RESULTS.md`: files and columns of a results folder, made from the same tables as the files.

use super::tables;

const INTRODUCTION: &str = "\
# Results: files and columns

A run leaves one folder, and `run --repeat K` a folder of such, `1` to `K`. Files are written as the run goes: a crash leaves every finished second on disk, and `fleetsim report DIR`
still prints a summary and makes `report.html`. Every CSV has a header, `.` as decimal point and RFC 4180 quoting. Times are in milliseconds with three
decimals, instants count from the origin, which is the first connect arrival. After the first hour the rows of `timeseries.csv`,
`operations.csv`, `rollouts.csv`, `shards.csv` and `histograms.hlog` cover a minute instead of a second: counts are its sums, gauges its end, rates per
second its mean, `lateness_ms_p99` its worst second. What a target cannot show is an empty cell, never 0.

This page is made from the tables that write the files (`src/report/tables.rs`); a test fails when they differ.

| file | what it is |
|---|---|
| `run.json` | the manifest: `name`, `mode` (`run`, `forecast` or `merged`), `verdict` (PASS FAIL INVALID INTERRUPTED ERROR, RUNNING until the end), `exit_code`, `seed`, `scenario_sha256` (of the resolved scenario as TOML), `scenario` (resolved), `version`, `host`, `pid`, `shards` (threads), `started_at`, `finished_at`, `totals` (with `billed`: `messages` of 5 KB, `connection_minutes` of connections that ended, `executions`, `registry_operations`, as AWS bills them), `thresholds`, `checks` (what else the verdict rests on: `check`, `outcome`, `why`; [CI.md](CI.md)), `events` (as in `events.csv`), `findings`; of a run whose endpoint has quotas `predicted`, of a forecast `forecast` ([PLANNING.md](PLANNING.md)); of a slice `shard`, of a merged run `merged`: its slices ([SHARDS.md](SHARDS.md)), each with `host`, `pid`, `version`, `run_s`, `silent_s` (seconds that it did not report), `messages`, `busy`, `generator`, `lateness_ms`, `connect_ms`, its `findings`, and where it had a leader `clock` ([WORKERS.md](WORKERS.md)) |
| `histograms.hlog` | HdrHistogram log V2, a line a second and tag (`start_next.service`, `start_next.response`, ...); microseconds, for `notify_next`, `notify_next_at_least`, `first_notification` and `execution` milliseconds |
| `report.html` | the report with charts, one page, written at its end and by `fleetsim report`, from `run.json`, `timeseries.csv`, `operations.csv`, `rollouts.csv`, `errors.csv`, `shards.csv` and `histograms.hlog` alone |
| `service_ledger.csv` | the service ledger of the local endpoint: `mono_ns,thing,job,execution_number,version,status,event,subscribed` |
| `intervals.bin` | only in the folder of a slice: what its collector took in, for `fleetsim merge`. 16 bytes `fleetsim ivals 1`, then a record a second: its length (4 bytes, little-endian), the first 8 bytes of the SHA-256 of length and content, and the content, CBOR deflated. What was not written to its end does not count |
| `scenario.toml` | the resolved scenario, every default filled in, whose SHA-256 is `scenario_sha256`: `fleetsim run` takes it |
| `endpoint.toml` | how the local endpoint was shaped: the file of `fleetsim serve --config` |
| `decisions.jsonl` | what policies of the local endpoint denied, one line of JSON the first time for each client, action and resource, with its explanation ([POLICIES.md](POLICIES.md)) |
| `endpoint.log` | what the local endpoint wrote to stderr |
| `generator.log` | only where the dashboard was shown: the log lines of the run, from the first one on |
| `forecast/` | only where the endpoint has quotas and the scenario has a `[[rollout]]`: the results folder of the run's forecast ([PLANNING.md](PLANNING.md)) |
| `endpoint.jsonl` | only where workers shared the local endpoint: a line a second, `origin` (nanoseconds of its clock at second 0, as in the ledger), `second`, `usage` (`cpu_share`, `cpu_seconds`, `rss_bytes`, `descriptors`), `events_over` (place of an event in the scenario, and when it was over) |
| `workers/slice-NNN` | only in a leader's folder: what it has of each slice, for `fleetsim merge` |
| `local/` | only in the folder of a leader without `--over`: logs and folders of its NATS server and its workers; removed once every worker has handed over its results ([WORKERS.md](WORKERS.md)) |
| `endpoint.state` | while a run with an `endpoint-restart` goes on: what the endpoint knows |

A search (`fleetsim capacity`, [CAPACITY.md](CAPACITY.md)) leaves a folder of its own kind, with the folder of a run for each step:

| file | what it is |
|---|---|
| `capacity.json` | the result: `result` (knee, lower-bound, nothing-passes, generator-bound, out-of-time, interrupted, error, running), `exit_code`, `text` (in a sentence), `holds` and `fails` (loads), `setting` (the value that makes `holds`), `trials`, `passes`, `pass_share_low`, `pass_share_high`, `breaks_first`, `unit`, `operation`, `steps`, `question` (what was asked: `--resume` wants the same), `scenario` (resolved) |
| `capacity.csv` | a row a step, see below |
| `capacity.svg` | response times against the load, with the knee |
| `steps/NN` | the results folder of step NN |

Operations: `connect` (all of it, from its start to the last SUBACK, over HTTPS to the end of TLS), `connect_tcp`, `connect_tls`, `connect_mqtt` (CONNECT to
CONNACK, over a WebSocket with its upgrade), `subscribe`, `reconnect` (session lost to subscribed again), `get_pending`, `start_next`, `describe`, `update`, `notify_next`
(head changed at the service while subscribed, to seen by the thing; without the service ledger an upper bound, and
`notify_next_at_least` the lower one), `first_notification` (subscribed to the session's first `notify-next`
that names an execution), `execution` (first notified of to terminal update accepted), `puback`, `telemetry` (PUBLISH to PUBACK; counted without a time at QoS 0), `download`
(the file of a job: started to complete and verified; `errors.csv` has what did not verify). **Service** time runs from the moment a request was written, **response** time from its intended start.
`docs/MEASUREMENT.md` says what each figure means and what it cannot mean.

## `report.html`

One page that loads nothing else, under 1 MB: verdict, findings, thresholds, the capacity plan in words; then, as charts over time, latency, rollouts, connections,
throughput, load of the host, stages of a connect and failures, percentile curves, and as tables events, errors, cohorts, transports, host and scenario; of a run of several processes a table of them, and for each its host and process, its findings and its messages. Every chart has a
sentence and a table of its figures (`Figures`), and thresholds are lines in the chart of their metric, over the seconds that they are about. A script adds a cross-hair, by pointer and
by the arrow keys; without it nothing else is missing. The page follows the light or dark setting of the browser, and prints.

A line has at most 400 points and a table 40 rows. Seconds that share one are merged: of latencies the histograms, so that every percentile is one of all answers in its span; of counts the
rate over its seconds; of gauges how they stood at its end; of `lateness_ms_p99`, which has no histogram in the files, the worst second. Of jobs the eight with the most targets are drawn, of events the first 20, of thresholds the first ten of a chart. Long
tables and texts are cut, and say so. Damaged rows are left out, with a finding. The same files give the same page.
";

/// The page.
#[must_use]
pub fn dictionary() -> String {
    let mut page = INTRODUCTION.to_owned();
    for file in tables::all().into_iter().chain(tables::of_merged()).chain(tables::of_search()) {
        page += &format!("\n## `{}`\n\nA row is {}.\n\n| column | meaning |\n|---|---|\n", file.file, file.row);
        for (name, meaning) in file.columns {
            page += &format!("| `{name}` | {meaning} |\n");
        }
    }
    page
}
