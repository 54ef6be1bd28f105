//! Thing groups, and who is in them.

use super::{PAGE_MAX, arn, attributes, expected_version, group_name, new_id, payload, thing_name};
use crate::listeners::api::tags::tag_new;
use crate::listeners::api::{Answer, Call, Refused, empty};
use iot_jobs::wire::registry::{
    CreateGroupBody, CreatedGroup, DescribedAttributes, DescribedGroup, DescribedGroupProperties, GroupMetadata,
    GroupPropertiesBody, MembershipBody, NameAndArn, UpdateGroupBody, UpdatedGroup, encode, encode_page, parse, seconds,
};
use iot_jobs::wire::tags::parse_tags;
use iot_jobs::{GroupName, ThingName};
use jobs_engine::registry::{GroupProperties, ResourceKind, Tagged};
use std::collections::BTreeSet;

/// The answer, or `None` when the call is none of these operations.
pub(super) fn operation(call: &Call<'_>) -> Option<Result<Answer, Refused>> {
    Some(match (call.method, call.path) {
        ("PUT", ["thing-groups", "addThingToThingGroup"]) => add_thing(call),
        ("PUT", ["thing-groups", "removeThingFromThingGroup"]) => remove_thing(call),
        ("GET", ["thing-groups"]) => list_groups(call),
        ("POST", ["thing-groups", name]) => create_group(call, name),
        ("GET", ["thing-groups", name]) => describe_group(call, name),
        ("PATCH", ["thing-groups", name]) => update_group(call, name),
        ("DELETE", ["thing-groups", name]) => delete_group(call, name),
        ("GET", ["thing-groups", name, "things"]) => list_members(call, name),
        ("GET", ["things", name, "thing-groups"]) => list_groups_of(call, name),
        _ => return None,
    })
}

fn properties(body: GroupPropertiesBody) -> GroupProperties {
    GroupProperties { description: body.thing_group_description, attributes: body.attribute_payload.map(payload) }
}

fn create_group(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let name = group_name(name)?;
    let body: CreateGroupBody = parse("CreateThingGroup", call.body)?;
    let parent = body.parent_group_name.as_deref().map(group_name).transpose()?;
    let (properties, tags) = (properties(body.thing_group_properties), parse_tags(body.tags)?);
    let id = call.service.call_registry(|registry, engine, now| {
        let id = registry.create_group(&name, parent, properties, new_id(), now)?;
        engine.create_group(&name);
        tag_new(registry, &Tagged::Group(name.clone()), tags)?;
        Ok::<_, Refused>(id)
    })?;
    let (thing_group_name, thing_group_arn) = (name.as_str(), arn(ResourceKind::ThingGroup, name.as_str()));
    Ok(encode(&CreatedGroup { thing_group_name, thing_group_arn, thing_group_id: id.to_string() }))
}

fn describe_group(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let name = group_name(name)?;
    call.service.call_registry(|registry, _, _| {
        let group = registry.group(&name)?;
        let is_bare = group.attributes.is_empty();
        Ok(encode(&DescribedGroup {
            thing_group_name: name.as_str(),
            thing_group_id: group.id.to_string(),
            thing_group_arn: arn(ResourceKind::ThingGroup, name.as_str()),
            version: group.version,
            thing_group_properties: DescribedGroupProperties {
                thing_group_description: group.description.as_deref(),
                attribute_payload: (!is_bare).then(|| DescribedAttributes { attributes: attributes(&group.attributes) }),
            },
            thing_group_metadata: GroupMetadata {
                parent_group_name: group.parent.as_ref().map(GroupName::as_str),
                root_to_parent_thing_groups: registry.ancestors(&name).into_iter().map(NameAndArn::group).collect(),
                creation_date: seconds(group.created_ms),
            },
        }))
    })
}

fn update_group(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let name = group_name(name)?;
    let body: UpdateGroupBody = parse("UpdateThingGroup", call.body)?;
    let properties = properties(body.thing_group_properties);
    let version = call.service.call_registry(|registry, _, _| registry.update_group(&name, properties, body.expected_version))?;
    Ok(encode(&UpdatedGroup { version }))
}

