//! Bytes that go out one after the other, in pieces: own ones, which are written here, and large ones between that others hold,
//! too, and that are not copied.

use bytes::Bytes;

use crate::large;

/// A row of bytes that is being written.
///
/// ```
/// use bytes::Bytes;
/// use gatewire_proto::pieces::Pieces;
///
/// let picture = Bytes::from(vec![7; 100_000]);
/// let mut pieces = Pieces::default();
/// pieces.own().extend_from_slice(b"begin");
/// pieces.push(&picture);
/// pieces.own().extend_from_slice(b"end");
/// assert_eq!(pieces.len(), 100_008);
/// assert_eq!(pieces.into_bytes(0)[1].as_ptr(), picture.as_ptr());
/// ```
#[derive(Debug, Default)]
pub struct Pieces {
    own: Vec<u8>,
    /// With the number of own bytes before it.
    shared: Vec<(usize, Bytes)>,
}

impl From<Vec<u8>> for Pieces {
    /// Goes on with these bytes.
    fn from(own: Vec<u8>) -> Self {
        Self {
            own,
            shared: Vec::new(),
        }
    }
}

impl Pieces {
    /// Where own bytes are appended. What stands there may be changed, but not made longer or shorter.
    pub fn own(&mut self) -> &mut Vec<u8> {
        &mut self.own
    }

    /// Own bytes and shared ones, each with its place among the own ones.
    pub(crate) fn parts(&mut self) -> (&mut Vec<u8>, &mut Vec<(usize, Bytes)>) {
        (&mut self.own, &mut self.shared)
    }

    /// Appends `data`: by reference if it is [large](large::LEAST), else as a copy.
    pub fn push(&mut self, data: &Bytes) {
        if data.len() < large::LEAST {
            self.own.extend_from_slice(data);
        } else {
            self.shared.push((self.own.len(), data.clone()));
        }
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.own.len() + self.shared.iter().map(|(_, data)| data.len()).sum::<usize>()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.shared.is_empty()
    }

    /// The bytes as one piece: without a copy, if all are own ones.
    #[must_use]
    pub fn into_own(mut self) -> Vec<u8> {
        if self.shared.is_empty() {
            return std::mem::take(&mut self.own);
        }
        let mut all = large::buffer(self.len());
        for piece in self.into_bytes(0) {
            all.extend_from_slice(&piece);
        }
        all
    }

    /// The pieces in their order, without the first `skipped` own bytes.
    #[must_use]
    pub fn into_bytes(self, skipped: usize) -> Vec<Bytes> {
        let own = large::share(self.own);
        let mut pieces = Vec::with_capacity(2 * self.shared.len() + 1);
        let mut at = skipped;
        for (end, data) in self.shared {
            if at < end {
                pieces.push(own.slice(at..end));
            }
            at = at.max(end);
            pieces.push(data);
        }
        if at < own.len() {
            pieces.push(own.slice(at..));
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn large(byte: u8) -> Bytes {
        vec![byte; large::LEAST].into()
    }

    #[test]
    fn what_is_large_is_shared_and_the_rest_copied() {
        let (one, other) = (large(1), large(2));
        let mut pieces = Pieces::from(b"..a".to_vec());
        pieces.push(&Bytes::from_static(b"b"));
        pieces.push(&one);
        pieces.push(&other);
        pieces.own().push(b'c');
        assert_eq!(pieces.len(), 5 + 2 * large::LEAST);
        let bytes = pieces.into_bytes(2);
        assert_eq!(bytes, [&b"ab"[..], &one, &other, b"c"]);
        assert_eq!(
            [bytes[1].as_ptr(), bytes[2].as_ptr()],
            [one.as_ptr(), other.as_ptr()]
        );
    }

    #[test]
    fn there_are_no_empty_pieces() {
        assert!(Pieces::default().is_empty());
        assert!(Pieces::default().into_bytes(0).is_empty());
        let mut pieces = Pieces::from(b"..".to_vec());
        pieces.push(&large(1));
        assert!(!pieces.is_empty());
        assert_eq!(pieces.into_bytes(2), [large(1)]);
    }

    #[test]
    fn own_bytes_alone_are_not_copied() {
        let own = b"own".to_vec();
        let at = own.as_ptr();
        let whole = Pieces::from(own).into_own();
        assert_eq!((whole.as_ptr(), &*whole), (at, &b"own"[..]));
        let mut pieces = Pieces::from(b"a".to_vec());
        pieces.push(&large(1));
        assert_eq!(pieces.into_own(), [b"a", &large(1)[..]].concat());
    }
}
