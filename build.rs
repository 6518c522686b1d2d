//! Tells the program which compiler and which commit it was built from.

use std::process::Command;

fn main() {
    let first_line = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let compiler = first_line(&rustc, &["--version"]).unwrap_or_else(|| "rustc".into());
    let compiler = compiler.split(" (").next().unwrap_or_default().to_owned();
    let commit = first_line("git", &["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "no commit".into());
    println!("cargo::rustc-env=ZONDA_COMPILER={compiler}");
    println!("cargo::rustc-env=ZONDA_COMMIT={commit}");
    println!("cargo::rerun-if-changed=.git/logs/HEAD");
    println!("cargo::rerun-if-changed=build.rs");
    // A release has the console's files inside, new ones too; a debug build reads them as they are asked for.
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo::rerun-if-changed=admin/console");
    }
}
