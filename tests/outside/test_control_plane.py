"""boto3's `iot` against the control plane (PROTOCOL 11). `models.py` holds every answer against AWS's own model of it."""

import datetime
import json
import time

import pytest
from awscrt import mqtt
from asking import pages, refused, wait_for
from control import ACCOUNT, Boto3, thing_arn
from things.base import WAIT_S
from things.device_sdk import Connection311, websocket
from things.paho_mqtt import PahoThing


@pytest.fixture
def group(iot, unique):
    """A function that makes a group with these things."""

    def make(*things):
        name = unique("group")
        arn = iot.create_thing_group(thingGroupName=name)["thingGroupArn"]
        assert arn == f"{ACCOUNT}:thinggroup/{name}"
        for thing in things:
            iot.add_thing_to_thing_group(thingGroupName=name, thingName=thing)
        return name, arn

    return make


@pytest.fixture
def created(iot, unique):
    """A function that makes a job for a thing."""

    def make(thing, **more):
        job = unique("job")
        iot.create_job(jobId=job, targets=[thing_arn(thing)], document="{}", **more)
        return job

    return make


@pytest.fixture
def thing(site, thing_name):
    thing = PahoThing(site, thing_name)
    yield thing
    thing.close()


def statuses(iot, job):
    found = iot.list_job_executions_for_job(jobId=job)["executionSummaries"]
    return {summary["thingArn"].rpartition("/")[2]: summary["jobExecutionSummary"]["status"] for summary in found}


# ------------------------------------------------------------------------------------------------------------------- jobs

FULL = {
    "description": "meter firmware 2.4.1",
    "presignedUrlConfig": {"roleArn": "arn:aws:iam::111122223333:role/JobsS3Read", "expiresInSec": 600},
    "jobExecutionsRolloutConfig": {
        "maximumPerMinute": 900,
        "exponentialRate": {"baseRatePerMinute": 50, "incrementFactor": 1.5, "rateIncreaseCriteria": {"numberOfSucceededThings": 10}},
    },
    "abortConfig": {
        "criteriaList": [{"failureType": "FAILED", "action": "CANCEL", "thresholdPercentage": 12.5, "minNumberOfExecutedThings": 20}]
    },
    "timeoutConfig": {"inProgressTimeoutInMinutes": 60},
    "jobExecutionsRetryConfig": {"criteriaList": [{"failureType": "TIMED_OUT", "numberOfRetries": 2}]},
}


def test_a_job_in_full_is_described_as_it_was_created(iot, unique, group, thing_name, other_thing_name):
    _, group_arn = group(other_thing_name)
    job, targets = unique("job"), [thing_arn(thing_name), group_arn]
    document = json.dumps({"operation": "firmware", "url": "${aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/b/fw.bin}"})
    answer = iot.create_job(jobId=job, targets=targets, targetSelection="CONTINUOUS", document=document, **FULL)
    assert (answer["jobId"], answer["jobArn"]) == (job, f"{ACCOUNT}:job/{job}")
    assert answer["description"] == FULL["description"]
    described = iot.describe_job(jobId=job)["job"]
    assert {key: described[key] for key in FULL} == FULL
    assert sorted(described["targets"]) == sorted(targets)
    assert (described["targetSelection"], described["status"]) == ("CONTINUOUS", "IN_PROGRESS")
    assert "completedAt" not in described and "reasonCode" not in described
    # Placeholders are replaced for devices only (PROTOCOL 17.1).
    assert iot.get_job_document(jobId=job)["document"] == document
    iot.delete_job(jobId=job, force=True)


def test_the_least_a_job_needs(iot, thing_name, created):
    job = created(thing_name)
    described = iot.describe_job(jobId=job)["job"]
    assert described["targetSelection"] == "SNAPSHOT" and described["targets"] == [thing_arn(thing_name)]
    assert described["jobProcessDetails"]["numberOfQueuedThings"] == 1
    now = datetime.datetime.now(datetime.timezone.utc)
    assert abs((now - described["createdAt"]).total_seconds()) < 60


