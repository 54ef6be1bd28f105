//! Two futures as one.

use std::future::poll_fn;
use std::pin::pin;

/// Drives `connection` for as long as `work` needs it.
pub async fn beside<T>(connection: impl Future, work: impl Future<Output = T>) -> T {
    let (mut connection, mut work) = (pin!(connection), pin!(work));
    let mut is_over = false;
    poll_fn(|cx| {
        is_over = is_over || connection.as_mut().poll(cx).is_ready();
        work.as_mut().poll(cx)
    })
    .await
}
