//! The bytes of a prepared packet as they go to a connection: one piece, but for large attachments, which are not copied.

use bytes::Bytes;
use gatewire_proto::large;
use gatewire_proto::pieces::Pieces;

/// WebSocket frames in a row, or the chunk of a stream of events.
#[derive(Clone)]
pub(crate) enum Frames {
    Whole(Bytes),
    /// With large attachments between own bytes.
    Pieces(Box<[Bytes]>),
}

impl Frames {
    /// What is written behind the first `start` bytes.
    pub(crate) fn new(frames: Pieces, start: usize) -> Self {
        let mut pieces = frames.into_bytes(start);
        match &mut *pieces {
            [whole] => Self::Whole(std::mem::take(whole)),
            _ => Self::Pieces(pieces.into()),
        }
    }

    #[inline]
    pub(crate) fn pieces(&self) -> &[Bytes] {
        match self {
            Self::Whole(whole) => std::slice::from_ref(whole),
            Self::Pieces(pieces) => pieces,
        }
    }

    /// What was written before the first large attachment: the text, and a header.
    #[inline]
    pub(crate) fn first(&self) -> &Bytes {
        static NOTHING: Bytes = Bytes::new();
        self.pieces().first().unwrap_or(&NOTHING)
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.pieces().iter().map(Bytes::len).sum()
    }

    /// All bytes but those of a header in one piece: a copy, if there are several.
    pub(crate) fn without(&self, header: usize) -> Bytes {
        match self {
            Self::Whole(whole) => whole.slice(header..),
            Self::Pieces(pieces) => {
                let mut all = large::buffer(self.len());
                pieces.iter().for_each(|piece| all.extend_from_slice(piece));
                large::share(all).slice(header..)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use gatewire_proto::websocket::{self, DeflateOptions, MAX_HEADER, Opcode};

    use super::*;
    use crate::{Message, Prepared};

    #[test]
    fn large_attachments_are_pieces_of_their_own() {
        let [one, other] = [1, 2].map(|byte| Bytes::from(vec![byte; large::LEAST]));
        let small = Bytes::from_static(b"small");
        let attachments = [small.clone(), one.clone(), other.clone(), small];
        let prepared = Prepared::from_data("/", r#"["e"]"#, &attachments, None);
        let mut frames = Vec::new();
        websocket::put_frame(&mut frames, Opcode::Text, br#"454-["e"]"#);
        for data in &attachments {
            websocket::put_frame(&mut frames, Opcode::Binary, data);
        }
        let pieces = prepared.websocket();
        assert_eq!(pieces.concat(), frames);
        assert_eq!(prepared.websocket_len(), frames.len());
        assert_eq!(
            [pieces[1].as_ptr(), pieces[3].as_ptr()],
            [one.as_ptr(), other.as_ptr()]
        );
        assert_eq!(prepared.attachments(), attachments);
        assert_eq!(prepared.size(), (5, 9 + 2 * 5 + 2 * large::LEAST));
        assert_eq!(prepared.data(), r#"["e"]"#);
        assert_eq!(prepared.deflated(&DeflateOptions::default(), 15).len(), 1);
    }

    #[test]
    fn one_message_in_pieces() {
        let large = Bytes::from(vec![7; large::LEAST]);
        for data in [Bytes::from_static(b"small"), large.clone()] {
            let mut message = Pieces::from([&[0; MAX_HEADER], &b"head"[..]].concat());
            message.push(&data);
            message.own().extend_from_slice(b"tail");
            let prepared = Prepared::from_binary(message);
            let whole = [b"head", &data[..], b"tail"].concat();
            let mut frame = Vec::new();
            websocket::put_frame(&mut frame, Opcode::Binary, &whole);
            assert_eq!(prepared.websocket().concat(), frame);
            assert_eq!(prepared.size(), (1, whole.len()));
            assert!(prepared.has_binary());
            assert!(prepared.messages().eq([Message::Binary(whole.into())]));
            let is_shared = prepared
                .websocket()
                .iter()
                .any(|piece| piece.as_ptr() == data.as_ptr());
            assert_eq!(is_shared, data == large);
        }
    }
}
