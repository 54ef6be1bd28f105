//! Job templates, tags, namespaces and maintenance windows on real sockets (PROTOCOL-CORE 2).

use crate::common::Endpoint;
use crate::listener::{ARN, ok, refused};
use serde_json::{Value, json};

const INVALID: (u16, &str) = (400, "InvalidRequestException");
const NOT_FOUND: (u16, &str) = (404, "ResourceNotFoundException");

fn get(endpoint: &Endpoint, path: &str) -> Value {
    ok(endpoint, "GET", path, &Value::Null)
}

#[test]
fn a_job_is_made_from_a_template_and_a_template_from_a_job() {
    let endpoint = Endpoint::start(&[]);
    let e = &endpoint;
    let body = json!({
        "description": "restart", "document": "{\"do\":1}", "timeoutConfig": {"inProgressTimeoutInMinutes": 7},
        "jobExecutionsRolloutConfig": {"maximumPerMinute": 50},
    });
    let made = ok(e, "PUT", "/job-templates/restart", &body);
    assert_eq!(made, json!({"jobTemplateArn": format!("{ARN}jobtemplate/restart"), "jobTemplateId": "restart"}));
    refused(e, "PUT", "/job-templates/restart", &body, (409, "ConflictException"));
    let described = get(e, "/job-templates/restart");
    for (member, value) in body.as_object().unwrap() {
        assert_eq!(&described[member], value, "{member}");
    }
    assert!(described["createdAt"].is_number());
    let target = format!("{ARN}thing/t-1");
    let job = json!({"targets": [target], "jobTemplateArn": made["jobTemplateArn"], "description": "own"});
    assert_eq!(ok(e, "PUT", "/jobs/j", &job)["description"], "own");
    let of_job = get(e, "/jobs/j")["job"].clone();
    assert_eq!(of_job["jobTemplateArn"], made["jobTemplateArn"]);
    assert_eq!(of_job["timeoutConfig"], json!({"inProgressTimeoutInMinutes": 7}), "what the call does not say");
    assert_eq!(get(e, "/jobs/j/job-document")["document"], "{\"do\":1}");
    let copy = json!({"description": "a copy", "jobArn": format!("{ARN}job/j")});
    ok(e, "PUT", "/job-templates/copy", &copy);
    let copied = get(e, "/job-templates/copy");
    assert_eq!((&copied["description"], &copied["document"]), (&json!("a copy"), &json!("{\"do\":1}")));
    assert_eq!(copied["jobExecutionsRolloutConfig"], json!({"maximumPerMinute": 50}));
    let page = get(e, "/job-templates?maxResults=1");
    assert_eq!(page["jobTemplates"][0]["jobTemplateId"], "copy");
    let token = percent_encoding::utf8_percent_encode(page["nextToken"].as_str().unwrap(), percent_encoding::NON_ALPHANUMERIC);
    let rest = get(e, &format!("/job-templates?maxResults=1&nextToken={token}"));
    assert_eq!((&rest["jobTemplates"][0]["jobTemplateId"], rest.get("nextToken")), (&json!("restart"), None));
    ok(e, "DELETE", "/job-templates/restart", &Value::Null);
    refused(e, "DELETE", "/job-templates/restart", &Value::Null, NOT_FOUND);
    refused(e, "GET", "/job-templates/restart", &Value::Null, NOT_FOUND);
    assert_eq!(get(e, "/jobs/j")["job"]["status"], "IN_PROGRESS", "the job stays");
    for (path, body, expected) in [
        ("/jobs/k", json!({"targets": [target], "jobTemplateArn": made["jobTemplateArn"]}), NOT_FOUND),
        ("/jobs/k", json!({"targets": [target]}), INVALID),
        ("/job-templates/n", json!({"document": "{}"}), INVALID),
        ("/job-templates/n", json!({"description": "d"}), INVALID),
        ("/job-templates/n", json!({"description": "d", "jobArn": format!("{ARN}job/none")}), NOT_FOUND),
        ("/job-templates/n", json!({"description": "d", "document": "{}", "destinationPackageVersions": []}), INVALID),
    ] {
        refused(e, "PUT", path, &body, expected);
    }
    for query in ["maxResults=0", "maxResults=251", "nextToken=x"] {
        refused(e, "GET", &format!("/job-templates?{query}"), &Value::Null, INVALID);
        refused(e, "GET", &format!("/managed-job-templates?{query}"), &Value::Null, INVALID);
    }
}

