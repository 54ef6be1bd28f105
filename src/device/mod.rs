//! One thing's behaviour; pure.

pub mod backoff;
pub mod behavior;
