//! The floor under every figure of `benches/load`: the workers of `engine::net`, and behind them nothing of DNS.
//!
//! Whatever comes is sent back as an answer with one fixed address record behind it, which is as long as the answer to
//! the same question about a name that has one address. What a server needs more than this is what it pays for DNS.
//!
//! ```sh
//! cargo run --release --example null_responder -- 127.0.0.1:1053
//! ```
//!
//! Like zonda it takes one worker a CPU that the process may use, and `ZONDA_IO` chooses the way in.

use std::net::SocketAddr;
use std::process::ExitCode;

use engine::net::{Arrival, Batch, IoChoice, Listener, Options, Responder, Responders, start};

/// Has no state.
#[derive(Clone, Copy)]
struct Null;

impl Responder for Null {
    type Batch<'r> = Self;

    fn batch(&mut self) -> Self {
        *self
    }
}

impl Batch for Null {
    #[inline]
    fn answer(&mut self, _: usize, buffer: &mut [u8], len: usize, _: &Arrival) -> Option<usize> {
        let end = len + RECORD.len();
        buffer.get_mut(len..end)?.copy_from_slice(&RECORD);
        // QR and AA, one record in the answer section.
        *buffer.get_mut(2)? |= 0x84;
        *buffer.get_mut(7)? = 1;
        Some(end)
    }
}

impl Responders for Null {
    type R = Self;

    fn responder(&self) -> Self {
        *self
    }
}

/// Serves the address given until the process is killed.
fn main() -> ExitCode {
    let address = std::env::args().nth(1).and_then(|text| text.parse::<SocketAddr>().ok());
    let io = std::env::var("ZONDA_IO").map_or(Some(IoChoice::Auto), |name| IoChoice::from_name(&name));
    let (Some(addr), Some(io)) = (address, io) else {
        eprintln!("usage: null_responder ADDRESS:PORT; ZONDA_IO may be auto, ring or mmsg");
        return ExitCode::FAILURE;
    };
    let running = match start(&[Listener::plain(addr)], Null, &Options { io, ..Options::default() }) {
        Ok(running) => running,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    println!("answering on {addr} over {}", running.io().way.name());
    loop {
        if let Some(why) = running.failure() {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}

/// The question's name, A, IN, an hour, 192.0.2.1.
const RECORD: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4, 192, 0, 2, 1];
