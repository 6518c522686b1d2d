//! The metrics of the threads that move packets.

use engine::metrics::Text;
use engine::net::{Meter, StreamTotals, WorkerTotals};

/// Writes them all.
pub(crate) fn write(text: &mut Text, meters: &[Meter]) {
    let (mut udp, mut tcp, mut secure) = (WorkerTotals::default(), StreamTotals::default(), StreamTotals::default());
    for totals in meters.iter().map(Meter::totals) {
        udp += totals.udp();
        tcp += totals.streams;
        secure += totals.secure;
    }
    for (name, help, value) in [
        ("coredns_panics_total", "Messages whose answering panicked.", udp.panics + tcp.panics + secure.panics),
        ("zonda_udp_received_total", "Datagrams taken from the sockets.", udp.received),
        ("zonda_udp_answered_total", "Datagrams answered.", udp.answered),
        ("zonda_udp_silent_total", "Datagrams that got no answer on purpose.", udp.silent),
        ("zonda_udp_later_total", "Datagrams whose answers were waited for.", udp.later),
        ("zonda_udp_dropped_total", "Answers that the kernel refused.", udp.dropped),
        ("zonda_udp_overruns_total", "Times that every buffer of a worker was in use.", udp.overruns),
        ("zonda_udp_errors_total", "Errors of a receive call.", udp.errors),
        ("zonda_tcp_accepted_total", "Connections taken.", tcp.accepted),
        ("zonda_tcp_received_total", "Messages received over TCP.", tcp.received),
        ("zonda_tcp_answered_total", "Answers written over TCP.", tcp.answered),
        ("zonda_secure_accepted_total", "Connections taken by encrypted transports.", secure.accepted),
        ("zonda_secure_received_total", "Messages received over encrypted transports.", secure.received),
        ("zonda_secure_answered_total", "Answers written over encrypted transports.", secure.answered),
    ] {
        text.counter(name, help, &[], value);
    }
    for (name, totals) in [("zonda_tcp_closed_total", tcp), ("zonda_secure_closed_total", secure)] {
        for (reason, value) in [
            ("idle", totals.closed_idle),
            ("slow", totals.closed_slow),
            ("garbage", totals.closed_garbage),
            ("full", totals.closed_full),
        ] {
            text.counter(name, "Connections closed by the server.", &[("reason", reason)], value);
        }
    }
    text.gauge("zonda_tcp_connections", "Connections that are open.", &[], tcp.open as f64);
    let help = "Connections of encrypted transports that are open.";
    text.gauge("zonda_secure_connections", help, &[], secure.open as f64);
}
