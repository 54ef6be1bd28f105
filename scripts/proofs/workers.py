"""Runs of many workers over NATS: 54 small ones, by hand and as a Slurm array, and 100,000 things on one machine."""

import contextlib
import csv
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading
import time

from .common import BINARY, ROOT, WORK, Process, Serve, figure, manifest_of, results
from .control import Control
from .slurm import slurm

WORKERS = 54
THINGS_EACH = 200
SECONDS = 40
REGISTERED_S = 2
START_LATE_MS = 20
HUNDRED_THOUSAND = 100_000
SIX = 6
MEMORY_GB = 5
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
TELLING = """
name = "workers"
seed = 54
{target}
[fleet]
things = {things}
connect = {{ rate = "300/s" }}
[[cohort]]
name = "all"
share = 1.0
workflow = "none"
[telemetry]
topic = "dt/{{thing}}/state"
every = "20s"
bytes = 128
[end]
duration = "{seconds}s"
"""
WORKING = """
name = "hundred-thousand"
seed = 100
[target]
kind = "mqtt"
hosts = [{hosts}]
port = {port}
server_name = "localhost"
[target.tls]
ca = "{pki}/ca.cert.pem"
cert = "{pki}/things/{{thing}}.cert.pem"
key = "{pki}/things/{{thing}}.key.pem"
[fleet]
things = {things}
keep_alive = "20m"
connect = {{ rate = "800/s" }}
timeouts = {{ connect = "60s", answer = "30s" }}
[behavior.quick]
reaction = "uniform(0s, 40s)"
step = "1s"
updates = 1
outcome = {{ succeeded = 1, failed = 0, rejected = 0 }}
[end]
when = "idle"
idle = "45s"
limit = "20m"
"""


def nats_program():
    return shutil.which("nats-server", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def free_port(host="127.0.0.1"):
    with socket.socket() as listener:
        listener.bind((host, 0))
        return listener.getsockname()[1]


class Nats:
    """A server with JetStream on a port of this host alone, for as long as the block lasts."""

    def __enter__(self):
        self.port = free_port()
        directory = results("nats")
        directory.mkdir(parents=True)
        command = [nats_program(), "-js", "-a", "127.0.0.1", "-p", str(self.port), "-sd", directory]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return self
            time.sleep(0.05)
        raise RuntimeError("nats-server does not listen")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)


class Watch:
    """CPU seconds and memory of processes, looked at while they live."""

    def __init__(self, processes):
        self.processes = dict(processes)
        self.cpu = dict.fromkeys(self.processes, 0.0)
        self.peak = 0
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def look(self):
        while not self.stopped.wait(0.5):
            total = 0
            for name, pid in self.processes.items():
                with contextlib.suppress(OSError, IndexError):
                    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                    self.cpu[name] = (int(fields[11]) + int(fields[12])) / TICKS
                    total += int(fields[21]) * PAGE
            self.peak = max(self.peak, total)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()


