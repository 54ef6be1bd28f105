//! What a run asks of the control plane: things, groups and jobs, on the local endpoint as on AWS.

use super::calls::{Call, Canceled};
use super::client::{CONNECTIONS, CallError, Client, ControlEndpoint};
use aws_signing::keyring::Keyring;
use futures_util::future::try_join_all;
use iot_jobs::wire::control::{Account, text_member};
use iot_jobs::wire::job_progress::JobProgress;
use iot_jobs::{CreateJob, GroupName, JobId, ThingName};
use jobs_engine::quotas::Quotas;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Mutex;

/// The type of endpoint that devices connect to.
pub const DATA_ATS: &str = "iot:Data-ATS";
/// How long jobs that are being deleted are waited for: an account deletes ten at once (PROTOCOL 15.3).
const DELETION_LIMIT: Duration = Duration::from_secs(60);
const DELETION_PAUSE: Duration = Duration::from_secs(1);
/// In the console, why a job was cancelled.
const CANCELED_BY: &str = "canceled by fleetsim: the run has ended";

/// How a job stands for who waits for its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// There is none of that name.
    Missing,
    /// It has executions that have not ended, or will have some.
    Open,
    Over,
}

/// A client for the calls of a run.
pub struct ControlClient {
    client: Client,
    /// Known once a resource was made.
    account: OnceLock<Account>,
    creating: Mutex<()>,
}

impl ControlClient {
    /// Of a local endpoint, whose registry takes calls as they come; connects on first use.
    #[must_use]
    pub fn new(endpoint: ControlEndpoint, keyring: Arc<Keyring>) -> Self {
        Self::of(Client::new(endpoint, keyring, None))
    }

    /// Of an account, whose quotas are kept.
    #[must_use]
    pub fn paced(endpoint: ControlEndpoint, keyring: Arc<Keyring>, quotas: Quotas) -> Self {
        Self::of(Client::new(endpoint, keyring, Some(quotas)))
    }

    fn of(client: Client) -> Self {
        Self { client, account: OnceLock::new(), creating: Mutex::new(()) }
    }

    /// Whose resources these are, where that is known without a call.
    pub fn know(&self, account: Account) {
        // All resources are of one account: whoever comes first says which.
        let _ = self.account.set(account);
    }

    /// Where an endpoint of this account is: a host of AWS, or `host:port` of a stand-in.
    ///
    /// # Errors
    /// When the call is refused, breaks too often, or has an answer that cannot be read.
    pub async fn describe_endpoint(&self, kind: &str) -> Result<String, CallError> {
        let call = Call::describe_endpoint(kind);
        text_of(call.operation, &self.client.call(&call).await?, "endpointAddress")
    }

    /// # Errors
    /// When the call is refused, or breaks too often.
    pub async fn create_thing(&self, thing: &ThingName) -> Result<(), CallError> {
        self.client.call(&Call::create_bare_thing(thing)).await.map(drop)
    }

    /// # Errors
    /// When the call is refused, or breaks too often.
    pub async fn create_group(&self, group: &GroupName) -> Result<(), CallError> {
        let call = Call::create_thing_group(group.as_str(), &[]);
        let account = account_of(call.operation, &self.client.call(&call).await?, "thingGroupArn")?;
        self.know(account);
        Ok(())
    }

    /// Deleting a group that is not there is fine.
    ///
    /// # Errors
    /// When the call is refused, or breaks too often.
    pub async fn delete_group(&self, group: &GroupName) -> Result<(), CallError> {
        unless_gone(self.client.call(&Call::delete_thing_group(group.as_str())).await)
    }

    /// # Errors
    /// When the call is refused, or breaks too often.
    pub async fn add_thing_to_group(&self, thing: &ThingName, group: &GroupName) -> Result<(), CallError> {
        self.client.call(&Call::add_thing_to_group(thing, group)).await.map(drop)
    }

    /// Jobs are created in the order of the calls. Their targets must have been made by this client.
    ///
    /// # Errors
    /// When the call is refused, or breaks too often.
    pub async fn create_job(&self, job: &CreateJob) -> Result<(), CallError> {
        let _turn = self.creating.lock().await;
        let missing = || CallError::unreadable("CreateJob", "no group of targets was made before");
        let account = self.account.get().ok_or_else(missing)?;
        let body = iot_jobs::wire::create_job::encode_create_job(account, job);
        self.client.call(&Call::create_job(&job.job_id, body)).await.map(drop)
    }

