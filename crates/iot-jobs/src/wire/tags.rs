//! Tags as JSON, and the calls about them (PROTOCOL-CORE 2.5; shapes as in botocore's `iot/2015-05-28` model).

use super::json;
use super::registry::encode_page;
use crate::{ControlError, Tags};
use serde::{Deserialize, Serialize};

/// A tag on the wire.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct TagBody {
    /// `Key`.
    pub key: String,
    /// `Value`; absent: empty.
    #[serde(default)]
    pub value: String,
}

/// `tags` of a call.
///
/// # Errors
/// As [`Tags::new`].
pub fn parse_tags(tags: Option<Vec<TagBody>>) -> Result<Tags, ControlError> {
    Tags::new(tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TagResourceBody {
    resource_arn: String,
    tags: Vec<TagBody>,
}

/// ARN and tags of TagResource.
///
/// # Errors
/// `InvalidRequest`, naming the member.
pub fn parse_tag_resource(body: &[u8]) -> Result<(String, Tags), ControlError> {
    let body: TagResourceBody = json::body("TagResource", body)?;
    Ok((body.resource_arn, parse_tags(Some(body.tags))?))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UntagResourceBody {
    resource_arn: String,
    tag_keys: Vec<String>,
}

/// ARN and keys of UntagResource.
///
/// # Errors
/// `InvalidRequest`, naming the member.
pub fn parse_untag_resource(body: &[u8]) -> Result<(String, Vec<String>), ControlError> {
    let body: UntagResourceBody = json::body("UntagResource", body)?;
    Ok((body.resource_arn, body.tag_keys))
}

/// A page of ListTagsForResource.
#[must_use]
pub fn encode_tags<'a>(tags: impl IntoIterator<Item = (&'a str, &'a str)>, next_token: Option<String>) -> Vec<u8> {
    let tags = tags.into_iter().map(|(key, value)| TagBody { key: key.into(), value: value.into() });
    encode_page("tags", tags, "nextToken", next_token)
}
