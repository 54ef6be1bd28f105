//! What the things of a shard have in common.

use crate::download::FileSettings;
use crate::endpoint::Endpoint;
use crate::gates::Gates;
use crate::observer::{Observer, SessionEvent};
use crate::pacer::Pacer;
use crate::socket::Arrivals;
use crate::thing_id::ThingId;
use bytes::BytesMut;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use thing_agent::cut::Cuts;
use tokio::sync::Notify;

/// What the run wants from its things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Work.
    Run,
    /// No new work; what is under way goes on.
    Drain,
    /// Disconnect and end.
    Close,
}

/// The buffers a shard's sessions share, one at a time: ten thousand sessions would each need them.
#[derive(Default)]
pub struct Scratch {
    pub(crate) inbound: BytesMut,
    pub(crate) outbound: BytesMut,
}

/// What the things of a shard share. Everything here belongs to the shard's thread.
pub struct ShardContext<O> {
    /// In the order of the run's transports.
    pub endpoints: Vec<Endpoint>,
    /// When who is to be woken.
    pub pacer: Rc<Pacer>,
    /// When what its sockets read came.
    pub arrivals: Arrivals,
    /// Connects in progress at once.
    pub gates: Gates,
    /// Borrowed for one turn of one session.
    pub scratch: RefCell<Scratch>,
    /// What the run wants; whoever changes it wakes the things.
    pub order: Cell<Order>,
    /// Whose connections the scenario cuts.
    pub cuts: Cuts,
    /// Who is told what happens.
    pub observer: O,
    /// How the things of each cohort fetch files, where they do.
    pub files: Vec<Option<Arc<FileSettings>>>,
    /// Things that still live.
    pub alive: Cell<usize>,
    /// Told when the last of them has ended.
    pub all_ended: Notify,
}

impl<O> ShardContext<O> {
    pub(crate) fn is_closing(&self) -> bool {
        self.order.get() == Order::Close
    }
}

/// One thing of a shard.
pub struct Member<'a, O> {
    /// Where it lives.
    pub shard: &'a ShardContext<O>,
    /// Which one it is.
    pub id: &'a ThingId,
}

impl<O> Clone for Member<'_, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O> Copy for Member<'_, O> {}

impl<'a, O> Member<'a, O> {
    /// Where it connects to.
    #[must_use]
    pub fn endpoint(self) -> &'a Endpoint {
        &self.shard.endpoints[usize::from(self.id.transport)]
    }

    /// How it fetches files, where it does.
    pub(crate) fn files(self) -> Option<&'a FileSettings> {
        self.shard.files.get(usize::from(self.id.cohort)).and_then(Option::as_deref)
    }
}

impl<O: Observer> Member<'_, O> {
    /// This happens to its session.
    pub(crate) fn emit(self, event: SessionEvent<'_>) {
        self.shard.observer.session(self.id, event);
    }
}
