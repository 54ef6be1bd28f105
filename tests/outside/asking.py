"""How the control plane is asked in these tests."""

import time

import botocore.exceptions
import paho.mqtt.client as paho
import pytest
from things.base import WAIT_S
from things.paho_mqtt import Connection


def refused(call, code, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == code, caught.value
    return caught.value.response


def wait_for(what, holds):
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, f"{what} in {WAIT_S} s"
        time.sleep(0.05)


def pages(call, key, **arguments):
    """All pages, one after the other, as lists."""
    found = [call(**arguments)]
    while "nextToken" in found[-1]:
        assert len(found) < 50
        found.append(call(**arguments, nextToken=found[-1]["nextToken"]))
    return [page[key] for page in found]


def connects(site, name, certificate):
    connection = Connection(site, name, paho.MQTTv311, certificate)
    try:
        connection.client.connect(*connection.address)
        connection.client.loop_start()
        # Who may not connect gets no CONNACK.
        wait_for("a CONNACK or an end", lambda: not (connection.connected.empty() and connection.ended.empty()))
    except OSError:
        return False
    finally:
        connection.close()
    return not connection.connected.empty()
