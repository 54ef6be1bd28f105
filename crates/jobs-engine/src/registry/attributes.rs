//! Attributes of things and thing groups.

use super::error::RegistryError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const NAME_CHARS_MAX: usize = 128;
const VALUE_CHARS_MAX: usize = 800;

/// `attributePayload` of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributePayload {
    /// An empty value removes its attribute.
    pub attributes: BTreeMap<String, String>,
    /// Change what is named and keep the rest, instead of replacing all.
    pub merge: bool,
}

/// Names and values, in the order of names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes(BTreeMap<Box<str>, Box<str>>);

impl Attributes {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(AsRef::as_ref)
    }

    /// Name and value, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// What is left after `payload`, at most `max` attributes.
    pub(super) fn changed_by(&self, payload: &AttributePayload, max: usize) -> Result<Self, RegistryError> {
        let mut changed = if payload.merge { self.clone() } else { Self::default() };
        for (name, value) in &payload.attributes {
            check("an attribute name", name, 1, NAME_CHARS_MAX, "_.,@/:#-")?;
            check("an attribute value", value, 0, VALUE_CHARS_MAX, "_.,@/:#=[]-")?;
            if value.is_empty() {
                changed.0.remove(&**name);
            } else {
                changed.0.insert(name.as_str().into(), value.as_str().into());
            }
        }
        changed.check_count(max)?;
        Ok(changed)
    }

    pub(super) fn check_count(&self, max: usize) -> Result<(), RegistryError> {
        if self.len() > max {
            return Err(RegistryError::invalid(format!("at most {max} attributes are allowed here, these are {}", self.len())));
        }
        Ok(())
    }
}

pub(super) fn check(what: &str, text: &str, min: usize, max: usize, allowed: &str) -> Result<(), RegistryError> {
    let length = text.chars().count();
    if (min..=max).contains(&length) && text.chars().all(|c| c.is_ascii_alphanumeric() || allowed.contains(c)) {
        return Ok(());
    }
    Err(RegistryError::invalid(format!(
        "{what} has {min} to {max} letters, digits or characters of {allowed:?}; {text:?} does not"
    )))
}
