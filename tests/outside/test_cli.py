"""The AWS CLI, as the README and the tutorials use it."""

import json

import pytest
from control import ACCOUNT, CliError, thing_arn


def test_a_job_by_the_cli(cli_control, site, unique, thing_name):
    job, aws = unique("cli"), cli_control.run
    rollout = {"exponentialRate": {"baseRatePerMinute": 50, "incrementFactor": 2.0, "rateIncreaseCriteria": {"numberOfNotifiedThings": 5}}}
    answer = aws(
        *("create-job", "--job-id", job, "--targets", thing_arn(thing_name), "--document", json.dumps({"operation": "reboot"})),
        *("--description", "by hand", "--job-executions-rollout-config", json.dumps(rollout)),
        *("--timeout-config", "inProgressTimeoutInMinutes=30"),
    )
    assert answer == {"jobArn": f"{ACCOUNT}:job/{job}", "jobId": job, "description": "by hand"}
    described = aws("describe-job", "--job-id", job)["job"]
    assert (described["status"], described["targets"]) == ("IN_PROGRESS", [thing_arn(thing_name)])
    assert (described["timeoutConfig"], described["jobExecutionsRolloutConfig"]) == ({"inProgressTimeoutInMinutes": 30}, rollout)
    assert json.loads(aws("get-job-document", "--job-id", job)["document"]) == {"operation": "reboot"}
    execution = aws("describe-job-execution", "--job-id", job, "--thing-name", thing_name)["execution"]
    assert (execution["status"], execution["thingArn"]) == ("QUEUED", thing_arn(thing_name))
    # The CLI follows `nextToken` by itself.
    assert job in [found["jobId"] for found in aws("list-jobs", "--page-size", "2")["jobs"]]
    aws("cancel-job", "--job-id", job, "--comment", "done with it")
    assert aws("describe-job", "--job-id", job)["job"]["status"] == "CANCELED"
    aws("delete-job", "--job-id", job)


@pytest.mark.parametrize("kind", ["iot:Data-ATS", "iot:Jobs"])
def test_endpoints_by_the_cli(cli_control, site, kind):
    address = cli_control.run("describe-endpoint", "--endpoint-type", kind)["endpointAddress"]
    assert address.startswith(site.mqtt[0])


def test_errors_by_the_cli(cli_control):
    with pytest.raises(CliError, match=r"\(ResourceNotFoundException\) when calling the DescribeJob operation"):
        cli_control.run("describe-job", "--job-id", "nothing")
