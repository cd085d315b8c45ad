//! What the targets of whole connections have in common: a server in memory, and a client that sends it anything.

pub mod client;
pub mod script;
