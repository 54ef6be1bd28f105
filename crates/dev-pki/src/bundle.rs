//! The certificates and keys of a fleet in one file: ten thousand things without twenty thousand files.
//!
//! ```text
//! thing: sim-000000
//! -----BEGIN CERTIFICATE-----   leaf first, then intermediates
//! -----BEGIN PRIVATE KEY-----
//! thing: sim-000001
//! ...
//! ```
//!
//! It is PEM with its explanatory text, so that other tools read it, too.

use super::files::{self, Access};
use super::issue::Authority;
use super::{PkiError, cert_path, key_path};
use host::stdio;
use iot_jobs::ThingName;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

const HEADING: &str = "thing: ";
const CERT_ENDING: &str = ".cert.pem";

/// A packed file, read.
pub struct Bundle {
    text: String,
    things: BTreeMap<ThingName, Range<usize>>,
}

impl Bundle {
    /// # Errors
    /// When the file cannot be read, or names a thing twice or none.
    pub fn read(path: &Path) -> Result<Self, PkiError> {
        let text = stdio::read_to_string(path).map_err(|source| PkiError::File { doing: "read", path: path.into(), source })?;
        let things = index(&text).map_err(|why| PkiError::Broken { path: path.into(), why })?;
        Ok(Self { text, things })
    }

    /// Certificate chain and key of a thing, as PEM.
    #[must_use]
    pub fn get(&self, thing: &ThingName) -> Option<&str> {
        Some(&self.text[self.things.get(thing)?.clone()])
    }

    /// How many things it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.things.len()
    }

    /// Never so of a bundle that was read: a file without things is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.things.is_empty()
    }
}

fn index(text: &str) -> Result<BTreeMap<ThingName, Range<usize>>, String> {
    let mut things: BTreeMap<ThingName, Range<usize>> = BTreeMap::new();
    let mut open: Option<(ThingName, usize)> = None;
    let mut at = 0;
    let mut close = |open: Option<(ThingName, usize)>, end| match open {
        Some((name, start)) if things.contains_key(&name) => Err(format!("{name} is in it twice (again at byte {start})")),
        Some((name, start)) => {
            things.insert(name, start..end);
            Ok(())
        }
        None => Ok(()),
    };
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if let Some(name) = line.strip_prefix(HEADING) {
            let name = ThingName::new(name.trim()).map_err(|error| format!("line {}: {error}", number + 1))?;
            close(open.replace((name, at + line.len())), at)?;
        }
        at += line.len();
    }
    close(open, at)?;
    if things.is_empty() { Err(format!("it has no line \"{HEADING}NAME\" before a certificate")) } else { Ok(things) }
}

/// Packs all things of a store (`DIR/things/<thing>.cert.pem` and `.key.pem`) into `file`; says how many.
///
/// # Errors
/// When a file cannot be read or written.
pub fn pack(dir: &Path, file: &Path) -> Result<usize, PkiError> {
    let things = dir.join("things");
    let names: Vec<ThingName> =
        super::listing(&things)?.iter().filter_map(|name| ThingName::new(name.strip_suffix(CERT_ENDING)?).ok()).collect();
    if names.is_empty() {
        return Err(PkiError::Broken { path: things, why: format!("it holds no <thing>{CERT_ENDING}") });
    }
    let mut text = String::new();
    let read = |path: &Path| fs::read_to_string(path).map_err(|source| PkiError::File { doing: "read", path: path.into(), source });
    for name in &names {
        text += &format!("{HEADING}{name}\n{}{}", read(&cert_path(&things, name))?, read(&key_path(&things, name))?);
    }
    write(file, &text)?;
    Ok(names.len())
}

/// Makes a certificate and a key for each thing, by the CA of `dir`, into `file` and nowhere else. `progress` is told (done, total).
///
/// # Errors
/// When there is no CA that can be used, or the file cannot be written.
pub fn issue(dir: &Path, things: &[ThingName], file: &Path, progress: &mut dyn FnMut(usize, usize)) -> Result<(), PkiError> {
    let authority = Authority::open(dir)?;
    let pairs = super::for_each(things, progress, |name| Ok(format!("{HEADING}{name}\n{}", authority.make_thing(name)?)))?;
    write(file, &pairs.concat())
}

fn write(file: &Path, text: &str) -> Result<(), PkiError> {
    match stdio::is_standard(file) {
        true => stdio::print(text).map_err(|source| PkiError::File { doing: "write", path: file.into(), source }),
        false => files::write(file, text, Access::Private),
    }
}

/// The other way round: each thing's certificate and key into `DIR/things`; says how many.
///
/// # Errors
/// When a file cannot be read or written, or a thing has no certificate or no key.
pub fn unpack(file: &Path, dir: &Path) -> Result<usize, PkiError> {
    let bundle = Bundle::read(file)?;
    let things = dir.join("things");
    fs::create_dir_all(&things).map_err(|source| PkiError::File { doing: "make the folder", path: things.clone(), source })?;
    for (name, range) in &bundle.things {
        let pem = &bundle.text[range.clone()];
        // Keys stand last, and every kind of them says so in its first line.
        let key =
            pem.match_indices("-----BEGIN ").find(|(at, _)| pem[*at..].lines().next().is_some_and(|line| line.contains("KEY")));
        let Some((key, _)) = key.filter(|(at, _)| pem[..*at].contains("CERTIFICATE")) else {
            let why = format!("{name} has no certificate, or no key after it");
            return Err(PkiError::Broken { path: file.into(), why });
        };
        files::write(&key_path(&things, name), &pem[key..], Access::Private)?;
        files::write(&cert_path(&things, name), &pem[..key], Access::Public)?;
    }
    Ok(bundle.len())
}
