//! The grammar of a document (PROTOCOL-CORE 1.1): what AWS refuses with `MalformedPolicyException` is refused here, with its place.

use crate::condition::Condition;
use crate::pattern::{Language, Pattern};
use crate::variable::Variable;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Characters of a document, white space not counted (PROTOCOL-CORE 1.8).
pub const CHARS_MAX: usize = 2_048;
/// The version of the language that has variables.
const WITH_VARIABLES: &str = "2012-10-17";
/// The one before, which is also meant by a document that names none.
const WITHOUT_VARIABLES: &str = "2008-10-17";

/// Why a document is none; where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct Malformed {
    /// Such as `Statement 2, Action`.
    pub place: String,
    /// What is wrong there, and what would be right.
    pub why: String,
}

/// A document that can be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub(crate) statements: Box<[Statement]>,
}

/// The document of one version of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: Arc<str>,
    /// The number of the version.
    pub version: u32,
    /// What that says.
    pub document: Document,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) sid: Option<Box<str>>,
    pub(crate) is_deny: bool,
    pub(crate) actions: Listed,
    pub(crate) resources: Listed,
    pub(crate) conditions: Box<[Condition]>,
}

/// `Action` or `NotAction`, `Resource` or `NotResource`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// All but these.
    pub(crate) is_not: bool,
    pub(crate) patterns: Box<[Pattern]>,
}

fn malformed(place: &str, why: impl Into<String>) -> Malformed {
    Malformed { place: place.into(), why: why.into() }
}

impl Document {
    /// # Errors
    /// What is wrong with the text, the first that is found.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let whole = "the policy document";
        let chars = text.chars().filter(|c| !c.is_whitespace()).count();
        if chars > CHARS_MAX {
            return Err(malformed(whole, format!("has {chars} characters without white space; AWS takes {CHARS_MAX}")));
        }
        let value: Value = serde_json::from_str(text).map_err(|error| malformed(whole, format!("is no JSON: {error}")))?;
        let document = value.as_object().ok_or_else(|| malformed(whole, "must be a JSON object"))?;
        check_keys(whole, document, &["Version", "Id", "Statement"])?;
        let language = Language { wildcards: true, variables: has_variables(document.get("Version"))? };
        let statements = match document.get("Statement") {
            None => return Err(malformed(whole, "has no Statement")),
            Some(Value::Array(statements)) if statements.is_empty() => return Err(malformed("Statement", "has no statement")),
            Some(Value::Array(statements)) => statements.as_slice(),
            Some(statement) => std::slice::from_ref(statement),
        };
        let statements = statements.iter().enumerate().map(|(n, value)| Statement::parse(n + 1, value, language));
        Ok(Self { statements: statements.collect::<Result<_, _>>()? })
    }

    /// Names of attributes of things that its variables name.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.variables().filter_map(Variable::attribute)
    }

    /// Parts of certificates that its variables name, in lower case, such as `subject.commonname`.
    pub fn certificate_parts(&self) -> impl Iterator<Item = &str> {
        self.variables().filter_map(Variable::part)
    }

    /// What the ARNs of its resources begin with, such as `arn:aws:iot:us-east-1:111122223333:`, where all of them that name an account and a
    /// region name the same.
    #[must_use]
    pub fn only_home(&self) -> Option<String> {
        let mut homes = self.statements.iter().flat_map(|statement| &statement.resources.patterns).filter_map(Pattern::home);
        let first = homes.next()?;
        homes.all(|home| home == first).then(|| first.to_owned())
    }

    /// Whether what it decides may change while nothing but the time does.
    #[must_use]
    pub fn depends_on_time(&self) -> bool {
        self.variables().any(Variable::is_time)
    }

    fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.statements.iter().flat_map(|statement| {
            let of_resources = statement.resources.patterns.iter().flat_map(Pattern::variables);
            of_resources.chain(statement.conditions.iter().flat_map(Condition::variables))
        })
    }
}

fn has_variables(version: Option<&Value>) -> Result<bool, Malformed> {
    match version.map(|version| version.as_str().unwrap_or_default()) {
        Some(WITH_VARIABLES) => Ok(true),
        None | Some(WITHOUT_VARIABLES) => Ok(false),
        Some(_) => {
            Err(malformed("Version", format!("must be {WITH_VARIABLES:?}, or {WITHOUT_VARIABLES:?}, which has no variables")))
        }
    }
}

fn check_keys(place: &str, object: &Map<String, Value>, known: &[&str]) -> Result<(), Malformed> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) if key == "Principal" || key == "NotPrincipal" => {
            Err(malformed(place, format!("{key} has no place in a policy of AWS IoT: whom it concerns is what it is attached to")))
        }
        Some(key) => Err(malformed(place, format!("{key:?} is not known; there are {}", known.join(", ")))),
        None => Ok(()),
    }
}

impl Statement {
    /// `number` counts from 1.
    fn parse(number: usize, value: &Value, language: Language) -> Result<Self, Malformed> {
        let place = format!("Statement {number}");
        let statement = value.as_object().ok_or_else(|| malformed(&place, "must be a JSON object"))?;
        let known = ["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"];
        check_keys(&place, statement, &known)?;
        let sid = match statement.get("Sid") {
            None => None,
            Some(Value::String(sid)) => Some(sid.as_str().into()),
            Some(_) => return Err(malformed(&format!("{place}, Sid"), "must be a text")),
        };
        let is_deny = match statement.get("Effect").and_then(Value::as_str) {
            Some("Allow") => false,
            Some("Deny") => true,
            _ => return Err(malformed(&format!("{place}, Effect"), "must be \"Allow\" or \"Deny\"")),
        };
        // Actions have no variables.
        let actions =
            Listed::parse(&place, statement, ["Action", "NotAction"], Language { variables: false, ..language }, check_action)?;
        let resources = Listed::parse(&place, statement, ["Resource", "NotResource"], language, check_resource)?;
        let conditions = statement.get("Condition").map(|value| Condition::parse_all(&place, value, language)).transpose()?;
        Ok(Self { sid, is_deny, actions, resources, conditions: conditions.unwrap_or_default() })
    }
}

