//! When things should happen.

mod phases;

pub use phases::Phase;
