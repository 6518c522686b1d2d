//! # bind
//!
//! ## Name
//! *bind* - listens on some addresses instead of all.
//!
//! ## Description
//! Binds the listeners of a server block to addresses instead of all of them.
//!
//! ## Syntax
//! ```corefile
//! bind ADDRESS|INTERFACE... {
//!     except ADDRESS|INTERFACE...
//! }
//! ```
//! * **ADDRESS** is an IP address, **INTERFACE** a network interface, which stands for all its addresses at the start.
//! * `except` takes addresses away again.
//!
//! Several lines add up.
//!
//! ## Examples
//! ```corefile
//! .:1053 {
//!     bind lo {
//!         except ::1
//!     }
//!     whoami
//! }
//! ```
//!
//! ## Metrics
//! None.
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `multisocket`, `root`.
//!
//! ## Bugs
//! Link-local addresses of IPv6 are left out of those of an interface. Addresses that an interface gets later are
//! listened on after a reload only.

use std::net::IpAddr;

use super::corefile::{ConfigError, Directive, Token};
use super::{Plugin, Setup};

/// Sets the block's addresses; the plugin has no part in the chain.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    for line in lines {
        if line.args.is_empty() {
            return Err(ConfigError::plain("at least one address or interface name is expected"));
        }
        let mut addresses = resolve_all(&line.args)?;
        for property in line.properties() {
            match &property.name.text[..] {
                "except" if property.args.is_empty() => {
                    return Err(ConfigError::plain(
                        "at least one address or interface must be given to except subdirective",
                    ));
                }
                "except" => {
                    let except = resolve_all(&property.args)?;
                    addresses.retain(|address| !except.contains(address));
                }
                other => return Err(ConfigError::plain(format!("invalid option {other:?}"))),
            }
        }
        for address in addresses {
            if !setup.binds.contains(&address) {
                setup.binds.push(address);
            }
        }
    }
    Ok(None)
}

/// The addresses of all tokens.
fn resolve_all(tokens: &[Token]) -> Result<Vec<IpAddr>, ConfigError> {
    let mut addresses = Vec::new();
    for token in tokens {
        addresses.extend(resolve(&token.text)?);
    }
    Ok(addresses)
}

/// The address itself, or all addresses of the interface of that name. Link-local ones of IPv6 are left out: they
/// cannot be bound without their interface.
fn resolve(text: &str) -> Result<Vec<IpAddr>, ConfigError> {
    if let Ok(address) = text.parse() {
        return Ok(vec![address]);
    }
    let unknown = || ConfigError::plain(format!("not a valid IP address or interface name: {text:?}"));
    let interfaces = nix::ifaddrs::getifaddrs().map_err(|_| unknown())?;
    let mut found = false;
    let mut addresses = Vec::new();
    for interface in interfaces.filter(|interface| interface.interface_name == text) {
        found = true;
        let Some(address) = interface.address else { continue };
        if let Some(v4) = address.as_sockaddr_in() {
            addresses.push(IpAddr::V4(v4.ip()));
        } else if let Some(v6) = address.as_sockaddr_in6()
            && !v6.ip().is_unicast_link_local()
        {
            addresses.push(IpAddr::V6(v6.ip()));
        }
    }
    found.then_some(addresses).ok_or_else(unknown)
}
