"""What a thing costs over each way in."""

import csv
import json
import statistics
import subprocess

from .common import BINARY, WORK, figure, manifest_of, results, summary_of

TRANSPORTS = ("mqtt", "mqtt5", "mqtt-ws", "https-mtls", "https-sigv4")
# How many things are held, and how many ask how often.
HELD, ASKING, EVERY_S = 5_000, 2_000, 1
CONNECTS_PER_S = 250
SECONDS = 20
FLEET = """
name = "transports"
seed = 3
[fleet]
things = {things}
transport = "{transport}"
connect = {{ rate = "{rate}/s" }}
[[cohort]]
name = "all"
workflow = "poll"
poll = {{ every = "{every}s", jitter = 0 }}
[end]
duration = "{duration}s"
"""


def steady(out):
    """Means over the last ten seconds but one, since the kernel counts CPU in hundredths: RSS and CPU share of generator and endpoint."""
    with open(out / "timeseries.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["endpoint_rss_bytes"]][-11:-1]
    columns = ("rss_bytes", "endpoint_rss_bytes", "cpu_share", "endpoint_cpu_share")
    return [statistics.mean(float(row[column]) for row in rows) for column in columns]


def hold(transport, things, every):
    file, out = WORK / "transports.toml", results(f"transports-{transport}")
    duration = things // CONNECTS_PER_S + SECONDS
    file.write_text(FLEET.format(things=things, transport=transport, rate=CONNECTS_PER_S, every=every, duration=duration))
    code = subprocess.run([BINARY, "run", file, "--ui", "none", "--out", out], cwd=WORK).returncode
    assert code == 0, f"{transport}: the run ended with {code}: {manifest_of(out)['findings']}"
    return out


def memory_of(transport):
    """KB that a thing adds to generator and endpoint."""
    # A poll an hour: connected, and idle. What the processes take without things is told by a few.
    few, many = (steady(hold(transport, things, 3600)) for things in (10, HELD))
    return [(b - a) / (HELD - 10) / 1000 for a, b in zip(few[:2], many[:2])]


def processor_of(transport):
    """Microseconds of generator and endpoint for a poll, and milliseconds for a connect."""
    out = hold(transport, ASKING, EVERY_S)
    with open(out / "operations.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["scope"] == "all" and row["operation"] == "describe"]
    rate = statistics.mean(int(row["ok"]) for row in rows[-11:-1])
    return [*(1e6 * share / rate for share in steady(out)[2:]), summary_of(out, "connect")["service_ms_p50"]]


@figure
def transports(verdict):
    """Memory and CPU of a thing and of a request over each transport, both ends; https-mtls with 5,000 kept-alive things at most 40 KB each."""
    measured = {transport: memory_of(transport) + processor_of(transport) for transport in TRANSPORTS}
    head = ("generator KB a thing", "endpoint KB", "generator us a poll", "endpoint us", "connect p50 ms")
    verdict.note(f"{'':12}" + "".join(f"{name:>22}" for name in head))
    for transport, row in measured.items():
        verdict.note(f"{transport:12}" + "".join(f"{value:>22.1f}" for value in row))
    (WORK / "transports.json").write_text(json.dumps({"columns": head, "rows": measured}, indent=1))
    verdict.check("https-mtls: generator memory a thing", measured["https-mtls"][0], 40, unit=" KB")
    verdict.check("https-mtls: endpoint memory a thing", measured["https-mtls"][1], 40, unit=" KB")
    for transport, row in measured.items():
        verdict.check(f"{transport}: generator CPU a poll, of mqtt", row[2] / measured["mqtt"][2], 2.5)
