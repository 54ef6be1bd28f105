"""This build beside an earlier one, run by turns on the same machine in the same call."""

import os
import pathlib
import statistics
import subprocess
import sys

from .common import BINARY, WORK, figure, manifest_of, results, summary_of

WORSE_MAX = 1.03
# One pair alone differs by up to 7 %: with six, the median is good for 2 %.
PAIRS = 6
# 10,000 things connect as fast as both ends can, and each works through one job: some 130,000 messages in half a minute.
SCENARIO = """
name = "base"
[fleet]
things = 10_000
connect = { rate = "2000/s" }
[behavior.quick]
updates = 3
step = "uniform(1s, 5s)"
[[rollout]]
job = "fw-base"
rate = "60000/min"
document = { operation = "x" }
[end]
limit = "3m"
"""
# What is compared, and how it is read from a run's totals.
KEYS = {
    "generator's CPU": lambda totals: totals["generator"]["cpu_seconds"],
    "generator's RSS": lambda totals: totals["generator"]["rss_bytes_max"],
    "endpoint's CPU": lambda totals: totals["endpoint"]["cpu_seconds"],
    "endpoint's RSS": lambda totals: totals["endpoint"]["rss_bytes_max"],
}


def drive(binary, name):
    scenario = WORK / "base.toml"
    scenario.write_text(SCENARIO)
    out = results(f"base-{name}")
    subprocess.run([binary, "run", scenario, "--ui", "none", "--out", out], cwd=WORK, check=True)
    totals = manifest_of(out)["totals"]
    figures = {what: of(totals) for what, of in KEYS.items()}
    return figures | {"mean time of a start-next": summary_of(out, "start_next")["service_ms_mean"]}


def pair(earlier, is_turned):
    """One run of each, the earlier build first unless turned: whoever comes second finds the machine as the first one left it."""
    if is_turned:
        now = drive(BINARY, "this")
        return drive(earlier, "earlier"), now
    return drive(earlier, "earlier"), drive(BINARY, "this")


@figure
def base(verdict):
    """This build beside an earlier one (FLEETSIM_BASE=its binary): CPU and memory of both sides within 3 %."""
    earlier = os.environ.get("FLEETSIM_BASE")
    if not earlier:
        print("base: FLEETSIM_BASE names no earlier binary to compare with", file=sys.stderr)
        sys.exit(2)
    earlier = pathlib.Path(earlier).resolve()
    # The first run of each makes certificates, or finds its memory cold.
    for binary in (earlier, BINARY):
        drive(binary, "warm-up")
    pairs = [pair(earlier, is_turned=number % 2 == 1) for number in range(PAIRS)]
    for what in pairs[0][0]:
        was, now = (statistics.median(pair[side][what] for pair in pairs) for side in (0, 1))
        ratio = statistics.median(this[what] / before[what] for before, this in pairs)
        verdict.note(f"{what}: {was:.4g} before, {now:.4g} now")
        if what in KEYS:
            verdict.check(f"{what}, this build against the earlier one", ratio, WORSE_MAX)
