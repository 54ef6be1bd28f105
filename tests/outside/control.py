"""Who creates jobs: boto3, or the AWS CLI."""

import json
import subprocess
import sys
from pathlib import Path

import boto3
import botocore.config
from models import check_answer

ACCOUNT = "arn:aws:iot:us-east-1:111122223333"
CLI_WAIT_S = 60


def thing_arn(name):
    return f"{ACCOUNT}:thing/{name}"


class Boto3:
    def __init__(self, site):
        config = botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=30)
        session = boto3.Session(**site.keys(), region_name="us-east-1")
        self.iot = session.client("iot", endpoint_url=site.api, verify=str(site.ca), config=config)
        self.iot.meta.events.register("before-parse.iot", check_answer)

    def create_job(self, job, thing, document):
        answer = self.iot.create_job(jobId=job, targets=[thing_arn(thing)], document=json.dumps(document))
        assert answer["jobId"] == job and answer["jobArn"] == f"{ACCOUNT}:job/{job}", answer

    def delete_job_execution(self, job, thing):
        self.iot.delete_job_execution(jobId=job, thingName=thing, executionNumber=1, force=True)


class CliError(Exception):
    """What the CLI printed instead of an answer."""


class Cli:
    """`aws iot ...`, or of another service, as a process of its own each time."""

    def __init__(self, site, service="iot"):
        self.endpoint, self.service = site.api, service
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(site.pki),
            "AWS_SHARED_CREDENTIALS_FILE": str(site.pki / "aws-credentials"),
            "AWS_CONFIG_FILE": str(site.pki / "no-config"),
            "AWS_CA_BUNDLE": str(site.ca),
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def run(self, operation, *arguments):
        """The answer of `aws SERVICE OPERATION ARGUMENTS`."""
        aws = Path(sys.executable).with_name("aws")
        command = [aws, self.service, operation, "--endpoint-url", self.endpoint, "--output", "json", *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=CLI_WAIT_S)
        if done.returncode != 0:
            raise CliError(done.stderr.strip())
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def create_job(self, job, thing, document):
        answer = self.run("create-job", "--job-id", job, "--targets", thing_arn(thing), "--document", json.dumps(document))
        assert answer == {"jobId": job, "jobArn": f"{ACCOUNT}:job/{job}"}, answer

    def delete_job_execution(self, job, thing):
        self.run("delete-job-execution", "--job-id", job, "--thing-name", thing, "--execution-number", "1", "--force")
