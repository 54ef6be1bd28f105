"""What happens to a fleet on purpose, and how it comes back."""

import csv
import os
import statistics
import subprocess

from .common import BINARY, WORK, figure, manifest_of, results

# Smaller numbers are for trying the proof itself out: OUTAGE_THINGS=500 OUTAGE_SECONDS=10 scripts/prove outage
THINGS = int(os.environ.get("OUTAGE_THINGS", 10_000))
SECONDS = int(os.environ.get("OUTAGE_SECONDS", 60))
POLICIES = ("fixed", "exponential", "full-jitter")
CONNECTS_PER_S = 500
OUTAGE = """
name = "outage"
seed = 42
[fleet]
things = {things}
connect = {{ rate = "{rate}/s" }}
reconnect = {{ policy = "{policy}", base = "1s", cap = "1m" }}
[behavior.patient]
reaction = "uniform(0s, 2s)"
updates = 1
step = "uniform(20s, 40s)"
[[rollout]]
job = "fw-1"
after = "connected"
rate = "{job_rate}/min"
document = {{}}
[[event]]
at = "{at}s"
kind = "outage"
for = "{seconds}s"
[end]
limit = "10m"
[thresholds]
"events.away" = "== 0"
"executions.lost" = "== 0"
"executions.failed" = "== 0"
"""
COLUMNS = ("failures", "back_ms", "recovery_ms_p50", "recovery_ms_p99", "peak_connects_per_s", "peak_attempts_per_s")


def outage_under(policy):
    """(exit code, results, the row of events.csv)"""
    file, out = WORK / "outage.toml", results(f"outage-{policy}")
    # Everybody is connected, and half of the job is handed out, when the outage begins.
    at = THINGS // CONNECTS_PER_S + 10
    file.write_text(OUTAGE.format(things=THINGS, rate=CONNECTS_PER_S, policy=policy, job_rate=THINGS * 6, at=at, seconds=SECONDS))
    code = subprocess.run([BINARY, "run", file, "--ui", "none", "--out", out], cwd=WORK).returncode
    with open(out / "events.csv", newline="") as rows:
        return code, out, next(csv.DictReader(rows))


@figure
def outage(verdict):
    """A 60 s outage with 10,000 things at work: all are back under every policy, and what each costs the endpoint, side by side."""
    table = []
    for policy in POLICIES:
        code, out, row = outage_under(policy)
        manifest = manifest_of(out)
        if code != 0:
            verdict.note(f"{policy}: {manifest['verdict']}: {'; '.join(manifest['findings'])}")
        verdict.check(f"{policy}: exit code", code, 0)
        verdict.check(f"{policy}: things cut off", int(row["affected"]), THINGS, at_least=True)
        verdict.check(f"{policy}: things that are back", int(row["back"]), THINGS, at_least=True)
        table.append((policy, {key: float(row[key]) for key in COLUMNS}))
    verdict.note(f"{'policy':12} {'all back after':>15} {'recovery p50':>13} {'p99':>8} {'peak connects':>14} {'wanted':>9} {'failed':>9}")
    for policy, row in table:
        verdict.note(
            f"{policy:12} {row['back_ms'] / 1e3:>13.1f} s {row['recovery_ms_p50'] / 1e3:>11.1f} s {row['recovery_ms_p99'] / 1e3:>6.1f} s "
            f"{row['peak_connects_per_s']:>12.0f}/s {row['peak_attempts_per_s']:>7.0f}/s {row['failures']:>9.0f}"
        )
    # By its own formula jitter spreads what the others want within one second over many.
    wanted = {policy: row["peak_attempts_per_s"] for policy, row in table}
    verdict.check("full-jitter: the most attempts wanted in a second, of a policy without jitter", wanted["full-jitter"] / wanted["exponential"], 0.2)


PACE = """
name = "outage-pace"
seed = 5
[fleet]
things = 20
connect = { arrival = "burst" }
reconnect = { policy = "fixed", base = "100ms" }
[[event]]
at = "2s"
kind = "outage"
share = 0.5
for = "1s"
[end]
duration = "6s"
"""


@figure
def outage_pace(verdict):
    """Things that try again every 100 ms: in an outage of 1 s each fails seven times or more, and all want to come back within a second."""
    file, out = WORK / "outage-pace.toml", results("outage-pace")
    file.write_text(PACE)
    verdict.check("exit code", subprocess.run([BINARY, "run", file, "--ui", "none", "--out", out], cwd=WORK).returncode, 0)
    with open(out / "events.csv", newline="") as rows:
        row = {key: float(value) for key, value in next(csv.DictReader(rows)).items() if key in (*COLUMNS, "affected", "recovery_ms_max")}
    things = row["affected"]
    verdict.check("failed attempts of a thing", row["failures"] / things, 7, at_least=True)
    verdict.check("failed attempts of a thing", row["failures"] / things, 10)
    verdict.check("attempts wanted in a second, of a thing", row["peak_attempts_per_s"] / things, 1, at_least=True)
    verdict.check("attempts wanted in a second, of a thing", row["peak_attempts_per_s"] / things, 2)
    verdict.check("the last is back after", row["recovery_ms_max"], 2_000, unit=" ms")


STORM = """
name = "storm"
[target]
tls = {{ resumption = {resumption} }}
[fleet]
things = {things}
connect = {{ rate = "{rate}/s" }}
[[event]]
at = "{at}s"
kind = "reconnect-storm"
[end]
duration = "{duration}s"
"""


def storm_back_s(verdict, resumption):
    """Seconds until every thing of a fleet is back that has lost its connections in one moment, and tries again in that moment."""
    file, out = WORK / "storm.toml", results("storm")
    at = THINGS // CONNECTS_PER_S + 5
    file.write_text(STORM.format(things=THINGS, rate=CONNECTS_PER_S, at=at, duration=at + 20, resumption=str(resumption).lower()))
    verdict.check("exit code", subprocess.run([BINARY, "run", file, "--ui", "none", "--out", out], cwd=WORK).returncode, 0)
    with open(out / "events.csv", newline="") as rows:
        return float(next(csv.DictReader(rows))["back_ms"]) / 1e3


@figure
def resumed_storm(verdict, pairs=3):
    """10,000 things come back at once: with TLS tickets at least 1.7 times as fast as with full handshakes."""
    rows = [(storm_back_s(verdict, False), storm_back_s(verdict, True)) for _ in range(pairs)]
    full, resumed = (THINGS / statistics.median(row[n] for row in rows) for n in (0, 1))
    verdict.note(f"connects a second: {full:.0f} with full handshakes, {resumed:.0f} resumed")
    verdict.check("resumed against full", statistics.median(full / resumed for full, resumed in rows), 1.7, at_least=True)
