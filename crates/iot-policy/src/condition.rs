//! Conditions and their operators (PROTOCOL-CORE 1.6).

use crate::client::Client;
use crate::document::{Malformed, texts};
use crate::pattern::{Language, Pattern};
use crate::request::Request;
use crate::values::{Network, Order, compare, date};
use crate::variable::Variable;
use serde_json::Value;
use std::net::IpAddr;

/// One key under one operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    operator: Operator,
    key: Variable,
    values: Box<[Operand]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Operator {
    /// As it was written.
    name: Box<str>,
    quantifier: Option<Quantifier>,
    is_if_exists: bool,
    /// One of the `Not` forms.
    is_negated: bool,
    test: Test,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantifier {
    All,
    Any,
}

/// How a value of the request is held against one of the policy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Equal,
    EqualIgnoringCase,
    Like,
    Bool,
    Number(Order),
    Date(Order),
    Ip,
    Arn,
    Null,
}

/// A value of the policy: the parts of an ARN each for itself, everything else in one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Operand {
    /// As it was written.
    text: Box<str>,
    patterns: Box<[Pattern]>,
}

const ARN_PARTS: usize = 6;

impl Operator {
    fn parse(text: &str) -> Result<Self, String> {
        let (quantifier, name) = match text.split_once(':') {
            Some(("ForAllValues", name)) => (Some(Quantifier::All), name),
            Some(("ForAnyValue", name)) => (Some(Quantifier::Any), name),
            _ => (None, text),
        };
        let (name, is_if_exists) = name.strip_suffix("IfExists").map_or((name, false), |name| (name, true));
        let (test, is_negated) = test(name).ok_or_else(|| {
            format!(
                "{text:?} is no operator: there are StringEquals, StringLike, Bool, NumericEquals, DateLessThan, IpAddress, ArnEquals and \
                 their like, and Null"
            )
        })?;
        if test == Test::Null && (is_if_exists || quantifier.is_some()) {
            return Err(format!("{text:?}: Null stands for itself"));
        }
        Ok(Self { name: text.into(), quantifier, is_if_exists, is_negated, test })
    }
}

impl Condition {
    pub(crate) fn parse_all(place: &str, value: &Value, language: Language) -> Result<Box<[Self]>, Malformed> {
        let place = format!("{place}, Condition");
        let malformed = |why: &str| Malformed { place: place.clone(), why: why.into() };
        let operators = value.as_object().ok_or_else(|| malformed("must be a JSON object of operators"))?;
        let mut conditions = Vec::new();
        for (operator, keys) in operators {
            let operator = Operator::parse(operator).map_err(|why| malformed(&why))?;
            let keys = keys
                .as_object()
                .ok_or_else(|| malformed(&format!("{} must be a JSON object of keys and values", operator.name)))?;
            for (key, values) in keys {
                let condition = Self::parse(&operator, key, values, language);
                conditions.push(condition.map_err(|why| malformed(&format!("{} {key}: {why}", operator.name)))?);
            }
        }
        Ok(conditions.into())
    }

    fn parse(operator: &Operator, key: &str, values: &Value, language: Language) -> Result<Self, String> {
        let texts = operands(values).ok_or("it must be a value or a list of values")?;
        let operand = |text: String| {
            check_operand(operator.test, &text, language.variables)?;
            Operand::parse(text, operator.test, language)
        };
        let values = texts.into_iter().map(operand).collect::<Result<_, String>>()?;
        Ok(Self { operator: operator.clone(), key: Variable::parse(key), values })
    }

    pub(crate) fn variables(&self) -> impl Iterator<Item = &Variable> {
        let of_values = self.values.iter().flat_map(|value| value.patterns.iter().flat_map(Pattern::variables));
        std::iter::once(&self.key).chain(of_values)
    }

