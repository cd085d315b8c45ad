//! One event on its way out.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use crate::envelope::{CodecError, Outgoing, put_data};

/// What a stream begins with, so that it is committed even while there is no event: an empty line, as NestJS sends it.
pub const PREAMBLE: &[u8] = b"\n";

/// One event of a stream. What is not set is not sent.
///
/// No value breaks out of its field: line ends split `data` and `comment` into several lines, which a client puts
/// together again; in a name or an id, where the format has no place for them, they are left out, and so is NUL.
///
/// ```
/// use std::time::Duration;
/// use gatewire_proto::sse::SseEvent;
///
/// let event = SseEvent::data("up\n+2").event("tick").id("7").retry(Duration::from_secs(1));
/// assert_eq!(event.to_text(), "event: tick\nid: 7\nretry: 1000\ndata: up\ndata: +2\n\n");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[must_use = "an event does nothing until it is sent"]
pub struct SseEvent {
    data: Option<Box<str>>,
    event: Option<Cow<'static, str>>,
    id: Option<Box<str>>,
    retry: Option<Duration>,
    comment: Option<Box<str>>,
}

impl SseEvent {
    /// An event with nothing set.
    pub fn new() -> Self {
        Self::default()
    }

    /// An event with this text as its data.
    pub fn data(data: impl Into<Box<str>>) -> Self {
        Self::new().with_data(data)
    }

    /// It with this text as its data.
    pub fn with_data(mut self, data: impl Into<Box<str>>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// An event with a value as JSON for its data.
    ///
    /// # Errors
    /// If the value cannot be JSON.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(Self::data)
    }

    /// A comment alone, which a client reads over.
    pub fn only_comment(comment: impl Into<Box<str>>) -> Self {
        Self::new().comment(comment)
    }

    /// The name under which a client listens to it; without one it is `message`. `error` and `open` are the names of an
    /// `EventSource`'s own events.
    pub fn event(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.event = Some(name.into());
        self
    }

    /// What a client that comes back names as the last it got, in `Last-Event-ID`.
    pub fn id(mut self, id: impl Into<Box<str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// How long a client waits before it comes back after the connection is lost; sent in whole milliseconds.
    pub fn retry(mut self, wait: Duration) -> Self {
        self.retry = Some(wait);
        self
    }

    /// A comment beside it.
    pub fn comment(mut self, comment: impl Into<Box<str>>) -> Self {
        self.comment = Some(comment.into());
        self
    }

    /// The name, if it has one.
    #[must_use]
    pub fn event_name(&self) -> Option<&str> {
        self.event.as_deref()
    }

    /// The id, if it has one.
    #[must_use]
    pub fn event_id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The data, if it has any.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.data.as_deref()
    }

    /// Bytes that it takes in memory beside its own size, about.
    #[must_use]
    pub fn size(&self) -> usize {
        let texts = [&self.data, &self.id, &self.comment];
        let own = texts.into_iter().flatten().map(|text| text.len()).sum::<usize>();
        own + self.event.as_ref().map_or(0, |name| name.len())
    }

    /// Appends it: `event`, `id`, `retry`, a comment, `data`, an empty line.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Some(name) = &self.event {
            put_field(out, b"event: ", name);
        }
        if let Some(id) = &self.id {
            put_field(out, b"id: ", id);
        }
        if let Some(wait) = self.retry {
            let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            put_field(out, b"retry: ", itoa::Buffer::new().format(wait));
        }
        if let Some(comment) = &self.comment {
            put_lines(out, b": ", comment);
        }
        if let Some(data) = &self.data {
            put_lines(out, b"data: ", data);
        }
        out.push(b'\n');
    }

    /// It as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = Vec::new();
        self.encode(&mut out);
        // Fields are strings, cut at characters of one byte.
        String::from_utf8(out).unwrap_or_default()
    }
}

/// Appends a message of a namespace as an event: its name, and its data as JSON, `null` if it has none, for a browser
/// drops an event without data. Bytes are base64, as in the [envelope](crate::envelope).
///
/// # Errors
/// If the message cannot be JSON.
pub fn put_message(out: &mut Vec<u8>, message: &Outgoing<'_>) -> Result<(), CodecError> {
    put_field(out, b"event: ", message.event);
    out.extend_from_slice(b"data: ");
    match message.data {
        Some(data) if message.attachments.is_empty() && data.contains(['\n', '\r']) => {
            // White space between values: in a string they are escaped.
            out.extend(data.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
        }
        Some(data) => put_data(out, data, message.attachments)?,
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b"\n\n");
    Ok(())
}

fn put_field(out: &mut Vec<u8>, field: &[u8], value: &str) {
    out.extend_from_slice(field);
    out.extend(value.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r' | 0)));
    out.push(b'\n');
}

fn put_lines(out: &mut Vec<u8>, field: &[u8], text: &str) {
    let mut rest = text;
    loop {
        let end = memchr::memchr2(b'\n', b'\r', rest.as_bytes());
        let (line, after) = end.map_or((rest, None), |end| {
            let is_pair = rest.as_bytes()[end..].starts_with(b"\r\n");
            (&rest[..end], Some(end + 1 + usize::from(is_pair)))
        });
        out.extend_from_slice(field);
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
        match after {
            Some(after) => rest = &rest[after..],
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn fields_are_in_the_order_of_nestjs() {
        let full = SseEvent::data("full")
            .comment("c")
            .retry(Duration::from_millis(500))
            .id("id9")
            .event("t");
        for (event, text) in [
            (SseEvent::data("x"), "data: x\n\n"),
            (SseEvent::data(""), "data: \n\n"),
            (
                SseEvent::json(&serde_json::json!({ "a": 1 })).unwrap(),
                "data: {\"a\":1}\n\n",
            ),
            (full, "event: t\nid: id9\nretry: 500\n: c\ndata: full\n\n"),
            (SseEvent::only_comment("c"), ": c\n\n"),
            (SseEvent::new().id("4"), "id: 4\n\n"),
            (
                SseEvent::data("a\r\nb\rc\nd\n"),
                "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n",
            ),
            (SseEvent::new(), "\n"),
        ] {
            assert_eq!(event.to_text(), text);
        }
    }

    #[test]
    fn nothing_breaks_out_of_its_field() {
        let event = SseEvent::new()
            .event("a\nid: 1\n\ndata: x")
            .id("1\r\n\r\n\0data: y")
            .comment("c\n\ndata: z");
        assert_eq!(
            event.to_text(),
            "event: aid: 1data: x\nid: 1data: y\n: c\n: \n: data: z\n\n"
        );
    }

    #[test]
    fn messages_of_namespaces_are_events() {
        let mut out = Vec::new();
        for (event, data, attachments) in [
            ("tick", Some("{\"a\":\n [1]}"), &[][..]),
            ("no\nname", None, &[]),
            (
                "bytes",
                Some(r#"{"_placeholder":true,"num":0}"#),
                &[Bytes::from_static(b"abc")],
            ),
        ] {
            let message = Outgoing {
                event,
                data,
                id: None,
                ack: None,
                attachments,
            };
            put_message(&mut out, &message).unwrap();
        }
        assert_eq!(
            std::str::from_utf8(&out).unwrap(),
            "event: tick\ndata: {\"a\": [1]}\n\nevent: noname\ndata: null\n\nevent: bytes\ndata: \"YWJj\"\n\n"
        );
    }
}
