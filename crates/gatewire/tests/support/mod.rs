//! What the tests share.

pub(crate) use gatewire::testing::ScriptedClient as Peer;

/// Hands over one packet, and waits until `count` have come.
pub(crate) async fn ask(peer: &mut Peer, packet: &str, count: usize) -> Vec<String> {
    let mut sent = peer.ask(packet);
    sent.extend(peer.wait(count.saturating_sub(sent.len())).await);
    sent
}
