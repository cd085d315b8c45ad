//! A binary packet while its attachments come in, one binary message each. Where the bytes go in the JSON is settled
//! later, when a type asks for them (`from_json`); here is checked that every placeholder points at one of them.

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use thiserror::Error;

use super::{DecodeError, Limits, OwnedPacket, Packet, PacketKind, scan_args, scan_event};

/// Collects the binary messages that a packet announced; owns the packet meanwhile.
///
/// The attachments follow their packet directly: a text message before the last one has come is
/// [`AttachmentError::Interrupted`], a binary message when no packet waits for it is [`AttachmentError::Unannounced`].
/// Both are for the caller to notice, and both end the connection, as does every other error here.
#[derive(Debug)]
pub struct Assembler {
    /// `None` after the last attachment.
    packet: Option<OwnedPacket>,
    attachments: Vec<Bytes>,
    expected: usize,
    bytes_left: usize,
    max_bytes: usize,
}

impl Assembler {
    /// Begins to wait for the attachments of `packet`, after a check of all its JSON: also that every placeholder
    /// names an attachment to come, and no two the same one.
    ///
    /// # Errors
    /// If the packet announces no attachment, or its data does not stand the check.
    pub fn new(packet: &Packet<'_>, limits: &Limits) -> Result<Self, AttachmentError> {
        match packet.kind {
            PacketKind::BinaryEvent => drop(scan_event(packet.data, limits)?),
            PacketKind::BinaryAck => drop(scan_args(packet.data, limits)?),
            _ => return Err(AttachmentError::Unannounced),
        }
        if packet.attachments == 0 {
            return Err(DecodeError::AttachmentCount.into());
        }
        if packet.attachments > limits.max_attachments {
            let count = packet.attachments as u64;
            return Err(DecodeError::TooManyAttachments {
                count,
                max: limits.max_attachments,
            }
            .into());
        }
        check_placeholders(packet.data, packet.attachments)?;
        Ok(Self {
            packet: Some(packet.into()),
            attachments: Vec::with_capacity(packet.attachments),
            expected: packet.attachments,
            bytes_left: limits.max_attachment_bytes,
            max_bytes: limits.max_attachment_bytes,
        })
    }

    /// Takes the next binary message. The last one returns the packet with all of them, in order; the assembler is of
    /// no use after that.
    ///
    /// # Errors
    /// If the attachments together exceed [`Limits::max_attachment_bytes`], or none is expected any more.
    pub fn push(&mut self, data: Bytes) -> Result<Option<(OwnedPacket, Vec<Bytes>)>, AttachmentError> {
        if self.packet.is_none() {
            return Err(AttachmentError::Unannounced);
        }
        self.bytes_left = self
            .bytes_left
            .checked_sub(data.len())
            .ok_or(AttachmentError::TooLarge { max: self.max_bytes })?;
        self.attachments.push(data);
        if self.attachments.len() < self.expected {
            return Ok(None);
        }
        let attachments = std::mem::take(&mut self.attachments);
        Ok(self.packet.take().map(|packet| (packet, attachments)))
    }
}

/// Why a binary packet cannot be put together.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttachmentError {
    /// The packet itself is wrong.
    #[error(transparent)]
    Packet(#[from] DecodeError),
    /// A binary message that no packet announced.
    #[error("a binary message came that no packet announced")]
    Unannounced,
    /// A text message in place of an attachment.
    #[error("a text message came before all attachments of the last packet")]
    Interrupted,
    /// More bytes than [`Limits::max_attachment_bytes`].
    #[error("the attachments of one packet are larger than {max} bytes together")]
    TooLarge {
        /// The limit.
        max: usize,
    },
    /// A placeholder whose `num` is no number of an attachment, or that of another placeholder.
    #[error("a placeholder must have the number of one of the {attachments} attachments for itself")]
    Placeholder {
        /// How many were announced.
        attachments: usize,
    },
}

/// The keys of `{"_placeholder":true,"num":n}`.
pub(super) const PLACEHOLDER: &str = "_placeholder";
/// See [`PLACEHOLDER`].
pub(super) const NUM: &str = "num";

