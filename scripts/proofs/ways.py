"""How many connections one endpoint can have from one host."""

import contextlib
import subprocess
import time

from .common import BINARY, WORK, Serve, figure, results
from .endpoint import Thin

GENERATORS, THINGS, RATE = 2, 15_000, 400
# Three, since a process may have fewer descriptors than half of all connections.
ENDPOINTS = 3
HOLD_S = 20
# All things have one certificate and say nothing for an hour.
SCENARIO = """
name = "source-ips"
[target]
kind = "mqtt"
host = "127.0.0.1"
port = {port}
{sources}
[target.tls]
ca = "{pki}/ca.cert.pem"
cert = "{pki}/things/sim-000000.cert.pem"
key = "{pki}/things/sim-000000.key.pem"
[fleet]
things = {things}
first_index = {first}
connect = {{ rate = "{rate}/s" }}
[[cohort]]
name = "all"
workflow = "poll"
poll = {{ every = "1h", jitter = 0 }}
[end]
duration = "{duration}s"
"""


def established(port):
    """Connections to this port of 127.0.0.1, as their clients' kernel has them. The table changes while it is read: each counts once."""
    remote, state = f"0100007F:{port:04X}", "01"
    with open("/proc/net/tcp") as file:
        return len({fields[1] for fields in map(str.split, file) if fields[2] == remote and fields[3] == state})


def most_connections(sources):
    """What was seen at most at once, and the codes of what kept things from connecting."""
    with contextlib.ExitStack() as stack:
        thin = stack.enter_context(Thin())
        port = int(thin.ready["mqtt"].rsplit(":", 1)[1])
        for _ in range(ENDPOINTS - 1):
            stack.enter_context(Thin(port=port))
        runs = []
        for n in range(GENERATORS):
            file, out = WORK / f"source-ips-{n}.toml", results(f"source-ips-{n}")
            duration = THINGS // RATE + HOLD_S
            file.write_text(
                SCENARIO.format(
                    port=port, sources=sources, pki=WORK / "pki", things=THINGS, first=n * THINGS, rate=RATE, duration=duration
                )
            )
            command = [BINARY, "run", file, "--ui", "none", "--out", out]
            runs.append((subprocess.Popen(command, cwd=WORK, stderr=subprocess.DEVNULL), out))
        most = 0
        while any(run.poll() is None for run, _ in runs):
            most = max(most, established(port))
            time.sleep(0.5)
        # Answers of a thin endpoint mean nothing to a thing: those errors are none of connecting.
        errors = [line.split(",") for _, out in runs for line in (out / "errors.csv").read_text().splitlines()[1:]]
        return most, sorted({code for operation, _, code, *_ in errors if operation.startswith("connect")})


@figure
def source_ips(verdict):
    """30,000 connections at once to one address and port, from two generators with four source addresses; from one address there are fewer ports."""
    # It makes the certificates.
    with Serve(1):
        pass
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        low, high = map(int, file.read().split())
    one, codes = most_connections("")
    verdict.note(f"from one address, with {high - low + 1} ports: {one} at once, errors: {', '.join(codes) or 'none'}")
    verdict.check("from one address, as many as there are ports", one, high - low + 1)
    many, codes = most_connections('source_ips = ["127.0.0.2-127.0.0.5"]')
    verdict.note(f"from four addresses, errors: {', '.join(codes) or 'none'}")
    verdict.check("from four addresses", many, GENERATORS * THINGS, at_least=True)
    verdict.check("kinds of errors of connecting", len(codes), 0)
