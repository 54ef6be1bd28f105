//! What a plan asks of its fleet, before anything moves; a run and its forecast share it.

pub(crate) mod agents;
pub(crate) mod events;
pub(crate) mod groups;
pub(crate) mod jobs;
mod needs;
pub(crate) mod starts;

pub use needs::needs;
