"""boto3, the AWS CLI and paho against what PROTOCOL-CORE 2 describes: templates, windows, tags, namespaces; and CA certificates (1.13 and
4.4). `models.py` holds every answer against AWS's model."""

import json
import queue
import subprocess

import pytest
from asking import connects, pages, refused, wait_for
from awscrt import mqtt
from control import ACCOUNT, CliError, thing_arn
from things.base import WAIT_S
from things.device_sdk import Connection311, websocket
from things.paho_mqtt import PahoThing

MANAGED = "arn:aws:iot:us-east-1::jobtemplate"
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]})
WINDOWS = [{"startTime": "cron(0 3 ? * SUN *)", "durationInMinutes": 120}]


@pytest.fixture
def thing(site, thing_name):
    thing = PahoThing(site, thing_name)
    yield thing
    thing.close()


# -------------------------------------------------------------------------------------------------------------- templates


def test_a_job_from_a_template_and_a_template_from_a_job(iot, unique, thing_name):
    template, job = unique("template"), unique("job")
    config = {
        "timeoutConfig": {"inProgressTimeoutInMinutes": 7},
        "jobExecutionsRolloutConfig": {"maximumPerMinute": 50},
        "jobExecutionsRetryConfig": {"criteriaList": [{"failureType": "ALL", "numberOfRetries": 2}]},
    }
    arn = iot.create_job_template(jobTemplateId=template, description="d", document='{"a": 1}', maintenanceWindows=WINDOWS, **config)
    assert (arn["jobTemplateId"], arn["jobTemplateArn"]) == (template, f"{ACCOUNT}:jobtemplate/{template}")
    arn = arn["jobTemplateArn"]
    described = iot.describe_job_template(jobTemplateId=template)
    assert {key: described[key] for key in config} == config
    assert (described["description"], described["document"], described["maintenanceWindows"]) == ("d", '{"a": 1}', WINDOWS)
    refused(iot.create_job_template, "ConflictException", jobTemplateId=template, description="d", document="{}")
    targets = [thing_arn(thing_name)]
    refused(iot.create_job, "InvalidRequestException", jobId=job, targets=targets, jobTemplateArn=arn)
    iot.create_job(jobId=job, targets=targets, jobTemplateArn=arn, targetSelection="CONTINUOUS", timeoutConfig={"inProgressTimeoutInMinutes": 9})
    found = iot.describe_job(jobId=job)["job"]
    assert (found["jobTemplateArn"], found["description"], found["timeoutConfig"]) == (arn, "d", {"inProgressTimeoutInMinutes": 9})
    assert found["jobExecutionsRolloutConfig"] == config["jobExecutionsRolloutConfig"]
    assert found["schedulingConfig"]["maintenanceWindows"] == WINDOWS
    assert len(found["scheduledJobRollouts"]) == 7 and found["scheduledJobRollouts"][0]["startTime"].endswith("03:00")
    copy = unique("template")
    iot.create_job_template(jobTemplateId=copy, jobArn=f"{ACCOUNT}:job/{job}", description="a copy")
    copied = iot.describe_job_template(jobTemplateId=copy)
    assert (copied["description"], copied["document"], copied["maintenanceWindows"]) == ("a copy", '{"a": 1}', WINDOWS)
    listed = pages(iot.list_job_templates, "jobTemplates", maxResults=1)
    assert {template, copy} <= {found["jobTemplateId"] for page in listed for found in page}
    for name in (template, copy):
        iot.delete_job_template(jobTemplateId=name)
    refused(iot.describe_job_template, "ResourceNotFoundException", jobTemplateId=template)
    refused(iot.create_job, "ResourceNotFoundException", jobId=unique("job"), targets=targets, jobTemplateArn=arn)
    assert iot.describe_job(jobId=job)["job"]["status"] == "IN_PROGRESS"


@pytest.fixture(scope="module")
def managed(iot):
    return [found for page in pages(iot.list_managed_job_templates, "managedJobTemplates", maxResults=3) for found in page]


