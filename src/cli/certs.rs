//! `fleetsim certs`.

use super::{complain, print, usage};
use crate::exit;
use clap::{Args, Subcommand};
use dev_pki::{PkiError, bundle, ensure_ca, issue_devices, progress_bar};
use host::stdio::is_standard;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct CertsArgs {
    #[command(subcommand)]
    action: CertsAction,
}

#[derive(Subcommand)]
enum CertsAction {
    /// Create a CA: DIR/ca.cert.pem and DIR/ca.key.pem; one that is there is kept
    Ca { dir: PathBuf },
    /// Create thing certificates signed by the CA of DIR, and print the [target.tls] that uses them
    Issue(IssueArgs),
    /// Pack the things of DIR/things (<thing>.cert.pem, <thing>.key.pem) into one file (-: standard output), for target.tls.bundle
    Pack { dir: PathBuf, file: PathBuf },
    /// Unpack a packed file (-: standard input) into DIR/things
    Unpack { file: PathBuf, dir: PathBuf },
}

#[derive(Args)]
struct IssueArgs {
    /// The folder of the CA, as `fleetsim certs ca` creates it
    dir: PathBuf,
    /// How many things
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    things: u64,
    /// Their names, as fleet.thing_name of a scenario has them; each is the common name of its certificate
    #[arg(long, value_name = "TEMPLATE", default_value = "sim-{index:06}")]
    thing_name: String,
    /// The index of the first one, as fleet.first_index
    #[arg(long, value_name = "N", default_value_t = 0)]
    first_index: u64,
    /// All of them into one packed file (-: standard output), each issued again [default: two files a thing in DIR/things, and those
    /// that are fit are kept]
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

pub(super) fn certs_command(args: &CertsArgs) -> u8 {
    let packed = |things, into: &Path| match is_standard(into) {
        // Where the bundle itself went to standard output, nothing else may.
        true => String::new(),
        false => format!("{things} things: {}\n", into.display()),
    };
    let done = match &args.action {
        CertsAction::Ca { dir } => ensure_ca(dir).map(|is_made| {
            format!("{}: {}\n", dir.join("ca.cert.pem").display(), if is_made { "made" } else { "it is there already, and kept" })
        }),
        CertsAction::Issue(args) => return issue(args),
        CertsAction::Pack { dir, file } => bundle::pack(dir, file).map(|things| packed(things, file)),
        CertsAction::Unpack { file, dir } => bundle::unpack(file, dir).map(|things| packed(things, dir)),
    };
    told(done)
}

fn issue(args: &IssueArgs) -> u8 {
    let IssueArgs { dir, things, thing_name, first_index, bundle } = args;
    let names = sim_units::text::name_template(thing_name).and_then(|template| template.things(*first_index, *things));
    let names = match names {
        Ok(names) => names,
        Err(why) => return usage(format_args!("--thing-name {thing_name}: {why}")),
    };
    let ca = dir.join("ca.cert.pem");
    if !ca.exists() {
        complain(format_args!("there is no {}: `fleetsim certs ca {}` makes a CA", ca.display(), dir.display()));
        return exit::ERROR;
    }
    let bar = progress_bar(names.len(), "thing certificates");
    let mut progress = |done: usize, _| bar.set_position(done as u64);
    let done = match bundle {
        Some(file) => bundle::issue(dir, &names, file, &mut progress).map(|()| match is_standard(file) {
            true => String::new(),
            false => tls(&[("ca", &ca), ("bundle", file)]),
        }),
        None => issue_devices(dir, &names, &mut progress).map(|made| {
            let of_thing = |kind| dir.join(format!("things/{{thing}}.{kind}.pem"));
            let tls = tls(&[("ca", &ca), ("cert", &of_thing("cert")), ("key", &of_thing("key"))]);
            format!("# {} certificates made, {} kept\n{tls}", made.issued, made.reused)
        }),
    };
    bar.finish_and_clear();
    told(done)
}

/// The table of a scenario that uses these files.
fn tls(files: &[(&str, &Path)]) -> String {
    let line = |(key, path): &(&str, &Path)| format!("{key} = {}\n", toml::Value::String(path.display().to_string()));
    format!("[target.tls]\n{}", files.iter().map(line).collect::<String>())
}

fn told(done: Result<String, PkiError>) -> u8 {
    match done {
        Ok(text) if text.is_empty() => exit::PASS,
        Ok(text) => print(&text),
        Err(error) => {
            complain(format_args!("failed to {error}"));
            exit::ERROR
        }
    }
}
