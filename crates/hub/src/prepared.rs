//! Packets as they go out: a [`Prepared`] one is encoded once and shared by all its receivers, a [`FramedText`] is for
//! one connection and lives only as long as the call that sends it. Both are of the text form; another form of a packet,
//! or its compressed frames, are made from a prepared one, once, and kept with it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use gatewire_proto::large;
use gatewire_proto::pieces::Pieces;
use gatewire_proto::socketio::{self, Limits, Packet, PacketKind};
use gatewire_proto::websocket::{self, DeflateOptions, MAX_HEADER, Opcode};
use serde::Serialize;

use crate::EmitError;
use crate::encode::{self, One};
use crate::frames::Frames;
use crate::recode::Recode;

/// A Socket.IO packet with its attachments, encoded once. A clone is a reference.
#[derive(Clone)]
pub struct Prepared(Arc<Inner>);

struct Inner {
    websocket: Frames,
    /// Bytes of the first frame's header.
    text_at: u8,
    /// Where the first frame ends, if it is a text frame, which lies in one piece; 0 if not.
    text_end: usize,
    rest: Rest,
    /// Its place in the log, which is its last argument, too.
    offset: Option<Box<str>>,
    is_compressible: bool,
    forms: OnceLock<Box<Form>>,
    deflated: OnceLock<Box<Deflated>>,
}

/// What follows the text.
#[derive(Clone)]
enum Rest {
    Messages(Box<[Message]>),
    /// One binary message, which is all there is, behind a header of so many bytes.
    Sole(u8),
}

/// The frames with messages compressed.
struct Deflated {
    frames: Frames,
    /// The longest message that is compressed, in bytes.
    longest: usize,
}

/// The packet in another form; in a list, for a server may have connections of several.
struct Form {
    recode: Arc<dyn Recode>,
    message: Option<Prepared>,
    next: OnceLock<Box<Self>>,
}

/// One message of a packet, as Engine.IO carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text packet of Engine.IO, type digit included.
    Text(Bytes),
    /// A binary message.
    Binary(Bytes),
}

impl Message {
    fn len(&self) -> usize {
        let (Self::Text(data) | Self::Binary(data)) = self;
        data.len()
    }
}

impl Prepared {
    /// An event of `namespace` with one argument (none if `data` is `()`); `id` asks for an acknowledgement.
    ///
    /// # Errors
    /// If the data cannot be JSON, or the name is reserved.
    pub fn event<T: Serialize + ?Sized>(
        namespace: &str,
        name: &str,
        data: &T,
        id: Option<u64>,
    ) -> Result<Self, EmitError> {
        encode::event(namespace, name, &One(data), id, |packet| packet.into_prepared())
    }

    /// An event of `namespace` from its whole data, `["name",…]`, as another node of a cluster sent it; the text is not
    /// checked.
    #[must_use]
    pub fn from_data(namespace: &str, data: &str, attachments: &[Bytes], id: Option<u64>) -> Self {
        let kind = if attachments.is_empty() {
            PacketKind::Event
        } else {
            PacketKind::BinaryEvent
        };
        encode::with_attachments(namespace, kind, id, data.as_bytes(), attachments)
    }

    /// The event with its place in the log of a cluster as one argument more, by which its client says where it left.
    #[must_use]
    pub fn with_offset(&self, offset: &str) -> Self {
        let Some(packet) = self.packet() else {
            return self.clone();
        };
        let mut data = packet
            .data
            .strip_suffix(']')
            .unwrap_or_default()
            .as_bytes()
            .to_vec();
        data.push(b',');
        socketio::put_json_string(&mut data, offset);
        data.push(b']');
        let attachments = self.attachments();
        encode::with_attachments(packet.namespace, packet.kind, packet.id, &data, &attachments).marked(offset)
    }

