"""The shipped scenarios for services of others, as their own comments say how to run them."""

import os
import subprocess

from broker import Broker
from emulator import ACCOUNT, REGION
from processes import Process, free_port

THINGS = 30
AWS_THINGS = 10
QUICK = ["--set", "behavior.ota.step='100ms'", "--set", "fleet.connect.rate='100/s'"]


def recipe(text):
    """The indented blocks of the comments at the head of a scenario."""
    blocks, inside = [], False
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        is_indented = line.startswith("#        ")
        if is_indented:
            if not inside:
                blocks.append([])
            blocks[-1].append(line.removeprefix("#        "))
        inside = is_indented
    return ["\n".join(block) + "\n" for block in blocks]


def test_mosquitto(binary, tmp_path, respond, run_fleet, ending):
    text = subprocess.run([binary, "scenarios", "show", "mosquitto"], check=True, capture_output=True, text=True).stdout
    certificates, configuration, access = recipe(text)
    program, *serve = certificates.replace("--things 100", f"--things {THINGS}").split()
    assert program == "fleetsim"
    maker = ending(Process([binary, *serve], tmp_path / "serve.log", tells=True, cwd=tmp_path))
    maker.hear("ready")
    maker.end()

    port, inner_port = free_port(), free_port()
    configuration = configuration.replace("listener 8883", f"listener {port}").replace("listener 1883", f"listener {inner_port}")
    ending(Broker(tmp_path, configuration, access, port))
    service = respond(inner_port, THINGS)
    fleet = run_fleet(tmp_path, "mosquitto", "--things", str(THINGS), "--port", str(port), "--set", f"end.expect={THINGS}", *QUICK)
    service.say({"create": "fw-1", "per_second": 30})
    fleet.finish(60)
    assert len(fleet.executions()) == THINGS


def test_aws_1k_at_ministack(ministack, run_fleet):
    """Thing group and job are created through the control plane of MiniStack. Where its MQTT is, its DescribeEndpoint does not say."""
    address = ministack.iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
    assert address.endswith(f".localhost:{ministack.api_port}")
    for index in range(AWS_THINGS):
        ministack.make_thing(f"aws-{index}")
    keys = {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION}
    environment = os.environ | keys | {"AWS_ENDPOINT_URL_IOT": ministack.url}
    place = ["--host", "localhost", "--port", str(ministack.mqtt_port), "--ca", ministack.ca]
    things = ["--things", str(AWS_THINGS), "--set", "fleet.thing_name='aws-{index}'"]
    files = [option for kind in ("cert", "key") for option in (f"--{kind}", f"things/{{thing}}.{kind}.pem")]
    fleet = run_fleet(ministack.folder, "aws-1k", "--yes", "--keep-jobs", *place, *things, *files, *QUICK, environment=environment)
    fleet.finish(60)
    executions = fleet.executions()
    (job,) = {job for _, job in executions}
    assert len(executions) == AWS_THINGS and job.startswith("fleetsim-1k-") and executions == ministack.executions(job)
