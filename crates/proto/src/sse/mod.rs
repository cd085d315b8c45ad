//! Server-Sent Events (WHATWG HTML §9.2): events written as text in the byte order of NestJS, the stream read again as a
//! browser does, and the chunks of HTTP/1.1 that carry it. Nothing here knows a request, a timer or who receives.

mod chunk;
mod decoder;
mod event;

pub use chunk::{CHUNK_ROOM, LAST_CHUNK, put_chunk, seal_chunk, unchunk};
pub use decoder::{DecodeError, Decoder, Item, Limits, Message};
pub use event::{PREAMBLE, SseEvent, put_message};
