//! The jobs of a run: their life ([`rollouts`]) and the files that their documents name ([`artifacts`]); what an account keeps of them ([`run_id`], [`cleanup`]).

pub(super) mod artifacts;
pub(super) mod cleanup;
pub(crate) mod rollouts;
pub(crate) mod run_id;
