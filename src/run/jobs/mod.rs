//! The jobs of a run: their life ([`rollouts`]), the thing groups they are for ([`groups`]), and the files that their documents name
//! ([`artifacts`]).

pub(super) mod artifacts;
pub(crate) mod groups;
pub(crate) mod rollouts;
