//! The cork of a thread. While a driver works on incoming data, outboxes that are written to are only noted here;
//! when the work ends each is flushed once. A burst of replies, or of broadcasts to the same receivers, thus leaves in
//! one system call a socket. Without a cork an outbox writes at once; with one, too, when much waits
//! ([`bound`](crate::outbox)), so that no memory grows with what a handler sends.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::sync::Arc;

use crate::outbox::Outbox;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static TOUCHED: RefCell<Vec<Arc<Outbox>>> = const { RefCell::new(Vec::new()) };
}

/// Entries for which the list of touched outboxes keeps its memory between two uses.
const KEPT: usize = 4096;

/// Holds the cork in; dropping the outermost guard flushes what was touched.
pub(crate) struct Corked(PhantomData<*const ()>);

/// Puts the cork in for this thread.
pub(crate) fn enter() -> Corked {
    DEPTH.set(DEPTH.get() + 1);
    Corked(PhantomData)
}

/// Whether this thread is corked: then an outbox queues and calls [`touch`] instead of writing.
pub(crate) fn is_in() -> bool {
    DEPTH.get() > 0
}

/// Has `outbox` flushed when the cork comes out. To be called once per outbox and cork.
pub(crate) fn touch(outbox: Arc<Outbox>) {
    TOUCHED.with_borrow_mut(|touched| touched.push(outbox));
}

impl Drop for Corked {
    fn drop(&mut self) {
        let depth = DEPTH.get() - 1;
        DEPTH.set(depth);
        if depth > 0 {
            return;
        }
        let mut touched = TOUCHED.take();
        for outbox in touched.drain(..) {
            outbox.flush();
        }
        if touched.capacity() <= KEPT {
            TOUCHED.set(touched);
        }
    }
}
