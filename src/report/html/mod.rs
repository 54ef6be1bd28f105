//! `report.html`: a run as one page that needs nothing else, made from the files of its folder; the same files give the same page.

mod chart;
mod demand;
mod document;
mod histograms;
mod limits;
mod run;
mod scale;
mod sections;
mod shard_lines;
mod text;
mod timeline;

pub(crate) use document::Document;
pub(crate) use text::table;

use super::ReportError;
use super::column::replace;
use super::manifest::Manifest;
use maud::{Markup, html};
use run::Run;
use sections::Section;
use std::collections::BTreeSet;
use std::path::Path;
pub(super) use text::printable;

/// The page in a results folder.
pub(super) const PAGE: &str = "report.html";

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
    let title = format!("{}: {}", run.manifest.title(), run.manifest.verdict.as_str());
    let body = html! {
        header { (sections::verdict(run, &charts)) }
        (contents(&sections))
        main { @for section in &sections { (section.markup()) } }
    };
    Document { title: &title, style: "", script: Some(SCRIPT), body }.render()
}

fn contents(sections: &[Section]) -> Markup {
    html! { nav aria-label="Parts of the report" { ul { @for section in sections { li { a href={ "#" (section.id) } { (section.title) } } } } } }
}
