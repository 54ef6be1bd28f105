//! `fleetsim certs`.

use super::{NotBuilt, complain, not_built};
use crate::exit;
use clap::{Args, Subcommand};
use dev_pki::bundle;
use std::io::Write as _;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct CertsArgs {
    #[command(subcommand)]
    action: CertsAction,
}

#[derive(Subcommand)]
enum CertsAction {
    /// The things of DIR/things (<thing>.cert.pem, <thing>.key.pem) into one file, for target.tls.bundle
    Pack { dir: PathBuf, file: PathBuf },
    /// A packed file into DIR/things
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
            let _ = writeln!(std::io::stdout(), "{things} things: {}", into.display());
            exit::PASS
        }
        Err(error) => {
            complain(format_args!("failed to {error}"));
            exit::ERROR
        }
    }
}
