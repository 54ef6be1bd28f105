"""Our things at MiniStack, which emulates AWS apart from us: its certificates, its policies, its jobs."""

from dataclasses import replace
from queue import Queue

import paho.mqtt.client as mqtt
import pytest
from asking import Asking
from fleet import ENDED, write_scenario
from processes import wait_until
from reference import BOTH, FIELDS, LIFE_CYCLE, walk_fields, walk_life_cycle
from things.base import WAIT_S
from things.paho_mqtt import Connection, PahoThing

THINGS = 40


@pytest.fixture
def thing(request, ministack):
    """A thing of the test's own, connected."""
    name = request.node.name.translate(str.maketrans("[].", "---"))
    ministack.make_thing(name)
    client = Asking(ministack, name, getattr(request, "param", mqtt.MQTTv311))
    yield client
    client.close()


def test_every_execution_ends_and_the_ledgers_agree(ministack, run_fleet):
    group = ministack.make_fleet(THINGS)
    ministack.roll_out("fw-before", group)
    fleet = run_fleet(ministack.folder, write_scenario(ministack.folder, ministack.mqtt_port, ".", THINGS, 2 * THINGS))
    wait_until("things work", lambda: "SUCCEEDED" in ministack.executions("fw-before").values())
    ministack.roll_out("fw-while", group)
    fleet.finish(70)

    executions = fleet.executions()
    assert executions == ministack.executions("fw-before") | ministack.executions("fw-while")
    assert len(executions) == 2 * THINGS and set(executions.values()) == set(ENDED)
    assert [row for row in fleet.rows("errors.csv") if row["kind"] == "rejected"] == []
    for job in ("fw-before", "fw-while"):
        assert ministack.iot.describe_job(jobId=job)["job"]["status"] == "COMPLETED"


# ------------------------------------------------------------------------------------- what it does otherwise than our endpoint


# Rows of the reference's tables that go otherwise; the tests below say why.
STEPS_OTHERWISE = {
    "10 update C, not the head": {"told": ()},
    "11 update B, REJECTED": {"told": BOTH},
}
TAKEN = {"keys": "timestamp", "rejected": ""}
FIELDS_OTHERWISE = {
    "11 details": TAKEN,
    "a detail with a line break": TAKEN,
    "a detail of 1,025 characters": TAKEN,
    "stepTimeoutInMinutes 0": TAKEN,
    "stepTimeoutInMinutes 10081": TAKEN,
    "status missing": {"message": "Invalid job execution status"},
    "no payload at all": {"message": "Invalid job execution status"},
    "a status that is the service's": {"rejected": "InvalidStateTransition"},
}


def otherwise(rows, changes):
    assert set(changes) <= {row.text for row in rows}
    return [replace(row, **changes.get(row.text, {})) for row in rows]


BOTH_VERSIONS = pytest.mark.parametrize("thing", [mqtt.MQTTv311, mqtt.MQTTv5], ids=["311", "5"], indirect=True)


@BOTH_VERSIONS
def test_the_life_cycle_of_the_reference_but_for_two_rows(ministack, thing):
    walk_life_cycle(thing, ministack, otherwise(LIFE_CYCLE, STEPS_OTHERWISE))


@BOTH_VERSIONS
def test_the_fields_of_the_reference_but_for_eight_rows(ministack, thing):
    walk_fields(thing, ministack, otherwise(FIELDS, FIELDS_OTHERWISE))


def queue(ministack, thing, *jobs):
    for job in jobs:
        ministack.create_job(job, thing.name, {"operation": job})


def test_answers_go_to_subscribers_only(ministack):
    name = "answers"
    ministack.make_thing(name)
    thing = PahoThing(ministack, name)
    assert thing.connection.subscribe([f"{thing.prefix}start-next/+"]) == [1]
    thing.publish(f"{thing.prefix}get", b"{}")
    # The only answer is that to the next request.
    assert thing.ask("start-next", {})[0]
    thing.close()


def test_the_order_of_queueing_is_kept_whatever_is_in_progress(ministack, thing):
    queue(ministack, thing, "order-1", "order-2")
    assert thing.ask("order-2/update", {"status": "IN_PROGRESS"})[0]
    _, answer = thing.ask("$next/get", {})
    assert answer["execution"]["jobId"] == "order-1"


def test_more_than_ten_executions_are_shown(ministack, thing):
    queue(ministack, thing, *(f"eleven-{number}" for number in range(11)))
    _, answer = thing.ask("get", {})
    assert len(answer["queuedJobs"]) == 11


def test_a_status_of_the_services_is_an_illegal_move(ministack, thing):
    queue(ministack, thing, "status")
    accepted, answer = thing.ask("status/update", {"status": "TIMED_OUT"})
    assert (accepted, answer["code"]) == (False, "InvalidStateTransition")


def test_details_have_no_limits(ministack, thing):
    queue(ministack, thing, "details")
    accepted, _ = thing.ask("details/update", {"status": "IN_PROGRESS", "statusDetails": {f"k {n}": "a\nb" for n in range(11)}})
    assert accepted


def test_no_step_timer_runs(ministack, thing):
    queue(ministack, thing, "step")
    assert thing.ask("step/update", {"status": "IN_PROGRESS", "stepTimeoutInMinutes": 5})[0]
    _, answer = thing.ask("step/get", {})
    assert "approximateSecondsBeforeTimedOut" not in answer["execution"]


def test_an_unknown_operation_gets_no_answer(thing):
    assert thing.connection.subscribe([f"{thing.prefix}reboot/+"]) == [1]
    thing.publish(f"{thing.prefix}reboot", b"{}")
    # The only answer is that to the next request.
    assert thing.ask("get", {})[0]


def test_a_client_without_a_certificate_is_let_in(ministack):
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="nobody")
    client.tls_set(str(ministack.ca))
    answers = Queue()
    client.on_connect = lambda _client, _data, _flags, code, _properties: answers.put(code)
    client.connect(*ministack.mqtt)
    client.loop_start()
    assert not answers.get(timeout=WAIT_S).is_failure
    client.disconnect()
    client.loop_stop()


def test_keep_alive_stays_what_the_client_says(ministack):
    name = "keep-alive"
    ministack.make_thing(name)
    connection = Connection(ministack, name, mqtt.MQTTv5)
    _, _, answered = connection.open(keepalive=10)
    assert "ServerKeepAlive" not in answered.json()
    connection.close()
