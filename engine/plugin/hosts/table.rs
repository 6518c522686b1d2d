//! What a hosts file says, ready to be looked up.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::SystemTime;

use store::{Name, name};

use crate::wire::QName;

/// Everything that goes into a [`Table`] besides the file.
pub(super) struct Source {
    /// The zones whose names are taken.
    pub(super) zones: Vec<Name>,
    /// Lines of the Corefile, in the form of the file.
    pub(super) inline: String,
    /// Whether addresses are found by name only, or names by address as well.
    pub(super) reverse: bool,
}

/// Addresses by name and names by address.
pub(super) struct Table {
    /// By lower-case wire form.
    addresses: HashMap<Box<[u8]>, Addresses, foldhash::fast::RandomState>,
    /// In wire form.
    names: HashMap<IpAddr, Vec<Box<[u8]>>, foldhash::fast::RandomState>,
    /// When it was made.
    pub(super) read: SystemTime,
}

/// The addresses of a name.
#[derive(Default)]
pub(super) struct Addresses {
    /// Those of IPv4, as rdata.
    pub(super) four: Vec<[u8; 4]>,
    /// Those of IPv6, as rdata.
    pub(super) six: Vec<[u8; 16]>,
}

impl Source {
    /// Reads a file's text, and the Corefile's lines behind it. A line that makes no sense is passed over, as every
    /// reader of such files does.
    pub(super) fn read(&self, text: &[u8]) -> Table {
        let mut table = Table { addresses: HashMap::default(), names: HashMap::default(), read: SystemTime::now() };
        for text in [&String::from_utf8_lossy(text), &self.inline[..]] {
            for line in text.lines() {
                let mut fields = line.split('#').next().unwrap_or_default().split_whitespace();
                // `fe80::1%lo0`: the interface is not part of the address.
                let address = fields.next().and_then(|field| field.split('%').next());
                let Some(address) = address.and_then(|address| address.parse().ok()) else { continue };
                for name in fields.filter_map(|field| name::parse(field, Some(&Name::root_bytes())).ok()) {
                    self.put(&mut table, address, &name);
                }
            }
        }
        table
    }

    /// Takes up one name of an address.
    fn put(&self, table: &mut Table, address: IpAddr, name: &Name) {
        let wire: Box<[u8]> = name.as_slice().to_ascii_lowercase().into();
        let Some(qname) = QName::from_wire(&wire) else { return };
        if !self.zones.iter().any(|zone| qname.is_below(zone.as_slice())) {
            return;
        }
        let addresses = table.addresses.entry(wire.clone()).or_default();
        let is_new = match address {
            IpAddr::V4(four) => push_new(&mut addresses.four, four.octets()),
            IpAddr::V6(six) => push_new(&mut addresses.six, six.octets()),
        };
        if is_new && self.reverse && !wire.starts_with(b"\x01*") {
            table.names.entry(address).or_default().push(wire);
        }
    }
}

impl Table {
    /// Addresses of names and names of addresses, all together.
    pub(super) fn entries(&self) -> usize {
        let addresses = self.addresses.values().map(|addresses| addresses.four.len() + addresses.six.len());
        addresses.chain(self.names.values().map(Vec::len)).sum()
    }

    /// The addresses of a name: its own, or those of the `*` beside it.
    pub(super) fn addresses(&self, name: &QName) -> Option<&Addresses> {
        self.addresses.get(name.as_slice()).or_else(|| {
            let labels = name.labels().checked_sub(1)?;
            self.addresses.get(name.wildcard(labels, &mut [0; 255])?)
        })
    }

    /// The names of an address, in wire form.
    pub(super) fn names(&self, address: IpAddr) -> &[Box<[u8]>] {
        self.names.get(&address).map_or(&[], |names| names)
    }
}

/// Adds what is not yet there, and tells whether it was not: an RRset has no record twice (RFC 2181 §5).
fn push_new<T: PartialEq>(all: &mut Vec<T>, new: T) -> bool {
    let is_new = !all.contains(&new);
    if is_new {
        all.push(new);
    }
    is_new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_every_reader_of_hosts_files_does() {
        let source = Source {
            zones: vec![name::parse("example.org.", None).unwrap()],
            inline: "192.0.2.9 www.example.org\n".into(),
            reverse: true,
        };
        let table = source.read(
            b"# comment\n192.0.2.1\tWWW.example.org www # www2.example.org\nnonsense a.example.org\n192.0.2.2\n\
              fe80::1%lo0 www.example.org.\n192.0.2.1 www.example.org a..example.org\n192.0.2.3 *.x.example.org\n",
        );
        let addresses = |wire: &[u8]| table.addresses(&QName::from_wire(wire).unwrap());
        let www = addresses(b"\x03www\x07example\x03org\0").unwrap();
        assert_eq!(www.four, [[192, 0, 2, 1], [192, 0, 2, 9]]);
        assert_eq!(www.six.len(), 1);
        assert!(addresses(b"\x03www\0").is_none());
        assert!(addresses(b"\x01a\x07example\x03org\0").is_none());
        assert!(addresses(b"\x01b\x01x\x07example\x03org\0").is_some());
        assert!(addresses(b"\x01a\x01b\x01x\x07example\x03org\0").is_none());
        assert!(addresses(b"\x01x\x07example\x03org\0").is_none());
        assert_eq!(table.names("192.0.2.1".parse().unwrap()).len(), 1);
        assert!(table.names("192.0.2.3".parse().unwrap()).is_empty());
        let table = Source { reverse: false, ..source }.read(b"192.0.2.1 www.example.org\n");
        assert!(table.names("192.0.2.1".parse().unwrap()).is_empty());
    }
}
