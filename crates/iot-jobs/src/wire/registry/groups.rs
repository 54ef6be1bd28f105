//! Calls about groups.

use super::{AttributePayloadBody, AttributesBody, invalid, parse_arn};
use crate::wire::control::{self, THING, THING_GROUP};
use crate::wire::tags::TagBody;
use crate::{ControlError, GroupName, ThingName};
use serde::{Deserialize, Serialize};

/// `thingGroupProperties` of a call.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GroupPropertiesBody {
    /// `thingGroupDescription`.
    pub thing_group_description: Option<String>,
    /// `attributePayload`: attributes of the group itself.
    pub attribute_payload: Option<AttributePayloadBody>,
}

/// The body of CreateThingGroup.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CreateGroupBody {
    /// `parentGroupName`; absent: the group is the root of a hierarchy.
    pub parent_group_name: Option<String>,
    /// `thingGroupProperties`.
    pub thing_group_properties: GroupPropertiesBody,
    /// `tags`.
    pub tags: Option<Vec<TagBody>>,
}

/// The body of UpdateThingGroup.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateGroupBody {
    /// `thingGroupProperties`: members that are absent stay as they are.
    pub thing_group_properties: GroupPropertiesBody,
    /// `expectedVersion`; absent: no check.
    pub expected_version: Option<i64>,
}

/// The answer to CreateThingGroup.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedGroup<'a> {
    /// `thingGroupName`, from the path of the request.
    pub thing_group_name: &'a str,
    /// `thingGroupArn`.
    pub thing_group_arn: String,
    /// `thingGroupId`, a UUID.
    pub thing_group_id: String,
}

/// The answer to DescribeThingGroup.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribedGroup<'a> {
    /// `thingGroupName`.
    pub thing_group_name: &'a str,
    /// `thingGroupId`, a UUID.
    pub thing_group_id: String,
    /// `thingGroupArn`.
    pub thing_group_arn: String,
    /// `version`: 1 at first, one more with each update.
    pub version: i64,
    /// `thingGroupProperties`.
    pub thing_group_properties: DescribedGroupProperties<'a>,
    /// `thingGroupMetadata`.
    pub thing_group_metadata: GroupMetadata<'a>,
}

/// `thingGroupProperties` of DescribeThingGroup.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribedGroupProperties<'a> {
    /// `thingGroupDescription`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_group_description: Option<&'a str>,
    /// `attributePayload`; absent when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute_payload: Option<DescribedAttributes<'a>>,
}

/// `attributePayload` of DescribeThingGroup.
#[derive(Debug, Serialize)]
pub struct DescribedAttributes<'a> {
    /// `attributes`: names and values.
    pub attributes: AttributesBody<'a>,
}

/// `thingGroupMetadata`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupMetadata<'a> {
    /// `parentGroupName`; absent at the root of a hierarchy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_group_name: Option<&'a str>,
    /// `rootToParentThingGroups`: the groups above, the root first; absent at the root.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub root_to_parent_thing_groups: Vec<NameAndArn>,
    /// `creationDate`, in seconds since the epoch.
    pub creation_date: f64,
}

/// A group in a list of groups.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NameAndArn {
    /// `groupName`.
    pub group_name: String,
    /// `groupArn`.
    pub group_arn: String,
}

impl NameAndArn {
    /// The group of this name in the local endpoint's account.
    #[must_use]
    pub fn group(name: &GroupName) -> Self {
        Self { group_name: name.as_str().into(), group_arn: control::arn(THING_GROUP, name.as_str()) }
    }
}

/// The answer to UpdateThingGroup.
#[derive(Debug, Serialize)]
pub struct UpdatedGroup {
    /// `version` after the update.
    pub version: i64,
}

/// AddThingToThingGroup and RemoveThingFromThingGroup, by names or by ARNs. There are no dynamic groups to override.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MembershipBody {
    /// `thingGroupName`; absent: the ARN names the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_group_name: Option<String>,
    /// `thingGroupArn`; absent: the name does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_group_arn: Option<String>,
    /// `thingName`; absent: the ARN names the thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_name: Option<String>,
    /// `thingArn`; absent: the name does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_arn: Option<String>,
    /// `overrideDynamicGroups`: accepted, and without effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_dynamic_groups: Option<bool>,
}

impl MembershipBody {
    /// By their names.
    #[must_use]
    pub fn new(thing: &ThingName, group: &GroupName) -> Self {
        let (thing_name, thing_group_name) = (Some(thing.as_str().into()), Some(group.as_str().into()));
        Self { thing_name, thing_group_name, ..Self::default() }
    }

    /// # Errors
    /// `InvalidRequest` when thing or group is missing, malformed, or told in two ways that differ.
    pub fn names(&self) -> Result<(ThingName, GroupName), ControlError> {
        let thing = name_of("thing", THING, self.thing_name.as_deref(), self.thing_arn.as_deref())?;
        let group = name_of("thingGroup", THING_GROUP, self.thing_group_name.as_deref(), self.thing_group_arn.as_deref())?;
        let refuse = |error: crate::NameError| invalid(error.to_string());
        Ok((ThingName::new(thing).map_err(refuse)?, GroupName::new(group).map_err(refuse)?))
    }
}

fn name_of<'a>(what: &str, kind: &str, name: Option<&'a str>, arn: Option<&'a str>) -> Result<&'a str, ControlError> {
    let of_arn = match arn {
        Some(arn) => match parse_arn(arn) {
            Some((found, name)) if found == kind => Some(name),
            _ => return Err(invalid(format!("{what}Arn {arn:?} is not the ARN of a {kind} of this account"))),
        },
        None => None,
    };
    match (name, of_arn) {
        (Some(name), Some(other)) if name != other => Err(invalid(format!("{what}Name and {what}Arn name different ones"))),
        (Some(name), _) | (None, Some(name)) => Ok(name),
        (None, None) => Err(invalid(format!("{what}Name or {what}Arn is required"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::registry::parse;

    #[test]
    fn members_are_named_by_name_or_arn() {
        let names = |body: &str| parse::<MembershipBody>("AddThingToThingGroup", body.as_bytes()).and_then(|body| body.names());
        let (thing, group) = (control::arn(THING, "a:b"), control::arn(THING_GROUP, "g"));
        let expected = (ThingName::new("a:b").unwrap(), GroupName::new("g").unwrap());
        assert_eq!(names(&format!(r#"{{"thingArn":"{thing}","thingGroupName":"g"}}"#)), Ok(expected.clone()));
        assert_eq!(names(&format!(r#"{{"thingName":"a:b","thingArn":"{thing}","thingGroupArn":"{group}"}}"#)), Ok(expected));
        for wrong in [
            r#"{"thingName":"t"}"#.to_owned(),
            format!(r#"{{"thingName":"other","thingArn":"{thing}","thingGroupName":"g"}}"#),
            format!(r#"{{"thingArn":"{group}","thingGroupName":"g"}}"#),
            r#"{"thingName":"t","thingGroupName":"g","color":1}"#.to_owned(),
        ] {
            assert!(names(&wrong).is_err(), "{wrong}");
        }
    }
}
