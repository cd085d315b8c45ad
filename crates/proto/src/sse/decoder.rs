//! The reading side, as WHATWG HTML §9.2.6 has it, within limits: for clients in tests, and to read again what was
//! written.

use std::collections::VecDeque;
use std::time::Duration;

/// Bounds of what a [`Decoder`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one line. Default 1 MiB.
    pub max_line: usize,
    /// Bytes of one event's data. Default 4 MiB.
    pub max_data: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_line: 1 << 20,
            max_data: 4 << 20,
        }
    }
}

/// An event as a client gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The name; `message` if it has none.
    pub event: String,
    /// The lines of its data, put together with line feeds.
    pub data: String,
    /// The last id that the stream has told, by this event or one before.
    pub id: String,
}

/// What comes out of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An event with data.
    Message(Message),
    /// How long to wait before coming back.
    Retry(Duration),
    /// A comment, without the space it begins with.
    Comment(String),
}

/// Why a stream is not read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A line that is too long.
    #[error("a line of the stream is longer than {limit} bytes")]
    LineTooLong {
        /// [`Limits::max_line`].
        limit: usize,
    },
    /// An event that is too big.
    #[error("an event of the stream has more than {limit} bytes of data")]
    DataTooLong {
        /// [`Limits::max_data`].
        limit: usize,
    },
}

/// Reads one stream. Bytes are given to [`receive`](Self::receive) in pieces of any size, what they hold is taken with
/// [`poll_item`](Self::poll_item); an event that is not ended by an empty line is never told.
///
/// ```
/// use gatewire_proto::sse::{Decoder, Item};
///
/// let mut decoder = Decoder::default();
/// decoder.receive(b"event: tick\nid: 7\nda")?;
/// decoder.receive(b"ta: up\n\n")?;
/// let Some(Item::Message(message)) = decoder.poll_item() else { panic!() };
/// assert_eq!((&*message.event, &*message.data, decoder.last_event_id()), ("tick", "up", "7"));
/// # Ok::<(), gatewire_proto::sse::DecodeError>(())
/// ```
#[derive(Debug, Default)]
pub struct Decoder {
    limits: Limits,
    /// The line that is not ended.
    line: Vec<u8>,
    /// The last byte was a CR: an LF that follows belongs to it.
    after_cr: bool,
    /// A line was read: no byte order mark is expected any more.
    has_begun: bool,
    event: String,
    data: Option<String>,
    id: String,
    items: VecDeque<Item>,
}

