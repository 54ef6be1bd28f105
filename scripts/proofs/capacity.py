"""The search for the knee, against a queue whose knee can be computed, a quota, and a generator that is the limit."""

import contextlib
import json
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from .common import BINARY, WORK, Serve, figure, on_core, results

SEARCHES = 10
# The load is tiny: what keeps others waiting is the time, not the processors.
AT_ONCE = 5
STEPS_MAX = 16
SERVICE_PER_S = 50
LIMIT_S = 1
# P(response > t) = exp(-(service - load) t), and 1 % may be above the limit.
KNEE = SERVICE_PER_S - math.log(100) / LIMIT_S
VARY = ("--vary", "cohort.askers.poll.every")

POLLERS = """
name = "{name}"
seed = 5
{target}
[fleet]
things = {things}
connect = {{ rate = "500/s" }}
[[cohort]]
name = "askers"
workflow = "poll"
poll = {{ every = "{every}", jitter = 0 }}
[end]
duration = "1m"
[thresholds]
{thresholds}
"""


def search(name, scenario, *options, **ways):
    """A search; (exit code, its record)."""
    out = results(name)
    command = [BINARY, "capacity", scenario, *VARY, "--ui", "none", "--out", out, *options]
    code = subprocess.run(command, cwd=WORK, env={**os.environ, "FLEETSIM_CERTS": str(WORK / "certs")}, **ways).returncode
    return code, json.loads((out / "capacity.json").read_text())


def scenario(name, **shape):
    file = WORK / f"{name}.toml"
    file.write_text(POLLERS.format(name=name, **shape))
    return file


@contextlib.contextmanager
def held_back(core):
    """Whatever else runs on the core has about half of it."""
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=on_core(core))
    try:
        yield
    finally:
        other.kill()
        other.wait()


@figure
def knee(verdict):
    """Ten searches for the knee of an M/M/1 queue: nine within 5 % of the computed one, each in 16 steps; a quota and the generator are named."""
    code, made = search("knee-certificates", "capacity-queue", "--max-time", "30s", "--step", "1s", "--warm-up", "0s", "--to", "20")
    verdict.check("exit code of a search that only makes certificates", code, 0)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        of = lambda n: search(f"knee-{n}", "capacity-queue", "--seed", str(1_000 * (n + 1)))  # noqa: E731
        found = list(pool.map(of, range(SEARCHES)))
    near = 0
    for n, (code, record) in enumerate(found):
        holds = record["holds"] or 0
        near += code == 0 and abs(holds / KNEE - 1) <= 0.05
        verdict.note(f"seed {1_000 * (n + 1)}: exit {code}, {record['steps']} steps, {100 * (holds / KNEE - 1):+.1f} %: {record['text']}")
    verdict.check(f"searches within 5 % of {KNEE:.1f}/s, of {SEARCHES}", near, 0.9 * SEARCHES, at_least=True)
    verdict.check("steps of the longest", max(record["steps"] for _, record in found), STEPS_MAX)

    throttled = '"describe.failed_share" = "< 0.01"\n"describe.response_ms.p99" = "< 1000"'
    polls = scenario("knee-quota", things=400, every="4s", target='[target.emulator]\nquotas = "aws"', thresholds=throttled)
    code, record = search("knee-quota", polls, "--step", "20s")
    verdict.note(f"with AWS's quotas: {record['text']}")
    verdict.check("exit code at a quota", code, 0)
    verdict.check("distance from the quota of 200 requests/s", abs(record["holds"] / 200 - 1), 0.06)
    verdict.check("names the quota and its number", "jobs.reads_per_second = 200" in record["text"], 1, at_least=True)

    # On two cores generator and endpoint end at the same load. Here each has one, and the generator shares its own.
    patient = '"describe.response_ms.p99" = "< 5000"'
    options = ("--step", "20s", "--warm-up", "5s", "--shards", "1")
    with Serve(4_000, preexec_fn=on_core(1)) as serve, held_back(0):
        polls = scenario("knee-generator", things=4_000, every="2s", target=serve.target(), thresholds=patient)
        code, record = search("knee-generator", polls, *options, preexec_fn=on_core(0))
        verdict.note(f"with half a core: {record['text']}")
        verdict.check("exit code where the generator is the limit", code, 0)
        verdict.check("says that the generator is the limit", "the generator is the limit" in record["text"], 1, at_least=True)
        code, record = search("knee-no-evidence", polls, *options, "--from", "60000", preexec_fn=on_core(0))
        verdict.note(f"from 60,000/s on: {record['text']}")
        verdict.check("exit code where the generator is the limit before anything passed", code, 98)
