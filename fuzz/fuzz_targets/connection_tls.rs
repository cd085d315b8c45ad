#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| gatewire_fuzz_targets::connection_tls::run(input));
