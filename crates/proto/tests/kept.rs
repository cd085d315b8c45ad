//! What the threads of a program keep for large messages, told for all of them. A test by itself: others would keep some, too.

use std::thread;

use gatewire_proto::large::{self, LEAST};

#[test]
fn what_is_kept_is_told_until_it_is_used_or_its_thread_ends() {
    large::keep(Vec::with_capacity(LEAST));
    let there = || {
        large::keep(Vec::with_capacity(2 * LEAST));
        large::kept_bytes()
    };
    assert_eq!(thread::spawn(there).join().ok(), Some(3 * LEAST));
    assert_eq!(large::kept_bytes(), LEAST);
    let message = large::share(large::buffer(LEAST));
    assert_eq!(large::kept_bytes(), 0);
    drop(message);
    assert_eq!(large::kept_bytes(), LEAST);
}
