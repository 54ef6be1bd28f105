//! `docs/METRICS.md`: what `--metrics` exposes, made from the table that exposes it.

use super::families::families;

const INTRODUCTION: &str = "\
# Metrics: a run in Prometheus

`fleetsim run SCENARIO --metrics ADDR` serves `GET /metrics` in the text format of Prometheus (0.0.4) for as long as the run goes on:

```console
fleetsim run smoke --metrics :0
```

- `ADDR` is `127.0.0.1:9464`, `[::1]:9464`, or `:9464` and `localhost:9464` for this machine alone; port 0 takes one that is free. The address is
  printed on stderr, or in the dashboard's log. It listens on loopback unless ADDR names another address; there is no password, so name one only in a network that may read the figures. A port in use is exit 1 before
  anything is connected, a malformed address is exit 2.
- A response is built from the last whole second when it is requested, on a thread of its own, so that shards and what they measure are not affected. A scrape a second costs
  under 1 % of a core at 10,000 things (`scripts/prove metrics`). At most eight connections, five seconds each, one request a connection.
- It **ends with the run**: it is there from before the first connect until the results are written, through drain and reconciliation. The last scrape before that is up to one
  interval old, so the totals of a run are those of its results folder. A short run wants a short `scrape_interval`.
- Counters begin with the run. The next run at the same address starts them at 0, which `rate()` and `increase()` understand.
- `fleetsim_verdict` is what the run would be judged if it ended now: of thresholds and of the generator. What is only known at the end (the reconciliation, what was never
  done even once) joins it when the results are written.

```yaml
scrape_configs:
  - job_name: fleetsim
    scrape_interval: 1s
    static_configs:
      - targets: [\"127.0.0.1:9464\"]
```

[grafana-dashboard.json](grafana-dashboard.json) is a dashboard for Grafana (Dashboards, New, Import), with a variable for the instance. Tests hold its expressions: `promtool check rules` parses them, every
name and label of them is in a scrape, and `scripts/prove metrics` lets a Prometheus answer each of them from a run of 10,000 things.

## Families

Times are in seconds. No execution, message, error, fault or ended operation is in two series of a family, so sums over a family's labels are right, with one thing to know: `connect` is the whole of a connection,
and `connect_tcp`, `connect_tls`, `connect_mqtt`, `subscribe` are its stages; `puback` is a part of a request. So sum over outcomes, cohorts, transports, jobs and stages, and name the operation. Operations, stages, phases and
codes are those of the files ([RESULTS.md](RESULTS.md)). Cohorts and transports have families of their own, which have the operations that are broken down there (not `puback` and `notify_next`).

Histograms are cumulative over the run, with classic buckets: 16 powers of two from 0.5 ms to 16 s, and for `notify_next`, `notify_next_at_least`, `first_notification` and `execution` 12 more, to 18 hours. A value is
counted as the run's own histograms have it: within 0.1 %, by cohort and transport within 1 %. Percentiles that `histogram_quantile` makes of them are as wide as a bucket; exact ones are in `summary.csv`.

The table is that of `src/exposition/families.rs`, which makes the exposition, too; a test fails when they differ.

";

/// The page.
#[must_use]
pub fn metrics_page() -> String {
    let mut page = INTRODUCTION.to_owned() + "| family | kind | labels | meaning |\n|---|---|---|---|\n";
    for family in families() {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        page += &format!("| `{}` | {} | {} | {} |\n", family.name, family.kind, labels.join(", "), family.help);
    }
    page
}
