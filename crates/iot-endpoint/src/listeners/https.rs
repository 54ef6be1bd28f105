//! The data plane over mutual TLS: one connection, kept alive, whose certificate says which things it may ask for.

use super::data_plane;
use super::http::{self, Body, Lost};
use super::mutual;
use super::mutual::TlsStream;
use super::read_deadline::Progress;
use crate::authority::Permissions;
use crate::identity::Presented;
use crate::refusals::RefusedAt;
use crate::service::Service;
use ::http::{Request, Response};
use host::clock;
use hyper::body::Incoming;
use hyper::service::service_fn;
use iot_jobs::{ThingName, limits};
use iot_policy::Action;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedSemaphorePermit;

/// Who asks, and whom.
struct Listener {
    presented: Presented,
    permissions: Mutex<Permissions>,
    service: Arc<Service>,
    auto_register: bool,
}

/// Runs a connection to its end, with the permit to be one.
pub(super) async fn run(stream: Box<TlsStream>, service: Arc<Service>, auto_register: bool, _permit: OwnedSemaphorePermit) {
    let Some(presented) = mutual::presented(&stream) else { return };
    // A thing that may not come in at all lives as long as it likes: each of its requests is refused.
    let end =
        service.identify(&presented, "", auto_register).ok().map(|identity| service.shape.end_of_life(identity.thing.as_ref()));
    let permissions = Mutex::new(service.permissions(presented.asking(None)));
    let listener = Listener { presented, permissions, service, auto_register };
    let progress = Progress::default();
    progress.know();
    let io = http::io(stream, &progress);
    let answer = service_fn(|request| {
        let answering = progress.begin();
        async {
            let _answering = answering;
            listener.answer(request).await.map(http::with_request_id)
        }
    });
    let connection = http::server().serve_connection(io, answer);
    tokio::pin!(connection);
    let result = match end {
        Some(end) => {
            tokio::select! {
                result = connection.as_mut() => result,
                () = tokio::time::sleep(end.since(clock::mono())) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        }
        None => connection.await,
    };
    if let Err(error) = result {
        tracing::debug!(%error, "https connection");
    }
}

impl Listener {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Lost> {
        let received = clock::mono();
        let (head, body) = request.into_parts();
        let body = match http::read_body(body, limits::PAYLOAD_BYTES_MAX).await {
            Ok(body) => body,
            Err(refused) => return Ok(refused.respond()),
        };
        data_plane::answer(&head, &body, received, &self.service, |service, action, thing| self.may(service, action, thing)).await
    }

    /// Asked again for each request: a certificate may lose its standing, or its policies, while its connection is open.
    fn may(&self, service: &Service, action: Action, thing: &ThingName) -> bool {
        let is_there = || service.read(|registry, _| registry.thing(thing).map(drop).map_err(|_| "the thing is not registered"));
        if let Err(why) = service.know(&self.presented, self.auto_register).and_then(|()| is_there()) {
            service.refusals.note(RefusedAt::Https, thing.as_str(), why);
            return false;
        }
        let mut permissions = self.permissions.lock().unwrap_or_else(PoisonError::into_inner);
        service.refresh(&mut permissions, || Some(&self.presented), None);
        let may = permissions.may(action, thing.as_str());
        service.note_denials(&mut permissions, RefusedAt::Https, None);
        may
    }
}
