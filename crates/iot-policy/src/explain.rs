//! Why a request was denied, for whoever has to mend the policy: which statement denies it, or which one comes nearest and what it would
//! have to say instead. The mistakes that are looked for are those of public reports (PROTOCOL-CORE 1.2 to 1.5).

use crate::client::{Attachment, Client};
use crate::condition::Condition;
use crate::document::Policy;
use crate::evaluate::{Decision, Found, Match, evaluate, statements};
use crate::pattern::{Language, Pattern};
use crate::request::{Action, Request};
use crate::variable::Variable;
use std::fmt::Write as _;
use std::sync::Arc;

/// Kinds of resources that are taken for each other.
const KINDS: [&str; 4] = ["client/", "topic/", "topicfilter/", "thing/"];
const HTTP_PREFIX: &str = "iotjobsdata:";
const OLD_HTTP_PREFIX: &str = "iot:";
/// How much of a list is told.
const TOLD_MAX: usize = 3;

/// How near a statement came to allowing the request: what is nearest is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Distance {
    /// A known mistake of writing.
    Mistake,
    /// Everything fits but a condition.
    Condition,
    /// A variable has no value.
    Variable,
    /// Another action on this resource.
    Action,
    /// This action on other resources.
    Resource,
}

/// In words: why the policies decide as they do. Fits behind "denied: ".
#[must_use]
pub fn explain(policies: &[Arc<Policy>], client: &Client, request: &Request<'_>) -> String {
    let what = format!("{} on {}{}", request.action.as_str(), request.action.kind(), request.name);
    match evaluate(policies, client, request) {
        Decision::Allowed(found) => format!("{what} is allowed by {}", told(found)),
        Decision::ExplicitDeny(found) => format!("{what} is denied by {}", told(found)),
        Decision::ImplicitDeny if policies.is_empty() => {
            format!("{what} is not allowed: no policy is attached (AttachPolicy attaches one)")
        }
        Decision::ImplicitDeny => {
            let reasons = statements(policies).filter(|found| !found.statement.is_deny).filter_map(|found| {
                let (distance, why) = reason(found, client, request)?;
                Some((distance, found, why))
            });
            match reasons.min_by_key(|(distance, ..)| *distance) {
                Some((_, found, why)) => {
                    let Policy { name, version, .. } = found.policy;
                    format!("{what} is not allowed by policy {name} version {version}: {why}")
                }
                None => format!("{what} is not allowed: no statement of {} speaks of it{}", names(policies), alone(request.action)),
            }
        }
    }
}

/// A statement with the policy that it stands in.
fn told(found: Found<'_>) -> String {
    let Policy { name, version, .. } = found.policy;
    let sid = found.statement.sid.as_ref().map(|sid| format!(" ({sid})")).unwrap_or_default();
    format!("statement {}{sid} of policy {name} version {version}", found.number)
}

fn names(policies: &[Arc<Policy>]) -> String {
    let mut text = String::new();
    for policy in policies.iter().take(TOLD_MAX) {
        let _ = write!(text, "{}{} version {}", if text.is_empty() { "policy " } else { ", " }, policy.name, policy.version);
    }
    if policies.len() > TOLD_MAX {
        let _ = write!(text, " and {} more", policies.len() - TOLD_MAX);
    }
    text
}

/// What is often taken to be enough.
fn alone(action: Action) -> &'static str {
    match action {
        Action::Receive => "; iot:Subscribe alone delivers nothing",
        Action::RetainPublish => "; iot:Publish alone retains nothing",
        _ => "",
    }
}

/// Why a statement that allows something does not allow this; nothing where it is about something else.
fn reason(found: Found<'_>, client: &Client, request: &Request<'_>) -> Option<(Distance, String)> {
    let statement = found.statement;
    let action = request.action.as_str().to_ascii_lowercase();
    let covered = |arn: &str| statement.resources.covers(arn, client, request);
    if !statement.actions.covers(&action, client, request).is_yes() {
        let is_heard = request.action == Action::Receive && covered(&request.arn_of(Action::Subscribe.kind())).is_yes();
        let is_near = is_heard || covered(&request.arn()).is_yes();
        return if is_near { other_action(found, client, request) } else { None };
    }
    match covered(&request.arn()) {
        Match::Yes => {
            let failed = statement.conditions.iter().find(|condition| !condition.holds(client, request))?;
            Some((Distance::Condition, failed_condition(failed, client, request)))
        }
        Match::Missing(variable) => Some((Distance::Variable, missing(variable, client))),
        Match::No => Some(other_resource(found, client, request)),
    }
}

