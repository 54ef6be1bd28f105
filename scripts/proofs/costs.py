"""What a fleet costs: processor, memory, time, and the dashboard."""

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import time

from terminal import Terminal

from .common import BINARY, PAIRS, ROOT, WORK, Serve, alternate, bench_binary, figure, median, ratio


@figure
def main_job(verdict):
    """scenarios/10k.toml: every execution ends, exit 0, under three minutes."""
    out = WORK / "main-job"
    shutil.rmtree(out, ignore_errors=True)
    started = time.monotonic()
    code = subprocess.run([BINARY, "run", ROOT / "scenarios" / "10k.toml", "--ui", "none", "--out", out], cwd=WORK).returncode
    verdict.check("exit code", code, 0)
    verdict.check("wall time", time.monotonic() - started, 180, unit=" s")
    rows = (out / "executions.csv").read_text().splitlines()[1:]
    verdict.check("rows of executions.csv", len(rows), 10_000, at_least=True)
    terminal = {"SUCCEEDED", "FAILED", "REJECTED"}
    verdict.check("executions that are not terminal", sum(row.split(",")[8] not in terminal for row in rows), 0)
    verdict.check("executions with an anomaly", sum(row.split(",")[12] != "" for row in rows), 0)
    totals = json.loads((out / "run.json").read_text())["totals"]
    verdict.check("generator RSS at most", totals["generator"]["rss_bytes_max"] / 1e6, 220, unit=" MB")


@figure
def idle_memory(verdict):
    """10,000 idle things: at most 20 KB of generator RSS each, 220 MB in all."""
    things = 10_000
    pairs = []
    for _ in range(1):
        with Serve(things) as serve:
            empty = serve.floor("fleet", "idle", 1)
        with Serve(things) as serve:
            fleet = serve.floor("fleet", "idle", things)
        with Serve(things) as serve:
            bare = serve.floor("bare", "idle", things)
        pairs.append((bare, fleet))
    each = (fleet["rss_bytes"] - empty["rss_bytes"]) / (things - 1)
    verdict.note(f"bare loop: {bare['rss_per_thing'] / 1000:.1f} KB a thing, everything counted")
    verdict.check("RSS a thing", each / 1000, 20, unit=" KB")
    verdict.check("RSS in all", fleet["rss_bytes"] / 1e6, 220, unit=" MB")


@figure
def connect_rate(verdict):
    """Connects a second, both ends here: at least 1,500, and 0.95 of those of a bare loop that, like every thing, also asks once."""
    pairs = alternate("connect", 10_000)
    verdict.note(f"bare loop: {median(pairs, 'connects_per_s', 0):.0f}/s")
    verdict.check("connects", median(pairs, "connects_per_s", 1), 1500, at_least=True, unit="/s")
    verdict.note(f"against one that only connects: {ratio(pairs, 'connects_per_s'):.2f} of its rate, {ratio(pairs, 'cpu_seconds'):.2f} of its CPU")
    asking = alternate("ask", 10_000)
    verdict.check("of the bare loop's rate, which also asks start-next once it is subscribed", ratio(asking, "connects_per_s"), 0.95, at_least=True)
    verdict.note(f"CPU of that: {ratio(asking, 'cpu_seconds'):.2f} of its")


@figure
def pair_cpu(verdict):
    """Generator CPU of a start-next and its answer: 500 in flight at most 1.8 times a bare loop's, and once a second from each of 10,000 things 1.3 times."""
    pairs = alternate("pairs", 500)
    key = "cpu_per_100k_pairs"
    verdict.note(f"bare loop: {median(pairs, key, 0):.2f} s per 100,000 pairs, fleet: {median(pairs, key, 1):.2f} s")
    verdict.check("CPU against the bare loop, 500 in flight", ratio(pairs, key), 1.8)
    things = 10_000
    kinds = {"bare": {}, "bare, scattered": {"turns": "scattered"}, "fleet": {}}
    rows = []
    for _ in range(PAIRS):
        row = {}
        for kind, options in kinds.items():
            with Serve(things) as serve:
                row[kind] = serve.floor(kind.split(",")[0], "rate", things, **options)[key]
        rows.append(row)
    costs = {kind: statistics.median(row[kind] for row in rows) for kind in kinds}
    verdict.note("once a second from each of 10,000 things, s per 100,000 pairs: " + "; ".join(f"{kind}: {cost:.2f}" for kind, cost in costs.items()))
    scattered = statistics.median(row["fleet"] / row["bare, scattered"] for row in rows)
    verdict.note(f"against a bare loop whose things, like a fleet's, have no order: {scattered:.2f}")
    verdict.check("CPU against the bare loop, once a second", statistics.median(row["fleet"] / row["bare"] for row in rows), 1.3)


