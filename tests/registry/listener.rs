//! Signed calls in AWS's shapes (botocore's `iot/2015-05-28` model).

use crate::common::Endpoint;
use serde_json::{Value, json};

pub(crate) const ARN: &str = "arn:aws:iot:us-east-1:111122223333:";
const DOCUMENT: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}"#;

#[track_caller]
pub(crate) fn ok(endpoint: &Endpoint, method: &str, path: &str, body: &Value) -> Value {
    let (status, error, answer) = endpoint.call(method, path, &text(body), |_| {});
    assert_eq!(status, 200, "{method} {path}: {error:?} {answer}");
    answer
}

#[track_caller]
pub(crate) fn refused(endpoint: &Endpoint, method: &str, path: &str, body: &Value, expected: (u16, &str)) -> Value {
    let (status, error, answer) = endpoint.call(method, path, &text(body), |_| {});
    assert_eq!((status, error.as_deref()), (expected.0, Some(expected.1)), "{method} {path} {body}: {answer}");
    assert!(answer["message"].is_string());
    answer
}

fn text(body: &Value) -> String {
    if body.is_null() { String::new() } else { body.to_string() }
}

/// A call whose header names a principal.
#[track_caller]
pub(crate) fn with_principal(endpoint: &Endpoint, method: &str, path: &str, arn: &str) -> Value {
    let headers = [("x-amzn-principal", arn), ("x-amzn-iot-principal", arn)];
    let (status, error, answer) = endpoint.call_with((method, path, ""), &headers, |_| {});
    assert_eq!(status, 200, "{method} {path}: {error:?} {answer}");
    answer
}

const INVALID: (u16, &str) = (400, "InvalidRequestException");
const NOT_FOUND: (u16, &str) = (404, "ResourceNotFoundException");
const EXISTS: (u16, &str) = (409, "ResourceAlreadyExistsException");
const CONFLICT: (u16, &str) = (409, "DeleteConflictException");

