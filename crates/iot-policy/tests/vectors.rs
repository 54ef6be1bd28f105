//! The vectors of PROTOCOL-CORE 7, by their numbers. What a denied client sees of it, and certificates that are not `ACTIVE` (vector 10),
//! are the endpoint's: `tests/broker`, `tests/registry` and `tests/https` of the workspace.

mod common;

use common::{ACCOUNT, REGION, allow, client, policy, thing};
use iot_policy::Action::{Connect, GetPendingJobExecutions, Publish, Receive, RetainPublish, Subscribe};
use iot_policy::{Action, Attachment, Certificate, Client, ConnectAttributes, Home, Policy, Request, Thing, evaluate};
use std::sync::Arc;

/// The guide's policy for a device that runs jobs (PROTOCOL-CORE 1.11).
const F: &str = r#"{"Effect":"Allow","Action":"iot:Connect","Resource":"A:client/TN",
     "Condition":{"Bool":{"iot:Connection.Thing.IsAttached":"true"}}},
    {"Effect":"Allow","Action":"iot:Publish","Resource":"A:topic/$aws/things/TN/jobs/*"},
    {"Effect":"Allow","Action":"iot:Receive","Resource":"A:topic/$aws/things/TN/jobs/*"},
    {"Effect":"Allow","Action":"iot:Subscribe","Resource":"A:topicfilter/$aws/things/TN/jobs/*"}"#;

