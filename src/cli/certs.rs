//! `fleetsim certs`.

use super::{NotBuilt, complain, not_built, print};
use crate::exit;
use clap::{Args, Subcommand};
use dev_pki::bundle;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct CertsArgs {
    #[command(subcommand)]
    action: CertsAction,
}

#[derive(Subcommand)]
enum CertsAction {
    /// The things of DIR/things (<thing>.cert.pem, <thing>.key.pem) into one file (-: standard output), for target.tls.bundle
    Pack { dir: PathBuf, file: PathBuf },
    /// A packed file (-: standard input) into DIR/things
    Unpack { file: PathBuf, dir: PathBuf },
    /// Make a CA
    #[command(hide = true)]
    Ca(NotBuilt),
    /// Make device certificates
    #[command(hide = true)]
    Issue(NotBuilt),
}

pub(super) fn certs_command(args: &CertsArgs) -> u8 {
    let (done, into) = match &args.action {
        CertsAction::Pack { dir, file } => (bundle::pack(dir, file), file),
        CertsAction::Unpack { file, dir } => (bundle::unpack(file, dir), dir),
        CertsAction::Ca(_) => return not_built("certs ca (`run` and `serve` make their own)"),
        CertsAction::Issue(_) => return not_built("certs issue (`run` and `serve` make their own)"),
    };
    match done {
        Ok(things) => {
            // Where the bundle itself went to standard output, nothing else may.
            if host::stdio::is_standard(into) { exit::PASS } else { print(&format!("{things} things: {}\n", into.display())) }
        }
        Err(error) => {
            complain(format_args!("failed to {error}"));
            exit::ERROR
        }
    }
}
