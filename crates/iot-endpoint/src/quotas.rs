//! Account and connection quotas: the numbers of AWS, which live in one dated file beside this one, and files of the same form.

use config_text::Problems;
use jobs_engine::quotas::{Quota, Quotas};
use serde::{Serialize, Serializer};
use std::io;

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
        match self {
            Self::None => Ok(none()),
            Self::Aws => Ok(aws()),
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

struct Key {
    name: &'static str,
    of: fn(&mut Quotas) -> &mut Quota,
}

const fn key(name: &'static str, of: fn(&mut Quotas) -> &mut Quota) -> Key {
    Key { name, of }
}

/// Every key of the file, by its table.
const SECTIONS: [(&str, &[Key]); 4] = [
    (
        "account",
        &[
            key("connects_per_second", |quotas| &mut quotas.connects_per_second),
            key("connects_per_second_per_client_id", |quotas| &mut quotas.connects_per_second_per_client_id),
            key("connections", |quotas| &mut quotas.connections),
            key("inbound_publishes_per_second", |quotas| &mut quotas.inbound_publishes_per_second),
            key("subscribes_per_second", |quotas| &mut quotas.subscribes_per_second),
        ],
    ),
    (
        "connection",
        &[
            key("publishes_per_second", |quotas| &mut quotas.publishes_per_second),
            key("bytes_per_second", |quotas| &mut quotas.bytes_per_second),
            key("subscriptions", |quotas| &mut quotas.subscriptions),
        ],
    ),
    (
        "jobs",
        &[
            key("reads_per_second", |quotas| &mut quotas.reads_per_second),
            key("writes_per_second", |quotas| &mut quotas.writes_per_second),
            key("create_job_per_second", |quotas| &mut quotas.create_job_per_second),
            key("control_plane_per_second", |quotas| &mut quotas.control_plane_per_second),
            key("active_jobs", |quotas| &mut quotas.active_jobs),
            key("rollout_per_minute", |quotas| &mut quotas.rollout_per_minute),
            key("targets_per_job", |quotas| &mut quotas.targets_per_job),
        ],
    ),
    ("registry", &[key("calls_per_second", |quotas| &mut quotas.registry_calls_per_second)]),
];

/// AWS's defaults.
///
/// # Panics
/// Never: a test reads the embedded text.
fn aws() -> Quotas {
    read("aws-quotas.toml", AWS_QUOTAS, Quotas::default()).expect("the embedded quotas are well formed")
}

/// No account quotas. What bounds the memory of a session or a job stays.
fn none() -> Quotas {
    let Quotas { subscriptions, targets_per_job, .. } = aws();
    Quotas { subscriptions, targets_per_job, ..Quotas::default() }
}

/// Reads a file of the form of [`AWS_QUOTAS`]; a key that is left out has AWS's default.
///
/// # Errors
/// With everything that is wrong, in the order of the text.
fn load(source_name: &str, text: &str) -> Result<Quotas, Problems> {
    read(source_name, text, aws())
}

fn read(source_name: &str, text: &str, mut quotas: Quotas) -> Result<Quotas, Problems> {
    config_text::load(source_name, text, &[], |root| {
        for (section, keys) in SECTIONS {
            let Some(reader) = root.table(section) else { continue };
            for key in keys {
                if let Some(quota) = reader.quota(key.name) {
                    *(key.of)(&mut quotas) = quota;
                }
            }
            reader.finish();
        }
        root.finish();
        quotas
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_file_has_every_key_once_and_is_dated() {
        let table: toml::Table = AWS_QUOTAS.parse().unwrap();
        assert_eq!(table.len(), SECTIONS.len());
        for (section, keys) in SECTIONS {
            let found: Vec<&String> = table[section].as_table().unwrap().keys().collect();
            let mut known: Vec<&str> = keys.iter().map(|key| key.name).collect();
            known.sort_unstable();
            assert_eq!(found, known, "{section}");
        }
        assert!(AWS_QUOTAS.lines().next().unwrap().contains("2026"));
        let aws = aws();
        assert_eq!((aws.reads_per_second, aws.writes_per_second, aws.rollout_per_minute), (Some(200), Some(200), Some(1_000)));
    }

    #[test]
    fn a_key_that_is_left_out_keeps_its_default() {
        let quotas = load("q.toml", "jobs.reads_per_second = 5\naccount = { connections = \"unlimited\" }").unwrap();
        assert_eq!(quotas, Quotas { reads_per_second: Some(5), connections: None, ..aws() });
        assert_eq!(load("q.toml", AWS_QUOTAS).unwrap(), aws());
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
