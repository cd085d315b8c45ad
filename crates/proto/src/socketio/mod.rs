//! Socket.IO protocol version 5: packets over the text and binary messages of Engine.IO. It knows no sockets, rooms or
//! acknowledgement tables: it splits what came and writes what goes out.
//!
//! A text message is decoded in two steps, so that its JSON is read only once by whoever wants it: [`decode`] takes the
//! head off, [`scan_event`] or [`scan_args`] checks the JSON array of an event or acknowledgement in one pass and
//! splits it, and [`from_json`] turns a piece into a type. A packet that announces attachments waits in an
//! [`Assembler`] for the binary messages that follow it.
//!
//! The form of `socket.io-msgpack-parser`, one binary message a packet, is in [`msgpack`]. A [`Parser`] is any such
//! form, also a user's own.

mod attachments;
mod binary_de;
mod binary_ser;
mod event;
pub mod msgpack;
mod packet;
mod parser;
mod text;
mod text_de;

#[cfg(test)]
mod tests;

pub use crate::json::put_json_string;
pub use attachments::{Assembler, AttachmentError};
pub use binary_de::{from_json, from_json_owned};
pub use binary_ser::{is_unit, to_json};
pub use event::{ArgSlice, Args, EventBody, is_reserved, scan_args, scan_event, scan_name};
pub use packet::{OwnedPacket, Packet, PacketKind};
pub use parser::{Decoder, Message, MsgpackParser, Parser, ParserError, Received, TextParser};
pub use text::{DecodeError, decode, put_head};

/// The largest acknowledgement id, 2^53 − 1: the largest integer that JavaScript counts exactly.
pub const MAX_ID: u64 = (1 << 53) - 1;

/// Bounds of what a client may send in one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Attachments of one packet; default 10, as the official parser.
    pub max_attachments: usize,
    /// Bytes of all attachments of one packet together; default 10,000,000.
    pub max_attachment_bytes: usize,
    /// Nesting of arrays and objects, the outer array of an event included; default 100. Values above 127 count as 127,
    /// where `serde_json` stops.
    pub max_depth: usize,
    /// Bytes of a namespace's name; default 1,024.
    pub max_namespace: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_attachments: 10,
            max_attachment_bytes: 10_000_000,
            max_depth: 100,
            max_namespace: 1_024,
        }
    }
}
