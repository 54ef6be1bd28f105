"""Our things at mosquitto, with a jobs service that shares no code with ours behind it."""

import csv

from processes import wait_until

THINGS = 60
ENDED = ("SUCCEEDED", "FAILED", "REJECTED")

SCENARIO = """
name = "somebody-elses-broker"
[target]
kind = "mqtt"
host = "127.0.0.1"
port = {port}
server_name = "localhost"
[target.tls]
ca = "certs/mosquitto/ca.cert.pem"
cert = "certs/mosquitto/things/{{thing}}.cert.pem"
key = "certs/mosquitto/things/{{thing}}.key.pem"
[fleet]
things = {things}
connect = {{ rate = "60/s", in_progress = 16 }}
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
COHORTS = {
    "told": 'workflow = "start-next"',
    "asking": 'workflow = "poll"\npoll = { every = "1s", jitter = 0.2 }',
}


def cohort(name, workflow, share):
    return f'[[cohort]]\nname = "{name}"\nshare = {share}\n{workflow}\n'


def write_scenario(folder, broker, things, expect):
    cohorts = "".join(cohort(name, workflow, 1 / len(COHORTS)) for name, workflow in COHORTS.items())
    path = folder / "scenario.toml"
    path.write_text(SCENARIO.format(port=broker.port, things=things, cohorts=cohorts, expect=expect))
    return path


def ledger(folder):
    """The last status of each execution, as the service has it."""
    with (folder / "ledger.csv").open(newline="") as text:
        return {(row["thing"], row["job"]): row["status"] for row in csv.DictReader(text)}


def ended(folder):
    return [status for status in ledger(folder).values() if status in ENDED]


def test_every_execution_ends_with_rejections_and_a_restart_in_the_middle(tmp_path, broker, start_service, run_fleet):
    service = start_service(THINGS, "--throttle-every", "9")
    service.say("fw-before 1000")
    service.hear("queued")
    fleet = run_fleet(write_scenario(tmp_path, broker, THINGS, 2 * THINGS))
    wait_until("things work", lambda: len(ended(tmp_path)) >= THINGS // 2)
    service.say("fw-while 30")
    wait_until("the second job has begun", lambda: ("sim-000003", "fw-while") in ledger(tmp_path))
    broker.end()
    broker.start()
    assert fleet.wait(100) == 0, fleet.tail()

    executions = fleet.executions()
    assert executions == ledger(tmp_path)
    assert len(executions) == 2 * THINGS and set(executions.values()) == set(ENDED)
    # Each session was lost once, and is back.
    assert fleet.operation("reconnect")["ok"] == str(THINGS)
    service.child.stdin.close()
    throttled = service.hear("done")["throttled"]
    told = fleet.refused("RequestThrottled") + fleet.refused("InternalError")
    # What was refused while the broker was down, nobody heard.
    assert 10 < told <= throttled