def test_what_a_job_cannot_be_is_refused(iot, unique, thing_name, created):
    targets, job = [thing_arn(thing_name)], created(thing_name)
    refused(iot.create_job, "ResourceAlreadyExistsException", jobId=job, targets=targets, document="{}")
    refused(iot.create_job, "ResourceNotFoundException", jobId=unique("job"), targets=[thing_arn("nobody")], document="{}")
    refused(iot.create_job, "ResourceNotFoundException", jobId=unique("job"), targets=[f"{ACCOUNT}:thinggroup/nothing"], document="{}")
    many = [thing_arn(f"thing-{n}") for n in range(101)]
    refused(iot.create_job, "LimitExceededException", jobId=unique("job"), targets=many, document="{}")


WRONG = (
    {"targets": ["arn:aws:s3:::bucket"]},
    {"document": "no JSON"},
    {"document": json.dumps("x" * 32_768)},
    {"description": "x" * 2_029},
    {"jobExecutionsRolloutConfig": {"exponentialRate": FULL["jobExecutionsRolloutConfig"]["exponentialRate"] | {"incrementFactor": 6.0}}},
    {"timeoutConfig": {"inProgressTimeoutInMinutes": 10_081}},
    {"presignedUrlConfig": {"roleArn": "arn:aws:iam::111122223333:role/R", "expiresInSec": 3_601}},
    {"jobExecutionsRetryConfig": {"criteriaList": [{"failureType": "ALL", "numberOfRetries": 11}]}},
    {"abortConfig": {"criteriaList": [FULL["abortConfig"]["criteriaList"][0] | {"thresholdPercentage": 101.0}]}},
    {"document": None},
)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: next(iter(wrong)))
def test_what_is_over_a_limit_is_refused(iot, unique, wrong):
    name = unique("thing")
    iot.create_thing(thingName=name)
    arguments = {"jobId": unique("job"), "targets": [thing_arn(name)], "document": "{}"} | wrong
    refused(iot.create_job, "InvalidRequestException", **{key: value for key, value in arguments.items() if value is not None})


def test_jobs_are_listed_page_by_page_and_by_what_they_are(iot, unique, group, thing_name):
    name, arn = group(thing_name)
    jobs = [unique("listed") for _ in range(5)]
    for job in jobs:
        iot.create_job(jobId=job, targets=[arn], document="{}", targetSelection="CONTINUOUS")
    found = pages(iot.list_jobs, "jobs", thingGroupName=name, maxResults=2)
    assert [len(page) for page in found] == [2, 2, 1]
    assert {summary["jobId"] for page in found for summary in page} == set(jobs)
    iot.cancel_job(jobId=jobs[0])
    in_progress = pages(iot.list_jobs, "jobs", status="IN_PROGRESS", targetSelection="CONTINUOUS", thingGroupName=name)
    assert {summary["jobId"] for page in in_progress for summary in page} == set(jobs[1:])
    canceled = pages(iot.list_jobs, "jobs", status="CANCELED", thingGroupName=name)
    assert [summary["jobId"] for page in canceled for summary in page] == jobs[:1]
    refused(iot.list_jobs, "InvalidRequestException", nextToken="never given out")


def test_a_job_is_updated(iot, thing_name, created):
    job = created(thing_name)
    changes = {key: FULL[key] for key in ("description", "timeoutConfig", "jobExecutionsRetryConfig", "abortConfig")}
    iot.update_job(jobId=job, **changes)
    described = iot.describe_job(jobId=job)["job"]
    assert {key: described[key] for key in changes} == changes
    refused(iot.update_job, "InvalidRequestException", jobId=job, description="x" * 2_029)


def test_a_continuous_job_takes_more_targets(iot, unique, group, thing_name, other_thing_name, created):
    _, arn = group(thing_name)
    job = unique("job")
    iot.create_job(jobId=job, targets=[arn], targetSelection="CONTINUOUS", document="{}")
    answer = iot.associate_targets_with_job(jobId=job, targets=[thing_arn(other_thing_name)], comment="one more")
    assert answer["jobId"] == job
    wait_for("both are queued", lambda: statuses(iot, job) == {thing_name: "QUEUED", other_thing_name: "QUEUED"})
    assert thing_arn(other_thing_name) in iot.describe_job(jobId=job)["job"]["targets"]
    snapshot = created(thing_name)
    refused(iot.associate_targets_with_job, "InvalidRequestException", jobId=snapshot, targets=[thing_arn(other_thing_name)])


