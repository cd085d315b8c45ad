//! What a server is told by another one that shares its sessions: any bytes, and any beginning of what was understood.

use gatewire_proto::relay::Message;

/// Runs the target on one input.
pub fn run(bytes: &[u8]) {
    let Ok(message) = Message::decode(bytes) else {
        return;
    };
    let written = message.encode();
    assert_eq!(Message::decode(&written), Ok(message));
    for end in 0..written.len().min(256) {
        assert!(
            Message::decode(&written[..end]).is_err(),
            "half a message is none"
        );
    }
}
