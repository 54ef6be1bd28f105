//! Operations on tags (PROTOCOL-CORE 2.5).

use super::Operation;
use super::shapes::{TAG_KEYS, TAGS, WORD, query, required, required_query};

/// Those of tags.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        name: "TagResource",
        method: "POST",
        path: "/tags",
        members: &[required("resourceArn", &WORD), required("tags", &TAGS)],
    },
    Operation {
        name: "UntagResource",
        method: "POST",
        path: "/untag",
        members: &[required("resourceArn", &WORD), required("tagKeys", &TAG_KEYS)],
    },
    Operation {
        name: "ListTagsForResource",
        method: "GET",
        path: "/tags",
        members: &[required_query("resourceArn", &WORD), query("nextToken", &WORD)],
    },
];
