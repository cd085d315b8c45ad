//! The packets of `socket.io-msgpack-parser` 3: one MessagePack map in one binary message, bytes in their places, no
//! attachments. What a packet means is the same as in the text form, and the shapes here have the same names as there.
//!
//! [`decode`] checks a whole message in one pass and splits it; the arguments of an event stay slices of the message.
//! [`from_msgpack`] reads a type straight from such a slice, [`to_msgpack`] writes one. [`transcode_to_json`] and
//! [`transcode_from_json`] lead over to the text form and back, without a tree in between, so that a packet can go on to
//! clients with the other parser, or to code that knows JSON alone; [`encode`] does it for a whole packet.
//!
//! Three libraries are in use that write the same value differently; all of them are read:
//!
//! | | `undefined` | a `Date` |
//! |---|---|---|
//! | notepack.io 2 (the clients) | `d4 00 00` | `d7 00` and milliseconds in 8 bytes |
//! | notepack.io 3, @msgpack/msgpack | nil | the timestamp extension, −1 |
//!
//! As in JSON, `undefined` is read as null and a date as its ISO string. What is written is what JavaScript would
//! write: integers in their shortest form, also where a float has an integral value.
//!
//! ```
//! use gatewire_proto::socketio::{Limits, PacketKind, msgpack};
//!
//! let mut message = Vec::new();
//! msgpack::put_head(&mut message, PacketKind::Event, "/", true, Some(3));
//! msgpack::put_array_head(&mut message, 2);
//! msgpack::put_str(&mut message, "greet");
//! msgpack::to_msgpack(&mut message, &("Ann", 7)).unwrap();
//! msgpack::put_id(&mut message, Some(3));
//!
//! let packet = msgpack::decode(&message, &Limits::default()).unwrap();
//! let msgpack::Data::Event(event) = packet.data else { panic!("an event was sent") };
//! assert_eq!((packet.id, &*event.name), (Some(3), "greet"));
//! let greeted: (String, u8) = msgpack::from_msgpack(event.args.get(0).unwrap()).unwrap();
//! assert_eq!(greeted, ("Ann".to_owned(), 7));
//! ```

mod date;
mod de;
mod packet;
mod read;
mod ser;
mod transcode;
mod write;

#[cfg(test)]
mod tests;

pub use de::{ValueError, from_msgpack};
pub use packet::{ArgSlice, Args, Data, EventBody, Packet, decode};
pub use read::{DecodeError, Reader, Token};
pub use ser::to_msgpack;
pub use transcode::{
    TranscodeError, encode, transcode_args_to_json, transcode_from_json, transcode_from_json_in_pieces,
    transcode_to_json,
};
pub use write::{put_array_head, put_bool, put_head, put_id, put_map_head, put_nil, put_str, put_unsigned};

/// The deepest nesting that is read, whatever the limits say; as in JSON.
const MAX_DEPTH: usize = 127;

/// By this name `serde_json`'s raw values make themselves known to serializers and deserializers.
const RAW_VALUE: &str = "$serde_json::private::RawValue";