/// The resource fits, and the action does not.
fn other_action(found: Found<'_>, client: &Client, request: &Request<'_>) -> Option<(Distance, String)> {
    let wanted = request.action.as_str();
    let is_listed = |action: &str| found.statement.actions.covers(&action.to_ascii_lowercase(), client, request).is_yes();
    if let Some(name) = wanted.strip_prefix(HTTP_PREFIX) {
        let old = format!("{OLD_HTTP_PREFIX}{name}");
        let why =
            format!("it says {old} where it must say {wanted}: the prefix of the actions of jobs over HTTPS is {HTTP_PREFIX}");
        return is_listed(&old).then_some((Distance::Mistake, why));
    }
    let others: &[Action] = match request.action {
        Action::Receive => &[Action::Publish, Action::Subscribe],
        Action::RetainPublish => &[Action::Publish],
        Action::Publish => &[Action::Receive],
        _ => &[],
    };
    let other = others.iter().find(|other| is_listed(other.as_str()))?;
    Some((Distance::Action, format!("it allows {} there, and says nothing of {wanted}", other.as_str())))
}

/// The action fits, and the resource does not.
fn other_resource(found: Found<'_>, client: &Client, request: &Request<'_>) -> (Distance, String) {
    let resources = &found.statement.resources;
    let allowed: Vec<String> = resources.patterns.iter().map(|pattern| pattern.expand(client, request)).collect();
    if resources.is_not {
        return (Distance::Resource, format!("it leaves out {}", list(&allowed)));
    }
    let kind = request.action.kind();
    let is_covered = |arn: &str| resources.covers(arn, client, request).is_yes();
    if let Some(wrong) = KINDS.iter().find(|wrong| **wrong != kind && is_covered(&request.arn_of(wrong))) {
        return (Distance::Mistake, format!("it says {wrong} where it must say {kind}"));
    }
    let here = request.home.prefix();
    let other_home = resources.patterns.iter().find_map(|pattern| {
        let prefix = pattern.home().filter(|prefix| *prefix != here)?;
        is_covered(&[prefix, kind, request.name].concat()).then_some(prefix)
    });
    if let Some(prefix) = other_home {
        return (Distance::Mistake, format!("its ARN begins with {prefix}, and the resource is in {here}"));
    }
    if allowed.iter().any(|arn| is_taken_for_wildcard(arn, client, request)) {
        let why = format!(
            "+ and # are plain characters in a policy: {} allows no other topic or filter; * stands for any run",
            list(&allowed)
        );
        return (Distance::Mistake, why);
    }
    let own: Vec<&str> = allowed.iter().filter_map(|arn| arn.split_once(":client/").map(|(_, id)| id)).collect();
    if request.action == Action::Connect && !own.is_empty() {
        return (Distance::Resource, format!("it allows the client id {}, and this one is {}", own.join(" or "), request.name));
    }
    (Distance::Resource, format!("it allows {} only", list(&allowed)))
}

/// Whether the request would fit if MQTT's wildcards were such in a policy.
fn is_taken_for_wildcard(arn: &str, client: &Client, request: &Request<'_>) -> bool {
    let language = Language { wildcards: true, variables: false };
    arn.contains(['+', '#'])
        && Pattern::parse(&arn.replace(['+', '#'], "*"), language)
            .is_ok_and(|pattern| pattern.matches(&request.arn(), client, request))
}

fn list(arns: &[String]) -> String {
    let told: Vec<&str> = arns.iter().take(TOLD_MAX).map(String::as_str).collect();
    let more = if arns.len() > TOLD_MAX { format!(" and {} more", arns.len() - TOLD_MAX) } else { String::new() };
    format!("{}{more}", told.join(", "))
}

fn failed_condition(condition: &Condition, client: &Client, request: &Request<'_>) -> String {
    let condition_told = condition.told(client, request);
    let key = condition.key();
    let why = if key.is_of_thing() { format!("; {}", no_thing(client)) } else { String::new() };
    let why = if matches!(client.attachment, Attachment::Is(_)) { String::new() } else { why };
    format!("its condition {condition_told}{why}")
}

fn missing(variable: &Variable, client: &Client) -> String {
    let name = variable.name();
    if variable.is_unknown() {
        return format!("there is no variable {variable}, so that its statement never applies");
    }
    if variable.is_of_thing() && !matches!(client.attachment, Attachment::Is(_)) {
        return format!("{name} has no value: {}", no_thing(client));
    }
    if variable.is_of_thing() {
        return format!("{name} has no value: the thing has no such type or attribute");
    }
    if variable.part().is_some() {
        return format!("{name} has no value: the certificate has no such part, or one with *, $, +, ? or # in it");
    }
    format!("{name} has no value here")
}

/// Why the client is no thing.
fn no_thing(client: &Client) -> String {
    match &client.attachment {
        Attachment::Https => "variables of things have none on HTTPS".into(),
        Attachment::Unattached => "the certificate is attached to no thing (AttachThingPrincipal attaches it)".into(),
        Attachment::OtherName { attached } => format!(
            "the client id is {}, and the certificate is attached to {attached}, not exclusively (thingPrincipalType=EXCLUSIVE_THING lets the ids differ)",
            client.id.as_deref().unwrap_or_default()
        ),
        Attachment::Is(_) => String::new(),
    }
}
