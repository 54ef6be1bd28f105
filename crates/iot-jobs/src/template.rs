//! Job templates: what a job is created from, of the account's own making or of AWS's (PROTOCOL-CORE 2.1 and 2.2).

use super::control::ControlError;
use super::document::JobDocument;
use super::job::JobConfig;
use super::name::TemplateId;
use super::schedule::MaintenanceWindow;
use serde::{Deserialize, Serialize};

/// A template of the account's own making. Jobs that were made from it stay as they are when it goes (inferred).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobTemplate {
    /// `document`, at most 32,768 bytes.
    pub document: JobDocument,
    /// Where the document was read from.
    pub document_source: Option<String>,
    /// With `description`, which a template always has.
    pub config: JobConfig,
    /// `maintenanceWindows`.
    pub windows: Vec<MaintenanceWindow>,
}

impl JobTemplate {
    /// # Errors
    /// `InvalidRequest` with the member that is out of its limits.
    pub fn check(&self) -> Result<(), ControlError> {
        self.config.check()?;
        self.windows.iter().try_for_each(MaintenanceWindow::check)
    }
}

/// A template that a call names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateRef {
    /// Of the account.
    Own(TemplateId),
    /// Of AWS, with its name and its version.
    Managed(String, String),
}
