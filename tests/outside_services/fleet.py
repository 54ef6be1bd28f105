"""A run of fleetsim, and what it left."""

import csv
import json

from processes import Process


PASS, INVALID = 0, 98


class Fleet(Process):
    """`fleetsim run` in a folder of its own; results go to `out`."""

    def __init__(self, binary, folder, scenario, *options):
        self.out = folder / "out"
        command = [binary, "run", scenario, "--ui", "none", "--out", "out", *options]
        super().__init__(command, folder / "fleetsim.log", cwd=folder)

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
