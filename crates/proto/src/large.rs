//! Buffers of large messages, which a thread keeps for the next ones. Fresh memory costs a page fault and a cleared page for each
//! 4 KiB, which is more than all else that is done with a large message. What is kept belongs to the thread, not to a
//! connection, and is limited.
//!
//! A buffer that became a message is known to the thread as long as it lives: who is shown a part of it, as a slice without
//! an owner, and wants to keep that, [owns](own) it without a copy.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;

/// Smaller buffers are left to the allocator, which reuses them by itself; in bytes.
pub const LEAST: usize = 32 << 10;

/// How much a thread keeps altogether, in bytes.
const MOST: usize = 8 << 20;

/// A buffer is not used for what takes less than a part of it: whoever keeps a message keeps its whole buffer.
const PART: usize = 4;

/// Room behind what is large, so that the few bytes that end a message do not move it.
const BEHIND: usize = 256;

/// Shared buffers that a thread knows. What is passed on is mostly the message that is being handled, or one of the last.
const KNOWN: usize = 16;

thread_local! {
    static KEPT: RefCell<Kept> = const { RefCell::new(Kept { buffers: Vec::new(), bytes: 0 }) };
    static SHARED: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
}

/// The bytes of all threads.
static KEPT_BYTES: AtomicUsize = AtomicUsize::new(0);

/// A buffer that was shared and may live.
struct Known {
    /// Where its bytes begin: told without asking whether it lives.
    address: usize,
    len: usize,
    buffer: Weak<Shared>,
}

struct Kept {
    /// In the order in which they came back.
    buffers: Vec<Vec<u8>>,
    /// Invariant: the capacities of all of them.
    bytes: usize,
}

