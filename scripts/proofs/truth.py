"""What the figures are worth: measured times against what the endpoint saw, against what can be computed, and against the other ledger."""

import csv
import json
import random
import statistics
import subprocess

from .common import BINARY, ROOT, WORK, Serve, bench_binary, figure, manifest_of, results, summary_of

CONNECTS_PER_S = 2000
# Connecting is another load: at this rate it neither fills the machine nor leaves anything behind for the steady phase.
CALM_CONNECTS_PER_S = 500
POLLERS = """
[fleet]
things = {things}
connect = {{ rate = "{connects}/s" }}
timeouts = {{ answer = "{answer}" }}
[[cohort]]
name = "pollers"
workflow = "poll"
poll = {{ every = "{every}", jitter = 0 }}
"""


def run(name, scenario, *options):
    """Runs a scenario; (exit code, results)."""
    file, out = WORK / f"{name}.toml", results(name)
    file.write_text(f'name = "{name}"\nseed = 11\n{scenario}')
    code = subprocess.run([BINARY, "run", file, "--ui", "none", "--out", out, *options], cwd=WORK).returncode
    return code, out


def quantile(ordered, share):
    """As histograms define it: the smallest value that this share of all does not exceed."""
    rank = max(1, -(-len(ordered) * share // 1))
    return ordered[int(rank) - 1]


def within(verdict, what, value, expected, share, floor=0.0):
    """The value within `share` of the expected one, or within `floor`."""
    verdict.note(f"{what}: {value:.3f} ms, expected {expected:.3f} ms")
    verdict.check(f"{what}, distance", abs(value - expected), max(share * expected, floor), unit=" ms")


@figure
def answer_times(verdict):
    """Injected answer times of 1 to 1,000 ms at 500 requests/s: reported service times against the endpoint's received and sent stamps."""
    for things, every, seconds in ((1_000, 2, 26), (10_000, 20, 64)):
        for latency in (1, 10, 100, 1_000):
            log = WORK / "requests.csv"
            log.unlink(missing_ok=True)
            with Serve(things, "--latency", f"{latency}ms", "--requests", log) as serve:
                pollers = POLLERS.format(things=things, connects=CALM_CONNECTS_PER_S, every=f"{every}s", answer="10s")
                code, out = run("answer-times", f'{serve.target()}{pollers}[end]\nduration = "{seconds}s"\n')
            assert code == 0, f"the run ended with {code}"
            with open(log, newline="") as file:
                rows = [row for row in csv.DictReader(file) if row["operation"] == "describe"]
            stamps = sorted((int(row["sent_ns"]) - int(row["received_ns"])) / 1e6 for row in rows)
            row = summary_of(out, "describe")
            what = f"{things} things, {latency} ms"
            verdict.note(f"{what}: {len(stamps)} requests at the endpoint, {row['ok']:.0f} answers at the things")
            within(verdict, f"{what}: p50", row["service_ms_p50"], quantile(stamps, 0.5), 0.01, 0.3)
            within(verdict, f"{what}: p99", row["service_ms_p99"], quantile(stamps, 0.99), 0.01, 3)


def frozen_polls(things, every, freeze_at, freeze, end, seed=1):
    """(response times, service times, lost polls) in ms of things that poll at their own phase, one poll open at a time, when answers
    take no time but for the freeze."""
    draw = random.Random(seed)
    responses, services, lost = [], [], 0
    thaw = freeze_at + freeze
    for thing in range(things):
        due = thing / CONNECTS_PER_S + draw.random() * every
        while due < end:
            answered = thaw if freeze_at <= due < thaw else due
            responses.append((answered - due) * 1e3)
            services.append((answered - due) * 1e3)
            overdue = due + every
            if overdue < answered:
                # Late, and answered at once; those after it that are overdue too are not made up for.
                responses.append((answered - overdue) * 1e3)
                services.append(0.0)
                overdue += every
                while overdue < answered:
                    lost += 1
                    overdue += every
            due = overdue
    return sorted(responses), sorted(services), lost


@figure
def freeze(verdict):
    """A 5 s freeze under an open-loop poll load: response p99 and max within 2 % of the computed ones, every request accounted for."""
    # The second load is small, since the computation knows of no time to answer what has gathered: at thaw, two polls a thing.
    for things, every in ((10_000, 10), (500, 2)):
        event = '[[event]]\nat = "30s"\nkind = "endpoint-freeze"\nfor = "5s"\n[end]\nduration = "60s"\n'
        code, out = run("freeze", POLLERS.format(things=things, connects=CONNECTS_PER_S, every=f"{every}s", answer="8s") + event)
        verdict.check("exit code", code, 0)
        row = summary_of(out, "describe")
        responses, services, lost = frozen_polls(things, every, 30, 5, 60)
        what = f"{things} things every {every} s"
        for part, share in (("p99", 0.99), ("max", 1)):
            within(verdict, f"{what}: response {part}", row[f"response_ms_{part}"], quantile(responses, share), 0.02)
        service, computed = row["service_ms_p95"], quantile(services, 0.95)
        verdict.note(f"{what}: service p95 {service:.1f} ms, computed {computed:.1f} ms")
        ended = sum(row[key] for key in ("ok", "rejected", "timeout", "error", "open"))
        verdict.check(f"{what}: requests not accounted for", abs(row["started"] - ended), 0)
        planned = len(responses) + lost
        verdict.note(f"{what}: {row['started']:.0f} polls, {row['lost_arrivals']:.0f} lost, {row['blocked']:.0f} late for want of a slot")
        verdict.check(f"{what}: planned polls missing", abs(planned - row["started"] - row["lost_arrivals"]) / planned, 0.01)
        if every < 5:
            verdict.note(f"{what}: here polls wait for their slot, and service times do not know of it")
            within(verdict, f"{what}: response p95", row["response_ms_p95"], quantile(responses, 0.95), 0.05)
            verdict.check(f"{what}: service p95", row["service_ms_p95"] / row["response_ms_p95"], 0.1, unit=" of response p95")


STEADY = """
[thresholds]
"lateness_ms.p50" = { check = "<= 0.2", phase = "steady" }
"lateness_ms.p99" = { check = "<= 2", phase = "steady" }
"""


def polls(name, rate, thresholds=STEADY, seconds=35, things=10_000):
    """Polls at this rate on one shard; (exit code, results)."""
    scenario = POLLERS.format(things=things, connects=CALM_CONNECTS_PER_S, every=f"{things / rate * 1e6:.0f}us", answer="10s")
    return run(name, f'{scenario}[end]\nduration = "{seconds}s"\n{thresholds}', "--shards", "1")


def steadily(out, column, file="timeseries.csv", **where):
    """The median of a column over the last seconds before the end."""
    with open(out / file, newline="") as rows:
        rows = [row for row in csv.DictReader(rows) if all(row[key] == value for key, value in where.items())]
    return statistics.median(float(row[column]) for row in rows[-9:-1])


def carried(out):
    return steadily(out, "ok", "operations.csv", scope="all", operation="describe")


def carried_in_time(verdict):
    """The most polls a second that one shard carries in a run that is not INVALID, to 1,000."""
    carries, fails = 6_000, 30_000
    while fails - carries > 1_000:
        rate = (carries + fails) // 2
        _, out = polls("probe", rate, seconds=45)
        is_valid = manifest_of(out)["verdict"] != "INVALID"
        busy = 100 * steadily(out, "shard_busy_max")
        verdict.note(f"{rate} polls/s keep one shard {busy:.0f} % busy: {'carried in time' if is_valid else 'INVALID'}")
        carries, fails = (rate, fails) if is_valid else (carries, rate)
    return carries


@figure
def one_core(verdict):
    """One core carries 21,840 polls a second in time (1.4 times what it once did). Half of what it can carry: late by at most 0.2 ms at p50, 2 ms at p99. Twice: INVALID, exit 98, and the cause is named."""
    capacity = carried_in_time(verdict)
    verdict.check("polls a second that one core carries in time", capacity, 21_840, at_least=True)
    halves = []
    for _ in range(3):
        code, out = polls("half", capacity / 2)
        halves.append((code, *(threshold["value"] for threshold in manifest_of(out)["thresholds"])))
        verdict.note(
            f"at half of it: {carried(out):.0f} polls/s, the shard {100 * steadily(out, 'shard_busy_max'):.0f} % busy, "
            f"lateness p50 {halves[-1][1]} ms, p99 {halves[-1][2]} ms, exit code {code}"
        )
    # A host that takes its processors away for a tenth of a second does so in one run, and not in the other two.
    code, p50, p99 = (statistics.median(column) for column in zip(*halves))
    verdict.check("lateness p50, median of three runs", p50, 0.2, unit=" ms")
    verdict.check("lateness p99, median of three runs", p99, 2, unit=" ms")
    verdict.check("exit code, median of three runs", code, 0)
    code, out = polls("double", 2 * capacity, thresholds="")
    manifest = manifest_of(out)
    verdict.check("exit code 98", code == 98, 1, at_least=True)
    verdict.check("verdict INVALID", manifest["verdict"] == "INVALID", 1, at_least=True)
    for finding in manifest["findings"]:
        verdict.note(finding)
    named = any("shard 0 was busy" in finding or "machine-bound" in finding for finding in manifest["findings"])
    verdict.check("findings that name the cause", named, 1, at_least=True)


THOUSAND = ("--things", "1000")
# The last one is corrupted afterwards: it must have executions that succeed.
RECONCILED = (
    ("smoke", ()),
    ("10k", ()),
    ("several-jobs", ()),
    ("reconnect-storm", ()),
    ("flaky-fleet", ()),
    ("signed-firmware", ()),
    ("mixed-transports", ()),
    ("polling-fleet", ()),
    ("10k-aws", THOUSAND),
)


@figure
def reconcile(verdict):
    """Every shipped scenario with an endpoint of its own: counts add up, both ledgers agree, and one corrupted row is found and named."""
    for scenario, options in RECONCILED:
        out = results(f"reconcile-{scenario}")
        code = subprocess.run([BINARY, "run", scenario, "--ui", "none", "--out", out, *options], cwd=WORK).returncode
        verdict.check(f"{scenario}: exit code", code, 0)
        parts = ("ok", "rejected", "timeout", "error")
        with open(out / "summary.csv", newline="") as file:
            summary = list(csv.DictReader(file))
        sums = {}
        with open(out / "operations.csv", newline="") as file:
            for row in csv.DictReader(file):
                key = (row["scope"], row["operation"])
                sums[key] = [a + int(row[part]) for a, part in zip(sums.get(key, [0] * 5), ("started", *parts))]
        wrong = 0
        for row in summary:
            counts = [int(row[part]) for part in ("started", *parts)]
            wrong += counts[0] != sum(counts[1:]) + int(row["open"])
            wrong += counts != sums[(row["scope"], row["operation"])]
        verdict.check(f"{scenario}: rows of summary.csv that do not add up, of {len(summary)}", wrong, 0)
        executions = (out / "executions.csv").read_text().splitlines()[1:]
        terminal = [line.split(",") for line in (out / "service_ledger.csv").read_text().splitlines() if ",terminal," in line]
        mine = sorted((row.split(",")[0], row.split(",")[8]) for row in executions)
        verdict.check(f"{scenario}: executions that differ, of {len(mine)}", mine != sorted((row[1], row[5]) for row in terminal), 0)
        verdict.check(f"{scenario}: differences found by the audit", manifest_of(out)["differences"], 0)
    for name, old, new in (("executions.csv", ",SUCCEEDED,", ",FAILED,"), ("service_ledger.csv", ",SUCCEEDED,terminal,", ",FAILED,terminal,")):
        path = out / name
        whole = path.read_text()
        rows = whole.splitlines(keepends=True)
        place = next(n for n, row in enumerate(rows) if old in row and n > len(rows) // 2)
        path.write_text("".join(rows[:place] + [rows[place].replace(old, new)] + rows[place + 1:]))
        told = subprocess.run([BINARY, "report", out], cwd=WORK, stdout=subprocess.PIPE, text=True)
        path.write_text(whole)
        thing = next(cell for cell in rows[place].split(",") if cell.startswith("sim-"))
        named = [line for line in told.stdout.splitlines() if "the reconciliation found a difference" in line]
        verdict.note(f"a corrupted row of {name}: {named[0] if named else 'not found'}")
        verdict.check(f"{name}: exit code of report", told.returncode, 99, at_least=True)
        verdict.check(f"{name}: differences named", len(named) == 1 and thing in named[0], 1, at_least=True)


@figure
def recording(verdict):
    """Recording costs under 5 % of the generator's CPU, at the busiest load there is: 500 requests in flight all the time."""
    books = bench_binary("books")
    each = [json.loads(subprocess.check_output([books, "record"], text=True))["ns_per_pair"] for _ in range(5)]
    pairs = []
    for _ in range(3):
        with Serve(500) as serve:
            pairs.append(serve.floor("fleet", "pairs", 500)["cpu_per_100k_pairs"] * 1e4)
    verdict.note(f"recording a request and its answer: {statistics.median(each):.0f} ns, of {statistics.median(pairs):.0f} ns of CPU")
    verdict.check("share of the generator's CPU", 100 * statistics.median(each) / statistics.median(pairs), 5, unit=" %")


@figure
def day(verdict):
    """A day of 1,000 requests and 10 executions a second on 10,000 things: memory and disk are bounded."""
    out = results("day")
    told = json.loads(subprocess.check_output([bench_binary("books"), "day", out], text=True))
    for hour in told["hours"]:
        verdict.note(f"after {hour['hour']:2} h: {hour['rss_bytes'] / 1e6:.0f} MB of memory, {hour['folder_bytes'] / 1e6:.0f} MB of disk")
    first, last = told["hours"][0], told["hours"][-1]
    verdict.check("memory after the day", last["rss_bytes"] / 1e6, 60, unit=" MB")
    verdict.check("memory, the day against its first hour", last["rss_bytes"] / first["rss_bytes"], 2)
    verdict.check("disk after the day", last["folder_bytes"] / 1e6, 250, unit=" MB")
