#![allow(dead_code, reason = "each test uses a part")]

//! Policies, clients and requests as tests write them.

use iot_policy::{Attachment, Certificate, Client, Document, Policy, Thing};
use std::sync::Arc;

pub(crate) const REGION: &str = "us-east-1";
pub(crate) const ACCOUNT: &str = "111122223333";

/// A document of these statements, with `A:` for the endpoint's own ARNs and `TN` for the name of the thing.
pub(crate) fn text(version: &str, statements: &str) -> String {
    let statements =
        statements.replace("A:", "arn:aws:iot:us-east-1:111122223333:").replace("TN", "${iot:Connection.Thing.ThingName}");
    format!(r#"{{"Version":"{version}","Statement":[{statements}]}}"#)
}

pub(crate) fn policy(name: &str, version: &str, statements: &str) -> Arc<Policy> {
    let text = text(version, statements);
    let document = Document::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    Arc::new(Policy { name: name.into(), version: 1, document })
}

/// One statement without a condition.
pub(crate) fn allow(action: &str, resource: &str) -> String {
    format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"{resource}"}}"#)
}

pub(crate) fn thing(name: &str) -> Attachment {
    Attachment::Is(Box::new(Thing { name: name.into(), ..Thing::default() }))
}

/// A client by MQTT with a certificate that says nothing.
pub(crate) fn client(id: &str, attachment: Attachment) -> Client {
    Client {
        id: Some(id.into()),
        attachment,
        certificate: Some(Arc::new(Certificate { id: [0xc0; 32], parts: Vec::new() })),
        source_ip: Some([127, 0, 0, 1].into()),
        domain_name: None,
    }
}