/// Bytes that all threads together keep for the next large messages: they are allocated, and in nobody's use. At most 8 MiB for
/// each thread.
#[must_use]
pub fn kept_bytes() -> usize {
    KEPT_BYTES.load(Ordering::Relaxed)
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

/// Makes room for so many bytes more in `buffer`, and a few behind them: large room in memory that this thread has kept, if there
/// is some.
#[inline]
pub fn reserve(buffer: &mut Vec<u8>, additional: usize) {
    if additional > buffer.capacity() - buffer.len() {
        grow(buffer, additional);
    }
}

#[cold]
fn grow(buffer: &mut Vec<u8>, additional: usize) {
    if additional < LEAST {
        return buffer.reserve(additional);
    }
    let additional = additional.saturating_add(BEHIND);
    match kept(buffer.len().saturating_add(additional)) {
        Some(mut large) => {
            large.extend_from_slice(buffer);
            keep(std::mem::replace(buffer, large));
        }
        None => buffer.reserve(additional),
    }
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
    let buffer = Arc::new(Shared(buffer));
    let known = Known {
        address: buffer.0.as_ptr().addr(),
        len: buffer.0.len(),
        buffer: Arc::downgrade(&buffer),
    };
    // Where the thread ends, what is passed on is copied.
    let _ = SHARED.try_with(|shared| shared.try_borrow_mut().map(|mut shared| note(&mut shared, known)));
    Bytes::from_owner(Handle(buffer))
}

/// The same bytes, to be kept: shared, if they are no small part of a buffer that this thread has [shared](share) lately, else
/// a copy.
#[must_use]
pub fn own(data: &[u8]) -> Bytes {
    if data.len() < LEAST {
        return Bytes::copy_from_slice(data);
    }
    if let Some(buffer) = known(data) {
        let bytes = Bytes::from_owner(Handle(buffer));
        return bytes.slice_ref(data);
    }
    let mut buffer = buffer(data.len());
    buffer.extend_from_slice(data);
    share(buffer)
}

/// The buffer that `data` is a part of. As long as it lives its memory is nobody else's, so an address within is enough.
fn known(data: &[u8]) -> Option<Arc<Shared>> {
    let address = data.as_ptr().addr();
    let holds = |known: &&Known| {
        let end = known.address + known.len;
        (known.address..end).contains(&address) && data.len() <= end - address
    };
    let find = |shared: &Vec<Known>| {
        // An older one at this place is gone.
        let known = shared.iter().rev().find(holds)?;
        known.buffer.upgrade()
    };
    let found = SHARED.try_with(|shared| find(&*shared.try_borrow().ok()?));
    found
        .ok()?
        .filter(|buffer| data.len().saturating_mul(PART) >= buffer.0.capacity())
}

fn note(shared: &mut Vec<Known>, known: Known) {
    shared.retain(|known| known.buffer.strong_count() > 0);
    if shared.len() == KNOWN {
        shared.remove(0);
    }
    shared.push(known);
}

impl Kept {
    /// The smallest that is large enough, and not much too large.
    fn take(&mut self, capacity: usize) -> Option<Vec<u8>> {
        let sizes = capacity..=capacity.saturating_mul(PART);
        let fits = |(_, buffer): &(usize, &Vec<u8>)| sizes.contains(&buffer.capacity());
        let candidates = self.buffers.iter().enumerate().filter(fits);
        let (at, _) = candidates.min_by_key(|(_, buffer)| buffer.capacity())?;
        let mut buffer = self.remove(at);
        buffer.clear();
        Some(buffer)
    }

    /// Those that have lain unused longest make room: messages may be of another size than they were.
    fn put(&mut self, buffer: Vec<u8>) {
        if buffer.capacity() > MOST {
            return;
        }
        while self.bytes + buffer.capacity() > MOST {
            self.remove(0);
        }
        self.bytes += buffer.capacity();
        KEPT_BYTES.fetch_add(buffer.capacity(), Ordering::Relaxed);
        self.buffers.push(buffer);
    }

    fn remove(&mut self, at: usize) -> Vec<u8> {
        let buffer = self.buffers.remove(at);
        self.bytes -= buffer.capacity();
        KEPT_BYTES.fetch_sub(buffer.capacity(), Ordering::Relaxed);
        buffer
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        KEPT_BYTES.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What is kept when its last owner is gone.
struct Shared(Vec<u8>);

/// One owner.
struct Handle(Arc<Shared>);

impl AsRef<[u8]> for Handle {
    fn as_ref(&self) -> &[u8] {
        &self.0.0
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
            let one = own(&data);
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
    fn what_lies_in_a_shared_buffer_is_not_copied() {
        on_a_thread(|| {
            let message = share((0..=255).cycle().take(2 * LEAST).collect());
            let part = own(&message[9..]);
            let again = own(&part[1..]);
            assert_eq!(
                (part.as_ptr(), again.as_ptr()),
                (&raw const message[9], &raw const message[10])
            );
            assert_eq!((part.len(), again.len()), (2 * LEAST - 9, 2 * LEAST - 10));
            drop((message, part));
            assert_eq!(kept(LEAST), None, "a part is still there");
            assert_eq!(again[..3], [10, 11, 12]);
            drop(again);
            assert!(kept(LEAST).is_some());
        });
    }

    #[test]
    fn a_small_part_does_not_keep_a_shared_buffer() {
        on_a_thread(|| {
            let message = share(vec![7; PART * LEAST + 1]);
            let (part, small) = (own(&message[..LEAST]), own(&message[..1]));
            assert!(part.as_ptr() != message.as_ptr() && small.as_ptr() != message.as_ptr());
            assert_eq!(own(&message[1..]).as_ptr(), &raw const message[1]);
        });
    }

    #[test]
    fn a_buffer_that_is_gone_is_not_taken_for_the_one_in_its_place() {
        on_a_thread(|| {
            let first = share(vec![7; LEAST]);
            let at = first.as_ptr();
            drop(first);
            // The same memory, with an owner that is not known.
            let second = kept(LEAST).unwrap();
            assert_eq!(second.as_ptr(), at);
            let second = vec_of(second, 8);
            let copy = own(&second);
            assert!(copy.as_ptr() != at && copy == second);
        });
    }

    #[test]
    fn few_shared_buffers_are_known() {
        on_a_thread(|| {
            let messages: Vec<Bytes> = (0..=KNOWN).map(|_| share(vec![7; LEAST])).collect();
            assert_ne!(own(&messages[0]).as_ptr(), messages[0].as_ptr());
            assert_eq!(own(&messages[KNOWN]).as_ptr(), messages[KNOWN].as_ptr());
        });
    }

    fn vec_of(mut buffer: Vec<u8>, byte: u8) -> Vec<u8> {
        buffer.resize(LEAST, byte);
        buffer
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
            assert_eq!(own(b"small"), b"small"[..]);
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
    fn a_buffer_grows_into_what_is_kept() {
        on_a_thread(|| {
            let large = Vec::with_capacity(2 * LEAST);
            let at = large.as_ptr();
            keep(large);
            let mut buffer = b"head".to_vec();
            reserve(&mut buffer, 100);
            assert_ne!(buffer.as_ptr(), at);
            reserve(&mut buffer, LEAST);
            assert_eq!((buffer.as_ptr(), &*buffer), (at, &b"head"[..]));
            reserve(&mut buffer, 2 * LEAST);
            assert!(buffer.capacity() >= 4 + 2 * LEAST + BEHIND);
            assert_eq!(buffer, b"head");
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
