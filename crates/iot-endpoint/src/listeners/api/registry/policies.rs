//! Policies: kept, versioned, attached and told. What they decide is asked in `authorization.rs`, and at every listener for devices.

use super::{PAGE_MAX, arn, certificate_of_arn, group_name, principal};
use crate::listeners::api::tags::tag_new;
use crate::listeners::api::{Answer, Call, Refused, empty, invalid};
use iot_jobs::GroupName;
use iot_jobs::wire::control::THING_GROUP;
use iot_jobs::wire::registry::{
    CreatePolicyBody, CreatedPolicy, CreatedPolicyVersion, DescribedPolicy, DescribedPolicyVersion, ListedPolicy,
    ListedPolicyVersion, POLICY_HEADER, POLICY_PRINCIPAL_HEADER, PolicyBody, TargetBody, encode, encode_page, parse, parse_arn,
    seconds,
};
use iot_jobs::wire::tags::parse_tags;
use iot_policy::Document;
use jobs_engine::registry::{Policy, PolicyName, PolicyTarget, Registry, ResourceKind, Tagged};
use std::collections::BTreeSet;

/// The answer, or `None` when the call is none of these operations.
pub(super) fn operation(call: &Call<'_>) -> Option<Result<Answer, Refused>> {
    Some(match (call.method, call.path) {
        ("GET", ["policies"]) => list_policies(call),
        ("POST", ["policies", name]) => create_policy(call, name),
        ("GET", ["policies", name]) => get_policy(call, name),
        ("DELETE", ["policies", name]) => delete_policy(call, name),
        ("POST", ["policies", name, "version"]) => create_version(call, name),
        ("GET", ["policies", name, "version"]) => list_versions(call, name),
        ("GET", ["policies", name, "version", version]) => get_version(call, name, version),
        ("PATCH", ["policies", name, "version", version]) => set_default_version(call, name, version),
        ("DELETE", ["policies", name, "version", version]) => delete_version(call, name, version),
        ("PUT", ["target-policies", name]) => attach_policy(call, name),
        ("POST", ["target-policies", name]) => detach_policy(call, name),
        ("POST", ["attached-policies", target]) => list_attached(call, target),
        ("POST", ["policy-targets", name]) => list_targets(call, name, "targets", true),
        ("PUT", ["principal-policies", name]) => attach_principal_policy(call, name),
        ("DELETE", ["principal-policies", name]) => detach_principal_policy(call, name),
        ("GET", ["principal-policies"]) => list_principal_policies(call),
        ("GET", ["policy-principals"]) => list_policy_principals(call),
        _ => return None,
    })
}

pub(super) fn policy_arn(name: &PolicyName) -> String {
    arn(ResourceKind::Policy, name.as_str())
}

fn checked(document: String) -> Result<String, Refused> {
    match Document::parse(&document) {
        Ok(_) => Ok(document),
        Err(error) => Err(Refused::new(400, "MalformedPolicyException", error.to_string())),
    }
}

fn version_number(text: &str) -> Result<u32, Refused> {
    text.parse().map_err(|_| invalid(format!("policyVersionId must be a number, not {text:?}")).into())
}

fn create_policy(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let (name, body): (_, CreatePolicyBody) = (PolicyName::new(name)?, parse("CreatePolicy", call.body)?);
    let (document, tags) = (checked(body.policy_document)?, parse_tags(body.tags)?);
    call.service.call_registry(|registry, _, now| {
        registry.create_policy(&name, &document, now)?;
        tag_new(registry, &Tagged::Policy(name.clone()), tags)
    })?;
    Ok(encode(&CreatedPolicy {
        policy_name: name.as_str(),
        policy_arn: policy_arn(&name),
        policy_document: &document,
        policy_version_id: "1".into(),
    }))
}

