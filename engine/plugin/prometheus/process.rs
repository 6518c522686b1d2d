//! The metrics of the process, from what the kernel shows under /proc.

use std::fs::{self, read_to_string};

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{SysconfVar, sysconf};

use crate::log;
use crate::metrics::Text;

/// Writes them all; what the kernel does not show is left out.
pub(super) fn write(text: &mut Text) {
    let version = env!("CARGO_PKG_VERSION");
    let labels = [("version", version), ("revision", ""), ("goversion", "")];
    text.gauge("coredns_build_info", "Version of this build.", &labels, 1.0);
    text.counter("zonda_log_lines_dropped_total", "Lines about queries that found no room.", &[], log::dropped());
    write_stat(text);
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        text.gauge("process_open_fds", "Open files.", &[], files.count() as f64);
    }
    if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        text.gauge("process_max_fds", "Files that may be open.", &[], soft as f64);
    }
}

/// Writes what `/proc/self/stat` holds, by its fields' numbers in proc_pid_stat(5).
fn write_stat(text: &mut Text) {
    let Ok(stat) = read_to_string("/proc/self/stat") else { return };
    // The second field is a name in parentheses and may hold anything.
    let fields: Vec<f64> = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect())
        .unwrap_or_default();
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0.0);
    let ticks = system(SysconfVar::CLK_TCK, 100.0);
    let cpu = (field(14) + field(15)) / ticks;
    text.sample("counter", "process_cpu_seconds_total", "CPU time in seconds.", &[], cpu);
    text.gauge("process_virtual_memory_bytes", "Virtual memory in octets.", &[], field(23));
    let resident = field(24) * system(SysconfVar::PAGE_SIZE, 4096.0);
    text.gauge("process_resident_memory_bytes", "Resident memory in octets.", &[], resident);
    let booted = read_to_string("/proc/stat").ok().and_then(|stat| {
        stat.lines().find_map(|line| line.strip_prefix("btime ")).and_then(|seconds| seconds.trim().parse::<f64>().ok())
    });
    if let Some(booted) = booted {
        let started = booted + field(22) / ticks;
        text.gauge("process_start_time_seconds", "Start, in seconds since 1970.", &[], started);
    }
}

/// A number of the system, or what it mostly is.
fn system(number: SysconfVar, mostly: f64) -> f64 {
    sysconf(number).ok().flatten().map_or(mostly, |value| value as f64)
}
