//! What the things of a shard tell: samples for its recorder, [`cards`] for whoever looks at single things.

mod cards;

use crate::inspect::Cards;
use crate::samples::Samples;
use host::clock;
use load_metrics::Recorder;
use std::cell::{RefCell, RefMut};
use std::time::Duration;
use thing_agent::Event;
use thing_transport::{Observer, SessionEvent, ThingId};

/// Feeds a shard's recorder, and the cards of its things where somebody may look at them.
pub(super) struct ShardObserver {
    samples: RefCell<Samples>,
    cards: RefCell<Option<Cards>>,
    /// Seconds are handed over later than they end: what happens closes them meanwhile.
    is_late: bool,
}

impl ShardObserver {
    /// `lag` is from the end of a second to when it is handed over.
    #[must_use]
    pub(super) fn new(samples: Samples, cards: Option<Cards>, lag: Duration) -> Self {
        Self { samples: RefCell::new(samples), cards: RefCell::new(cards), is_late: !lag.is_zero() }
    }

    fn samples(&self) -> RefMut<'_, Samples> {
        let mut samples = self.samples.borrow_mut();
        if self.is_late {
            samples.recorder.advance(clock::mono());
        }
        samples
    }

    /// The cards, between two events.
    pub(super) fn cards(&self) -> Option<RefMut<'_, Cards>> {
        RefMut::filter_map(self.cards.borrow_mut(), Option::as_mut).ok()
    }

    /// The cards, when nothing will happen any more.
    pub(super) fn take_cards(&self) -> Option<Cards> {
        self.cards.take()
    }

    /// The recorder, between two events.
    pub(super) fn with_recorder<T>(&self, use_it: impl FnOnce(&mut Recorder) -> T) -> T {
        use_it(&mut self.samples.borrow_mut().recorder)
    }
}

impl Observer for ShardObserver {
    fn session(&self, thing: &ThingId, event: SessionEvent<'_>) {
        if let Some(mut cards) = self.cards() {
            cards::note_session(&mut cards, thing.slot, &event);
        }
        self.samples().session(thing, event);
    }

    fn agent(&self, thing: &ThingId, event: Event) {
        if let Some(mut cards) = self.cards() {
            cards::note_agent(&mut cards, thing.slot, &event);
        }
        self.samples().agent(thing, event);
    }
}
