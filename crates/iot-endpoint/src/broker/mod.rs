//! MQTT as a broker speaks it, without IO: packets as values with two wire forms, one client's session, what it is subscribed to, and
//! what outlives its connection. Time is an argument.

pub(crate) mod budget;
pub(crate) mod filter;
pub(crate) mod message;
pub(crate) mod packet;
pub(crate) mod retained;
pub(crate) mod session;
pub(crate) mod stored;
pub(crate) mod subscriptions;
pub(crate) mod v3;
mod v5;
