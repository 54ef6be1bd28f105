//! The account's side, which the local endpoint plays, too. The control plane's client ([`client`], [`calls`]); what a run asks of it
//! ([`control`]), and of the object store ([`upload`]); a fleet that is made and removed ([`provision`], [`deprovision`]) by what its
//! inventory has ([`inventory`], [`plan`]).

pub mod account;
pub mod calls;
pub mod client;
pub mod confirm;
pub mod control;
pub mod cost;
pub mod deprovision;
pub mod folder;
pub mod inventory;
pub mod journal;
pub mod locate;
pub mod orphans;
mod pace;
pub mod plan;
pub mod policy;
pub mod provision;
#[cfg(feature = "aws")]
mod sdk_http;
pub mod selection;
pub mod server;
pub mod upload;
