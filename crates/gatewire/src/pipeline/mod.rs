//! The message pipeline. For now it is the handler and its exceptions; guards, interceptors, pipes and filters take
//! their place around them.

mod exception;

pub use exception::WsException;
pub(crate) use exception::{Cause, INTERNAL, internal_json};