def test_every_managed_template_makes_a_job_of_its_examples(iot, unique, thing_name, managed):
    assert len(managed) == 8 and all(found["templateArn"] == f"{MANAGED}/{found['templateName']}:1.0" for found in managed)
    for found in managed:
        template = iot.describe_managed_job_template(templateName=found["templateName"])
        parameters = {known["key"]: known["example"] for known in template["documentParameters"]}
        job = unique("job")
        iot.create_job(jobId=job, targets=[thing_arn(thing_name)], jobTemplateArn=found["templateArn"], documentParameters=parameters)
        document = iot.get_job_document(jobId=job)["document"]
        assert json.loads(document)["version"] == "1.0" and "${aws:iot:parameter" not in document
        before = iot.get_job_document(jobId=job, beforeSubstitution=True)["document"]
        assert before == template["document"] and "${aws:iot:parameter:runAsUser}" in before
        assert iot.describe_job(jobId=job)["job"]["documentParameters"] == parameters
        iot.delete_job(jobId=job, force=True)


def test_parameters_that_do_not_fit_are_refused(iot, unique, thing_name):
    job = {"jobId": unique("job"), "targets": [thing_arn(thing_name)]}
    run = {"jobTemplateArn": f"{MANAGED}/AWS-Run-Command:1.0"}
    for parameters in ({}, {"command": "ls", "color": "red"}, {"command": "ls", "runAsUser": "a b"}):
        refused(iot.create_job, "InvalidRequestException", **job, **run, documentParameters=parameters)
    refused(iot.create_job, "InvalidRequestException", **job, document="{}", documentParameters={"command": "ls"})
    refused(iot.create_job, "ResourceNotFoundException", **job, jobTemplateArn=f"{MANAGED}/AWS-Reboot:9.0")
    refused(iot.describe_managed_job_template, "ResourceNotFoundException", templateName="AWS-Fly")


# ------------------------------------------------------------------------------------------------------------------- tags


def test_tags_of_everything_that_can_have_some(iot, unique, thing_name):
    tags = [{"Key": "site", "Value": "n1"}, {"Key": "straße/ä", "Value": ""}]
    made = [
        iot.create_job(jobId=unique("job"), targets=[thing_arn(thing_name)], document="{}", tags=tags)["jobArn"],
        iot.create_job_template(jobTemplateId=unique("template"), description="d", document="{}", tags=tags)["jobTemplateArn"],
        iot.create_policy(policyName=unique("policy"), policyDocument=POLICY, tags=tags)["policyArn"],
        iot.create_thing_group(thingGroupName=unique("group"), tags=tags)["thingGroupArn"],
        iot.create_thing_type(thingTypeName=unique("type"), tags=tags)["thingTypeArn"],
    ]
    for arn in made:
        assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == tags, arn
        iot.tag_resource(resourceArn=arn, tags=[{"Key": "site", "Value": "n2"}, {"Key": "more", "Value": "x"}])
        iot.untag_resource(resourceArn=arn, tagKeys=["straße/ä"])
        assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "more", "Value": "x"}, {"Key": "site", "Value": "n2"}]
    many = [{"Key": f"k{n:02}", "Value": "v"} for n in range(49)]
    refused(iot.tag_resource, "LimitExceededException", resourceArn=made[0], tags=many)
    iot.tag_resource(resourceArn=made[0], tags=many[:48])
    assert [len(page) for page in pages(iot.list_tags_for_resource, "tags", resourceArn=made[0])] == [25, 25]
    for arn, code in [(thing_arn(thing_name), "InvalidRequestException"), (f"{ACCOUNT}:job/nothing", "ResourceNotFoundException")]:
        refused(iot.list_tags_for_resource, code, resourceArn=arn)
    refused(iot.tag_resource, "InvalidRequestException", resourceArn=made[0], tags=[{"Key": "aws:x", "Value": "v"}])


