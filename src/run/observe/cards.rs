//! What the things of a shard tell, as notes on their cards.

use crate::inspect::{Cards, What};
use host::clock;
use thing_agent::{AnswerOutcome, Event};
use thing_transport::SessionEvent;

/// What a session tells, noted on the card of its thing.
pub(super) fn note_session(cards: &mut Cards, slot: usize, event: &SessionEvent<'_>) {
    let (at, what) = match *event {
        SessionEvent::ConnectStarted { .. } => (clock::mono(), What::Connecting),
        SessionEvent::Connected { at, .. } => (at, What::Connected),
        SessionEvent::ConnectFailed { at, failure, .. } => (at, What::ConnectFailed(failure.code())),
        SessionEvent::Lost { at, failure } => (at, What::Lost(failure.code())),
        SessionEvent::Closed { at } => (at, What::Closed),
        SessionEvent::MessageOut { topic, payload } | SessionEvent::MessageIn { topic, payload } => {
            if cards.is_watched(slot) {
                let is_out = matches!(event, SessionEvent::MessageOut { .. });
                cards.message(slot, clock::mono(), is_out, topic, payload);
            }
            return;
        }
        SessionEvent::Fault { fault, at } => (at, What::Fault(fault)),
        SessionEvent::StageStarted(_)
        | SessionEvent::StageEnded { .. }
        | SessionEvent::Unreadable { .. }
        | SessionEvent::PublishSent { .. }
        | SessionEvent::PublishRepeated { .. }
        | SessionEvent::PublishEnded { .. }
        | SessionEvent::DownloadStarted
        | SessionEvent::DownloadEnded { .. }
        | SessionEvent::TelemetryLost { .. } => return,
    };
    cards.note(slot, at, what);
}

/// The same of an agent.
pub(super) fn note_agent(cards: &mut Cards, slot: usize, event: &Event) {
    let (at, what) = match event {
        Event::Sent { kind, sent, .. } => (*sent, What::Asked(*kind)),
        Event::Answered { kind, at, outcome, .. } => {
            let what = match outcome {
                AnswerOutcome::Accepted => What::Accepted(*kind),
                AnswerOutcome::Refused(code) => What::Refused(*kind, *code),
                AnswerOutcome::Timeout => What::NoAnswer(*kind),
                AnswerOutcome::Unreadable => What::Unreadable(*kind),
                AnswerOutcome::NotTaken | AnswerOutcome::SessionLost => What::Unanswered(*kind),
            };
            (*at, what)
        }
        Event::LateAnswer { kind } => (clock::mono(), What::Late(*kind)),
        Event::Fault { fault, at, .. } => (*at, What::Fault(*fault)),
        Event::Notified { execution, at, .. } => (*at, What::Notified(execution.job.clone(), execution.number)),
        Event::Started { execution, at, .. } => (*at, What::Started(execution.job.clone(), execution.number)),
        Event::Finished { at, status, .. } => (*at, What::Finished(*status)),
        Event::Gone { at, .. } => (*at, What::Gone),
        // The session tells of subscribing, and the answer of what became of an update.
        Event::Subscribed { .. }
        | Event::SubscribeFailed { .. }
        | Event::Resumed { .. }
        | Event::LostArrivals { .. }
        | Event::FirstNotification { .. }
        | Event::Updated { .. }
        | Event::UpdateRefused { .. } => return,
    };
    cards.note(slot, at, what);
}