def test_members_of_a_group_come_to_a_continuous_job_and_leave_it(iot, unique, group, thing_name, other_thing_name):
    name, arn = group(thing_name)
    job = unique("job")
    iot.create_job(jobId=job, targets=[arn], targetSelection="CONTINUOUS", document="{}")
    iot.add_thing_to_thing_group(thingGroupName=name, thingName=other_thing_name)
    wait_for("both are queued", lambda: statuses(iot, job) == {thing_name: "QUEUED", other_thing_name: "QUEUED"})
    iot.remove_thing_from_thing_group(thingGroupName=name, thingName=thing_name)
    wait_for("one is removed", lambda: statuses(iot, job) == {thing_name: "REMOVED", other_thing_name: "QUEUED"})


def test_a_scheduled_job_waits_and_is_on_no_device(iot, unique, thing):
    start = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=2)
    window = {"startTime": f"{start:%Y-%m-%d %H:%M}", "endTime": f"{start + datetime.timedelta(hours=2):%Y-%m-%d %H:%M}", "endBehavior": "CANCEL"}
    job, arguments = unique("job"), {"targets": [thing_arn(thing.name)], "document": "{}"}
    iot.create_job(jobId=job, schedulingConfig=window, **arguments)
    described = iot.describe_job(jobId=job)["job"]
    assert described["status"] == "SCHEDULED" and described["schedulingConfig"] == window
    _, answer = thing.ask("get", {})
    assert answer["queuedJobs"] == []
    soon = f"{datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=5):%Y-%m-%d %H:%M}"
    refused(iot.create_job, "InvalidRequestException", jobId=unique("job"), schedulingConfig={"startTime": soon}, **arguments)
    iot.cancel_job(jobId=job)
    assert iot.describe_job(jobId=job)["job"]["status"] == "CANCELED"


def test_cancelling_a_job_takes_what_is_queued_and_with_force_what_runs(iot, unique, group, thing, other_thing_name):
    _, arn = group(thing.name, other_thing_name)

    def run(job):
        iot.create_job(jobId=job, targets=[arn], document="{}")
        thing.told(2)
        assert thing.ask("start-next", {})[1]["execution"]["jobId"] == job
        return job

    job = run(unique("job"))
    answer = iot.cancel_job(jobId=job, reasonCode="NOT_NOW", comment="later")
    assert answer["jobId"] == job
    assert statuses(iot, job) == {thing.name: "IN_PROGRESS", other_thing_name: "CANCELED"}
    described = iot.describe_job(jobId=job)["job"]
    assert (described["status"], described["reasonCode"], described["comment"]) == ("CANCELED", "NOT_NOW", "later")
    assert thing.ask(f"{job}/update", {"status": "SUCCEEDED"})[0]
    thing.told(2)

    job = run(unique("job"))
    iot.cancel_job(jobId=job, force=True)
    assert statuses(iot, job) == {thing.name: "CANCELED", other_thing_name: "CANCELED"}
    described = iot.describe_job(jobId=job)["job"]
    assert described["forceCanceled"] and described["jobProcessDetails"]["numberOfCanceledThings"] == 2
    thing.told(2)
    accepted, answer = thing.ask(f"{job}/update", {"status": "SUCCEEDED"})
    assert (accepted, answer["code"]) == (False, "InvalidStateTransition")
    refused(iot.cancel_job, "InvalidRequestException", jobId=job, reasonCode="lower case")


def test_a_job_is_deleted_when_it_is_over_or_by_force(iot, thing, created):
    job = created(thing.name)
    thing.told(2)
    refused(iot.delete_job, "InvalidStateTransitionException", jobId=job)
    iot.cancel_job(jobId=job)
    thing.told(2)
    iot.delete_job(jobId=job)
    gone = lambda job: not any(summary["jobId"] == job for page in pages(iot.list_jobs, "jobs") for summary in page)
    wait_for("it is gone", lambda: gone(job))
    refused(iot.describe_job, "ResourceNotFoundException", jobId=job)

    job = created(thing.name)
    thing.told(2)
    thing.ask("start-next", {})
    iot.delete_job(jobId=job, force=True)
    wait_for("it is gone", lambda: gone(job))
    thing.told(2)
    accepted, answer = thing.ask(f"{job}/update", {"status": "SUCCEEDED"})
    assert (accepted, answer["code"]) == (False, "ResourceNotFound")


