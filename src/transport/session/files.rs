//! The file that an agent waits for: fetched beside its session, and told to both.

use super::Session;
use crate::clock;
use crate::device::Fetched;
use crate::jobs::{JobDocument, JobId};
use crate::transport::download::{Download, FileFailure};
use crate::transport::{Observer, SessionEvent};
use std::task::{Context, Poll};

impl<O: Observer> Session<'_, O> {
    /// Begins what the agent asked for.
    pub(super) fn fetch(&mut self, job: &JobId, document: &JobDocument) {
        let settings = self.shard.files.get(usize::from(self.thing.cohort)).and_then(Option::as_ref);
        let started = settings.map_or(Ok(None), |settings| Download::start(document, job, settings));
        match started {
            Ok(None) => self.agent.handle_fetched(Fetched::Nothing, clock::mono()),
            Ok(Some(download)) => {
                self.tell(SessionEvent::DownloadStarted);
                self.download = Some(Box::new(download));
            }
            Err(failure) => self.agent.handle_fetched(bad(&failure), clock::mono()),
        }
    }

    /// Looks how the download is getting on.
    pub(super) fn follow_download(&mut self, cx: &mut Context<'_>) {
        let Some(download) = &mut self.download else { return };
        if !self.agent.is_fetching() {
            return self.give_up_download();
        }
        let (received, length) = download.progress();
        self.agent.handle_fetch_progress(received, length);
        if let Poll::Ready(end) = download.poll(cx) {
            let failure = end.err();
            self.agent.handle_fetched(failure.as_ref().map_or(Fetched::Good, bad), clock::mono());
            self.end_download(failure.as_ref());
        }
    }

    /// Nobody waits for it any more.
    pub(super) fn give_up_download(&mut self) {
        self.end_download(Some(&FileFailure::Abandoned));
    }

    fn end_download(&mut self, failure: Option<&FileFailure>) {
        if let Some(download) = self.download.take() {
            let (bytes, _) = download.progress();
            self.tell(SessionEvent::DownloadEnded { started: download.started, at: clock::mono(), bytes, failure });
        }
    }
}

fn bad(failure: &FileFailure) -> Fetched {
    Fetched::Bad { status: failure.status(), reason: failure.to_string() }
}
