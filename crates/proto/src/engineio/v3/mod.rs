//! Engine.IO protocol version 3, for the clients of Socket.IO 1 and 2: how its packets and polling payloads look. What a
//! packet means is the same [`Packet`](super::Packet) as in version 4, the handshake is the same, too; the heartbeat of
//! such a client is [`Session::open_v3`](super::Session::open_v3).
//!
//! | | version 4 | version 3 |
//! |---|---|---|
//! | binary on a WebSocket | the bytes alone | a type byte `0x04` before them |
//! | binary in text | `b` and base64 | `b4` and base64 |
//! | polling payload | packets joined by U+001E | a length before each packet, in a text or in a binary form |
//! | heartbeat | the server pings | the client pings |

mod packet;
pub mod payload;

pub use packet::{BINARY_MESSAGE, decode_binary, decode_text, encode_text, put_binary};
pub use payload::{Form, PayloadError};

/// The value of the `EIO` query parameter for this version. The official server takes a request without `EIO`, or with
/// any other value than `4`, for this version, too: see [`Protocol::from_query`](super::Protocol::from_query).
pub const PROTOCOL: &str = "3";
