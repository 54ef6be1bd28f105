"""Clients that we did not write, against `fleetsim serve`: boto3 creates jobs, paho-mqtt is the thing.

    queue_life_cycle.py MQTT_ADDRESS API_ADDRESS PKI_DIR

Walks the queue life cycle of section 19.2 of the protocol reference. Exit code 0 when every step is as described there.
"""

import json
import os
import queue
import ssl
import sys
import uuid

import boto3
import botocore.exceptions
import paho.mqtt.client as mqtt

MQTT_ADDRESS, API_ADDRESS, PKI = sys.argv[1:4]
THING = "sim-000000"
PREFIX = f"$aws/things/{THING}/jobs/"
WAIT_S = 5
QUIET_S = 0.4


class Thing:
    """A thing that asks one thing after the other."""

    def __init__(self):
        self.inbox = queue.Queue()
        self.acknowledged = queue.Queue()
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=THING, protocol=mqtt.MQTTv311)
        client.tls_set(f"{PKI}/ca.cert.pem", f"{PKI}/things/{THING}.cert.pem", f"{PKI}/things/{THING}.key.pem", tls_version=ssl.PROTOCOL_TLS_CLIENT)
        client.on_message = lambda _c, _u, message: self.inbox.put((message.topic.removeprefix(PREFIX), json.loads(message.payload)))
        client.on_subscribe = lambda _c, _u, _mid, codes, _p: self.acknowledged.put(codes)
        host, port = MQTT_ADDRESS.rsplit(":", 1)
        client.connect(host, int(port), keepalive=60)
        client.loop_start()
        self.client = client
        client.subscribe([(PREFIX + "notify", 1), (PREFIX + "notify-next", 1)])
        codes = self.acknowledged.get(timeout=WAIT_S)
        assert not any(code.is_failure for code in codes), codes

    def ask(self, operation, **payload):
        payload["clientToken"] = str(uuid.uuid4())
        self.client.publish(PREFIX + operation, json.dumps(payload), qos=1)
        topic, answer = self.inbox.get(timeout=WAIT_S)
        assert answer["clientToken"] == payload["clientToken"], answer
        assert topic in (f"{operation}/accepted", f"{operation}/rejected"), topic
        return topic.endswith("accepted"), answer

    def told(self, count):
        """The next `count` notifications by topic, and then silence."""
        notes = dict(self.inbox.get(timeout=WAIT_S) for _ in range(count))
        assert len(notes) == count, notes
        try:
            extra = self.inbox.get(timeout=QUIET_S)
        except queue.Empty:
            return notes
        raise AssertionError(f"not expected: {extra}")


def shape(notify):
    """The lists of a notify as {status: ["job vN", ...]}."""
    return {status: [f"{e['jobId']} v{e['versionNumber']}" for e in entries] for status, entries in notify["jobs"].items()}


def head(notify_next):
    execution = notify_next.get("execution")
    return execution and f"{execution['jobId']} {execution['status']} v{execution['versionNumber']}"


def control_plane():
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = f"{PKI}/aws-credentials"
    return boto3.client("iot", region_name="us-east-1", endpoint_url=f"https://{API_ADDRESS}", verify=f"{PKI}/ca.cert.pem")


def main():
    iot = control_plane()
    group = iot.create_thing_group(thingGroupName="outside")["thingGroupArn"]
    iot.create_thing(thingName="another")
    for name in (THING, "another"):
        iot.add_thing_to_thing_group(thingGroupName="outside", thingName=name)
    thing = Thing()

    def create(job):
        target = f"arn:aws:iot:us-east-1:111122223333:thing/{THING}"
        answer = iot.create_job(jobId=job, targets=[target], document=json.dumps({"operation": job}))
        assert answer["jobId"] == job and answer["jobArn"].endswith(f":job/{job}"), answer

    create("A")  # 1
    notes = thing.told(2)
    assert shape(notes["notify"]) == {"QUEUED": ["A v1"]} and head(notes["notify-next"]) == "A QUEUED v1", notes
    assert notes["notify-next"]["execution"]["jobDocument"] == {"operation": "A"}
    create("B")  # 2
    assert shape(thing.told(1)["notify"]) == {"QUEUED": ["A v1", "B v1"]}
    for _ in range(2):  # 3, 4
        ok, answer = thing.ask("start-next")
        assert ok and head(answer) == "A IN_PROGRESS v2", answer
    ok, answer = thing.ask("A/update", status="IN_PROGRESS", expectedVersion=2)  # 5
    assert ok and set(answer) == {"timestamp", "clientToken"}, answer
    create("C")  # 6
    assert shape(thing.told(1)["notify"]) == {"IN_PROGRESS": ["A v3"], "QUEUED": ["B v1", "C v1"]}
    ok, answer = thing.ask("A/update", status="IN_PROGRESS", expectedVersion="2")  # 7
    assert not ok and answer["code"] == "VersionMismatch" and answer["executionState"]["versionNumber"] == 3, answer
    thing.client.publish(PREFIX + "A/update", json.dumps({"status": "SUCCEEDED"}), qos=1)  # 8
    notes = thing.told(3)
    assert shape(notes["notify"]) == {"QUEUED": ["B v1", "C v1"]} and head(notes["notify-next"]) == "B QUEUED v1", notes
    ok, answer = thing.ask("A/update", status="IN_PROGRESS")  # 9
    assert not ok and answer["code"] == "InvalidStateTransition" and answer["executionState"]["status"] == "SUCCEEDED", answer
    thing.client.publish(PREFIX + "C/update", json.dumps({"status": "IN_PROGRESS"}), qos=1)  # 10
    assert head(thing.told(2)["notify-next"]) == "C IN_PROGRESS v2"
    thing.client.publish(PREFIX + "B/update", json.dumps({"status": "REJECTED"}), qos=1)  # 11
    assert shape(thing.told(2)["notify"]) == {"IN_PROGRESS": ["C v2"]}
    iot.delete_job_execution(jobId="C", thingName=THING, executionNumber=1, force=True)  # 12
    notes = thing.told(2)
    assert shape(notes["notify"]) == {} and set(notes["notify-next"]) == {"timestamp"}, notes
    ok, answer = thing.ask("$next/get")  # 13
    assert ok and "execution" not in answer, answer
    ok, answer = thing.ask("get")  # 14
    assert ok and answer["inProgressJobs"] == [] and answer["queuedJobs"] == [], answer
    assert thing.ask("C/get")[1]["code"] == "ResourceNotFound"  # 15
    assert thing.ask("A/get")[1]["code"] == "TerminalStateReached"  # 16

    described = iot.describe_job(jobId="A")["job"]
    assert described["status"] == "COMPLETED" and described["jobProcessDetails"]["numberOfSucceededThings"] == 1, described
    iot.create_job(jobId="G", targets=[group], document="{}", jobExecutionsRolloutConfig={"maximumPerMinute": 1000})
    thing.told(2)
    iot.cancel_job(jobId="G", reasonCode="DONE", force=True)
    assert shape(thing.told(2)["notify"]) == {}
    assert iot.describe_job(jobId="G")["job"]["status"] == "CANCELED"
    for call, wanted in [
        (lambda: create("A"), "ResourceAlreadyExistsException"),
        (lambda: iot.describe_job(jobId="none"), "ResourceNotFoundException"),
    ]:
        try:
            call()
            raise SystemExit(f"{wanted} was expected")
        except botocore.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == wanted, error
    print("16 steps, as the reference describes them")


main()
