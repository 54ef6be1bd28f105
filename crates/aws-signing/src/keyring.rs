//! Access keys for whatever is signed: lasting ones, or temporary ones that are asked for anew before they expire.

use crate::request::now;
use crate::sigv4::AccessKey;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// A role of a container or of SSO is asked for over the network.
const ASK_TIMEOUT: Duration = Duration::from_secs(30);
/// What expires sooner than this is asked for anew.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// From one renewal to the next, if the first brought nothing better.
const RENEW_PAUSE: Duration = Duration::from_secs(5);

/// No key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The provider was asked, and did not answer in time.
    #[error("get credentials: none answered within {} s", ASK_TIMEOUT.as_secs())]
    Timeout,
    /// The provider has no key; the text is its error with all causes.
    #[error("get credentials: {0}")]
    Refused(String),
}

/// Whoever gives keys, and the last one given.
pub struct Keyring {
    provider: SharedCredentialsProvider,
    last: Mutex<Last>,
    /// One asks at a time.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Last {
    key: Option<Credentials>,
    /// When the provider was asked last.
    asked: Option<SystemTime>,
    is_renewing: bool,
}

/// A renewal under way; over when dropped, whatever became of it.
struct Renewing(Arc<Keyring>);

impl Drop for Renewing {
    fn drop(&mut self) {
        self.0.last().is_renewing = false;
    }
}

impl Keyring {
    /// A keyring that asks `provider` when it has no key that lasts.
    pub fn new(provider: impl ProvideCredentials + 'static) -> Self {
        Self { provider: SharedCredentialsProvider::new(provider), last: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    /// One key for ever.
    #[must_use]
    pub fn of(id: &str, secret: &str) -> Self {
        Self::new(Credentials::new(id, secret, None, None, "fleetsim"))
    }

    /// A key that has not expired. One that will soon is renewed aside: nobody waits for that while there is another. Must be called
    /// within a runtime.
    ///
    /// # Errors
    /// When there is none, and the provider has none either, or does not answer.
    pub async fn key(self: &Arc<Self>) -> Result<AccessKey, KeyError> {
        if let Some(key) = self.kept() {
            return Ok(key);
        }
        let _turn = self.asking.lock().await;
        match self.kept() {
            Some(key) => Ok(key),
            None => self.ask().await,
        }
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        // Whoever panicked has left a key, or none.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(self: &Arc<Self>) -> Option<AccessKey> {
        let now = now();
        let mut last = self.last();
        let kept = last.key.as_ref()?;
        let lives_until = |at: SystemTime| kept.expiry().is_none_or(|expiry| expiry > at);
        if !lives_until(now) {
            return None;
        }
        let (key, is_fresh) = (access_key(kept), lives_until(now + RENEW_BEFORE));
        let was_asked_lately = last.asked.is_some_and(|asked| now < asked + RENEW_PAUSE && asked <= now);
        if !is_fresh && !was_asked_lately && !std::mem::replace(&mut last.is_renewing, true) {
            let renewing = Renewing(Arc::clone(self));
            tokio::spawn(async move {
                let _turn = renewing.0.asking.lock().await;
                if let Err(error) = renewing.0.ask().await {
                    tracing::warn!(%error, "credentials are not renewed yet");
                }
            });
        }
        Some(key)
    }

    async fn ask(&self) -> Result<AccessKey, KeyError> {
        self.last().asked = Some(now());
        let credentials = tokio::time::timeout(ASK_TIMEOUT, self.provider.provide_credentials())
            .await
            .map_err(|_elapsed| KeyError::Timeout)?
            .map_err(|error| KeyError::Refused(chain(&error)))?;
        let key = access_key(&credentials);
        self.last().key = Some(credentials);
        Ok(key)
    }
}

fn access_key(credentials: &Credentials) -> AccessKey {
    AccessKey {
        id: credentials.access_key_id().into(),
        secret: credentials.secret_access_key().into(),
        session_token: credentials.session_token().map(str::to_owned),
    }
}

/// The reason is at the end of the chain, and only there.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::provider::future;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Gives keys that live so long, and counts.
    #[derive(Debug)]
    struct Counting(Arc<AtomicU64>, Duration);

    impl ProvideCredentials for Counting {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let n = self.0.fetch_add(1, Ordering::Relaxed);
            let expiry = now() + self.1;
            future::ProvideCredentials::ready(Ok(Credentials::new(
                format!("K{n}"),
                "s",
                Some("token".into()),
                Some(expiry),
                "test",
            )))
        }
    }

    /// So many were asked for, when it was asked three times, and time passed between.
    async fn asked(life: Duration) -> u64 {
        let count = Arc::new(AtomicU64::new(0));
        let keyring = Arc::new(Keyring::new(Counting(Arc::clone(&count), life)));
        for _ in 0..3 {
            assert_eq!(keyring.key().await.unwrap().session_token.as_deref(), Some("token"));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        count.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn a_key_is_kept_while_it_lives() {
        assert_eq!(asked(Duration::from_secs(3600)).await, 1);
        assert_eq!(asked(Duration::from_secs(60)).await, 1, "it is to be renewed, and was asked for a moment ago");
        assert_eq!(asked(Duration::ZERO).await, 3);
    }

    /// Gives one key that will soon expire, and then nothing for a long time.
    #[derive(Debug)]
    struct Slow(AtomicU64);

    impl ProvideCredentials for Slow {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let is_first = self.0.fetch_add(1, Ordering::Relaxed) == 0;
            future::ProvideCredentials::new(async move {
                if !is_first {
                    tokio::time::sleep(Duration::from_secs(3600)).await;
                }
                Ok(Credentials::new("K", "s", None, Some(now() + Duration::from_secs(60)), "test"))
            })
        }
    }

    #[tokio::test]
    async fn nobody_waits_for_a_renewal_while_the_old_key_lives() {
        let keyring = Arc::new(Keyring::new(Slow(AtomicU64::new(0))));
        keyring.key().await.unwrap();
        keyring.last().asked = Some(now() - RENEW_PAUSE);
        for _ in 0..3 {
            tokio::time::timeout(Duration::from_secs(1), keyring.key()).await.unwrap().unwrap();
            tokio::task::yield_now().await;
        }
        assert!(keyring.last().is_renewing);
    }
}
