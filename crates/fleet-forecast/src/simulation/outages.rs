//! Times in which the endpoint does not answer.

use super::{Simulation, SimulationEvent, places};
use crate::observer::{Observer, Reason};
use crate::settings::{OutageKind, Settings};
use iot_jobs::instant::Mono;

/// The outage that there is, if any.
#[derive(Default)]
pub(super) struct Outages {
    present: Option<(Mono, OutageKind)>,
}

impl Outages {
    /// When the endpoint answers what comes at `at`.
    pub(super) fn answers_at(&self, at: Mono) -> Mono {
        self.present.map_or(at, |(until, _)| at.max(until))
    }

    pub(super) fn kind(&self, now: Mono) -> Option<OutageKind> {
        self.present.filter(|(until, _)| now < *until).map(|(_, kind)| kind)
    }

    /// Whether none will come any more, and none is there.
    pub(super) fn are_done(&self, settings: &Settings, now: Mono) -> bool {
        settings.outages.iter().all(|outage| settings.origin.mono + outage.at + outage.lasts <= now)
    }
}

impl<O: Observer> Simulation<O> {
    pub(super) fn outage_begins(&mut self, number: usize) {
        let outage = self.settings.outages[number];
        let until = self.now + outage.lasts;
        self.outages.present = Some((until, outage.kind));
        self.agenda.add(until, SimulationEvent::OutageEnds(number));
        if outage.kind == OutageKind::Restart {
            for place in places(self.things.len()) {
                if self.things[place as usize].is_joined() {
                    self.lose(place, Reason::Closed, None);
                }
            }
        }
    }

    pub(super) fn outage_ends(&mut self, number: usize) {
        let outage = self.settings.outages[number];
        self.outages.present.take_if(|(until, _)| *until <= self.now);
        if outage.kind == OutageKind::Restart {
            self.observer.endpoint_back(outage.event, self.now);
        }
    }
}