class Leader:
    """A leader, and when it said what."""

    def __init__(self, scenario, slices, nats, out):
        command = [BINARY, "run", scenario, "--ui", "plain", "--slices", str(slices), "--over", f"nats://127.0.0.1:{nats.port}", "--run", "proof", "--out", out]
        self.process = subprocess.Popen(command, cwd=WORK, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.said = []
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        for line in self.process.stderr:
            self.said.append((time.monotonic(), line.rstrip()))

    def wait_for(self, words, limit=300):
        """When it said so."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            found = next((at for at, line in list(self.said) if words in line), None)
            if found is not None:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        last = "\n".join(line for _, line in self.said[-5:])
        raise RuntimeError(f"the leader did not say {words!r}:\n{last}")

    def code(self, limit):
        code = self.process.wait(timeout=limit)
        self.thread.join()
        return code


def worker(nats, out, index, slices, **more):
    command = [BINARY, "worker", "--over", f"nats://127.0.0.1:{nats.port}", "--run", "proof", "--slice", f"{index}/{slices}", "--shards", "1", "--out", out]
    return subprocess.Popen(command, cwd=WORK, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)


def late_ms(folder):
    """Of the first second of a worker, p99."""
    with open(folder / "timeseries.csv", newline="") as file:
        first = next(csv.DictReader(file))
    return float(first["lateness_ms_p99"] or 0)


def judge(verdict, what, leader, out, folders, registered_s, watch):
    verdict.check(f"{what}: exit code", leader.code(300), 0)
    manifest = manifest_of(out)
    verdict.check(f"{what}: registered", registered_s, REGISTERED_S, unit=" s")
    verdict.check(f"{what}: latest start, p99 of a worker's first second", max(late_ms(folder) for folder in folders), START_LATE_MS, unit=" ms")
    verdict.check(f"{what}: shortest shard", min(shard["run_s"] for shard in manifest["merged"]), SECONDS, at_least=True, unit=" s")
    verdict.check(f"{what}: intervals lost", manifest["totals"]["intervals_lost"], 0)
    shown = [int(match[1]) for _, line in leader.said if (match := re.match(r"t=(\d+)s ", line))]
    verdict.check(f"{what}: seconds that the leader did not show", len(set(range(1, SECONDS + 1)) - set(shown)), 0)
    clocks = max(shard["clock"]["uncertainty_ms"] for shard in manifest["merged"])
    verdict.note(f"clocks known to {clocks:.2f} ms; CPU of the server {watch.cpu['nats']:.1f} s, of the leader {watch.cpu['leader']:.1f} s; findings: {len(manifest['findings'])}, the first: {next(iter(manifest['findings']), 'none')}")


@figure
def workers(verdict):
    """54 workers of 200 things each over one NATS server, started by hand and as a Slurm array: registered, started together, and not one interval lost."""
    things = WORKERS * THINGS_EACH
    with Serve(things) as serve:
        scenario = WORK / "workers.toml"
        scenario.write_text(TELLING.format(target=serve.target(), things=things, seconds=SECONDS))
        for what in ("by hand", "Slurm"):
            out = results("workers")
            folders = [results(f"worker-{index}") for index in range(WORKERS)]
            with Nats() as nats:
                leader = Leader(scenario, WORKERS, nats, out)
                leader.wait_for("workers: fleetsim worker")
                with Watch({"nats": nats.process.pid, "leader": leader.process.pid}) as watch:
                    if what == "by hand":
                        running = []
                        started = by_hand(nats, folders, running)
                        judge(verdict, what, leader, out, folders, leader.wait_for(f"{WORKERS} of {WORKERS} are there") - started, watch)
                        verdict.check("workers that did not end with 0", sum(process.wait(timeout=60) != 0 for process in running), 0)
                        continue
                    with slurm(WORKERS) as found:
                        if found is None:
                            verdict.note("not shown: Slurm's packages cannot be had here")
                            leader.process.terminate()
                            leader.code(60)
                            continue
                        started = as_array(found, nats)
                        judge(verdict, what, leader, out, folders, leader.wait_for(f"{WORKERS} of {WORKERS} are there") - started, watch)


def by_hand(nats, folders, running):
    """When the last one was started."""
    running.extend(worker(nats, folder, index, WORKERS) for index, folder in enumerate(folders))
    return time.monotonic()


def as_array(found, nats):
    """When Slurm had started all tasks."""
    environment, commands = found
    command = [commands / "sbatch", f"--array=0-{WORKERS - 1}", ROOT / "deploy" / "slurm.sh", "proof", f"nats://127.0.0.1:{nats.port}"]
    subprocess.run(command, cwd=WORK, env={**environment, "FLEETSIM": str(BINARY)}, check=True, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        running = subprocess.run([commands / "squeue", "-h", "-r", "-t", "RUNNING"], env=environment, stdout=subprocess.PIPE, text=True)
        if len(running.stdout.splitlines()) == WORKERS:
            break
        time.sleep(0.1)
    return time.monotonic()


def six_endpoints(stack, port):
    """On an address each, with one PKI."""
    command = (BINARY, "serve", "--dir", WORK / "pki", "--https-port", "0", "--api-port", "0", "--things", str(HUNDRED_THOUSAND), "--mqtt-port", str(port))
    for n in range(1, SIX + 1):
        yield stack.enter_context(Process(*command, "--bind", f"127.0.0.{n}"))


@figure
def hundred_thousand(verdict):
    """100,000 connected things with a certificate each on one machine: six workers, six endpoints; every thing does one job."""
    out = results("hundred-thousand")
    folders = [results(f"hundred-thousand-{index}") for index in range(SIX)]
    with contextlib.ExitStack() as stack:
        port = free_port("127.0.0.6")
        serves = list(six_endpoints(stack, port))
        pki = serves[0].ready["dir"]
        # Things are dealt to the endpoints as they are to the workers, so each endpoint has a job for the things that it has.
        controls = [Control(serve.ready["api"], pki) for serve in serves]
        for n, control in enumerate(controls):
            control.group("mine", range(n, HUNDRED_THOUSAND, SIX))
        hosts = ", ".join(f'"127.0.0.{n}"' for n in range(1, SIX + 1))
        scenario = WORK / "hundred-thousand.toml"
        scenario.write_text(WORKING.format(hosts=hosts, port=port, pki=pki, things=HUNDRED_THOUSAND))
        nats = stack.enter_context(Nats())
        leader = Leader(scenario, SIX, nats, out)
        leader.wait_for("workers: fleetsim worker")
        running = [worker(nats, folder, index, SIX) for index, folder in enumerate(folders)]
        processes = {"nats": nats.process.pid, "leader": leader.process.pid}
        processes |= {f"worker {n}": process.pid for n, process in enumerate(running)}
        processes |= {f"endpoint {n}": serve.process.pid for n, serve in enumerate(serves)}
        watch = stack.enter_context(Watch(processes))
        leader.wait_for(f"conn={HUNDRED_THOUSAND}/{HUNDRED_THOUSAND}", limit=600)
        connected_gb = watch.peak / 1e9
        for n, control in enumerate(controls):
            control.job(f"fw-{n}", "mine", {"operation": "firmware"})
        code = leader.code(1_500)
        for process in running:
            process.wait(timeout=120)
    manifest = manifest_of(out)
    totals = manifest["totals"]
    with open(out / "timeseries.csv", newline="") as file:
        connected = max(int(row["connected"]) for row in csv.DictReader(file))
    verdict.note(f"exit code {code}; 98 says that this machine was the bottleneck")
    verdict.check("exit codes other than 0 and 98", int(code not in (0, 98)), 0)
    verdict.check("things connected at once", connected, HUNDRED_THOUSAND, at_least=True)
    verdict.check("executions that succeeded", totals["executions"].get("exec_succeeded", totals["executions"].get("succeeded", 0)), HUNDRED_THOUSAND, at_least=True)
    verdict.check("memory of all processes together, at most", watch.peak / 1e9, MEMORY_GB, unit=" GB")
    connect = next(row for row in totals["operations"] if row["scope"] == "all" and row["operation"] == "connect")
    verdict.note(f"{connected_gb:.2f} GB when all were connected; connects failed {connect['error'] + connect['timeout']}, p99 {connect['response_ms']['p99']:.0f} ms; {totals['run_s']} s in all")
    busiest = sorted(watch.cpu.items(), key=lambda item: -item[1])
    verdict.note("CPU: " + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in busiest))
    verdict.note(f"what limited it: {manifest['findings'] or 'nothing was found'}")