# ------------------------------------------------------------------------------------------------------------- executions


def test_an_execution_is_described_with_nested_details_and_an_arn(iot, thing, created):
    job = created(thing.name, timeoutConfig={"inProgressTimeoutInMinutes": 60})
    thing.told(2)
    described = iot.describe_job_execution(jobId=job, thingName=thing.name)["execution"]
    assert (described["status"], described["versionNumber"], described["executionNumber"]) == ("QUEUED", 1, 1)
    assert "startedAt" not in described and "approximateSecondsBeforeTimedOut" not in described
    thing.ask("start-next", {"statusDetails": {"step": "download"}})
    described = iot.describe_job_execution(jobId=job, thingName=thing.name, executionNumber=1)["execution"]
    assert described["thingArn"] == thing_arn(thing.name)
    assert described["statusDetails"] == {"detailsMap": {"step": "download"}}
    assert (described["status"], described["versionNumber"]) == ("IN_PROGRESS", 2)
    assert 3_500 < described["approximateSecondsBeforeTimedOut"] <= 3_600
    assert "jobDocument" not in described
    refused(iot.describe_job_execution, "ResourceNotFoundException", jobId=job, thingName=thing.name, executionNumber=9)


def test_executions_are_listed_by_job_and_by_thing(iot, unique, group, things_left, created):
    things = [next(things_left) for _ in range(3)]
    _, arn = group(*things)
    job = unique("job")
    iot.create_job(jobId=job, targets=[arn], document="{}")
    found = pages(iot.list_job_executions_for_job, "executionSummaries", jobId=job, maxResults=2)
    assert [len(page) for page in found] == [2, 1]
    assert {summary["thingArn"] for page in found for summary in page} == {thing_arn(name) for name in things}
    summary = found[0][0]["jobExecutionSummary"]
    assert (summary["status"], summary["executionNumber"]) == ("QUEUED", 1)
    assert iot.list_job_executions_for_job(jobId=job, status="FAILED")["executionSummaries"] == []

    jobs = [job, *(created(things[0]) for _ in range(2))]
    found = pages(iot.list_job_executions_for_thing, "executionSummaries", thingName=things[0], maxResults=1)
    assert [len(page) for page in found] == [1, 1, 1]
    assert {summary["jobId"] for page in found for summary in page} == set(jobs)
    one = iot.list_job_executions_for_thing(thingName=things[0], jobId=job, status="QUEUED")["executionSummaries"]
    assert [summary["jobId"] for summary in one] == [job]


def test_an_execution_is_cancelled(iot, thing, created):
    job = created(thing.name)
    thing.told(2)
    here = {"jobId": job, "thingName": thing.name}
    refused(iot.cancel_job_execution, "VersionConflictException", **here, expectedVersion=7)
    thing.ask("start-next", {})
    refused(iot.cancel_job_execution, "InvalidStateTransitionException", **here)
    iot.cancel_job_execution(**here, force=True, expectedVersion=2, statusDetails={"by": "hand"})
    assert sorted(topic for topic, _ in thing.told(2)) == ["notify", "notify-next"]
    described = iot.describe_job_execution(**here)["execution"]
    assert (described["status"], described["statusDetails"]) == ("CANCELED", {"detailsMap": {"by": "hand"}})
    assert described["forceCanceled"]
    refused(iot.cancel_job_execution, "InvalidStateTransitionException", **here, force=True)

    job = created(thing.name)
    thing.told(2)
    iot.cancel_job_execution(jobId=job, thingName=thing.name)
    thing.told(2)
    assert statuses(iot, job) == {thing.name: "CANCELED"}


def test_an_execution_is_deleted(iot, thing, created):
    job = created(thing.name)
    thing.told(2)
    here = {"jobId": job, "thingName": thing.name, "executionNumber": 1}
    thing.ask("start-next", {})
    refused(iot.delete_job_execution, "InvalidStateTransitionException", **here)
    thing.ask(f"{job}/update", {"status": "FAILED"})
    thing.told(2)
    iot.delete_job_execution(**here)
    assert statuses(iot, job) == {}
    assert thing.ask(f"{job}/get", {})[1]["code"] == "ResourceNotFound"
    refused(iot.delete_job_execution, "ResourceNotFoundException", **here)


