//! Zones and questions that octets choose are answered as by the reference, which follows the RFCs over plain lists.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| engine::zone::random::check(octets));
