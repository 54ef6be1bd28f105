//! The job templates that AWS has for everybody: their documents are those that the AWS IoT Device Client carries out
//! (PROTOCOL-CORE 2.2). Descriptions, patterns and examples of parameters are inferred.

use super::control::ControlError;
use super::document::JobDocument;
use std::collections::BTreeMap;

/// What the names of AWS's templates begin with.
pub const PREFIX: &str = "AWS-";
/// Of every template there is.
pub const VERSION: &str = "1.0";
/// Where the documents run: any device with the AWS IoT Device Client.
pub const ENVIRONMENTS: [&str; 1] = ["LINUX"];
/// In documents, around the name of a parameter.
const PLACEHOLDER: (&str, &str) = ("${aws:iot:parameter:", "}");
const RUN_AS_USER: &str = "runAsUser";
const PATH_TO_HANDLER: &str = "pathToHandler";

/// A template of AWS's.
#[derive(Debug)]
pub struct ManagedTemplate {
    /// `templateName`.
    pub name: &'static str,
    /// `description`.
    pub description: &'static str,
    action: Action,
    own: &'static [Parameter],
}

/// What the Device Client does.
#[derive(Debug)]
enum Action {
    /// `runHandler`: a script, with the parameters as its arguments.
    Handler(&'static str),
    /// `runCommand`.
    Command,
}

/// One of `documentParameters`.
#[derive(Debug)]
pub struct Parameter {
    /// `key`.
    pub key: &'static str,
    /// `description`.
    pub description: &'static str,
    /// `regex`, as it is told.
    pub regex: &'static str,
    fits: fn(&str) -> bool,
    /// `example`.
    pub example: &'static str,
    /// `optional`.
    pub is_optional: bool,
}

fn is_user(text: &str) -> bool {
    text.len() <= 256 && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

fn is_path(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| !c.is_whitespace() && !c.is_control())
}

fn is_list(text: &str) -> bool {
    text.split_whitespace().next().is_some() && text.chars().all(|c| !c.is_control())
}

fn is_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, rest)| matches!(scheme, "http" | "https") && is_path(rest))
        || text.starts_with("${aws:iot:s3-presigned-url:")
}

const OPTIONAL: [Parameter; 2] = [
    Parameter {
        key: RUN_AS_USER,
        description: "The user that carries the action out; left out: the one that the client runs as.",
        regex: "^[a-zA-Z0-9_.-]{0,256}$",
        fits: is_user,
        example: "user1",
        is_optional: true,
    },
    Parameter {
        key: PATH_TO_HANDLER,
        description: "The folder of the handler; left out: the one that the client is configured with.",
        regex: r"^\S+$",
        fits: is_path,
        example: "/home/ubuntu/handlers",
        is_optional: true,
    },
];

const fn required(key: &'static str, description: &'static str, example: &'static str) -> Parameter {
    Parameter { key, description, regex: r"^.*\S.*$", fits: is_list, example, is_optional: false }
}

const PACKAGES: &[Parameter] = &[required("packages", "The packages, separated by spaces.", "nginx curl")];
const SERVICES: &[Parameter] = &[required("services", "The services, separated by spaces.", "nginx")];
const COMMAND: &[Parameter] =
    &[required("command", "The command and its arguments, separated by commas; a comma of theirs is escaped.", "echo,hello")];
const DOWNLOAD: &[Parameter] = &[
    Parameter {
        key: "downloadUrl",
        description: "Where the file is.",
        regex: r"^(https?://\S+|\$\{aws:iot:s3-presigned-url:.*)$",
        fits: is_url,
        example: "https://www.example.com/file.bin",
        is_optional: false,
    },
    Parameter {
        key: "filePath",
        description: "Where the file is to be.",
        regex: r"^\S+$",
        fits: is_path,
        example: "/tmp/file.bin",
        is_optional: false,
    },
];

/// All of them, by name.
pub static TEMPLATES: [ManagedTemplate; 8] = [
    template("AWS-Download-File", "Downloads a file.", "download-file.sh", DOWNLOAD),
    template("AWS-Install-Application", "Installs one or more packages.", "install-packages.sh", PACKAGES),
    template("AWS-Reboot", "Reboots the device.", "reboot.sh", &[]),
    template("AWS-Remove-Application", "Removes one or more packages.", "remove-packages.sh", PACKAGES),
    template("AWS-Restart-Application", "Restarts one or more services.", "restart-services.sh", SERVICES),
    ManagedTemplate { name: "AWS-Run-Command", description: "Runs a shell command.", action: Action::Command, own: COMMAND },
    template("AWS-Start-Application", "Starts one or more services.", "start-services.sh", SERVICES),
    template("AWS-Stop-Application", "Stops one or more services.", "stop-services.sh", SERVICES),
];

const fn template(
    name: &'static str,
    description: &'static str,
    handler: &'static str,
    own: &'static [Parameter],
) -> ManagedTemplate {
    ManagedTemplate { name, description, action: Action::Handler(handler), own }
}

/// The template of this name and version; without a version the newest.
///
/// # Errors
/// `ResourceNotFound`.
pub fn find(name: &str, version: Option<&str>) -> Result<&'static ManagedTemplate, ControlError> {
    let found = TEMPLATES.iter().find(|template| template.name == name && version.is_none_or(|version| version == VERSION));
    found.ok_or_else(|| {
        let of_version = version.map_or_else(String::new, |version| format!(" of version {version}"));
        ControlError::ResourceNotFound(format!("there is no managed job template {name}{of_version}"))
    })
}