    /// Whether every execution that a job for `targets` things will have has ended. A job that was deleted is over.
    ///
    /// # Errors
    /// When the call is refused, breaks too often, or has an answer that cannot be read.
    pub async fn job_state(&self, job: &JobId, targets: u64) -> Result<JobState, CallError> {
        let call = Call::describe_job(job);
        match self.client.call(&call).await {
            Ok(body) => JobProgress::parse(&body)
                .map(|job_progress| if job_progress.is_over(targets) { JobState::Over } else { JobState::Open })
                .map_err(|error| CallError::unreadable(call.operation, error.to_string())),
            Err(error) if is_gone(&error) => Ok(JobState::Missing),
            Err(error) => Err(error),
        }
    }

    /// Cancels a job with these of its executions. A job that is over, or was deleted, stays as it is.
    ///
    /// # Errors
    /// When the call is refused, or breaks too often.
    pub async fn cancel_job(&self, job: &JobId, what: Canceled) -> Result<(), CallError> {
        cancel_job(&self.client, job, what).await
    }

    /// Deletes a job, whatever its executions are at.
    ///
    /// # Errors
    /// When the call is refused, or breaks too often.
    pub async fn delete_job(&self, job: &JobId) -> Result<(), CallError> {
        delete_job(&self.client, job).await
    }
}

pub(super) async fn cancel_job(client: &Client, job: &JobId, what: Canceled) -> Result<(), CallError> {
    match client.call(&Call::cancel_job(job, what, CANCELED_BY)).await {
        // Over (inferred).
        Err(error) if error.is("InvalidStateTransitionException") || error.is("InvalidRequestException") => Ok(()),
        outcome => unless_gone(outcome),
    }
}

pub(super) async fn delete_job(client: &Client, job: &JobId) -> Result<(), CallError> {
    let deleting = async {
        loop {
            match client.call(&Call::delete_job(job)).await {
                // So many are being deleted already.
                Err(error) if error.is("LimitExceededException") => tokio::time::sleep(DELETION_PAUSE).await,
                // It is being deleted already (inferred).
                Err(error) if error.is("InvalidStateTransitionException") => return Ok(()),
                outcome => return unless_gone(outcome),
            }
        }
    };
    let timeout = CallError::unreadable("DeleteJob", format!("ten others were being deleted for {} s", DELETION_LIMIT.as_secs()));
    tokio::time::timeout(DELETION_LIMIT, deleting).await.unwrap_or(Err(timeout))
}

/// Whether it is not there (any more).
pub(super) fn is_gone(error: &CallError) -> bool {
    matches!(error, CallError::Refused { status: 404, .. })
}

pub(super) fn unless_gone<T>(outcome: Result<T, CallError>) -> Result<(), CallError> {
    match outcome {
        Err(error) if !is_gone(&error) => Err(error),
        _ => Ok(()),
    }
}

/// A text member of an answer.
pub(super) fn text_of(operation: &'static str, body: &[u8], member: &str) -> Result<String, CallError> {
    text_member(body, member).ok_or_else(|| CallError::unreadable(operation, format!("the answer has no {member}")))
}

/// The account of the ARN that an answer has.
pub(super) fn account_of(operation: &'static str, body: &[u8], member: &str) -> Result<Account, CallError> {
    let arn = text_of(operation, body, member)?;
    Account::of_arn(&arn).ok_or_else(|| CallError::unreadable(operation, format!("{arn:?} is no ARN of AWS IoT")))
}

/// Registers things and puts them into their groups, in parallel, telling progress (calls done, calls in all).
///
/// # Errors
/// With the first call that fails for good.
pub async fn provision(
    client: &ControlClient,
    things: &[ThingName],
    groups: &[(GroupName, Vec<ThingName>)],
    progress: impl Fn(usize, usize),
) -> Result<(), CallError> {
    let total = things.len() + groups.iter().map(|(_, members)| members.len()).sum::<usize>();
    let done = std::cell::Cell::new(0);
    let step = || {
        done.set(done.get() + 1);
        progress(done.get(), total);
    };
    for (group, _) in groups {
        client.create_group(group).await?;
    }
    let step = &step;
    let registering = (0..CONNECTIONS).map(|lane| async move {
        for thing in things.iter().skip(lane).step_by(CONNECTIONS) {
            client.create_thing(thing).await?;
            step();
        }
        Ok(())
    });
    try_join_all(registering).await?;
    let joining = (0..CONNECTIONS).map(|lane| async move {
        for (group, members) in groups {
            for thing in members.iter().skip(lane).step_by(CONNECTIONS) {
                client.add_thing_to_group(thing, group).await?;
                step();
            }
        }
        Ok(())
    });
    try_join_all(joining).await?;
    Ok(())
}
