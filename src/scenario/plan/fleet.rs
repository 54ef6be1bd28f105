//! The things of a run.

use super::{ConnectPlan, SessionPlan};
use iot_jobs::{NameError, ThingName};
use sim_units::name_template::NameTemplate;
use std::path::PathBuf;
use std::sync::Arc;
use thing_agent::thing_template::ThingTemplate;

#[derive(Clone, Debug, PartialEq)]
pub struct FleetPlan {
    pub things: u64,
    /// Names, where no list gives them.
    pub thing_name: NameTemplate,
    pub list: Option<FleetList>,
    /// What things call themselves over MQTT; absent: by their names.
    pub client_id: Option<ThingTemplate>,
    pub first_index: u64,
    pub connect: ConnectPlan,
    /// What cohorts start from.
    pub session: SessionPlan,
}

impl FleetPlan {
    /// The name of the thing at `position`.
    ///
    /// # Errors
    /// When the template makes none.
    pub fn name_of(&self, position: u64) -> Result<ThingName, NameError> {
        match &self.list {
            Some(list) => Ok(list.things[position as usize].name.clone()),
            None => ThingName::new(&self.thing_name.name(self.first_index + position)),
        }
    }

    /// What the thing at `position` with this name calls itself over MQTT.
    #[must_use]
    pub fn client_id_of(&self, name: &ThingName, position: u64) -> Option<String> {
        self.client_id.as_ref().map(|template| template.text(name, self.first_index + position))
    }

    /// The last name of a template is its longest.
    ///
    /// # Errors
    /// When the template makes none.
    pub fn longest_name(&self) -> Result<ThingName, NameError> {
        match self.list.as_ref().and_then(|list| list.things.iter().max_by_key(|thing| thing.name.as_str().len())) {
            Some(thing) => Ok(thing.name.clone()),
            None => self.name_of(self.things.saturating_sub(1)),
        }
    }
}

/// The things of `things_from`, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetList {
    pub path: String,
    pub things: Arc<[ListedThing]>,
}

impl FleetList {
    /// Whether the list has a column of certificates and one of keys.
    #[must_use]
    pub fn has_files(&self) -> bool {
        self.things.first().is_some_and(|thing| thing.files.is_some())
    }

    #[must_use]
    pub fn has_cohorts(&self) -> bool {
        self.things.first().is_some_and(|thing| thing.cohort.is_some())
    }

    /// The part of the fleet that is in this cohort.
    #[must_use]
    pub fn share_of(&self, cohort: &str) -> f64 {
        let members = self.things.iter().filter(|thing| thing.cohort.as_deref() == Some(cohort)).count();
        members as f64 / self.things.len() as f64
    }
}

/// A row of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedThing {
    /// Line of the file, from 1.
    pub row: u64,
    pub name: ThingName,
    pub files: Option<ThingFiles>,
    pub cohort: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThingFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}