impl Decoder {
    /// A decoder with these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// The last id that the stream has told: what a client that comes back sends as `Last-Event-ID`.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.id
    }

    /// The next item, if one has come.
    pub fn poll_item(&mut self) -> Option<Item> {
        self.items.pop_front()
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// If the stream is above a limit; it is then not to be read on.
    pub fn receive(&mut self, mut bytes: &[u8]) -> Result<(), DecodeError> {
        if std::mem::take(&mut self.after_cr) && bytes.first() == Some(&b'\n') {
            bytes = &bytes[1..];
        }
        while let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) {
            self.extend_line(&bytes[..end])?;
            let is_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            match bytes.first() {
                Some(b'\n') if is_cr => bytes = &bytes[1..],
                None if is_cr => self.after_cr = true,
                _ => {}
            }
            self.end_line()?;
        }
        self.extend_line(bytes)
    }

    fn extend_line(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        let limit = self.limits.max_line;
        if self.line.len() + bytes.len() > limit {
            return Err(DecodeError::LineTooLong { limit });
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), DecodeError> {
        let line = std::mem::take(&mut self.line);
        let line = if std::mem::replace(&mut self.has_begun, true) {
            &*line
        } else {
            line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line)
        };
        if line.is_empty() {
            self.dispatch();
            return Ok(());
        }
        let colon = memchr::memchr(b':', line);
        let (field, value) = colon.map_or((line, &[][..]), |at| (&line[..at], &line[at + 1..]));
        let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value));
        match field {
            b"" => self.items.push_back(Item::Comment(value.into_owned())),
            b"event" => self.event = value.into_owned(),
            b"data" => {
                let limit = self.limits.max_data;
                let data = match &mut self.data {
                    Some(data) => {
                        data.push('\n');
                        data
                    }
                    none => none.get_or_insert_default(),
                };
                if data.len() + value.len() > limit {
                    return Err(DecodeError::DataTooLong { limit });
                }
                data.push_str(&value);
            }
            b"id" if !value.contains('\0') => self.id = value.into_owned(),
            b"retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                if let Ok(wait) = value.parse() {
                    self.items.push_back(Item::Retry(Duration::from_millis(wait)));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self) {
        let event = std::mem::take(&mut self.event);
        let Some(data) = self.data.take() else {
            return;
        };
        self.items.push_back(Item::Message(Message {
            event: if event.is_empty() {
                "message".to_owned()
            } else {
                event
            },
            data,
            id: self.id.clone(),
        }));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sse::{PREAMBLE, SseEvent};

    fn read(pieces: &[&[u8]]) -> Vec<Item> {
        let mut decoder = Decoder::default();
        for piece in pieces {
            decoder.receive(piece).unwrap();
        }
        std::iter::from_fn(|| decoder.poll_item()).collect()
    }

    fn message(event: &str, data: &str, id: &str) -> Item {
        Item::Message(Message {
            event: event.to_owned(),
            data: data.to_owned(),
            id: id.to_owned(),
        })
    }

    /// The examples of the standard, and its corners.
    #[test]
    fn reads_as_the_standard_says() {
        for (stream, items) in [
            (
                "data: YHOO\ndata: +2\ndata: 10\n\n",
                vec![message("message", "YHOO\n+2\n10", "")],
            ),
            (
                ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
                vec![
                    Item::Comment("test stream".to_owned()),
                    message("message", "first event", "1"),
                    message("message", "second event", ""),
                    message("message", " third event", ""),
                ],
            ),
            (
                "data\n\ndata\ndata\n\ndata:",
                vec![message("message", "", ""), message("message", "\n", "")],
            ),
            (
                "data:test\n\ndata: test\n\n",
                vec![message("message", "test", ""), message("message", "test", "")],
            ),
            (
                "\u{feff}data: a\r\rid: x\0\rdata: b\r\n\r\n",
                vec![message("message", "a", ""), message("message", "b", "")],
            ),
            ("event: e\n\ndata: a\n\n", vec![message("message", "a", "")]),
            (
                "retry: 20\nretry: -1\nretry: 1s\nretry:\n\n",
                vec![Item::Retry(Duration::from_millis(20))],
            ),
        ] {
            assert_eq!(read(&[stream.as_bytes()]), items, "{stream:?}");
        }
    }

    #[test]
    fn limits_hold() {
        let limits = Limits {
            max_line: 10,
            max_data: 6,
        };
        let mut decoder = Decoder::new(limits);
        assert_eq!(decoder.receive(b"data: abcd\n"), Ok(()));
        assert_eq!(
            decoder.receive(b"data: ab\n"),
            Err(DecodeError::DataTooLong { limit: 6 })
        );
        assert_eq!(
            Decoder::new(limits).receive(b"data: abcde"),
            Err(DecodeError::LineTooLong { limit: 10 })
        );
    }

    /// Without what the format has no place for.
    fn on_one_line(text: &str) -> String {
        text.replace(['\n', '\r', '\0'], "")
    }

    fn lines(text: &str) -> String {
        text.replace("\r\n", "\n").replace('\r', "\n")
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            data in proptest::option::of("(\\PC|[\r\n\0: ]){0,20}"),
            name in proptest::option::of("(\\PC|[\r\n\0: ]){0,12}"),
            id in proptest::option::of("(\\PC|[\r\n\0: ]){0,12}"),
            comment in proptest::option::of("(\\PC|[\r\n\0: ]){0,12}"),
            retry in proptest::option::of(any::<u32>()),
            cut in any::<usize>(),
        ) {
            let mut event = SseEvent::new();
            let mut items = Vec::new();
            if let Some(retry) = retry {
                event = event.retry(Duration::from_millis(retry.into()));
                items.push(Item::Retry(Duration::from_millis(retry.into())));
            }
            if let Some(comment) = &comment {
                event = event.comment(&**comment);
                items.extend(lines(comment).split('\n').map(|line| Item::Comment(line.to_owned())));
            }
            if let Some(id) = &id {
                event = event.id(&**id);
            }
            if let Some(name) = &name {
                event = event.event(name.clone());
            }
            if let Some(data) = &data {
                event = event.with_data(&**data);
                let name = on_one_line(name.as_deref().unwrap_or_default());
                let name = if name.is_empty() { "message" } else { &*name };
                items.push(message(name, &lines(data), &on_one_line(id.as_deref().unwrap_or_default())));
            }
            let mut stream = PREAMBLE.to_vec();
            event.encode(&mut stream);
            let (first, second) = stream.split_at(cut % (stream.len() + 1));
            prop_assert_eq!(read(&[first, second]), items);
        }

        #[test]
        fn any_bytes_cut_anywhere_are_read_alike(bytes in proptest::collection::vec(prop_oneof![
            Just(b'\n'), Just(b'\r'), Just(b':'), Just(b' '), Just(b'd'), any::<u8>()
        ], 0..60), cut in any::<usize>()) {
            let (first, second) = bytes.split_at(cut % (bytes.len() + 1));
            prop_assert_eq!(read(&[first, second]), read(&[&bytes]));
        }
    }
}
