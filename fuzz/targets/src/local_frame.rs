//! What comes over the socket of another process of this machine.

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    gatewire_local::fuzz_frames(input);
}
