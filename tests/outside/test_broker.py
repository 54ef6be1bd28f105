"""What a jobs client can meet of the broker (PROTOCOL 13), seen by paho-mqtt and by mosquitto's tools."""

import json

import paho.mqtt.client as paho
import pytest
from control import thing_arn
from paho.mqtt.packettypes import PacketTypes
from things.base import WAIT_S
from things.device_sdk import Connection5
from things.mosquitto import PERSISTENT, run
from things.paho_mqtt import Connection, properties

SESSION_TAKEN_OVER, NOT_AUTHORIZED = 0x8E, 0x87


@pytest.fixture
def connect(site):
    """A function that makes connections, which end with the test."""
    made = []

    def make(name, version=paho.MQTTv5, **settings):
        made.append(Connection(site, name, version, **settings))
        return made[-1]

    yield make
    for connection in made:
        connection.close()


def test_the_connack_of_mqtt_5_tells_the_limits(connect, thing_name):
    options = properties(PacketTypes.CONNECT, SessionExpiryInterval=100_000)
    _, _, answered = connect(thing_name).open(keepalive=10, clean_start=True, properties=options)
    told = answered.json()
    assert told["SessionExpiryInterval"] == 3_600
    assert told["ServerKeepAlive"] == 30
    assert told["MaximumQoS"] == 1
    assert told["TopicAliasMaximum"] == 8
    assert told["SubscriptionIdentifierAvailable"] == 0
    assert told.get("WildcardSubscriptionAvailable", 1) == 1 and told.get("SharedSubscriptionAvailable", 1) == 1
    assert told["ReceiveMaximum"] == 100
    assert told["MaximumPacketSize"] == 146 * 1024


def test_the_newest_session_wins_and_the_older_one_is_told(site, connect, thing_name):
    # paho reads the reason of a DISCONNECT only where properties follow it.
    older = Connection5(site, thing_name, lambda _topic, _payload: None)
    connect(thing_name).open()
    assert older.ends.get(timeout=WAIT_S).reason_code == SESSION_TAKEN_OVER
    older.close()


def test_qos_2_ends_an_mqtt_5_connection(connect, thing_name):
    connection = connect(thing_name)
    connection.open()
    connection.client.publish("news/of/the/day", "x", qos=2)
    connection.ended.get(timeout=WAIT_S)
    assert connection.published.empty()


def test_topics_of_another_thing_are_not_for_this_one(connect, thing_name, other_thing_name):
    connection = connect(thing_name)
    connection.open()
    assert connection.subscribe([f"$aws/things/{other_thing_name}/jobs/notify", f"$aws/things/{thing_name}/jobs/notify"]) == [NOT_AUTHORIZED, 1]


@pytest.mark.parametrize("version", [paho.MQTTv311, paho.MQTTv5], ids=["311", "5"])
def test_a_session_that_was_away_gets_what_it_missed(connect, boto3_control, unique, thing_name, version):
    def come():
        if version == paho.MQTTv5:
            connection = connect(thing_name, version)
            opened = {"clean_start": False, "properties": properties(PacketTypes.CONNECT, SessionExpiryInterval=600)}
        else:
            connection, opened = connect(thing_name, version, clean_session=False), {}
        heard = []
        connection.on_message = lambda topic, payload: heard.append(json.loads(payload)) or connection.published.put(topic)
        flags, _, _ = connection.open(**opened)
        return connection, flags.session_present, heard

    first, present, _ = come()
    assert not present
    topic = f"$aws/things/{thing_name}/jobs/notify-next"
    assert first.subscribe([topic]) == [1]
    first.close()
    job = unique("missed")
    boto3_control.create_job(job, thing_name, {"operation": "reboot"})
    second, present, heard = come()
    assert present
    assert second.published.get(timeout=WAIT_S) == topic
    assert heard[0]["execution"]["jobId"] == job


@pytest.mark.parametrize("version", [paho.MQTTv311, paho.MQTTv5], ids=["311", "5"])
def test_a_will_is_published_when_a_client_is_cut_off(connect, thing_name, other_thing_name, version):
    watcher, mortal = connect(other_thing_name, version), connect(thing_name, version)
    watcher.on_message = lambda topic, payload: watcher.published.put((topic, payload))
    watcher.open()
    assert watcher.subscribe([f"wills/{thing_name}"]) == [1]
    mortal.client.will_set(f"wills/{thing_name}", b"gone", qos=1)
    mortal.open()
    mortal.client.loop_stop()
    mortal.client.socket().close()
    assert watcher.published.get(timeout=WAIT_S) == (f"wills/{thing_name}", b"gone")


@pytest.mark.parametrize("published_by, heard_by", [("311", "5"), ("5", "311")])
def test_ordinary_topics_go_from_client_to_client(site, thing_name, other_thing_name, published_by, heard_by):
    """mosquitto_pub to mosquitto_sub, across versions. The listener subscribes, goes, and hears when it comes back."""
    listen = [*PERSISTENT[heard_by], "-q", "1", "-t", "news/+"]
    run(site, "mosquitto_sub", other_thing_name, heard_by, *listen, "-E")
    run(site, "mosquitto_pub", thing_name, published_by, "-q", "1", "-t", f"news/{thing_name}", "-m", "rain")
    heard = run(site, "mosquitto_sub", other_thing_name, heard_by, *listen, "-F", "%t %p", "-C", "1", "-W", str(WAIT_S))
    assert heard == [f"news/{thing_name} rain".encode()]
