"""What check and forecast say beforehand, against what runs measure."""

import csv
import json
import os
import pathlib
import resource
import shutil
import subprocess
import time

from .common import BINARY, WORK, figure, manifest_of, results

PEAK_ERROR_MAX = 0.10
TIME_ERROR_MAX = 0.05
FILTERS = 4  # of the start-next workflow
# A million things are more than the 500,000 connections of an account by default, which AWS raises on request.
MILLION_QUOTAS = "[account]\nconnections = 1_000_000\n"
MILLION = """
name = "million"
seed = 1
[target.emulator]
quotas = "{quotas}"
[fleet]
things = {things}
connect = {{ rate = "150/s", in_progress = 1000 }}
[behavior.slow]
reaction = "uniform(0s, 2s)"
updates = 3
step = "exp(4s)"
[[rollout]]
job = "fw"
after = "connected"
rate = "{rate}/min"
document = {{ operation = "firmware", version = "1" }}
[end]
limit = "24h"
"""

BASE = """
[target.emulator]
quotas = "aws"
minute = "6s"
[end]
limit = "5m"
"""
QUICK = """
[behavior.quick]
reaction = "uniform(0s, 500ms)"
updates = 3
step = "uniform(500ms, 1500ms)"
"""


def job(name, rate, more=""):
    return f'[[rollout]]\njob = "{name}"\nafter = "connected"\nrate = "{rate}/min"\ndocument = {{ operation = "x" }}\n{more}\n'


def fleet(things, rate, more=""):
    return f'[fleet]\nthings = {things}\nconnect = {{ rate = "{rate}/s" }}\n{more}\n'


# Of different shape each; minutes are short, seconds are not.
SHAPES = {
    "within": fleet(1000, 100) + QUICK + job("a", 200),
    "writes": fleet(2000, 150) + QUICK + job("a", 1000),
    "describe-update": fleet(1000, 100) + '[[cohort]]\nname = "all"\nshare = 1.0\nworkflow = "describe-update"\nbehavior = "quick"\n' + QUICK + job("a", 600),
    "list": fleet(1500, 150) + '[[cohort]]\nname = "all"\nshare = 1.0\nworkflow = "list"\nbehavior = "quick"\n' + QUICK + job("a", 400),
    "polls": fleet(1500, 300)
    + '[[cohort]]\nname = "all"\nshare = 1.0\nworkflow = "poll"\npoll = { every = "5s", jitter = 0.1 }\nbehavior = "quick"\n'
    + QUICK
    + job("a", 200),
    "connects": fleet(2500, 1000) + QUICK + job("a", 200),
    "storm": fleet(1500, 150) + QUICK + job("a", 200) + '[[event]]\nat = "14s"\nkind = "reconnect-storm"\nshare = 0.3\n',
    "telemetry": fleet(1000, 150) + QUICK + job("a", 300) + '[telemetry]\ntopic = "dt/{thing}/state"\nevery = "1s"\nbytes = 200\nqos = 1\n',
}


def scenario_file(name, text):
    path = WORK / f"{name}.toml"
    path.write_text(f'name = "{name}"\nseed = 11\n{text}')
    return path


def forecast(scenario, out, *options):
    """The manifest of a forecast, its wall time, CPU time and memory."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    process = subprocess.Popen([BINARY, "forecast", scenario, "--out", out, "--json", *options], cwd=WORK, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - begun
    del before
    return manifest_of(out), wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def run(scenario, out):
    subprocess.run([BINARY, "run", scenario, "--ui", "none", "--out", out, "--certs", WORK / "certs"], cwd=WORK, check=False)
    return manifest_of(out)


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def measured_peaks(out, filters):
    """Of the busiest whole second, by quota."""
    by_second = {}
    for row in rows(out / "operations.csv"):
        if row["scope"] == "all":
            by_second.setdefault(row["t_s"], {})[row["operation"]] = int(row["started"])
    of = lambda *operations: max((sum(second.get(o, 0) for o in operations) for second in by_second.values()), default=0)
    series = rows(out / "timeseries.csv")
    return {
        "account.connects_per_second": of("connect_mqtt"),
        "account.subscribes_per_second": filters * of("subscribe"),
        "account.inbound_publishes_per_second": max(int(r["messages_in_per_s"]) + int(r["messages_out_per_s"]) for r in series),
        "account.connections": max(int(r["connected"]) for r in series),
        "jobs.reads_per_second": of("get_pending", "describe"),
        "jobs.writes_per_second": of("start_next", "update"),
    }


def throttled(out):
    """Quotas that something was refused by."""
    found = set()
    for row in rows(out / "errors.csv"):
        if row["code"] == "RequestThrottled":
            reads = row["operation"] in ("get_pending", "describe")
            found.add("jobs.reads_per_second" if reads else "jobs.writes_per_second")
        elif row["operation"] == "subscribe" and row["kind"] == "suback":
            found.add("account.subscribes_per_second")
        elif row["operation"] == "connect_mqtt":
            found.add("account.connects_per_second")
    return found


@figure
def quota_prediction(verdict):
    """Eight scenarios at AWS's quotas: predicted peaks within 10 % of measured, and throttling exactly where it was said."""
    for name, shape in SHAPES.items():
        scenario = scenario_file(f"shape-{name}", shape + BASE)
        out = results(f"shape-{name}")
        run(scenario, out)
        said = json.loads(subprocess.run([BINARY, "check", scenario, "--json"], cwd=WORK, stdout=subprocess.PIPE, check=False).stdout)
        quotas = {quota["quota"]: quota for quota in said["quotas"]["rows"]}
        filters = {"polls": 3, "describe-update": 3}.get(name, FILTERS)
        for quota, peak in measured_peaks(out, filters).items():
            if peak >= 20:
                error = quotas[quota]["peak"] / peak - 1
                verdict.check(f"{name}: {quota}, predicted {quotas[quota]['peak']} over measured {peak}", abs(error), PEAK_ERROR_MAX)
        predicted = {quota for quota, row in quotas.items() if row["refused"]} & {"jobs.reads_per_second", "jobs.writes_per_second", "account.subscribes_per_second", "account.connects_per_second"}
        verdict.check(f"{name}: quotas that throttle, said {sorted(predicted)} and seen {sorted(throttled(out))}: differences", len(predicted ^ throttled(out)), 0)


