//! The endpoint of a run's own where other processes of this host drive the things: how they find it.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What a process must know of an endpoint that another one of its host has started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedEndpoint {
    pub mqtt: SocketAddr,
    pub https: SocketAddr,
    pub api: SocketAddr,
    /// Of its certificates and those of the things; absolute.
    pub dir: PathBuf,
    /// Whose signatures of files count: a point of P-256 as SEC1 writes it, in hex.
    pub signer: String,
}
