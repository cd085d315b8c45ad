//! How the servers of a cluster relay requests of each other's sessions: a server that is asked for a session of
//! another one opens a *stream* to it, on which the request goes there and the answer comes back, as on a TCP connection.
//!
//! Two servers that have something to do with each other have a [`Link`] for it, over a bus that may lose messages: its
//! messages are numbered, so that whatever is lost breaks the link, and with it the streams on it. Nothing is lost from
//! the middle of one. Who has a session is found out by [`Kind::Locate`], beside any link.
//!
//! Messages are MessagePack arrays: `[version, sender, kind, …]`, for those of a link followed by the link's id and the
//! message's number. What the version or kind is not known of is ignored.
//!
//! ```
//! use gatewire_proto::relay::{Kind, Message};
//!
//! let locate = Message { sender: "node-a", kind: Kind::Locate { ask: 7, sid: "abc" } };
//! let bytes = locate.encode();
//! assert_eq!(Message::decode(&bytes), Ok(locate));
//! ```

/// The bytes that each side of a new stream has room for.
pub const WINDOW: u32 = 256 * 1024;

mod link;
mod message;

pub use link::{Link, Lost, Side, Timeout, Timing};
pub use message::{DecodeError, Frame, Kind, Message};
