//! `[[event]]`.

use super::super::plan::{EventKind, EventPlan, TargetPlan};
use super::super::reader::Reader;
use super::{ANY_DURATION, SOME_DURATION};

pub(super) fn events(root: &Reader<'_>, target: &TargetPlan) -> Vec<EventPlan> {
    let mut events = Vec::new();
    for reader in root.tables("event") {
        let later = ["disconnect", "outage", "reconnect-storm", "endpoint-restart"];
        let kind = reader.word("kind", &[("endpoint-freeze", ())], &later);
        if kind.is_none() && !reader.has("kind") {
            reader.missing("kind", "say what happens, as in kind = \"endpoint-freeze\"");
        }
        let at = reader.duration("at", ANY_DURATION);
        if at.is_none() && !reader.has("at") {
            reader.missing("at", "say when, counted from the first connect arrival, as in at = \"20s\"");
        }
        let lasts = reader.duration("for", SOME_DURATION);
        if lasts.is_none() && !reader.has("for") {
            reader.missing("for", "say how long it lasts, as in for = \"5s\"");
        }
        if target.remote().is_some() && kind.is_some() {
            let help = "use it with target.kind = \"emulator\"";
            reader.conflict(&reader.place_of("kind"), "only the local endpoint can be made to stand still", help);
        }
        reader.later(&["share"]);
        reader.finish();
        if let (Some(_), Some(at), Some(lasts)) = (kind, at, lasts) {
            events.push(EventPlan { at: at.value, kind: EventKind::EndpointFreeze { lasts: lasts.value } });
        }
    }
    events
}