def test_templates_and_tags_by_the_cli(cli_control, unique):
    aws, template = cli_control.run, unique("template")
    arn = aws("create-job-template", "--job-template-id", template, "--description", "d", "--document", "{}", "--tags", "Key=a,Value=b")["jobTemplateArn"]
    assert aws("list-tags-for-resource", "--resource-arn", arn)["tags"] == [{"Key": "a", "Value": "b"}]
    aws("untag-resource", "--resource-arn", arn, "--tag-keys", "a")
    assert aws("list-tags-for-resource", "--resource-arn", arn)["tags"] == []
    # The CLI follows `nextToken` by itself.
    assert template in [found["jobTemplateId"] for found in aws("list-job-templates", "--page-size", "1")["jobTemplates"]]
    assert len(aws("list-managed-job-templates", "--page-size", "3")["managedJobTemplates"]) == 8
    aws("delete-job-template", "--job-template-id", template)
    with pytest.raises(CliError, match="ResourceNotFoundException"):
        aws("describe-job-template", "--job-template-id", template)


# ------------------------------------------------------------------------------------------------------------- namespaces


def test_jobs_of_a_namespace_by_the_topics_of_greengrass(iot, unique, thing, thing_name):
    job, namespace = unique("deploy"), "aws-gg-deployment"
    base = f"$aws/things/{thing_name}/jobs"
    heard = queue.Queue()
    connection = thing.connection
    connection.on_message = lambda topic, payload: heard.put((topic, json.loads(payload)))
    connection.subscribe([f"{base}/notify-namespace-{namespace}", f"{base}/notify-next-namespace-{namespace}", f"{base}/+/namespace-{namespace}/+/+"])
    iot.create_job(jobId=job, targets=[thing_arn(thing_name)], document='{"a": 1}', namespaceId=namespace)
    assert iot.describe_job(jobId=job)["job"]["namespaceId"] == namespace
    assert [found["jobId"] for found in iot.list_jobs(namespaceId=namespace)["jobs"]] == [job]
    told = dict(heard.get(timeout=WAIT_S) for _ in range(2))
    assert set(told) == {f"{base}/notify-namespace-{namespace}", f"{base}/notify-next-namespace-{namespace}"}

    def ask(path, payload):
        connection.client.publish(f"{base}/{path}", json.dumps(payload), qos=1)
        return heard.get(timeout=WAIT_S)

    topic, answer = ask(f"$next/namespace-{namespace}/get", {"clientToken": "c"})
    assert topic == f"{base}/$next/namespace-{namespace}/get/accepted"
    assert (answer["execution"]["jobId"], answer["execution"]["jobDocument"]) == (job, {"a": 1})
    topic, answer = ask("$next/get", {})
    assert topic == f"{base}/$next/get/accepted" and "execution" not in answer
    topic, _ = ask(f"{job}/namespace-{namespace}/update", {"status": "IN_PROGRESS"})
    assert topic == f"{base}/{job}/namespace-{namespace}/update/accepted"
    iot.delete_job(jobId=job, force=True, namespaceId=namespace)


# --------------------------------------------------------------------------------------------------------- CA certificates


class OpenSsl:
    """A CA as the developer guide makes one, with RSA keys."""

    def __init__(self, folder):
        self.folder = folder
        self.run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", "30", "-subj", "/CN=our CA",
                 "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", "ca.key", "-out", "ca.pem")

    def run(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True, timeout=60)

    def text(self, name):
        return (self.folder / name).read_text()

    def sign(self, name, subject):
        """Certificate and key for a common name."""
        self.run("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={subject}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self.run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-sha256", "-out", f"{name}.pem")
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"


@pytest.fixture
def ours(tmp_path):
    return OpenSsl(tmp_path)


def allow_all(iot, policy, certificate_arn):
    iot.create_policy(policyName=policy, policyDocument=POLICY)
    iot.attach_policy(policyName=policy, target=certificate_arn)


