//! The local AWS IoT Jobs endpoint: `fleetsim serve`.

pub mod engine;