fn get_policy(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let name = PolicyName::new(name)?;
    call.service.call_registry(|registry, _, _| {
        let default_version = registry.policy(&name)?.default_version;
        let (policy, version) = registry.policy_version(&name, default_version)?;
        Ok(encode(&DescribedPolicy {
            policy_name: name.as_str(),
            policy_arn: policy_arn(&name),
            policy_document: &version.document,
            default_version_id: default_version.to_string(),
            creation_date: seconds(policy.created_ms),
            last_modified_date: seconds(policy.updated_ms),
        }))
    })
}

/// By date of creation, the newest first unless `isAscendingOrder`.
fn list_policies(call: &Call<'_>) -> Result<Answer, Refused> {
    let page = call.query.page_of("pageSize", "marker", PAGE_MAX)?;
    let is_ascending = call.query.flag("isAscendingOrder");
    call.service.call_registry(|registry, _, _| {
        let place = |name: &PolicyName, found: &Policy| format!("{:020}{name}", found.created_ms);
        let mut found: Vec<_> = registry.policies().map(|(name, found)| (place(name, found), name)).collect();
        found.sort_by(|(a, _), (b, _)| if is_ascending { a.cmp(b) } else { b.cmp(a) });
        let (found, marker) = page.cut_ordered(found, is_ascending, |(place, _)| place);
        Ok(encode_page("policies", found.into_iter().map(|(_, name)| ListedPolicy::new(name.as_str())), "nextMarker", marker))
    })
}

fn delete_policy(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let name = PolicyName::new(name)?;
    call.service.call_registry(|registry, _, _| registry.delete_policy(&name))?;
    Ok(empty())
}

// ---------------------------------------------------------------------------------------------------------------- versions

fn create_version(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let (name, body): (_, PolicyBody) = (PolicyName::new(name)?, parse("CreatePolicyVersion", call.body)?);
    let document = checked(body.policy_document)?;
    let is_default_version = call.query.flag("setAsDefault");
    let version =
        call.service.call_registry(|registry, _, now| registry.create_policy_version(&name, &document, is_default_version, now))?;
    Ok(encode(&CreatedPolicyVersion {
        policy_arn: policy_arn(&name),
        policy_document: &document,
        policy_version_id: version.to_string(),
        is_default_version,
    }))
}

fn list_versions(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let name = PolicyName::new(name)?;
    call.service.call_registry(|registry, _, _| {
        let policy = registry.policy(&name)?;
        let listed = policy.versions.iter().map(|(number, version)| ListedPolicyVersion {
            version_id: number.to_string(),
            is_default_version: *number == policy.default_version,
            create_date: seconds(version.created_ms),
        });
        Ok(encode_page("policyVersions", listed, "nextToken", None))
    })
}

fn get_version(call: &Call<'_>, name: &str, version: &str) -> Result<Answer, Refused> {
    let (name, number) = (PolicyName::new(name)?, version_number(version)?);
    call.service.call_registry(|registry, _, _| {
        let (policy, version) = registry.policy_version(&name, number)?;
        Ok(encode(&DescribedPolicyVersion {
            policy_arn: policy_arn(&name),
            policy_name: name.as_str(),
            policy_document: &version.document,
            policy_version_id: number.to_string(),
            is_default_version: number == policy.default_version,
            creation_date: seconds(version.created_ms),
            last_modified_date: seconds(version.created_ms),
        }))
    })
}

fn set_default_version(call: &Call<'_>, name: &str, version: &str) -> Result<Answer, Refused> {
    let (name, number) = (PolicyName::new(name)?, version_number(version)?);
    call.service.call_registry(|registry, _, now| registry.set_default_version(&name, number, now))?;
    Ok(empty())
}

fn delete_version(call: &Call<'_>, name: &str, version: &str) -> Result<Answer, Refused> {
    let (name, number) = (PolicyName::new(name)?, version_number(version)?);
    call.service.call_registry(|registry, _, _| registry.delete_policy_version(&name, number))?;
    Ok(empty())
}

// ------------------------------------------------------------------------------------------------------------- attachments

fn target_of(arn: &str) -> Result<PolicyTarget, Refused> {
    match parse_arn(arn) {
        Some((THING_GROUP, name)) => Ok(PolicyTarget::Group(group_name(name)?)),
        _ => certificate_of_arn(arn).map(PolicyTarget::Certificate),
    }
}

