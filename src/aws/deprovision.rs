//! Removes a fleet from an account: exactly what its inventory names, in the order in which the service allows it, and says what is left.

use super::calls::{Call, Canceled};
use super::client::{CallError, Client};
use super::control::{cancel_job, delete_job, is_gone, text_of, unless_gone};
use super::inventory::{Kind, Resource, Step};
use super::journal::JournalError;
use super::orphans;
use super::plan::{ATTRIBUTE, Naming, ToRemove};
use super::provision::{Ending, SharedJournal};
use futures_util::StreamExt as _;
use futures_util::stream;
use host::clock;
use iot_jobs::{JobId, ThingName};
use std::cell::RefCell;
use std::time::Duration;

const AT_ONCE: usize = 16;
/// A policy may be refused its deletion for five minutes after it was detached (PROTOCOL-CORE 1.8); a thing type has to be deprecated for as
/// long.
const PATIENCE: Duration = Duration::from_secs(6 * 60);
/// Between two tries of what is to be deleted and cannot be yet: at first, and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(15)];

/// Why it could not go on.
#[derive(Debug, thiserror::Error)]
pub enum DeprovisionError {
    #[error("{0}")]
    Call(#[from] CallError),
    #[error("{0}")]
    Journal(#[from] JournalError),
}

/// What removing a fleet needs.
pub struct Deprovision<'a> {
    pub client: &'a Client,
    pub journal: &'a SharedJournal,
    pub naming: Naming,
    /// What is still there, and why, for people.
    left: RefCell<Vec<String>>,
}

/// How it went.
#[derive(Debug)]
pub struct Removal {
    pub ending: Ending,
    /// What is still there, and why, for people.
    pub left: Vec<String>,
}

impl<'a> Deprovision<'a> {
    #[must_use]
    pub fn new(client: &'a Client, journal: &'a SharedJournal, naming: Naming) -> Self {
        Self { client, journal, naming, left: RefCell::default() }
    }

    /// Removes what is there; `progress` is told how many things are gone, and `tell` what is waited for.
    ///
    /// # Errors
    /// When the account cannot be reached, or the journal cannot be written; what was removed until then is in the journal.
    pub async fn remove(
        self,
        to_remove: &ToRemove<'_>,
        progress: impl Fn(usize),
        tell: impl Fn(&str),
        stop: impl Future<Output = ()>,
    ) -> Result<Removal, DeprovisionError> {
        let work = async {
            self.remove_jobs(&to_remove.jobs).await?;
            for group in &to_remove.groups {
                let removed = unless_gone(self.client.call(&Call::delete_thing_group(group)).await);
                if self.note(format_args!("thing group {group}"), removed)? {
                    self.journal.step(Kind::ThingGroup, group, Step::Removed, None)?;
                }
            }
            if to_remove.shared.contains(&Kind::ThingType) {
                let deprecated = self.client.call(&Call::deprecate_thing_type(&self.naming.fleet.id)).await;
                self.note(format_args!("thing type {}", self.naming.fleet.id), unless_gone(deprecated))?;
            }
            self.remove_things(&to_remove.things, progress).await?;
            for id in &to_remove.certificates {
                let removed = self.all(self.naming.remove_certificate(None, id)).await;
                if self.note(format_args!("certificate {id}"), removed)? {
                    self.journal.step(Kind::Certificate, id, Step::Removed, None)?;
                }
            }
            self.remove_shared(&to_remove.shared, &tell).await
        };
        // What is under way may be dropped: the next time finishes it.
        let ending = tokio::select! {
            outcome = work => outcome.map(|()| Ending::Complete)?,
            () = stop => Ending::Stopped,
        };
        Ok(Removal { ending, left: self.left.take() })
    }

