//! What the tests share.

pub(crate) use gatewire::testing::ScriptedClient as Peer;
