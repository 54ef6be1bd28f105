//! Things and thing types.

use super::attributes::{AttributePayload, Attributes, check};
use super::error::{RegistryError, ResourceKind};
use super::names::{CertificateId, ResourceId, TypeName};
use super::tags::Tagged;
use super::{Key, Registry};
use iot_jobs::instant::Now;
use iot_jobs::{ThingName, limits};
use serde::{Deserialize, Serialize};
use std::fmt::Display;

/// Attributes of a thing that has no type, and of one that has.
const ATTRIBUTES_MAX: usize = 3;
const ATTRIBUTES_WITH_TYPE_MAX: usize = 50;
const SEARCHABLE_ATTRIBUTES_MAX: usize = 3;
/// From deprecating a type to when it can be deleted, in minutes.
const TYPE_DELETION_MINUTES: u32 = 5;

/// A device as the registry knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thing {
    /// `thingId`.
    pub id: ResourceId,
    /// `thingTypeName`; absent: the thing has no type.
    pub thing_type: Option<TypeName>,
    /// Names and values that the owner gave it.
    pub attributes: Attributes,
    /// 1 at first, one more with each update.
    pub version: i64,
}

/// What CreateThing says besides the name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThingSpec {
    /// `thingTypeName`; absent: no type.
    pub thing_type: Option<TypeName>,
    /// `attributePayload`.
    pub attributes: AttributePayload,
}

/// What UpdateThing changes: what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateThing {
    /// `thingTypeName`: the new type.
    pub thing_type: Option<TypeName>,
    /// `removeThingType`; excludes a new type.
    pub remove_type: bool,
    /// `attributePayload`.
    pub attributes: Option<AttributePayload>,
    /// `expectedVersion`; absent: no check.
    pub expected_version: Option<i64>,
}

/// A kind of things, which lets them have more attributes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThingType {
    /// `thingTypeId`.
    pub id: ResourceId,
    /// What its creator said of it.
    pub properties: TypeProperties,
    /// Milliseconds since the epoch, as all times here.
    pub created_ms: i64,
    /// When it was deprecated: no further thing can have it. Absent: it is in use.
    pub deprecated_ms: Option<i64>,
}

/// `thingTypeProperties`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeProperties {
    /// `thingTypeDescription`.
    pub description: Option<String>,
    /// `searchableAttributes`: names.
    pub searchable_attributes: Vec<String>,
}

fn attributes_max(thing_type: Option<&TypeName>) -> usize {
    if thing_type.is_some() { ATTRIBUTES_WITH_TYPE_MAX } else { ATTRIBUTES_MAX }
}

pub(super) fn check_description(text: Option<&str>) -> Result<(), RegistryError> {
    let fits = |text: &str| text.chars().count() <= limits::DESCRIPTION_CHARS_MAX && !text.chars().any(char::is_control);
    if text.is_none_or(fits) {
        return Ok(());
    }
    Err(RegistryError::invalid(format!("a description has at most {} printable characters", limits::DESCRIPTION_CHARS_MAX)))
}

impl Registry {
    /// Creating a thing again as it is, is fine: the id is then that of the first time.
    ///
    /// # Errors
    /// `ResourceAlreadyExists` for a thing that differs; `ResourceNotFound` for an unknown type; `InvalidRequest` for a deprecated
    /// type, and for attributes out of their limits.
    pub fn create_thing(&mut self, name: &ThingName, spec: ThingSpec, id: ResourceId) -> Result<ResourceId, RegistryError> {
        let attributes = Attributes::default().changed_by(&spec.attributes, attributes_max(spec.thing_type.as_ref()))?;
        if let Some(thing) = self.things.get(name) {
            let is_same = thing.thing_type == spec.thing_type && thing.attributes == attributes;
            let differs =
                || RegistryError::already_exists(ResourceKind::Thing, name, &thing.id, " with a different type or attributes");
            return if is_same { Ok(thing.id) } else { Err(differs()) };
        }
        self.check_usable(spec.thing_type.as_ref())?;
        self.things.insert(name.clone(), Thing { id, thing_type: spec.thing_type, attributes, version: 1 });
        self.dirty.insert(Key::Thing(name.clone()));
        Ok(id)
    }

    /// # Errors
    /// `ResourceNotFound`.
    pub fn thing(&self, name: &ThingName) -> Result<&Thing, RegistryError> {
        self.things.get(name).ok_or_else(|| RegistryError::not_found(ResourceKind::Thing, name))
    }

    /// In the order of names.
    pub fn things(&self) -> impl Iterator<Item = (&ThingName, &Thing)> {
        self.things.iter()
    }

    /// # Errors
    /// `ResourceNotFound` for the thing or its new type; `VersionConflict`; `InvalidRequest` as in [`Self::create_thing`].
    pub fn update_thing(&mut self, name: &ThingName, update: UpdateThing) -> Result<(), RegistryError> {
        let thing = self.thing(name)?;
        check_version(ResourceKind::Thing, name, update.expected_version, thing.version)?;
        let thing_type = match (update.remove_type, update.thing_type) {
            (true, Some(_)) => return Err(RegistryError::invalid("removeThingType and thingTypeName exclude each other")),
            (true, None) => None,
            (false, Some(new)) => {
                if thing.thing_type.as_ref() != Some(&new) {
                    self.check_usable(Some(&new))?;
                }
                Some(new)
            }
            (false, None) => thing.thing_type.clone(),
        };
        let max = attributes_max(thing_type.as_ref());
        let attributes = match &update.attributes {
            Some(payload) => thing.attributes.changed_by(payload, max)?,
            None => thing.attributes.clone(),
        };
        attributes.check_count(max)?;
        let (id, version) = (thing.id, thing.version + 1);
        self.things.insert(name.clone(), Thing { id, thing_type, attributes, version });
        self.dirty.insert(Key::Thing(name.clone()));
        Ok(())
    }

