"""The official AWS IoT Device SDK v2 (`awsiotsdk`): both of its jobs clients, over MQTT 3.1.1 and over MQTT 5.

Their answers are objects; they are turned back into what was on the wire, so that one description serves all.
"""

import datetime
import json
import queue
import re
from concurrent.futures import Future

from awscrt import auth, mqtt, mqtt5, mqtt_request_response
from awsiot import ModeledClass, ServiceStreamOptions, V2ServiceException, iotjobs, mqtt5_client_builder, mqtt_connection_builder

from things.base import WAIT_S, Thing

# Last part of a topic -> what the SDK calls it: method, request, request of the subscriptions to its answers.
OPERATIONS = {
    "get": ("get_pending_job_executions", iotjobs.GetPendingJobExecutionsRequest, iotjobs.GetPendingJobExecutionsSubscriptionRequest),
    "start-next": (
        "start_next_pending_job_execution",
        iotjobs.StartNextPendingJobExecutionRequest,
        iotjobs.StartNextPendingJobExecutionSubscriptionRequest,
    ),
    "{job}/get": ("describe_job_execution", iotjobs.DescribeJobExecutionRequest, iotjobs.DescribeJobExecutionSubscriptionRequest),
    "{job}/update": ("update_job_execution", iotjobs.UpdateJobExecutionRequest, iotjobs.UpdateJobExecutionSubscriptionRequest),
}


def snake(name):
    return re.sub(r"[A-Z]", lambda letter: "_" + letter.group().lower(), name)


def camel(name):
    return re.sub(r"_([a-z])", lambda letter: letter.group(1).upper(), name)


def wire(value):
    """A message of the SDK as it was on the wire. Times must have been whole seconds."""
    match value:
        case ModeledClass():
            slots = {slot: getattr(value, slot) for slot in value.__slots__}
            return {camel(slot): wire(inner) for slot, inner in slots.items() if inner is not None}
        case datetime.datetime():
            assert value.microsecond == 0, value
            return int(value.timestamp())
        case list():
            return [wire(inner) for inner in value]
        case dict():
            return {key: wire(inner) for key, inner in value.items()}
        case _:
            return value


def mutual_tls(builder, site, name, host, **more):
    """A connection by certificate."""
    certificate, key = site.certificate(name)
    pair = {"cert_filepath": str(certificate), "pri_key_filepath": str(key)}
    return builder.mtls_from_path(endpoint=host, port=site.mqtt[1], ca_filepath=str(site.ca), client_id=name, **pair, **more)


def websocket(token=None):
    """A connection by signature, over WebSocket. A session token stands behind the signature, as with temporary credentials."""

    def connect(builder, site, name, host, **more):
        keys = site.keys()
        provider = auth.AwsCredentialsProvider.new_static(keys["aws_access_key_id"], keys["aws_secret_access_key"], token)
        return builder.websockets_with_default_aws_signing(
            "us-east-1", provider, endpoint=host, port=int(site.api.rpartition(":")[2]), ca_filepath=str(site.ca), client_id=name, **more
        )

    return connect


class Connection311:
    """The SDK's own connection for MQTT 3.1.1."""

    def __init__(self, site, name, heard, connect=mutual_tls):
        self.protocol_client = connect(mqtt_connection_builder, site, name, site.mqtt[0])
        self.protocol_client.on_message(lambda topic, payload, **_rest: heard(topic, payload))
        self.protocol_client.connect().result(WAIT_S)

    def publish(self, topic, payload):
        self.protocol_client.publish(topic, payload, mqtt.QoS.AT_LEAST_ONCE)

    def close(self):
        self.protocol_client.disconnect().result(WAIT_S)


class Connection5:
    """The SDK's MQTT 5 client. It is told a name, not an address, so that both kinds of server name are seen."""

    def __init__(self, site, name, heard, connect=mutual_tls):
        connected, self.stopped = Future(), Future()
        # The DISCONNECT of each end, where the endpoint sent one.
        self.ends = queue.Queue()
        self.protocol_client = connect(
            mqtt5_client_builder,
            site,
            name,
            "localhost",
            on_publish_received=lambda data: heard(data.publish_packet.topic, data.publish_packet.payload),
            on_lifecycle_connection_success=lambda data: connected.done() or connected.set_result(data.connack_packet),
            on_lifecycle_connection_failure=lambda data: connected.done() or connected.set_exception(data.exception),
            on_lifecycle_disconnection=lambda data: self.ends.put(data.disconnect_packet),
            on_lifecycle_stopped=lambda data: self.stopped.set_result(None),
        )
        self.protocol_client.start()
        self.connack = connected.result(WAIT_S)

    def publish(self, topic, payload):
        self.protocol_client.publish(mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE))

    def close(self):
        self.protocol_client.stop(mqtt5.DisconnectPacket())
        self.stopped.result(WAIT_S)