    /// The event, whose last argument is an offset.
    pub(crate) fn marked(mut self, offset: &str) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.offset = Some(offset.into());
        }
        self
    }

    /// The offset that is the last argument, if there is one.
    pub(crate) fn offset(&self) -> Option<&str> {
        self.0.offset.as_deref()
    }

    /// A packet whose text stands in `buffer` behind room for its header, and its attachments. Large ones are not copied.
    pub(crate) fn new(mut buffer: Vec<u8>, attachments: &[Bytes]) -> Self {
        let text = FramedText::seal(&mut buffer);
        let (text_at, text_end) = (text.text_at(), text.frame().len());
        let start = buffer.len() - text_end;
        let mut frames = Pieces::from(buffer);
        for data in attachments {
            let header = websocket::header(Opcode::Binary, data.len());
            frames.own().extend_from_slice(header.as_ref());
            frames.push(data);
        }
        let frames = Frames::new(frames, start);
        let rest = match &frames {
            // Slices of the one allocation, so that the originals can go.
            Frames::Whole(whole) => {
                let mut at = text_end;
                let slices = attachments.iter().map(|data| {
                    let begin = at + websocket::header(Opcode::Binary, data.len()).as_ref().len();
                    at = begin + data.len();
                    Message::Binary(whole.slice(begin..at))
                });
                slices.collect()
            }
            Frames::Pieces(_) => attachments.iter().cloned().map(Message::Binary).collect(),
        };
        Self::build(frames, text_at, text_end, Rest::Messages(rest))
    }

    /// WebSocket messages in a row: a packet in another form than the text one.
    pub(crate) fn from_messages(messages: &[(Opcode, &[u8])]) -> Self {
        let len = messages.iter().map(|(_, data)| data.len() + MAX_HEADER).sum();
        let mut frames = large::buffer(len);
        let mut ends = Vec::with_capacity(messages.len());
        for (opcode, data) in messages {
            websocket::put_frame(&mut frames, *opcode, data);
            ends.push(frames.len());
        }
        let frames = large::share(frames);
        let rest = ends.iter().zip(messages).map(|(&end, (opcode, data))| {
            let data = frames.slice(end - data.len()..end);
            match opcode {
                Opcode::Text => Message::Text(data),
                _ => Message::Binary(data),
            }
        });
        Self::build(
            Frames::Whole(frames.clone()),
            0,
            0,
            Rest::Messages(rest.collect()),
        )
    }

    /// One binary message, which begins with room for its header.
    pub(crate) fn from_binary(mut message: Pieces) -> Self {
        let header = websocket::header(Opcode::Binary, message.len() - MAX_HEADER);
        let header = header.as_ref();
        let start = MAX_HEADER - header.len();
        message.own()[start..MAX_HEADER].copy_from_slice(header);
        let rest = Rest::Sole(header.len() as u8);
        Self::build(Frames::new(message, start), 0, 0, rest)
    }

    /// Bytes that go to a connection as they are: a packet in a form that is no WebSocket's.
    pub(crate) fn from_bytes(bytes: Bytes) -> Self {
        Self::build(Frames::Whole(bytes), 0, 0, Rest::default())
    }

    fn build(websocket: Frames, text_at: u8, text_end: usize, rest: Rest) -> Self {
        Self(Arc::new(Inner {
            websocket,
            text_at,
            text_end,
            rest,
            offset: None,
            is_compressible: true,
            forms: OnceLock::new(),
            deflated: OnceLock::new(),
        }))
    }

    /// The WebSocket frames of the packet in a row: a text frame, then a binary frame for each attachment. They are one piece,
    /// but for large attachments, which are pieces of their own. For a listener over Server-Sent Events it is a chunk of
    /// HTTP/1.1.
    #[must_use]
    #[inline]
    pub fn websocket(&self) -> &[Bytes] {
        self.0.websocket.pieces()
    }

    /// How many bytes [`websocket`](Self::websocket) has.
    #[must_use]
    #[inline]
    pub fn websocket_len(&self) -> usize {
        self.0.websocket.len()
    }

    /// The frames for a client with which permessage-deflate was agreed on, and whose window has `window_bits`: messages
    /// above the threshold are compressed by the first who asks, and shared. A client with a smaller window than the
    /// server's gets the plain frames if a message is longer than its window.
    #[must_use]
    pub fn deflated(&self, options: &DeflateOptions, window_bits: u8) -> &[Bytes] {
        // Longer than each of its messages.
        if self.websocket_len() < options.threshold || !self.0.is_compressible {
            return self.websocket();
        }
        let deflated = self.0.deflated.get_or_init(|| Box::new(self.deflate(options)));
        let is_readable = window_bits >= options.server_max_window_bits
            || deflated.longest <= 1_usize.checked_shl(window_bits.into()).unwrap_or(usize::MAX);
        if is_readable {
            deflated.frames.pieces()
        } else {
            self.websocket()
        }
    }

    fn deflate(&self, options: &DeflateOptions) -> Deflated {
        let mut frames = Vec::new();
        let mut longest = 0;
        for message in self.messages() {
            let (opcode, data) = match &message {
                Message::Text(text) => (Opcode::Text, text),
                Message::Binary(data) => (Opcode::Binary, data),
            };
            let (bits, level) = (options.server_max_window_bits, options.level);
            if data.len() >= options.threshold
                && websocket::put_deflated_frame(&mut frames, opcode, data, bits, level)
            {
                longest = longest.max(data.len());
            } else {
                websocket::put_frame(&mut frames, opcode, data);
            }
        }
        let frames = if longest == 0 {
            self.0.websocket.clone()
        } else {
            Frames::Whole(frames.into())
        };
        Deflated { frames, longest }
    }

    /// Whether a transport may compress the packet; see [`Broadcast::compress`](crate::Broadcast::compress).
    #[must_use]
    pub fn is_compressible(&self) -> bool {
        self.0.is_compressible
    }

    fn compressible_as(self, other: &Self) -> Self {
        if other.0.is_compressible {
            self
        } else {
            self.uncompressed()
        }
    }

    /// The same packet, never to be compressed.
    pub(crate) fn uncompressed(&self) -> Self {
        Self(Arc::new(Inner {
            websocket: self.0.websocket.clone(),
            text_at: self.0.text_at,
            text_end: self.0.text_end,
            rest: self.0.rest.clone(),
            offset: self.0.offset.clone(),
            is_compressible: false,
            forms: OnceLock::new(),
            deflated: OnceLock::new(),
        }))
    }

    /// The messages of the packet in their order, for a transport that has no frames.
    pub fn messages(&self) -> impl Iterator<Item = Message> + '_ {
        let text = || Message::Text(self.0.websocket.first().slice(self.text_range()));
        let text = (self.0.text_end > 0).then(text);
        let (messages, whole) = match &self.0.rest {
            Rest::Messages(messages) => (&**messages, None),
            Rest::Sole(header) => (&[][..], Some(self.0.websocket.without(usize::from(*header)))),
        };
        let rest = messages.iter().cloned().chain(whole.map(Message::Binary));
        text.into_iter().chain(rest)
    }

    /// How many messages the packet is, and their bytes; one message, if it is in a form that is no WebSocket's.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let text = self.text_range().len();
        let rest = match &self.0.rest {
            Rest::Messages(messages) => &**messages,
            Rest::Sole(header) => return (1, self.websocket_len() - usize::from(*header)),
        };
        match (usize::from(self.0.text_end > 0) + rest.len(), rest) {
            (0, _) => (1, self.websocket_len()),
            (_, []) => (1, text),
            (messages, rest) => (messages, text + rest.iter().map(Message::len).sum::<usize>()),
        }
    }

    /// Whether one of the messages is binary.
    #[must_use]
    pub fn has_binary(&self) -> bool {
        match &self.0.rest {
            Rest::Messages(messages) => messages
                .iter()
                .any(|message| matches!(message, Message::Binary(_))),
            Rest::Sole(_) => true,
        }
    }

    /// The binary messages.
    #[must_use]
    pub fn attachments(&self) -> Vec<Bytes> {
        let binary = self.messages().filter_map(|message| match message {
            Message::Binary(data) => Some(data),
            Message::Text(_) => None,
        });
        binary.collect()
    }

    /// The packet itself, with placeholders for its attachments. `None` if it was made from what is no packet.
    #[must_use]
    pub fn packet(&self) -> Option<Packet<'_>> {
        let text = std::str::from_utf8(&self.0.websocket.first()[self.text_range()]).ok()?;
        socketio::decode(text.strip_prefix('4')?, &OWN).ok()
    }

    /// The packet's JSON array: of an event its name and arguments, with placeholders for the attachments.
    #[must_use]
    pub fn data(&self) -> &str {
        self.packet().map_or("", |packet| packet.data)
    }

    fn text_range(&self) -> std::ops::Range<usize> {
        usize::from(self.0.text_at)..self.0.text_end
    }

    /// The packet in another form, made by the first who asks. `None` if that form has no place for it.
    pub(crate) fn form(&self, recode: &Arc<dyn Recode>) -> Option<&Self> {
        let mut slot = &self.0.forms;
        loop {
            let form = slot.get_or_init(|| {
                Box::new(Form {
                    recode: recode.clone(),
                    message: recode.recode(self).map(|form| form.compressible_as(self)),
                    next: OnceLock::new(),
                })
            });
            if std::ptr::addr_eq(Arc::as_ptr(&form.recode), Arc::as_ptr(recode)) {
                return form.message.as_ref();
            }
            slot = &form.next;
        }
    }
}

