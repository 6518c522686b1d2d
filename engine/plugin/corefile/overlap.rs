//! No two server blocks may be asked for the same zone on the same address.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;

use super::{ConfigError, ServerKey};

/// Fails if two keys are the same zone on the same listener, or one that is bound to addresses meets one that is not.
///
/// Each key comes with the addresses that its block is bound to, none for all.
pub fn check_overlap(keys: &[(&ServerKey, &[IpAddr])]) -> Result<(), ConfigError> {
    let mut taken = HashSet::new();
    // For each key the last address that was taken for it.
    let mut last = HashMap::new();
    for &(key, addresses) in keys {
        let unbound = addresses.is_empty().then_some(None);
        for address in addresses.iter().map(Some).chain(unbound) {
            let served = Served { key, address };
            if !taken.insert(served) {
                return Err(ConfigError::plain(format!("cannot serve {served} - it is already defined")));
            }
            let other = match last.insert(key, served) {
                Some(other) if address.is_none() => other,
                Some(_) if taken.contains(&Served { key, address: None }) => Served { key, address: None },
                _ => continue,
            };
            let message = format!("cannot serve {served} - zone overlap listener capacity with {other}");
            return Err(ConfigError::plain(message));
        }
    }
    Ok(())
}

/// A key on one of its addresses, or on all.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Served<'k> {
    key: &'k ServerKey,
    address: Option<&'k IpAddr>,
}

impl fmt::Display for Served<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)?;
        self.address.map_or(Ok(()), |address| write!(f, " on {address}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::corefile::Scheme;

    fn key(zone: &str, port: u16) -> ServerKey {
        ServerKey { scheme: Scheme::Dns, zone: store::name::parse(zone, None).unwrap(), port }
    }

    #[test]
    fn rules() {
        let (root, other, port) = (key(".", 1054), key("example.org.", 1054), key(".", 1055));
        let tls = ServerKey { scheme: Scheme::Tls, ..root.clone() };
        let [one, two]: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        let (all, first, second, both) = (&[][..], &[one][..], &[two][..], &[one, two][..]);
        for (rule, keys, message) in [
            ("different zones, ports, schemes", vec![(&root, all), (&other, all), (&port, all), (&tls, all)], ""),
            ("twice", vec![(&root, all), (&root, all)], "cannot serve dns://.:1054 - it is already defined"),
            ("different addresses", vec![(&root, first), (&root, second)], ""),
            (
                "the same address",
                vec![(&root, both), (&root, first)],
                "cannot serve dns://.:1054 on 127.0.0.1 - it is already defined",
            ),
            (
                "bound, then not",
                vec![(&root, first), (&root, all)],
                "cannot serve dns://.:1054 - zone overlap listener capacity with dns://.:1054 on 127.0.0.1",
            ),
            (
                "not bound, then bound",
                vec![(&root, all), (&root, first)],
                "cannot serve dns://.:1054 on 127.0.0.1 - zone overlap listener capacity with dns://.:1054",
            ),
        ] {
            let found = check_overlap(&keys).map_or_else(|error| error.to_string(), |()| String::new());
            assert_eq!(found, message, "{rule}");
        }
    }
}