    /// Whether it holds; one that names a variable without a value does not, whatever its operator.
    pub(crate) fn holds(&self, client: &Client, request: &Request<'_>) -> bool {
        let mut patterns = self.values.iter().flat_map(|value| &value.patterns);
        if patterns.any(|pattern| pattern.missing(client, request).is_some()) {
            return false;
        }
        let Operator { quantifier, is_if_exists, is_negated, test, .. } = self.operator;
        let found = self.key.values(client, request);
        if test == Test::Null {
            let wants_absent = |value: &Operand| value.text.eq_ignore_ascii_case("true");
            return self.values.iter().any(|value| wants_absent(value) == found.is_none());
        }
        let Some(found) = found else {
            return is_if_exists
                || match quantifier {
                    Some(Quantifier::All) => true,
                    Some(Quantifier::Any) => false,
                    None => is_negated,
                };
        };
        let is_one_of = |value: &str| self.values.iter().any(|operand| operand.fits(value, test, client, request));
        match quantifier {
            Some(Quantifier::All) => found.iter().all(|value| is_one_of(value) != is_negated),
            Some(Quantifier::Any) => found.iter().any(|value| is_one_of(value) != is_negated),
            // A key with several values needs a quantifier; without one, one that fits is enough (inferred).
            None => found.iter().any(|value| is_one_of(value)) != is_negated,
        }
    }

    /// What it wants and what there was, in words.
    pub(crate) fn told(&self, client: &Client, request: &Request<'_>) -> String {
        let values: Vec<&str> = self.values.iter().map(|value| &*value.text).collect();
        let found = match self.key.values(client, request) {
            None => "the request has no such value".to_owned(),
            Some(found) if found.is_empty() => "the request has none".to_owned(),
            Some(found) => format!("the request has {}", found.join(", ")),
        };
        format!("{} {} [{}]: {found}", self.operator.name, self.key.name(), values.join(", "))
    }

    pub(crate) fn key(&self) -> &Variable {
        &self.key
    }
}

/// The operator without its quantifier and `IfExists`, and whether it is negated.
fn test(name: &str) -> Option<(Test, bool)> {
    let order = |word: &str| {
        Some(match word {
            "Equals" => (Order::Equal, false),
            "NotEquals" => (Order::Equal, true),
            "LessThan" => (Order::Less, false),
            "LessThanEquals" => (Order::LessOrEqual, false),
            "GreaterThan" => (Order::Greater, false),
            "GreaterThanEquals" => (Order::GreaterOrEqual, false),
            _ => return None,
        })
    };
    if let Some((order, is_negated)) = name.strip_prefix("Numeric").and_then(order) {
        return Some((Test::Number(order), is_negated));
    }
    if let Some((order, is_negated)) = name.strip_prefix("Date").and_then(order) {
        return Some((Test::Date(order), is_negated));
    }
    Some(match name {
        "StringEquals" => (Test::Equal, false),
        "StringNotEquals" => (Test::Equal, true),
        "StringEqualsIgnoreCase" => (Test::EqualIgnoringCase, false),
        "StringNotEqualsIgnoreCase" => (Test::EqualIgnoringCase, true),
        "StringLike" => (Test::Like, false),
        "StringNotLike" => (Test::Like, true),
        "Bool" => (Test::Bool, false),
        "IpAddress" => (Test::Ip, false),
        "NotIpAddress" => (Test::Ip, true),
        "ArnEquals" | "ArnLike" => (Test::Arn, false),
        "ArnNotEquals" | "ArnNotLike" => (Test::Arn, true),
        "Null" => (Test::Null, false),
        _ => return None,
    })
}

/// Numbers and truth values may stand without quotation marks.
fn operands(value: &Value) -> Option<Vec<String>> {
    let single = |value: &Value| match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        _ => None,
    };
    match value {
        Value::Array(values) => values.iter().map(|value| single(value).or_else(|| value.as_str().map(str::to_owned))).collect(),
        value => single(value).map(|value| vec![value]).or_else(|| Some(texts(value)?.into_iter().map(str::to_owned).collect())),
    }
}