#[test]
fn a_managed_template_has_parameters() {
    let endpoint = Endpoint::start(&[]);
    let e = &endpoint;
    let listed = get(e, "/managed-job-templates");
    assert_eq!(listed["managedJobTemplates"].as_array().unwrap().len(), 8);
    let one = get(e, "/managed-job-templates?templateName=AWS-Reboot");
    assert_eq!(one["managedJobTemplates"][0]["templateArn"], "arn:aws:iot:us-east-1::jobtemplate/AWS-Reboot:1.0");
    let described = get(e, "/managed-job-templates/AWS-Run-Command");
    assert_eq!(described["documentParameters"][0]["key"], "command");
    refused(e, "GET", "/managed-job-templates/AWS-Fly", &Value::Null, NOT_FOUND);
    refused(e, "GET", "/managed-job-templates/AWS-Reboot?templateVersion=2.0", &Value::Null, NOT_FOUND);
    let arn = &described["templateArn"];
    let with = |parameters: Value| json!({"targets": [format!("{ARN}thing/t-1")], "jobTemplateArn": arn, "documentParameters": parameters});
    for wrong in [json!({}), json!({"command": "ls", "color": "red"}), json!({"command": "ls", "runAsUser": "a b"})] {
        refused(e, "PUT", "/jobs/run", &with(wrong), INVALID);
    }
    ok(e, "PUT", "/jobs/run", &with(json!({"command": "ls,-l"})));
    assert_eq!(get(e, "/jobs/run")["job"]["documentParameters"], json!({"command": "ls,-l"}));
    let document = |query: &str| -> Value {
        let answer = get(e, &format!("/jobs/run/job-document{query}"));
        serde_json::from_str(answer["document"].as_str().unwrap()).unwrap()
    };
    let command = |document: &Value| document["steps"][0]["action"]["input"]["command"].clone();
    assert_eq!(command(&document("")), "ls,-l");
    assert_eq!(command(&document("?beforeSubstitution=true")), "${aws:iot:parameter:command}");
    let mut client = endpoint.connect("t-1");
    let (topic, answer) = client.request("start-next", &json!({}));
    assert_eq!((&*topic, command(&answer["execution"]["jobDocument"])), ("start-next/accepted", json!("ls,-l")));
}

#[test]
fn tags_are_given_changed_and_taken_away() {
    let endpoint = Endpoint::start(&[]);
    let e = &endpoint;
    let tags = json!([{"Key": "site", "Value": "n1"}]);
    let with = |mut body: Value| {
        body["tags"] = tags.clone();
        body
    };
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}"#;
    ok(e, "PUT", "/jobs/j", &with(json!({"targets": [format!("{ARN}thing/t-1")], "document": "{}"})));
    ok(e, "PUT", "/job-templates/t", &with(json!({"description": "d", "document": "{}"})));
    ok(e, "POST", "/policies/p", &with(json!({"policyDocument": policy})));
    ok(e, "POST", "/thing-groups/g", &with(json!({})));
    ok(e, "POST", "/thing-types/y", &with(json!({})));
    let list = |arn: &str| get(e, &format!("/tags?resourceArn={}", encoded(arn)));
    for resource in ["job/j", "jobtemplate/t", "policy/p", "thinggroup/g", "thingtype/y"] {
        let arn = format!("{ARN}{resource}");
        assert_eq!(list(&arn)["tags"], tags, "{arn}");
        ok(e, "POST", "/tags", &json!({"resourceArn": arn, "tags": [{"Key": "site", "Value": "n2"}, {"Key": "a"}]}));
        assert_eq!(list(&arn)["tags"], json!([{"Key": "a", "Value": ""}, {"Key": "site", "Value": "n2"}]), "{arn}");
        ok(e, "POST", "/untag", &json!({"resourceArn": arn, "tagKeys": ["site", "none"]}));
        assert_eq!(list(&arn)["tags"], json!([{"Key": "a", "Value": ""}]), "{arn}");
    }
    let job = format!("{ARN}job/j");
    let many: Vec<Value> = (0..50).map(|n| json!({"Key": format!("k{n:02}"), "Value": "v"})).collect();
    refused(e, "POST", "/tags", &json!({"resourceArn": job, "tags": many}), (410, "LimitExceededException"));
    ok(e, "POST", "/tags", &json!({"resourceArn": job, "tags": many[..49]}));
    let first = list(&job);
    assert_eq!(first["tags"].as_array().unwrap().len(), 25);
    let token = encoded(first["nextToken"].as_str().unwrap());
    let second = get(e, &format!("/tags?resourceArn={}&nextToken={token}", encoded(&job)));
    assert_eq!((second["tags"].as_array().unwrap().len(), second.get("nextToken")), (25, None));
    for (body, expected) in [
        (json!({"resourceArn": job, "tags": [{"Key": "aws:x", "Value": "v"}]}), INVALID),
        (json!({"resourceArn": job, "tags": [{"Key": "a"}, {"Key": "a"}]}), INVALID),
        (json!({"resourceArn": job, "tags": [{"Key": "a!", "Value": "v"}]}), INVALID),
        (json!({"resourceArn": format!("{ARN}thing/t-1"), "tags": []}), INVALID),
        (json!({"resourceArn": format!("{ARN}job/none"), "tags": []}), NOT_FOUND),
        (json!({"resourceArn": format!("{ARN}policy/none"), "tags": []}), NOT_FOUND),
    ] {
        refused(e, "POST", "/tags", &body, expected);
    }
    refused(e, "GET", "/tags", &Value::Null, INVALID);
    refused(e, "GET", &format!("/tags?resourceArn={}&nextToken=x", encoded(&job)), &Value::Null, INVALID);
    ok(e, "DELETE", "/jobs/j?force=true", &Value::Null);
    refused(e, "GET", &format!("/tags?resourceArn={}", encoded(&job)), &Value::Null, NOT_FOUND);
    refused(
        e,
        "PUT",
        "/jobs/k",
        &json!({"targets": [format!("{ARN}thing/t-1")], "document": "{}", "tags": [{"Key": "aws:x"}]}),
        INVALID,
    );
    refused(e, "GET", "/jobs/k", &Value::Null, NOT_FOUND);
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[test]
fn a_thing_works_on_jobs_of_a_namespace_by_the_topics_of_greengrass() {
    let endpoint = Endpoint::start(&[]);
    let e = &endpoint;
    let mut client = endpoint.connect("t-1");
    client.subscribe(&["notify", "notify-next", "notify-namespace-aws-gg-deployment", "notify-next-namespace-aws-gg-deployment"]);
    let body = json!({"targets": [format!("{ARN}thing/t-1")], "document": "{}", "namespaceId": "aws-gg-deployment"});
    ok(e, "PUT", "/jobs/deploy", &body);
    assert_eq!(get(e, "/jobs/deploy")["job"]["namespaceId"], "aws-gg-deployment");
    let mut told = [client.message().0, client.message().0];
    told.sort();
    assert_eq!(told, ["notify-namespace-aws-gg-deployment", "notify-next-namespace-aws-gg-deployment"]);
    client.expect_quiet();
    assert_eq!(client.request("$next/get", &json!({})).1.get("execution"), None, "it has no place in the other queue");
    let (topic, answer) = client.request("$next/namespace-aws-gg-deployment/get", &json!({"clientToken": "c"}));
    assert_eq!((&*topic, &answer["execution"]["jobId"]), ("$next/namespace-aws-gg-deployment/get/accepted", &json!("deploy")));
    let (topic, answer) = client.request("deploy/update", &json!({"status": "SUCCEEDED"}));
    assert_eq!((&*topic, &answer["code"]), ("deploy/update/rejected", &json!("ResourceNotFound")));
    let (topic, _) = client.request("deploy/namespace-aws-gg-deployment/update", &json!({"status": "IN_PROGRESS"}));
    assert_eq!(topic, "deploy/namespace-aws-gg-deployment/update/accepted");
    let (topic, answer) = client.request("start-next/namespace-aws-gg-deployment", &json!({}));
    assert_eq!((&*topic, &answer["code"]), ("start-next/namespace-aws-gg-deployment/rejected", &json!("InvalidTopic")));
    for (method, path) in
        [("PATCH", "/jobs/deploy"), ("DELETE", "/jobs/deploy"), ("DELETE", "/things/t-1/jobs/deploy/executionNumber/1")]
    {
        refused(e, method, &format!("{path}?namespaceId=other"), &Value::Null, NOT_FOUND);
    }
    ok(e, "PATCH", "/jobs/deploy?namespaceId=aws-gg-deployment", &json!({"description": "d"}));
    for query in ["namespaceId=aws-gg-deployment", "namespaceId=other"] {
        let expected = usize::from(query.ends_with("deployment"));
        assert_eq!(get(e, &format!("/jobs?{query}"))["jobs"].as_array().unwrap().len(), expected);
        assert_eq!(get(e, &format!("/things/t-1/jobs?{query}"))["executionSummaries"].as_array().unwrap().len(), expected);
    }
}

