//! Waiting for a moment that may never come.

use host::clock;
use iot_jobs::instant::Mono;

/// Never ends, where there is nothing to wait for.
pub(super) async fn sleep_until(at: Option<Mono>) {
    match at {
        Some(at) => tokio::time::sleep(at.since(clock::mono())).await,
        None => std::future::pending().await,
    }
}
