//! What policies would decide, and which there are: TestAuthorization and GetEffectivePolicies (PROTOCOL-CORE 1.12).

use super::certificates::text_of;
use super::policies::policy_arn;
use super::{certificate_of_arn, thing_name};
use crate::authority::Asking;
use crate::listeners::api::{Answer, Call, Refused, invalid};
use dev_pki::DeviceCertificate;
use host::clock;
use iot_jobs::wire::registry::{AuthInfoBody, EffectivePoliciesBody, TestAuthorizationBody, encode, parse};
use iot_policy::{Action, Attachment, Client, Decision, Home, Policy, Request, evaluate, missing_values};
use jobs_engine::registry::PolicyName;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What one call of TestAuthorization may ask.
const AUTH_INFOS_MAX: usize = 10;

/// The answer, or `None` when the call is none of these operations.
pub(super) fn operation(call: &Call<'_>) -> Option<Result<Answer, Refused>> {
    Some(match (call.method, call.path) {
        ("POST", ["test-authorization"]) => test_authorization(call),
        ("POST", ["effective-policies"]) => effective_policies(call),
        _ => return None,
    })
}

fn names(texts: &[String]) -> Result<BTreeSet<PolicyName>, Refused> {
    Ok(texts.iter().map(|text| PolicyName::new(text)).collect::<Result<_, _>>()?)
}

/// `clientId` is the client's, and says with the attachments of the principal which thing it is (inferred). Without a principal only the
/// policies that are to be added count.
fn test_authorization(call: &Call<'_>) -> Result<Answer, Refused> {
    let body: TestAuthorizationBody = parse("TestAuthorization", call.body)?;
    if body.auth_infos.len() > AUTH_INFOS_MAX {
        return Err(
            invalid(format!("authInfos must have at most {AUTH_INFOS_MAX} members, these are {}", body.auth_infos.len())).into()
        );
    }
    let principal = body.principal.as_deref().map(certificate_of_arn).transpose()?;
    let (added, skipped) = (names(&body.policy_names_to_add)?, names(&body.policy_names_to_skip)?);
    let client_id = call.query.get("clientId").unwrap_or_default();
    let authority = &call.service.authority;
    let der = principal
        .and_then(|id| text_of(call, id).ok())
        .and_then(|pem| DeviceCertificate::from_pem(&pem).ok())
        .map(|found| found.der);
    let asking =
        principal.map(|id| Asking { der: der.as_ref(), id, client_id: Some(client_id), source_ip: None, domain_name: None });
    let (client, policies) = call.service.read(|registry, engine| {
        for name in &added {
            registry.policy(name)?;
        }
        let change = |names: &mut BTreeSet<PolicyName>| {
            names.extend(added);
            names.retain(|name| !skipped.contains(name));
        };
        let Some(asking) = asking else {
            let mut names = BTreeSet::new();
            change(&mut names);
            let client = Client { id: Some(client_id.into()), attachment: Attachment::Unattached, ..Client::default() };
            return Ok((client, authority.policies(registry, &names)));
        };
        registry.certificate(asking.id)?;
        Ok::<_, Refused>(authority.client(registry, engine, asking, change))
    })?;
    let client = Client { certificate: asking.and_then(|asking| asking.certificate(&policies)), ..client };
    let results = body.auth_infos.iter().map(|info| judge(info, &client, &policies)).collect::<Result<Vec<_>, _>>()?;
    Ok(encode(&json!({ "authResults": results })))
}

/// One action on one or more resources, all of which have to be allowed.
fn judge(info: &AuthInfoBody, client: &Client, policies: &Arc<[Arc<Policy>]>) -> Result<Value, Refused> {
    let action = match info.action_type.as_deref() {
        Some("CONNECT") => Action::Connect,
        Some("PUBLISH") => Action::Publish,
        Some("SUBSCRIBE") => Action::Subscribe,
        Some("RECEIVE") => Action::Receive,
        other => {
            return Err(invalid(format!(
                "actionType must be CONNECT, PUBLISH, SUBSCRIBE or RECEIVE, not {:?}",
                other.unwrap_or_default()
            ))
            .into());
        }
    };
    let mut seen = Seen::default();
    for arn in &info.resources {
        let (home, name) = resource(arn, action)?;
        let request = Request { action, name, home: &home, connect: None, epoch_s: clock::epoch_ms() / 1_000 };
        seen.add(policies, client, &request);
    }
    let denied = json!({ "implicitDeny": { "policies": told(&seen.silent) }, "explicitDeny": { "policies": told(&seen.denying) } });
    Ok(json!({
        "authInfo": { "actionType": info.action_type, "resources": info.resources },
        "allowed": { "policies": told(&seen.allowing) },
        "denied": denied,
        "authDecision": seen.decision(),
        "missingContextValues": seen.missing,
    }))
}

