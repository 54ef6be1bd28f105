"""MiniStack: AWS as another project emulates it, with policies in force and certificates of its own."""

import json
import os
import urllib.request

import boto3
import botocore.config
from processes import Process, free_port, wait_until

# A key id of 12 digits is an account's root.
ACCOUNT = "111122223333"
REGION = "us-east-1"
# PROTOCOL 14: a thing may be itself, and has its own topics.
TOPICS = "$aws/things/${iot:Connection.Thing.ThingName}/jobs/*"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "iot:Connect",
            "Resource": "arn:aws:iot:*:*:client/${iot:Connection.Thing.ThingName}",
        },
        {"Effect": "Allow", "Action": "iot:Subscribe", "Resource": f"arn:aws:iot:*:*:topicfilter/{TOPICS}"},
        {"Effect": "Allow", "Action": ["iot:Publish", "iot:Receive"], "Resource": f"arn:aws:iot:*:*:topic/{TOPICS}"},
    ],
}


class MiniStack:
    """A server in `folder`, where the certificates of its things go too."""

    def __init__(self, program, folder):
        self.folder = folder
        self.mqtt_port, self.api_port = free_port(), free_port()
        self.mqtt = ("localhost", self.mqtt_port)
        self.url = f"http://127.0.0.1:{self.api_port}"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.api_port),
            "IOT_MTLS_PORT": str(self.mqtt_port),
            "SERVICES": "iot,iot-jobs-data",
            "AUTH": "true",
        }
        self.process = Process([program], folder / "ministack.log", env=environment, cwd=folder)
        wait_until("MiniStack is ready", lambda: self.process.is_alive() and self.is_ready())
        self.ca = folder / "ca.cert.pem"
        self.ca.write_bytes(self.get("/_ministack/iot/ca.pem"))
        config = botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=60)
        keys = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "test"}
        session = boto3.Session(**keys, region_name=REGION)
        self.iot = session.client("iot", endpoint_url=self.url, config=config)
        (folder / "things").mkdir()
        self.iot.create_policy(policyName="things", policyDocument=json.dumps(POLICY))

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:
            return answer.read()

    def is_ready(self):
        try:
            return self.get("/_ministack/ready")
        except OSError:
            return None

    def make_fleet(self, things):
        """Things in one group; gives its ARN."""
        group = self.iot.create_thing_group(thingGroupName="fleet")["thingGroupArn"]
        for index in range(things):
            name = f"sim-{index:06}"
            self.make_thing(name)
            self.iot.add_thing_to_thing_group(thingGroupName="fleet", thingName=name)
        return group

    def make_thing(self, name):
        """A thing with a certificate that MiniStack makes, and the policy of all."""
        self.iot.create_thing(thingName=name)
        made = self.iot.create_keys_and_certificate(setAsActive=True)
        self.iot.attach_policy(policyName="things", target=made["certificateArn"])
        self.iot.attach_thing_principal(thingName=name, principal=made["certificateArn"])
        certificate, key = self.certificate(name)
        certificate.write_text(made["certificatePem"])
        key.write_text(made["keyPair"]["PrivateKey"])
        key.chmod(0o600)

    def certificate(self, name):
        return self.folder / f"things/{name}.cert.pem", self.folder / f"things/{name}.key.pem"

    def roll_out(self, job, target):
        document = json.dumps({"operation": "firmware", "version": job})
        self.iot.create_job(jobId=job, targets=[target], document=document)

    def create_job(self, job, thing, document):
        self.iot.create_job(jobId=job, targets=[f"arn:aws:iot:{REGION}:{ACCOUNT}:thing/{thing}"], document=json.dumps(document))

    def delete_job_execution(self, job, thing):
        self.iot.delete_job_execution(jobId=job, thingName=thing, executionNumber=1, force=True)

    def executions(self, job):
        """Thing and status of each execution of a job."""
        pages = self.iot.get_paginator("list_job_executions_for_job").paginate(jobId=job)
        return {
            (entry["thingArn"].rpartition("/")[2], job): entry["jobExecutionSummary"]["status"] for page in pages for entry in page["executionSummaries"]
        }

    def end(self):
        self.process.end()