#[test]
fn a_job_tells_when_its_windows_open() {
    let endpoint = Endpoint::start(&[]);
    let e = &endpoint;
    let windows = json!([{"startTime": "cron(0 3 ? * SUN *)", "durationInMinutes": 120}]);
    let body = |selection: &str| {
        json!({
            "targets": [format!("{ARN}thing/t-1")], "document": "{}", "targetSelection": selection,
            "schedulingConfig": {"maintenanceWindows": windows},
        })
    };
    refused(e, "PUT", "/jobs/j", &body("SNAPSHOT"), INVALID);
    ok(e, "PUT", "/jobs/j", &body("CONTINUOUS"));
    let job = get(e, "/jobs/j")["job"].clone();
    assert_eq!(job["schedulingConfig"]["maintenanceWindows"], windows);
    let rollouts = job["scheduledJobRollouts"].as_array().unwrap().clone();
    assert_eq!(rollouts.len(), 7);
    assert!(rollouts.iter().all(|rollout| rollout["startTime"].as_str().unwrap().ends_with(" 03:00")), "{rollouts:?}");
    let template = json!({"description": "d", "document": "{}", "maintenanceWindows": windows});
    ok(e, "PUT", "/job-templates/t", &template);
    assert_eq!(get(e, "/job-templates/t")["maintenanceWindows"], windows);
    for wrong in [
        json!([{"startTime": "daily", "durationInMinutes": 5}]),
        json!([{"startTime": "cron(0 3 ? * SUN *)", "durationInMinutes": 1431}]),
    ] {
        let template = json!({"description": "d", "document": "{}", "maintenanceWindows": wrong});
        refused(e, "PUT", "/job-templates/u", &template, INVALID);
    }
}
