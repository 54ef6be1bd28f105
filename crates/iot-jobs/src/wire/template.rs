//! Job templates as JSON (PROTOCOL-CORE 2.1 and 2.2; shapes as in botocore's `iot/2015-05-28` model).

use super::control::{self, ACCOUNT, REGION, invalid};
use super::create_job::DocumentSource;
use super::job::seconds;
use super::job_config::{ConfigBody, parse_config, take};
use super::json;
use super::registry::{encode, encode_page, parse_arn};
use super::scheduling::WindowBody;
use super::tags::{TagBody, parse_tags};
use crate::managed::{ENVIRONMENTS, ManagedTemplate, VERSION};
use crate::{ControlError, JobConfig, JobId, JobTemplate, Tags, TemplateId, TemplateRef};
use serde::Serialize;
use serde_json::json;

/// In `jobtemplate/{jobTemplateId}`.
pub const JOB_TEMPLATE: &str = "jobtemplate";

/// The ARN of a template of the account.
#[must_use]
pub fn template_arn(id: &TemplateId) -> String {
    control::arn(JOB_TEMPLATE, id.as_str())
}

/// The ARN of a managed template, which has no account.
#[must_use]
pub fn managed_arn(name: &str, version: &str) -> String {
    format!("arn:aws:iot:{REGION}::{JOB_TEMPLATE}/{name}:{version}")
}

/// The template that an ARN names.
///
/// # Errors
/// `InvalidRequest` when it is none of a template of this account, or of AWS's.
pub fn parse_template_arn(arn: &str) -> Result<TemplateRef, ControlError> {
    if let Some((JOB_TEMPLATE, id)) = parse_arn(arn) {
        return TemplateId::new(id).map(TemplateRef::Own).map_err(|error| invalid(error.to_string()));
    }
    let managed = arn.strip_prefix(&format!("arn:aws:iot:{REGION}::{JOB_TEMPLATE}/")).and_then(|rest| rest.split_once(':'));
    match managed {
        Some((name, version)) => Ok(TemplateRef::Managed(name.into(), version.into())),
        None => {
            let (own, managed) = (control::arn(JOB_TEMPLATE, "ID"), managed_arn("AWS-NAME", VERSION));
            Err(invalid(format!("{arn:?} is not the ARN of a job template of account {ACCOUNT} ({own}) or of AWS ({managed})")))
        }
    }
}

/// CreateJobTemplate.
#[derive(Debug)]
pub struct NewTemplate {
    /// In the path of the request.
    pub id: TemplateId,
    /// What is to be kept.
    pub template: JobTemplate,
    /// `tags`.
    pub tags: Tags,
}

/// `job` reads the job that `jobArn` names as a template; members of the request win over those of the job (PROTOCOL-CORE 2.1).
///
/// # Errors
/// `InvalidRequest`, naming the member; whatever `job` and `read_source` say.
pub fn parse_create_template(
    id: &str,
    body: &[u8],
    job: impl FnOnce(&JobId) -> Result<JobTemplate, ControlError>,
    read_source: impl FnOnce(&str) -> Result<String, ControlError>,
) -> Result<NewTemplate, ControlError> {
    let mut members = json::members("CreateJobTemplate", body)?;
    let id = TemplateId::new(id).map_err(|error| invalid(error.to_string()))?;
    let of_job = take::<String>(&mut members, "jobArn")?.map(|arn| job(&parse_job_arn(&arn)?)).transpose()?;
    let tags = parse_tags(take::<Vec<TagBody>>(&mut members, "tags")?)?;
    let windows: Option<Vec<WindowBody>> = take(&mut members, "maintenanceWindows")?;
    let windows = windows.map(|windows| windows.iter().map(WindowBody::parse).collect::<Result<Vec<_>, _>>()).transpose()?;
    let document = DocumentSource::take(&mut members)?.read(read_source)?;
    let update = parse_config(members)?;
    let template = match of_job {
        Some(JobTemplate { document: of_job, document_source, config, windows: of_windows }) => {
            let (document, document_source) = document.unwrap_or((of_job, document_source));
            JobTemplate { document, document_source, config: update.apply(&config), windows: windows.unwrap_or(of_windows) }
        }
        None => {
            let (document, document_source) = document.ok_or_else(|| invalid("document, documentSource or jobArn is required"))?;
            let config = update.apply(&JobConfig::default());
            JobTemplate { document, document_source, config, windows: windows.unwrap_or_default() }
        }
    };
    template.check()?;
    Ok(NewTemplate { id, template, tags })
}

fn parse_job_arn(arn: &str) -> Result<JobId, ControlError> {
    match parse_arn(arn) {
        Some((control::JOB, id)) => JobId::new(id).map_err(|error| invalid(error.to_string())),
        _ => Err(invalid(format!("jobArn {arn:?} is not the ARN of a job of this account: {}", control::arn(control::JOB, "ID")))),
    }
}

