"""Clients that ask over HTTP. What they are told comes by MQTT: there are no notifications over HTTP (PROTOCOL 10.3).

Their answers are turned into what MQTT would have said, so that one description serves all: a document that was text becomes JSON again, the
name of the thing goes, and the time is added. A refusal keeps its name of PROTOCOL 10.2.
"""

import json
import subprocess
import time
import urllib.error
import urllib.request
import ssl
from abc import abstractmethod

import boto3
import botocore.config
import botocore.exceptions
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from control import Cli, CliError
from models import check_answer

from things.base import WAIT_S, Thing
from things.paho_mqtt import PahoThing

SIGNING_NAME = "iot-jobs-data"
# Of the model. A call that a signature or a certificate forbids is none of them.
STATUS = {
    "InvalidRequestException": 400,
    "ResourceNotFoundException": 404,
    "InvalidStateTransitionException": 409,
    "TerminalStateException": 410,
    "ThrottlingException": 429,
    "ServiceUnavailableException": 503,
}


class HttpThing(Thing):
    is_http = True

    def __init__(self, site, name):
        super().__init__(site, name)
        self.listener = PahoThing(site, name)
        self.notifications = self.listener.notifications

    @abstractmethod
    def ask_http(self, job, kind, body):
        """The answer; raises `Refused`. `kind` is the last part of a topic, `job` is empty where the operation has none."""

    @abstractmethod
    def post(self, path, payload):
        """Status, name of the error, body."""

    def ask(self, operation, body):
        job, _, kind = operation.rpartition("/")
        try:
            answer = self.ask_http(job, kind, {key: value for key, value in body.items() if key != "clientToken"})
        except Refused as refused:
            return False, self.timed({"code": refused.code, "message": refused.message})
        return True, self.as_over_mqtt(answer)

    def ask_raw(self, operation, payload):
        job, _, kind = operation.rpartition("/")
        assert kind == "update"
        status, error, answer = self.post(f"/things/{self.name}/jobs/{job}", payload)
        if status == 200:
            return True, self.as_over_mqtt(answer)
        assert STATUS[error] == status
        return False, self.timed({"code": error, "message": answer["message"]})

    def timed(self, answer):
        return answer | {"timestamp": int(time.time())}

    def as_over_mqtt(self, answer):
        assert not {"timestamp", "clientToken"} & set(answer), answer
        for holder in (answer, answer.get("execution", {})):
            if "jobDocument" in holder:
                holder["jobDocument"] = json.loads(holder["jobDocument"])
        if "execution" in answer:
            assert answer["execution"].pop("thingName") == self.name
        return self.timed(answer)

    def close(self):
        self.listener.close()


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(code, message)
        self.code, self.message = code, message


class SignedThing(HttpThing):
    """What boto3 and the CLI share: what they cannot say themselves is signed by botocore and sent as it is."""

    def post(self, path, payload):
        keys = self.site.keys()
        request = AWSRequest("POST", self.site.api + path, data=payload, headers={"content-type": "application/json"})
        SigV4Auth(Credentials(keys["aws_access_key_id"], keys["aws_secret_access_key"]), SIGNING_NAME, "us-east-1").add_auth(request)
        sent = urllib.request.Request(request.url, data=payload, headers=dict(request.headers), method="POST")
        try:
            with urllib.request.urlopen(sent, context=ssl.create_default_context(cafile=self.site.ca), timeout=WAIT_S) as answer:
                return answer.status, None, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, error.headers["x-amzn-errortype"], json.load(error)


def with_numbers(body):
    """These clients send no versions as strings."""
    return body | {key: int(body[key]) for key in ("expectedVersion", "executionNumber") if key in body}


def client(site, **keys):
    config = botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=WAIT_S, read_timeout=WAIT_S)
    session = boto3.Session(**(site.keys() | keys), region_name="us-east-1")
    made = session.client("iot-jobs-data", endpoint_url=site.api, verify=str(site.ca), config=config)
    made.meta.events.register("before-parse.iot-jobs-data", check_answer)
    return made


class Boto3Thing(SignedThing):
    METHODS = {"get": "describe_job_execution", "update": "update_job_execution", "start-next": "start_next_pending_job_execution"}

    def __init__(self, site, name):
        super().__init__(site, name)
        self.client = client(site)

    def ask_http(self, job, kind, body):
        method = self.METHODS[kind] if job or kind != "get" else "get_pending_job_executions"
        about = {"thingName": self.name} | ({"jobId": job} if job else {})
        try:
            answer = getattr(self.client, method)(**about, **with_numbers(body))
        except botocore.exceptions.ClientError as error:
            status, told = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]
            assert STATUS[told["Code"]] == status
            raise Refused(told["Code"], told["Message"]) from None
        del answer["ResponseMetadata"]
        return answer


class CliThing(SignedThing):
    """`aws iot-jobs-data ...`, a process for each request."""

    COMMANDS = {"get": "describe-job-execution", "update": "update-job-execution", "start-next": "start-next-pending-job-execution"}

    def __init__(self, site, name):
        super().__init__(site, name)
        self.cli = Cli(site, "iot-jobs-data")

    def ask_http(self, job, kind, body):
        command = self.COMMANDS[kind] if job or kind != "get" else "get-pending-job-executions"
        arguments = ["--thing-name", self.name, *(["--job-id", job] if job else [])]
        for key, value in with_numbers(body).items():
            option = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in key)
            match value:
                case bool():
                    arguments.append(f"--{option}" if value else f"--no-{option}")
                case dict():
                    arguments += [f"--{option}", json.dumps(value)]
                case _:
                    arguments += [f"--{option}", str(value)]
        try:
            return self.cli.run(command, *arguments)
        except CliError as error:
            code = error.args[0].partition("(")[2].partition(")")[0]
            raise Refused(code, error.args[0].partition("operation: ")[2]) from None


class CurlThing(HttpThing):
    """`curl --cert`, a process and a handshake for each request. The path has a literal `$next`."""

    def run(self, method, path, payload=None):
        certificate, key = self.site.certificate(self.name)
        command = ["curl", "--silent", "--show-error", "--globoff", "--include", "--max-time", str(WAIT_S), "--request", method]
        command += ["--cacert", self.site.ca, "--cert", certificate, "--key", key]
        if payload is not None:
            command += ["--header", "content-type: application/json", "--data-binary", "@-"]
        done = subprocess.run([*command, self.site.https + path], input=payload or b"", capture_output=True, timeout=WAIT_S + 5)
        assert done.returncode == 0, (command, done.stderr)
        head, _, body = done.stdout.decode().partition("\r\n\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:])
        named = next((line.split(": ")[1] for line in head.splitlines() if line.lower().startswith("x-amzn-errortype: ")), None)
        assert headers["content-type"] == "application/json", head
        return int(head.split()[1]), named, json.loads(body)

    def post(self, path, payload):
        return self.run("POST", path, payload)

    def ask_http(self, job, kind, body):
        jobs = f"/things/{self.name}/jobs"
        match kind:
            case "get" if job:
                query = "&".join(f"{key}={json.dumps(value)}" for key, value in body.items())
                status, error, answer = self.run("GET", f"{jobs}/{job}" + (f"?{query}" if query else ""))
            case "get":
                status, error, answer = self.run("GET", jobs)
            case "start-next":
                status, error, answer = self.run("PUT", f"{jobs}/$next", json.dumps(body).encode())
            case "update":
                status, error, answer = self.run("POST", f"{jobs}/{job}", json.dumps(body).encode())
        if status != 200:
            assert STATUS[error] == status, (status, error, answer)
            raise Refused(error, answer["message"])
        return answer
