//! The weight file: how often each address of a name comes first.

use std::collections::HashMap;
use std::net::IpAddr;

use store::{Name, name};

use crate::wire::QName;

/// The weights of all names of a file, by lower-case wire form.
#[derive(Default)]
pub(super) struct Weights(HashMap<Box<[u8]>, AddressWeights, foldhash::fast::RandomState>);

/// The weights of one name's addresses.
#[derive(Default)]
pub(super) struct AddressWeights(HashMap<IpAddr, u8, foldhash::fast::RandomState>);

impl Weights {
    /// Reads a file; on an error gives its line and the reason.
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        let mut weights = Self::default();
        let mut current: Option<Box<[u8]>> = None;
        for (index, line) in String::from_utf8_lossy(text).lines().enumerate() {
            let fault = |why: String| format!("line {}: {why}", index + 1);
            let fields: Vec<&str> = line.split_whitespace().collect();
            match fields[..] {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                [text] => {
                    let name = name::parse(text, Some(&Name::root_bytes())).map_err(|why| fault(why.to_string()))?;
                    let key: Box<[u8]> = name.as_slice().to_ascii_lowercase().into();
                    weights.0.entry(key.clone()).or_default();
                    current = Some(key);
                }
                [address, weight] => {
                    let address = address.parse().map_err(|_| fault(format!("wrong IP address: {address:?}")))?;
                    let weight = weight.parse().ok().filter(|&weight| weight > 0);
                    let weight = weight.ok_or_else(|| fault(format!("wrong weight value: {:?}", fields[1])))?;
                    let of_name = current.as_ref().and_then(|name| weights.0.get_mut(name));
                    let of_name = of_name.ok_or_else(|| fault("a weight before the first name".into()))?;
                    of_name.0.insert(address, weight);
                }
                _ => return Err(fault(format!("could not parse {line:?}"))),
            }
        }
        Ok(weights)
    }

    /// The weights of a name's addresses, if the file has that name.
    pub(super) fn of(&self, name: &QName) -> Option<&AddressWeights> {
        self.0.get(name.as_slice())
    }
}

impl AddressWeights {
    /// The weight of an address; 1 if it is not listed.
    pub(super) fn of(&self, address: IpAddr) -> u32 {
        self.0.get(&address).copied().unwrap_or(1).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_stand_below_their_name() {
        let weights =
            Weights::read(b"# c\nA.example\n192.0.2.1 255\n\n  2001:db8::1  3\nb.example.\n192.0.2.1 2\n").unwrap();
        let of = |wire: &[u8], address: &str| {
            weights.of(&QName::from_wire(wire).unwrap()).map(|found| found.of(address.parse().unwrap()))
        };
        assert_eq!(of(b"\x01a\x07example\0", "192.0.2.1"), Some(255));
        assert_eq!(of(b"\x01A\x07example\0", "2001:db8::1"), Some(3));
        assert_eq!(of(b"\x01a\x07example\0", "192.0.2.2"), Some(1));
        assert_eq!(of(b"\x01b\x07example\0", "192.0.2.1"), Some(2));
        assert_eq!(of(b"\x01c\x07example\0", "192.0.2.1"), None);
        for (text, fault) in [
            ("192.0.2.1 2", "line 1: a weight before the first name"),
            ("a.example\n192.0.2 2", "line 2: wrong IP address: \"192.0.2\""),
            ("a.example\n192.0.2.1 0", "line 2: wrong weight value: \"0\""),
            ("a.example\n192.0.2.1 256", "line 2: wrong weight value: \"256\""),
            ("a.example\n192.0.2.1 1 1", "line 2: could not parse \"192.0.2.1 1 1\""),
            ("a..example", "line 1: the name has an empty label"),
        ] {
            assert_eq!(Weights::read(text.as_bytes()).err().as_deref(), Some(fault));
        }
    }
}
