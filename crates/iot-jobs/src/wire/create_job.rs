//! CreateJob, both ways (PROTOCOL 11.2; templates, PROTOCOL-CORE 2.1 and 2.2).

use super::control::{Account, invalid, to_bytes};
use super::job::take_targets;
use super::job_config::{ConfigBody, parse_config, take, value_of};
use super::scheduling::SchedulingBody;
use super::tags::{TagBody, parse_tags};
use super::template::parse_template_arn;
use super::{json, model};
use crate::managed::{self, ManagedTemplate};
use crate::{
    ControlError, CreateJob, JobConfig, JobDocument, JobId, JobSettings, JobTemplate, MaintenanceWindow, NamespaceId,
    SchedulingConfig, Tags, TargetSelection, TemplateId, TemplateRef, TemplateUse, UpdateJob,
};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

const CREATE_JOB: &str = "CreateJob";
/// CreateJob's members that are a job's settings.
pub const SETTINGS: [&str; 8] = [
    "description",
    "targetSelection",
    "jobExecutionsRolloutConfig",
    "abortConfig",
    "timeoutConfig",
    "jobExecutionsRetryConfig",
    "schedulingConfig",
    "presignedUrlConfig",
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CreateJobBody<'a> {
    targets: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document_source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_template_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document_parameters: Option<&'a BTreeMap<String, String>>,
    #[serde(flatten)]
    settings: SettingsBody,
}

pub(super) fn parameters(template: Option<&TemplateUse>) -> Option<&BTreeMap<String, String>> {
    template.map(|template| &template.parameters).filter(|parameters| !parameters.is_empty())
}

/// The body of CreateJob; the document of a job that is made from a template is that of the template.
#[must_use]
pub fn encode_create_job(account: &Account, create: &CreateJob) -> Vec<u8> {
    let source = create.document_source.as_deref();
    to_bytes(&CreateJobBody {
        targets: create.targets.iter().map(|target| account.target_arn(target)).collect(),
        document: (source.is_none() && create.template.is_none()).then(|| create.document.as_json()),
        document_source: source,
        namespace_id: create.namespace.as_ref().map(NamespaceId::as_str),
        job_template_arn: create.template.as_ref().map(|template| account.of_local_arn(&template.arn)),
        document_parameters: parameters(create.template.as_ref()),
        settings: SettingsBody::of(create.target_selection, create.scheduling.as_ref(), &create.config),
    })
}

/// `document` or `documentSource` of a call, not read yet.
pub(super) enum DocumentSource {
    Text(String),
    Url(String),
    None,
}

impl DocumentSource {
    pub(super) fn take(members: &mut Map<String, Value>) -> Result<Self, ControlError> {
        match (take(members, "document")?, take(members, "documentSource")?) {
            (Some(text), None) => Ok(Self::Text(text)),
            (None, Some(url)) => Ok(Self::Url(url)),
            (None, None) => Ok(Self::None),
            (Some(_), Some(_)) => Err(invalid("there is a document or a documentSource, not both")),
        }
    }

    /// The document, and where it was read from; `None` where there is none.
    pub(super) fn read(
        self,
        read_source: impl FnOnce(&str) -> Result<String, ControlError>,
    ) -> Result<Option<(JobDocument, Option<String>)>, ControlError> {
        let (text, source) = match self {
            Self::Text(text) => (text, None),
            Self::Url(url) => (read_source(&url)?, Some(url)),
            Self::None => return Ok(None),
        };
        let document = JobDocument::parse(&text).map_err(|error| invalid(format!("document is not JSON: {error}")))?;
        Ok(Some((document, source)))
    }
}

/// Reads a job's settings from the members of CreateJob that are left when id, targets and document are taken out.
///
/// # Errors
/// `InvalidRequest`, naming the member.
pub fn parse_settings(members: Map<String, Value>) -> Result<JobSettings, ControlError> {
    given_settings(members).map(|given| given.over(&JobConfig::default(), &[]))
}

/// A job's settings as a request states them.
struct GivenSettings {
    target_selection: TargetSelection,
    scheduling: SchedulingConfig,
    config: UpdateJob,
}

impl GivenSettings {
    /// With what a template states where the request says nothing, member by member (PROTOCOL-CORE 2.1: each as a whole, inferred).
    fn over(self, config: &JobConfig, windows: &[MaintenanceWindow]) -> JobSettings {
        let mut scheduling = self.scheduling;
        if scheduling.windows.is_empty() {
            scheduling.windows = windows.to_vec();
        }
        JobSettings {
            target_selection: self.target_selection,
            scheduling: Some(scheduling).filter(|scheduling| *scheduling != SchedulingConfig::default()),
            config: self.config.apply(config),
        }
    }
}

