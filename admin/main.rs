//! The `zonda` program.

use std::process::ExitCode;

/// The allocator of the whole process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match zonda::cli::run(std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            engine::log::complaint(&why);
            ExitCode::FAILURE
        }
    }
}
