//! What happens to the endpoint on purpose, and when.

use crate::instant::Mono;
use crate::scenario::plan::{EventKind, EventPlan};
use std::collections::VecDeque;
use std::time::Duration;

/// One step of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Freeze { lasts: Duration },
    Thaw,
}

/// The steps that are left, in the order of time.
pub(super) struct Timetable {
    steps: VecDeque<(Mono, Step)>,
}

impl Timetable {
    pub(super) fn new(events: &[EventPlan], origin: Mono) -> Self {
        let steps = events.iter().flat_map(|event| {
            let EventKind::EndpointFreeze { lasts } = event.kind;
            let at = origin + event.at;
            [(at, Step::Freeze { lasts }), (at + lasts, Step::Thaw)]
        });
        let mut steps: Vec<_> = steps.collect();
        steps.sort_by_key(|(at, _)| *at);
        Self { steps: steps.into() }
    }

    /// When the next step is due.
    pub(super) fn next(&self) -> Option<Mono> {
        self.steps.front().map(|(at, _)| *at)
    }

    /// The next step, once it is due.
    pub(super) fn poll(&mut self, now: Mono) -> Option<Step> {
        self.steps.pop_front_if(|(at, _)| *at <= now).map(|(_, step)| step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_come_in_the_order_of_time() {
        let seconds = Duration::from_secs;
        let freeze = |at, lasts| EventPlan { at: seconds(at), kind: EventKind::EndpointFreeze { lasts: seconds(lasts) } };
        let origin = Mono(7_000_000_000);
        let mut timetable = Timetable::new(&[freeze(20, 5), freeze(3, 1)], origin);
        assert_eq!(timetable.next(), Some(origin + seconds(3)));
        assert_eq!(timetable.poll(origin + seconds(2)), None);
        let told: Vec<Step> = std::iter::from_fn(|| timetable.poll(origin + seconds(60))).collect();
        assert_eq!(told, [Step::Freeze { lasts: seconds(1) }, Step::Thaw, Step::Freeze { lasts: seconds(5) }, Step::Thaw]);
    }
}
