//! Who a process is to a NATS server.

use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct NatsArgs {
    /// The CA of the NATS server [default: those that the host knows]
    #[arg(long, value_name = "FILE")]
    nats_ca: Option<PathBuf>,
    /// The certificate by which the NATS server knows this process
    #[arg(long, value_name = "FILE", requires = "nats_key")]
    nats_cert: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "nats_cert")]
    nats_key: Option<PathBuf>,
    /// Credentials for the NATS server, as nsc makes them
    #[arg(long, value_name = "FILE")]
    nats_creds: Option<PathBuf>,
}

impl NatsArgs {
    /// Whether any of them was given.
    pub(super) fn is_given(&self) -> bool {
        [&self.nats_ca, &self.nats_cert, &self.nats_key, &self.nats_creds].into_iter().any(Option::is_some)
    }

    #[cfg(feature = "nats")]
    pub(super) fn identity(self) -> crate::workers::address::NatsIdentity {
        let Self { nats_ca, nats_cert, nats_key, nats_creds } = self;
        crate::workers::address::NatsIdentity { ca: nats_ca, pair: nats_cert.zip(nats_key), creds: nats_creds }
    }
}
