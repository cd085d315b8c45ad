//! The bytes that wait for one socket, in order: shared frames by reference, small own packets copied together so
//! that a burst of replies is one buffer. Holds no memory when empty.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

/// Own packets are copied together until their buffer has this many bytes.
const OWN_CHUNK: usize = 16 * 1024;

/// Room for the first packets of a burst: below the size up to which allocators keep freed blocks at hand.
const OWN_ROOM: usize = 1000;

/// Chunks handed to one vectored write.
pub(crate) const MAX_SLICES: usize = 64;

/// What waits to be written to one socket.
#[derive(Debug, Default)]
pub(crate) struct WriteQueue {
    /// The chunk being written; apart from the rest so that the common single chunk costs no allocation.
    first: Option<Chunk>,
    /// Invariant: empty if `first` is `None`.
    rest: VecDeque<Chunk>,
    /// Bytes of `first` that are already written.
    written: usize,
    /// Bytes that still wait, over all chunks.
    bytes: usize,
}

#[derive(Debug)]
enum Chunk {
    Shared(Bytes),
    Own(Vec<u8>),
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

impl WriteQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Bytes that wait, with those that keeping each chunk takes: small ones cost more than they hold.
    pub(crate) fn len(&self) -> usize {
        self.bytes + self.rest.len() * size_of::<Chunk>()
    }

    /// Appends a frame that other queues hold, too.
    pub(crate) fn push_shared(&mut self, frame: Bytes) {
        if !frame.is_empty() {
            self.bytes += frame.len();
            self.push(Chunk::Shared(frame));
        }
    }

    /// Puts bytes before all that waits, of which nothing may have left.
    pub(crate) fn push_front(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            if let Some(next) = self.first.replace(Chunk::Own(bytes)) {
                self.rest.push_front(next);
            }
        }
    }

    /// Appends a copy of `frame`.
    pub(crate) fn push_copy(&mut self, frame: &[u8]) {
        if frame.is_empty() {
            return;
        }
        self.bytes += frame.len();
        let last = if self.rest.is_empty() {
            self.first.as_mut()
        } else {
            self.rest.back_mut()
        };
        match last {
            Some(Chunk::Own(own)) if own.len() < OWN_CHUNK => own.extend_from_slice(frame),
            _ => {
                let mut own = Vec::with_capacity(frame.len().max(OWN_ROOM));
                own.extend_from_slice(frame);
                self.push(Chunk::Own(own));
            }
        }
    }

    fn push(&mut self, chunk: Chunk) {
        if self.first.is_none() {
            self.first = Some(chunk);
        } else {
            self.rest.push_back(chunk);
        }
    }

    /// The next chunks, filled into `slices`, the last one cut so that they hold no more than `share` bytes together; how
    /// many there are, and their bytes.
    pub(crate) fn slices<'a>(
        &'a self,
        slices: &mut [IoSlice<'a>; MAX_SLICES],
        share: usize,
    ) -> (usize, usize) {
        let Some(first) = &self.first else {
            return (0, 0);
        };
        let mut bytes = &first.bytes()[self.written..];
        let mut rest = self.rest.iter();
        let (mut count, mut offered) = (0, 0);
        for slice in slices {
            bytes = &bytes[..bytes.len().min(share - offered)];
            *slice = IoSlice::new(bytes);
            count += 1;
            offered += bytes.len();
            match rest.next() {
                Some(chunk) if offered < share => bytes = chunk.bytes(),
                _ => break,
            }
        }
        (count, offered)
    }

    /// Drops `count` bytes from the front: they are written.
    pub(crate) fn advance(&mut self, count: usize) {
        self.bytes = self.bytes.saturating_sub(count);
        let mut left = count + self.written;
        while let Some(first) = &self.first {
            let len = first.bytes().len();
            if left < len {
                break;
            }
            left -= len;
            self.first = self.rest.pop_front();
        }
        self.written = if self.first.is_some() { left } else { 0 };
        if self.rest.is_empty() && self.rest.capacity() > 0 {
            self.rest = VecDeque::new();
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Drops all but the first chunk, part of which may be written: what follows it begins with a frame of its own.
    pub(crate) fn keep_begun(&mut self) {
        self.rest = VecDeque::new();
        self.bytes = self
            .first
            .as_ref()
            .map_or(0, |first| first.bytes().len() - self.written);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(queue: &WriteQueue) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let (count, _) = queue.slices(&mut slices, usize::MAX);
        slices[..count].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn keeps_the_order_of_shared_and_own_chunks() {
        let mut queue = WriteQueue::default();
        queue.push_copy(b"a");
        queue.push_copy(b"b");
        queue.push_shared(Bytes::from_static(b"cd"));
        queue.push_copy(b"e");
        assert_eq!(content(&queue), b"abcde");
        assert_eq!(queue.bytes, 5);
    }

    #[test]
    fn what_goes_before_is_written_first() {
        let mut queue = WriteQueue::default();
        queue.push_front(b"a".to_vec());
        assert_eq!(content(&queue), b"a");
        queue.push_shared(Bytes::from_static(b"b"));
        queue.push_front(Vec::new());
        queue.push_front(b"head".to_vec());
        queue.push_copy(b"c");
        assert_eq!(content(&queue), b"headabc");
        assert_eq!(queue.bytes, 7);
    }

    #[test]
    fn any_partial_write_leaves_the_rest() {
        for taken in 0..=6 {
            let mut queue = WriteQueue::default();
            queue.push_shared(Bytes::from_static(b"ab"));
            queue.push_copy(b"cd");
            queue.push_shared(Bytes::from_static(b"ef"));
            let mut left = taken;
            while left > 0 {
                let step = left.min(1 + left % 2);
                queue.advance(step);
                left -= step;
            }
            assert_eq!(content(&queue), b"abcdef"[taken..]);
            assert_eq!(queue.bytes, 6 - taken);
        }
    }

    #[test]
    fn no_more_than_a_share_is_offered() {
        let mut queue = WriteQueue::default();
        queue.push_shared(Bytes::from_static(b"abc"));
        queue.push_shared(Bytes::from_static(b"def"));
        for (share, wanted) in [(1, (1, 1)), (3, (1, 3)), (4, (2, 4)), (6, (2, 6)), (7, (2, 6))] {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            assert_eq!(queue.slices(&mut slices, share), wanted, "{share}");
        }
    }

    #[test]
    fn small_chunks_count_for_what_they_cost() {
        let mut queue = WriteQueue::default();
        for _ in 0..100 {
            queue.push_shared(Bytes::from_static(b"a"));
        }
        assert!(queue.len() >= 99 * size_of::<Chunk>());
        queue.advance(100);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn what_has_begun_can_be_ended() {
        let mut queue = WriteQueue::default();
        queue.push_shared(Bytes::from_static(b"abcd"));
        queue.push_shared(Bytes::from_static(b"ef"));
        queue.push_copy(b"gh");
        queue.advance(1);
        queue.keep_begun();
        queue.push_copy(b"!");
        assert_eq!(content(&queue), b"bcd!");
        queue.advance(4);
        queue.keep_begun();
        assert!(queue.is_empty());
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn is_without_memory_when_empty() {
        let mut queue = WriteQueue::default();
        for _ in 0..100 {
            queue.push_shared(Bytes::from_static(b"abc"));
        }
        queue.advance(300);
        assert!(queue.is_empty());
        assert_eq!(queue.rest.capacity(), 0);
        assert_eq!(queue.written, 0);
    }
}
