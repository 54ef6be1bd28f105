//! Job templates of the account (PROTOCOL-CORE 2.1).

use super::error::{ErrorKind, RegistryError, ResourceKind};
use super::tags::Tagged;
use super::{Key, Registry};
use iot_jobs::instant::Now;
use iot_jobs::{JobTemplate, TemplateId};
use serde::{Deserialize, Serialize};

/// A template, and when it was created. There is no call that changes one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptTemplate {
    /// As it was given.
    pub template: JobTemplate,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
}

impl Registry {
    /// How many job templates the account may have; `None`: any number.
    pub fn limit_templates(&mut self, max: Option<u32>) {
        self.templates_max = max;
    }

    /// # Errors
    /// `Conflict` for an id in use; `LimitExceeded` over the account's number.
    pub fn create_template(&mut self, id: &TemplateId, template: JobTemplate, now: Now) -> Result<(), RegistryError> {
        if self.templates.contains_key(id) {
            return Err(RegistryError::new(ErrorKind::Conflict, format!("job template {id} already exists")));
        }
        if let Some(max) = self.templates_max.filter(|max| self.templates.len() >= *max as usize) {
            return Err(RegistryError::new(ErrorKind::LimitExceeded, format!("an account may have {max} job templates")));
        }
        self.templates.insert(id.clone(), KeptTemplate { template, created_ms: now.epoch_ms });
        self.dirty.insert(Key::Template(id.clone()));
        Ok(())
    }

    /// # Errors
    /// `ResourceNotFound`.
    pub fn template(&self, id: &TemplateId) -> Result<&KeptTemplate, RegistryError> {
        self.templates.get(id).ok_or_else(|| RegistryError::not_found(ResourceKind::JobTemplate, id))
    }

    /// In the order of ids.
    pub fn templates(&self) -> impl Iterator<Item = (&TemplateId, &KeptTemplate)> {
        self.templates.iter()
    }

    /// Jobs that were made from it stay (inferred).
    ///
    /// # Errors
    /// `ResourceNotFound`.
    pub fn delete_template(&mut self, id: &TemplateId) -> Result<(), RegistryError> {
        self.template(id)?;
        self.templates.remove(id);
        self.forget_tags(&Tagged::Template(id.clone()));
        self.dirty.insert(Key::Template(id.clone()));
        Ok(())
    }
}
