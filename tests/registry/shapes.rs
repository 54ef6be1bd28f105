//! Requests that AWS's model does not allow, and what only a filter or a signature tells apart.

use crate::common::Endpoint;
use crate::listener::{ARN, ok, with_principal};
use serde_json::{Value, json};

#[track_caller]
fn refused(endpoint: &Endpoint, method: &str, path: &str, body: &str, named: &str) {
    let (status, error, answer) = endpoint.call(method, path, body, |_| {});
    assert_eq!((status, error.as_deref()), (400, Some("InvalidRequestException")), "{method} {path} {body}: {answer}");
    assert!(answer["message"].as_str().unwrap().contains(named), "{method} {path} {body}: {answer}");
}

#[test]
fn no_operation_takes_an_array_for_its_body() {
    let endpoint = Endpoint::start(&[]);
    endpoint.create_job("fw", "t-1");
    for (method, path) in [
        ("PUT", "/jobs/new"),
        ("PATCH", "/jobs/fw"),
        ("PUT", "/jobs/fw/cancel"),
        ("POST", "/jobs/fw/targets"),
        ("PUT", "/things/t-1/jobs/fw/cancel"),
        ("PATCH", "/event-configurations"),
        ("POST", "/things/new"),
        ("PATCH", "/things/t-1"),
        ("POST", "/thing-types/new"),
        ("POST", "/thing-types/new/deprecate"),
        ("POST", "/thing-groups/new"),
        ("PATCH", "/thing-groups/new"),
        ("PUT", "/thing-groups/addThingToThingGroup"),
        ("PUT", "/thing-groups/removeThingFromThingGroup"),
        ("POST", "/certificates"),
        ("POST", "/certificate/register-no-ca"),
        ("POST", "/policies/new"),
        ("PUT", "/job-templates/new"),
        ("POST", "/tags"),
        ("POST", "/untag"),
        ("POST", "/cacertificate"),
        ("PUT", "/cacertificate/0000000000000000000000000000000000000000000000000000000000000000"),
        ("POST", "/certificate/register"),
        ("POST", "/policies/new/version"),
        ("PUT", "/target-policies/new"),
        ("POST", "/target-policies/new"),
    ] {
        for body in ["[]", "[null, null]", "\"\"", "1"] {
            refused(&endpoint, method, path, body, "expected an object");
        }
    }
    let described = ok(&endpoint, "GET", "/jobs/fw", &Value::Null);
    assert_eq!(described["job"]["status"], "IN_PROGRESS", "nothing was cancelled");
    assert_eq!(endpoint.call("GET", "/things/new", "", |_| {}).0, 404, "nothing was made");
}

