//! Messages in what carries them over HTTP, gRPC, QUIC and TCP.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| engine::net::fuzz_carried(octets));