REAL = {
    "retries": fleet(1000, 100) + QUICK.replace('step', 'outcome = { succeeded = 0.7, failed = 0.3, rejected = 0.0 }\nstep')
    + job("a", 300, 'jobExecutionsRetryConfig = { criteriaList = [{ failureType = "FAILED", numberOfRetries = 2 }] }'),
    "abort": fleet(2000, 200) + QUICK.replace('step', 'outcome = { succeeded = 0.6, failed = 0.4, rejected = 0.0 }\nstep')
    + job("a", 200, 'abortConfig = { criteriaList = [{ failureType = "FAILED", action = "CANCEL", thresholdPercentage = 30.0, minNumberOfExecutedThings = 300 }] }'),
    "queue": fleet(1000, 100) + QUICK + job("a", 300),
    "throttled": fleet(2000, 150) + QUICK + job("a", 1000),
}


@figure
def forecast_accuracy(verdict):
    """Real runs with retries, an abort, a server queue and throttling: time to 50, 90 and 99 % within 5 % of the forecast."""
    for name, text in REAL.items():
        queue = '[target.emulator]\nminute = "6s"\nserver = { workers = 1, service = "exp(3ms)" }\n[end]\nlimit = "5m"\n'
        text += BASE if name != "queue" else queue
        scenario = scenario_file(f"real-{name}", text)
        out, ahead = results(f"real-{name}"), results(f"real-{name}-forecast")
        totals = run(scenario, out)["totals"]
        said = forecast(scenario, ahead)[0]["totals"]
        for is_, said_ in zip(totals["rollouts"], said["rollouts"]):
            for percent, measured, predicted in zip((50, 90, 99, 100), is_["seconds_to"], said_["seconds_to"]):
                if measured is None and predicted is None:
                    continue
                if measured is None or predicted is None:
                    verdict.check(f"{name}: {percent} %, known on both sides", 0, 1, at_least=True)
                elif percent < 100:
                    verdict.check(f"{name}: {percent} % after {measured:.1f} s, predicted {predicted:.1f} s", abs(predicted / measured - 1), TIME_ERROR_MAX)
        if name == "abort":
            ended = lambda totals: totals["executions"]["succeeded"] + totals["executions"]["failed"]
            verdict.check(f"abort: {ended(totals)} ended before it, predicted {ended(said)}", abs(ended(said) / ended(totals) - 1), TIME_ERROR_MAX)
        if name in ("retries", "queue"):
            key = lambda folder: {(r["thing"], r["job"], r["execution_number"], r["status"]) for r in rows(folder / "executions.csv")}
            verdict.check(f"{name}: executions whose status differs", len(key(out) ^ key(ahead)), 0)


@figure
def forecast_speed(verdict):
    """A million things over a day's roll-out under 60 s and 4 GB on one core with files written; 100,000 under 6 s."""
    (WORK / "million-quotas.toml").write_text(MILLION_QUOTAS)
    for things, seconds, rate in ((100_000, 6, 720), (1_000_000, 60, 900)):
        scenario = WORK / f"million-{things}.toml"
        scenario.write_text(MILLION.format(things=things, rate=rate, quotas=WORK / "million-quotas.toml"))
        out = results(f"million-{things}")
        manifest, wall, cpu, mib = forecast(scenario, out)
        done = manifest["totals"]["executions"]["succeeded"]
        verdict.check(f"{things:,} things: done in the forecast", done, things, at_least=True)
        verdict.check(f"{things:,} things: CPU time ({wall:.1f} s by the clock)", cpu, seconds, unit=" s")
        verdict.check(f"{things:,} things: memory", mib, 4096, unit=" MiB")
        size = sum(file.stat().st_size for file in pathlib.Path(out).iterdir())
        verdict.note(f"{manifest['totals']['run_s'] / 3600:.1f} h of virtual time, {size / 1e6:.0f} MB of files")
        shutil.rmtree(out)
