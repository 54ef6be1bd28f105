"""Metrics in Prometheus: a real one scrapes a run every second, answers every expression of the dashboard, and what that costs the run."""

import json
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request

from .common import BINARY, ROOT, WORK, figure, manifest_of, results

sys.path.insert(0, str(ROOT / "tests" / "outside"))
from expressions import expressions  # noqa: E402: a module of the tests

PROMETHEUS = ROOT / "target" / "outside" / "prometheus" / "usr" / "bin"
THREAD = "metrics"
PATIENCE_S = 300
# Errors and an event, for which the dashboard asks, too.
TROUBLE = [
    *("--set", 'behavior.flaky-ota.faults={ stale_version = { share = 0.2, per = "execution" } }'),
    *("--set", 'event=[{ at = "70s", kind = "disconnect", share = 0.05, for = "5s" }]'),
]
CONFIGURATION = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [{"job_name": "fleetsim", "static_configs": [{"targets": []}]}]}


def fetch(url, **query):
    text = f"{url}?{urllib.parse.urlencode(query)}" if query else url
    with urllib.request.urlopen(text, timeout=10) as answer:
        return answer.read().decode()


def thread_cpu_seconds(pid, name):
    """CPU time of the one thread with this name; None before it is there and after the end."""
    tick = os.sysconf("SC_CLK_TCK")
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/stat") as file:
                head, _, fields = file.read().rpartition(")")
            if head.partition("(")[2] == name:
                user, system = fields.split()[11:13]
                return (int(user) + int(system)) / tick
    except OSError:
        pass
    return None


class Prometheus:
    """Debian's Prometheus with a target, for as long as the block lasts."""

    def __init__(self, target):
        self.folder = results("prometheus")
        self.folder.mkdir(parents=True)
        CONFIGURATION["scrape_configs"][0]["static_configs"][0]["targets"] = [target]
        (self.folder / "prometheus.yml").write_text(json.dumps(CONFIGURATION))

    def __enter__(self):
        arguments = ["--config.file", self.folder / "prometheus.yml", "--storage.tsdb.path", self.folder / "data", "--web.listen-address", "127.0.0.1:0", "--log.level", "info"]
        self.log = open(self.folder / "prometheus.log", "w")
        self.process = subprocess.Popen([PROMETHEUS / "prometheus", *arguments], stderr=self.log)
        deadline = time.monotonic() + 30
        while not (address := self.address()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"Prometheus does not listen; see {self.folder}/prometheus.log")
            time.sleep(0.1)
        self.api = f"http://{address}/api/v1/query"
        return self

    def address(self):
        """Where it listens, by the sockets of its process: it names the port that it was asked for."""
        sockets = {os.readlink(f"/proc/{self.process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{self.process.pid}/fd")}
        for line in open("/proc/net/tcp").read().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                return f"127.0.0.1:{int(fields[1].split(':')[1], 16)}"
        return None

    def ask(self, expression, at=None):
        query = {"query": expression} | ({"time": at} if at else {})
        return json.loads(fetch(self.api, **query))["data"]["result"]

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.log.close()


class Run:
    """A run that serves its metrics; with the last page that was read of it."""

    def __init__(self, name, *more):
        self.out = results(name)
        command = [BINARY, "run", ROOT / "scenarios" / "10k.toml", *TROUBLE, *more, "--ui", "none", "--out", self.out, "--metrics", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, cwd=WORK, stderr=subprocess.PIPE, text=True)
        self.url = self.process.stderr.readline().removeprefix("metrics: ").strip()
        self.begun = time.monotonic()

    def seconds(self):
        """Once a second until its end, or until it has had its time."""
        while self.process.poll() is None:
            if time.monotonic() - self.begun > PATIENCE_S:
                self.process.terminate()
            yield
            time.sleep(1)
        self.lasted = time.monotonic() - self.begun


@figure
def metrics(verdict):
    """A real Prometheus scrapes a run of 10,000 things every second: CPU of the exposition, promtool, every expression of the dashboard"""
    subprocess.run(["bash", "-euo", "pipefail", "-c", ". scripts/outside-environment"], cwd=ROOT, check=True)
    run, cpu = Run("metrics"), 0.0
    with Prometheus(urllib.parse.urlsplit(run.url).netloc) as prometheus:
        for _ in run.seconds():
            cpu = thread_cpu_seconds(run.process.pid, THREAD) or cpu
        ended, span = time.time(), f"[{int(run.lasted) + 5}s]"
        # Every expression at some second of the run: stages, events and rates are not there all the time.
        instants = [ended - back for back in range(2, int(run.lasted), 5)]
        silent = [f"{title}: {text}" for title, text in expressions() if not any(prometheus.ask(text, at) for at in instants)]

        def figure_of(expression):
            return float(prometheus.ask(expression, ended)[0]["value"][1])

        # Prometheus itself takes some seconds to begin.
        scraped = [float(at) for at, _ in prometheus.ask(f"fleetsim_run_info{span}", ended)[0]["values"]]
        samples = figure_of(f"max_over_time(scrape_samples_scraped{span})")
        messages = figure_of(f"max_over_time(fleetsim_messages_total{{direction='out'}}{span})")
    manifest = manifest_of(run.out)
    totals = manifest["totals"]
    verdict.note(f"{manifest['verdict']} after {totals['run_s']} s, {len(scraped)} scrapes, {samples:.0f} samples each")
    verdict.check("the run was carried out", run.process.returncode in (0, 98, 99), 1, at_least=True)
    verdict.check("scrapes a second, from the first to the last", (len(scraped) - 1) / (scraped[-1] - scraped[0]), 0.95, at_least=True)
    verdict.check("seconds from the last one to the end of the run", ended - scraped[-1], 3, unit=" s")
    verdict.check("CPU of the thread that serves them, of a core", 100 * cpu / run.lasted, 1, unit=" %")
    verdict.check("messages out by Prometheus, over those of the files", messages / totals["messages_out"], 0.98, at_least=True)
    for expression in silent:
        verdict.note(f"no answer to {expression}")
    verdict.check("expressions of the dashboard", len(list(expressions())), 30, at_least=True)
    verdict.check("of these, without an answer", len(silent), 0)
    checked = subprocess.run([PROMETHEUS / "promtool", "check", "metrics"], input=page_of_small_run(), capture_output=True, text=True)
    verdict.note(checked.stderr.strip() or "promtool has nothing to say")
    verdict.check("promtool check metrics", checked.returncode, 0)


def page_of_small_run():
    """The last one."""
    run, page = Run("metrics-small", "--things", "200"), ""
    for _ in run.seconds():
        try:
            page = fetch(run.url)
        except OSError:
            # It has ended meanwhile.
            pass
    return page
