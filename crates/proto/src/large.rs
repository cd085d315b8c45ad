//! Buffers of large messages, which a thread keeps for the next ones. Fresh memory costs a page fault and a cleared page for each
//! 4 KiB, which is more than all else that is done with a large message. What is kept belongs to the thread, not to a
//! connection, and is limited.

use std::cell::RefCell;

use bytes::Bytes;

/// Smaller buffers are left to the allocator, which reuses them by itself; in bytes.
pub const LEAST: usize = 32 << 10;

/// How much a thread keeps altogether, in bytes.
const MOST: usize = 8 << 20;

/// A buffer is not used for what takes less than a part of it: whoever keeps a message keeps its whole buffer.
const PART: usize = 4;

thread_local! {
    static KEPT: RefCell<Kept> = const { RefCell::new(Kept { buffers: Vec::new(), bytes: 0 }) };
}

struct Kept {
    /// In the order in which they came back.
    buffers: Vec<Vec<u8>>,
    /// Invariant: the capacities of all of them.
    bytes: usize,
}

/// An empty buffer for at least so many bytes.
#[must_use]
pub fn buffer(capacity: usize) -> Vec<u8> {
    kept(capacity).unwrap_or_else(|| Vec::with_capacity(capacity))
}

/// A buffer for at least so many bytes that this thread has kept, empty: it takes no memory that is not taken already.
#[must_use]
pub fn kept(capacity: usize) -> Option<Vec<u8>> {
    if capacity < LEAST {
        return None;
    }
    KEPT.try_with(|kept| kept.try_borrow_mut().ok()?.take(capacity))
        .ok()?
}

/// Keeps a buffer for the next large message, or frees it.
pub fn keep(buffer: Vec<u8>) {
    if buffer.capacity() >= LEAST {
        // Where the thread ends, or something is odd, the buffer is freed.
        let _ = KEPT.try_with(|kept| kept.try_borrow_mut().map(|mut kept| kept.put(buffer)));
    }
}

/// A buffer as bytes, which keep it when the last of them is dropped.
#[must_use]
pub fn share(buffer: Vec<u8>) -> Bytes {
    if buffer.capacity() < LEAST {
        return Bytes::from(buffer);
    }
    Bytes::from_owner(Shared(buffer))
}

/// A copy.
#[must_use]
pub fn copy(data: &[u8]) -> Bytes {
    if data.len() < LEAST {
        return Bytes::copy_from_slice(data);
    }
    let mut buffer = buffer(data.len());
    buffer.extend_from_slice(data);
    share(buffer)
}

impl Kept {
    /// The smallest that is large enough, and not much too large.
    fn take(&mut self, capacity: usize) -> Option<Vec<u8>> {
        let sizes = capacity..=capacity.saturating_mul(PART);
        let fits = |(_, buffer): &(usize, &Vec<u8>)| sizes.contains(&buffer.capacity());
        let candidates = self.buffers.iter().enumerate().filter(fits);
        let (at, _) = candidates.min_by_key(|(_, buffer)| buffer.capacity())?;
        let mut buffer = self.buffers.remove(at);
        self.bytes -= buffer.capacity();
        buffer.clear();
        Some(buffer)
    }

    /// Those that have lain unused longest make room: messages may be of another size than they were.
    fn put(&mut self, buffer: Vec<u8>) {
        if buffer.capacity() > MOST {
            return;
        }
        while self.bytes + buffer.capacity() > MOST {
            self.bytes -= self.buffers.remove(0).capacity();
        }
        self.bytes += buffer.capacity();
        self.buffers.push(buffer);
    }
}

struct Shared(Vec<u8>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        keep(std::mem::take(&mut self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_a_thread(test: fn()) {
        // Each with a pool of its own.
        std::thread::spawn(test).join().unwrap();
    }

    #[test]
    fn a_buffer_comes_back_when_the_last_reference_is_gone() {
        on_a_thread(|| {
            let data = vec![7; LEAST];
            let one = copy(&data);
            let at = one.as_ptr();
            let part = one.slice(1..3);
            drop(one);
            assert_eq!(kept(LEAST), None, "a slice is still there");
            assert_eq!(part, [7, 7][..]);
            drop(part);
            let again = kept(LEAST).unwrap();
            assert_eq!((again.as_ptr(), again.len()), (at, 0));
            assert_eq!(kept(LEAST), None);
        });
    }

    #[test]
    fn what_is_kept_is_limited_and_small_buffers_are_not() {
        on_a_thread(|| {
            keep(Vec::with_capacity(LEAST - 1));
            assert_eq!(kept(LEAST - 1), None);
            for _ in 0..3 {
                keep(Vec::with_capacity(MOST / 2));
            }
            assert!(kept(MOST / 2).is_some() && kept(MOST / 2).is_some());
            assert_eq!(kept(LEAST), None);
            assert_eq!(copy(b"small"), b"small"[..]);
        });
    }

    #[test]
    fn the_smallest_that_fits_is_taken() {
        on_a_thread(|| {
            for size in [4 * LEAST, LEAST, 2 * LEAST] {
                keep(Vec::with_capacity(size));
            }
            assert_eq!(buffer(LEAST + 1).capacity(), 2 * LEAST);
            assert_eq!(buffer(LEAST + 1).capacity(), 4 * LEAST);
            assert_eq!(buffer(LEAST).capacity(), LEAST);
        });
    }

    #[test]
    fn a_message_does_not_hold_on_to_much_more_than_itself() {
        on_a_thread(|| {
            keep(Vec::with_capacity(PART * LEAST + 1));
            assert_eq!(kept(LEAST), None);
            assert!(kept(LEAST + 1).is_some());
        });
    }

    #[test]
    fn buffers_of_a_size_that_does_not_come_any_more_make_room() {
        on_a_thread(|| {
            keep(Vec::with_capacity(MOST));
            keep(Vec::with_capacity(LEAST));
            assert!(kept(LEAST).is_some());
            assert_eq!(kept(MOST), None);
            keep(Vec::with_capacity(MOST + 1));
            assert_eq!(kept(MOST), None);
        });
    }
}
