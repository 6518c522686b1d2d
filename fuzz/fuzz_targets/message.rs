//! Any octets get an answer that keeps the rules of messages, or a silence that is due.
#![no_main]

#[path = "../../tests/any_message.rs"]
mod any_message;

use std::cell::RefCell;

thread_local! {
    static SERVER: RefCell<engine::plugin::Worker> = RefCell::new(any_message::server());
}

libfuzzer_sys::fuzz_target!(|message: &[u8]| SERVER.with_borrow_mut(|server| any_message::check(server, message)));
