"""Policies as their owners write them, attach them and see them deny: boto3, the AWS CLI, paho-mqtt, the Device SDK and curl (PROTOCOL-CORE 1)."""

import json
import subprocess

import paho.mqtt.client as paho
import pytest
from asking import refused
from control import ACCOUNT
from things.base import WAIT_S
from things.device_sdk import Connection5, Connection311, websocket
from things.paho_mqtt import Connection

VERSIONS = pytest.mark.parametrize("version", [paho.MQTTv311, paho.MQTTv5], ids=["311", "5"])
NOT_AUTHORIZED = 0x87
# Measured at AWS: publish, receive and subscribe on one topic, and a filter whose messages are not all received.
STATEMENTS = [
    ("iot:Connect", "client/*"),
    ("iot:Publish", "topic/p/ok"),
    ("iot:Publish", "topic/p/other"),
    ("iot:Receive", "topic/p/ok"),
    ("iot:Subscribe", "topicfilter/p/ok"),
    ("iot:Subscribe", "topicfilter/p/+"),
]


def document(*statements):
    allowed = [{"Effect": "Allow", "Action": action, "Resource": f"{ACCOUNT}:{resource}"} for action, resource in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": allowed})


class Device:
    """A certificate that is attached to a thing, with one policy."""

    def __init__(self, iot, name, policy, text, folder):
        self.iot, self.name, self.policy = iot, name, policy
        made = iot.create_keys_and_certificate(setAsActive=True)
        self.arn = made["certificateArn"]
        iot.create_thing(thingName=name)
        iot.attach_thing_principal(thingName=name, principal=self.arn)
        iot.create_policy(policyName=policy, policyDocument=text)
        iot.attach_policy(policyName=policy, target=self.arn)
        things = folder / "things"
        things.mkdir()
        (things / f"{name}.cert.pem").write_text(made["certificatePem"])
        (things / f"{name}.key.pem").write_text(made["keyPair"]["PrivateKey"])
        self.pair = things / f"{name}.cert.pem", things / f"{name}.key.pem"

    def replace(self, text):
        self.iot.create_policy_version(policyName=self.policy, policyDocument=text, setAsDefault=True)


@pytest.fixture
def device(iot, unique, tmp_path):
    return lambda *statements: Device(iot, unique("device"), unique("policy"), document(*statements), tmp_path)


@pytest.fixture
def connect(site):
    made = []

    def make(device, version, name=None):
        made.append(Connection(site, name or device.name, version, device.pair))
        return made[-1]

    yield make
    for connection in made:
        connection.close()


@VERSIONS
def test_a_denied_connect(connect, device, version):
    connection = connect(device(("iot:Connect", "client/nobody")), version)
    connection.client.connect(*connection.address)
    connection.client.loop_start()
    if version == paho.MQTTv311:
        connection.ended.get(timeout=WAIT_S)
        assert connection.connected.empty(), "closed without a CONNACK"
        return
    _, code, answered = connection.connected.get(timeout=WAIT_S)
    assert code.value == NOT_AUTHORIZED
    assert answered.ReasonString.startswith("CONNACK:Client is not authenticated/authorized to send the message:")


@VERSIONS
def test_a_denied_subscribe(connect, device, version):
    connection = connect(device(*STATEMENTS), version)
    connection.open()
    assert connection.subscribe(["p/ok"]) == [1]
    if version == paho.MQTTv5:
        assert connection.subscribe(["p/nope", "p/ok"]) == [NOT_AUTHORIZED, 1]
        assert connection.subscribe(["p/7"]) == [NOT_AUTHORIZED], "+ is a plain character in a policy"
        assert connection.ended.empty()
        return
    connection.client.subscribe("p/nope")
    connection.ended.get(timeout=WAIT_S)
    assert connection.acknowledged.empty(), "closed without a SUBACK"


@VERSIONS
@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("topic, retain", [("p/nope", False), ("p/ok", True)])
def test_a_denied_publish(connect, device, version, qos, topic, retain):
    connection = connect(device(*STATEMENTS), version)
    connection.open()
    connection.client.publish(topic, "x", qos=qos, retain=retain)
    if version == paho.MQTTv5 and qos == 1:
        assert connection.published.get(timeout=WAIT_S) == NOT_AUTHORIZED
        assert connection.subscribe(["p/ok"]) == [1], "the session goes on"
        return
    code = connection.ended.get(timeout=WAIT_S)
    assert version == paho.MQTTv311 or code.value == NOT_AUTHORIZED


@VERSIONS
def test_what_may_not_be_received_is_not_delivered_and_its_publisher_is_not_told(connect, device, version):
    connection, heard = connect(device(*STATEMENTS), version), []
    connection.on_message = lambda topic, payload: heard.append(topic)
    connection.open()
    assert connection.subscribe(["p/+"]) == [1]
    for topic in ("p/other", "p/ok"):
        connection.client.publish(topic, "x", qos=1)
        assert connection.published.get(timeout=WAIT_S) in (0, 0x10)
    # The answer to this comes behind the messages.
    assert connection.subscribe(["p/ok"]) == [1]
    assert heard == ["p/ok"]


def test_a_change_is_felt_at_once(connect, device):
    one = device(*STATEMENTS)
    connection = connect(one, paho.MQTTv5)
    connection.open()
    assert connection.subscribe(["p/nope"]) == [NOT_AUTHORIZED]
    one.replace(document(*STATEMENTS, ("iot:Subscribe", "topicfilter/p/nope")))
    assert connection.subscribe(["p/nope"]) == [1]
    one.iot.set_default_policy_version(policyName=one.policy, policyVersionId="1")
    assert connection.subscribe(["p/nope"]) == [NOT_AUTHORIZED]
    one.iot.detach_policy(policyName=one.policy, target=one.arn)
    assert connection.subscribe(["p/ok"]) == [NOT_AUTHORIZED]


def test_policies_of_groups_are_in_force_where_the_client_is_the_thing(iot, connect, device, unique):
    one = device(("iot:Connect", "client/*"), ("iot:Subscribe", "topicfilter/own"))
    parent, group, policy = unique("parent"), unique("group"), unique("policy")
    iot.create_thing_group(thingGroupName=parent)
    made = iot.create_thing_group(thingGroupName=group, parentGroupName=parent)
    iot.create_policy(policyName=policy, policyDocument=document(("iot:Subscribe", "topicfilter/of/group")))
    target = f"{ACCOUNT}:thinggroup/{parent}"
    iot.attach_policy(policyName=policy, target=target)
    iot.add_thing_to_thing_group(thingGroupName=group, thingName=one.name)
    assert iot.list_targets_for_policy(policyName=policy)["targets"] == [target]
    inherited = iot.list_attached_policies(target=made["thingGroupArn"], recursive=True)["policies"]
    assert [found["policyName"] for found in inherited] == [policy]
    assert iot.list_attached_policies(target=made["thingGroupArn"])["policies"] == []
    effective = iot.get_effective_policies(principal=one.arn, thingName=one.name)["effectivePolicies"]
    assert {found["policyName"] for found in effective} == {one.policy, policy}
    itself, other = connect(one, paho.MQTTv5), connect(one, paho.MQTTv5, unique("other"))
    for connection, code in ((itself, 1), (other, NOT_AUTHORIZED)):
        connection.open()
        assert connection.subscribe(["own", "of/group"]) == [1, code]


def test_authorization_is_tested_as_it_would_be_decided(iot, cli_control, device):
    one = device(("iot:Connect", "client/${iot:Connection.Thing.ThingName}"), ("iot:Publish", "topic/p/ok"))
    infos = [
        {"actionType": "CONNECT", "resources": [f"{ACCOUNT}:client/{one.name}"]},
        {"actionType": "PUBLISH", "resources": [f"{ACCOUNT}:topic/p/ok", f"{ACCOUNT}:topic/p/nope"]},
    ]
    results = iot.test_authorization(principal=one.arn, clientId=one.name, authInfos=infos)["authResults"]
    assert [result["authDecision"] for result in results] == ["ALLOWED", "IMPLICIT_DENY"]
    assert [found["policyName"] for found in results[0]["allowed"]["policies"]] == [one.policy]
    results = iot.test_authorization(principal=one.arn, clientId="other", authInfos=infos[:1])["authResults"]
    assert results[0]["authDecision"] == "IMPLICIT_DENY"
    assert results[0]["missingContextValues"] == ["iot:Connection.Thing.ThingName"]
    without = iot.test_authorization(principal=one.arn, clientId=one.name, authInfos=infos[:1], policyNamesToSkip=[one.policy])
    assert without["authResults"][0]["authDecision"] == "IMPLICIT_DENY"
    told = cli_control.run("test-authorization", "--principal", one.arn, "--client-id", one.name, "--auth-infos", json.dumps(infos[:1]))
    assert told["authResults"][0]["authDecision"] == "ALLOWED"
    refused(iot.test_authorization, "InvalidRequestException", principal=one.arn, authInfos=[{"actionType": "CONNECT", "resources": ["x"]}])


def test_the_certificates_of_the_endpoint_have_an_ordinary_policy(iot, thing_name):
    (principal,) = iot.list_thing_principals(thingName=thing_name)["principals"]
    assert [found["policyName"] for found in iot.list_attached_policies(target=principal)["policies"]] == ["fleetsim-device"]
    assert principal in iot.list_targets_for_policy(policyName="fleetsim-device", pageSize=250)["targets"]
    assert "BEGIN CERTIFICATE" in iot.describe_certificate(certificateId=principal.rpartition("/")[2])["certificateDescription"]["certificatePem"]


def curl(site, device, path):
    certificate, key = device.pair
    command = ["curl", "--silent", "--show-error", "--max-time", "20", "--include", "--cacert", site.ca, "--cert", certificate, "--key", key]
    answer = subprocess.run([*command, f"{site.https}{path}"], capture_output=True, text=True, check=True).stdout
    head, _, body = answer.replace("\r\n", "\n").partition("\n\n")
    lines = [line.partition(": ") for line in head.splitlines()[1:]]
    return int(head.split()[1]), {name.lower(): value for name, _, value in lines}, json.loads(body)


def test_a_denied_request_over_https(site, device):
    one = device(("iotjobsdata:*", "thing/${iot:Connection.Thing.ThingName}"))
    status, headers, body = curl(site, one, f"/things/{one.name}/jobs")
    assert (status, headers["x-amzn-errortype"], headers["content-type"]) == (403, "ForbiddenException:", "application/json")
    assert body == {"message": "Forbidden", "traceId": headers["x-amzn-requestid"]}
    one.replace(document(("iotjobsdata:*", f"thing/{one.name}")))
    assert curl(site, one, f"/things/{one.name}/jobs")[0] == 200


class Shown:
    """The site as a device sees it that shows a certificate of its own."""

    def __init__(self, site, device):
        self.mqtt, self.api, self.ca, self.keys = site.mqtt, site.api, site.ca, site.keys
        self.certificate = lambda _name: device.pair


def test_the_device_sdk_is_refused_by_the_same_policy(site, device):
    one = device(("iot:Connect", "client/nobody"))
    with pytest.raises(Exception):
        Connection311(Shown(site, one), one.name, lambda *_: None)
    with pytest.raises(Exception):
        Connection5(Shown(site, one), one.name, lambda *_: None)


def test_who_signs_is_an_identity_of_iam_and_no_policy_of_iot_concerns_it(site, device, unique):
    one = device(("iot:Connect", "client/nobody"))
    connection = Connection311(site, one.name, lambda *_: None, websocket())
    connection.close()
