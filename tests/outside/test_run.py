"""What a run leaves and tells, for tools that we did not write: Prometheus, JUnit readers, pandas and DuckDB, YAML of CI systems."""

import contextlib
import io
import json
import os
import re
import subprocess
import time
import urllib.request
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema
import yaml
from expressions import expressions

ROOT = Path(__file__).parent.parent.parent
# Of no wait is more than this.
PATIENCE_S = 60


@pytest.fixture(scope="session")
def tools(pytestconfig):
    return Path(pytestconfig.getoption("tools")).resolve()


def blocks(page, kind):
    """The blocks of a page in three backticks."""
    return re.findall(rf"```{kind}\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


class Run:
    """A small run in a folder of its own, with the last of its metrics."""

    def __init__(self, binary, folder):
        self.folder = folder
        command = [binary, "run", "smoke", "--things", "20", "--ui", "none", "--metrics", "127.0.0.1:0", "--summary", "summary.md", "--junit", "junit.xml"]
        with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
            url = process.stderr.readline().removeprefix("metrics: ").strip()
            self.metrics, deadline = "", time.monotonic() + PATIENCE_S
            while process.poll() is None:
                assert time.monotonic() < deadline, "the run does not end"
                with contextlib.suppress(OSError):
                    self.metrics = urllib.request.urlopen(url, timeout=PATIENCE_S).read().decode()
                time.sleep(0.2)
            assert process.returncode in (0, 98, 99), process.stderr.read()
        self.manifest = json.loads((folder / "results/latest/run.json").read_text())


@pytest.fixture(scope="session")
def run(binary, tmp_path_factory):
    return Run(binary, tmp_path_factory.mktemp("run"))


def promtool(tools, *arguments, text=None):
    command = [tools / "prometheus/usr/bin/promtool", "check", *arguments]
    checked = subprocess.run(command, input=text, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout + checked.stderr
    return checked.stdout


def test_metrics_are_well_formed_and_named_as_prometheus_wants_it(run, tools):
    assert run.metrics.count("# TYPE fleetsim_") > 30
    promtool(tools, "metrics", text=run.metrics)


def test_the_expressions_of_the_dashboard_are_rules(tools, tmp_path):
    rules = [{"record": f"panel:{n}", "expr": expression} for n, (_, expression) in enumerate(expressions())]
    assert len(rules) > 30
    # JSON is YAML.
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    told = promtool(tools, "rules", str(tmp_path / "rules.yml"))
    assert f"{len(rules)} rules found" in told


def test_the_report_for_junit_is_one(run, tools):
    report = run.folder / "junit.xml"
    xmlschema.validate(report, tools / "junit-10.xsd")
    suites = ElementTree.parse(report).getroot()
    cases = suites.findall(".//testcase")
    assert len(cases) == len(run.manifest["thresholds"]) + len(run.manifest["checks"]) == int(suites.get("tests"))
    bad = {kind: len(suites.findall(f".//testcase/{kind}")) for kind in ("failure", "error")}
    assert (str(bad["failure"]), str(bad["error"])) == (suites.get("failures"), suites.get("errors"))
    assert (bad["error"] > 0) == (run.manifest["verdict"] in ("INVALID", "ERROR", "INTERRUPTED"))


def test_pandas_and_duckdb_answer_as_the_page_says(run, monkeypatch):
    monkeypatch.chdir(run.folder)
    shown, names = io.StringIO(), {}
    programs = blocks("ANALYSIS.md", "python")
    assert len(programs) >= 4
    with contextlib.redirect_stdout(shown):
        for program in programs:
            exec(compile(program, "docs/ANALYSIS.md", "exec"), names)
    totals = run.manifest["totals"]
    assert len(names["executions"]) == sum(totals["executions"].values()) == 20
    start_next = next(row for row in totals["operations"] if (row["scope"], row["operation"]) == ("all", "start_next"))
    assert names["operations"].query("scope == 'all' and operation == 'start_next'").ok.sum() == start_next["ok"]
    assert abs(names["p99_ms"] - start_next["response_ms"]["p99"]) < 0.001
    by_status = dict(names["statuses"].fetchall())
    assert by_status == {key.upper(): count for key, count in totals["executions"].items() if count}
    assert "start_next" in shown.getvalue()


def commands(value):
    """The commands of a pipeline, wherever they stand."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from [inner] if key == "run" and isinstance(inner, str) else inner if key == "script" else commands(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from commands(inner)


def test_the_pipelines_are_yaml_and_their_commands_run(binary, tmp_path):
    pipelines = [yaml.safe_load(text) for text in blocks("CI.md", "yaml")]
    assert len(pipelines) >= 2 and all(isinstance(pipeline, dict) for pipeline in pipelines)
    found = [command for pipeline in pipelines for command in commands(pipeline) if command.startswith("fleetsim ")]
    assert len(found) >= 2
    path = tmp_path / "bin"
    path.mkdir()
    (path / "fleetsim").symlink_to(binary)
    for number, command in enumerate(found):
        folder = tmp_path / str(number)
        folder.mkdir()
        step = folder / "step.md"
        step.write_text("before\n")
        variables = os.environ | {"PATH": f"{path}:{os.environ['PATH']}", "GITHUB_STEP_SUMMARY": str(step)}
        ended = subprocess.run(["bash", "-c", command], cwd=folder, env=variables, capture_output=True, text=True, timeout=120)
        assert ended.returncode in (0, 98, 99), ended.stderr
        assert list(folder.rglob("*.xml")), command
        summaries = [path.read_text() for path in folder.rglob("*.md")]
        assert any("fleetsim smoke" in summary for summary in summaries), command
        assert step.read_text().startswith("before\n"), "a step's summary is appended to"


def test_scrape_configurations_are_yaml():
    for text in blocks("METRICS.md", "yaml"):
        assert yaml.safe_load(text)["scrape_configs"]
