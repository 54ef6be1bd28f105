"""A run of fleetsim, and what it left."""

import csv
import json
import tempfile
from pathlib import Path

from processes import Process


PASS, INVALID = 0, 98
ENDED = ("SUCCEEDED", "FAILED", "REJECTED")

# Waits are short: a broker that restarts is back at once.
SCENARIO = """
name = "at-somebody-elses"
[target]
kind = "mqtt"
host = "127.0.0.1"
port = {port}
server_name = "localhost"
[target.tls]
ca = "{certificates}/ca.cert.pem"
cert = "{certificates}/things/{{thing}}.cert.pem"
key = "{certificates}/things/{{thing}}.key.pem"
[fleet]
things = {things}
connect = {{ rate = "50/s", in_progress = 16 }}
reconnect = {{ policy = "full-jitter", base = "200ms", cap = "1s" }}
timeouts = {{ connect = "5s", answer = "2s" }}
retry = {{ policy = "full-jitter", base = "100ms", cap = "1s" }}
{cohorts}
[behavior.quick]
reaction = "uniform(0s, 200ms)"
updates = 2
step = "uniform(100ms, 500ms)"
outcome = {{ succeeded = 0.8, failed = 0.1, rejected = 0.1 }}
[end]
expect = {expect}
limit = "90s"
"""
# How things learn of jobs, and over what: all of it in one fleet.
COHORTS = {
    "told": 'workflow = "start-next"',
    "told-5": 'workflow = "start-next"\ntransport = "mqtt5"',
    "kept": 'workflow = "start-next"\nclean_session = false',
    "kept-5": 'workflow = "start-next"\ntransport = "mqtt5"\nclean_session = false',
    "looking": 'workflow = "describe-update"',
    "looking-5": 'workflow = "describe-update"\ntransport = "mqtt5"',
    "picking": 'workflow = "list"',
    "picking-5": 'workflow = "list"\ntransport = "mqtt5"',
    "asking": 'workflow = "poll"\npoll = { every = "1s", jitter = 0.2 }',
}


def write_scenario(folder, port, certificates, things, expect):
    """A fleet of all cohorts, whose `expect` executions others create."""
    shares = [f'[[cohort]]\nname = "{name}"\nshare = {1 / len(COHORTS)}\n{keys}\n' for name, keys in COHORTS.items()]
    path = folder / "scenario.toml"
    path.write_text(SCENARIO.format(port=port, certificates=certificates, things=things, expect=expect, cohorts="".join(shares)))
    return path


class Fleet(Process):
    """`fleetsim run` in a folder; results go to a new folder in there."""

    def __init__(self, binary, folder, scenario, *options, environment=None):
        self.out = Path(tempfile.mkdtemp(prefix="out-", dir=folder))
        command = [binary, "run", scenario, "--ui", "none", "--out", self.out, *options]
        super().__init__(command, folder / "fleetsim.log", cwd=folder, env=environment)

    def finish(self, limit_s):
        """Waits for a run that ends well."""
        code = self.wait(limit_s)
        # Where the machine is too busy for figures to count, executions still do.
        assert code in (PASS, INVALID), f"exit code {code}: {self.manifest()['findings']}\n{self.tail()}"

    def rows(self, file):
        with (self.out / file).open(newline="") as text:
            return list(csv.DictReader(text))

    def manifest(self):
        return json.loads((self.out / "run.json").read_text())

    def executions(self):
        """Status of each execution, by thing and job; none may be told twice."""
        rows = self.rows("executions.csv")
        assert [row for row in rows if row["anomaly"]] == []
        statuses = {(row["thing"], row["job"]): row["status"] for row in rows}
        assert len(statuses) == len(rows)
        return statuses

    def operation(self, name):
        """The counts of an operation over the whole fleet."""
        return next(row for row in self.rows("summary.csv") if (row["scope"], row["operation"]) == ("all", name))

    def refused(self, code):
        return sum(int(row["count"]) for row in self.rows("errors.csv") if row["code"] == code)