impl Listed {
    fn parse(
        place: &str,
        statement: &Map<String, Value>,
        [name, not_name]: [&str; 2],
        language: Language,
        check: fn(&str) -> Result<(), String>,
    ) -> Result<Self, Malformed> {
        let (key, is_not, value) = match (statement.get(name), statement.get(not_name)) {
            (Some(value), None) => (name, false, value),
            (None, Some(value)) => (not_name, true, value),
            (None, None) => return Err(malformed(place, format!("has neither {name} nor {not_name}"))),
            (Some(_), Some(_)) => return Err(malformed(place, format!("has both {name} and {not_name}"))),
        };
        let place = format!("{place}, {key}");
        let texts = texts(value).filter(|texts| !texts.is_empty());
        let texts = texts.ok_or_else(|| malformed(&place, "must be a text, or a list of at least one"))?;
        let pattern = |text: &str| {
            // Actions ignore case; their patterns are compared in lower case.
            let pattern = if name == "Action" {
                Pattern::parse(&text.to_ascii_lowercase(), language)
            } else {
                Pattern::parse(text, language)
            };
            check(text).and(pattern).map_err(|why| malformed(&place, why))
        };
        Ok(Self { is_not, patterns: texts.into_iter().map(pattern).collect::<Result<_, _>>()? })
    }
}

fn check_action(text: &str) -> Result<(), String> {
    let is_fit = text == "*" || text.split_once(':').is_some_and(|(service, name)| !service.is_empty() && !name.is_empty());
    if is_fit {
        Ok(())
    } else {
        Err(format!("{text:?} is no action: it must be \"*\", or a service and a name, as in iot:Connect"))
    }
}

fn check_resource(text: &str) -> Result<(), String> {
    let is_fit =
        text.starts_with('*') || (text.starts_with("arn:") && text.splitn(6, ':').filter(|part| !part.is_empty()).count() == 6);
    if is_fit || (text.starts_with("arn:") && text.contains('*')) {
        return Ok(());
    }
    Err(format!("{text:?} is no resource: it must be \"*\", or an ARN, as in arn:aws:iot:us-east-1:111122223333:topic/a"))
}

/// A text or a list of texts.
pub(crate) fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(texts) => texts.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        Document::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn what_is_malformed_is_told_with_its_place() {
        let with = |statement: &str| {
            why(&format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Deny","Action":"*","Resource":"*"}},{statement}]}}"#))
        };
        for (found, expected) in [
            (why("{"), "the policy document: is no JSON"),
            (why("[]"), "the policy document: must be a JSON object"),
            (why("{}"), "the policy document: has no Statement"),
            (why(r#"{"Statement":[]}"#), "Statement: has no statement"),
            (why(r#"{"Version":"2020-01-01","Statement":[]}"#), "Version: must be"),
            (why(r#"{"Statement":[],"Effect":"Allow"}"#), "\"Effect\" is not known"),
            (why(&format!(r#"{{"Id":"{}"}}"#, "x".repeat(2_048))), "characters without white space; AWS takes 2048"),
            (with("7"), "Statement 2: must be a JSON object"),
            (with(r#"{"Effect":"Maybe","Action":"*","Resource":"*"}"#), "Statement 2, Effect: must be \"Allow\" or \"Deny\""),
            (with(r#"{"Effect":"Allow","Resource":"*"}"#), "Statement 2: has neither Action nor NotAction"),
            (with(r#"{"Effect":"Allow","Action":"*","Resource":"*","NotResource":"*"}"#), "has both Resource and NotResource"),
            (with(r#"{"Effect":"Allow","Action":[],"Resource":"*"}"#), "Statement 2, Action: must be a text, or a list"),
            (with(r#"{"Effect":"Allow","Action":"Connect","Resource":"*"}"#), "\"Connect\" is no action"),
            (with(r#"{"Effect":"Allow","Action":"*","Resource":"topic/a"}"#), "\"topic/a\" is no resource"),
            (with(r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:iot:topic/a"}"#), "is no resource"),
            (with(r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:iot:r:1:topic/${a"}"#), "has no closing brace"),
            (with(r#"{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}"#), "Principal has no place"),
            (
                with(r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Sounds":{}}}"#),
                "Statement 2, Condition: \"Sounds\"",
            ),
            (with(r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"a":"perhaps"}}}"#), "Bool a"),
            (
                with(r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"a":"10.0.0.0/33"}}}"#),
                "10.0.0.0/33",
            ),
        ] {
            assert!(found.contains(expected), "{found}\n{expected}");
        }
    }

    #[test]
    fn what_a_document_depends_on_is_known() {
        let text = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*",
            "Resource":"arn:aws:iot:r:1:topic/${iot:Connection.Thing.Attributes[Site]}",
            "Condition":{"DateLessThan":{"aws:CurrentTime":"2030-01-01T00:00:00Z"}}}}"#;
        let document = Document::parse(text).unwrap();
        assert_eq!(document.attributes().collect::<Vec<_>>(), ["Site"]);
        assert!(document.depends_on_time());
    }
}
