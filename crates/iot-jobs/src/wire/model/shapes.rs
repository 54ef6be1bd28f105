//! The kinds of values that members have. Patterns are ASCII but for `\p{C}`, as in AWS's language, Java.

use super::{Member, Place, Shape, Text};
use crate::limits::{
    DESCRIPTION_CHARS_MAX, DOCUMENT_BYTES_MAX, JOB_ID_CHARS_MAX, NAMESPACE_CHARS_MAX, REASON_CODE_CHARS_MAX,
    STATUS_DETAILS_KEY_CHARS_MAX, STATUS_DETAILS_VALUE_CHARS_MAX, TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX, THING_NAME_CHARS_MAX,
};
use crate::name::{in_category_c, job_char, tag_char, thing_char};

const ATTRIBUTE_NAME_CHARS_MAX: usize = 128;
const ATTRIBUTE_VALUE_CHARS_MAX: usize = 800;
const POLICY_NAME_CHARS_MAX: usize = 128;
const ANY_PATTERN: &str = r"[\s\S]*";

// -------------------------------------------------------------------------------------------------------- kinds of members

/// In the path, and therefore there.
pub(super) const fn path(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, place: Place::Path, is_required: true, shape }
}

pub(super) const fn query(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, place: Place::Query, is_required: false, shape }
}

pub(super) const fn required_query(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, place: Place::Query, is_required: true, shape }
}

/// In a header, and required: all of those are.
pub(super) const fn header(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, place: Place::Header, is_required: true, shape }
}

/// In the body, or in an object of it.
pub(super) const fn optional(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, place: Place::Body, is_required: false, shape }
}

/// As [`optional`], and required.
pub(super) const fn required(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, place: Place::Body, is_required: true, shape }
}

const fn text(min: usize, max: usize, pattern: &'static str, is_allowed: fn(char) -> bool) -> Shape {
    Shape::Text(Text { min, max, pattern, is_allowed })
}

fn any(_: char) -> bool {
    true
}

fn attribute_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_.,@/:#-".contains(c)
}

fn attribute_value_char(c: char) -> bool {
    attribute_name_char(c) || matches!(c, '=' | '[' | ']')
}

fn printable_ascii(c: char) -> bool {
    c.is_ascii_graphic() || c == ' '
}

// ------------------------------------------------------------------------------------------------------------------- texts

/// A word, ARN, time or token, which its reader knows.
pub(super) static WORD: Shape = text(0, usize::MAX, ANY_PATTERN, any);
pub(super) static JOB_ID: Shape = text(1, JOB_ID_CHARS_MAX, "[a-zA-Z0-9_-]+", job_char);
/// Of things, their types and their groups.
pub(super) static NAME: Shape = text(1, THING_NAME_CHARS_MAX, "[a-zA-Z0-9:_-]+", thing_char);
pub(super) static GROUP_ID: Shape = text(1, 128, r"[a-zA-Z0-9\-]+", |c| c.is_ascii_alphanumeric() || c == '-');
pub(super) static POLICY_NAME: Shape =
    text(1, POLICY_NAME_CHARS_MAX, r"[\w+=,.@-]+", |c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c));
