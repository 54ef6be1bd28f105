//! The document of a job.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What every placeholder for a presigned URL starts with (PROTOCOL 17.1).
pub(crate) const PLACEHOLDER_MARK: &str = "${aws:iot:";

/// A job document: the text of one JSON value, checked where it enters ([`crate::wire`]) and never taken apart by the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct JobDocument {
    json: Arc<str>,
    has_placeholders: bool,
}

impl JobDocument {
    /// `json` must be the text of one JSON value; the caller has parsed it.
    #[must_use]
    pub fn from_valid_json(json: &str) -> Self {
        Self { json: json.into(), has_placeholders: json.contains(PLACEHOLDER_MARK) }
    }

    /// The text of the JSON value, as it was given.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.json
    }

    /// Whether it may have placeholders for presigned URLs; looked for once, since every answer with a document asks.
    #[must_use]
    pub fn has_placeholders(&self) -> bool {
        self.has_placeholders
    }
}

impl From<String> for JobDocument {
    fn from(json: String) -> Self {
        Self::from_valid_json(&json)
    }
}

impl From<JobDocument> for String {
    fn from(document: JobDocument) -> Self {
        document.as_json().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_written_down_as_its_text_and_its_placeholders_are_known_when_it_is_read_back() {
        for (text, has_placeholders) in
            [(r#" {"url":"${aws:iot:s3-presigned-url:b/k}"}"#, true), ("{\"price\": \"${amount}\"}\n", false)]
        {
            let document = JobDocument::from_valid_json(text);
            let kept = serde_json::to_string(&document).unwrap();
            assert_eq!(serde_json::from_str::<String>(&kept).unwrap(), text);
            let read_back: JobDocument = serde_json::from_str(&kept).unwrap();
            assert_eq!((&read_back, read_back.has_placeholders()), (&document, has_placeholders));
        }
    }
}
