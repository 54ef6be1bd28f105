"""Who may come in by which way: certificates, signatures, and what ALPN says (PROTOCOL 10.3 and 12)."""

import http.client
import json
import ssl
import subprocess

import botocore.exceptions
import paho.mqtt.client as mqtt
import pytest
from asking import refused
from things.base import WAIT_S
from things.http import client
from things.paho_mqtt import Connection


def context(site, name, *protocols):
    made = ssl.create_default_context(cafile=site.ca)
    made.load_cert_chain(*site.certificate(name))
    made.set_alpn_protocols(protocols)
    return made


def curl(site, name, *arguments):
    pair = ["--cert", site.certificate(name)[0], "--key", site.certificate(name)[1]] if name else []
    command = ["curl", "--silent", "--cacert", site.ca, *pair, "--max-time", str(WAIT_S), "--write-out", "\n%{http_code}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S + 5)


def test_a_certificate_is_needed_and_good_for_its_own_thing(site, thing_name, other_thing_name):
    jobs = f"{site.https}/things/{thing_name}/jobs"
    body, _, status = curl(site, thing_name, jobs).stdout.rpartition("\n")
    assert (status, json.loads(body)) == ("200", {"inProgressJobs": [], "queuedJobs": []})
    body, _, status = curl(site, other_thing_name, jobs).stdout.rpartition("\n")
    assert status == "403" and json.loads(body)["message"]
    none = curl(site, None, jobs)
    assert none.returncode != 0 and none.stdout.strip() == "000", none


def test_another_key_is_refused_and_a_session_token_is_not(site, thing_name):
    about = {"thingName": thing_name}
    refused(client(site, aws_secret_access_key="wrong").get_pending_job_executions, "InvalidSignatureException", **about)
    refused(client(site, aws_access_key_id="AKIAUNKNOWN").get_pending_job_executions, "UnrecognizedClientException", **about)
    assert client(site, aws_session_token="FwoGZXIvYXdzE/+=").get_pending_job_executions(**about)["queuedJobs"] == []


@pytest.mark.parametrize("port", ["mqtt", "https"])
def test_alpn_names_the_protocol_whatever_the_port(site, thing_name, port):
    host, number = site.mqtt if port == "mqtt" else site.https.removeprefix("https://").split(":")
    over_http = http.client.HTTPSConnection(host, int(number), context=context(site, thing_name, "x-amzn-http-ca"), timeout=WAIT_S)
    for _ in range(3):
        over_http.request("GET", f"/things/{thing_name}/jobs/$next")
        answer = over_http.getresponse()
        assert (answer.status, json.load(answer)) == (200, {})
    over_http.close()
    over_mqtt = Connection(site, thing_name, mqtt.MQTTv311)
    over_mqtt.address = (host, int(number))
    over_mqtt.client._ssl_context.set_alpn_protocols(["x-amzn-mqtt-ca"])
    over_mqtt.open()
    over_mqtt.close()


def test_a_command_of_the_model_that_is_not_of_jobs_is_refused(site, thing_name):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        client(site).start_command_execution(
            targetArn=f"arn:aws:iot:us-east-1:111122223333:thing/{thing_name}", commandArn="arn:aws:iot:us-east-1:111122223333:command/c"
        )
    assert caught.value.response["Error"]["Code"] == "UnknownOperationException"
