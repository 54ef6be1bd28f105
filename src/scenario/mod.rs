//! Scenario text -> Plan.

pub mod plan;
