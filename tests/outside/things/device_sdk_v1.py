"""The official AWS IoT Device SDK v1 (`AWSIoTPythonSDK`): it subscribes to `jobs/#`, and sends versions and numbers as strings."""

import logging

from AWSIoTPythonSDK.core.jobs.thingJobManager import jobExecutionStatus, jobExecutionTopicType
from AWSIoTPythonSDK.MQTTLib import AWSIoTMQTTThingJobsClient

from things.base import WAIT_S, PlainThing

STATUS = {
    "IN_PROGRESS": jobExecutionStatus.JOB_EXECUTION_IN_PROGRESS,
    "SUCCEEDED": jobExecutionStatus.JOB_EXECUTION_SUCCEEDED,
    "FAILED": jobExecutionStatus.JOB_EXECUTION_FAILED,
    "REJECTED": jobExecutionStatus.JOB_EXECUTION_REJECTED,
}


class SdkV1Thing(PlainThing):
    always_sends_tokens = True

    def __init__(self, site, name):
        super().__init__(site, name)
        logging.getLogger("AWSIoTPythonSDK").setLevel(logging.WARNING)
        host, port = site.mqtt
        certificate, key = site.certificate(name)
        client = AWSIoTMQTTThingJobsClient(name, name, QoS=1)
        client.configureEndpoint(host, port)
        client.configureCredentials(str(site.ca), str(key), str(certificate))
        client.configureConnectDisconnectTimeout(WAIT_S)
        client.configureMQTTOperationTimeout(WAIT_S)
        assert client.connect()
        assert client.createJobSubscription(lambda _client, _data, message: self.heard(message.topic, message.payload))
        self.client = client

    def publish(self, topic, payload):
        assert self.client.getMQTTConnection().publish(topic, bytearray(payload), 1)

    def ask(self, operation, body):
        self.send(operation, body)
        topic, answer = self.answers.get(timeout=WAIT_S)
        assert topic in (f"{operation}/accepted", f"{operation}/rejected"), topic
        # Its client token is the client id, always.
        assert answer["clientToken"] == self.name, answer
        return topic.endswith("/accepted"), answer

    def send(self, operation, body):
        body = {key: value for key, value in body.items() if key != "clientToken"}
        job, slash, rest = operation.rpartition("/")
        match rest:
            case "get" if slash:
                assert self.client.sendJobsDescribe(job, **body)
            case "get":
                assert self.client.sendJobsQuery(jobExecutionTopicType.JOB_GET_PENDING_TOPIC)
            case "start-next":
                assert self.client.sendJobsStartNext(**body)
            case "update":
                numbers = {key: int(body[key]) for key in ("expectedVersion", "executionNumber") if key in body}
                assert self.client.sendJobsUpdate(job, **body | numbers | {"status": STATUS[body["status"]]})

    def close(self):
        self.client.disconnect()
