"""What `fleetsim compare` calls equal runs, and runs whose endpoint takes a fifth longer."""

import json
import random
import subprocess
import sys

from .common import BINARY, WORK, figure, manifest_of, results

ROUNDS = 8
EQUAL_A_ROUND = 3
TRIES = 20
RUNS_A_SIDE = 3
ALARMS_MAX = 1
# An endpoint that takes a fifth longer for each answer.
LATENCY = {"equal": "uniform(2ms, 8ms)", "slower": "uniform(2.4ms, 9.6ms)"}
FOUND = ("start_next.response_ms.p50", "start_next.response_ms.p90", "update.response_ms.p50", "update.response_ms.p90")
# Ten seconds that do not count, and then some thirty of a roll-out.
SCENARIO = """
name = "compare"
seed = 3
[target.emulator]
latency = "{latency}"
[fleet]
things = 2_000
connect = {{ rate = "500/s" }}
[behavior.quick]
reaction = "uniform(0s, 1s)"
updates = 3
step = "uniform(1s, 3s)"
[[rollout]]
job = "fw"
after = "connected"
delay = "7s"
rate = "4800/min"
document = {{ operation = "x" }}
[end]
limit = "3m"
"""


def drive(kind, number):
    """A run that counts: one that was INVALID is made again, once."""
    scenario = WORK / f"compare-{kind}.toml"
    scenario.write_text(SCENARIO.format(latency=LATENCY[kind]))
    for attempt in (1, 2):
        out = results(f"compare-{kind}-{number}")
        subprocess.run([BINARY, "run", scenario, "--ui", "none", "--out", out, "--certs", WORK / "certs"], cwd=WORK, check=False)
        manifest = manifest_of(out)
        if manifest["verdict"] == "PASS":
            return out
        print(f"       {kind} {number}, attempt {attempt}: {manifest['verdict']}: {'; '.join(manifest['findings'])}", flush=True)
    print("compare: two runs in a row are no evidence, so there is nothing to judge", file=sys.stderr)
    sys.exit(2)


def held_against(base, run):
    command = [BINARY, "compare", "--json", *base, "--", *run]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=300).stdout)


def verdicts(comparison):
    return {row["figure"]: row["verdict"] for row in comparison["figures"]}


def told(comparison):
    """Every figure in short: its change, and how it came out."""
    return ", ".join(f"{row['figure']} {100 * (row['ratio'] - 1):+.1f} % {row['verdict']}" for row in comparison["figures"])


@figure
def compare(verdict):
    """20 tries of 3 equal runs against 3, by turns: at most 1 alarm; a fifth more latency: p50 and p90 worse in 20 of 20."""
    rounds = []
    for number in range(ROUNDS):
        equal = [drive("equal", number * EQUAL_A_ROUND + n) for n in range(EQUAL_A_ROUND)]
        rounds.append((equal, drive("slower", number)))
    equal = [run for runs, _ in rounds for run in runs]
    verdict.note(f"{len(equal)} equal runs, after every third one a slower one; the tries are drawn from these, so they share runs")
    chance = random.Random(1)
    alarms = 0
    for number in range(1, TRIES + 1):
        chosen = sorted(chance.sample(range(len(equal)), 2 * RUNS_A_SIDE))
        base, run = ([equal[n] for n in chosen[side::2]] for side in (0, 1))
        comparison = held_against(base, run)
        verdict.note(f"equal, try {number} of runs {chosen}: {told(comparison)}")
        alarms += not {"worse", "better"}.isdisjoint(verdicts(comparison).values())
    found = dict.fromkeys(FOUND, 0)
    for number in range(1, TRIES + 1):
        chosen = [rounds[n] for n in sorted(chance.sample(range(ROUNDS), RUNS_A_SIDE))]
        comparison = held_against([chance.choice(runs) for runs, _ in chosen], [slower for _, slower in chosen])
        verdict.note(f"slower, try {number}: {told(comparison)}")
        for name in found:
            found[name] += verdicts(comparison)[name] == "worse"
    verdict.check(f"of {TRIES} tries of equal runs, with a figure called worse or better", alarms, ALARMS_MAX)
    for name, count in found.items():
        verdict.check(f"of {TRIES} tries with a fifth more latency, {name} called worse", count, TRIES, at_least=True)