@figure
def roster(verdict):
    """Who is in a run of a million things, their roll-outs and events included: half a second."""
    each = [json.loads(subprocess.check_output([bench_binary("books"), "roster"], text=True)) for _ in range(5)]
    verdict.note(f"their names alone: {statistics.median(one['names_seconds'] for one in each):.3f} s")
    verdict.check("names, cohorts, targets, things of events", statistics.median(one["seconds"] for one in each), 0.5, unit=" s")


# What is set side by side: who makes the load, and how it is told to.
TRANSPORTS = {"bare": ("bare", {}), "mqtt": ("fleet", {"transport": "mqtt"}), "mqtt5": ("fleet", {"transport": "mqtt5"})}
TRANSPORT_THINGS = {"idle": 10_000, "pairs": 500, "connect": 10_000}


def side_by_side(load, things, seconds=8):
    """One row of results for each turn, by transport; each against a fresh endpoint."""
    rows = []
    for _ in range(PAIRS):
        row = {}
        for name, (kind, options) in TRANSPORTS.items():
            with Serve(things) as serve:
                row[name] = serve.floor(kind, load, things, seconds, **options)
        rows.append(row)
    return rows


@figure
def transport_cost(verdict):
    """MQTT 5 beside MQTT 3.1.1 and a bare loop: memory a thing, CPU a pair and connects a second within 10 % of MQTT 3.1.1."""
    empty = {}
    for name, (kind, options) in TRANSPORTS.items():
        with Serve(1) as serve:
            empty[name] = serve.floor(kind, "idle", 1, **options)["rss_bytes"]
    idle, connecting = TRANSPORT_THINGS["idle"], TRANSPORT_THINGS["connect"]
    figures = {
        "KB of RSS a thing": ("idle", lambda name, row: (row["rss_bytes"] - empty[name]) / (idle - 1) / 1e3),
        "s of CPU for 100,000 pairs": ("pairs", lambda _, row: row["cpu_per_100k_pairs"]),
        "ms of CPU for a connect": ("connect", lambda _, row: row["cpu_seconds"] * 1e3 / connecting),
        "ms from connect to connect": ("connect", lambda _, row: 1e3 / row["connects_per_s"]),
    }
    rows = {load: side_by_side(load, things) for load, things in TRANSPORT_THINGS.items()}
    for what, (load, value) in figures.items():
        shown = {name: statistics.median(value(name, row[name]) for row in rows[load]) for name in TRANSPORTS}
        verdict.note(", ".join(f"{name} {figure:.3g}" for name, figure in shown.items()) + f" {what}")
        ratios = (value("mqtt5", row["mqtt5"]) / value("mqtt", row["mqtt"]) for row in rows[load])
        verdict.check(f"{what}, MQTT 5 against 3.1.1", statistics.median(ratios), 1.1)


@figure
def full_process(verdict):
    """19,500 things in one process, no failure."""
    things = 19_500
    out = WORK / "full-process"
    shutil.rmtree(out, ignore_errors=True)
    scenario = WORK / "full.toml"
    scenario.write_text(
        'name = "full"\n[fleet]\nthings = 19_500\nconnect = { rate = "1000/s" }\n'
        '[behavior.quick]\nupdates = 1\nstep = "1s"\n'
        '[[rollout]]\njob = "fw-full"\nrate = "60000/min"\ndocument = { operation = "x" }\n[end]\nlimit = "4m"\n'
    )
    code = subprocess.run([BINARY, "run", scenario, "--ui", "none", "--out", out], cwd=WORK).returncode
    verdict.check("exit code", code, 0)
    verdict.check("rows of executions.csv", len((out / "executions.csv").read_text().splitlines()) - 1, things, at_least=True)
    totals = json.loads((out / "run.json").read_text())["totals"]
    connect = next(row for row in totals["operations"] if row["operation"] == "connect" and row["scope"] == "all")
    verdict.check("connects that failed", connect["started"] - connect["ok"], 0)
    verdict.check("errors of any kind", sum(error["count"] for error in totals["errors"]), 0)
    verdict.note(f"RSS {totals['generator']['rss_bytes_max'] / 1e6:.0f} MB, {totals['generator']['rss_bytes_max'] / things / 1000:.1f} KB a thing")