/// For packets of our own, which no limit binds.
pub(crate) const OWN: Limits = Limits {
    max_depth: usize::MAX,
    max_attachments: usize::MAX,
    max_attachment_bytes: usize::MAX,
    max_namespace: usize::MAX,
};

impl Default for Rest {
    fn default() -> Self {
        Self::Messages(Box::default())
    }
}

impl From<&FramedText<'_>> for Prepared {
    fn from(text: &FramedText<'_>) -> Self {
        let frame = Bytes::copy_from_slice(text.frame());
        let end = frame.len();
        Self::build(Frames::Whole(frame), text.text_at(), end, Rest::default())
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("packet", &self.packet())
            .field("attachments", &self.attachments())
            .finish()
    }
}

/// One Engine.IO text packet, with its WebSocket header before it.
#[derive(Clone, Copy, Debug)]
pub struct FramedText<'a> {
    frame: &'a [u8],
    text_at: u8,
}

impl<'a> FramedText<'a> {
    /// Writes the header before the packet in `buffer[MAX_HEADER..]`; the first [`MAX_HEADER`] bytes are room for it.
    ///
    /// # Panics
    /// If `buffer` is shorter than that room.
    #[must_use]
    #[inline]
    pub fn seal(buffer: &'a mut [u8]) -> Self {
        let start = websocket::seal(buffer, Opcode::Text);
        Self {
            frame: &buffer[start..],
            text_at: (MAX_HEADER - start) as u8,
        }
    }

