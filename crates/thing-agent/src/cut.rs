//! Cuts: moments at which a part of the fleet loses its connections by order of the run, and what then keeps its things away.

use iot_jobs::instant::Mono;
use std::cell::Cell;

/// How things come back from a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutKind {
    /// They stay away until it is over, and then come back by their policy.
    Away,
    /// They try by their policy, and find no way to the endpoint until it is over.
    Unreachable,
    /// They try in the same moment, and only after that by their policy.
    AtOnce,
}

/// An order to a part of the fleet, for a time of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Number of its event in the scenario, from 0.
    pub event: u16,
    /// How its things come back.
    pub kind: CutKind,
    /// When connections are cut.
    pub at: Mono,
    /// When it is over.
    pub until: Mono,
    /// Places of its things in the fleet, ascending.
    pub things: Vec<u32>,
}

/// What cuts mean for each thing of a shard, by slot. Takes no room where none is planned.
pub struct Cuts {
    marks: Box<[Cell<Mark>]>,
}

#[derive(Clone, Copy, Default)]
struct Mark {
    /// The cut of the connection that there is, or is being made.
    struck: Option<(u16, CutKind)>,
    /// No attempt before.
    away_until: Mono,
    /// No attempt succeeds before.
    unreachable_until: Mono,
}

impl Cuts {
    /// For so many things, where any cut `is_planned`.
    #[must_use]
    pub fn new(things: usize, is_planned: bool) -> Self {
        Self { marks: std::iter::repeat_with(Cell::default).take(if is_planned { things } else { 0 }).collect() }
    }

    /// Whether there will be any.
    #[must_use]
    pub fn is_planned(&self) -> bool {
        !self.marks.is_empty()
    }

    fn mark(&self, slot: usize) -> Mark {
        self.marks.get(slot).map_or_else(Mark::default, Cell::get)
    }

    fn change(&self, slot: usize, change: impl FnOnce(&mut Mark)) {
        if let Some(cell) = self.marks.get(slot) {
            let mut mark = cell.get();
            change(&mut mark);
            cell.set(mark);
        }
    }

    /// Cuts the thing at `slot` off. Whoever does must wake it.
    pub fn strike(&self, slot: usize, cut: &Cut) {
        self.change(slot, |mark| {
            mark.struck = Some((cut.event, cut.kind));
            match cut.kind {
                CutKind::Away => mark.away_until = mark.away_until.max(cut.until),
                CutKind::Unreachable => mark.unreachable_until = mark.unreachable_until.max(cut.until),
                CutKind::AtOnce => {}
            }
        });
    }

    /// A new attempt begins: what was cut before is not meant.
    pub fn begin(&self, slot: usize) {
        self.change(slot, |mark| mark.struck = None);
    }

    /// The event that cuts the connection of this thing, once it does.
    #[must_use]
    pub fn struck(&self, slot: usize) -> Option<u16> {
        self.mark(slot).struck.map(|(event, _)| event)
    }

    /// Whether the thing is to try again in the moment of its cut.
    #[must_use]
    pub fn returns_at_once(&self, slot: usize) -> bool {
        matches!(self.mark(slot).struck, Some((_, CutKind::AtOnce)))
    }

    /// Until when the thing stays away, while it does.
    #[must_use]
    pub fn away(&self, slot: usize, now: Mono) -> Option<Mono> {
        Some(self.mark(slot).away_until).filter(|until| *until > now)
    }

    /// Whether nothing that the thing tries can succeed.
    #[must_use]
    pub fn is_unreachable(&self, slot: usize, now: Mono) -> bool {
        self.mark(slot).unreachable_until > now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(event: u16, kind: CutKind, until: u64) -> Cut {
        Cut { event, kind, at: Mono(10), until: Mono(until), things: Vec::new() }
    }

    #[test]
    fn a_cut_strikes_what_there_is_and_not_what_comes_after() {
        let cuts = Cuts::new(2, true);
        cuts.strike(1, &cut(3, CutKind::AtOnce, 10));
        assert_eq!((cuts.struck(0), cuts.struck(1), cuts.returns_at_once(1)), (None, Some(3), true));
        cuts.begin(1);
        assert_eq!((cuts.struck(1), cuts.returns_at_once(1)), (None, false));
    }

    #[test]
    fn who_is_kept_away_twice_stays_until_both_are_over() {
        let cuts = Cuts::new(1, true);
        cuts.strike(0, &cut(0, CutKind::Away, 50));
        cuts.strike(0, &cut(1, CutKind::Away, 30));
        cuts.strike(0, &cut(2, CutKind::Unreachable, 70));
        assert_eq!((cuts.away(0, Mono(49)), cuts.away(0, Mono(50))), (Some(Mono(50)), None));
        assert_eq!((cuts.is_unreachable(0, Mono(69)), cuts.is_unreachable(0, Mono(70))), (true, false));
        assert_eq!(cuts.struck(0), Some(2));
    }

    #[test]
    fn without_events_there_is_nothing_to_keep() {
        let cuts = Cuts::new(10_000, false);
        cuts.strike(5, &cut(0, CutKind::Away, 50));
        assert!(!cuts.is_planned() && cuts.struck(5).is_none() && cuts.away(5, Mono(1)).is_none());
    }
}