#[test]
fn things_and_types_in_awss_shapes() {
    let endpoint = Endpoint::start(&[]);
    let e = &endpoint;
    let made = ok(e, "POST", "/thing-types/meter", &json!({"thingTypeProperties": {"searchableAttributes": ["site"]}}));
    assert_eq!(made["thingTypeArn"], format!("{ARN}thingtype/meter"));
    let body = json!({"thingTypeName": "meter", "attributePayload": {"attributes": {"site": "a/1"}}});
    let made = ok(e, "POST", "/things/m%3A1", &body);
    assert_eq!((&made["thingName"], &made["thingArn"]), (&json!("m:1"), &json!(format!("{ARN}thing/m:1"))));
    assert_eq!(ok(e, "POST", "/things/m:1", &body), made, "again, as it is");
    let error = refused(e, "POST", "/things/m:1", &json!({}), EXISTS);
    assert_eq!((&error["resourceArn"], &error["resourceId"]), (&made["thingArn"], &made["thingId"]));
    let described = ok(e, "GET", "/things/m:1", &Value::Null);
    assert_eq!(
        described,
        json!({
            "defaultClientId": "m:1", "thingName": "m:1", "thingId": made["thingId"], "thingArn": made["thingArn"],
            "thingTypeName": "meter", "attributes": {"site": "a/1"}, "version": 1,
        })
    );
    let update = json!({"attributePayload": {"attributes": {"floor": "3"}, "merge": true}, "expectedVersion": 1});
    ok(e, "PATCH", "/things/m:1", &update);
    refused(e, "PATCH", "/things/m:1", &update, (409, "VersionConflictException"));
    let names = |query: &str| -> Vec<String> {
        let things = ok(e, "GET", &format!("/things{query}"), &Value::Null)["things"].clone();
        things.as_array().unwrap().iter().map(|thing| thing["thingName"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(""), ["m:1", "t-0", "t-1", "t-2", "t-3"]);
    for query in ["?attributeName=floor", "?attributeName=site&attributeValue=a%2F1", "?thingTypeName=meter"] {
        assert_eq!(names(query), ["m:1"], "{query}");
    }
    assert_eq!(names("?attributeName=site&attributeValue=a&usePrefixAttributeValue=true"), ["m:1"]);
    assert_eq!(names("?attributeName=site&attributeValue=a"), Vec::<String>::new());
    refused(e, "DELETE", "/thing-types/meter", &Value::Null, INVALID);
    ok(e, "POST", "/thing-types/meter/deprecate", &json!({}));
    assert_eq!(ok(e, "GET", "/thing-types/meter", &Value::Null)["thingTypeMetadata"]["deprecated"], true);
    refused(e, "POST", "/things/new", &json!({"thingTypeName": "meter"}), INVALID);
    refused(e, "POST", "/things/new", &json!({"thingTypeName": "none"}), NOT_FOUND);
    refused(e, "POST", "/things/new", &json!({"billingGroupName": "b"}), INVALID);
    refused(e, "GET", "/things/none", &Value::Null, NOT_FOUND);
    refused(e, "DELETE", "/things/m:1?expectedVersion=7", &Value::Null, (409, "VersionConflictException"));
    ok(e, "DELETE", "/things/m:1?expectedVersion=2", &Value::Null);
    ok(e, "DELETE", "/things/m:1", &Value::Null);
    refused(e, "GET", "/things/m:1", &Value::Null, NOT_FOUND);
}

#[test]
fn lists_come_in_pages_and_a_bad_token_is_refused() {
    let endpoint = Endpoint::start(&[]);
    let first = ok(&endpoint, "GET", "/things?maxResults=3", &Value::Null);
    let token = percent_encoding::utf8_percent_encode(first["nextToken"].as_str().unwrap(), percent_encoding::NON_ALPHANUMERIC);
    let second = ok(&endpoint, "GET", &format!("/things?maxResults=3&nextToken={token}"), &Value::Null);
    assert_eq!((first["things"].as_array().unwrap().len(), &second["things"][0]["thingName"]), (3, &json!("t-3")));
    assert!(second.get("nextToken").is_none());
    for path in [
        "/things?nextToken=x",
        "/things?maxResults=251",
        "/things?maxResults=0",
        "/thing-types?nextToken=x",
        "/thing-groups?nextToken=x",
        "/policies?marker=x",
        "/certificates?pageSize=0",
        "/cacertificates?marker=x",
        "/cacertificates?pageSize=251",
    ] {
        refused(&endpoint, "GET", path, &Value::Null, INVALID);
    }
}

#[test]
fn groups_their_hierarchy_and_their_members() {
    let endpoint = Endpoint::start(&[]);
    let e = &endpoint;
    let properties = json!({"thingGroupDescription": "d", "attributePayload": {"attributes": {"k": "v"}}});
    ok(e, "POST", "/thing-groups/root", &json!({"thingGroupProperties": properties}));
    ok(e, "POST", "/thing-groups/child", &json!({"parentGroupName": "root"}));
    refused(e, "POST", "/thing-groups/child", &json!({}), EXISTS);
    let root = ok(e, "GET", "/thing-groups/root", &Value::Null);
    assert_eq!((&root["thingGroupProperties"], &root["version"]), (&properties, &json!(1)));
    let child = ok(e, "GET", "/thing-groups/child", &Value::Null);
    let above = json!([{"groupName": "root", "groupArn": format!("{ARN}thinggroup/root")}]);
    assert_eq!(child["thingGroupMetadata"]["rootToParentThingGroups"], above);
    assert_eq!(ok(e, "PATCH", "/thing-groups/root", &json!({"thingGroupProperties": {}})), json!({"version": 2}));
    ok(
        e,
        "PUT",
        "/thing-groups/addThingToThingGroup",
        &json!({"thingName": "t-0", "thingGroupArn": format!("{ARN}thinggroup/child")}),
    );
    refused(e, "PUT", "/thing-groups/addThingToThingGroup", &json!({"thingName": "t-0", "thingGroupName": "root"}), INVALID);
    refused(e, "PUT", "/thing-groups/addThingToThingGroup", &json!({"thingName": "none", "thingGroupName": "root"}), NOT_FOUND);
    assert_eq!(ok(e, "GET", "/thing-groups/root/things", &Value::Null)["things"], json!([]));
    assert_eq!(ok(e, "GET", "/thing-groups/root/things?recursive=true", &Value::Null)["things"], json!(["t-0"]));
    assert_eq!(ok(e, "GET", "/things/t-0/thing-groups", &Value::Null)["thingGroups"][0]["groupName"], "child");
    let below = ok(e, "GET", "/thing-groups?parentGroup=root&recursive=true", &Value::Null);
    assert_eq!(below["thingGroups"].as_array().unwrap().len(), 1);
    refused(e, "DELETE", "/thing-groups/root", &Value::Null, INVALID);
    ok(e, "DELETE", "/thing-groups/child", &Value::Null);
    ok(e, "DELETE", "/thing-groups/root?expectedVersion=2", &Value::Null);
    ok(e, "DELETE", "/thing-groups/root", &Value::Null);
    refused(e, "GET", "/thing-groups/root", &Value::Null, NOT_FOUND);
}

/// A continuous job follows its group: joining brings an execution, leaving takes it away (PROTOCOL 9.1 and 11.2).
#[test]
fn membership_moves_the_executions_of_a_continuous_job() {
    let endpoint = Endpoint::start(&[]);
    let e = &endpoint;
    ok(e, "POST", "/thing-groups/g", &json!({}));
    let job = json!({"targets": [format!("{ARN}thinggroup/g")], "document": "{}", "targetSelection": "CONTINUOUS"});
    ok(e, "PUT", "/jobs/j", &job);
    let member = json!({"thingName": "t-0", "thingGroupName": "g"});
    let counts = || ok(e, "GET", "/jobs/j", &Value::Null)["job"]["jobProcessDetails"].clone();
    ok(e, "PUT", "/thing-groups/addThingToThingGroup", &member);
    assert_eq!(counts()["numberOfQueuedThings"], 1);
    ok(e, "PUT", "/thing-groups/removeThingFromThingGroup", &member);
    assert_eq!((&counts()["numberOfQueuedThings"], &counts()["numberOfRemovedThings"]), (&json!(0), &json!(1)));
}

#[test]
fn policies_with_versions_and_targets() {
    let endpoint = Endpoint::start(&[]);
    let e = &endpoint;
    let body = json!({"policyDocument": DOCUMENT});
    let made = ok(e, "POST", "/policies/p", &body);
    assert_eq!(
        made,
        json!({"policyName": "p", "policyArn": format!("{ARN}policy/p"), "policyDocument": DOCUMENT, "policyVersionId": "1"})
    );
    refused(e, "POST", "/policies/p", &body, EXISTS);
    refused(e, "POST", "/policies/q", &json!({"policyDocument": "{}"}), (400, "MalformedPolicyException"));
    assert_eq!(ok(e, "POST", "/policies/p/version?setAsDefault=true", &body)["policyVersionId"], "2");
    assert_eq!(ok(e, "GET", "/policies/p", &Value::Null)["defaultVersionId"], "2");
    assert_eq!(ok(e, "GET", "/policies/p/version/1", &Value::Null)["isDefaultVersion"], false);
    assert_eq!(ok(e, "GET", "/policies/p/version", &Value::Null)["policyVersions"].as_array().unwrap().len(), 2);
    refused(e, "DELETE", "/policies/p/version/2", &Value::Null, CONFLICT);
    ok(e, "PATCH", "/policies/p/version/1", &Value::Null);
    ok(e, "DELETE", "/policies/p/version/2", &Value::Null);
    ok(e, "POST", "/thing-groups/g", &json!({}));
    let group = format!("{ARN}thinggroup/g");
    let certificate = ok(e, "POST", "/keys-and-certificate", &Value::Null)["certificateArn"].as_str().unwrap().to_owned();
    ok(e, "PUT", "/target-policies/p", &json!({"target": group}));
    with_principal(e, "PUT", "/principal-policies/p", &certificate);
    assert_eq!(ok(e, "POST", "/policy-targets/p", &Value::Null)["targets"], json!([certificate, group]));
    let encoded = percent_encoding::utf8_percent_encode(&certificate, percent_encoding::NON_ALPHANUMERIC);
    let attached = json!([{"policyName": "p", "policyArn": format!("{ARN}policy/p")}]);
    assert_eq!(ok(e, "POST", &format!("/attached-policies/{encoded}"), &Value::Null)["policies"], attached);
    assert_eq!(with_principal(e, "GET", "/principal-policies", &certificate)["policies"], attached);
    refused(e, "DELETE", "/policies/p", &Value::Null, CONFLICT);
    refused(e, "PUT", "/target-policies/none", &json!({"target": group}), NOT_FOUND);
    refused(e, "PUT", "/target-policies/p", &json!({"target": "arn:aws:s3:::b"}), INVALID);
    ok(e, "POST", "/target-policies/p", &json!({"target": group}));
    with_principal(e, "DELETE", "/principal-policies/p", &certificate);
    ok(e, "DELETE", "/policies/p", &Value::Null);
    let own = json!([{"policyName": "fleetsim-device", "policyArn": format!("{ARN}policy/fleetsim-device")}]);
    assert_eq!(ok(e, "GET", "/policies", &Value::Null)["policies"], own, "that of the endpoint itself");
}

#[test]
fn every_endpoint_type_has_an_address_and_others_are_refused() {
    let endpoint = Endpoint::start(&[]);
    for query in ["", "?endpointType=iot%3AData-ATS", "?endpointType=iot:Data", "?endpointType=iot:CredentialProvider"] {
        assert_eq!(ok(&endpoint, "GET", &format!("/endpoint{query}"), &Value::Null)["endpointAddress"], endpoint.mqtt);
    }
    assert_eq!(ok(&endpoint, "GET", "/endpoint?endpointType=iot:Jobs", &Value::Null)["endpointAddress"], endpoint.api);
    refused(&endpoint, "GET", "/endpoint?endpointType=iot:Other", &Value::Null, INVALID);
    refused(&endpoint, "GET", "/billing-groups", &Value::Null, (404, "UnknownOperationException"));
}
