//! (to be written)
pub mod child;
