//! What comes over the socket of another process of this machine.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| gatewire_local::fuzz_frames(bytes));
