//! Access keys for the control plane: lasting ones, or temporary ones that are asked for anew before they expire.

use crate::clock;
use crate::wire::sigv4::AccessKey;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use std::time::{Duration, UNIX_EPOCH};
use tokio::sync::Mutex;

/// A role of a container or of SSO is asked for over the network.
const ASK_TIMEOUT: Duration = Duration::from_secs(30);
/// What expires sooner than this is asked for anew.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// No key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("get credentials: none answered within {} s", ASK_TIMEOUT.as_secs())]
    Timeout,
    #[error("get credentials: {0}")]
    Refused(String),
}

/// Whoever gives keys, and the last one given.
pub struct Keyring {
    provider: SharedCredentialsProvider,
    last: Mutex<Option<Credentials>>,
}

impl Keyring {
    pub fn new(provider: impl ProvideCredentials + 'static) -> Self {
        Self { provider: SharedCredentialsProvider::new(provider), last: Mutex::new(None) }
    }

    /// One key for ever.
    #[must_use]
    pub fn of(id: &str, secret: &str) -> Self {
        Self::new(Credentials::new(id, secret, None, None, "fleetsim"))
    }

    /// A key that is good for the next minutes.
    ///
    /// # Errors
    /// When the provider has none, or does not answer.
    pub async fn key(&self) -> Result<AccessKey, KeyError> {
        let mut last = self.last.lock().await;
        let border = UNIX_EPOCH + Duration::from_millis(clock::epoch_ms().unsigned_abs()) + RENEW_BEFORE;
        let kept = last.take().filter(|kept| kept.expiry().is_none_or(|expiry| expiry > border));
        let credentials = match kept {
            Some(kept) => kept,
            None => tokio::time::timeout(ASK_TIMEOUT, self.provider.provide_credentials())
                .await
                .map_err(|_elapsed| KeyError::Timeout)?
                .map_err(|error| KeyError::Refused(chain(&error)))?,
        };
        let credentials = last.insert(credentials);
        Ok(AccessKey {
            id: credentials.access_key_id().into(),
            secret: credentials.secret_access_key().into(),
            session_token: credentials.session_token().map(str::to_owned),
        })
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
    use std::sync::Arc;
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
            let expiry = UNIX_EPOCH + Duration::from_millis(clock::epoch_ms().unsigned_abs()) + self.1;
            future::ProvideCredentials::ready(Ok(Credentials::new(
                format!("K{n}"),
                "s",
                Some("token".into()),
                Some(expiry),
                "test",
            )))
        }
    }

    #[tokio::test]
    async fn a_key_is_kept_until_shortly_before_it_expires() {
        for (life, asked) in [(Duration::from_secs(3600), 1), (Duration::from_secs(60), 3)] {
            let count = Arc::new(AtomicU64::new(0));
            let keyring = Keyring::new(Counting(Arc::clone(&count), life));
            for _ in 0..3 {
                assert_eq!(keyring.key().await.unwrap().session_token.as_deref(), Some("token"));
            }
            assert_eq!(count.load(Ordering::Relaxed), asked);
        }
    }
}
