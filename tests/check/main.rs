//! `fleetsim check`: what it says of a plan and a demand, and the command as its users meet it.

mod command;
mod report;