/// What stands before the number of a placeholder, as everybody writes it.
const BEFORE_NUM: &str = "{\"_placeholder\":true,\"num\":";

/// Appends the placeholder of the attachment `num`.
pub(super) fn put_placeholder(out: &mut Vec<u8>, num: usize) {
    out.extend_from_slice(BEFORE_NUM.as_bytes());
    out.extend_from_slice(itoa::Buffer::new().format(num).as_bytes());
    out.push(b'}');
}

/// The number of a placeholder that is all there is, in valid JSON; `None` for anything else, and for one that is written in
/// another way than everybody's.
pub(super) fn placeholder_num(json: &str) -> Option<usize> {
    json.strip_prefix(BEFORE_NUM)?.strip_suffix('}')?.parse().ok()
}

/// Looks at every object of `data`, which is checked JSON of limited depth.
pub(super) fn check_placeholders(data: &str, attachments: usize) -> Result<(), AttachmentError> {
    let mut used = vec![false; attachments];
    let mut json = serde_json::Deserializer::from_str(data);
    match Inspect(&mut used).deserialize(&mut json) {
        Ok(_) => Ok(()),
        Err(_) => Err(AttachmentError::Placeholder { attachments }),
    }
}

/// Walks one value. Two placeholders for one attachment are refused: a small packet could otherwise ask for a large
/// attachment a thousand times.
struct Inspect<'a>(&'a mut [bool]);

/// What a value may be to the object around it.
enum Seen {
    True,
    Number(u64),
    Other,
}