#[test]
fn texts_keep_the_patterns_of_the_model() {
    let endpoint = Endpoint::start(&[]);
    endpoint.create_job("fw", "t-1");
    let target = format!("{ARN}thing/t-1");
    let create = |more: Value| {
        let mut body = json!({"targets": [target], "document": "{}"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body.to_string()
    };
    for unprintable in ["\0", "\n", "\u{7f}", "\u{200b}"] {
        let text = format!("a{unprintable}b");
        refused(&endpoint, "PUT", "/jobs/new", &create(json!({"description": text})), "description");
        refused(&endpoint, "PATCH", "/jobs/fw", &json!({"description": text}).to_string(), "description");
        refused(&endpoint, "PUT", "/jobs/fw/cancel", &json!({"comment": text}).to_string(), "comment");
        refused(&endpoint, "POST", "/jobs/fw/targets", &json!({"targets": [target], "comment": text}).to_string(), "comment");
        let properties = json!({"thingGroupProperties": {"thingGroupDescription": text}});
        refused(&endpoint, "POST", "/thing-groups/new", &properties.to_string(), "thingGroupDescription");
    }
    refused(&endpoint, "PUT", "/jobs/new", &create(json!({"presignedUrlConfig": {"roleArn": "short"}})), "roleArn");
    refused(&endpoint, "PUT", "/jobs/new", &create(json!({"presignedUrlConfig": ["arn", 60]})), "presignedUrlConfig");
    refused(&endpoint, "PUT", "/jobs/new", &create(json!({"abortConfig": {"criteriaList": []}})), "criteriaList");
    for query in ["?thingGroupName=", "?thingGroupId=a_b", "?namespaceId=a.b"] {
        refused(&endpoint, "GET", &format!("/jobs{query}"), "", &query[1..query.find('=').unwrap()]);
    }
    refused(&endpoint, "DELETE", "/jobs/fw?force=yes", "", "force");
    let description = "Gr\u{fc}\u{df}e \u{1f600}";
    ok(&endpoint, "PATCH", "/jobs/fw", &json!({"description": description}));
    assert_eq!(ok(&endpoint, "GET", "/jobs/fw", &Value::Null)["job"]["description"], description);
}

#[test]
fn targets_are_of_this_account_and_region() {
    let endpoint = Endpoint::start(&[]);
    endpoint.create_job("fw", "t-1");
    for foreign in [
        "arn:aws:iot:us-east-1:999999999999:thing/t-1",
        "arn:aws:iot:eu-west-1:111122223333:thing/t-1",
        "arn:aws-cn:iot:us-east-1:111122223333:thing/t-1",
        "arn:aws:iot:us-east-1:111122223333:job/fw",
    ] {
        let body = json!({"targets": [foreign], "document": "{}"}).to_string();
        refused(&endpoint, "PUT", "/jobs/new", &body, foreign);
        refused(&endpoint, "POST", "/jobs/fw/targets", &json!({"targets": [foreign]}).to_string(), foreign);
    }
}

#[test]
fn jobs_of_a_group_are_listed_by_its_name_and_by_its_id() {
    let endpoint = Endpoint::start(&[]);
    let made = |group: &str| ok(&endpoint, "POST", &format!("/thing-groups/{group}"), &json!({}))["thingGroupId"].clone();
    let (id, other) = (made("g"), made("other"));
    let (id, other) = (id.as_str().unwrap(), other.as_str().unwrap());
    endpoint.create_job("for-a-thing", "t-1");
    ok(&endpoint, "PUT", "/jobs/for-the-group", &json!({"targets": [format!("{ARN}thinggroup/g")], "document": "{}"}));
    let listed = |query: &str| -> Vec<(String, Value)> {
        let jobs = ok(&endpoint, "GET", &format!("/jobs{query}"), &Value::Null)["jobs"].clone();
        let told = |job: &Value| (job["jobId"].as_str().unwrap().to_owned(), job["thingGroupId"].clone());
        jobs.as_array().unwrap().iter().map(told).collect()
    };
    let expected = vec![("for-the-group".to_owned(), json!(id))];
    for query in ["?thingGroupName=g".to_owned(), format!("?thingGroupId={id}"), format!("?thingGroupName=g&thingGroupId={id}")] {
        assert_eq!(listed(&query), expected, "{query}");
    }
    for query in [format!("?thingGroupId={other}"), format!("?thingGroupName=other&thingGroupId={id}"), "?thingGroupId=none".into()]
    {
        assert_eq!(listed(&query), [], "{query}");
    }
    let all = [("for-a-thing".to_owned(), Value::Null), ("for-the-group".to_owned(), Value::Null)];
    assert_eq!(listed(""), all, "no group was asked for");
}

#[test]
fn a_principal_counts_only_when_it_is_signed() {
    let endpoint = Endpoint::start(&[]);
    let made = ok(&endpoint, "POST", "/keys-and-certificate", &Value::Null);
    let principal = made["certificateArn"].as_str().unwrap();
    let (status, error, answer) = endpoint.call("PUT", "/things/t-1/principals", "", |request| {
        request.headers_mut().insert("x-amzn-principal", principal.parse().unwrap());
    });
    assert_eq!((status, error.as_deref()), (403, Some("InvalidSignatureException")), "{answer}");
    let principals = || ok(&endpoint, "GET", "/things/t-1/principals", &Value::Null)["principals"].clone();
    let made_here = principals();
    assert_eq!(made_here.as_array().map(Vec::len), Some(1), "that of the endpoint itself");
    with_principal(&endpoint, "PUT", "/things/t-1/principals", principal);
    let listed = principals();
    assert!(listed.as_array().is_some_and(|listed| listed.len() == 2 && listed.contains(&json!(principal))), "{listed}");
}