struct Row {
    number: u8,
    policies: Vec<Arc<Policy>>,
    client: Client,
    asked: Vec<(Action, &'static str, bool)>,
    connect: ConnectAttributes<'static>,
}

#[derive(Default)]
struct Table(Vec<Row>);

impl Table {
    fn with(&mut self, number: u8, policies: &[String], client: Client, asked: &[(Action, &'static str, bool)]) {
        let policies = policies.iter().map(|text| policy("p", "2012-10-17", text)).collect();
        self.0.push(Row { number, policies, client, asked: asked.to_vec(), connect: ConnectAttributes::default() });
    }

    fn connecting(
        &mut self,
        number: u8,
        statements: &str,
        connect: ConnectAttributes<'static>,
        asked: &[(Action, &'static str, bool)],
    ) {
        self.with(number, &[statements.to_owned()], any(), asked);
        self.0.last_mut().unwrap().connect = connect;
    }
}

fn own() -> Client {
    client("meter-0001", thing("meter-0001"))
}

fn other() -> Client {
    client("x-9", Attachment::OtherName { attached: "meter-0001".into() })
}

fn exclusive() -> Client {
    client("x-9", thing("meter-0001"))
}

fn any() -> Client {
    client("m1", Attachment::Unattached)
}

fn https() -> Client {
    Client { id: None, ..client("", Attachment::Https) }
}

fn with_parts(parts: &[(&str, &str)]) -> Client {
    let parts = parts.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Client { certificate: Some(Arc::new(Certificate { id: [1; 32], parts })), ..any() }
}

fn conditioned(effect: &str, resource: &str, condition: &str) -> String {
    format!(r#"{{"Effect":"{effect}","Action":"iot:Connect","Resource":"{resource}","Condition":{condition}}}"#)
}

fn clients_and_topics(table: &mut Table) {
    let f = || vec![F.to_owned()];
    let jobs = "$aws/things/meter-0001/jobs/$next/get";
    let connect_any = allow("iot:Connect", "A:client/*");
    table.with(1, &f(), own(), &[(Connect, "meter-0001", true)]);
    let of_another = client("meter-0002", Attachment::OtherName { attached: "meter-0001".into() });
    table.with(2, &f(), of_another, &[(Connect, "meter-0002", false)]);
    table.with(3, &f(), client("meter-0001", Attachment::Unattached), &[(Connect, "meter-0001", false)]);
    table.with(4, &f(), exclusive(), &[(Connect, "x-9", false)]);
    let attached = conditioned("Allow", "A:client/*", r#"{"Bool":{"iot:Connection.Thing.IsAttached":"true"}}"#);
    table.with(5, std::slice::from_ref(&attached), exclusive(), &[(Connect, "x-9", true)]);
    table.with(6, &[attached], other(), &[(Connect, "x-9", false)]);
    let publish = allow("iot:Publish", "A:topic/$aws/things/TN/jobs/*");
    table.with(7, std::slice::from_ref(&publish), exclusive(), &[(Publish, jobs, true)]);
    table.with(8, &[publish], other(), &[(Publish, jobs, false)]);
    table.with(9, &[], any(), &[(Connect, "m1", false)]);
    let deny = r#"{"Effect":"Deny","Action":"iot:Connect","Resource":"A:client/bad"}"#.to_owned();
    table.with(11, &[connect_any.clone(), deny], client("bad", Attachment::Unattached), &[(Connect, "bad", false)]);
    table.with(12, &[allow("iot:Connect", "A:client/a")], client("b", Attachment::Unattached), &[(Connect, "b", false)]);
    table.with(12, std::slice::from_ref(&connect_any), client("b", Attachment::Unattached), &[(Connect, "b", true)]);
    table.with(13, &[allow("iot:Connect", "A:client/${iot:ClientId}")], any(), &[(Connect, "m1", true)]);
    let literal = "${iot:Connection.Thing.ThingName}";
    table.with(14, &f(), client(literal, Attachment::Unattached), &[(Connect, literal, false)]);
}

fn subscriptions(table: &mut Table) {
    let measured =
        [allow("iot:Publish", "A:topic/p/ok"), allow("iot:Receive", "A:topic/p/ok"), allow("iot:Subscribe", "A:topicfilter/p/ok")];
    table.with(15, &measured, any(), &[(Subscribe, "p/ok", true)]);
    table.with(16, &measured, any(), &[(Subscribe, "p/nope", false)]);
    table.with(17, &measured, any(), &[(Publish, "p/ok", true), (Receive, "p/ok", true)]);
    table.with(18, &measured, any(), &[(Publish, "p/nope", false)]);
    table.with(19, &measured, any(), &[(Publish, "p/nope", false)]);
    let mut wider = measured.to_vec();
    wider.extend([allow("iot:Publish", "A:topic/p/other"), allow("iot:Subscribe", "A:topicfilter/p/+")]);
    table.with(20, &wider, any(), &[(Subscribe, "p/+", true), (Publish, "p/other", true), (Receive, "p/other", false)]);
    table.with(21, &[allow("iot:Subscribe", "A:topicfilter/p/+")], any(), &[(Subscribe, "p/7", false)]);
    table.with(22, &[allow("iot:Subscribe", "A:topicfilter/p/*")], any(), &[(Subscribe, "p/+/x", true), (Subscribe, "p/#", true)]);
    table.with(23, &[allow("iot:Subscribe", "A:topicfilter/p/?")], any(), &[(Subscribe, "p/7", true), (Subscribe, "p/77", false)]);
    table.with(24, &[allow("iot:Subscribe", "A:topic/p/*")], any(), &[(Subscribe, "p/x", false)]);
    let deny = |action: &str, resource: &str| allow(action, resource).replace("Allow", "Deny");
    let mut secret = vec![allow("iot:Subscribe", "A:topicfilter/a/*"), allow("iot:Receive", "A:topic/a/*")];
    secret.push(deny("iot:Subscribe", "A:topicfilter/a/secret/*"));
    table.with(25, &secret, any(), &[(Subscribe, "a/#", true), (Receive, "a/secret/1", true), (Subscribe, "a/secret/1", false)]);
    secret.push(deny("iot:Receive", "A:topic/a/secret/*"));
    table.with(26, &secret, any(), &[(Subscribe, "a/#", true), (Receive, "a/secret/1", false)]);
    let but = allow("iot:Receive", "A:topic/a/secret/*").replace("Resource", "NotResource");
    table.with(27, &[but], any(), &[(Receive, "a/secret", true), (Receive, "a/secret/1", false)]);
    table.with(28, &[allow("iot:Publish", "A:topic/p/*")], any(), &[(Publish, "p/x", true), (RetainPublish, "p/x", false)]);
}

fn what_a_connect_asks_for(table: &mut Table) {
    let plain = ConnectAttributes::default();
    let persistent = ConnectAttributes { is_persistent: true, will_topic: None };
    let will = |topic| ConnectAttributes { is_persistent: false, will_topic: Some(topic) };
    let all = |values: &str| {
        conditioned("Allow", "A:client/*", &format!(r#"{{"ForAllValues:StringEquals":{{"iot:ConnectAttributes":{values}}}}}"#))
    };
    let yes: &[(Action, &str, bool)] = &[(Connect, "m1", true)];
    let no: &[(Action, &str, bool)] = &[(Connect, "m1", false)];
    let connect_any = allow("iot:Connect", "A:client/*");
    table.connecting(29, &connect_any, will("p/gone"), &[(Connect, "m1", true), (Publish, "p/gone", false)]);
    table.connecting(30, &all("[]"), plain, yes);
    table.connecting(30, &all("[]"), persistent, no);
    table.connecting(31, &all(r#"["PersistentConnect"]"#), will("p/gone"), no);
    table.connecting(31, &all(r#"["PersistentConnect"]"#), persistent, yes);
    let deny = conditioned("Deny", "A:client/*", r#"{"ForAnyValue:StringEquals":{"iot:ConnectAttributes":["PersistentConnect"]}}"#);
    let denied = format!("{connect_any},{deny}");
    table.connecting(32, &denied, plain, yes);
    table.connecting(32, &denied, persistent, no);
    let condition = r#"{"ArnEquals":{"iot:LastWillTopic":"A:topic/p/gone"},
        "ForAllValues:StringEquals":{"iot:ConnectAttributes":["LastWill"]}}"#;
    let on_will = format!("{},{}", conditioned("Allow", "A:client/*", condition), allow("iot:Publish", "A:topic/p/gone"));
    table.connecting(33, &on_will, will("p/gone"), &[(Connect, "m1", true), (Publish, "p/gone", true)]);
    table.connecting(33, &on_will, will("p/x"), no);
}

fn variables_and_conditions(table: &mut Table) {
    let by_name = [allow("iot:Publish", "A:topic/${iot:Certificate.Subject.CommonName}")];
    table.with(34, &by_name, with_parts(&[("Subject.CommonName", "press-4")]), &[(Publish, "press-4", true)]);
    table.with(
        34,
        &by_name,
        with_parts(&[("Subject.CommonName", "press*")]),
        &[(Publish, "press-9", false), (Publish, "press*", false)],
    );
    let units = with_parts(&[("Subject.OrganizationalUnit", "a"), ("Subject.OrganizationalUnit", "b")]);
    let unit = |n: &str| [allow("iot:Publish", &format!("A:topic/${{iot:Certificate.Subject.OrganizationalUnit{n}}}"))];
    table.with(35, &unit(".5"), units.clone(), &[(Publish, "a", false), (Publish, "b", false)]);
    table.with(35, &unit(""), units.clone(), &[(Publish, "a", true), (Publish, "b", false)]);
    table.with(35, &unit(".1"), units, &[(Publish, "a", false), (Publish, "b", true)]);
    let site = [allow("iot:Publish", "A:topic/${iot:Connection.Thing.Attributes[site]}/*")];
    let attributes = vec![("site".into(), "n1".into())];
    let placed = Attachment::Is(Box::new(Thing { name: "meter-0001".into(), type_name: None, attributes }));
    table.with(36, &site, client("meter-0001", placed), &[(Publish, "n1/x", true), (Publish, "n2/x", false)]);
    table.with(36, &site, own(), &[(Publish, "n1/x", false)]);
    let old = policy("old", "2008-10-17", &allow("iot:Connect", "A:client/${iot:ClientId}"));
    table.with(37, &[], any(), &[(Connect, "m1", false), (Connect, "${iot:ClientId}", true)]);
    table.0.last_mut().unwrap().policies.push(old);
    let near = [conditioned("Allow", "*", r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#)];
    table.with(38, &near, Client { source_ip: Some([10, 1, 2, 3].into()), ..any() }, &[(Connect, "m1", true)]);
    table.with(38, &near, any(), &[(Connect, "m1", false)]);
    let named = || Client { domain_name: Some("iot.example.com".into()), ..any() };
    let host = [conditioned("Allow", "*", r#"{"StringEquals":{"iot:DomainName":"iot.example.com"}}"#)];
    table.with(39, &host, named(), &[(Connect, "m1", true)]);
    table.with(39, &host, any(), &[(Connect, "m1", false)]);
    let not_host = conditioned("Deny", "*", r#"{"StringNotEquals":{"iot:DomainName":"iot.example.com"}}"#);
    let unless = [format!("{},{not_host}", allow("iot:*", "*"))];
    table.with(40, &unless, any(), &[(Connect, "m1", false)]);
    table.with(40, &unless, named(), &[(Connect, "m1", true)]);
    let all_but = [allow("iot:Publish", "*").replace("Action", "NotAction")];
    table.with(41, &all_but, any(), &[(Subscribe, "a", true), (Publish, "a", false)]);
}

/// Policies of groups are in force where the client is the thing: the caller collects them.
fn groups_and_https(table: &mut Table) {
    let of_group = allow("iot:Publish", "A:topic/g/*");
    table.with(42, std::slice::from_ref(&of_group), own(), &[(Publish, "g/1", true)]);
    table.with(42, &[], other(), &[(Publish, "g/1", false)]);
    table.with(43, &[of_group.clone(), of_group.replace("Allow", "Deny")], own(), &[(Publish, "g/1", false)]);
    table.with(44, &[F.to_owned()], https(), &[(GetPendingJobExecutions, "meter-0001", false)]);
    let jobs = [allow("iotjobsdata:*", "A:thing/meter-0001")];
    table.with(
        45,
        &jobs,
        https(),
        &[(GetPendingJobExecutions, "meter-0001", true), (GetPendingJobExecutions, "meter-0002", false)],
    );
    table.with(45, &jobs, own(), &[(Publish, "$aws/things/meter-0001/jobs/get", false)]);
    table.with(46, &[allow("iotjobsdata:*", "A:thing/TN")], https(), &[(GetPendingJobExecutions, "meter-0001", false)]);
    let shadow = [allow("iot:UpdateThingShadow", "A:thing/meter-0001")];
    table.with(47, &shadow, own(), &[(Publish, "$aws/things/meter-0001/shadow/update", false)]);
    let claim = [
        allow("iot:Publish", "A:topic/$aws/certificates/create/*"),
        allow("iot:Subscribe", "A:topicfilter/$aws/certificates/create/*"),
    ];
    let create = "$aws/certificates/create/json";
    table.with(48, &claim, any(), &[(Publish, "$aws/certificates/create-from-csr/json", false), (Publish, create, true)]);
    // Cognito identities and custom authorizers are not here: what they lead to is a client without a policy.
    let stranger = || Client { certificate: None, ..any() };
    table.with(49, &[], stranger(), &[(Connect, "m1", false)]);
    table.with(50, &[], stranger(), &[(Connect, "m1", false)]);
}

#[test]
fn the_vectors_of_the_reference_hold() {
    let mut table = Table::default();
    clients_and_topics(&mut table);
    subscriptions(&mut table);
    what_a_connect_asks_for(&mut table);
    variables_and_conditions(&mut table);
    groups_and_https(&mut table);
    let mut numbers: Vec<u8> = table.0.iter().map(|row| row.number).chain([10]).collect();
    numbers.dedup();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=50).collect::<Vec<u8>>(), "all of them, and each in one place");
    let home = Home::new(REGION, ACCOUNT);
    for Row { number, policies, client, asked, connect } in &table.0 {
        for (action, name, expected) in asked {
            let connect = (*action == Connect).then_some(*connect);
            let request = Request { action: *action, name, home: &home, connect, epoch_s: 0 };
            let decision = evaluate(policies, client, &request);
            assert_eq!(decision.is_allowed(), *expected, "vector {number}: {action:?} {name}: {decision:?}");
        }
    }
}