def test_a_ca_of_ones_own_is_proved_and_its_certificates_are_registered(iot, site, ours, unique):
    code = iot.get_registration_code()["registrationCode"]
    body = {"caCertificate": ours.text("ca.pem")}
    wrong = ours.sign("wrong", "not the code")[0].read_text()
    refused(iot.register_ca_certificate, "RegistrationCodeValidationException", **body, verificationCertificate=wrong)
    proof = ours.sign("proof", code)[0].read_text()
    made = iot.register_ca_certificate(**body, verificationCertificate=proof, setAsActive=True, tags=[{"Key": "a", "Value": "b"}])
    authority = made["certificateId"]
    assert made["certificateArn"] == f"{ACCOUNT}:cacert/{authority}"
    assert iot.list_tags_for_resource(resourceArn=made["certificateArn"])["tags"] == [{"Key": "a", "Value": "b"}]
    described = iot.describe_ca_certificate(certificateId=authority)["certificateDescription"]
    assert (described["status"], described["autoRegistrationStatus"], described["certificateMode"]) == ("ACTIVE", "DISABLE", "DEFAULT")
    assert authority in [found["certificateId"] for found in iot.list_ca_certificates()["certificates"]]
    certificate, name = ours.sign("device", "whatever"), unique("thing")
    issued = iot.register_certificate(certificatePem=certificate[0].read_text(), caCertificatePem=body["caCertificate"], status="ACTIVE")
    assert iot.describe_certificate(certificateId=issued["certificateId"])["certificateDescription"]["caCertificateId"] == authority
    assert [found["certificateId"] for found in iot.list_certificates_by_ca(caCertificateId=authority)["certificates"]] == [issued["certificateId"]]
    iot.create_thing(thingName=name)
    iot.attach_thing_principal(thingName=name, principal=issued["certificateArn"])
    allow_all(iot, unique("policy"), issued["certificateArn"])
    assert connects(site, name, certificate)
    refused(iot.delete_ca_certificate, "CertificateStateException", certificateId=authority)
    iot.update_ca_certificate(certificateId=authority, newStatus="INACTIVE")
    assert connects(site, name, certificate)
    other = ours.sign("other", "x")[0].read_text()
    refused(iot.register_certificate, "CertificateStateException", certificatePem=other)
    iot.delete_ca_certificate(certificateId=authority)
    refused(iot.describe_ca_certificate, "ResourceNotFoundException", certificateId=authority)


def test_just_in_time_registration(iot, site, ours, unique, thing_name):
    made = iot.register_ca_certificate(
        caCertificate=ours.text("ca.pem"), certificateMode="SNI_ONLY", setAsActive=True, allowAutoRegistration=True
    )
    authority, topic = made["certificateId"], f"$aws/events/certificates/registered/{made['certificateId']}"
    told = []
    owner = Connection311(site, thing_name, lambda heard, payload: told.append((heard, json.loads(payload))), connect=websocket())
    owner.protocol_client.subscribe(topic, mqtt.QoS.AT_LEAST_ONCE)[0].result(WAIT_S)
    certificate, name = ours.sign("device", "whatever"), unique("thing")
    iot.create_thing(thingName=name)
    assert not connects(site, name, certificate)
    found = iot.list_certificates_by_ca(caCertificateId=authority)["certificates"]
    assert [one["status"] for one in found] == ["PENDING_ACTIVATION"]
    wait_for("the registration is told", lambda: told)
    assert told[0][0] == topic and told[0][1]["certificateId"] == found[0]["certificateId"] and told[0][1]["caCertificateId"] == authority
    iot.update_certificate(certificateId=found[0]["certificateId"], newStatus="ACTIVE")
    iot.attach_thing_principal(thingName=name, principal=found[0]["certificateArn"])
    allow_all(iot, unique("policy"), found[0]["certificateArn"])
    assert connects(site, name, certificate)
    owner.close()
