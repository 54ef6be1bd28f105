"""How the cost of a thing and of a request grows with the fleet."""

import json
import shutil
import statistics
import subprocess
import time

from .common import WORK, Serve, bench_binary, figure

SIZES = (1_000, 5_000, 10_000, 19_500)
# In all, whatever the size: what a request costs depends on how many come at once, too.
REQUESTS_PER_S = 2_500
SPREAD_MAX = 1.15
ROUNDS = 3
START_UP = "start-up, "
KNOWN = "endpoint, KB a thing known to it"
REQUESTS = "requests a second"
KNOWN_KB_MAX = 1
# A start-up below is not felt, and most of it is the kernel's first pages; who is in a run of a million has a figure of its own (roster).
START_UP_S_MIN = 0.1
# Of the load that was meant: less would hide what a request costs.
RATE_SHARE_MIN = 0.97


def start_up(things):
    """Seconds: certificates and keys made and all registered; those that are there registered; who is in a run of so many."""
    shutil.rmtree(WORK / "growth-pki", ignore_errors=True)
    seconds = {}
    for what in ("certificates and registry", "registry alone"):
        began = time.monotonic()
        with Serve(things, dir=WORK / "growth-pki"):
            seconds[what] = time.monotonic() - began
    roster = json.loads(subprocess.check_output([bench_binary("books"), "roster", str(things)], text=True))
    seconds["roster"] = roster["names_seconds"] + roster["seconds"]
    return {f"{START_UP}{what}, s": value for what, value in seconds.items()}


def costs(things):
    with Serve(1) as serve:
        empty_endpoint, empty = serve.rss_bytes(), serve.floor("fleet", "idle", 1)
    with Serve(1) as serve:
        alone = serve.floor("fleet", "connect", 1)
    with Serve(things) as serve:
        registered = serve.rss_bytes()
        stormed = serve.floor("fleet", "connect", things)
    with Serve(things) as serve:
        asked = serve.floor("fleet", "rate", things, every=things / REQUESTS_PER_S)
    return {
        "generator, KB a thing": (asked["rss_bytes"] - empty["rss_bytes"]) / things / 1e3,
        KNOWN: (registered - empty_endpoint) / things / 1e3,
        "endpoint, KB a session": (asked["endpoint_rss_bytes"] - registered) / things / 1e3,
        "generator, us of CPU a connect": (stormed["cpu_seconds"] - alone["cpu_seconds"]) * 1e6 / things,
        "generator, us of CPU a request": asked["cpu_per_100k_pairs"] * 10,
        "endpoint, us of CPU a request": asked["endpoint_cpu_per_100k_pairs"] * 10,
        REQUESTS: asked["pairs_per_s"],
    }


@figure
def growth(verdict):
    """Cost of a thing and of a request at 1,000 to 19,500 things: flat within 15 %; start-up grows no faster than the fleet."""
    rounds = [{things: start_up(things) | costs(things) for things in SIZES} for _ in range(ROUNDS)]
    names = rounds[0][SIZES[0]].keys()
    table = {name: [statistics.median(each[things][name] for each in rounds) for things in SIZES] for name in names}
    width = max(map(len, names))
    for name, row in ({"things": SIZES} | table).items():
        verdict.note(f"{name:{width}}" + "".join(f"{value:12,.4g}" for value in row))
    for name, row in table.items():
        if name.startswith(START_UP):
            # It may fall: what does not depend on the fleet is shared by more.
            a_thing = [seconds / things for seconds, things in zip(row, SIZES)]
            felt = [more / fewer for fewer, more, seconds in zip(a_thing, a_thing[1:], row[1:]) if seconds >= START_UP_S_MIN]
            if felt:
                verdict.check(f"{name} a thing: against the next smaller fleet, at most", max(felt), SPREAD_MAX)
        elif name == KNOWN:
            # Near nothing: a ratio of such numbers says nothing.
            verdict.check(f"{name}: the most", max(row), KNOWN_KB_MAX, unit=" KB")
        elif name != REQUESTS:
            verdict.check(f"{name}: most against least", max(row) / min(row), SPREAD_MAX)
        else:
            verdict.check(f"{name}: fewest, of {REQUESTS_PER_S:,}", min(row) / REQUESTS_PER_S, RATE_SHARE_MIN, at_least=True)