/// Which policies say what of the resources so far.
#[derive(Default)]
struct Seen {
    is_denied: bool,
    is_open: bool,
    allowing: BTreeSet<Arc<str>>,
    denying: BTreeSet<Arc<str>>,
    silent: BTreeSet<Arc<str>>,
    missing: BTreeSet<String>,
}

impl Seen {
    fn add(&mut self, policies: &[Arc<Policy>], client: &Client, request: &Request<'_>) {
        match evaluate(policies, client, request) {
            Decision::Allowed(_) => {}
            Decision::ExplicitDeny(_) => self.is_denied = true,
            Decision::ImplicitDeny => self.is_open = true,
        }
        for policy in policies {
            let of_policy = match evaluate(std::slice::from_ref(policy), client, request) {
                Decision::Allowed(_) => &mut self.allowing,
                Decision::ExplicitDeny(_) => &mut self.denying,
                Decision::ImplicitDeny => &mut self.silent,
            };
            of_policy.insert(Arc::clone(&policy.name));
        }
        self.missing.extend(missing_values(policies, client, request).into_iter().map(str::to_owned));
    }

    fn decision(&self) -> &'static str {
        match (self.is_denied, self.is_open) {
            (true, _) => "EXPLICIT_DENY",
            (false, true) => "IMPLICIT_DENY",
            (false, false) => "ALLOWED",
        }
    }
}

fn told(names: &BTreeSet<Arc<str>>) -> Vec<Value> {
    let arn = |name: &str| PolicyName::new(name).map(|name| policy_arn(&name)).ok();
    names.iter().map(|name| json!({ "policyName": **name, "policyArn": arn(name) })).collect()
}

/// The home and the name in the ARN of a resource that an action is about.
fn resource(arn: &str, action: Action) -> Result<(Home, &str), Refused> {
    let parsed = match arn.splitn(6, ':').collect::<Vec<_>>()[..] {
        ["arn", "aws", "iot", region, account, resource] => {
            resource.strip_prefix(action.kind()).map(|name| (Home::new(region, account), name))
        }
        _ => None,
    };
    let wrong = || {
        invalid(format!(
            "{arn:?} is no ARN of a resource for {}: it would be arn:aws:iot:region:account:{}name",
            action.as_str(),
            action.kind()
        ))
    };
    Ok(parsed.ok_or_else(wrong)?)
}

/// With a thing's name also the policies of its groups and of their ancestors.
fn effective_policies(call: &Call<'_>) -> Result<Answer, Refused> {
    let body: EffectivePoliciesBody = parse("GetEffectivePolicies", call.body)?;
    let principal = body.principal.as_deref().map(certificate_of_arn).transpose()?;
    let thing = call.query.get("thingName").map(thing_name).transpose()?;
    call.service.read(|registry, engine| {
        if let Some(thing) = &thing {
            registry.thing(thing)?;
        }
        let mut found: BTreeSet<PolicyName> = BTreeSet::new();
        if let Some(id) = principal {
            found.extend(registry.certificate(id)?.policies.iter().cloned());
        }
        if let Some(thing) = &thing {
            found.extend(registry.policies_of_groups(&engine.groups_of(thing).unwrap_or_default()));
        }
        let policy = |name: &PolicyName| {
            let (_, version) = registry.policy_version(name, registry.policy(name)?.default_version)?;
            Ok(json!({ "policyName": name.as_str(), "policyArn": policy_arn(name), "policyDocument": version.document }))
        };
        let policies = found.iter().map(policy).collect::<Result<Vec<_>, Refused>>()?;
        Ok(encode(&json!({ "effectivePolicies": policies })))
    })
}
