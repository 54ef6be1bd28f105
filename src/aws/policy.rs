//! The policy of a fleet: what its things may do. One document for all, since it names each thing by a variable.

use iot_jobs::wire::control::Account;
use serde_json::json;

/// The thing that a connection is of: its certificate is attached to it, and its client id is its name.
const THING: &str = "${iot:Connection.Thing.ThingName}";

/// What AWS's guide has for devices that run jobs (PROTOCOL-CORE 1.11): each connects as itself, and has its own jobs topics.
#[must_use]
pub fn document(account: &Account) -> String {
    let arn = |rest: &str| format!("arn:{}:iot:{}:{}:{rest}", account.partition, account.region, account.id);
    let topics = arn(&format!("topic/$aws/things/{THING}/jobs/*"));
    let statement = |action: &str, resource: String| json!({ "Effect": "Allow", "Action": action, "Resource": resource });
    let mut connect = statement("iot:Connect", arn(&format!("client/{THING}")));
    connect["Condition"] = json!({ "Bool": { "iot:Connection.Thing.IsAttached": "true" } });
    let statements = [
        connect,
        statement("iot:Publish", topics.clone()),
        statement("iot:Receive", topics),
        statement("iot:Subscribe", arn(&format!("topicfilter/$aws/things/{THING}/jobs/*"))),
    ];
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_one_that_the_service_takes() {
        let account = Account { partition: "aws-cn".into(), region: "cn-north-1".into(), id: "111122223333".into() };
        let document = document(&account);
        iot_policy::Document::parse(&document).unwrap();
        for part in [
            "arn:aws-cn:iot:cn-north-1:111122223333:client/${iot:Connection.Thing.ThingName}",
            "topicfilter/$aws/things/${iot:Connection.Thing.ThingName}/jobs/*",
            "iot:Connection.Thing.IsAttached",
        ] {
            assert!(document.contains(part), "{document}");
        }
    }
}
