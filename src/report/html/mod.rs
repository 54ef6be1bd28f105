//! `report.html`: a run as one page that needs nothing else, made from the files of its folder; the same files give the same page.

mod chart;
mod histograms;
mod limits;
mod run;
mod scale;
mod sections;
mod sheet;
mod text;
mod timeline;

use super::ReportError;
use super::column::replace;
use super::manifest::Manifest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use run::Run;
use sections::Section;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::path::Path;
pub(super) use text::printable;

/// The page in a results folder.
pub(super) const PAGE: &str = "report.html";

const STYLE: &str = include_str!("style.css");
/// A cross-hair for charts; nothing is missing without it.
const SCRIPT: &str = include_str!("crosshair.js");

/// Makes the page of a folder from what can be read of its files.
///
/// # Errors
/// When the disk does not take it.
pub(super) fn write_page(dir: &Path, manifest: &Manifest) -> Result<(), ReportError> {
    replace(&dir.join(PAGE), page(&Run::load(dir, manifest)).as_bytes())
}

fn page(run: &Run<'_>) -> String {
    let sections = sections::sections(run);
    let charts: BTreeSet<&str> = sections.iter().flat_map(|section| &section.figures).map(|figure| figure.id.as_str()).collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (run.manifest.name) ": " (run.manifest.verdict.as_str()) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { (sections::verdict(run, &charts)) }
                (contents(&sections))
                main { @for section in &sections { (section.markup()) } }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    printable(&page.into_string())
}

fn contents(sections: &[Section]) -> Markup {
    html! { nav aria-label="Parts of the report" { ul { @for section in sections { li { a href={ "#" (section.id) } { (section.title) } } } } } }
}

/// Nothing is fetched, and no script or style runs but those of the page itself.
fn policy() -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())));
    format!("default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'", hash(STYLE), hash(SCRIPT))
}
