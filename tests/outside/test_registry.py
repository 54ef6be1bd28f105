"""boto3's `iot` against the registry: things, types, groups, certificates, policies. `models.py` holds every answer against AWS's model."""

import json

import pytest
from asking import connects, pages, refused
from control import ACCOUNT

POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]})


def test_a_thing_from_creation_to_deletion(iot, unique):
    kind, name = unique("type"), unique("thing")
    answer = iot.create_thing_type(thingTypeName=kind, thingTypeProperties={"thingTypeDescription": "a meter"})
    assert answer["thingTypeName"] == kind and answer["thingTypeId"]
    answer = iot.create_thing(thingName=name, thingTypeName=kind, attributePayload={"attributes": {"site": "eu"}})
    assert (answer["thingName"], answer["thingArn"]) == (name, f"{ACCOUNT}:thing/{name}") and answer["thingId"]
    described = iot.describe_thing(thingName=name)
    assert (described["thingTypeName"], described["attributes"], described["version"]) == (kind, {"site": "eu"}, 1)
    assert described["thingId"] == answer["thingId"] and described["defaultClientId"] == name
    iot.update_thing(thingName=name, attributePayload={"attributes": {"floor": "2"}, "merge": True}, expectedVersion=1)
    described = iot.describe_thing(thingName=name)
    assert (described["attributes"], described["version"]) == ({"site": "eu", "floor": "2"}, 2)
    refused(iot.update_thing, "VersionConflictException", thingName=name, removeThingType=True, expectedVersion=1)
    listed = pages(iot.list_things, "things", thingTypeName=kind)
    assert [thing["thingName"] for page in listed for thing in page] == [name]
    iot.delete_thing(thingName=name)
    refused(iot.describe_thing, "ResourceNotFoundException", thingName=name)


def test_a_thing_created_again_is_the_same_or_refused(iot, unique):
    name = unique("thing")
    first = iot.create_thing(thingName=name, attributePayload={"attributes": {"a": "1"}})
    again = iot.create_thing(thingName=name, attributePayload={"attributes": {"a": "1"}})
    assert first["thingId"] == again["thingId"]
    refused(iot.create_thing, "ResourceAlreadyExistsException", thingName=name, attributePayload={"attributes": {"a": "2"}})
    refused(iot.create_thing, "ResourceNotFoundException", thingName=unique("thing"), thingTypeName="nothing")


def test_things_are_listed_page_by_page(iot, unique):
    names = [unique("paged") for _ in range(3)]
    for name in names:
        iot.create_thing(thingName=name, attributePayload={"attributes": {"page": "turner"}})
    found = pages(iot.list_things, "things", attributeName="page", attributeValue="turner", maxResults=2)
    assert [len(page) for page in found] == [2, 1]
    assert {thing["thingName"] for page in found for thing in page} == set(names)


def test_a_thing_type_goes_only_after_it_is_deprecated(iot, unique):
    kind = unique("type")
    iot.create_thing_type(thingTypeName=kind)
    refused(iot.delete_thing_type, "InvalidRequestException", thingTypeName=kind)
    iot.deprecate_thing_type(thingTypeName=kind)
    assert iot.describe_thing_type(thingTypeName=kind)["thingTypeMetadata"]["deprecated"] is True
    refused(iot.create_thing, "InvalidRequestException", thingName=unique("thing"), thingTypeName=kind)
    assert kind in [found["thingTypeName"] for page in pages(iot.list_thing_types, "thingTypes") for found in page]


def test_groups_have_members_and_members_have_groups(iot, unique):
    group, names = unique("group"), [unique("thing") for _ in range(3)]
    answer = iot.create_thing_group(thingGroupName=group, thingGroupProperties={"thingGroupDescription": "some"})
    assert answer["thingGroupArn"] == f"{ACCOUNT}:thinggroup/{group}"
    for name in names:
        iot.create_thing(thingName=name)
        iot.add_thing_to_thing_group(thingGroupArn=answer["thingGroupArn"], thingArn=f"{ACCOUNT}:thing/{name}")
    found = pages(iot.list_things_in_thing_group, "things", thingGroupName=group, maxResults=2)
    assert [len(page) for page in found] == [2, 1] and {name for page in found for name in page} == set(names)
    assert iot.list_thing_groups_for_thing(thingName=names[0])["thingGroups"] == [{"groupName": group, "groupArn": answer["thingGroupArn"]}]
    assert group in [found["groupName"] for page in pages(iot.list_thing_groups, "thingGroups", maxResults=50) for found in page]
    described = iot.describe_thing_group(thingGroupName=group)
    assert described["thingGroupProperties"]["thingGroupDescription"] == "some"
    iot.remove_thing_from_thing_group(thingGroupName=group, thingName=names[0])
    iot.delete_thing(thingName=names[1])
    assert iot.list_things_in_thing_group(thingGroupName=group)["things"] == names[2:]
    iot.delete_thing_group(thingGroupName=group)
    refused(iot.describe_thing_group, "ResourceNotFoundException", thingGroupName=group)
    refused(iot.add_thing_to_thing_group, "ResourceNotFoundException", thingGroupName=group, thingName=names[2])


