//! Calls about things and their types.

use super::{AttributePayloadBody, AttributesBody};
use crate::wire::tags::TagBody;
use serde::{Deserialize, Serialize};

/// The body of CreateThing.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CreateThingBody {
    /// `thingTypeName`; absent: no type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_type_name: Option<String>,
    /// `attributePayload`; absent: no attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute_payload: Option<AttributePayloadBody>,
}

/// The body of UpdateThing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct UpdateThingBody {
    /// `thingTypeName`: the new type; absent: it stays as it is.
    pub thing_type_name: Option<String>,
    /// `attributePayload`; absent: they stay as they are.
    pub attribute_payload: Option<AttributePayloadBody>,
    /// `expectedVersion`; absent: no check.
    pub expected_version: Option<i64>,
    /// `removeThingType`; excludes a new type.
    pub remove_thing_type: bool,
}

/// The answer to CreateThing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedThing<'a> {
    /// `thingName`, from the path of the request.
    pub thing_name: &'a str,
    /// `thingArn`.
    pub thing_arn: String,
    /// `thingId`, a UUID.
    pub thing_id: String,
}

/// The answer to DescribeThing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribedThing<'a> {
    /// `defaultClientId`: the client id that a device is to have, its thing's name.
    pub default_client_id: &'a str,
    /// `thingName`.
    pub thing_name: &'a str,
    /// `thingId`, a UUID.
    pub thing_id: String,
    /// `thingArn`.
    pub thing_arn: String,
    /// `thingTypeName`; absent: no type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_type_name: Option<&'a str>,
    /// `attributes`, `{}` when there are none.
    pub attributes: AttributesBody<'a>,
    /// `version`: 1 at first, one more with each update.
    pub version: i64,
}

/// One of ListThings.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedThing<'a> {
    /// `thingName`.
    pub thing_name: &'a str,
    /// `thingTypeName`; absent: no type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_type_name: Option<&'a str>,
    /// `thingArn`.
    pub thing_arn: String,
    /// `attributes`, `{}` when there are none.
    pub attributes: AttributesBody<'a>,
    /// `version`: 1 at first, one more with each update.
    pub version: i64,
}

/// `thingTypeProperties`, both ways.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TypePropertiesBody {
    /// `thingTypeDescription`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_type_description: Option<String>,
    /// `searchableAttributes`: names; absent when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub searchable_attributes: Option<Vec<String>>,
}

/// The body of CreateThingType.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CreateTypeBody {
    /// `thingTypeProperties`.
    pub thing_type_properties: TypePropertiesBody,
    /// `tags`.
    pub tags: Option<Vec<TagBody>>,
}

/// The body of DeprecateThingType.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DeprecateTypeBody {
    /// `undoDeprecate`: things can have the type again.
    pub undo_deprecate: bool,
}

/// The answer to CreateThingType.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedType<'a> {
    /// `thingTypeName`, from the path of the request.
    pub thing_type_name: &'a str,
    /// `thingTypeArn`.
    pub thing_type_arn: String,
    /// `thingTypeId`, a UUID.
    pub thing_type_id: String,
}

/// In DescribeThingType with its id, in ListThingTypes without.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribedType<'a> {
    /// `thingTypeName`.
    pub thing_type_name: &'a str,
    /// `thingTypeId`, a UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thing_type_id: Option<String>,
    /// `thingTypeArn`.
    pub thing_type_arn: String,
    /// `thingTypeProperties`.
    pub thing_type_properties: TypePropertiesBody,
    /// `thingTypeMetadata`.
    pub thing_type_metadata: TypeMetadata,
}

/// `thingTypeMetadata`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeMetadata {
    /// `deprecated`: no further thing can have the type.
    pub deprecated: bool,
    /// `deprecationDate`, in seconds since the epoch; absent: it is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecation_date: Option<f64>,
    /// `creationDate`, in seconds since the epoch.
    pub creation_date: f64,
}
