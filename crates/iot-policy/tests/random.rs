//! Ten thousand random documents, each against an evaluator that is written for this test alone, from the rules of PROTOCOL-CORE 1: it
//! reads the JSON anew for each request, replaces variables as text, and matches wildcards by recursion.

mod common;

use common::{ACCOUNT, REGION, client, thing};
use iot_policy::{Action, Attachment, Client, ConnectAttributes, Document, Home, Policy, Request, evaluate};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::sync::Arc;

const DOCUMENTS: u64 = 10_000;
/// Stands for a character that was escaped or came with a value, so that it is no wildcard.
const PLAIN_STAR: char = '\u{1}';
const PLAIN_ONE: char = '\u{2}';

fn choose<'a, T>(rng: &mut ChaCha8Rng, from: &'a [T]) -> &'a T {
    &from[rng.random_range(0..from.len())]
}

/// One to three of these, as a text or a list.
fn some(rng: &mut ChaCha8Rng, from: &[&str]) -> Value {
    match rng.random_range(0..3) {
        0 => json!(choose(rng, from)),
        n => (0..n).map(|_| json!(choose(rng, from))).collect(),
    }
}

const ACTIONS: [&str; 8] =
    ["*", "iot:*", "iot:Connect", "iot:Publish", "IOT:subscribe", "iot:Rece?ve", "iot:*Publish", "iotjobsdata:*"];
const ARNS: [&str; 18] = [
    "*",
    "arn:aws:iot:us-east-1:111122223333:*",
    "arn:aws:iot:*:*:client/*",
    "arn:aws:iot:us-east-1:111122223333:client/${iot:ClientId}",
    "arn:aws:iot:us-east-1:111122223333:client/${iot:Connection.Thing.ThingName}",
    "arn:aws:iot:us-east-1:111122223333:client/a",
    "arn:aws:iot:us-east-1:111122223333:topic/a/*",
    "arn:aws:iot:us-east-1:111122223333:topic/*/b",
    "arn:aws:iot:us-east-1:111122223333:topic/?/b",
    "arn:aws:iot:us-east-1:111122223333:topic/a${*}",
    "arn:aws:iot:us-east-1:111122223333:topic/${iot:Nothing}",
    "arn:aws:iot:us-east-1:111122223333:topic/a/+",
    "arn:aws:iot:us-east-1:111122223333:topicfilter/a/*",
    "arn:aws:iot:us-east-1:111122223333:topicfilter/${iot:ClientId}/#",
    "arn:aws:iot:us-east-1:111122223333:topic*/a/b",
    "arn:aws:iot:eu-west-1:111122223333:topic/*",
    "arn:aws:iot:us-east-1:111122223333:thing/t*",
    "arn:aws:iot:us-east-1:111122223333:t*/*a*b*",
];
const NAMES: [&str; 12] = ["a", "b", "t1", "a/b", "a/b/b", "a*", "a/+", "a/#", "aab", "é/b", "", "xa-ab/b"];
const KEYS: [&str; 5] = ["iot:ClientId", "iot:Connection.Thing.IsAttached", "iot:ConnectAttributes", "iot:Nothing", "IOT:clientid"];
const OPERATORS: [&str; 6] = ["StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase", "Null"];
const VALUES: [&str; 8] = ["a", "A", "*", "t?", "true", "LastWill", "PersistentConnect", "${iot:ClientId}"];

fn condition(rng: &mut ChaCha8Rng) -> Value {
    let operator = *choose(rng, &OPERATORS);
    let key = *choose(rng, &KEYS);
    if operator == "Null" {
        return json!({ operator: { key: choose(rng, &["true", "false"]) } });
    }
    let operator =
        format!("{}{operator}{}", choose(rng, &["", "", "ForAllValues:", "ForAnyValue:"]), choose(rng, &["", "IfExists"]));
    let second = *choose(rng, &KEYS);
    json!({ operator: { key: some(rng, &VALUES), second: some(rng, &VALUES) } })
}

