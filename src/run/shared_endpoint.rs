//! The local endpoint of a run whose things other processes drive.

use super::child::{EndpointChild, Ready};
use super::targets::{self, Folders};
use super::ui::Ui;
use crate::roster::Roster;
use crate::scenario::plan::Plan;
use crate::slice::Slice;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// An endpoint that a leader starts for its workers.
pub(crate) struct Endpoint {
    pub mqtt: SocketAddr,
    pub https: SocketAddr,
    pub api: SocketAddr,
    /// Of its certificates.
    pub dir: PathBuf,
    child: EndpointChild,
}

impl Endpoint {
    /// Stops it; its ledger is complete then.
    pub(crate) async fn stop(mut self) {
        if let Err(error) = self.child.stop().await {
            tracing::warn!(%error, "the endpoint");
        }
    }
}

/// Brings up the endpoint of a plan of kind `emulator`, with all its things. Must be called on the main thread: it dies with the thread that
/// starts it.
///
/// # Errors
/// With what is missing; for people.
pub(crate) async fn bring_up_endpoint(plan: &Plan, (results, certs): (&Path, Option<&Path>), ui: &Ui) -> Result<Endpoint, String> {
    let roster = Roster::new(plan).map_err(|error| format!("name a thing: {error}"))?;
    let target = targets::bring_up(plan, &roster, Slice::WHOLE, Folders { results, certs }, ui).await;
    let local = target.map_err(|error| error.to_string())?.local.ok_or("start an endpoint for a target of somebody else")?;
    let Ready { mqtt, https, api, .. } = local.child.ready;
    Ok(Endpoint { mqtt, https, api, dir: local.child.dir().into(), child: local.child })
}