    /// The WebSocket frame.
    #[must_use]
    pub fn frame(&self) -> &'a [u8] {
        self.frame
    }

    /// The Engine.IO packet alone, type digit included.
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        &self.frame[usize::from(self.text_at)..]
    }

    fn text_at(&self) -> u8 {
        self.text_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recode::ByParser;

    #[test]
    fn frames_and_texts_share_one_buffer() {
        for len in [0, 100, 200, 70_000] {
            let data = "x".repeat(len);
            let prepared = Prepared::event("/", "e", &data, None).unwrap();
            let text = format!(r#"42["e","{data}"]"#);
            assert!(prepared.messages().eq([Message::Text(text.clone().into())]));
            assert_eq!(prepared.data(), &text[2..]);
            let mut frame = Vec::new();
            websocket::put_frame(&mut frame, Opcode::Text, text.as_bytes());
            assert_eq!(prepared.websocket(), [frame]);
        }
    }

    #[test]
    fn is_compressed_once_for_all_who_can_read_it() {
        let options = DeflateOptions::default();
        let prepared = Prepared::event("/", "e", &"x".repeat(5_000), None).unwrap();
        let first = &prepared.deflated(&options, 15)[0];
        assert_eq!(first[0], 0xc1);
        assert!(first.len() < 100);
        for bits in 13..=15 {
            let again = prepared.clone();
            assert_eq!(again.deflated(&options, bits)[0].as_ptr(), first.as_ptr());
        }
        // A window of 4 KiB: the message may refer to what lies further back.
        assert_eq!(prepared.deflated(&options, 12), prepared.websocket());

        let mut seed = 1_u32;
        let noise: Bytes = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        })
        .take(2_000)
        .collect();
        let zeros = Bytes::from(vec![0; 2_000]);
        let prepared = Prepared::from_data("/", r#"["e"]"#, &[noise.clone(), zeros], None);
        let frames = &prepared.deflated(&options, 15)[0];
        assert_eq!(frames[0], 0x81, "below the threshold");
        let second = usize::from(frames[1]) + 2;
        assert_eq!(frames[second], 0x82, "would not get shorter");
        assert_eq!(frames[second + 4..][..noise.len()], noise);
        assert_eq!(frames[second + 4 + noise.len()], 0xc2);

        let small = Prepared::event("/", "e", &"x".repeat(900), None).unwrap();
        assert_eq!(small.deflated(&options, 15).as_ptr(), small.websocket().as_ptr());
    }

    #[test]
    fn is_not_compressed_against_its_will_in_any_form() {
        let options = DeflateOptions::default();
        let prepared = Prepared::event("/", "e", &"x".repeat(5_000), None).unwrap();
        let msgpack: Arc<dyn Recode> = Arc::new(ByParser(Arc::new(socketio::MsgpackParser)));
        for plain in [
            prepared.uncompressed(),
            prepared.uncompressed().form(&msgpack).unwrap().clone(),
        ] {
            assert!(!plain.is_compressible());
            assert_eq!(plain.deflated(&options, 15), plain.websocket());
        }
        assert_ne!(
            prepared.form(&msgpack).unwrap().deflated(&options, 15)[0][0],
            0x82
        );
        assert!(prepared.is_compressible());
    }

    #[test]
    fn attachments_follow_as_binary_frames() {
        let attachments = [Bytes::from(vec![7; 300]), Bytes::new(), Bytes::from_static(b"z")];
        let prepared = Prepared::from_data("/n", r#"["e"]"#, &attachments, Some(1));
        let mut frames = Vec::new();
        websocket::put_frame(&mut frames, Opcode::Text, br#"453-/n,1["e"]"#);
        for data in &attachments {
            websocket::put_frame(&mut frames, Opcode::Binary, data);
        }
        assert_eq!(prepared.websocket(), [frames]);
        assert_eq!(prepared.attachments(), attachments);
        assert_eq!(prepared.data(), r#"["e"]"#);
    }
}
