"""Clients of others walk the life cycle of PROTOCOL 19.2 and the fields of PROTOCOL 19.3, by every way in: MQTT over mutual TLS
and over WebSocket, HTTPS by certificate and by signature."""

from functools import partial

import paho.mqtt.client as paho
import pytest
from reference import walk_fields, walk_life_cycle
from things.base import QUIET_S
from things.device_sdk import CallbackThing, Connection5, Connection311, RequestThing, websocket
from things.device_sdk_v1 import SdkV1Thing
from things.http import Boto3Thing, CliThing, CurlThing
from things.mosquitto import MosquittoThing
from things.paho_mqtt import PahoThing

CLIENTS = {
    "awsiotsdk-callbacks-311": lambda site, name: CallbackThing(site, name, Connection311),
    "awsiotsdk-callbacks-5": lambda site, name: CallbackThing(site, name, Connection5),
    "awsiotsdk-requests-311": lambda site, name: RequestThing(site, name, Connection311),
    "awsiotsdk-requests-5": lambda site, name: RequestThing(site, name, Connection5),
    "awsiotsdk-websocket-311": lambda site, name: CallbackThing(site, name, partial(Connection311, connect=websocket())),
    "awsiotsdk-websocket-5": lambda site, name: RequestThing(site, name, partial(Connection5, connect=websocket(token="FwoGZXIvYXdzE/+="))),
    "AWSIoTPythonSDK-311": SdkV1Thing,
    "paho-311": lambda site, name: PahoThing(site, name, paho.MQTTv311),
    "paho-5": lambda site, name: PahoThing(site, name, paho.MQTTv5),
    "mosquitto-311": lambda site, name: MosquittoThing(site, name, "311"),
    "mosquitto-5": lambda site, name: MosquittoThing(site, name, "5"),
    "boto3-http": Boto3Thing,
    "cli-http": CliThing,
    "curl-http": CurlThing,
}


@pytest.fixture(params=CLIENTS.values(), ids=CLIENTS.keys())
def thing(request, site, thing_name):
    thing = request.param(site, thing_name)
    yield thing
    thing.close()


@pytest.fixture
def control(request, thing, boto3_control, cli_control):
    """Where the thing is made of command line tools, so is the control plane."""
    return cli_control if isinstance(thing, (MosquittoThing, CliThing, CurlThing)) else boto3_control


def test_queue_life_cycle(thing, control):
    walk_life_cycle(thing, control)
    thing.assert_quiet(QUIET_S)


def test_optional_fields(thing, control):
    walk_fields(thing, control)
    thing.assert_quiet(QUIET_S)


@pytest.fixture
def plain_thing(site, thing_name):
    thing = PahoThing(site, thing_name)
    yield thing
    thing.close()


def test_what_an_update_causes_comes_in_the_order_of_the_captures(plain_thing, boto3_control, unique):
    job, order = unique("order"), []
    boto3_control.create_job(job, plain_thing.name, {})
    plain_thing.told(2)
    plain_thing.connection.on_message = lambda topic, payload: (order.append(topic), plain_thing.heard(topic, payload))
    assert plain_thing.ask(f"{job}/update", {"status": "SUCCEEDED"})[0]
    plain_thing.told(2)
    assert [topic.removeprefix(plain_thing.prefix) for topic in order] == [f"{job}/update/accepted", "notify", "notify-next"]


def test_a_thing_that_connects_is_told_nothing_until_it_asks(site, thing_name, boto3_control, unique):
    job = unique("waiting")
    boto3_control.create_job(job, thing_name, {})
    thing = PahoThing(site, thing_name)
    thing.assert_quiet(QUIET_S)
    assert thing.ask("$next/get", {})[1]["execution"]["jobId"] == job
    thing.assert_quiet()
    thing.close()
