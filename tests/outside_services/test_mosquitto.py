"""Our things at mosquitto, with a jobs service that shares no code with ours behind it."""

import csv
import json
from dataclasses import dataclass
from queue import Queue

import paho.mqtt.client as mqtt
import pytest
from asking import Asking
from fleet import ENDED, write_scenario
from pki import RSA_KEYS, Authority
from processes import wait_until
from reference import walk_fields, walk_life_cycle
from things.base import WAIT_S
from things.paho_mqtt import Connection

THINGS = 60
NOT_AUTHORIZED = 0x87


def ledger(folder):
    """The last status of each execution, as the service has it."""
    with (folder / "ledger.csv").open(newline="") as text:
        return {(row["thing"], row["job"]): row["status"] for row in csv.DictReader(text)}


def ended(folder):
    return [status for status in ledger(folder).values() if status in ENDED]


def test_every_execution_ends_with_rejections_and_a_restart_in_the_middle(tmp_path, broker, start_service, run_fleet):
    service = start_service(THINGS, "--throttle-every", "9")
    service.say({"create": "fw-before"})
    service.hear("done")
    fleet = run_fleet(tmp_path, write_scenario(tmp_path, broker.port, "certs/mosquitto", THINGS, 2 * THINGS))
    wait_until("things work", lambda: len(ended(tmp_path)) >= THINGS // 2)
    service.say({"create": "fw-while", "per_second": 30})
    wait_until("the second job has begun", lambda: ("sim-000003", "fw-while") in ledger(tmp_path))
    broker.end()
    broker.start()
    fleet.finish(100)

    executions = fleet.executions()
    assert executions == ledger(tmp_path)
    assert len(executions) == 2 * THINGS and set(executions.values()) == set(ENDED)
    # Each session was lost once, and is back.
    assert fleet.operation("reconnect")["ok"] == str(THINGS)
    service.child.stdin.close()
    throttled = service.hear("ended")["throttled"]
    told = fleet.refused("RequestThrottled") + fleet.refused("InternalError")
    # What was refused while the broker was down, nobody heard.
    assert 10 < told <= throttled


# ------------------------------------------------------------------------------------------------- the service itself, by the vectors


@dataclass(frozen=True)
class Site:
    """Where a connection finds its certificate."""

    mqtt: tuple
    pki: Authority

    @property
    def ca(self):
        return self.pki.ca

    def certificate(self, name):
        return self.pki.directory / f"things/{name}.cert.pem", self.pki.directory / f"things/{name}.key.pem"


class Control:
    """The jobs service, told what to do."""

    def __init__(self, service):
        self.service = service

    def create_job(self, job, thing, document):
        self.service.say({"create": job, "things": [thing], "document": document})

    def delete_job_execution(self, job, thing):
        self.service.say({"delete": job, "things": [thing]})


@pytest.mark.parametrize("version", [mqtt.MQTTv311, mqtt.MQTTv5], ids=["311", "5"])
def test_the_vectors_of_the_reference(broker, pki, start_service, version):
    control = Control(start_service(1))
    thing = Asking(Site(("localhost", broker.port), pki), "sim-000000", version)
    walk_life_cycle(thing, control)
    walk_fields(thing, control)
    thing.close()


# ------------------------------------------------------------------------------------- what it does otherwise than our endpoint


@pytest.fixture
def connect(broker, pki):
    """A function that makes connections of things, which end with the test."""
    site, made = Site(("localhost", broker.port), pki), []

    def make(name, version=mqtt.MQTTv5):
        pki.issue_thing(name, RSA_KEYS)
        made.append(Connection(site, name, version))
        return made[-1]

    yield make
    for connection in made:
        connection.close()


def test_answers_need_a_subscriber(start_service, connect):
    start_service(1)
    thing, heard = connect("sim-000000"), Queue()
    thing.on_message = lambda _topic, payload: heard.put(json.loads(payload))
    thing.open()
    prefix = "$aws/things/sim-000000/jobs/"
    assert thing.subscribe([f"{prefix}start-next/+"]) == [1]
    for operation in ("get", "start-next"):
        thing.client.publish(prefix + operation, json.dumps({"clientToken": operation}), qos=1)
    # The service answers one after the other.
    assert heard.get(timeout=WAIT_S)["clientToken"] == "start-next"


@pytest.mark.parametrize("version", [mqtt.MQTTv311, mqtt.MQTTv5], ids=["311", "5"])
def test_what_is_not_allowed_goes_nowhere_and_the_connection_stays(connect, version):
    mine, other = connect("mine", version), connect("other", version)
    heard = Queue()
    mine.on_message = lambda topic, payload: heard.put(("mine", topic))
    other.on_message = lambda topic, payload: heard.put(("other", topic))
    mine.open()
    other.open()
    jobs = "$aws/things/other/jobs/notify"
    assert (mine.subscribe([jobs]), other.subscribe([jobs])) == ([1], [1])
    mine.client.publish(jobs, b"forged", qos=1)
    acknowledged = mine.published.get(timeout=WAIT_S)
    assert acknowledged == (0 if version == mqtt.MQTTv311 else NOT_AUTHORIZED)
    other.client.publish(jobs, b"true", qos=1)
    assert heard.get(timeout=WAIT_S) == ("other", jobs)
    assert other.published.get(timeout=WAIT_S) == 0
    assert heard.empty() and mine.ended.empty()


def test_limits_are_the_brokers_own(connect):
    connection = connect("mine")
    _, _, answered = connection.open(keepalive=10)
    told = answered.json()
    assert "ServerKeepAlive" not in told and "MaximumQoS" not in told
    assert connection.subscribe([f"$aws/things/mine/jobs/{n}" for n in range(9)], qos=2) == [2] * 9