fn placeholder(key: &str) -> String {
    format!("{}{key}{}", PLACEHOLDER.0, PLACEHOLDER.1)
}

impl ManagedTemplate {
    /// Its own, then those that all have.
    pub fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.own.iter().chain(&OPTIONAL)
    }

    /// With a placeholder for each parameter.
    #[must_use]
    pub fn document(&self) -> JobDocument {
        self.document_with(placeholder)
    }

    /// With the parameters in their places; optional ones that are not given are empty (inferred).
    ///
    /// # Errors
    /// `InvalidRequest` for a parameter that is missing, unknown or of another form (inferred).
    pub fn fill(&self, given: &BTreeMap<String, String>) -> Result<JobDocument, ControlError> {
        let refuse = |message: String| Err(ControlError::InvalidRequest(message));
        let known: Vec<&str> = self.parameters().map(|parameter| parameter.key).collect();
        if let Some(unknown) = given.keys().find(|key| !known.contains(&key.as_str())) {
            return refuse(format!("documentParameters.{unknown}: {} has the parameters {}", self.name, known.join(", ")));
        }
        for Parameter { key, regex, fits, is_optional, .. } in self.parameters() {
            match given.get(*key) {
                None if !is_optional => return refuse(format!("documentParameters.{key} is required by {}", self.name)),
                Some(value) if !fits(value) => {
                    return refuse(format!("documentParameters.{key} must match {regex}; {value:?} does not"));
                }
                _ => {}
            }
        }
        Ok(self.document_with(|key| given.get(key).cloned().unwrap_or_default()))
    }

    fn document_with(&self, value: impl Fn(&str) -> String) -> JobDocument {
        let own: Vec<String> = self.own.iter().map(|parameter| value(parameter.key)).collect();
        let input = match self.action {
            Action::Handler(handler) => {
                serde_json::json!({ "handler": handler, "args": own, "path": value(PATH_TO_HANDLER) })
            }
            Action::Command => serde_json::json!({ "command": own.join(",") }),
        };
        let kind = match self.action {
            Action::Handler(_) => "runHandler",
            Action::Command => "runCommand",
        };
        let action = serde_json::json!({ "name": self.name, "type": kind, "input": input, "runAsUser": value(RUN_AS_USER) });
        let document = serde_json::json!({ "version": VERSION, "steps": [{ "action": action }] });
        JobDocument::from_valid_json(&document.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parameters(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    fn filled(name: &str, pairs: &[(&str, &str)]) -> Result<Value, ControlError> {
        let document = find(name, None)?.fill(&parameters(pairs))?;
        Ok(serde_json::from_str(document.as_json()).unwrap())
    }

    #[test]
    fn parameters_stand_in_the_document() {
        let restart = filled("AWS-Restart-Application", &[("services", "meterd \"x\""), ("pathToHandler", "/opt")]).unwrap();
        let action = &restart["steps"][0]["action"];
        assert_eq!(restart["version"], "1.0");
        assert_eq!((&action["type"], &action["runAsUser"]), (&json!("runHandler"), &json!("")));
        assert_eq!(action["input"], json!({ "handler": "restart-services.sh", "args": ["meterd \"x\""], "path": "/opt" }));
        let command = filled("AWS-Run-Command", &[("command", "echo,hello"), ("runAsUser", "root")]).unwrap();
        assert_eq!(command["steps"][0]["action"]["input"], json!({ "command": "echo,hello" }));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (name, pairs, named) in [
            ("AWS-Reboot", &[("color", "red")][..], "documentParameters.color"),
            ("AWS-Download-File", &[("downloadUrl", "https://x/y")], "documentParameters.filePath is required"),
            (
                "AWS-Download-File",
                &[("downloadUrl", "ftp://x"), ("filePath", "/tmp/x")],
                "documentParameters.downloadUrl must match",
            ),
            ("AWS-Run-Command", &[("command", "x"), ("runAsUser", "a b")], "documentParameters.runAsUser must match"),
            ("AWS-Fly", &[], "there is no managed job template AWS-Fly"),
        ] {
            let refused = filled(name, pairs).unwrap_err();
            assert!(refused.message().contains(named), "{name}: {refused}");
        }
        assert!(find("AWS-Reboot", Some("2.0")).is_err() && find("AWS-Reboot", Some(VERSION)).is_ok());
    }

    #[test]
    fn every_example_fits_and_every_placeholder_is_told() {
        for template in &TEMPLATES {
            let given: BTreeMap<_, _> = template.parameters().map(|p| (p.key.to_owned(), p.example.to_owned())).collect();
            let filled = template.fill(&given).unwrap_or_else(|error| panic!("{}: {error}", template.name));
            assert!(!filled.as_json().contains("${aws:iot:parameter"), "{}", filled.as_json());
            let document = template.document();
            let is_told = |key: &str| document.as_json().contains(&placeholder(key));
            assert!(template.own.iter().all(|parameter| is_told(parameter.key)) && is_told(RUN_AS_USER), "{}", document.as_json());
        }
        assert!(TEMPLATES.is_sorted_by_key(|template| template.name));
    }
}