fn check_operand(test: Test, text: &str, has_variables: bool) -> Result<(), String> {
    if has_variables && text.contains("${") {
        return Ok(());
    }
    let is_fit = match test {
        Test::Equal | Test::EqualIgnoringCase | Test::Like => true,
        Test::Bool | Test::Null => text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"),
        Test::Number(_) => text.parse::<f64>().is_ok(),
        Test::Date(_) => date(text).is_some(),
        Test::Ip => Network::parse(text).is_some(),
        Test::Arn => text.splitn(ARN_PARTS, ':').count() == ARN_PARTS,
    };
    let wanted = match test {
        Test::Bool | Test::Null => "\"true\" or \"false\"",
        Test::Number(_) => "a number",
        Test::Date(_) => "a date such as 2026-12-31T23:59:59Z",
        Test::Ip => "an address, or a network such as 10.0.0.0/8",
        _ => "an ARN of six parts",
    };
    if is_fit { Ok(()) } else { Err(format!("{text:?} must be {wanted}")) }
}

impl Operand {
    fn parse(text: String, test: Test, language: Language) -> Result<Self, String> {
        let language = Language { wildcards: matches!(test, Test::Like | Test::Arn), ..language };
        let parts = if test == Test::Arn { arn_parts(&text, language.variables) } else { vec![text.as_str()] };
        let patterns = parts.into_iter().map(|part| Pattern::parse(part, language)).collect::<Result<_, _>>()?;
        Ok(Self { text: text.into(), patterns })
    }

    /// All variables of it have a value.
    fn fits(&self, value: &str, test: Test, client: &Client, request: &Request<'_>) -> bool {
        let expanded = || self.patterns.first().map(|pattern| pattern.expand(client, request)).unwrap_or_default();
        match test {
            Test::Equal | Test::Like => self.patterns.iter().all(|pattern| pattern.matches(value, client, request)),
            Test::EqualIgnoringCase => expanded().to_lowercase() == value.to_lowercase(),
            Test::Bool => expanded().eq_ignore_ascii_case(value),
            Test::Number(order) => compare(value.parse::<f64>().ok(), expanded().parse::<f64>().ok(), order),
            Test::Date(order) => compare(date(value), date(&expanded()), order),
            Test::Ip => {
                let address = value.parse::<IpAddr>().ok();
                address.zip(Network::parse(&expanded())).is_some_and(|(address, network)| network.holds(address))
            }
            Test::Arn => {
                let found: Vec<&str> = value.splitn(ARN_PARTS, ':').collect();
                let is_match = |(pattern, part): (&Pattern, &&str)| pattern.matches(part, client, request);
                found.len() == self.patterns.len() && self.patterns.iter().zip(&found).all(is_match)
            }
            Test::Null => false,
        }
    }
}

