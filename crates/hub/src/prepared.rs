//! Packets as they go out: a [`Prepared`] one is encoded once and shared by all its receivers, a [`FramedText`] is for
//! one connection and lives only as long as the call that sends it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use gatewire_proto::socketio::PacketKind;
use gatewire_proto::websocket::{self, MAX_HEADER, Opcode};
use serde::Serialize;

use crate::encode::{self, One};
use crate::{EmitError, Payload};

/// A Socket.IO packet with its attachments, encoded once. A clone is a reference.
#[derive(Clone)]
pub struct Prepared(Arc<Inner>);

struct Inner {
    websocket: Bytes,
    /// Bytes of the first frame's header.
    text_at: u8,
    /// Where the first frame ends.
    text_end: usize,
    attachments: Box<[Bytes]>,
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

    /// An event of `namespace` with the arguments of `payload`.
    ///
    /// # Errors
    /// If the name is reserved.
    pub fn from_payload(
        namespace: &str,
        name: &str,
        payload: &Payload,
        id: Option<u64>,
    ) -> Result<Self, EmitError> {
        encode::event(namespace, name, payload, id, |packet| packet.into_prepared())
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

    pub(crate) fn new(text: &FramedText<'_>, attachments: &[Bytes]) -> Self {
        let frame = text.frame();
        if attachments.is_empty() {
            return Self::from(text);
        }
        let extra: usize = attachments.iter().map(|data| data.len() + MAX_HEADER).sum();
        let mut frames = Vec::with_capacity(frame.len() + extra);
        frames.extend_from_slice(frame);
        let mut ends = Vec::with_capacity(attachments.len());
        for data in attachments {
            websocket::put_frame(&mut frames, Opcode::Binary, data);
            ends.push(frames.len());
        }
        let frames = Bytes::from(frames);
        // Slices of the one allocation, so that the originals can go.
        let attachments = ends
            .iter()
            .zip(attachments)
            .map(|(&end, data)| frames.slice(end - data.len()..end))
            .collect();
        Self(Arc::new(Inner {
            text_at: text.text_at(),
            text_end: frame.len(),
            websocket: frames,
            attachments,
        }))
    }

    /// The WebSocket frames of the packet in a row: a text frame, then a binary frame for each attachment.
    #[must_use]
    pub fn websocket(&self) -> &Bytes {
        &self.0.websocket
    }

    /// The Engine.IO text packet, type digit included, for long polling.
    #[must_use]
    pub fn text(&self) -> Bytes {
        self.0
            .websocket
            .slice(usize::from(self.0.text_at)..self.0.text_end)
    }

    /// The binary messages that follow the text.
    #[must_use]
    pub fn attachments(&self) -> &[Bytes] {
        &self.0.attachments
    }

    /// The packet's JSON array: of an event its name and arguments, with placeholders for the attachments.
    #[must_use]
    pub fn data(&self) -> &str {
        let text = &self.0.websocket[usize::from(self.0.text_at)..self.0.text_end];
        // Neither a namespace's name nor an id has a bracket before the array but by ill will; then it is cut wrong.
        let start = text.iter().position(|&byte| byte == b'[').unwrap_or(text.len());
        std::str::from_utf8(&text[start..]).unwrap_or_default()
    }
}

impl From<&FramedText<'_>> for Prepared {
    fn from(text: &FramedText<'_>) -> Self {
        Self(Arc::new(Inner {
            websocket: Bytes::copy_from_slice(text.frame()),
            text_at: text.text_at(),
            text_end: text.frame().len(),
            attachments: Box::default(),
        }))
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("text", &String::from_utf8_lossy(&self.text()))
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

    #[test]
    fn frames_and_texts_share_one_buffer() {
        for len in [0, 100, 200, 70_000] {
            let data = "x".repeat(len);
            let prepared = Prepared::event("/", "e", &data, None).unwrap();
            let text = format!(r#"42["e","{data}"]"#);
            assert_eq!(prepared.text(), text);
            assert_eq!(prepared.data(), &text[2..]);
            let mut frame = Vec::new();
            websocket::put_frame(&mut frame, Opcode::Text, text.as_bytes());
            assert_eq!(*prepared.websocket(), frame);
        }
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
        assert_eq!(*prepared.websocket(), frames);
        assert_eq!(prepared.attachments(), attachments);
        assert_eq!(prepared.data(), r#"["e"]"#);
    }
}
