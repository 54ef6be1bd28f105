"""What the local endpoint costs and holds: memory, processor, sessions, notifications, state. Its floor is a thin endpoint
(benches/thin_endpoint.rs) under the same load."""

import csv
import json
import os
import statistics
import subprocess
import tempfile

from .common import PAIRS, ROOT, WORK, Process, Serve, bench_binary, figure

# A request that many things ask at once, one in flight each.
IN_FLIGHT = 500
DOCUMENT_BYTES = 300
# Times the CPU of a thin endpoint.
LIMIT = 1.2
MB, KB = 1e6, 1e3


class Thin(Process):
    """The thin endpoint; its answers are as long as told."""

    def __init__(self, answer_bytes=0, port=0):
        options = ("--dir", WORK / "pki", "--answer-bytes", str(answer_bytes), "--port", str(port))
        super().__init__(bench_binary("thin_endpoint"), *options, stdin=subprocess.PIPE)


def document(size=DOCUMENT_BYTES):
    """A job document of this many bytes, as JSON writes it."""
    rest = size - len(json.dumps({"operation": "update", "url": ""}))
    return {"operation": "update", "url": "x" * rest}


@figure
def endpoint_memory(verdict, things=10_000):
    """10,000 mutual-TLS sessions at rest, 8 filters each: at most 16 KB of the endpoint's RSS a session."""

    def a_session(process):
        with process as endpoint:
            before = endpoint.rss_bytes()
            result = endpoint.floor("bare", "idle", things, seconds=0, filters="sdk")
            verdict.check("sessions that failed", result["failures"], 0)
            return (result["endpoint_rss_bytes"] - before) / things, result["endpoint_rss_bytes"]

    each, whole = a_session(Serve(things))
    thin, _ = a_session(Thin())
    verdict.note(f"a thin endpoint: {thin / KB:.1f} KB a session; serve in all: {whole / MB:.0f} MB")
    verdict.check("RSS a session", each / KB, 16, unit=" KB")


def against_thin(request, things, load, seconds, job=False):
    """(serve, thin) results under the same load: the thin endpoint's answers are as long as serve's were."""
    with Serve(things) as serve:
        if job:
            control = serve.control()
            control.group("all", range(things))
            control.job("fw", "all", document())
        ours = serve.floor("bare", load, things, seconds, request=request)
    with Thin(ours["answer_bytes"]) as thin:
        return ours, thin.floor("bare", load, things, seconds, request=request)


@figure
def endpoint_cpu(verdict, pairs=PAIRS, seconds=6, slow_things=4_000):
    """Endpoint CPU of a request and its answer over TLS, 500 in flight or once a second: at most 1.2 times a thin endpoint's."""
    key = "endpoint_cpu_per_100k_pairs"

    def compare(what, results):
        failures = sum(result["failures"] for row in results for result in row)
        ours, thin = (statistics.median(row[n][key] for row in results) for n in (0, 1))
        rates = [statistics.median(row[n]["pairs_per_s"] for row in results) for n in (0, 1)]
        verdict.note(f"{what}, answers of {results[0][0]['answer_bytes']} bytes: {ours:.2f} s per 100,000 at {rates[0]:.0f}/s, thin {thin:.2f} s at {rates[1]:.0f}/s")
        verdict.check(f"{what}: things that failed", failures, 0)
        return statistics.median(row[0][key] / row[1][key] for row in results)

    for request, name in (("next", "describe $next"), ("start-next", "start-next")):
        for job, queue in ((False, "nothing pending"), (True, f"a document of {DOCUMENT_BYTES} bytes")):
            what = f"{name}, {queue}"
            results = [against_thin(request, IN_FLIGHT, "pairs", seconds, job) for _ in range(pairs)]
            verdict.check(f"{what}: CPU against a thin endpoint", compare(what, results), LIMIT)
    what = f"start-next once a second from {slow_things} things"
    results = [against_thin("start-next", slow_things, "rate", seconds) for _ in range(pairs)]
    verdict.check(f"{what}: CPU against a thin endpoint", compare(what, results), LIMIT)


@figure
def endpoint_full(verdict, things=19_000):
    """19,000 sessions at once against one endpoint: no failure, and every one of them gets an answer."""
    for name, process in (("serve", Serve(things)), ("a thin endpoint", Thin(100))):
        with process as endpoint:
            before = endpoint.rss_bytes()
            result = endpoint.floor("bare", "round", things)
        verdict.note(
            f"{name}: {result['connects_per_s']:.0f} connects/s, then a request of each at {result['pairs_per_s']:.0f}/s, "
            f"{(result['endpoint_rss_bytes'] - before) / things / KB:.1f} KB a session meanwhile"
        )
        verdict.check(f"{name}: sessions that failed", result["failures"], 0)
        verdict.check(f"{name}: answers", result["pairs"], things, at_least=True)