pub(super) static POLICY_VERSION: Shape = text(1, usize::MAX, "[0-9]+", |c| c.is_ascii_digit());
pub(super) static CERTIFICATE_ID: Shape = text(64, 64, "(0x)?[a-fA-F0-9]+", |c| c.is_ascii_hexdigit() || c == 'x');
/// `description` and `comment` of jobs.
pub(super) static PROSE: Shape = text(1, DESCRIPTION_CHARS_MAX, r"[^\p{C}]+", |c| !in_category_c(c));
/// Of thing types and groups.
pub(super) static DESCRIPTION: Shape = text(0, DESCRIPTION_CHARS_MAX, r"[\p{Graph}\x20]*", printable_ascii);
pub(super) static REASON_CODE: Shape =
    text(1, REASON_CODE_CHARS_MAX, r"[\p{Upper}\p{Digit}_]+", |c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
pub(super) static DOCUMENT: Shape = text(0, DOCUMENT_BYTES_MAX, ANY_PATTERN, any);
pub(super) static DOCUMENT_SOURCE: Shape = text(1, 1_350, ANY_PATTERN, any);
pub(super) static POLICY_DOCUMENT: Shape = text(0, 404_600, ANY_PATTERN, any);
pub(super) static UNBUILT: Shape = Shape::Unbuilt;
pub(super) static SIGNING_REQUEST: Shape = text(1, 4_096, ANY_PATTERN, any);
pub(super) static CERTIFICATE: Shape = text(1, 65_536, ANY_PATTERN, any);
pub(super) static ENDPOINT_TYPE: Shape = text(0, 128, ANY_PATTERN, any);
pub(super) static TARGET: Shape = text(0, 2_048, ANY_PATTERN, any);
pub(super) static ATTRIBUTE_NAME: Shape = Shape::Text(ATTRIBUTE_NAME_TEXT);
const ATTRIBUTE_NAME_TEXT: Text =
    Text { min: 1, max: ATTRIBUTE_NAME_CHARS_MAX, pattern: "[a-zA-Z0-9_.,@/:#-]+", is_allowed: attribute_name_char };
pub(super) static ATTRIBUTE_VALUE: Shape = text(0, ATTRIBUTE_VALUE_CHARS_MAX, r"[a-zA-Z0-9_.,@/:#=\[\]-]*", attribute_value_char);
pub(super) static NAMESPACE_ID: Shape = text(1, NAMESPACE_CHARS_MAX, "[a-zA-Z0-9_-]+", job_char);
pub(super) static TEMPLATE_ARN: Shape = text(1, 1_600, "arn:[!-~]+", |c| c.is_ascii_graphic());
pub(super) static MANAGED_NAME: Shape = text(1, 64, ANY_PATTERN, any);
pub(super) static MANAGED_VERSION: Shape = text(1, usize::MAX, r"[1-9]+\.[0-9]+", |c| c.is_ascii_digit() || c == '.');
pub(super) static MARKER: Shape =
    text(0, 1_024, "[A-Za-z0-9+/]+={0,2}", |c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='));
/// Of provisioning.
pub(super) static PROVISIONING_TEMPLATE: Shape = text(1, 36, "[0-9A-Za-z_-]+", job_char);
static CRON: Shape = text(1, 256, ANY_PATTERN, any);
static TAG_KEY: Shape = text(1, TAG_KEY_CHARS_MAX, r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", tag_char);
static TAG_VALUE: Shape = text(0, TAG_VALUE_CHARS_MAX, ANY_PATTERN, any);
static PARAMETER: Shape = text(1, 30_720, r"[^\p{C}]+", |c| !in_category_c(c));
static ROLE_ARN: Shape = text(20, 2_048, ANY_PATTERN, any);
static TIME: Shape = text(1, 64, ANY_PATTERN, any);
static DETAIL: Shape = text(1, STATUS_DETAILS_VALUE_CHARS_MAX, r"[^\p{C}]+", |c| !in_category_c(c));

// ---------------------------------------------------------------------------------------------------------- numbers, lists

pub(super) static NUMBER: Shape = Shape::Number;
pub(super) static FLAG: Shape = Shape::Flag;
pub(super) static TARGETS: Shape = Shape::List { min: 1, of: &TARGET };

pub(super) static TAGS: Shape = Shape::List { min: 0, of: &TAG };
static TAG: Shape = Shape::Object(&[required("Key", &TAG_KEY), optional("Value", &TAG_VALUE)]);
pub(super) static TAG_KEYS: Shape = Shape::List { min: 0, of: &TAG_KEY };

// ------------------------------------------------------------------------------------------------------ objects of a job

/// `documentParameters`.
pub(super) static PARAMETERS: Shape =
    Shape::Map { key: Text { min: 1, max: 128, pattern: "[a-zA-Z0-9_-]+", is_allowed: job_char }, value: &PARAMETER };
pub(super) static PRESIGNED_URL: Shape = Shape::Object(&[optional("roleArn", &ROLE_ARN), optional("expiresInSec", &NUMBER)]);
pub(super) static ROLLOUT: Shape =
    Shape::Object(&[optional("maximumPerMinute", &NUMBER), optional("exponentialRate", &EXPONENTIAL_RATE)]);
static EXPONENTIAL_RATE: Shape = Shape::Object(&[
    required("baseRatePerMinute", &NUMBER),
    required("incrementFactor", &NUMBER),
    required("rateIncreaseCriteria", &RATE_INCREASE),
]);
static RATE_INCREASE: Shape =
    Shape::Object(&[optional("numberOfNotifiedThings", &NUMBER), optional("numberOfSucceededThings", &NUMBER)]);
pub(super) static ABORT: Shape = Shape::Object(&[required("criteriaList", &ABORT_CRITERIA)]);
static ABORT_CRITERIA: Shape = Shape::List { min: 1, of: &ABORT_CRITERION };
static ABORT_CRITERION: Shape = Shape::Object(&[
    required("failureType", &WORD),
    required("action", &WORD),
    required("thresholdPercentage", &NUMBER),
    required("minNumberOfExecutedThings", &NUMBER),
]);
pub(super) static RETRY: Shape = Shape::Object(&[required("criteriaList", &RETRY_CRITERIA)]);
static RETRY_CRITERIA: Shape = Shape::List { min: 1, of: &RETRY_CRITERION };
static RETRY_CRITERION: Shape = Shape::Object(&[required("failureType", &WORD), required("numberOfRetries", &NUMBER)]);
pub(super) static TIMEOUT: Shape = Shape::Object(&[optional("inProgressTimeoutInMinutes", &NUMBER)]);
pub(super) static SCHEDULING: Shape = Shape::Object(&[
    optional("startTime", &TIME),
    optional("endTime", &TIME),
    optional("endBehavior", &WORD),
    optional("maintenanceWindows", &WINDOWS),
]);
pub(super) static WINDOWS: Shape = Shape::List { min: 0, of: &WINDOW };
static WINDOW: Shape = Shape::Object(&[required("startTime", &CRON), required("durationInMinutes", &NUMBER)]);
pub(super) static STATUS_DETAILS: Shape = Shape::Map {
    key: Text { min: 1, max: STATUS_DETAILS_KEY_CHARS_MAX, pattern: "[a-zA-Z0-9:_-]+", is_allowed: thing_char },
    value: &DETAIL,
};

// --------------------------------------------------------------------------------------------------- objects of the registry

pub(super) static ATTRIBUTE_PAYLOAD: Shape = Shape::Object(&[optional("attributes", &ATTRIBUTES), optional("merge", &FLAG)]);
static ATTRIBUTES: Shape = Shape::Map { key: ATTRIBUTE_NAME_TEXT, value: &ATTRIBUTE_VALUE };
pub(super) static TYPE_PROPERTIES: Shape =
    Shape::Object(&[optional("thingTypeDescription", &DESCRIPTION), optional("searchableAttributes", &ATTRIBUTE_NAMES)]);
static ATTRIBUTE_NAMES: Shape = Shape::List { min: 0, of: &ATTRIBUTE_NAME };
pub(super) static GROUP_PROPERTIES: Shape =
    Shape::Object(&[optional("thingGroupDescription", &DESCRIPTION), optional("attributePayload", &ATTRIBUTE_PAYLOAD)]);
pub(super) static POLICY_NAMES: Shape = Shape::List { min: 0, of: &POLICY_NAME };
static RESOURCE: Shape = text(0, 2_048, ANY_PATTERN, any);
static RESOURCES: Shape = Shape::List { min: 0, of: &RESOURCE };
static AUTH_INFO: Shape = Shape::Object(&[optional("actionType", &WORD), required("resources", &RESOURCES)]);
pub(super) static AUTH_INFOS: Shape = Shape::List { min: 1, of: &AUTH_INFO };
pub(super) static EVENTS: Shape =
    Shape::Map { key: Text { min: 0, max: usize::MAX, pattern: ANY_PATTERN, is_allowed: any }, value: &EVENT };
static EVENT: Shape = Shape::Object(&[optional("Enabled", &FLAG)]);