fn target_arn(target: &PolicyTarget) -> String {
    match target {
        PolicyTarget::Certificate(id) => arn(ResourceKind::Certificate, &id.to_string()),
        PolicyTarget::Group(name) => arn(ResourceKind::ThingGroup, name.as_str()),
    }
}

fn attach(call: &Call<'_>, name: &str, target: &PolicyTarget) -> Result<Answer, Refused> {
    let name = PolicyName::new(name)?;
    call.service.call_registry(|registry, _, _| registry.attach_policy(&name, target))?;
    Ok(empty())
}

fn detach(call: &Call<'_>, name: &str, target: &PolicyTarget) -> Result<Answer, Refused> {
    let name = PolicyName::new(name)?;
    call.service.call_registry(|registry, _, _| registry.detach_policy(&name, target))?;
    Ok(empty())
}

fn attach_policy(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let body: TargetBody = parse("AttachPolicy", call.body)?;
    attach(call, name, &target_of(&body.target)?)
}

fn detach_policy(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let body: TargetBody = parse("DetachPolicy", call.body)?;
    detach(call, name, &target_of(&body.target)?)
}

fn attach_principal_policy(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    attach(call, name, &PolicyTarget::Certificate(principal(call, POLICY_PRINCIPAL_HEADER)?))
}

fn detach_principal_policy(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    detach(call, name, &PolicyTarget::Certificate(principal(call, POLICY_PRINCIPAL_HEADER)?))
}

/// With `recursive`, what a group has from its ancestors too.
fn attached(registry: &Registry, target: &PolicyTarget, recursive: bool) -> Result<BTreeSet<PolicyName>, Refused> {
    let mut found: BTreeSet<PolicyName> = registry.policies_of(target)?.iter().cloned().collect();
    if let PolicyTarget::Group(name) = target
        && recursive
    {
        let ancestors: Vec<GroupName> = registry.ancestors(name).into_iter().cloned().collect();
        for ancestor in ancestors {
            found.extend(registry.group(&ancestor)?.policies.iter().cloned());
        }
    }
    Ok(found)
}

fn answer_attached(call: &Call<'_>, target: &PolicyTarget, recursive: bool) -> Result<Answer, Refused> {
    let page = call.query.page_of("pageSize", "marker", PAGE_MAX)?;
    let found = call.service.call_registry(|registry, _, _| attached(registry, target, recursive))?;
    let (found, marker) = page.cut(found, |name| name.as_str());
    Ok(encode_page("policies", found.iter().map(|name| ListedPolicy::new(name.as_str())), "nextMarker", marker))
}

fn list_attached(call: &Call<'_>, target: &str) -> Result<Answer, Refused> {
    answer_attached(call, &target_of(target)?, call.query.flag("recursive"))
}

fn list_principal_policies(call: &Call<'_>) -> Result<Answer, Refused> {
    answer_attached(call, &PolicyTarget::Certificate(principal(call, POLICY_PRINCIPAL_HEADER)?), false)
}

/// The older call knows certificates only.
fn list_targets(call: &Call<'_>, name: &str, member: &str, with_groups: bool) -> Result<Answer, Refused> {
    let (name, page) = (PolicyName::new(name)?, call.query.page_of("pageSize", "marker", PAGE_MAX)?);
    let is_wanted = |target: &&PolicyTarget| with_groups || matches!(target, PolicyTarget::Certificate(_));
    let mut targets: Vec<String> = call.service.call_registry(|registry, _, _| {
        Ok::<_, Refused>(registry.targets_of(&name)?.filter(is_wanted).map(target_arn).collect())
    })?;
    targets.sort_unstable();
    let (targets, marker) = page.cut(targets, |target| target);
    Ok(encode_page(member, targets.into_iter(), "nextMarker", marker))
}

fn list_policy_principals(call: &Call<'_>) -> Result<Answer, Refused> {
    list_targets(call, call.header(POLICY_HEADER).unwrap_or_default(), "principals", false)
}