class Notified:
    """Things that wait for a notification; the block begins when all are subscribed."""

    def __init__(self, endpoint, things, seconds=30):
        arguments = ["--address", endpoint.ready["mqtt"], "--dir", endpoint.ready["dir"], "--things", str(things), "--seconds", str(seconds)]
        self.command = [bench_binary("notified"), *arguments]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        self.subscribed = json.loads(self.process.stdout.readline())["things"]
        return self

    def result(self):
        return json.loads(self.process.stdout.readline())

    def __exit__(self, *_):
        self.process.wait(timeout=60)


@figure
def notify_all(verdict, things=10_000, runs=3):
    """A job for 10,000 connected things without a roll-out limit: from the first commit to the last notification under one second."""
    ledger = WORK / "notify-all.csv"
    waits = []
    for _ in range(runs):
        ledger.unlink(missing_ok=True)
        with Serve(things, "--ledger", ledger) as serve:
            control = serve.control()
            control.group("all", range(things))
            with Notified(serve, things) as notified:
                verdict.check("things subscribed", notified.subscribed, things, at_least=True)
                control.job("fw", "all", document())
                result = notified.result()
        with open(ledger, newline="") as file:
            stamps = {event: [] for event in ("queued", "published")}
            for row in csv.DictReader(file):
                if row["event"] in stamps:
                    stamps[row["event"]].append(int(row["mono_ns"]))
        verdict.check("things notified", result["notified"], things, at_least=True)
        first = min(stamps["queued"])
        waits.append((result["last_ns"] - first) / 1e9)
        verdict.note(
            f"after the first commit: last commit {(max(stamps['queued']) - first) / 1e6:.0f} ms, last handed to its session "
            f"{(max(stamps['published']) - first) / 1e6:.0f} ms, first thing notified {(result['first_ns'] - first) / 1e6:.0f} ms, last {waits[-1] * 1e3:.0f} ms"
        )
        with Thin(DOCUMENT_BYTES + 200) as thin, Notified(thin, things) as notified:
            thin.process.stdin.write("\n")
            thin.process.stdin.flush()
            sent = int(thin.process.stdout.readline())
            result = notified.result()
            verdict.note(f"a thin endpoint's fixed message: {(result['last_ns'] - sent) / 1e6:.0f} ms to the last of {result['notified']}")
    verdict.check("the last notification, in the slowest run", max(waits), 1, unit=" s")


@figure
def endpoint_state(verdict, pairs=3, seconds=6):
    """What --state costs: updates a second and endpoint CPU, with and without it. A report, without a limit."""
    rows = {False: [], True: []}
    for _ in range(pairs):
        for with_state in rows:
            with tempfile.TemporaryDirectory(dir=WORK) as scratch:
                with Serve(IN_FLIGHT, *(("--state", f"{scratch}/state") if with_state else ())) as serve:
                    control = serve.control()
                    control.group("all", range(IN_FLIGHT))
                    control.job("fw", "all", document())
                    rows[with_state].append(serve.floor("bare", "pairs", IN_FLIGHT, seconds, request="update:fw"))
    for with_state, results in rows.items():
        rate, cpu = (statistics.median(result[key] for result in results) for key in ("pairs_per_s", "endpoint_cpu_per_100k_pairs"))
        word = "with" if with_state else "without"
        verdict.note(f"{word} --state: {rate:.0f} updates/s of {IN_FLIGHT} in flight, {cpu:.2f} s of endpoint CPU per 100,000")
        verdict.check(f"{word} --state: things that failed", sum(result["failures"] for result in results), 0)


@figure
def endpoint_kill(verdict, crashes=100, seeds=(1,)):
    """Killed with -9 under load a hundred times: no accepted answer is forgotten, nothing is handed out twice."""
    for seed in seeds:
        environment = os.environ | {"CRASHES": str(crashes), "CRASH_SEED": str(seed)}
        command = ["cargo", "test", "--release", "--locked", "--quiet", "--test", "crash", "--", "--nocapture"]
        told = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        summary = next((json.loads(line) for line in told.stdout.splitlines() if line.startswith("{")), None)
        verdict.check(f"seed {seed}: exit code", told.returncode, 0)
        if summary is None:
            verdict.note(told.stdout[-2_000:])
            continue
        verdict.check(f"seed {seed}: kills", summary["kills"], crashes, at_least=True)
        verdict.note(
            f"{summary['answers']} accepted answers for {summary['jobs']} jobs, {summary['probes']} looks at what is stored; requests the kill "
            f"left unanswered: {summary['unanswered_and_done']} carried out, {summary['unanswered_and_not_done']} not"
        )