# ----------------------------------------------------------------------------------------------------- endpoints, events, errors


def test_every_type_of_endpoint_has_an_address(iot, site):
    host = site.mqtt[0]
    for kind in ("iot:Data", "iot:Data-ATS", "iot:CredentialProvider", "iot:Jobs"):
        address = iot.describe_endpoint(endpointType=kind)["endpointAddress"]
        assert address.startswith(host) and "://" not in address, (kind, address)
    # Where nothing is asked for, and where MQTT is.
    assert iot.describe_endpoint()["endpointAddress"]
    assert iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"] == f"{host}:{site.mqtt[1]}"
    refused(iot.describe_endpoint, "InvalidRequestException", endpointType="iot:Nothing")


def test_events_of_jobs_are_published_once_they_are_enabled(iot, site, thing, other_thing_name, created):
    events, heard = ("JOB", "JOB_EXECUTION"), []
    # Whoever signs may hear them; things may not.
    watcher = Connection311(site, other_thing_name, lambda topic, payload: heard.append((topic, json.loads(payload))), connect=websocket())
    for topics in ("$aws/events/job/#", "$aws/events/jobExecution/#"):
        watcher.protocol_client.subscribe(topics, mqtt.QoS.AT_LEAST_ONCE)[0].result(WAIT_S)

    def run(end):
        job = created(thing.name)
        thing.told(2)
        thing.ask(f"{job}/update", {"status": end, "statusDetails": {"progress": "100"}})
        thing.told(2)
        return job

    try:
        iot.update_event_configurations(eventConfigurations={key: {"Enabled": False} for key in events})
        run("SUCCEEDED")
        iot.update_event_configurations(eventConfigurations={key: {"Enabled": True} for key in events})
        configured = iot.describe_event_configurations()["eventConfigurations"]
        assert all(configured[key] == {"Enabled": True} for key in events)
        job = run("REJECTED")
        wait_for("both events came", lambda: len(heard) >= 2)
        heard = dict(heard)
        execution = heard[f"$aws/events/jobExecution/{job}/rejected"]
        assert (execution["eventType"], execution["operation"], execution["status"]) == ("JOB_EXECUTION", "rejected", "REJECTED")
        assert (execution["thingArn"], execution["statusDetails"]) == (thing_arn(thing.name), {"progress": "100"})
        completed = heard[f"$aws/events/job/{job}/completed"]
        assert (completed["eventType"], completed["operation"], completed["status"]) == ("JOB", "completed", "COMPLETED")
        assert completed["jobProcessDetails"]["numberOfRejectedThings"] == 1
        assert all(type(event["timestamp"]) is int and event["eventId"] for event in heard.values())
        assert len(heard) == 2, "nothing of the job before they were enabled"
    finally:
        iot.update_event_configurations(eventConfigurations={key: {"Enabled": False} for key in events})
        watcher.close()


def test_what_is_not_there_is_not_found(iot, thing_name):
    for call, arguments in (
        (iot.describe_job, {}),
        (iot.get_job_document, {}),
        (iot.update_job, {"description": "x"}),
        (iot.cancel_job, {}),
        (iot.delete_job, {}),
        (iot.associate_targets_with_job, {"targets": [thing_arn(thing_name)]}),
        (iot.list_job_executions_for_job, {}),
        (iot.describe_job_execution, {"thingName": thing_name}),
        (iot.cancel_job_execution, {"thingName": thing_name}),
        (iot.delete_job_execution, {"thingName": thing_name, "executionNumber": 1}),
    ):
        refused(call, "ResourceNotFoundException", jobId="nothing", **arguments)


def test_an_operation_that_is_not_served_is_refused_at_once(iot):
    begun = time.monotonic()
    refused(iot.list_streams, "UnknownOperationException")
    refused(iot.describe_account_audit_configuration, "UnknownOperationException")
    assert time.monotonic() - begun < 2


def test_another_key_is_refused(site):
    class Stranger(type(site)):
        def keys(self):
            return super().keys() | {"aws_secret_access_key": "a guess"}

    stranger = Boto3(Stranger(**vars(site)))
    answer = refused(stranger.iot.list_jobs, "InvalidSignatureException")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403
