use super::*;
use crate::wire::json;
use serde_json::json;

fn all() -> impl Iterator<Item = &'static Operation> {
    ALL.into_iter().flatten()
}

/// A text that keeps the rule.
fn fitting(rule: &Text) -> String {
    let c = ['1', 'A', 'a'].into_iter().find(|c| (rule.is_allowed)(*c)).expect("one of these is allowed everywhere");
    c.to_string().repeat(rule.min.max(1))
}

/// Texts that break it, each in one way.
fn broken(rule: &Text) -> Vec<String> {
    let fitting = fitting(rule);
    let shorter = (rule.min > 0).then(|| fitting[1..].to_owned());
    let longer = (rule.max < 100_000).then(|| fitting[..1].repeat(rule.max + 1));
    let strange = ['\0', '\n', '\u{200b}', '\u{fc}'].into_iter().filter(|c| !(rule.is_allowed)(*c));
    let strange = strange.map(|c| format!("{c}{}", &fitting[1..]));
    shorter.into_iter().chain(longer).chain(strange).collect()
}

/// A value that keeps every rule, with all that is required and nothing else.
fn least(shape: &Shape) -> Value {
    match shape {
        Shape::Text(rule) => json!(fitting(rule)),
        Shape::Number => json!(1),
        Shape::Flag => json!(true),
        Shape::Unbuilt => Value::Null,
        Shape::List { of, .. } => json!([least(of)]),
        Shape::Map { .. } => json!({}),
        Shape::Object(members) => object(members, |member| member.is_required.then(|| least(member.shape))),
    }
}

fn object(members: &[Member], value: impl Fn(&Member) -> Option<Value>) -> Value {
    members.iter().filter_map(|member| Some((member.name.to_owned(), value(member)?))).collect::<Map<_, _>>().into()
}

/// Values that break one rule each, at whatever depth.
fn wrong(shape: &Shape) -> Vec<Value> {
    let other_kinds = [json!("text"), json!(1), json!(true), json!([]), json!(["a", 1]), json!({})];
    let mut wrong: Vec<Value> = other_kinds.into_iter().filter(|value| kind_of(value) != shape.kind()).collect();
    match shape {
        Shape::Text(rule) => wrong.extend(broken(rule).into_iter().map(Value::from)),
        Shape::List { min, of } => {
            wrong.extend((*min > 0).then(|| json!([])));
            wrong.extend(self::wrong(of).into_iter().map(|item| json!([item])));
        }
        Shape::Map { key, value } => {
            wrong.extend(broken(key).into_iter().map(|key| json!({ key: least(value) })));
            wrong.extend(self::wrong(value).into_iter().map(|value| json!({ fitting(key): value })));
        }
        Shape::Object(members) => wrong.extend(wrong_objects(members)),
        Shape::Number | Shape::Flag | Shape::Unbuilt => {}
    }
    wrong
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Number(_) => "a number",
        Value::Bool(_) => "true or false",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
        Value::Null => "nothing",
    }
}

/// One member wrong, or a required one missing.
fn wrong_objects(members: &[Member]) -> Vec<Value> {
    let with = |changed: &Member, value: Option<Value>| {
        object(members, |member| match std::ptr::eq(member, changed) {
            true => value.clone(),
            false => member.is_required.then(|| least(member.shape)),
        })
    };
    let mut objects = Vec::new();
    for member in members {
        objects.extend(wrong(member.shape).into_iter().map(|value| with(member, Some(value))));
        if member.is_required {
            objects.extend([with(member, None), with(member, Some(Value::Null))]);
        }
    }
    objects
}

fn refused(result: Result<(), ControlError>, what: &dyn std::fmt::Debug, named: &str) {
    match result {
        Err(ControlError::InvalidRequest(message)) => assert!(message.contains(named), "{what:?}: {message}"),
        other => panic!("{what:?}: {other:?}"),
    }
}

#[test]
fn every_member_of_every_body_is_held_to_its_rule() {
    let mut count = 0;
    for operation in all() {
        let members: Vec<&Member> = operation.body().collect();
        let whole = |changed: &str, value: &Value| {
            let value_of = |member: &Member| match member.name == changed {
                true => Some(value.clone()),
                false => member.is_required.then(|| least(member.shape)),
            };
            members.iter().filter_map(|member| Some((member.name.to_owned(), value_of(member)?))).collect::<Map<_, _>>()
        };
        assert!(check_body(operation.name, &whole("", &Value::Null)).is_ok(), "{}: the least it needs", operation.name);
        for member in &members {
            let fits = check_body(operation.name, &whole(member.name, &least(member.shape)));
            assert!(fits.is_ok(), "{}.{}: {fits:?}", operation.name, member.name);
            for value in wrong(member.shape) {
                let body = whole(member.name, &value);
                refused(check_body(operation.name, &body), &(operation.name, &body), member.name);
                count += 1;
            }
            if member.is_required {
                refused(check_body(operation.name, &whole(member.name, &Value::Null)), &operation.name, member.name);
            }
        }
    }
    assert!(count > 500, "{count} wrong bodies");
}

