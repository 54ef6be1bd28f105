//! The document of a job.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::sync::Arc;

/// What every placeholder for a presigned URL starts with (PROTOCOL 17.1).
pub(crate) const PLACEHOLDER_MARK: &str = "${aws:iot:";

/// A job document: the text of one JSON value, checked where it enters ([`crate::wire`]) and never taken apart by the service.
#[derive(Clone, Debug)]
pub struct JobDocument(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    value: Box<RawValue>,
    /// The text as it was given, where there is white space around the value.
    whole: Option<Box<str>>,
    has_placeholders: bool,
}

impl JobDocument {
    /// # Errors
    /// When the text is not that of one JSON value.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        let value: &RawValue = serde_json::from_str(json)?;
        let whole = (value.get().len() < json.len()).then(|| json.into());
        Ok(Self::new(value, whole))
    }

    /// `json` must be the text of one JSON value.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn from_valid_json(json: &str) -> Self {
        Self::parse(json).expect("the text of one JSON value")
    }

    fn new(value: &RawValue, whole: Option<Box<str>>) -> Self {
        let has_placeholders = value.get().contains(PLACEHOLDER_MARK);
        Self(Arc::new(Parts { value: value.to_owned(), whole, has_placeholders }))
    }

    /// The text of the JSON value, as it was given.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.whole.as_deref().unwrap_or(self.0.value.get())
    }

    /// The value, which JSON takes in as it is: it was parsed when it entered.
    pub(crate) fn as_value(&self) -> &RawValue {
        &self.0.value
    }

    /// Whether it may have placeholders for presigned URLs; looked for once, since every answer with a document asks.
    #[must_use]
    pub fn has_placeholders(&self) -> bool {
        self.0.has_placeholders
    }
}

impl From<&RawValue> for JobDocument {
    fn from(value: &RawValue) -> Self {
        Self::new(value, None)
    }
}

impl PartialEq for JobDocument {
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}

impl Eq for JobDocument {}

/// As a text, not as the value.
impl Serialize for JobDocument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_json())
    }
}

impl<'de> Deserialize<'de> for JobDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_written_down_as_its_text_and_known_when_it_is_read_back() {
        for (text, value, has_placeholders) in [
            (r#"{"url":"${aws:iot:s3-presigned-url:b/k}"}"#, None, true),
            (" {\"price\": \"${amount}\"}\n", Some(r#"{"price": "${amount}"}"#), false),
        ] {
            let document = JobDocument::parse(text).unwrap();
            assert_eq!((document.as_json(), document.as_value().get()), (text, value.unwrap_or(text)));
            let kept = serde_json::to_string(&document).unwrap();
            assert_eq!(serde_json::from_str::<String>(&kept).unwrap(), text);
            let read_back: JobDocument = serde_json::from_str(&kept).unwrap();
            assert_eq!((&read_back, read_back.has_placeholders()), (&document, has_placeholders));
        }
        assert!(JobDocument::parse("{} {}").is_err());
        assert!(serde_json::from_str::<JobDocument>(r#""{""#).is_err(), "damaged records are refused");
    }
}
