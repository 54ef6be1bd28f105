//! Makes a fleet in an account: what is in the inventory as made is left alone, everything else is made, or made again, which changes
//! nothing where it is there already.

use super::calls::Call;
use super::client::{ALREADY_EXISTS, CallError, Client};
use super::control::{account_of, text_of};
use super::folder::{FleetFolder, FolderError};
use super::inventory::{Change, Inventory, KeySource, Kind, Record, Step};
use super::journal::{Durability, Journal, JournalError};
use super::plan::{Naming, ToMake};
use futures_util::StreamExt as _;
use futures_util::stream;
use host::clock;
use iot_jobs::ThingName;
use serde::Deserialize;
use std::cell::{Cell, RefCell};

/// Things that are made at once: at the default quotas some ten a second are finished, after five calls each.
const AT_ONCE: usize = 16;

/// Why a fleet was not made, or not wholly.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    #[error("{0}")]
    Call(#[from] CallError),
    #[error("{0}")]
    Journal(#[from] JournalError),
    #[error("{0}")]
    Folder(#[from] FolderError),
    #[error("create thing {0}: there is one already, which is not of this fleet; choose other names with --thing-name")]
    Foreign(ThingName),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Complete,
    /// Somebody wanted it to stop: what was begun is finished.
    Stopped,
}

/// A journal that the calls under way share.
pub struct SharedJournal(RefCell<Journal>);

impl SharedJournal {
    #[must_use]
    pub fn new(journal: Journal) -> Self {
        Self(RefCell::new(journal))
    }

    /// # Errors
    /// When the line cannot be written.
    pub fn append(&self, record: Record, durability: Durability) -> Result<(), JournalError> {
        self.0.borrow_mut().append(record, durability)
    }

    /// A resource comes a step further: the intent to make it is on disk when this returns.
    ///
    /// # Errors
    /// When the line cannot be written.
    pub fn step(&self, kind: Kind, name: &str, step: Step, certificate: Option<&str>) -> Result<(), JournalError> {
        let change =
            Change { kind, name: name.into(), step, certificate: certificate.map(str::to_owned), at_ms: clock::epoch_ms() };
        let durability = if step == Step::Begun { Durability::Now } else { Durability::Whenever };
        self.append(Record::Resource(change), durability)
    }

    #[must_use]
    pub fn inventory(&self) -> std::cell::Ref<'_, Inventory> {
        std::cell::Ref::map(self.0.borrow(), |journal| &journal.inventory)
    }
}

/// What making a fleet needs.
pub struct Provision<'a> {
    pub client: &'a Client,
    pub journal: &'a SharedJournal,
    pub folder: FleetFolder<'a>,
}

/// The answer to CreateKeysAndCertificate. It is never shown: no `Debug`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreatedKeys {
    certificate_id: String,
    certificate_pem: String,
    key_pair: KeyPair,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyPair {
    private_key: String,
}

