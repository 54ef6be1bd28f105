//! The parts of the page, in their order.

mod breakdown;
mod capacity;
mod connecting;
mod errors;
mod events;
mod latency;
mod percentiles;
mod rollouts;
mod setup;
mod shards;
mod traffic;
mod verdict;

use super::chart::Figure;
use super::run::Run;
use maud::{Markup, html};

pub(super) use verdict::verdict;

/// A part of the page with its charts.
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// What is said before the charts.
    pub(super) lead: Markup,
    pub(super) figures: Vec<Figure>,
    /// What comes behind them.
    pub(super) rest: Markup,
}

impl Section {
    fn new(id: &'static str, title: &'static str) -> Self {
        Self { id, title, lead: html! {}, figures: Vec::new(), rest: html! {} }
    }

    /// With charts, or with words where there is none.
    fn with_charts(self, figures: Vec<Figure>, otherwise: &str) -> Self {
        let lead = if figures.is_empty() {
            html! { p { (otherwise) } }
        } else {
            self.lead
        };
        Self { figures, lead, ..self }
    }

    pub(super) fn markup(&self) -> Markup {
        html! {
            section id=(self.id) aria-labelledby={ (self.id) "-head" } {
                h2 id={ (self.id) "-head" } { (self.title) }
                (self.lead)
                @if !self.figures.is_empty() { div.charts { @for figure in &self.figures { (figure.markup) } } }
                (self.rest)
            }
        }
    }
}

/// All that follows the verdict.
pub(super) fn sections(run: &Run<'_>) -> Vec<Section> {
    let sections = [
        capacity::section(run),
        latency::over_time(run),
        percentiles::section(run),
        latency::service_against_response(run),
        rollouts::section(run),
        traffic::section(run),
        connecting::section(run),
        events::section(run),
        errors::section(run),
        breakdown::section(run),
        setup::section(run),
    ];
    sections.into_iter().chain(shards::section(run)).collect()
}