# A roll-out to 10,000 things that keeps requests coming for half a minute.
TUI_LOAD = {
    "fleet.connect.rate": "'1500/s'",
    "rollout.fw-2-4-1.rate": "'20000/min'",
    "end.limit": "'3m'",
}
TUI_PAIRS = 3
TUI_SIZE = (200, 60)


def thread_cpu(pid, name):
    """CPU seconds of the thread of this name; None when there is none."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            if (task / "comm").read_text().strip() == name:
                fields = (task / "stat").read_text().rpartition(")")[2].split()
                return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:
            pass
    return None


def drive(ui):
    """One run of the load; (totals, CPU share of the drawing thread, seconds to the first frame)."""
    out = WORK / "tui-cost"
    shutil.rmtree(out, ignore_errors=True)
    sets = [part for key, value in TUI_LOAD.items() for part in ("--set", f"{key}={value}")]
    command = [BINARY, "run", "10k", "--ui", ui, "--out", out, *sets]
    share = first = None
    if ui == "tui":
        seen = bytearray()

        def look(data):
            nonlocal first
            if first is None:
                seen.extend(data)
                if b"fleetsim" in seen:
                    first = time.monotonic() - terminal.started

        with Terminal(command, WORK, *TUI_SIZE, look) as terminal:
            manifest, tab, begun = out / "run.json", 0, None
            while terminal.pump(2):
                cpu = thread_cpu(terminal.pid, "dashboard")
                if cpu is not None:
                    begun = begun or (time.monotonic(), cpu)
                    share = (cpu - begun[1]) / max(1e-9, time.monotonic() - begun[0])
                # Every screen takes its turn.
                tab = tab % 5 + 1
                over = manifest.exists() and json.loads(manifest.read_text())["verdict"] != "RUNNING"
                terminal.press("q" if over else str(tab))
            code = terminal.code
    else:
        code = subprocess.run(command, cwd=WORK, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
    assert code == 0, f"--ui {ui} ended with {code}"
    return json.loads((out / "run.json").read_text())["totals"], share, first


def response_p99(totals, operation):
    row = next(row for row in totals["operations"] if row["operation"] == operation and row["scope"] == "all")
    return row["response_ms"]["p99"]


@figure
def tui_cost(verdict):
    """The dashboard at 10,000 things, 200x60, all screens: under 3 % of a core, first frame within 200 ms, no change of response times."""
    drive("none")
    plain, shown = [], []
    for _ in range(TUI_PAIRS):
        plain.append(drive("none"))
        shown.append(drive("tui"))
    verdict.check("CPU of the drawing thread", 100 * statistics.median(share for _, share, _ in shown), 3, unit=" % of a core")
    verdict.check("first frame after the start", 1000 * statistics.median(first for _, _, first in shown), 200, unit=" ms")
    cpu = [statistics.median(totals["generator"]["cpu_seconds"] for totals, *_ in runs) for runs in (plain, shown)]
    verdict.note(f"generator CPU: {cpu[0]:.2f} s without, {cpu[1]:.2f} s with it")
    for operation in ("start_next", "update"):
        without, with_it = ([response_p99(totals, operation) for totals, *_ in runs] for runs in (plain, shown))
        # Noise is how far runs without it differ among themselves, and 10 % at least.
        middle = statistics.median(without)
        noise = max((max(without) - min(without)) / middle, 0.1)
        verdict.note(f"{operation} response p99: {fmt(without)} ms without, {fmt(with_it)} ms with it")
        verdict.check(f"{operation} response p99 against a run without", statistics.median(with_it) / middle, 1 + noise)


def fmt(values):
    return ", ".join(f"{value:.2f}" for value in values)
