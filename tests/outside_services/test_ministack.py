"""Our things at MiniStack, which emulates AWS apart from us: its certificates, its policies, its jobs."""

import pytest
from emulator import MiniStack
from processes import wait_until

THINGS = 40
ENDED = ("SUCCEEDED", "FAILED", "REJECTED")

SCENARIO = """
name = "somebody-elses-emulator"
[target]
kind = "mqtt"
host = "127.0.0.1"
port = {port}
server_name = "localhost"
[target.tls]
ca = "ca.pem"
cert = "things/{{thing}}.cert.pem"
key = "things/{{thing}}.key.pem"
[fleet]
things = {things}
connect = {{ rate = "25/s" }}
timeouts = {{ answer = "5s" }}
[[cohort]]
name = "told"
share = 0.5
workflow = "start-next"
[[cohort]]
name = "asking"
share = 0.5
workflow = "poll"
poll = {{ every = "1s", jitter = 0.2 }}
[behavior.quick]
reaction = "uniform(0s, 500ms)"
updates = 2
step = "uniform(100ms, 500ms)"
outcome = {{ succeeded = 0.8, failed = 0.1, rejected = 0.1 }}
[end]
expect = {expect}
limit = "60s"
"""


@pytest.fixture
def ministack(pytestconfig, tmp_path, ending):
    return ending(MiniStack(pytestconfig.getoption("ministack"), tmp_path))


def test_every_execution_ends_and_the_ledgers_agree(tmp_path, ministack, run_fleet):
    ministack.make_fleet(THINGS)
    ministack.create_job("fw-before")
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(SCENARIO.format(port=ministack.mqtt_port, things=THINGS, expect=2 * THINGS))
    fleet = run_fleet(scenario)
    wait_until("things work", lambda: "SUCCEEDED" in ministack.executions("fw-before").values())
    ministack.create_job("fw-while")
    assert fleet.wait(70) == 0, fleet.tail()

    executions = fleet.executions()
    assert executions == ministack.executions("fw-before") | ministack.executions("fw-while")
    assert len(executions) == 2 * THINGS and set(executions.values()) == set(ENDED)
    assert fleet.rows("errors.csv") == []
    for job in ("fw-before", "fw-while"):
        assert ministack.iot.describe_job(jobId=job)["job"]["status"] == "COMPLETED"