#[test]
fn every_text_of_every_path_query_and_header_is_held_to_its_rule() {
    let mut count = 0;
    for operation in all() {
        let path = |changed: &str, text: &str| -> Vec<String> {
            let segment = |wanted: &str| match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                None => wanted.to_owned(),
                Some(name) if name == changed => text.to_owned(),
                Some(name) => sample(operation.members.iter().find(|member| member.name == name).expect(name)),
            };
            operation.path.split('/').skip(1).map(segment).collect()
        };
        let check = |changed: &Member, text: Option<&str>| {
            let path = path(changed.name, text.unwrap_or_default());
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            assert!(operation.is(operation.method, &path));
            let samples: Vec<(&Member, String)> = operation.members.iter().map(|member| (member, sample(member))).collect();
            let value = |place: Place, name: &str| {
                let (member, sample) = samples.iter().find(|(member, _)| member.place == place && member.name == name)?;
                match member.name == changed.name {
                    true => text,
                    false => member.is_required.then_some(&**sample),
                }
            };
            operation.check_head(&path, |name| value(Place::Query, name), |name| value(Place::Header, name))
        };
        for member in operation.members.iter().filter(|member| member.place != Place::Body) {
            match member.shape {
                Shape::Text(rule) => {
                    assert_eq!(check(member, Some(&fitting(rule))), Ok(()), "{}.{}", operation.name, member.name);
                    for text in broken(rule) {
                        refused(check(member, Some(&text)), &(operation.name, &text), member.name);
                        count += 1;
                    }
                }
                Shape::Flag => refused(check(member, Some("yes")), &operation.name, member.name),
                Shape::Unbuilt => refused(check(member, Some("x")), &operation.name, "not supported"),
                _ => assert_eq!(check(member, Some("1")), Ok(())),
            }
            if member.is_required && member.place != Place::Path {
                refused(check(member, None), &operation.name, member.name);
            }
        }
    }
    assert!(count > 200, "{count} wrong texts");
}

fn sample(member: &Member) -> String {
    match member.shape {
        Shape::Text(rule) => fitting(rule),
        _ => "1".into(),
    }
}

#[test]
fn no_body_is_an_array_or_anything_else_but_an_object() {
    for operation in all().filter(|operation| operation.body().next().is_some()) {
        for body in ["[]", "[1]", "1", "null", "\"{}\"", "{", "{}{}"] {
            let refused = json::members(operation.name, body.as_bytes()).unwrap_err();
            assert!(refused.message().contains(operation.name), "{body}: {refused}");
        }
        let unread = json::members(operation.name, b"{\"x\":\"\xff\"}").unwrap_err();
        assert!(unread.message().contains("UTF-8"), "{unread}");
    }
}

#[test]
fn each_request_line_is_one_operation() {
    for operation in all() {
        let path: Vec<&str> = operation.path.split('/').skip(1).collect();
        assert_eq!(find(operation.method, &path).map(|found| found.name), Some(operation.name));
    }
    assert!(find("GET", &["nothing"]).is_none() && find("POST", &["jobs"]).is_none());
}

#[test]
fn control_characters_are_named_where_they_stand() {
    for (operation, members, expected) in [
        ("UpdateJob", json!({"description": "a\0b"}), r"description must match [^\p{C}]+; found '\0'"),
        ("CancelJob", json!({"comment": "a\nb"}), r"comment must match [^\p{C}]+; found '\n'"),
        ("CancelJob", json!({"reasonCode": "NOT NOW"}), r"reasonCode must match [\p{Upper}\p{Digit}_]+; found ' '"),
        ("AssociateTargetsWithJob", json!({"targets": [1]}), "targets[0] must be a string"),
        ("UpdateJob", json!({"abortConfig": {"criteriaList": [[]]}}), "abortConfig.criteriaList[0] must be an object"),
        ("CancelJobExecution", json!({"statusDetails": {"k": "\u{7f}"}}), r"statusDetails.k must match [^\p{C}]+; found '\u{7f}'"),
        (
            "UpdateJob",
            json!({"presignedUrlConfig": {"roleArn": "r"}}),
            "presignedUrlConfig.roleArn must have at least 20 characters, this has 1",
        ),
    ] {
        let Value::Object(members) = members else { unreachable!("these are objects") };
        assert_eq!(check_body(operation, &members), Err(invalid(expected)));
    }
}
