"""The pages of runs: how large they are, how long they take to make, and what a browser and an accessibility checker say of them."""

import json
import pathlib
import shutil
import signal
import statistics
import subprocess
import time

from .common import BINARY, ROOT, figure, results

BROWSER = "/usr/bin/chromium"
TOOLS = ROOT / "target" / "outside" / "page"
PACKAGES = ["axe-core@4.14.1", "playwright-core@1.65.1"]
TRIES = 5


def tools():
    """A browser, what drives it, and what checks pages."""
    if not pathlib.Path(BROWSER).exists():
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=True)
    if shutil.which("npm") is None:
        subprocess.run(["apt-get", "install", "-y", "-qq", "npm"], check=True)
    TOOLS.mkdir(parents=True, exist_ok=True)
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", TOOLS, *PACKAGES], check=True)


def seconds(*command):
    begun = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def finished(name, *options):
    """The folder of a run that ended by itself."""
    out = results(name)
    subprocess.run([BINARY, "run", *options, "--ui", "none", "--out", out], cwd=ROOT, timeout=600)
    return out


def disturbed(name, *signals):
    """The folder of a small run whose generator gets signals, each so many seconds after the one before."""
    out = results(name)
    process = subprocess.Popen([BINARY, "run", "smoke", "--things", "500", "--ui", "none", "--out", out], cwd=ROOT)
    for seconds, number in signals:
        time.sleep(seconds)
        process.send_signal(number)
    process.wait(timeout=300)
    return out


def forecast():
    out = results("report-forecast")
    subprocess.run([BINARY, "forecast", "10k", "--out", out], cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=300)
    return out


def look(verdict, name, page):
    """What a browser says of a page."""
    command = ["node", ROOT / "scripts/proofs/page.mjs", page, BROWSER]
    seen = json.loads(subprocess.run(command, cwd=TOOLS, check=True, stdout=subprocess.PIPE, timeout=300).stdout)
    for complaint in seen["complaints"]:
        verdict.note(complaint)
    verdict.check(f"{name}: size", page.stat().st_size / 1e6, 1, unit=" MB")
    verdict.check(f"{name}: views that were checked", seen["views"], 6, at_least=True)
    verdict.check(f"{name}: violations of axe-core, overflows, requests and errors", len(seen["complaints"]), 0)
    verdict.check(f"{name}: charts without script, over those with it", seen["charts_without_script"] / seen["charts"], 1, at_least=True)
    verdict.check(f"{name}: charts with a read-out by pointer", seen["by_pointer"] / seen["charts"], 1, at_least=True)
    verdict.check(f"{name}: charts with a read-out by keyboard", seen["by_keyboard"] / seen["charts"], 1, at_least=True)
    verdict.check(f"{name}: printed", seen["printed_bytes"] / 1e3, 50, at_least=True, unit=" KB")
    return seen


@figure
def report(verdict):
    """report.html of 10,000 things, and of a failed, an INVALID and an interrupted run and a forecast: size, time, accessibility at three widths in light and dark, script and no script, print"""
    tools()
    out = finished("report", "10k")
    page = out / "report.html"
    made = page.read_bytes()
    again = statistics.median(seconds(BINARY, "report", out) for _ in range(TRIES))
    verdict.check("fleetsim report: audit, summary and page", again, 1, unit=" s")
    verdict.check("the same files give the same page", page.read_bytes() == made, 1, at_least=True)
    verdict.check("charts", look(verdict, "10k", page)["charts"], 20, at_least=True)
    others = {
        "FAIL": finished("report-failed", "smoke", "--set", 'thresholds."update.service_ms.p99"="< 0.001"'),
        "INVALID": disturbed("report-invalid", (20, signal.SIGSTOP), (4, signal.SIGCONT)),
        "INTERRUPTED": disturbed("report-interrupted", (8, signal.SIGINT)),
        "FORECAST": forecast(),
    }
    for word, out in others.items():
        page = out / "report.html"
        verdict.check(f"the page says {word}", word in page.read_text().upper(), 1, at_least=True)
        look(verdict, word, page)