/// The parts of an ARN, as it is written: a colon in a variable parts nothing.
fn arn_parts(text: &str, has_variables: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' if has_variables && text[..at].ends_with('$') => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b':' if depth == 0 && parts.len() + 1 < ARN_PARTS => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Attachment, Thing};
    use crate::request::{Action, ConnectAttributes, Home};
    use serde_json::json;

    const LANGUAGE: Language = Language { wildcards: true, variables: true };

    fn holds(operator: &str, key: &str, values: Value) -> bool {
        let thing = Thing {
            name: "t1".into(),
            attributes: vec![("n".into(), "7".into()), ("d".into(), "2026-05-01".into())],
            ..Thing::default()
        };
        let client = Client {
            id: Some("C1".into()),
            attachment: Attachment::Is(Box::new(thing)),
            source_ip: Some("10.1.2.3".parse().unwrap()),
            ..Client::default()
        };
        let home = Home::new("r", "1");
        let connect = ConnectAttributes { is_persistent: true, will_topic: Some("p/gone") };
        let request = Request { action: Action::Connect, name: "C1", home: &home, connect: Some(connect), epoch_s: 1_000 };
        Condition::parse(&Operator::parse(operator).unwrap(), key, &values, LANGUAGE).unwrap().holds(&client, &request)
    }

    #[test]
    fn each_operator_with_a_value_that_fits_one_that_does_not_and_none() {
        let (number, date) = ("iot:Connection.Thing.Attributes[n]", "iot:Connection.Thing.Attributes[d]");
        for (operator, key, fit, unfit) in [
            ("StringEquals", "iot:ClientId", json!("C1"), json!(["c1", "C*"])),
            ("StringEqualsIgnoreCase", "iot:clientid", json!(["x", "c1"]), json!("c")),
            ("StringLike", "iot:ClientId", json!("C?"), json!("D*")),
            ("Bool", "iot:Connection.Thing.IsAttached", json!(true), json!("false")),
            ("NumericEquals", number, json!(7), json!("8")),
            ("NumericLessThan", number, json!("7.5"), json!(7)),
            ("NumericLessThanEquals", number, json!(7), json!(6)),
            ("NumericGreaterThan", number, json!(6), json!(7)),
            ("NumericGreaterThanEquals", number, json!(7), json!(8)),
            ("DateEquals", date, json!("2026-05-01T00:00:00Z"), json!("2026-05-02")),
            ("DateLessThan", "aws:CurrentTime", json!("1970-01-02"), json!("1970-01-01")),
            ("DateGreaterThan", "aws:EpochTime", json!(999), json!("1000")),
            ("IpAddress", "aws:SourceIp", json!(["192.168.0.0/16", "10.0.0.0/8"]), json!(["10.1.2.4", "::1/128"])),
            ("ArnEquals", "iot:LastWillTopic", json!("arn:aws:iot:*:1:topic/p/*"), json!("arn:aws:iot:r:2:topic/p/gone")),
        ] {
            let told = format!("{operator} {key}");
            assert!(holds(operator, key, fit.clone()) && !holds(operator, key, unfit.clone()), "{told}");
            assert!(!holds(operator, "iot:Nothing", fit.clone()), "{told}: absent");
            assert!(holds(&format!("{operator}IfExists"), "iot:Nothing", fit.clone()), "{told}: absent, if it exists");
            assert!(!holds(&format!("{operator}IfExists"), key, unfit), "{told}: there, if it exists");
        }
        for (operator, key, among) in [
            ("StringNotEquals", "iot:ClientId", json!(["x", "C1"])),
            ("StringNotLike", "iot:ClientId", json!("C*")),
            ("NumericNotEquals", number, json!(7)),
            ("DateNotEquals", date, json!("2026-05-01")),
            ("NotIpAddress", "aws:SourceIp", json!("10.0.0.0/8")),
            ("ArnNotLike", "iot:LastWillTopic", json!("arn:aws:iot:r:1:topic/p/gone")),
        ] {
            assert!(!holds(operator, key, among.clone()) && holds(operator, "iot:Nothing", among), "{operator}");
        }
        assert!(holds("Null", "iot:Nothing", json!("true")) && !holds("Null", "iot:ClientId", json!("true")));
        assert!(holds("Null", "iot:ClientId", json!(false)));
        assert!(holds("StringEquals", "iot:ClientId", json!("${iot:ClientId}")));
        assert!(!holds("StringNotEquals", "iot:ClientId", json!("${iot:Nothing}")), "a variable without a value");
        assert!(!holds("ArnLike", "iot:LastWillTopic", json!("arn:aws:iot:r:1:topic/${iot:Connection.Thing.Attributes[x]}/*")));
    }

    #[test]
    fn quantifiers_hold_for_keys_with_several_values() {
        let key = "iot:ConnectAttributes";
        assert!(holds("ForAllValues:StringEquals", key, json!(["PersistentConnect", "LastWill"])));
        assert!(
            !holds("ForAllValues:StringEquals", key, json!(["LastWill"])) && !holds("ForAllValues:StringEquals", key, json!([]))
        );
        assert!(
            holds("ForAnyValue:StringEquals", key, json!(["LastWill"])) && !holds("ForAnyValue:StringEquals", key, json!(["x"]))
        );
        assert!(
            holds("ForAnyValue:StringNotEquals", key, json!(["LastWill"]))
                && !holds("ForAllValues:StringNotEquals", key, json!(["LastWill"]))
        );
        assert!(
            holds("ForAllValues:StringEquals", "iot:Nothing", json!(["x"]))
                && !holds("ForAnyValue:StringEquals", "iot:Nothing", json!(["x"]))
        );
    }
}