/// The answer to CreateJobTemplate.
#[must_use]
pub fn encode_created(id: &TemplateId) -> Vec<u8> {
    encode(&json!({ "jobTemplateArn": template_arn(id), "jobTemplateId": id.as_str() }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DescribedTemplate<'a> {
    job_template_arn: String,
    job_template_id: &'a str,
    created_at: f64,
    document: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    document_source: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    maintenance_windows: Vec<WindowBody>,
    #[serde(flatten)]
    config: ConfigBody,
}

/// The answer to DescribeJobTemplate.
#[must_use]
pub fn encode_described(id: &TemplateId, template: &JobTemplate, created_ms: i64) -> Vec<u8> {
    encode(&DescribedTemplate {
        job_template_arn: template_arn(id),
        job_template_id: id.as_str(),
        created_at: seconds(created_ms),
        document: template.document.as_json(),
        document_source: template.document_source.as_deref(),
        maintenance_windows: template.windows.iter().map(WindowBody::of).collect(),
        config: ConfigBody::of(&template.config),
    })
}

/// A page of ListJobTemplates: id, description and when it was created.
#[must_use]
pub fn encode_templates<'a>(
    templates: impl IntoIterator<Item = (&'a TemplateId, &'a JobTemplate, i64)>,
    next_token: Option<String>,
) -> Vec<u8> {
    let summary = |(id, template, created_ms): (&TemplateId, &JobTemplate, i64)| {
        json!({
            "jobTemplateArn": template_arn(id),
            "jobTemplateId": id.as_str(),
            "description": template.config.description.as_deref().unwrap_or_default(),
            "createdAt": seconds(created_ms),
        })
    };
    encode_page("jobTemplates", templates.into_iter().map(summary), "nextToken", next_token)
}

/// A page of ListManagedJobTemplates.
#[must_use]
pub fn encode_managed_templates<'a>(
    templates: impl IntoIterator<Item = &'a ManagedTemplate>,
    next_token: Option<String>,
) -> Vec<u8> {
    let summary = |template: &ManagedTemplate| {
        json!({
            "templateArn": managed_arn(template.name, VERSION),
            "templateName": template.name,
            "description": template.description,
            "environments": ENVIRONMENTS,
            "templateVersion": VERSION,
        })
    };
    encode_page("managedJobTemplates", templates.into_iter().map(summary), "nextToken", next_token)
}

/// The answer to DescribeManagedJobTemplate.
#[must_use]
pub fn encode_managed(template: &ManagedTemplate) -> Vec<u8> {
    let parameters: Vec<_> = template
        .parameters()
        .map(|parameter| {
            json!({
                "key": parameter.key,
                "description": parameter.description,
                "regex": parameter.regex,
                "example": parameter.example,
                "optional": parameter.is_optional,
            })
        })
        .collect();
    encode(&json!({
        "templateName": template.name,
        "templateArn": managed_arn(template.name, VERSION),
        "description": template.description,
        "templateVersion": VERSION,
        "environments": ENVIRONMENTS,
        "documentParameters": parameters,
        "document": template.document().as_json(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::JobDocument;

    #[test]
    fn arns_name_templates_of_both_kinds() {
        let id = TemplateId::new("reboot").unwrap();
        assert_eq!(parse_template_arn(&template_arn(&id)), Ok(TemplateRef::Own(id)));
        let managed = parse_template_arn("arn:aws:iot:us-east-1::jobtemplate/AWS-Reboot:1.0");
        assert_eq!(managed, Ok(TemplateRef::Managed("AWS-Reboot".into(), "1.0".into())));
        for other in ["arn:aws:iot:eu-west-1::jobtemplate/AWS-Reboot:1.0", "arn:aws:iot:us-east-1::jobtemplate/AWS-Reboot", "x"] {
            assert!(parse_template_arn(other).unwrap_err().message().contains("job template"), "{other}");
        }
    }

    #[test]
    fn members_of_the_request_win_over_those_of_the_job() {
        let job = JobTemplate {
            document: JobDocument::from_valid_json("{\"a\":1}"),
            document_source: None,
            config: JobConfig {
                description: Some("of the job".into()),
                in_progress_timeout_minutes: Some(5),
                ..JobConfig::default()
            },
            windows: Vec::new(),
        };
        let parse =
            |body: &str| parse_create_template("t", body.as_bytes(), |_| Ok(job.clone()), |source| Ok(format!("{source:?}")));
        let arn = control::arn(control::JOB, "j");
        let made = parse(&format!(r#"{{"jobArn":"{arn}","description":"own","maintenanceWindows":[{{"startTime":"cron(0 1 * * ? *)","durationInMinutes":60}}]}}"#)).unwrap();
        assert_eq!(made.template.config.description.as_deref(), Some("own"));
        assert_eq!(made.template.config.in_progress_timeout_minutes, Some(5));
        assert_eq!((made.template.document.as_json(), made.template.windows.len()), ("{\"a\":1}", 1));
        for (body, named) in [
            (r#"{"description":"d"}"#.to_owned(), "document, documentSource or jobArn"),
            (r#"{"document":"{}"}"#.to_owned(), "description is required"),
            (r#"{"description":"d","document":"{"}"#.to_owned(), "document is not JSON"),
            (format!(r#"{{"description":"d","jobArn":"{arn}x/y"}}"#), "a job id"),
            (r#"{"description":"d","document":"{}","targets":[]}"#.to_owned(), "targets"),
        ] {
            assert!(parse(&body).unwrap_err().message().contains(named), "{body}: {:?}", parse(&body));
        }
    }
}