@pytest.fixture
def provisioned(iot, unique, tmp_path):
    """A thing as the first-time user makes it: certificate and key, policy, thing, and all attached."""
    name, policy = unique("provisioned"), unique("policy")
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.create_policy(policyName=policy, policyDocument=POLICY)
    iot.attach_policy(policyName=policy, target=made["certificateArn"])
    iot.create_thing(thingName=name)
    iot.attach_thing_principal(thingName=name, principal=made["certificateArn"])
    certificate, key = tmp_path / "certificate.pem", tmp_path / "private.pem"
    certificate.write_text(made["certificatePem"])
    key.write_text(made["keyPair"]["PrivateKey"])
    return name, policy, made, (certificate, key)


def test_a_thing_provisioned_by_hand_connects_until_its_certificate_is_revoked(iot, site, provisioned):
    name, policy, made, certificate = provisioned
    assert connects(site, name, certificate)
    iot.update_certificate(certificateId=made["certificateId"], newStatus="INACTIVE")
    assert not connects(site, name, certificate)
    iot.update_certificate(certificateId=made["certificateId"], newStatus="ACTIVE")
    assert connects(site, name, certificate)
    iot.update_certificate(certificateId=made["certificateId"], newStatus="REVOKED")
    assert not connects(site, name, certificate)


def test_what_is_attached_is_listed_and_is_not_deleted(iot, provisioned):
    name, policy, made, _ = provisioned
    certificate, arn = made["certificateId"], made["certificateArn"]
    assert arn == f"{ACCOUNT}:cert/{certificate}"
    described = iot.describe_certificate(certificateId=certificate)["certificateDescription"]
    assert (described["status"], described["certificateArn"]) == ("ACTIVE", arn)
    assert described["certificatePem"].strip() == made["certificatePem"].strip()
    assert certificate in [found["certificateId"] for page in pages(iot.list_certificates, "certificates") for found in page]
    assert iot.list_thing_principals(thingName=name)["principals"] == [arn]
    assert iot.list_principal_things(principal=arn)["things"] == [name]
    assert [found["policyName"] for found in iot.list_attached_policies(target=arn)["policies"]] == [policy]
    assert iot.list_targets_for_policy(policyName=policy)["targets"] == [arn]
    assert json.loads(iot.get_policy(policyName=policy)["policyDocument"]) == json.loads(POLICY)

    refused(iot.delete_policy, "DeleteConflictException", policyName=policy)
    refused(iot.delete_thing, "InvalidRequestException", thingName=name)
    refused(iot.delete_certificate, "CertificateStateException", certificateId=certificate)
    iot.update_certificate(certificateId=certificate, newStatus="INACTIVE")
    refused(iot.delete_certificate, "DeleteConflictException", certificateId=certificate)

    iot.detach_policy(policyName=policy, target=arn)
    iot.detach_thing_principal(thingName=name, principal=arn)
    iot.delete_certificate(certificateId=certificate)
    iot.delete_policy(policyName=policy)
    iot.delete_thing(thingName=name)
    refused(iot.describe_certificate, "ResourceNotFoundException", certificateId=certificate)
    refused(iot.get_policy, "ResourceNotFoundException", policyName=policy)


def test_a_policy_has_a_name_of_its_own_and_must_be_one(iot, unique):
    name = unique("policy")
    iot.create_policy(policyName=name, policyDocument=POLICY)
    refused(iot.create_policy, "ResourceAlreadyExistsException", policyName=name, policyDocument=POLICY)
    refused(iot.create_policy, "MalformedPolicyException", policyName=unique("policy"), policyDocument="no JSON")
    assert name in [found["policyName"] for page in pages(iot.list_policies, "policies") for found in page]
