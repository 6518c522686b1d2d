//! Any text is read to its end, and what was read, written and read again is the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| store::zonefile::fuzz_check(text));
