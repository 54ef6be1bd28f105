//! Who may do what: policies in force, as [`iot_policy`] evaluates them, kept compiled and shared by all sessions; when changes of them are
//! felt; and what is written of denials (PROTOCOL-CORE 1).

mod decisions;
mod facts;
mod parts;
pub(super) mod permissions;
mod policy_file;

pub(super) use decisions::DecisionLog;
pub use decisions::DecisionLogError;
pub(super) use facts::{Asking, attached};
pub(super) use permissions::Permissions;
pub use policy_file::{DEVICE_POLICY, DevicePolicy, PolicyFileError, is_document};

use iot_jobs::instant::Mono;
use iot_jobs::wire::control::{ACCOUNT, REGION};
use iot_policy::{Document, Home, Policy};
use jobs_engine::registry::PolicyName;
use std::collections::{BTreeMap, VecDeque};
use std::hash::RandomState;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What all permissions have in common.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) home: Home,
    /// For what was asked before; its key is no client's to know.
    hasher: RandomState,
}

/// What policies say, and since when.
pub(super) struct Authority {
    common: Arc<Common>,
    compiled: Mutex<BTreeMap<(PolicyName, u32), Arc<Policy>>>,
    /// How many changes connected clients have felt.
    generation: AtomicU64,
    /// From a change to when they feel it.
    delay: Duration,
    /// Changes that are not felt yet, and when the first of them is.
    pending: Mutex<VecDeque<Mono>>,
    due: AtomicU64,
}

impl Authority {
    /// Connected clients feel a change after `delay`.
    pub(super) fn new(delay: Duration) -> Self {
        Self {
            common: Arc::new(Common { home: Home::new(REGION, ACCOUNT), hasher: RandomState::new() }),
            compiled: Mutex::default(),
            generation: AtomicU64::new(0),
            delay,
            pending: Mutex::default(),
            due: AtomicU64::new(u64::MAX),
        }
    }

    pub(super) fn home(&self) -> &Home {
        &self.common.home
    }

    fn compiled(&self) -> MutexGuard<'_, BTreeMap<(PolicyName, u32), Arc<Policy>>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A version of a policy, compiled once. One that is no document, which only a state of another build can hold, allows nothing.
    fn policy(&self, name: &PolicyName, version: u32, text: &str) -> Option<Arc<Policy>> {
        let mut compiled = self.compiled();
        if let Some(policy) = compiled.get(&(name.clone(), version)) {
            return Some(Arc::clone(policy));
        }
        match Document::parse(text) {
            Ok(document) => {
                let policy = Arc::new(Policy { name: name.as_str().into(), version, document });
                compiled.insert((name.clone(), version), Arc::clone(&policy));
                Some(policy)
            }
            Err(error) => {
                tracing::error!(%name, version, %error, "the policy cannot be evaluated, and allows nothing");
                None
            }
        }
    }

    /// Something has changed that policies, or what they are attached to, depend on.
    pub(super) fn changed(&self, now: Mono) {
        // A policy of the same name may be another one.
        self.compiled().clear();
        if self.delay.is_zero() {
            self.generation.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.push_back(now + self.delay);
        if let Some(first) = pending.front() {
            self.due.store(first.0, Ordering::Relaxed);
        }
    }

    /// How many changes are felt at `now`, which is only asked for while some are not felt yet.
    pub(super) fn generation(&self, now: impl FnOnce() -> Mono) -> u64 {
        let due = self.due.load(Ordering::Relaxed);
        if due == u64::MAX {
            return self.generation.load(Ordering::Relaxed);
        }
        let now = now();
        if due <= now.0 {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            while pending.pop_front_if(|due| due.0 <= now.0).is_some() {
                self.generation.fetch_add(1, Ordering::Relaxed);
            }
            self.due.store(pending.front().map_or(u64::MAX, |due| due.0), Ordering::Relaxed);
        }
        self.generation.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_felt_after_its_delay() {
        let at_once = Authority::new(Duration::ZERO);
        at_once.changed(Mono(0));
        assert_eq!(at_once.generation(|| Mono(0)), 1);
        let late = Authority::new(Duration::from_nanos(100));
        late.changed(Mono(0));
        late.changed(Mono(50));
        let felt = [0, 99, 100, 149, 150, 500].map(|at| late.generation(|| Mono(at)));
        assert_eq!(felt, [0, 0, 1, 1, 2, 2]);
    }
}