impl Provision<'_> {
    /// Makes what is missing; `progress` is told how many things are done. With keys of our own, those of all things are on disk already.
    ///
    /// # Errors
    /// With the first call that fails for good; what was made until then is in the journal.
    pub async fn make(
        &self,
        naming: Naming,
        to_make: &ToMake<'_>,
        progress: impl Fn(usize),
        stop: impl Future<Output = ()>,
    ) -> Result<Ending, ProvisionError> {
        let naming = &self.make_shared(naming, &to_make.shared).await?;
        let is_stopped = &Cell::new(false);
        let make = |thing: &ThingName| {
            let thing = thing.clone();
            async move {
                // Who was not begun is left for the next time.
                if is_stopped.get() { Ok(()) } else { self.make_thing(naming, &thing).await }
            }
        };
        let mut making = stream::iter(to_make.things.iter().copied()).map(make).buffer_unordered(AT_ONCE);
        tokio::pin!(stop);
        let mut done = 0;
        loop {
            tokio::select! {
                made = making.next() => match made {
                    None => return Ok(if is_stopped.get() { Ending::Stopped } else { Ending::Complete }),
                    Some(outcome) => {
                        outcome?;
                        done += 1;
                        progress(done);
                    }
                },
                () = &mut stop, if !is_stopped.get() => is_stopped.set(true),
            }
        }
    }

    /// Whose account it is, is known afterwards.
    async fn make_shared(&self, naming: Naming, kinds: &[Kind]) -> Result<Naming, ProvisionError> {
        let mut naming = naming;
        for kind in kinds {
            let (id, call) = (naming.fleet.id.clone(), naming.make(*kind));
            self.journal.step(*kind, &id, Step::Begun, None)?;
            // No other fleet has the id: who is there was made by an earlier call of this one.
            if let Some(body) = self.call_unless_there(&call).await? {
                let member = match kind {
                    Kind::ThingType => "thingTypeArn",
                    Kind::ThingGroup => "thingGroupArn",
                    _ => "policyArn",
                };
                let account = account_of(call.operation, &body, member)?;
                if self.journal.inventory().account.as_ref() != Some(&account) {
                    self.journal.append(Record::Arn(text_of(call.operation, &body, member)?), Durability::Whenever)?;
                    naming = Naming::new(&naming.fleet, Some(&account));
                }
            }
            self.journal.step(*kind, &id, Step::Made, None)?;
        }
        Ok(naming)
    }

    async fn make_thing(&self, naming: &Naming, thing: &ThingName) -> Result<(), ProvisionError> {
        let certificate = match naming.fleet.keys {
            KeySource::Own => self.register_certificate(naming, thing).await?,
            KeySource::Aws => self.create_certificate(naming, thing).await?,
        };
        for call in naming.make_thing(thing, &certificate) {
            match self.client.call(&call).await {
                Err(error) if !call.is_of_its_own_name() && error.is(ALREADY_EXISTS) => {
                    return Err(ProvisionError::Foreign(thing.clone()));
                }
                outcome => outcome?,
            };
        }
        Ok(self.journal.step(Kind::Thing, thing.as_str(), Step::Made, None)?)
    }

    /// Key, certificate and intent are on disk before the call.
    async fn register_certificate(&self, naming: &Naming, thing: &ThingName) -> Result<String, ProvisionError> {
        let own = self.folder.own(thing)?;
        self.journal.step(Kind::Thing, thing.as_str(), Step::Begun, Some(&own.id))?;
        // Nobody else has the key: what is there was registered by an earlier call of this fleet.
        let call = naming.make_certificate(&own.pem);
        let Some(body) = self.call_unless_there(&call).await? else { return Ok(own.id) };
        let id = text_of(call.operation, &body, "certificateId")?;
        // Stand-ins for AWS may have ids of their own.
        if id != own.id {
            self.journal.step(Kind::Thing, thing.as_str(), Step::Begun, Some(&id))?;
        }
        Ok(id)
    }

    /// A certificate that was told before is used; one whose answer was lost is left to [`super::orphans`].
    async fn create_certificate(&self, naming: &Naming, thing: &ThingName) -> Result<String, ProvisionError> {
        let known = self.journal.inventory().get(Kind::Thing, thing.as_str()).and_then(|begun| begun.certificates.last().cloned());
        if let Some(known) = known {
            return Ok(known);
        }
        self.journal.step(Kind::Thing, thing.as_str(), Step::Begun, None)?;
        let call = naming.make_certificate("");
        let body = self.client.call(&call).await?;
        // What cannot be read is not shown: there is a key in it.
        let unreadable = |_| CallError::unreadable(call.operation, "the answer has no certificate with its key");
        let created: CreatedKeys = serde_json::from_slice(&body).map_err(unreadable)?;
        self.folder.keep(thing, &created.certificate_pem, &created.key_pair.private_key)?;
        self.journal.step(Kind::Thing, thing.as_str(), Step::Begun, Some(&created.certificate_id))?;
        Ok(created.certificate_id)
    }

    async fn call_unless_there(&self, call: &Call) -> Result<Option<hyper::body::Bytes>, CallError> {
        match self.client.call(call).await {
            Err(error) if error.is(ALREADY_EXISTS) => Ok(None),
            Ok(body) if body.is_empty() => Ok(None),
            outcome => outcome.map(Some),
        }
    }
}
