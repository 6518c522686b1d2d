//! Whatever an upstream sends, a client can read what it gets of it.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| engine::wire::fuzz_received(octets));
