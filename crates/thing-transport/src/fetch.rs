//! The file that an agent waits for: fetched beside its session, and told to both.

use crate::download::{Download, FileFailure};
use crate::observer::{Observer, SessionEvent};
use crate::shard::Member;
use host::clock;
use iot_jobs::{JobDocument, JobId};
use std::task::{Context, Poll};
use thing_agent::{Fetched, JobsAgent};

/// What one session fetches, one file at a time.
#[derive(Default)]
pub(super) struct Fetcher {
    download: Option<Box<Download>>,
}

impl Fetcher {
    /// Begins what the agent asked for.
    pub(super) fn start<O: Observer>(&mut self, thing: Member<'_, O>, agent: &mut JobsAgent, job: &JobId, document: &JobDocument) {
        let started = thing.files().map_or(Ok(None), |settings| Download::start(document, job, settings));
        match started {
            Ok(None) => agent.handle_fetched(Fetched::Nothing, clock::mono()),
            Ok(Some(download)) => {
                thing.emit(SessionEvent::DownloadStarted);
                self.download = Some(Box::new(download));
            }
            Err(failure) => agent.handle_fetched(bad(&failure), clock::mono()),
        }
    }

    /// Looks how the download is getting on.
    pub(super) fn follow<O: Observer>(&mut self, thing: Member<'_, O>, agent: &mut JobsAgent, cx: &mut Context<'_>) {
        let Some(download) = &mut self.download else { return };
        if !agent.is_fetching() {
            return self.give_up(thing);
        }
        let (received, length) = download.progress();
        agent.handle_fetch_progress(received, length);
        if let Poll::Ready(end) = download.poll(cx) {
            let failure = end.err();
            agent.handle_fetched(failure.as_ref().map_or(Fetched::Good, bad), clock::mono());
            self.end(thing, failure.as_ref());
        }
    }

    /// Nobody waits for it any more.
    pub(super) fn give_up<O: Observer>(&mut self, thing: Member<'_, O>) {
        self.end(thing, Some(&FileFailure::Abandoned));
    }

    fn end<O: Observer>(&mut self, thing: Member<'_, O>, failure: Option<&FileFailure>) {
        if let Some(download) = self.download.take() {
            let (bytes, _) = download.progress();
            let event = SessionEvent::DownloadEnded { started: download.started, at: clock::mono(), bytes, failure };
            thing.emit(event);
        }
    }
}

fn bad(failure: &FileFailure) -> Fetched {
    Fetched::Bad { status: failure.status(), reason: failure.to_string() }
}
