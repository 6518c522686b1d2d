//! Where the admin service listens.
//!
//! While the password is the well-known default, whoever reaches the port owns the zones. So the service then listens on
//! loopback alone, whatever the configuration says, and [`is_local`] turns away what a browser or a proxy on this machine
//! passes on from elsewhere.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use axum::http::{HeaderMap, Uri, header};

use super::AdminError;

/// A listening socket and its address.
pub(super) type Bound = (TcpListener, SocketAddr);

/// Binds the address as narrowed; the sockets with their addresses, at least one, and warnings.
pub(super) fn bind(address: SocketAddr, password_is_default: bool) -> Result<(Vec<Bound>, Vec<String>), AdminError> {
    let addresses = if password_is_default { narrow(address) } else { vec![address] };
    let mut bound: Vec<Bound> = Vec::new();
    for mut address in addresses {
        // The second socket takes the port that the system chose for the first.
        if let Some((_, first)) = bound.first() {
            address.set_port(first.port());
        }
        match listener(address) {
            Ok(listener) => bound.push(listener),
            // A machine without IPv6 has no ::1.
            Err(why) if !bound.is_empty() && why.kind() != io::ErrorKind::AddrInUse => {}
            Err(why) => return Err(AdminError::Listen { address, why }),
        }
    }
    let mut warnings = Vec::new();
    if password_is_default {
        let bound: Vec<_> = bound.iter().map(|(_, address)| address.to_string()).collect();
        let elsewhere = if address.ip().is_loopback() { String::new() } else { format!(" instead of {address}") };
        warnings.push(format!(
            "the superuser has the well-known default password, so the HTTP service listens on {} only{elsewhere}; \
             set su_password in the Corefile or COREDNS_PB_SUPERUSER_PWD in the environment to open it",
            bound.join(" and ")
        ));
    }
    Ok((bound, warnings))
}

/// The loopback addresses that stand for `address`.
fn narrow(address: SocketAddr) -> Vec<SocketAddr> {
    let ips: &[IpAddr] = match address.ip() {
        ip if ip.is_loopback() => return vec![address],
        ip if ip.is_unspecified() => &[IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
        _ => &[IpAddr::V4(Ipv4Addr::LOCALHOST)],
    };
    ips.iter().map(|&ip| SocketAddr::new(ip, address.port())).collect()
}

/// A bound socket that a tokio listener can be made of, and its address.
fn listener(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Whether a request under the default password was made on this machine by name: a web page from elsewhere shows its
/// Origin, a name that was bent to loopback (DNS rebinding) or a proxy's public name shows in Host.
pub(super) fn is_local(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?"));
    let hosts = text(header::HOST).all(is_local_host) && uri.authority().is_none_or(|a| is_local_host(a.as_str()));
    let origins = text(header::ORIGIN).all(|origin| {
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        host.is_some_and(is_local_host)
    });
    let proxied = headers.contains_key("x-forwarded-for") || headers.contains_key(header::FORWARDED);
    hosts && origins && !proxied
}

/// Whether `HOST[:PORT]` is loopback.
fn is_local_host(host: &str) -> bool {
    let ends_in_port = |(_, port): &(&str, &str)| port.bytes().all(|octet| octet.is_ascii_digit());
    let host = host.rsplit_once(':').filter(ends_in_port).map_or(host, |(host, _)| host);
    let ip = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_password_narrows_to_loopback() {
        for (address, expected) in [
            ("[::]:8090", "127.0.0.1:8090 [::1]:8090"),
            ("0.0.0.0:8090", "127.0.0.1:8090 [::1]:8090"),
            ("192.0.2.1:8090", "127.0.0.1:8090"),
            ("[2001:db8::1]:8090", "127.0.0.1:8090"),
            ("127.0.0.3:80", "127.0.0.3:80"),
            ("[::1]:80", "[::1]:80"),
        ] {
            let narrowed: Vec<_> = narrow(address.parse().unwrap()).iter().map(ToString::to_string).collect();
            assert_eq!(narrowed.join(" "), expected);
        }
    }

    #[test]
    fn what_comes_from_elsewhere_through_loopback_is_seen() {
        for (name, value, local) in [
            ("host", "localhost:8090", true),
            ("host", "LOCALHOST", true),
            ("host", "127.0.0.1", true),
            ("host", "[::1]:8090", true),
            ("host", "[::1]", true),
            ("host", "dns.example.org", false),
            ("host", "127.0.0.1.example.org:8090", false),
            ("host", "192.0.2.1:8090", false),
            ("origin", "http://localhost:5173", true),
            ("origin", "https://example.org", false),
            ("origin", "null", false),
            ("x-forwarded-for", "192.0.2.1", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(is_local(&headers, &Uri::from_static("/")), local, "{name}: {value}");
        }
    }
}