class SdkThing(Thing):
    """What both jobs clients share: a connection on which every answer is heard, once."""

    def __init__(self, site, name, connection):
        super().__init__(site, name)
        self.answers_heard = queue.Queue()
        self.connection = connection(site, name, self.heard)

    def heard(self, topic, payload):
        if topic.endswith(("/accepted", "/rejected")):
            self.answers_heard.put((topic.removeprefix(self.prefix), json.loads(payload)))

    def answer_heard(self, operation):
        topic, answer = self.answers_heard.get(timeout=WAIT_S)
        assert topic in (f"{operation}/accepted", f"{operation}/rejected"), topic
        return topic.endswith("/accepted"), answer

    def request(self, operation, body):
        """Method, request, subscription request, all in the SDK's words."""
        job, slash, rest = operation.rpartition("/")
        method, request, subscription = OPERATIONS[f"{{job}}/{rest}" if slash else rest]
        about = {"thing_name": self.name} | ({"job_id": job} if slash else {})
        return method, request(**about, **{snake(key): value for key, value in body.items()}), subscription(**about)

    def ask(self, operation, body):
        accepted, answer = self.ask_modeled(operation, body)
        assert self.answer_heard(operation)[0] == accepted
        return accepted, answer

    def ask_raw(self, operation, payload):
        self.connection.publish(self.prefix + operation, payload)
        return self.answer_heard(operation)

    def assert_quiet(self, wait_s=0):
        super().assert_quiet(wait_s)
        assert self.answers_heard.empty(), "an answer came twice"

    def close(self):
        self.connection.close()


class CallbackThing(SdkThing):
    """`IotJobsClient`: subscriptions with callbacks, requests that are published."""

    def __init__(self, site, name, connection):
        super().__init__(site, name, connection)
        self.client = iotjobs.IotJobsClient(self.connection.protocol_client)
        self.answers = queue.Queue()
        self.subscribed = set()
        for subscribe, request, topic in (
            (self.client.subscribe_to_job_executions_changed_events, iotjobs.JobExecutionsChangedSubscriptionRequest, "notify"),
            (self.client.subscribe_to_next_job_execution_changed_events, iotjobs.NextJobExecutionChangedSubscriptionRequest, "notify-next"),
        ):
            self.subscribe(subscribe, request(thing_name=name), lambda event, topic=topic: self.notifications.put((topic, wire(event))))

    def subscribe(self, method, request, callback):
        granted, _ = method(request, mqtt.QoS.AT_LEAST_ONCE, callback)
        assert granted.result(WAIT_S) == mqtt.QoS.AT_LEAST_ONCE

    def ask_modeled(self, operation, body):
        method, request, subscription = self.request(operation, body)
        if operation not in self.subscribed:
            self.subscribed.add(operation)
            for leg in ("accepted", "rejected"):
                answered = lambda answer, accepted=leg == "accepted": self.answers.put((accepted, wire(answer)))
                self.subscribe(getattr(self.client, f"subscribe_to_{method}_{leg}"), subscription, answered)
        getattr(self.client, f"publish_{method}")(request, mqtt.QoS.AT_LEAST_ONCE).result(WAIT_S)
        accepted, answer = self.answers.get(timeout=WAIT_S)
        assert answer.get("clientToken") == body.get("clientToken"), answer
        return accepted, answer

    def ask_raw(self, operation, payload):
        accepted, answer = super().ask_raw(operation, payload)
        if operation in self.subscribed:
            assert self.answers.get(timeout=WAIT_S)[0] == accepted, "the callback hears the same"
        return accepted, answer


class RequestThing(SdkThing):
    """`IotJobsClientV2`: requests that are futures, streams of notifications. It subscribes, and makes the tokens, by itself."""

    always_sends_tokens = True

    def __init__(self, site, name, connection):
        super().__init__(site, name, connection)
        options = mqtt_request_response.ClientOptions(max_request_response_subscriptions=10, max_streaming_subscriptions=2)
        options.operation_timeout_in_seconds = WAIT_S
        self.client = iotjobs.IotJobsClientV2(self.connection.protocol_client, options)
        self.streams = [
            self.open(self.client.create_job_executions_changed_stream, iotjobs.JobExecutionsChangedSubscriptionRequest, "notify"),
            self.open(self.client.create_next_job_execution_changed_stream, iotjobs.NextJobExecutionChangedSubscriptionRequest, "notify-next"),
        ]

    def open(self, create, request, topic):
        established = Future()
        stream = create(
            request(thing_name=self.name),
            ServiceStreamOptions(
                incoming_event_listener=lambda event: self.notifications.put((topic, wire(event))),
                subscription_status_listener=lambda event: established.done() or established.set_result(event),
                deserialization_failure_listener=lambda failure: self.notifications.put((topic, failure)),
            ),
        )
        stream.open()
        status = established.result(WAIT_S).type
        assert status == mqtt_request_response.SubscriptionStatusEventType.SUBSCRIPTION_ESTABLISHED, status
        return stream

    def ask_modeled(self, operation, body):
        method, request, _ = self.request(operation, body)
        try:
            accepted, answer = True, wire(getattr(self.client, method)(request).result(WAIT_S))
        except V2ServiceException as error:
            assert error.modeled_error is not None, (error, error.inner_error)
            accepted, answer = False, wire(error.modeled_error)
        assert answer["clientToken"] == request.client_token, answer
        return accepted, answer
