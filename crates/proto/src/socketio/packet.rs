//! What a Socket.IO packet is. How it looks on the wire is in `text`.

/// The type of a packet; the discriminant is its digit on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PacketKind {
    /// `0`: join a namespace, or the server's consent with the socket id.
    Connect = 0,
    /// `1`: leave a namespace.
    Disconnect = 1,
    /// `2`: an event.
    Event = 2,
    /// `3`: the answer to an event that had an id.
    Ack = 3,
    /// `4`: the server's refusal of a connect.
    ConnectError = 4,
    /// `5`: an event whose binary parts follow.
    BinaryEvent = 5,
    /// `6`: an answer whose binary parts follow.
    BinaryAck = 6,
}

impl PacketKind {
    /// Whether attachments follow.
    pub const fn is_binary(self) -> bool {
        matches!(self, Self::BinaryEvent | Self::BinaryAck)
    }

    /// The character on the wire.
    pub const fn digit(self) -> u8 {
        b'0' + self as u8
    }
}

/// A decoded packet that borrows from its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Its type.
    pub kind: PacketKind,
    /// The namespace's name with its leading `/`; `"/"` if the text names none.
    pub namespace: &'a str,
    /// The acknowledgement id, up to [`MAX_ID`](super::MAX_ID).
    pub id: Option<u64>,
    /// How many binary messages follow; not 0 exactly for the binary types.
    pub attachments: usize,
    /// The JSON text, `""` if there is none.
    pub data: &'a str,
}

/// A packet that owns its text: one that waited for its attachments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedPacket {
    kind: PacketKind,
    id: Option<u64>,
    attachments: usize,
    namespace: Box<str>,
    data: Box<str>,
}

impl OwnedPacket {
    /// The packet itself.
    pub fn as_packet(&self) -> Packet<'_> {
        Packet {
            kind: self.kind,
            namespace: &self.namespace,
            id: self.id,
            attachments: self.attachments,
            data: &self.data,
        }
    }
}

impl From<&Packet<'_>> for OwnedPacket {
    fn from(packet: &Packet<'_>) -> Self {
        Self {
            kind: packet.kind,
            id: packet.id,
            attachments: packet.attachments,
            namespace: packet.namespace.into(),
            data: packet.data.into(),
        }
    }
}
