"""`fleetsim aws` and a run in an account: every request by AWS's model; and a fleet in the account that moto plays."""

import json
import os
import subprocess
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from recorder import Recorder, check_request

THINGS = 7
PROVISION = {"CreateThingType", "CreateThingGroup", "CreatePolicy", "RegisterCertificateWithoutCA", "CreateThing", "AttachThingPrincipal", "AttachPolicy", "AddThingToThingGroup"}
RUN = {"DescribeEndpoint", "CreateJob", "DescribeJob", "DeleteJob"}
DEPROVISION = {
    *("DeprecateThingType", "UpdateCertificate", "DetachThingPrincipal", "DetachPolicy", "DeleteCertificate", "DeleteThing"),
    *("ListThings", "ListTargetsForPolicy", "DeleteThingGroup", "DeletePolicy", "DeleteThingType"),
}
SCENARIO = """
name = "s"
[target]
kind = "aws"
tls.ca = "{ca}"
[fleet]
things_from = "fleet/fleet.csv"
[behavior.quick]
reaction = "0s"
step = "20ms"
updates = 1
[[rollout]]
job = "fw"
rate = "1000/min"
document = {{ operation = "x" }}
[end]
limit = "90s"
"""


class Account:
    """`fleetsim` in a folder of its own, with an account."""

    def __init__(self, binary, folder, environment):
        self.binary, self.folder = Path(binary).resolve(), folder
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | environment

    def fleetsim(self, *arguments, code=0):
        command = [self.binary, *arguments]
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture
def recorder(request):
    recorders = []

    def start(*arguments):
        recorders.append(Recorder(*arguments))
        return recorders[-1]

    yield start
    for recorder in recorders:
        recorder.end()


@pytest.fixture
def minutes_of_100_ms(pytestconfig, tmp_path):
    """An endpoint of its own, whose minutes pass fast."""
    binary = Path(pytestconfig.getoption("binary")).resolve()
    ports = [word for listener in ("mqtt", "https", "api") for word in (f"--{listener}-port", "0")]
    command = [binary, "serve", "--dir", "pki", "--minute", "100ms", *ports]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    yield json.loads(process.stdout.readline())
    process.terminate()
    process.wait(timeout=30)


def test_every_request_is_one_of_the_model(minutes_of_100_ms, tmp_path, pytestconfig, recorder):
    host, _, port = minutes_of_100_ms["api"].rpartition(":")
    between = recorder((host, int(port)), str(tmp_path / "pki/ca.cert.pem"))
    environment = {
        "AWS_ENDPOINT_URL_IOT": between.url,
        "AWS_SHARED_CREDENTIALS_FILE": "pki/aws-credentials",
        "AWS_CONFIG_FILE": "none",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    account = Account(pytestconfig.getoption("binary"), tmp_path, environment)
    account.fleetsim("aws", "provision", "--things", str(THINGS), "--thing-name", "a:b_{index}", "--yes")
    (tmp_path / "s.toml").write_text(SCENARIO.format(ca="pki/ca.cert.pem"))
    account.fleetsim("run", "s.toml", "--yes", "--ui", "none", "--out", "out")
    account.fleetsim("aws", "deprovision", "--yes")
    other = Account(pytestconfig.getoption("binary"), tmp_path, environment)
    other.fleetsim("aws", "provision", "--things", "1", "--aws-keys", "--dir", "other", "--yes")
    other.fleetsim("aws", "deprovision", "--dir", "other", "--yes")
    for request in between.requests:
        check_request(request)
    called = set(between.operations())
    assert called >= PROVISION | RUN | DEPROVISION | {"CreateKeysAndCertificate"}
    policy = json.loads((Path(__file__).parents[2] / "docs/iam-policy.json").read_text())
    allowed = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert {f"iot:{name}" for name in called} <= allowed


@pytest.fixture
def moto():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    yield server.get_host_and_port()
    server.stop()


@pytest.mark.parametrize("keys", [(), ("--aws-keys",)])
def test_a_fleet_in_the_account_that_moto_plays(moto, tmp_path, pytestconfig, recorder, keys):
    between = recorder(moto)
    environment = {
        "AWS_ENDPOINT_URL": between.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    account = Account(pytestconfig.getoption("binary"), tmp_path, environment)
    iot = boto3.client("iot", endpoint_url=between.url, region_name="eu-central-1", aws_access_key_id="test", aws_secret_access_key="test")
    assert account.fleetsim("aws", "endpoint").strip().endswith("iot.eu-central-1.amazonaws.com")
    told = account.fleetsim("aws", "provision", "--things", str(THINGS), "--yes", *keys)
    assert "account:   123456789012 (arn:aws:" in told, "STS is asked where it is named"
    group = iot.list_thing_groups()["thingGroups"][0]["groupName"]
    assert sorted(iot.list_things_in_thing_group(thingGroupName=group)["things"]) == [f"sim-{n:06}" for n in range(THINGS)]
    assert {thing["thingTypeName"] for thing in iot.list_things()["things"]} == {group}
    certificates = iot.list_certificates()["certificates"]
    assert len(certificates) == THINGS and {found["status"] for found in certificates} == {"ACTIVE"}
    assert len(iot.list_targets_for_policy(policyName=group)["targets"]) == THINGS
    for n in range(THINGS):
        assert len(iot.list_thing_principals(thingName=f"sim-{n:06}")["principals"]) == 1
    account.fleetsim("aws", "provision", "--yes")
    assert len(iot.list_certificates()["certificates"]) == THINGS
    account.fleetsim("aws", "deprovision", "--yes")
    left = [iot.list_things()["things"], iot.list_certificates()["certificates"], iot.list_policies()["policies"]]
    assert [*left, iot.list_thing_groups()["thingGroups"], iot.list_thing_types()["thingTypes"]] == [[]] * 5