fn given_settings(mut members: Map<String, Value>) -> Result<GivenSettings, ControlError> {
    model::check_rest(CREATE_JOB, &members)?;
    let selection: Option<String> = take(&mut members, "targetSelection")?;
    let scheduling: Option<SchedulingBody> = take(&mut members, "schedulingConfig")?;
    let scheduling = scheduling.map(|body| body.parse()).transpose()?;
    let target_selection = selection.map_or(Ok(TargetSelection::default()), |text| value_of("targetSelection", &text))?;
    Ok(GivenSettings { target_selection, scheduling: scheduling.unwrap_or_default(), config: parse_config(members)? })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SettingsBody {
    target_selection: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduling_config: Option<SchedulingBody>,
    #[serde(flatten)]
    config: ConfigBody,
}

impl SettingsBody {
    fn of(target_selection: TargetSelection, scheduling: Option<&SchedulingConfig>, config: &JobConfig) -> Self {
        Self {
            target_selection: target_selection.into(),
            scheduling_config: scheduling.map(SchedulingBody::of),
            config: ConfigBody::of(config),
        }
    }
}

/// A job's settings as members of CreateJob: reads back as the same.
#[must_use]
pub fn settings_members(settings: &JobSettings) -> Map<String, Value> {
    let JobSettings { target_selection, scheduling, config } = settings;
    let body = SettingsBody::of(*target_selection, scheduling.as_ref(), config);
    match serde_json::to_value(body) {
        Ok(Value::Object(members)) => members,
        _ => unreachable!("a struct with finite numbers is an object"),
    }
}

/// CreateJob, and what it says beside the job.
#[derive(Debug, PartialEq, Eq)]
pub struct NewJob {
    /// The job.
    pub create: CreateJob,
    /// `tags`.
    pub tags: Tags,
}

/// What CreateJob reads from elsewhere.
pub trait JobSources {
    /// The document that `documentSource` names.
    ///
    /// # Errors
    /// `InvalidRequest` when it cannot be read.
    fn document(&self, source: &str) -> Result<String, ControlError>;

    /// A template of the account.
    ///
    /// # Errors
    /// `ResourceNotFound`.
    fn template(&self, id: &TemplateId) -> Result<JobTemplate, ControlError>;
}

/// # Errors
/// `InvalidRequest`, naming the member; whatever `sources` say.
pub fn parse_create_job(job_id: &str, body: &[u8], sources: &impl JobSources) -> Result<NewJob, ControlError> {
    let mut members = json::members(CREATE_JOB, body)?;
    let job_id = JobId::new(job_id).map_err(|error| invalid(error.to_string()))?;
    let targets = take_targets(&mut members)?;
    let tags = parse_tags(take::<Vec<TagBody>>(&mut members, "tags")?)?;
    let namespace = take(&mut members, "namespaceId")?;
    let document = DocumentSource::take(&mut members)?.read(|source| sources.document(source))?;
    let (template, used) = take_template(&mut members, sources)?;
    let settings = given_settings(members)?;
    let JobSettings { target_selection, scheduling, config } = match &template {
        Some(template) => settings.over(&template.config, &template.windows),
        None => settings.over(&JobConfig::default(), &[]),
    };
    if let Some(scheduling) = &scheduling {
        scheduling.check_windows(target_selection)?;
    }
    let of_template = template.map(|template| (template.document, template.document_source));
    let (document, document_source) =
        document.or(of_template).ok_or_else(|| invalid("document, documentSource or jobTemplateArn is required"))?;
    let create =
        CreateJob { job_id, targets, target_selection, document, document_source, scheduling, namespace, template: used, config };
    Ok(NewJob { create, tags })
}

/// What the template says, with the parameters in its document, and what the job is to say of it.
fn take_template(
    members: &mut Map<String, Value>,
    sources: &impl JobSources,
) -> Result<(Option<JobTemplate>, Option<TemplateUse>), ControlError> {
    let arn: Option<String> = take(members, "jobTemplateArn")?;
    let parameters: Option<BTreeMap<String, String>> = take(members, "documentParameters")?;
    let reference = arn.as_deref().map(parse_template_arn).transpose()?;
    let template = match (&reference, &parameters) {
        (Some(TemplateRef::Managed(name, version)), _) => {
            let document = managed::find(name, Some(version))?.fill(parameters.as_ref().unwrap_or(&BTreeMap::new()))?;
            Some(JobTemplate { document, document_source: None, config: JobConfig::default(), windows: Vec::new() })
        }
        (_, Some(_)) => return Err(invalid("documentParameters are for managed job templates")),
        (Some(TemplateRef::Own(id)), None) => Some(sources.template(id)?),
        (None, None) => None,
    };
    Ok((template, arn.map(|arn| TemplateUse { arn, parameters: parameters.unwrap_or_default() })))
}

/// The document of a job before its parameters were filled in: that of its managed template, where it is from one.
#[must_use]
pub fn before_substitution(create: &CreateJob) -> JobDocument {
    let template = create.template.as_ref().and_then(|template| parse_template_arn(&template.arn).ok());
    match template {
        Some(TemplateRef::Managed(name, version)) => {
            managed::find(&name, Some(&version)).map_or_else(|_gone| create.document.clone(), ManagedTemplate::document)
        }
        _ => create.document.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cron::Cron;
    use crate::wire::control::{JOB, THING, THING_GROUP, arn, parse_target};
    use crate::{
        AbortCriterion, EndBehavior, ExponentialRate, FailureType, GroupName, JobTarget, PresignedUrlConfig, RateIncrease,
        RetryCriterion, RolloutConfig, ScheduledEnd, ThingName,
    };

    /// One template, and documents that name their source.
    struct Elsewhere;

    impl JobSources for Elsewhere {
        fn document(&self, source: &str) -> Result<String, ControlError> {
            Ok(format!("{source:?}"))
        }

        fn template(&self, id: &TemplateId) -> Result<JobTemplate, ControlError> {
            if id.as_str() != "known" {
                return Err(ControlError::ResourceNotFound(format!("job template {id} does not exist")));
            }
            let window = MaintenanceWindow { start: Cron::parse("cron(0 22 * * ? *)").unwrap(), minutes: 60 };
            let config = JobConfig {
                description: Some("of the template".into()),
                in_progress_timeout_minutes: Some(7),
                rollout: RolloutConfig { maximum_per_minute: Some(5), exponential: None },
                ..JobConfig::default()
            };
            let document = JobDocument::from_valid_json("{\"of\":\"template\"}");
            Ok(JobTemplate { document, document_source: None, config, windows: vec![window] })
        }
    }

    fn parse(body: &str) -> Result<CreateJob, ControlError> {
        parse_create_job("fw-1", body.as_bytes(), &Elsewhere).map(|new| new.create)
    }

    #[test]
    fn a_job_round_trips() {
        let create = CreateJob {
            target_selection: TargetSelection::Continuous,
            scheduling: Some(SchedulingConfig {
                start_ms: Some(1_772_000_040_000),
                end: Some(ScheduledEnd { at_ms: 1_772_003_640_000, behavior: EndBehavior::ForceCancel }),
                windows: vec![MaintenanceWindow { start: Cron::parse("cron(0 22 ? * SAT *)").unwrap(), minutes: 90 }],
            }),
            namespace: Some(NamespaceId::new("aws-gg-deployment").unwrap()),
            config: JobConfig {
                description: Some("d".into()),
                rollout: RolloutConfig {
                    maximum_per_minute: Some(12_000),
                    exponential: Some(ExponentialRate {
                        base_per_minute: 50,
                        increment_tenths: 15,
                        criterion: RateIncrease::SucceededThings(1_000),
                    }),
                },
                abort: vec![AbortCriterion { failure: FailureType::All, threshold_hundredths: 1_050, executed_min: 200 }],
                in_progress_timeout_minutes: Some(5),
                retry: vec![RetryCriterion { failure: FailureType::TimedOut, retries: 2 }],
                presigned_url: Some(PresignedUrlConfig { role_arn: Some("arn:aws:iam::1:role/r".into()), expires_in_s: Some(60) }),
            },
            ..CreateJob::new(
                JobId::new("fw-1").unwrap(),
                vec![JobTarget::Thing(ThingName::new("a:b").unwrap()), JobTarget::Group(GroupName::new("all").unwrap())],
                JobDocument::from_valid_json(r#"{"operation":"reboot"}"#),
            )
        };
        let account = Account::of_arn(&arn(JOB, "fw-1")).unwrap();
        let body = encode_create_job(&account, &create);
        assert_eq!(parse(std::str::from_utf8(&body).unwrap()), Ok(create));
    }

    #[test]
    fn what_is_not_supported_or_out_of_place_is_named() {
        let refused = |body: &str| parse(body).unwrap_err().message().to_owned();
        let with = |member: &str| refused(&format!(r#"{{"targets":["{}"],"document":"{{}}",{member}}}"#, arn(THING, "t")));
        for (member, named) in [
            (r#""destinationPackageVersions":[]"#, "destinationPackageVersions"),
            (r#""tags":[{"Key":"a"},{"Key":"a"}]"#, "twice"),
            (r#""documentParameters":{"a":"b"}"#, "managed job templates"),
            (r#""jobTemplateArn":"arn:aws:iot:us-east-1::jobtemplate/AWS-Reboot""#, "ARN of a job template"),
            (r#""abortConfig":{}"#, "criteriaList"),
            (
                r#""abortConfig":{"criteriaList":[{"failureType":"X","action":"CANCEL","thresholdPercentage":1,"minNumberOfExecutedThings":1}]}"#,
                "FAILED or",
            ),
            (
                r#""abortConfig":{"criteriaList":[{"failureType":"ALL","action":"CANCEL","thresholdPercentage":1.234,"minNumberOfExecutedThings":1}]}"#,
                "2 decimals",
            ),
            (r#""schedulingConfig":{"maintenanceWindows":[{"startTime":"daily","durationInMinutes":1}]}"#, "startTime of a"),
            (
                r#""schedulingConfig":{"maintenanceWindows":[{"startTime":"cron(0 1 * * ? *)","durationInMinutes":1431}]}"#,
                "durationInMinutes",
            ),
            (
                r#""schedulingConfig":{"maintenanceWindows":[{"startTime":"cron(0 1 * * ? *)","durationInMinutes":60}]}"#,
                "CONTINUOUS",
            ),
            (r#""schedulingConfig":{"startTime":"soon"}"#, "startTime must be like"),
            (r#""schedulingConfig":{"endBehavior":"CANCEL"}"#, "endBehavior needs"),
            (r#""jobExecutionsRolloutConfig":{"exponentialRate":{}}"#, "baseRatePerMinute"),
            (r#""documentSource":"https://s3.us-east-1.amazonaws.com/b/k""#, "not both"),
            (r#""targetSelection":"SOME""#, "targetSelection"),
        ] {
            assert!(with(member).contains(named), "{}", with(member));
        }
        for foreign in [
            "arn:aws:s3:::b".to_owned(),
            arn(JOB, "j"),
            arn(THING, "t").replace("111122223333", "999999999999"),
            arn(THING_GROUP, "g").replace("us-east-1", "eu-west-1"),
            arn(THING, "t").replace("arn:aws:", "arn:aws-cn:"),
        ] {
            assert!(refused(&format!(r#"{{"targets":["{foreign}"],"document":"{{}}"}}"#)).contains("ARN"), "{foreign}");
        }
        let target = arn(THING, "t");
        assert!(refused(&format!(r#"{{"targets":["{target}"],"document":"{{"}}"#)).contains("document is not JSON"));
        assert!(refused(&format!(r#"{{"targets":["{target}"]}}"#)).contains("is required"));
        assert!(refused(r#"{"targets":[],"document":"{}"}"#).contains("targets must have at least 1 item"));
        assert!(refused(r#"{"document":"{}"}"#).contains("targets is required"));
    }

    #[test]
    fn what_the_request_says_wins_over_the_template() {
        let target = arn(THING, "t");
        let of = |template: &str, more: &str| {
            parse(&format!(r#"{{"targets":["{target}"],"jobTemplateArn":"{}"{more}}}"#, arn("jobtemplate", template)))
        };
        let continuous = r#","targetSelection":"CONTINUOUS""#;
        let as_it_is = of("known", continuous).unwrap();
        assert_eq!(as_it_is.document.as_json(), "{\"of\":\"template\"}");
        assert_eq!(as_it_is.config.in_progress_timeout_minutes, Some(7));
        assert_eq!(as_it_is.scheduling.map(|scheduling| scheduling.windows.len()), Some(1));
        assert_eq!(as_it_is.template.map(|template| template.arn), Some(arn("jobtemplate", "known")));
        let own = r#","targetSelection":"CONTINUOUS","description":"own","document":"{}","timeoutConfig":{"inProgressTimeoutInMinutes":9}"#;
        let own = of("known", own).unwrap();
        assert_eq!((own.document.as_json(), own.config.in_progress_timeout_minutes), ("{}", Some(9)));
        assert_eq!(own.config.rollout.maximum_per_minute, Some(5), "what is not said is the template's");
        assert!(of("known", "").unwrap_err().message().contains("CONTINUOUS"), "its windows are for continuous jobs");
        assert!(matches!(of("unknown", ""), Err(ControlError::ResourceNotFound(_))));
        assert!(of("known", r#","documentParameters":{}"#).unwrap_err().message().contains("managed"));
    }

    #[test]
    fn a_managed_template_is_filled() {
        let target = arn(THING, "t");
        let job = parse(&format!(
            r#"{{"targets":["{target}"],"jobTemplateArn":"arn:aws:iot:us-east-1::jobtemplate/AWS-Run-Command:1.0","documentParameters":{{"command":"ls"}}}}"#
        ))
        .unwrap();
        assert!(job.document.as_json().contains(r#""command":"ls""#), "{}", job.document.as_json());
        assert!(before_substitution(&job).as_json().contains("${aws:iot:parameter:command}"));
        assert!(!before_substitution(&CreateJob { template: None, ..job }).as_json().contains("parameter"));
    }

    #[test]
    fn a_group_is_a_target() {
        assert_eq!(parse_target(&arn(THING_GROUP, "all")), Ok(JobTarget::Group(GroupName::new("all").unwrap())));
    }
}