fn delete_group(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let (name, version) = (group_name(name)?, expected_version(call)?);
    call.service.call_registry(|registry, engine, now| {
        let is_known = registry.group(&name).is_ok();
        registry.delete_group(&name, version)?;
        if is_known {
            engine.delete_group(&name, now)?;
        }
        Ok::<_, Refused>(())
    })?;
    Ok(empty())
}

/// Without `recursive`, the children of `parentGroup`, or all groups when no parent is named (inferred).
fn list_groups(call: &Call<'_>) -> Result<Answer, Refused> {
    let page = call.query.page(PAGE_MAX)?;
    let parent = call.query.get("parentGroup").map(group_name).transpose()?;
    let (prefix, recursive) = (call.query.get("namePrefixFilter").unwrap_or_default(), call.query.flag("recursive"));
    call.service.call_registry(|registry, _, _| {
        let below = match &parent {
            Some(parent) => Some(registry.descendants(parent)?.into_iter().collect::<BTreeSet<_>>()),
            None => None,
        };
        let is_wanted = |found: Option<&GroupName>| match (&parent, &below) {
            (Some(_), Some(below)) if recursive => found.is_some_and(|found| below.contains(found)),
            (Some(parent), _) => found == Some(parent),
            _ => true,
        };
        let found = registry.groups().filter(|(name, group)| name.as_str().starts_with(prefix) && is_wanted(group.parent.as_ref()));
        let (groups, token) = page.cut(found, |(name, _)| name.as_str());
        Ok(encode_page("thingGroups", groups.into_iter().map(|(name, _)| NameAndArn::group(name)), "nextToken", token))
    })
}

// -------------------------------------------------------------------------------------------------------------- membership

fn add_thing(call: &Call<'_>) -> Result<Answer, Refused> {
    let (thing, group) = parse::<MembershipBody>("AddThingToThingGroup", call.body)?.names()?;
    call.service.call_registry(|registry, engine, now| {
        registry.thing(&thing)?;
        registry.check_membership(&thing, &engine.groups_of(&thing)?, &group)?;
        engine.add_thing_to_group(&thing, &group, now)?;
        Ok::<_, Refused>(())
    })?;
    Ok(empty())
}

fn remove_thing(call: &Call<'_>) -> Result<Answer, Refused> {
    let (thing, group) = parse::<MembershipBody>("RemoveThingFromThingGroup", call.body)?.names()?;
    call.service.call_registry(|registry, engine, now| {
        registry.thing(&thing)?;
        registry.group(&group)?;
        engine.remove_thing_from_group(&thing, &group, now)?;
        Ok::<_, Refused>(())
    })?;
    Ok(empty())
}

fn list_members(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let (name, page, recursive) = (group_name(name)?, call.query.page(PAGE_MAX)?, call.query.flag("recursive"));
    call.service.call_registry(|registry, engine, _| {
        let mut groups = registry.descendants(&name)?;
        if !recursive {
            groups.truncate(1);
        }
        let mut members = BTreeSet::new();
        for group in &groups {
            members.extend(engine.members(group)?);
        }
        let (members, token) = page.cut(&members, |thing| thing.as_str());
        Ok(encode_page("things", members.into_iter().map(ThingName::as_str), "nextToken", token))
    })
}

fn list_groups_of(call: &Call<'_>, name: &str) -> Result<Answer, Refused> {
    let (name, page) = (thing_name(name)?, call.query.page(PAGE_MAX)?);
    call.service.call_registry(|registry, engine, _| {
        registry.thing(&name)?;
        let groups: BTreeSet<_> = engine.groups_of(&name)?.into_iter().collect();
        let (groups, token) = page.cut(&groups, |group| group.as_str());
        Ok(encode_page("thingGroups", groups.into_iter().map(NameAndArn::group), "nextToken", token))
    })
}