fn statement(rng: &mut ChaCha8Rng) -> Value {
    let mut statement = json!({ "Effect": choose(rng, &["Allow", "Allow", "Deny"]) });
    statement[*choose(rng, &["Action", "Action", "NotAction"])] = some(rng, &ACTIONS);
    statement[*choose(rng, &["Resource", "Resource", "Resource", "NotResource"])] = some(rng, &ARNS);
    if rng.random_bool(0.3) {
        statement["Condition"] = condition(rng);
    }
    statement
}

fn document(rng: &mut ChaCha8Rng) -> Value {
    let statements: Vec<Value> = (0..rng.random_range(1..4)).map(|_| statement(rng)).collect();
    json!({ "Version": choose(rng, &["2012-10-17", "2012-10-17", "2008-10-17"]), "Statement": statements })
}

// ---------------------------------------------------------------------------------------------------------- the naive evaluator

struct Asked<'a> {
    client: &'a Client,
    action: &'a str,
    arn: String,
    connect: Option<ConnectAttributes<'a>>,
}

fn list(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().flat_map(list).collect(),
        value => vec![value.as_str().unwrap().to_owned()],
    }
}

fn values(asked: &Asked<'_>, key: &str) -> Option<Vec<String>> {
    match key.to_lowercase().as_str() {
        "iot:clientid" => asked.client.id.as_ref().map(|id| vec![id.to_string()]),
        "iot:connection.thing.thingname" => match &asked.client.attachment {
            Attachment::Is(thing) => Some(vec![thing.name.to_string()]),
            _ => None,
        },
        "iot:connection.thing.isattached" => match &asked.client.attachment {
            Attachment::Https => None,
            attachment => Some(vec![matches!(attachment, Attachment::Is(_)).to_string()]),
        },
        "iot:connectattributes" => asked.connect.map(|connect| {
            let mut found = Vec::new();
            if connect.is_persistent {
                found.push("PersistentConnect".to_owned());
            }
            if connect.will_topic.is_some() {
                found.push("LastWill".to_owned());
            }
            found
        }),
        _ => None,
    }
}

/// The text with values in the place of variables, in which `*` and `?` are wildcards; nothing when one has no value.
fn replaced(asked: &Asked<'_>, text: &str, has_variables: bool) -> Option<String> {
    let plain = |value: &str| value.replace('*', &PLAIN_STAR.to_string()).replace('?', &PLAIN_ONE.to_string());
    let mut text = text.to_owned();
    while has_variables && let Some(start) = text.find("${") {
        let end = start + text[start..].find('}')?;
        let name = text[start + 2..end].to_owned();
        let value = if name == "*" { "*".to_owned() } else { values(asked, &name)?.first()?.clone() };
        text = format!("{}{}{}", &text[..start], plain(&value), &text[end + 1..]);
    }
    Some(text)
}

