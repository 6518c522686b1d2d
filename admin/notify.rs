//! Telling the service manager how far zonda is: the protocol of sd_notify(3), one datagram a message.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// All listeners are open and all zones are loaded.
pub(crate) const READY: &str = "READY=1";

/// The stop has begun.
pub(crate) const STOPPING: &str = "STOPPING=1";

/// Sends a message to the service manager, if `socket` (the value of `NOTIFY_SOCKET`) names one.
pub(crate) fn notify(socket: Option<&str>, message: &str) -> io::Result<()> {
    let Some(name) = socket.filter(|name| !name.is_empty()) else { return Ok(()) };
    // An `@` stands for the zero octet that names in the abstract namespace begin with.
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address).map(drop)
}
