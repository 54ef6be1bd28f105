//! Certificates that CreateKeysAndCertificate made while its answer was lost: the process was killed, or the connection broke. Nobody has
//! their keys, and they are not active. They are found by listing: made when such a call was under way, known to no inventory, of no thing.

use super::calls::{Call, INACTIVE};
use super::client::{CallError, Client};
use super::control::is_gone;
use super::inventory::{Inventory, KeySource};
use serde::Deserialize;

/// How far the clock of the service may be from ours, and how long a call may have been under way.
const SKEW_MS: i64 = 60_000;
const CALL_MS: i64 = 240_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    certificates: Vec<Listed>,
    next_marker: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    certificate_id: String,
    certificate_arn: String,
    status: String,
    /// Seconds since the epoch.
    creation_date: f64,
}

impl Listed {
    fn created_ms(&self) -> i64 {
        (self.creation_date * 1000.0) as i64
    }
}

#[derive(Deserialize)]
struct Things {
    #[serde(default)]
    things: Vec<String>,
}

/// Their ids.
///
/// # Errors
/// When a list cannot be had.
pub async fn find(client: &Client, inventory: &Inventory) -> Result<Vec<String>, CallError> {
    let is_asked = inventory.fleet.as_ref().is_some_and(|fleet| fleet.keys == KeySource::Aws);
    let begun: Vec<i64> = inventory.unanswered_ms().collect();
    let Some(earliest) = begun.iter().min().filter(|_| is_asked).map(|begun| begun - SKEW_MS) else { return Ok(Vec::new()) };
    let known = inventory.certificates();
    let is_of_a_call = |created: i64| begun.iter().any(|begun| (begun - SKEW_MS..begun + CALL_MS).contains(&created));
    let (mut found, mut marker) = (Vec::new(), None);
    loop {
        let call = Call::list_certificates(marker.as_deref());
        let page: Page = read(&call, &client.call(&call).await?)?;
        let is_old = page.certificates.last().is_some_and(|last| last.created_ms() < earliest);
        for listed in page.certificates {
            let is_candidate =
                listed.status == INACTIVE && !known.contains(&*listed.certificate_id) && is_of_a_call(listed.created_ms());
            if is_candidate && has_no_thing(client, &listed.certificate_arn).await? {
                found.push(listed.certificate_id);
            }
        }
        marker = page.next_marker.filter(|_| !is_old);
        if marker.is_none() {
            return Ok(found);
        }
    }
}

async fn has_no_thing(client: &Client, arn: &str) -> Result<bool, CallError> {
    let call = Call::list_principal_things(arn);
    Ok(read::<Things>(&call, &client.call(&call).await?)?.things.is_empty())
}

fn read<'a, T: Deserialize<'a>>(call: &Call, body: &'a [u8]) -> Result<T, CallError> {
    serde_json::from_slice(body).map_err(|error| CallError::unreadable(call.operation, error.to_string()))
}

/// Things of the type and targets of the policy of a fleet that its inventory does not have, for people: somebody else put them there.
///
/// # Errors
/// When a list cannot be had.
pub async fn strangers(client: &Client, fleet: &str) -> Result<Vec<String>, CallError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Thing {
        thing_name: String,
    }
    #[derive(Default, Deserialize)]
    struct ThingsOfType {
        #[serde(default)]
        things: Vec<Thing>,
    }
    #[derive(Default, Deserialize)]
    struct Targets {
        #[serde(default)]
        targets: Vec<String>,
    }
    let things: ThingsOfType = list(client, &Call::list_things_of_type(fleet, None)).await?;
    let targets: Targets = list(client, &Call::list_targets_for_policy(fleet, None)).await?;
    let of_type = things.things.into_iter().map(|thing| format!("thing {}: it has the type {fleet}", thing.thing_name));
    let of_policy = targets.targets.into_iter().map(|target| format!("{target}: the policy {fleet} is attached to it"));
    Ok(of_type.chain(of_policy).collect())
}

/// Empty, where what it is about is gone.
async fn list<T: Default + for<'a> Deserialize<'a>>(client: &Client, call: &Call) -> Result<T, CallError> {
    match client.call(call).await {
        Err(error) if is_gone(&error) => Ok(T::default()),
        outcome => read(call, &outcome?),
    }
}