fn glob(pattern: &[char], text: &[char]) -> bool {
    match (pattern.first(), text.first()) {
        (None, None) => true,
        (Some('*'), _) => glob(&pattern[1..], text) || (!text.is_empty() && glob(pattern, &text[1..])),
        (Some('?'), Some(_)) => glob(&pattern[1..], &text[1..]),
        (Some(&wanted), Some(&found)) => {
            let wanted = if wanted == PLAIN_STAR {
                '*'
            } else if wanted == PLAIN_ONE {
                '?'
            } else {
                wanted
            };
            wanted == found && glob(&pattern[1..], &text[1..])
        }
        _ => false,
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    let chars = |text: &str| text.chars().collect::<Vec<char>>();
    glob(&chars(pattern), &chars(text))
}

fn condition_holds(asked: &Asked<'_>, operator: &str, key: &str, wanted: &[String], has_variables: bool) -> bool {
    let found = values(asked, key);
    if operator == "Null" {
        return wanted.iter().any(|wanted| (wanted == "true") == found.is_none());
    }
    let Some(wanted) = wanted.iter().map(|text| replaced(asked, text, has_variables)).collect::<Option<Vec<_>>>() else {
        return false;
    };
    let (all, any) = (operator.starts_with("ForAllValues:"), operator.starts_with("ForAnyValue:"));
    let name = operator.rsplit(':').next().unwrap();
    let if_exists = name.ends_with("IfExists");
    let name = name.trim_end_matches("IfExists");
    let negated = name.contains("Not");
    let raw = |text: &str| text.replace(PLAIN_STAR, "*").replace(PLAIN_ONE, "?");
    let fits = |value: &str| {
        wanted.iter().any(|wanted| match name {
            "StringEquals" | "StringNotEquals" => raw(wanted) == value,
            "StringEqualsIgnoreCase" => raw(wanted).to_lowercase() == value.to_lowercase(),
            _ => matches(wanted, value),
        })
    };
    match found {
        None if if_exists => true,
        None => {
            if all {
                true
            } else if any {
                false
            } else {
                negated
            }
        }
        Some(found) if all => found.iter().all(|value| fits(value) != negated),
        Some(found) if any => found.iter().any(|value| fits(value) != negated),
        Some(found) => found.iter().any(|value| fits(value)) != negated,
    }
}

fn applies(asked: &Asked<'_>, statement: &Value, has_variables: bool) -> bool {
    let action = asked.action.to_lowercase();
    let is_action = |key: &str| list(&statement[key]).iter().any(|pattern| matches(&pattern.to_lowercase(), &action));
    if !(if statement["Action"].is_null() { !is_action("NotAction") } else { is_action("Action") }) {
        return false;
    }
    let key = if statement["Resource"].is_null() { "NotResource" } else { "Resource" };
    let patterns: Option<Vec<String>> = list(&statement[key]).iter().map(|text| replaced(asked, text, has_variables)).collect();
    let Some(patterns) = patterns else { return false };
    if patterns.iter().any(|pattern| matches(pattern, &asked.arn)) != (key == "Resource") {
        return false;
    }
    let empty = serde_json::Map::new();
    statement["Condition"].as_object().unwrap_or(&empty).iter().all(|(operator, keys)| {
        let holds = |(key, wanted): (&String, &Value)| condition_holds(asked, operator, key, &list(wanted), has_variables);
        keys.as_object().unwrap().iter().all(holds)
    })
}

fn naive(documents: &[Value], asked: &Asked<'_>) -> bool {
    let mut is_allowed = false;
    for document in documents {
        for statement in document["Statement"].as_array().unwrap() {
            if applies(asked, statement, document["Version"] == "2012-10-17") {
                if statement["Effect"] == "Deny" {
                    return false;
                }
                is_allowed = true;
            }
        }
    }
    is_allowed
}

#[test]
fn random_documents_decide_as_a_naive_evaluator_says() {
    let home = Home::new(REGION, ACCOUNT);
    let clients = [
        client("a", thing("a")),
        client("t1", Attachment::Unattached),
        client("a*", Attachment::OtherName { attached: "t1".into() }),
        client("x", thing("t1")),
        Client { id: None, ..client("", Attachment::Https) },
    ];
    let actions =
        [Action::Connect, Action::Publish, Action::RetainPublish, Action::Subscribe, Action::Receive, Action::UpdateJobExecution];
    let (mut allowed, mut denied) = (0, 0);
    for seed in 0..DOCUMENTS {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let documents: Vec<Value> = (0..rng.random_range(1..3)).map(|_| document(&mut rng)).collect();
        let policies: Vec<Arc<Policy>> = documents
            .iter()
            .map(|text| Document::parse(&text.to_string()).unwrap_or_else(|error| panic!("{error}: {text}")))
            .map(|document| Arc::new(Policy { name: "p".into(), version: 1, document }))
            .collect();
        for _ in 0..10 {
            let (client, action, name) = (choose(&mut rng, &clients), *choose(&mut rng, &actions), *choose(&mut rng, &NAMES));
            let connect = ConnectAttributes {
                is_persistent: rng.random_bool(0.5),
                will_topic: choose(&mut rng, &[None, Some("w")]).as_deref(),
            };
            let connect = (action == Action::Connect).then_some(connect);
            let request = Request { action, name, home: &home, connect, epoch_s: 0 };
            let found = evaluate(&policies, client, &request).is_allowed();
            let asked = Asked { client, action: action.as_str(), arn: request.arn(), connect };
            assert_eq!(found, naive(&documents, &asked), "seed {seed}: {action:?} {name:?} {client:?}\n{documents:?}");
            if found { allowed += 1 } else { denied += 1 }
        }
    }
    assert!(allowed > 5_000 && denied > 5_000, "both occur: {allowed} and {denied}");
}
