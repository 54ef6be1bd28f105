//! Account and connection quotas: the numbers of AWS, which live in one dated file beside this one, and files of the same form.

use config_text::Problems;
use jobs_engine::quotas::{QuotaName, Quotas};
use serde::{Serialize, Serializer};
use std::io;
use strum::VariantArray as _;

/// The default quotas of AWS, as a text to copy and change.
pub const AWS_QUOTAS: &str = include_str!("aws-quotas.toml");

/// Which quotas the endpoint has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuotasChoice {
    /// No limits.
    None,
    /// AWS's defaults.
    Aws,
    /// Path of a TOML file.
    File(String),
}

/// Quotas, and when they were read from where AWS publishes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaSheet {
    /// The numbers.
    pub quotas: Quotas,
    /// A date, as the file writes it; absent in a file that has none.
    pub published: Option<String>,
}

/// Why there are no such quotas.
#[derive(Debug, thiserror::Error)]
pub enum QuotasError {
    /// The file cannot be read.
    #[error("failed to read {path}: {source}; known are none, aws, or a file like that of `fleetsim serve --print-quotas`")]
    Read {
        /// As the configuration names it.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file can be read, and is no table of quotas.
    #[error("{0}")]
    Wrong(#[from] Problems),
}

impl QuotasError {
    /// The message for people; of a file with the lines that are wrong.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        match self {
            Self::Read { .. } => self.to_string(),
            Self::Wrong(problems) => problems.render(colour),
        }
    }
}

impl QuotasChoice {
    /// Its word in a configuration.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::None => "none",
            Self::Aws => "aws",
            Self::File(path) => path,
        }
    }

    /// The quotas themselves, which a file is read for.
    ///
    /// # Errors
    /// When the file cannot be read, or with everything that is wrong with it.
    pub fn load(&self) -> Result<Quotas, QuotasError> {
        self.load_sheet().map(|sheet| sheet.quotas)
    }

    /// The same with their date.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_sheet(&self) -> Result<QuotaSheet, QuotasError> {
        match self {
            Self::None => Ok(QuotaSheet { quotas: none(), published: None }),
            Self::Aws => Ok(aws_sheet()),
            Self::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|source| QuotasError::Read { path: path.clone(), source })?;
                Ok(load(path, &text)?)
            }
        }
    }
}

impl Serialize for QuotasChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// AWS's defaults.
#[must_use]
pub fn aws() -> Quotas {
    aws_sheet().quotas
}

/// # Panics
/// Never: a test reads the embedded text.
fn aws_sheet() -> QuotaSheet {
    read("aws-quotas.toml", AWS_QUOTAS, Quotas::default()).expect("the embedded quotas are well formed")
}

/// No account quotas. What bounds the memory of a session or a job stays.
fn none() -> Quotas {
    let Quotas { subscriptions, targets_per_job, .. } = aws();
    Quotas { subscriptions, targets_per_job, ..Quotas::default() }
}

/// Reads a file of the form of [`AWS_QUOTAS`]; a quota that is left out has AWS's default.
///
/// # Errors
/// With everything that is wrong, in the order of the text.
fn load(source_name: &str, text: &str) -> Result<QuotaSheet, Problems> {
    read(source_name, text, aws())
}

fn read(source_name: &str, text: &str, mut quotas: Quotas) -> Result<QuotaSheet, Problems> {
    config_text::load(source_name, text, &[], |root| {
        let published = root.string("published").map(|published| published.value);
        for names in QuotaName::VARIANTS.chunk_by(|a, b| a.section() == b.section()) {
            let Some(reader) = root.table(names[0].section()) else { continue };
            for name in names {
                if let Some(quota) = reader.quota(name.key()) {
                    *quotas.get_mut(*name) = quota;
                }
            }
            reader.finish();
        }
        root.finish();
        QuotaSheet { quotas, published }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_embedded_file_has_every_key_once_and_is_dated() {
        let table: toml::Table = AWS_QUOTAS.parse().unwrap();
        let found: BTreeSet<(&str, &str)> = table
            .iter()
            .filter_map(|(section, value)| Some((section, value.as_table()?)))
            .flat_map(|(section, keys)| keys.keys().map(move |key| (section.as_str(), key.as_str())))
            .collect();
        let known: BTreeSet<(&str, &str)> = QuotaName::VARIANTS.iter().map(|name| (name.section(), name.key())).collect();
        assert_eq!(found, known);
        let QuotaSheet { quotas: aws, published } = aws_sheet();
        assert_eq!(published.as_deref(), Some("2026-11"));
        assert_eq!((aws.reads_per_second, aws.writes_per_second, aws.rollout_per_minute), (Some(200), Some(200), Some(1_000)));
    }

    #[test]
    fn a_key_that_is_left_out_keeps_its_default() {
        let sheet = load("q.toml", "jobs.reads_per_second = 5\naccount = { connections = \"unlimited\" }").unwrap();
        let changed = Quotas { reads_per_second: Some(5), connections: None, ..aws() };
        assert_eq!(sheet, QuotaSheet { quotas: changed, published: None }, "the date is not that of the file");
        assert_eq!(load("q.toml", AWS_QUOTAS).unwrap(), aws_sheet());
    }

    #[test]
    fn everything_wrong_is_told_with_its_line_and_the_nearest_key() {
        let text = "[jobs]\nread_per_second = 5\nwrites_per_second = 0\nactive_jobs = \"many\"\n\n[acount]\n";
        let message = load("q.toml", text).unwrap_err().render(false);
        for part in [
            "q.toml:2:",
            "unknown key \"jobs.read_per_second\"",
            "did you mean \"reads_per_second\"?",
            "jobs.writes_per_second must be 1 to 1000000000, or \"unlimited\", not 0",
            "jobs.active_jobs must be 1 to 1000000000, or \"unlimited\", not \"many\"",
            "unknown key \"acount\"",
            "did you mean \"account\"?",
            "4 problems in q.toml",
        ] {
            assert!(message.contains(part), "{part}\n{message}");
        }
        assert!(load("q.toml", "[jobs").unwrap_err().render(false).contains("not TOML"));
    }
}
