//! What jobs and job templates have in common, as JSON: rollouts, aborts, timeouts, retries, presigned URLs (PROTOCOL 11.2).

use super::control::invalid;
use crate::{
    AbortCriterion, ControlError, ExponentialRate, JobConfig, PresignedUrlConfig, RateIncrease, RetryCriterion, RolloutConfig,
    UpdateJob,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strum::VariantArray;

const ABORT_ACTION: &str = "CANCEL";

/// What CreateJob and UpdateJob have in common. Members that are not listed are refused by name, so that nothing is accepted and
/// ignored.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct ConfigBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presigned_url_config: Option<PresignedBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_executions_rollout_config: Option<RolloutBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    abort_config: Option<CriteriaBody<AbortBody>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_config: Option<TimeoutBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_executions_retry_config: Option<CriteriaBody<RetryBody>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PresignedBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_sec: Option<u32>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RolloutBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_per_minute: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exponential_rate: Option<ExponentialBody>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExponentialBody {
    base_rate_per_minute: u32,
    increment_factor: f64,
    rate_increase_criteria: RateIncreaseBody,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RateIncreaseBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    number_of_notified_things: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number_of_succeeded_things: Option<u64>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CriteriaBody<T> {
    criteria_list: Vec<T>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AbortBody {
    failure_type: String,
    action: String,
    threshold_percentage: f64,
    min_number_of_executed_things: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RetryBody {
    failure_type: String,
    number_of_retries: u32,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TimeoutBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    in_progress_timeout_in_minutes: Option<u32>,
}

pub(super) fn value_of<T: VariantArray + Copy + Into<&'static str>>(what: &str, text: &str) -> Result<T, ControlError> {
    T::VARIANTS.iter().copied().find(|value| (*value).into() == text).ok_or_else(|| {
        let known: Vec<&str> = T::VARIANTS.iter().map(|value| (*value).into()).collect();
        invalid(format!("{what} must be {}, not {text:?}", known.join(" or ")))
    })
}

/// A number with a few decimals as a whole number of its parts.
fn in_parts(what: &str, value: f64, parts: u32) -> Result<u32, ControlError> {
    let scaled = value * f64::from(parts);
    let whole = scaled.round();
    if (scaled - whole).abs() > 1e-6 || !(0.0..=f64::from(u32::MAX)).contains(&whole) {
        let decimals = parts.ilog10();
        return Err(invalid(format!("{what} may have {decimals} decimal{}, not {value}", if decimals == 1 { "" } else { "s" })));
    }
    Ok(whole as u32)
}

impl RolloutBody {
    fn parse(&self) -> Result<RolloutConfig, ControlError> {
        let exponential = self.exponential_rate.as_ref().map(|rate| {
            let criteria = &rate.rate_increase_criteria;
            let criterion = match (criteria.number_of_notified_things, criteria.number_of_succeeded_things) {
                (Some(things), None) => RateIncrease::NotifiedThings(things),
                (None, Some(things)) => RateIncrease::SucceededThings(things),
                _ => return Err(invalid("rateIncreaseCriteria takes numberOfNotifiedThings or numberOfSucceededThings")),
            };
            let increment_tenths = in_parts("incrementFactor", rate.increment_factor, 10)?;
            Ok(ExponentialRate { base_per_minute: rate.base_rate_per_minute, increment_tenths, criterion })
        });
        Ok(RolloutConfig { maximum_per_minute: self.maximum_per_minute, exponential: exponential.transpose()? })
    }

    fn of(config: &RolloutConfig) -> Option<Self> {
        let exponential_rate = config.exponential.map(|rate| ExponentialBody {
            base_rate_per_minute: rate.base_per_minute,
            increment_factor: f64::from(rate.increment_tenths) / 10.0,
            rate_increase_criteria: match rate.criterion {
                RateIncrease::NotifiedThings(things) => {
                    RateIncreaseBody { number_of_notified_things: Some(things), ..RateIncreaseBody::default() }
                }
                RateIncrease::SucceededThings(things) => {
                    RateIncreaseBody { number_of_succeeded_things: Some(things), ..RateIncreaseBody::default() }
                }
            },
        });
        (*config != RolloutConfig::default()).then_some(Self { maximum_per_minute: config.maximum_per_minute, exponential_rate })
    }
}

impl AbortBody {
    fn parse(&self) -> Result<AbortCriterion, ControlError> {
        if self.action != ABORT_ACTION {
            return Err(invalid(format!("action must be {ABORT_ACTION}, not {:?}", self.action)));
        }
        Ok(AbortCriterion {
            failure: value_of("failureType", &self.failure_type)?,
            threshold_hundredths: in_parts("thresholdPercentage", self.threshold_percentage, 100)?,
            executed_min: self.min_number_of_executed_things,
        })
    }

    fn of(criterion: &AbortCriterion) -> Self {
        Self {
            failure_type: criterion.failure.as_str().into(),
            action: ABORT_ACTION.into(),
            threshold_percentage: f64::from(criterion.threshold_hundredths) / 100.0,
            min_number_of_executed_things: criterion.executed_min,
        }
    }
}

impl RetryBody {
    fn parse(&self) -> Result<RetryCriterion, ControlError> {
        Ok(RetryCriterion { failure: value_of("failureType", &self.failure_type)?, retries: self.number_of_retries })
    }

    fn of(criterion: &RetryCriterion) -> Self {
        Self { failure_type: criterion.failure.as_str().into(), number_of_retries: criterion.retries }
    }
}

fn parse_list<T, U>(list: &CriteriaBody<T>, parse: impl Fn(&T) -> Result<U, ControlError>) -> Result<Vec<U>, ControlError> {
    list.criteria_list.iter().map(parse).collect()
}

fn list_of<T, U>(criteria: &[T], of: impl Fn(&T) -> U) -> Option<CriteriaBody<U>> {
    (!criteria.is_empty()).then(|| CriteriaBody { criteria_list: criteria.iter().map(of).collect() })
}

impl ConfigBody {
    fn parse(&self) -> Result<UpdateJob, ControlError> {
        Ok(UpdateJob {
            description: self.description.clone(),
            rollout: self.job_executions_rollout_config.as_ref().map(RolloutBody::parse).transpose()?,
            abort: self.abort_config.as_ref().map(|list| parse_list(list, AbortBody::parse)).transpose()?,
            in_progress_timeout_minutes: self.timeout_config.as_ref().and_then(|config| config.in_progress_timeout_in_minutes),
            retry: self.job_executions_retry_config.as_ref().map(|list| parse_list(list, RetryBody::parse)).transpose()?,
            presigned_url: self
                .presigned_url_config
                .as_ref()
                .map(|config| PresignedUrlConfig { role_arn: config.role_arn.clone(), expires_in_s: config.expires_in_sec }),
        })
    }

    pub(super) fn of(config: &JobConfig) -> Self {
        Self {
            description: config.description.clone(),
            presigned_url_config: config
                .presigned_url
                .as_ref()
                .map(|config| PresignedBody { role_arn: config.role_arn.clone(), expires_in_sec: config.expires_in_s }),
            job_executions_rollout_config: RolloutBody::of(&config.rollout),
            abort_config: list_of(&config.abort, AbortBody::of),
            timeout_config: config
                .in_progress_timeout_minutes
                .map(|minutes| TimeoutBody { in_progress_timeout_in_minutes: Some(minutes) }),
            job_executions_retry_config: list_of(&config.retry, RetryBody::of),
        }
    }
}

pub(super) fn take<T: DeserializeOwned>(members: &mut Map<String, Value>, name: &str) -> Result<Option<T>, ControlError> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => serde_json::from_value(value).map(Some).map_err(|error| invalid(format!("{name}: {error}"))),
    }
}

pub(super) fn parse_config(members: Map<String, Value>) -> Result<UpdateJob, ControlError> {
    let body: ConfigBody = serde_json::from_value(Value::Object(members)).map_err(|error| invalid(error.to_string()))?;
    body.parse()
}
