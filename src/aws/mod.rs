//! A client of the AWS account's side: the control plane and the object store. The local endpoint has both.

pub mod control;
pub mod upload;