impl<'de> DeserializeSeed<'de> for Inspect<'_> {
    type Value = Seen;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Seen, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Inspect<'_> {
    type Value = Seen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Seen, E> {
        Ok(if value { Seen::True } else { Seen::Other })
    }

    fn visit_u64<E>(self, value: u64) -> Result<Seen, E> {
        Ok(Seen::Number(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_unit<E>(self) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Seen, A::Error> {
        while seq.next_element_seed(Inspect(&mut *self.0))?.is_some() {}
        Ok(Seen::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Seen, A::Error> {
        let (mut placeholder, mut num) = (false, None);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let value = map.next_value_seed(Inspect(&mut *self.0))?;
            match &*key {
                PLACEHOLDER => placeholder = matches!(value, Seen::True),
                NUM => {
                    num = if let Seen::Number(num) = value {
                        Some(num)
                    } else {
                        None
                    }
                }
                _ => {}
            }
        }
        if placeholder {
            let slot = num.and_then(|num| self.0.get_mut(usize::try_from(num).ok()?));
            match slot {
                Some(used) if !*used => *used = true,
                _ => return Err(serde::de::Error::custom("placeholder")),
            }
        }
        Ok(Seen::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode;
    use super::*;

    fn assembler(text: &str, limits: &Limits) -> Result<Assembler, AttachmentError> {
        Assembler::new(&decode(text, limits)?, limits)
    }

    #[test]
    fn attachments_come_in_order() {
        let text = r#"52-/adm,7["a",{"_placeholder":true,"num":1},[{"b":{"num":0,"_placeholder":true}}]]"#;
        let limits = Limits::default();
        let mut assembler = assembler(text, &limits).unwrap();
        assert_eq!(assembler.push(Bytes::from_static(b"first")), Ok(None));
        let (packet, attachments) = assembler.push(Bytes::from_static(b"")).unwrap().unwrap();
        assert_eq!(packet.as_packet(), decode(text, &limits).unwrap());
        assert_eq!(attachments, [&b"first"[..], b""]);
        assert_eq!(assembler.push(Bytes::new()), Err(AttachmentError::Unannounced));
    }

    #[test]
    fn an_attachment_may_have_no_placeholder() {
        let mut assembler = assembler(r#"61-1["a"]"#, &Limits::default()).unwrap();
        assert!(assembler.push(Bytes::new()).unwrap().is_some());
    }

    #[test]
    fn placeholders_must_point_at_an_attachment() {
        let bad = Err(AttachmentError::Placeholder { attachments: 2 });
        for num in [
            "2",
            "-1",
            "\"splice\"",
            "\"0\"",
            "0.5",
            "1.0",
            "null",
            "[0]",
            "{}",
            "true",
            "18446744073709551616",
            "1e0",
        ] {
            for text in [
                format!(r#"52-["a",{{"_placeholder":true,"num":{num}}}]"#),
                format!(r#"52-["a",{{"num":{num},"_placeholder":true}}]"#),
                format!(r#"52-["a",[[{{"b":{{"_placeholder":true,"num":{num}}}}}]]]"#),
                format!(r#"62-1[{{"_placeholder":true,"num":{num}}}]"#),
            ] {
                assert_eq!(assembler(&text, &Limits::default()).map(drop), bad, "{text}");
            }
        }
        for text in [
            r#"52-["a",{"_placeholder":true}]"#,
            r#"52-["a",{"_placeholder":true,"num":0,"num":5}]"#,
            r#"52-["a",{"\u005fplaceholder":true,"num":5}]"#,
            // Twice the same one.
            r#"52-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#,
            r#"52-["a",{"_placeholder":true,"num":0,"x":{"_placeholder":true,"num":0}}]"#,
        ] {
            assert_eq!(assembler(text, &Limits::default()).map(drop), bad, "{text}");
        }
    }

    #[test]
    fn what_is_no_placeholder() {
        for text in [
            r#"51-["a",{"_placeholder":false,"num":9}]"#,
            r#"51-["a",{"_placeholder":1,"num":9}]"#,
            r#"51-["a",{"_placeholder":"true","num":9}]"#,
            r#"51-["a",{"_placeholder":{"_placeholder":true,"num":0},"num":9}]"#,
            r#"51-["a",{"num":9}]"#,
            r#"51-["_placeholder","num",9]"#,
            r#"51-["a",{"_placeholder":true,"num":"x","num":0}]"#,
            r#"51-["a",{"n":1e308,"i":-5,"s":"x","z":null}]"#,
        ] {
            assert!(assembler(text, &Limits::default()).is_ok(), "{text}");
        }
    }

    #[test]
    fn the_json_is_checked_before_anything_is_awaited() {
        let limits = Limits {
            max_depth: 3,
            ..Limits::default()
        };
        let table = [
            (r#"51-["a""#, DecodeError::Json { offset: 4 }),
            (r#"51-["a"]x"#, DecodeError::Json { offset: 5 }),
            ("51-[]", DecodeError::EventName),
            (
                r#"51-["connect"]"#,
                DecodeError::ReservedEvent("connect".to_owned()),
            ),
            (r#"51-["a",[[[]]]]"#, DecodeError::TooDeep),
            ("61-1[1,]", DecodeError::Json { offset: 3 }),
        ];
        for (text, error) in table {
            assert_eq!(assembler(text, &limits).map(drop), Err(error.into()), "{text}");
        }
    }

    #[test]
    fn packets_that_announce_nothing() {
        let limits = Limits::default();
        let text = decode(r#"2["a"]"#, &limits).unwrap();
        assert_eq!(
            Assembler::new(&text, &limits).map(drop),
            Err(AttachmentError::Unannounced)
        );
        let none = Packet {
            kind: PacketKind::BinaryEvent,
            ..text
        };
        assert_eq!(
            Assembler::new(&none, &limits).map(drop),
            Err(DecodeError::AttachmentCount.into())
        );
        let many = Packet {
            attachments: usize::MAX,
            ..none
        };
        let error = DecodeError::TooManyAttachments {
            count: u64::MAX,
            max: 10,
        };
        assert_eq!(Assembler::new(&many, &limits).map(drop), Err(error.into()));
    }

    #[test]
    fn bytes_are_limited_together() {
        let limits = Limits {
            max_attachment_bytes: 10,
            ..Limits::default()
        };
        let mut assembler = assembler(r#"53-["a"]"#, &limits).unwrap();
        assert_eq!(assembler.push(Bytes::from_static(b"123456")), Ok(None));
        assert_eq!(assembler.push(Bytes::from_static(b"1234")), Ok(None));
        assert_eq!(
            assembler.push(Bytes::from_static(b"1")),
            Err(AttachmentError::TooLarge { max: 10 })
        );
    }
}
