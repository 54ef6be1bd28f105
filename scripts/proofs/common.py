"""What the proofs have in common: how a figure is judged, and what runs beside it."""

import csv
import functools
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import time

from .control import Control

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WORK = ROOT / "target" / "prove"
BINARY = ROOT / "target" / "release" / "fleetsim"
PAIRS = 5
BUSY_SHARE_MAX = 0.25
QUIET_TRIES = 30

FIGURES = {}


def figure(function):
    FIGURES[function.__name__.replace("_", "-")] = function
    return function


def results(name):
    """A folder for the results of a run, not there yet."""
    out = WORK / name
    shutil.rmtree(out, ignore_errors=True)
    return out


def manifest_of(out):
    return json.loads((out / "run.json").read_text())


def summary_of(out, operation):
    """The row of an operation over the whole fleet, numbers as numbers."""
    with open(out / "summary.csv", newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["scope"] == "all" and row["operation"] == operation)
    return {key: float(value) if value else None for key, value in row.items() if key not in ("scope", "operation")}


class Verdict:
    def __init__(self):
        self.holds = True

    def check(self, what, value, limit, at_least=False, unit=""):
        good = value >= limit if at_least else value <= limit
        self.holds &= good
        word = "at least" if at_least else "at most"
        print(f"  {'ok  ' if good else 'MISS'} {what}: {value:.3g}{unit} ({word} {limit:g}{unit})", flush=True)

    def note(self, what):
        print(f"       {what}", flush=True)


def build():
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=ROOT, check=True)


@functools.cache
def bench_binary(name):
    command = ["cargo", "bench", "--locked", "--bench", name, "--no-run", "--message-format=json", "--quiet"]
    out = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = (json.loads(line) for line in out.splitlines() if line.startswith("{"))
    return next(m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == name)


def idle_or_exit():
    def busy():
        fields = [int(x) for x in open("/proc/stat").readline().split()[1:]]
        return sum(fields) - fields[3] - fields[4], sum(fields)

    for _ in range(QUIET_TRIES):
        before = busy()
        time.sleep(2)
        after = busy()
        share = (after[0] - before[0]) / max(1, after[1] - before[1])
        if share <= BUSY_SHARE_MAX:
            return
    print(f"this machine stays busy ({share:.0%} of its cores): no figure would mean anything", file=sys.stderr)
    sys.exit(2)


class Process:
    """A process that says on its first line where it can be reached, for as long as the block lasts."""

    def __init__(self, *command, **pipes):
        self.command, self.pipes = command, pipes

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True, **self.pipes)
        self.ready = json.loads(self.process.stdout.readline())
        return self

    def floor(self, kind, load, things, seconds=8, **options):
        """What the load generator of this kind measured against it."""
        arguments = [bench_binary("floor"), kind, load, "--address", self.ready["mqtt"], "--dir", self.ready["dir"], "--things", str(things)]
        arguments += ["--endpoint", str(self.process.pid), "--seconds", str(seconds)]
        arguments += [part for key, value in options.items() for part in (f"--{key}", str(value))]
        out = subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True, timeout=300)
        result = json.loads(out.stdout)
        if result["failures"]:
            print(f"       {kind} {load}: {result['failures']} things failed", flush=True)
        return result

    def rss_bytes(self):
        """As it is now."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)


class Serve(Process):
    """The local endpoint; a fresh one has a fresh port, without old connections."""

    def __init__(self, things, *options, binary=None, dir=None, **pipes):
        command = (binary or BINARY, "serve", "--dir", dir or WORK / "pki", "--mqtt-port", "0", "--https-port", "0", "--api-port", "0", "--things", str(things))
        super().__init__(*command, *options, **pipes)

    def target(self):
        """What a scenario says to use it."""
        host, port = self.ready["mqtt"].rsplit(":", 1)
        pki = self.ready["dir"]
        target = f'[target]\nkind = "mqtt"\nhost = "{host}"\nport = {port}\nserver_name = "localhost"\n[target.tls]\nca = "{pki}/ca.cert.pem"\n'
        return target + "".join(f'{key} = "{pki}/things/{{thing}}.{key}.pem"\n' for key in ("cert", "key"))

    def control(self):
        return Control(self.ready["api"], self.ready["dir"])


def on_core(core):
    """For `preexec_fn`: the process and all that it starts run on this core alone."""
    return lambda: os.sched_setaffinity(0, {core})


def alternate(load, things, seconds=8):
    """(bare, fleet) results, run by turns."""
    pairs = []
    for _ in range(PAIRS):
        row = []
        for kind in ("bare", "fleet"):
            with Serve(things) as serve:
                row.append(serve.floor(kind, load, things, seconds))
        pairs.append(row)
    return pairs


def ratio(pairs, key):
    return statistics.median(fleet[key] / bare[key] for bare, fleet in pairs)


def median(pairs, key, which):
    return statistics.median(pair[which][key] for pair in pairs)
