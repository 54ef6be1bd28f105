//! The mistakes of public reports, each with its explanation.

mod common;

use common::{ACCOUNT, REGION, allow, client, policy, thing};
use iot_policy::Action::{Connect, DescribeJobExecution, Publish, Receive, RetainPublish, Subscribe};
use iot_policy::{Action, Attachment, Client, Home, Request, explain};

/// What is said of a client that is denied by one policy of these statements.
fn why(statements: &str, client: &Client, action: Action, name: &str) -> String {
    let policies = if statements.is_empty() { Vec::new() } else { vec![policy("fleet", "2012-10-17", statements)] };
    let home = Home::new(REGION, ACCOUNT);
    explain(&policies, client, &Request { action, name, home: &home, connect: None, epoch_s: 0 })
}

#[test]
fn each_mistake_has_its_explanation() {
    let own = client("meter-0001", thing("meter-0001"));
    let shared = client("x-9", Attachment::OtherName { attached: "meter-0001".into() });
    let unattached = client("meter-0001", Attachment::Unattached);
    let https = Client { id: None, attachment: Attachment::Https, ..own.clone() };
    let notify = "$aws/things/meter-0001/jobs/notify";
    let attached = r#"{"Effect":"Allow","Action":"iot:Connect","Resource":"A:client/*",
        "Condition":{"Bool":{"iot:Connection.Thing.IsAttached":"true"}}}"#;
    let deny = r#"{"Sid":"Never","Effect":"Deny","Action":"iot:Publish","Resource":"A:topic/secret/*"}"#;
    let not = r#"{"Effect":"Allow","Action":"iot:Publish","NotResource":"A:topic/secret/*"}"#;
    for (statements, client, action, name, expected) in [
        (
            allow("iot:Subscribe", "A:topic/$aws/things/TN/jobs/*"),
            &own,
            Subscribe,
            notify,
            "iot:Subscribe on topicfilter/$aws/things/meter-0001/jobs/notify is not allowed by policy fleet version 1: \
             it says topic/ where it must say topicfilter/",
        ),
        (allow("iot:Publish", "A:topicfilter/a/*"), &own, Publish, "a/b", "it says topicfilter/ where it must say topic/"),
        (
            allow("iot:Subscribe", "A:topicfilter/a/*"),
            &own,
            Receive,
            "a/b",
            "it allows iot:Subscribe there, and says nothing of iot:Receive",
        ),
        (
            allow("iot:Connect", "*"),
            &own,
            Receive,
            "a/b",
            "no statement of policy fleet version 1 speaks of it; iot:Subscribe alone delivers nothing",
        ),
        (
            allow("iot:Publish", "A:topic/a/*"),
            &own,
            RetainPublish,
            "a/b",
            "it allows iot:Publish there, and says nothing of iot:RetainPublish",
        ),
        (
            allow("iot:DescribeJobExecution", "A:thing/*"),
            &https,
            DescribeJobExecution,
            "meter-0001",
            "it says iot:DescribeJobExecution where it must say iotjobsdata:DescribeJobExecution",
        ),
        (
            allow("iotjobsdata:*", "A:thing/TN"),
            &https,
            DescribeJobExecution,
            "meter-0001",
            "variables of things have none on HTTPS",
        ),
        (
            allow("iot:Connect", "A:client/TN"),
            &shared,
            Connect,
            "x-9",
            "iot:Connection.Thing.ThingName has no value: the client id is x-9, and the certificate is attached to meter-0001, not exclusively",
        ),
        (allow("iot:Connect", "A:client/TN"), &unattached, Connect, "meter-0001", "the certificate is attached to no thing"),
        (
            attached.to_owned(),
            &shared,
            Connect,
            "x-9",
            "its condition Bool iot:Connection.Thing.IsAttached [true]: the request has false; the client id is x-9",
        ),
        (
            allow("iot:Connect", "A:client/meter-0001"),
            &shared,
            Connect,
            "x-9",
            "it allows the client id meter-0001, and this one is x-9",
        ),
        (
            allow("iot:Connect", "A:client/${iot:Thing.ThingName}"),
            &own,
            Connect,
            "meter-0001",
            "there is no variable ${iot:Thing.ThingName}",
        ),
        (
            allow("iot:Publish", "arn:aws:iot:eu-west-1:111122223333:topic/a"),
            &own,
            Publish,
            "a",
            "its ARN begins with arn:aws:iot:eu-west-1:111122223333:",
        ),
        (
            allow("iot:Publish", "arn:aws:iot:us-east-1:999999999999:topic/*"),
            &own,
            Publish,
            "a",
            "and the resource is in arn:aws:iot:us-east-1:111122223333:",
        ),
        (allow("iot:Subscribe", "A:topicfilter/p/+"), &own, Subscribe, "p/7", "+ and # are plain characters in a policy"),
        (
            allow("iot:Publish", "A:topic/${iot:Connection.Thing.Attributes[site]}"),
            &own,
            Publish,
            "a",
            "the thing has no such type or attribute",
        ),
        (
            allow("iot:Publish", "A:topic/${iot:Certificate.Subject.Country}"),
            &own,
            Publish,
            "a",
            "the certificate has no such part",
        ),
        (allow("iot:Publish", "A:topic/b"), &own, Publish, "a", "it allows arn:aws:iot:us-east-1:111122223333:topic/b only"),
        (not.to_owned(), &own, Publish, "secret/1", "it leaves out arn:aws:iot:us-east-1:111122223333:topic/secret/*"),
        (
            deny.to_owned(),
            &own,
            Publish,
            "secret/1",
            "iot:Publish on topic/secret/1 is denied by statement 1 (Never) of policy fleet version 1",
        ),
        (String::new(), &own, Connect, "meter-0001", "no policy is attached (AttachPolicy attaches one)"),
    ] {
        let found = why(&statements, client, action, name);
        assert!(found.contains(expected), "{statements}\n{found}\n{expected}");
    }
}

#[test]
fn what_is_allowed_is_told_with_its_statement() {
    let own = client("a", thing("a"));
    let found = why(&allow("iot:Connect", "*"), &own, Connect, "a");
    assert_eq!(found, "iot:Connect on client/a is allowed by statement 1 of policy fleet version 1");
}
