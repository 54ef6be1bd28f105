//! What reaches the task of a session.

use crate::broker::message::Message;
use crate::broker::session::{Answer, JobsRequest};
use crate::request_log::Answered;
use iot_jobs::Rejection;
use std::sync::Arc;

/// What keeping a delivery takes besides its payload.
const OVERHEAD_BYTES: usize = 512;

/// What reaches the task of a session.
#[derive(Debug)]
pub(crate) enum Delivery {
    Message(Arc<Message>),
    /// There is something to draw from what is stored for it.
    Stored,
    /// A request of its own, when it has waited long enough.
    Request(Box<Delayed>),
    /// The answer to one, when it is late enough.
    Answer(Box<LateAnswer>),
}

impl Delivery {
    /// What it takes to keep it.
    pub(crate) fn bytes(&self) -> usize {
        OVERHEAD_BYTES
            + match self {
                Self::Message(message) => message.bytes(),
                Self::Stored => 0,
                Self::Request(delayed) => delayed.request.payload().len(),
                Self::Answer(late) => late.answer.payload.len(),
            }
    }
}

/// A request that waited, and what is to become of it.
#[derive(Debug)]
pub(crate) struct Delayed {
    pub(crate) request: JobsRequest,
    pub(crate) refusal: Option<Rejection>,
}

/// An answer that notifications may have overtaken.
#[derive(Debug)]
pub(crate) struct LateAnswer {
    pub(crate) answer: Answer,
    /// Where a log wants to know.
    pub(crate) answered: Option<Answered>,
}
