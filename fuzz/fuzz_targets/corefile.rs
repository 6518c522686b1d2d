//! Reading any Corefile ends, and what was read prints as text that is read as the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| engine::plugin::corefile::fuzz_check(text));