    /// Whether a thing may be deleted; one that does not exist may.
    ///
    /// # Errors
    /// `VersionConflict`; `InvalidRequest` while certificates are attached to it.
    pub fn check_thing_deletion(&self, name: &ThingName, expected_version: Option<i64>) -> Result<(), RegistryError> {
        let Some(thing) = self.things.get(name) else { return Ok(()) };
        check_version(ResourceKind::Thing, name, expected_version, thing.version)?;
        if self.principals.contains_key(name) {
            return Err(RegistryError::invalid(format!(
                "thing {name} is still attached to one or more principals: detach them first"
            )));
        }
        Ok(())
    }

    /// Deletes a thing; one that does not exist is fine.
    ///
    /// # Errors
    /// As [`Self::check_thing_deletion`].
    pub fn delete_thing(&mut self, name: &ThingName, expected_version: Option<i64>) -> Result<(), RegistryError> {
        self.check_thing_deletion(name, expected_version)?;
        if self.things.remove(name).is_some() {
            self.dirty.insert(Key::Thing(name.clone()));
        }
        Ok(())
    }

    /// The certificates that are attached to a thing.
    ///
    /// # Errors
    /// `ResourceNotFound`.
    pub fn principals_of(&self, name: &ThingName) -> Result<impl Iterator<Item = CertificateId>, RegistryError> {
        self.thing(name)?;
        Ok(self.principals.get(name).into_iter().flatten().copied())
    }

    fn check_usable(&self, thing_type: Option<&TypeName>) -> Result<(), RegistryError> {
        let Some(name) = thing_type else { return Ok(()) };
        if self.thing_type(name)?.deprecated_ms.is_some() {
            return Err(RegistryError::invalid(format!("thing type {name} is deprecated: no thing can be given it")));
        }
        Ok(())
    }

    /// Creating a type again as it is, is fine.
    ///
    /// # Errors
    /// `ResourceAlreadyExists` for a type that differs; `InvalidRequest` for properties out of their limits.
    pub fn create_type(
        &mut self,
        name: &TypeName,
        properties: TypeProperties,
        id: ResourceId,
        now: Now,
    ) -> Result<ResourceId, RegistryError> {
        check_description(properties.description.as_deref())?;
        if properties.searchable_attributes.len() > SEARCHABLE_ATTRIBUTES_MAX {
            return Err(RegistryError::invalid(format!(
                "a thing type has at most {SEARCHABLE_ATTRIBUTES_MAX} searchable attributes"
            )));
        }
        for attribute in &properties.searchable_attributes {
            check("a searchable attribute", attribute, 1, 128, "_.,@/:#-")?;
        }
        if let Some(found) = self.types.get(name) {
            let differs = || RegistryError::already_exists(ResourceKind::ThingType, name, &found.id, " with different properties");
            return if found.properties == properties { Ok(found.id) } else { Err(differs()) };
        }
        self.types.insert(name.clone(), ThingType { id, properties, created_ms: now.epoch_ms, deprecated_ms: None });
        self.dirty.insert(Key::Type(name.clone()));
        Ok(id)
    }

    /// # Errors
    /// `ResourceNotFound`.
    pub fn thing_type(&self, name: &TypeName) -> Result<&ThingType, RegistryError> {
        self.types.get(name).ok_or_else(|| RegistryError::not_found(ResourceKind::ThingType, name))
    }

    /// In the order of names.
    pub fn types(&self) -> impl Iterator<Item = (&TypeName, &ThingType)> {
        self.types.iter()
    }

    /// Deprecates a type, or takes that back.
    ///
    /// # Errors
    /// `ResourceNotFound`.
    pub fn deprecate_type(&mut self, name: &TypeName, undo: bool, now: Now) -> Result<(), RegistryError> {
        self.thing_type(name)?;
        if let Some(found) = self.types.get_mut(name) {
            found.deprecated_ms = if undo { None } else { found.deprecated_ms.or(Some(now.epoch_ms)) };
            self.dirty.insert(Key::Type(name.clone()));
        }
        Ok(())
    }

    /// # Errors
    /// `ResourceNotFound`; `InvalidRequest` for a type that is not deprecated, not for long enough, or still some thing's.
    pub fn delete_type(&mut self, name: &TypeName, now: Now) -> Result<(), RegistryError> {
        let refuse = |why: String| Err(RegistryError::invalid(format!("thing type {name} cannot be deleted: {why}")));
        let Some(deprecated_ms) = self.thing_type(name)?.deprecated_ms else {
            return refuse("it is not deprecated".into());
        };
        let wait = self.minute * TYPE_DELETION_MINUTES;
        if i128::from(now.epoch_ms - deprecated_ms) < wait.as_millis() as i128 {
            return refuse(format!("it has to be deprecated for {TYPE_DELETION_MINUTES} minutes first"));
        }
        if let Some((thing, _)) = self.things.iter().find(|(_, thing)| thing.thing_type.as_ref() == Some(name)) {
            return refuse(format!("thing {thing} has it"));
        }
        self.types.remove(name);
        self.forget_tags(&Tagged::Type(name.clone()));
        self.dirty.insert(Key::Type(name.clone()));
        Ok(())
    }
}

pub(super) fn check_version(
    kind: ResourceKind,
    name: &dyn Display,
    expected: Option<i64>,
    found: i64,
) -> Result<(), RegistryError> {
    match expected {
        Some(expected) if expected != found => Err(RegistryError::version_conflict(kind, name, expected, found)),
        _ => Ok(()),
    }
}
