"""The page of a run: how large it is, how long it takes to make, and what a browser and an accessibility checker say of it."""

import json
import pathlib
import shutil
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


@figure
def report(verdict):
    """report.html of 10,000 things: size, time, accessibility at three widths in light and dark, script and no script, print"""
    tools()
    out = results("report")
    subprocess.run([BINARY, "run", "scenarios/10k.toml", "--ui", "none", "--out", out], cwd=ROOT, timeout=600)
    page = out / "report.html"
    made = page.read_bytes()
    verdict.check("size", len(made) / 1e6, 1, unit=" MB")
    again = statistics.median(seconds(BINARY, "report", out) for _ in range(TRIES))
    verdict.check("fleetsim report: audit, summary and page", again, 1, unit=" s")
    verdict.check("the same files give the same page", page.read_bytes() == made, 1, at_least=True)
    told = subprocess.run(["node", ROOT / "scripts/proofs/page.mjs", page, BROWSER], cwd=TOOLS, check=True, stdout=subprocess.PIPE, timeout=300)
    seen = json.loads(told.stdout)
    for complaint in seen["complaints"]:
        verdict.note(complaint)
    verdict.check("views that were checked", seen["views"], 6, at_least=True)
    verdict.check("violations of axe-core, overflows, requests and errors", len(seen["complaints"]), 0)
    verdict.check("charts", seen["charts"], 20, at_least=True)
    verdict.check("charts without script, over those with it", seen["charts_without_script"] / seen["charts"], 1, at_least=True)
    verdict.check("charts with a read-out by pointer", seen["by_pointer"] / seen["charts"], 1, at_least=True)
    verdict.check("charts with a read-out by keyboard", seen["by_keyboard"] / seen["charts"], 1, at_least=True)
    verdict.check("printed", seen["printed_bytes"] / 1e3, 50, at_least=True, unit=" KB")