    /// Whether it is gone. What the service refuses stays, and the rest is removed all the same.
    fn note<T>(&self, what: std::fmt::Arguments<'_>, outcome: Result<T, CallError>) -> Result<bool, CallError> {
        match outcome {
            Ok(_) => Ok(true),
            Err(error @ CallError::Refused { .. }) => {
                self.left.borrow_mut().push(format!("{what}: {error}"));
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes calls one after the other; what is gone already is no error.
    async fn all(&self, calls: Vec<Call>) -> Result<(), CallError> {
        for call in calls {
            unless_gone(self.client.call(&call).await)?;
        }
        Ok(())
    }

    async fn remove_jobs(&self, jobs: &[&str]) -> Result<(), DeprovisionError> {
        for name in jobs {
            let Ok(job) = JobId::new(name) else { continue };
            let removed = match cancel_job(self.client, &job, Canceled::All).await {
                Ok(()) => delete_job(self.client, &job).await,
                Err(error) => Err(error),
            };
            if self.note(format_args!("job {name}"), removed)? {
                self.journal.step(Kind::Job, name, Step::Removed, None)?;
            }
        }
        Ok(())
    }

    async fn remove_things(&self, things: &[(&str, &Resource)], progress: impl Fn(usize)) -> Result<(), DeprovisionError> {
        let remove = |(name, resource): &(&str, &Resource)| {
            let (name, resource) = ((*name).to_owned(), (*resource).clone());
            async move { self.remove_thing(&name, &resource).await }
        };
        let mut removing = stream::iter(things).map(remove).buffer_unordered(AT_ONCE);
        let mut done = 0;
        while let Some(outcome) = removing.next().await {
            outcome?;
            done += 1;
            progress(done);
        }
        Ok(())
    }

    async fn remove_thing(&self, name: &str, resource: &Resource) -> Result<(), DeprovisionError> {
        let Ok(thing) = ThingName::new(name) else { return Ok(()) };
        let removed = async {
            let is_ours = resource.step == Step::Made || self.is_ours(&thing).await?;
            for id in &resource.certificates {
                self.all(self.naming.remove_certificate(Some(&thing), id)).await?;
            }
            if is_ours { unless_gone(self.client.call(&Call::delete_thing(&thing)).await) } else { Ok(()) }
        };
        if self.note(format_args!("thing {name}"), removed.await)? {
            self.journal.step(Kind::Thing, name, Step::Removed, None)?;
        }
        Ok(())
    }

    /// Whether a thing that was begun is there, and this fleet's: by its attribute.
    async fn is_ours(&self, thing: &ThingName) -> Result<bool, CallError> {
        let call = Call::describe_thing(thing);
        let body = match self.client.call(&call).await {
            Err(error) if is_gone(&error) => return Ok(false),
            outcome => outcome?,
        };
        text_of(call.operation, &body, "thingName")?;
        let described: serde_json::Value =
            serde_json::from_slice(&body).map_err(|error| CallError::unreadable(call.operation, error.to_string()))?;
        Ok(described["attributes"][ATTRIBUTE].as_str() == Some(&self.naming.fleet.id))
    }

    async fn remove_shared(&self, kinds: &[Kind], tell: &impl Fn(&str)) -> Result<(), DeprovisionError> {
        if kinds.is_empty() {
            return Ok(());
        }
        let id = &self.naming.fleet.id;
        let strangers = orphans::strangers(self.client, id).await?;
        self.left.borrow_mut().extend(strangers);
        let has_users = !self.left.borrow().is_empty();
        for kind in kinds {
            let call = self.naming.remove(*kind);
            let what = match kind {
                Kind::ThingGroup => "thing group",
                Kind::Policy => "policy",
                _ => "thing type",
            };
            // Where somebody uses it, waiting does not help.
            let patience = if has_users { Duration::ZERO } else { PATIENCE };
            let removed = self.remove_patiently(&call, patience, || tell(&format!("{what} {id}: the service wants some minutes before it can be deleted; Ctrl-C, and the same command later, does as well"))).await;
            if self.note(format_args!("{what} {id}"), removed)? {
                self.journal.step(*kind, id, Step::Removed, None)?;
            }
        }
        Ok(())
    }

    /// Tries again while the service wants some time to pass.
    async fn remove_patiently(&self, call: &Call, patience: Duration, tell: impl Fn()) -> Result<(), CallError> {
        let deadline = clock::mono() + patience;
        let mut pause = PAUSES[0];
        loop {
            match unless_gone(self.client.call(call).await) {
                Err(error) if is_too_early(&error) && clock::mono() < deadline => {
                    if pause == PAUSES[0] * 2 {
                        tell();
                    }
                    tokio::time::sleep(pause).await;
                    pause = PAUSES[1].min(pause * 2);
                }
                outcome => return outcome,
            }
        }
    }
}

/// A policy that is attached, or was a moment ago; a thing type that is not deprecated for long enough.
fn is_too_early(error: &CallError) -> bool {
    error.is("DeleteConflictException") || error.is("InvalidRequestException")
}
