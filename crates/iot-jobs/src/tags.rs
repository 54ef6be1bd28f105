//! Tags of resources (PROTOCOL-CORE 2.5).

use super::control::ControlError;
use super::limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Keys that begin so are AWS's own.
const RESERVED_PREFIX: &str = "aws:";

/// The tags of one resource: values by their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tags(BTreeMap<String, String>);

impl Tags {
    /// As a call gives them.
    ///
    /// # Errors
    /// `InvalidRequest` for a key that is there twice or begins with `aws:`, and for more tags than a resource may have (inferred).
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, ControlError> {
        let mut tags = BTreeMap::new();
        for (key, value) in pairs {
            if key.starts_with(RESERVED_PREFIX) {
                return Err(invalid(format!("the tag key {key:?} begins with {RESERVED_PREFIX:?}, which is reserved")));
            }
            if let Some((key, _)) = tags.get_key_value(&key) {
                return Err(invalid(format!("the tag key {key:?} is there twice")));
            }
            tags.insert(key, value);
        }
        match tags.len() > limits::TAGS_MAX {
            true => Err(invalid(format!("a resource may have {} tags, not {}", limits::TAGS_MAX, tags.len()))),
            false => Ok(Self(tags)),
        }
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// These, with `more` added or changed.
    ///
    /// # Errors
    /// `LimitExceeded` when that would be more than a resource may have.
    pub fn with(&self, more: Self) -> Result<Self, ControlError> {
        let mut tags = self.0.clone();
        tags.extend(more.0);
        match tags.len() > limits::TAGS_MAX {
            true => Err(ControlError::LimitExceeded(format!("a resource may have {} tags", limits::TAGS_MAX))),
            false => Ok(Self(tags)),
        }
    }

    /// These without `keys`; a key that is not there is fine.
    #[must_use]
    pub fn without(&self, keys: &[String]) -> Self {
        Self(self.0.iter().filter(|(key, _)| !keys.contains(key)).map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

fn invalid(message: String) -> ControlError {
    ControlError::InvalidRequest(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Result<Tags, ControlError> {
        Tags::new(pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())))
    }

    #[test]
    fn tags_are_added_changed_and_taken_away() {
        let all = tags(&[("a", "1"), ("b", "")]).unwrap().with(tags(&[("b", "2"), ("c", "3")]).unwrap()).unwrap();
        assert_eq!(all, tags(&[("a", "1"), ("b", "2"), ("c", "3")]).unwrap());
        assert_eq!(all.without(&["a".into(), "z".into()]), tags(&[("b", "2"), ("c", "3")]).unwrap());
    }

    #[test]
    fn keys_are_ones_own_and_few() {
        assert!(tags(&[("aws:x", "1")]).unwrap_err().message().contains("reserved"));
        assert!(tags(&[("a", "1"), ("a", "2")]).unwrap_err().message().contains("twice"));
        let many = |from: usize, until: usize| Tags::new((from..until).map(|n| (format!("k{n}"), String::new())));
        assert!(many(0, 50).is_ok() && matches!(many(0, 51), Err(ControlError::InvalidRequest(_))));
        let full = many(0, 50).unwrap();
        assert!(full.with(many(10, 40).unwrap()).is_ok());
        assert!(matches!(full.with(many(50, 51).unwrap()), Err(ControlError::LimitExceeded(_))));
    }
}
