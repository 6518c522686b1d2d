//! How rows, zone headers and journal entries lie in the database, octet by octet.
//!
//! Values begin with a version octet, so that a later zonda can read what this one wrote. Decoding takes any octets and
//! answers [`Broken`] for what was never encoded.

use bytes::Bytes;
use domain::base::Serial;
use domain::base::iana::Rtype;

use crate::arena::Arena;
use crate::digest::Digest;
use crate::edit::{Api, JournalEntry};
use crate::{Name, Row, Timestamp, Written};

/// Octets that no encoder here has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stored octets cannot be decoded")]
pub(crate) struct Broken;

/// What the zone table keeps for a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The number under which the zone's rows and journal are filed; never used again for another zone.
    pub(crate) number: u64,
    /// The zone's apex.
    pub(crate) apex: Name,
    /// Its serial, the same as in its SOA record.
    pub(crate) serial: u32,
    /// How many rows it has.
    pub(crate) rows: u64,
    /// How many of them zonda made.
    pub(crate) generated: u64,
    /// What the rows add up to.
    pub(crate) digest: Digest,
    /// When the zone was made.
    pub(crate) created: Timestamp,
    /// When its content last changed.
    pub(crate) updated: Timestamp,
    /// The journal: number of its oldest entry, number of the next one, octets of all.
    pub(crate) journal: (u64, u64, u64),
}

/// Where a row lies: its key in the table of records.
///
/// The key is the zone's number, the owner's [`order_key`](crate::name::order_key), a zero octet (which no label begins with, so that an
/// owner's rows come before those of the names below it), the type and the place in order of insertion.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RowKey {
    /// Number of the zone.
    pub(crate) zone: u64,
    /// The owner's order key.
    pub(crate) owner: Vec<u8>,
    /// The record's type.
    pub(crate) rtype: Rtype,
    /// The place in order of insertion, over all zones.
    pub(crate) place: u64,
}

impl RowKey {
    /// The key's octets.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut key = Self::node(self.zone, &self.owner);
        key.extend_from_slice(&self.rtype.to_int().to_be_bytes());
        key.extend_from_slice(&self.place.to_be_bytes());
        key
    }

    /// What the keys of all rows of one owner begin with.
    pub(crate) fn node(zone: u64, owner: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(owner.len() + 19);
        key.extend_from_slice(&zone.to_be_bytes());
        key.extend_from_slice(owner);
        key.push(0);
        key
    }

    /// The key that has these octets.
    pub(crate) fn decode(key: &[u8]) -> Result<Self, Broken> {
        let (zone, rest) = key.split_first_chunk::<8>().ok_or(Broken)?;
        let (rest, place) = rest.split_last_chunk::<8>().ok_or(Broken)?;
        let (rest, rtype) = rest.split_last_chunk::<2>().ok_or(Broken)?;
        let (&end, owner) = rest.split_last().ok_or(Broken)?;
        if end != 0 {
            return Err(Broken);
        }
        Ok(Self {
            zone: u64::from_be_bytes(*zone),
            owner: owner.to_vec(),
            rtype: Rtype::from_int(u16::from_be_bytes(*rtype)),
            place: u64::from_be_bytes(*place),
        })
    }
}

impl Header {
    /// The header's octets.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.number(self.number);
        out.octets(self.apex.as_slice());
        out.number(self.serial.into());
        out.number(self.rows);
        out.number(self.generated);
        out.0.extend_from_slice(&self.digest.to_octets());
        out.number(self.created);
        out.number(self.updated);
        for number in [self.journal.0, self.journal.1, self.journal.2] {
            out.number(number);
        }
        out.0
    }

    /// The header with these octets.
    pub(crate) fn decode(octets: &[u8]) -> Result<Self, Broken> {
        let mut input = Decoder::new(octets)?;
        Ok(Self {
            number: input.number()?,
            apex: input.name()?,
            serial: input.number32()?,
            rows: input.number()?,
            generated: input.number()?,
            digest: Digest::from_octets(*input.array::<{ Digest::OCTETS }>()?),
            created: input.number()?,
            updated: input.number()?,
            journal: (input.number()?, input.number()?, input.number()?),
        })
    }
}

/// The octets of a row, without what its key says; the owner too is left out where the key says the same.
pub(crate) fn encode_row(row: &Row) -> Vec<u8> {
    let lower = !row.owner.as_slice().iter().any(u8::is_ascii_uppercase);
    let flags = [
        (lower, flag::LOWER),
        (row.ttl.is_some(), flag::TTL),
        (row.written.is_some(), flag::WRITTEN),
        (row.generated, flag::GENERATED),
        (row.created == row.updated, flag::NEVER_UPDATED),
    ];
    let mut out = Encoder::new();
    out.0.push(flags.iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum());
    out.number(row.id);
    out.number(row.created);
    if row.created != row.updated {
        out.number(row.updated);
    }
    if let Some(ttl) = row.ttl {
        out.number(ttl.into());
    }
    if !lower {
        out.octets(row.owner.as_slice());
    }
    if let Some(written) = &row.written {
        for text in [&written.zone, &written.name, &written.rtype, &written.content] {
            out.octets(text.as_bytes());
        }
    }
    out.0.extend_from_slice(&row.rdata);
    out.0
}

/// The row with these octets at this key, in the zone with this apex.
pub(crate) fn decode_row(key: &RowKey, apex: &Name, octets: &[u8]) -> Result<Row, Broken> {
    decode_row_in(key, apex, octets, &mut Arena::default())
}

/// The same for one of many rows, whose name and rdata come to lie in an arena.
pub(crate) fn decode_row_in(key: &RowKey, apex: &Name, octets: &[u8], arena: &mut Arena) -> Result<Row, Broken> {
    let mut input = Decoder::new(octets)?;
    let flags = input.octet()?;
    let has = |bit: u8| flags & bit != 0;
    let id = input.number()?;
    let created = input.number()?;
    let updated = if has(flag::NEVER_UPDATED) { created } else { input.number()? };
    let ttl = if has(flag::TTL) { Some(input.number32()?) } else { None };
    let owner = if has(flag::LOWER) { name_of_key_in(&key.owner, arena)? } else { input.name()? };
    let written = if has(flag::WRITTEN) {
        Some(Box::new(Written {
            zone: input.text()?,
            name: input.text()?,
            rtype: input.text()?,
            content: input.text()?,
        }))
    } else {
        None
    };
    Ok(Row {
        id,
        zone: apex.clone(),
        owner,
        rtype: key.rtype,
        ttl,
        rdata: arena.copy(input.0),
        written,
        generated: has(flag::GENERATED),
        created,
        updated,
    })
}

/// The octets of a journal entry.
pub(crate) fn encode_entry(entry: &JournalEntry) -> Vec<u8> {
    let mut out = Encoder::new();
    out.0.push(u8::from(entry.from.is_some()) | u8::from(entry.complete) << 1 | u8::from(entry.to.is_none()) << 2);
    out.number(entry.from.map_or(0, Serial::into_int).into());
    out.number(entry.to.map_or(0, Serial::into_int).into());
    out.number(entry.at);
    out.octets(entry.who.as_bytes());
    out.0.push(match entry.api {
        Api::Pocketbase => 0,
        Api::Native => 1,
        Api::Import => 2,
    });
    for records in [&entry.removed, &entry.added] {
        out.number(records.len() as u64);
        for (owner, rtype, ttl, rdata) in records {
            out.octets(owner.as_slice());
            out.number(rtype.to_int().into());
            out.number(ttl.map_or(0, |ttl| u64::from(ttl) + 1));
            out.octets(rdata);
        }
    }
    out.0
}

/// The journal entry with these octets.
pub(crate) fn decode_entry(octets: &[u8]) -> Result<JournalEntry, Broken> {
    let mut input = Decoder::new(octets)?;
    let entry = entry_head(&mut input)?;
    let mut lists = [Vec::new(), Vec::new()];
    for list in &mut lists {
        for _ in 0..input.number()? {
            let owner = input.name()?;
            let rtype = Rtype::from_int(u16::try_from(input.number()?).map_err(|_| Broken)?);
            let ttl = match input.number()? {
                0 => None,
                ttl => Some(u32::try_from(ttl - 1).map_err(|_| Broken)?),
            };
            list.push((owner, rtype, ttl, Bytes::copy_from_slice(input.octets()?)));
        }
    }
    let [removed, added] = lists;
    Ok(JournalEntry { removed, added, ..entry })
}

/// The journal entry with these octets, without its records.
pub(crate) fn decode_entry_head(octets: &[u8]) -> Result<JournalEntry, Broken> {
    entry_head(&mut Decoder::new(octets)?)
}

/// Reads what stands before the records of a journal entry.
fn entry_head(input: &mut Decoder<'_>) -> Result<JournalEntry, Broken> {
    let flags = input.octet()?;
    let from = Serial::from(input.number32()?);
    let to = Serial::from(input.number32()?);
    let at = input.number()?;
    let who = input.text()?;
    let api = match input.octet()? {
        0 => Api::Pocketbase,
        1 => Api::Native,
        2 => Api::Import,
        _ => return Err(Broken),
    };
    Ok(JournalEntry {
        from: (flags & 1 != 0).then_some(from),
        to: (flags & 4 == 0).then_some(to),
        at,
        who,
        api,
        complete: flags & 2 != 0,
        removed: Vec::new(),
        added: Vec::new(),
    })
}

/// The lower-case name with this [`order_key`](crate::name::order_key).
pub(crate) fn name_of_key(key: &[u8]) -> Result<Name, Broken> {
    name_of_key_in(key, &mut Arena::default())
}

/// The same, with its octets in an arena.
fn name_of_key_in(key: &[u8], arena: &mut Arena) -> Result<Name, Broken> {
    let mut wire = [0; NAME_OCTETS_MAX];
    let mut length = 0;
    // Labels lie in the key from the right, each with a zero octet behind it.
    let mut rest = key;
    while let Some((&end, labels)) = rest.split_last() {
        if end != 0 {
            return Err(Broken);
        }
        let start = labels.iter().rposition(|&octet| octet == 0).map_or(0, |zero| zero + 1);
        let length_at = length;
        length += 1;
        let mut octets = labels[start..].iter();
        while let Some(&octet) = octets.next() {
            *wire.get_mut(length).ok_or(Broken)? = match octet {
                1 => octets.next().filter(|&&octet| octet == 1 || octet == 2).ok_or(Broken)? - 1,
                _ => octet,
            };
            length += 1;
        }
        let label_octets = u8::try_from(length - length_at - 1).map_err(|_| Broken)?;
        *wire.get_mut(length_at).ok_or(Broken)? = label_octets;
        rest = &labels[..start];
    }
    length += 1;
    let wire = wire.get(..length).ok_or(Broken)?;
    Name::from_octets(arena.copy(wire)).map_err(|_| Broken)
}

/// Appends values.
struct Encoder(Vec<u8>);

impl Encoder {
    /// Begins with the version octet.
    fn new() -> Self {
        let mut octets = Vec::with_capacity(64);
        octets.push(VERSION);
        Self(octets)
    }

    /// A number, 7 bits an octet, the low ones first.
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// Octets with their length before them.
    fn octets(&mut self, octets: &[u8]) {
        self.number(octets.len() as u64);
        self.0.extend_from_slice(octets);
    }
}

/// Takes values off the front.
struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    /// Begins behind the version octet.
    fn new(octets: &'a [u8]) -> Result<Self, Broken> {
        match octets.split_first() {
            Some((&VERSION, rest)) => Ok(Self(rest)),
            _ => Err(Broken),
        }
    }

    /// One octet.
    fn octet(&mut self) -> Result<u8, Broken> {
        let (&octet, rest) = self.0.split_first().ok_or(Broken)?;
        self.0 = rest;
        Ok(octet)
    }

    /// A number of up to 64 bits.
    fn number(&mut self) -> Result<u64, Broken> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let octet = self.octet()?;
            let bits = u64::from(octet & 0x7f);
            if bits << shift >> shift != bits {
                return Err(Broken);
            }
            number |= bits << shift;
            if octet & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Broken)
    }

    /// A number of up to 32 bits.
    fn number32(&mut self) -> Result<u32, Broken> {
        u32::try_from(self.number()?).map_err(|_| Broken)
    }

    /// A fixed count of octets.
    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Broken> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Broken)?;
        self.0 = rest;
        Ok(array)
    }

    /// Octets with their length before them.
    fn octets(&mut self) -> Result<&'a [u8], Broken> {
        let length = usize::try_from(self.number()?).map_err(|_| Broken)?;
        let (octets, rest) = self.0.split_at_checked(length).ok_or(Broken)?;
        self.0 = rest;
        Ok(octets)
    }

    /// A text.
    fn text(&mut self) -> Result<String, Broken> {
        String::from_utf8(self.octets()?.to_vec()).map_err(|_| Broken)
    }

    /// A name in wire form.
    fn name(&mut self) -> Result<Name, Broken> {
        Name::from_octets(Bytes::copy_from_slice(self.octets()?)).map_err(|_| Broken)
    }
}

/// Octets of the longest name (RFC 1035 §3.1).
const NAME_OCTETS_MAX: usize = 255;

/// The version octet that every value begins with.
const VERSION: u8 = 1;

/// Bits of a row's flag octet.
mod flag {
    /// The owner has no upper-case letter and is left out.
    pub(super) const LOWER: u8 = 1;
    /// A TTL is there.
    pub(super) const TTL: u8 = 2;
    /// What the client wrote is there.
    pub(super) const WRITTEN: u8 = 4;
    /// zonda made the row.
    pub(super) const GENERATED: u8 = 8;
    /// `updated` is `created` and left out.
    pub(super) const NEVER_UPDATED: u8 = 16;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name;

    fn name(text: &str) -> Name {
        name::parse(text, None).unwrap()
    }

    fn header() -> Header {
        Header {
            number: 300,
            apex: name("Example.ORG."),
            serial: 2026112500,
            rows: 1_000_000,
            generated: 2,
            digest: Digest::from_octets(std::array::from_fn(|at| at as u8)),
            created: 1_795_608_000_000,
            updated: u64::MAX,
            journal: (1, 200, 70_000),
        }
    }

    fn rows() -> Vec<Row> {
        let plain = Row {
            id: 862117763472282490,
            zone: name("example.org."),
            owner: name("www.example.org."),
            rtype: Rtype::A,
            ttl: None,
            rdata: Bytes::from_static(&[192, 0, 2, 1]),
            written: None,
            generated: false,
            created: 1_795_608_000_000,
            updated: 1_795_608_000_000,
        };
        let full = Row {
            owner: name("WWW.example.org."),
            ttl: Some(i32::MAX as u32),
            rdata: Bytes::new(),
            written: Some(Box::new(Written {
                zone: "example.org".into(),
                name: "WWW".into(),
                rtype: "a".into(),
                content: "{\"ip\":\"192.0.2.1\"}".into(),
            })),
            generated: true,
            updated: 1_795_608_000_001,
            ..plain.clone()
        };
        vec![plain, full]
    }

    fn key(owner: &str, rtype: Rtype) -> RowKey {
        RowKey { zone: 1, owner: name::order_key(&name(owner)), rtype, place: 3 }
    }

    fn entry() -> JournalEntry {
        let record = |ttl| (name("Www.example.org."), Rtype::A, ttl, Bytes::from_static(&[192, 0, 2, 1]));
        JournalEntry {
            from: Some(Serial::from(7)),
            to: Some(Serial::from(8)),
            at: 1_795_608_000_000,
            who: "admin@example.org".into(),
            api: Api::Native,
            complete: true,
            removed: vec![record(None), record(Some(0))],
            added: vec![record(Some(u32::MAX))],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Header::decode(&header().encode()), Ok(header()));
        for row in rows() {
            let back = decode_row(&key("www.example.org.", Rtype::A), &row.zone, &encode_row(&row)).unwrap();
            assert_eq!(back, row);
            assert_eq!(back.owner.as_slice(), row.owner.as_slice());
        }
        assert_eq!(decode_entry(&encode_entry(&entry())), Ok(entry()));
        let made = JournalEntry { from: None, complete: false, ..entry() };
        assert_eq!(decode_entry(&encode_entry(&made)), Ok(made));
        let gone = JournalEntry { to: None, added: vec![], ..entry() };
        assert_eq!(decode_entry(&encode_entry(&gone)), Ok(gone));
    }

    #[test]
    fn names_come_back_from_their_keys() {
        for text in [".", "org.", "www.example.org.", "\\000\\001\\002.a.", "*.b.", "\\255."] {
            let name = name(text);
            assert_eq!(name_of_key(&name::order_key(&name)).unwrap().as_slice(), name.as_slice());
        }
        for key in [&b"org"[..], b"\x01\x00", b"\x01\x03\x00", &[b'a'; 300]] {
            assert_eq!(name_of_key(key), Err(Broken));
        }
    }

    #[test]
    fn rows_of_an_owner_come_before_those_below_it() {
        let keys = [
            key("example.org.", Rtype::A),
            key("example.org.", Rtype::from_int(0x6161)),
            key("\\000.example.org.", Rtype::A),
            key("a.example.org.", Rtype::A),
            key("aa.example.org.", Rtype::A),
        ];
        assert!(keys.iter().map(RowKey::encode).is_sorted());
        for key in keys {
            assert_eq!(RowKey::decode(&key.encode()), Ok(key));
        }
    }

    #[test]
    fn damaged_octets_never_panic() {
        let (key, apex) = (key("www.example.org.", Rtype::A), name("example.org."));
        let mut samples: Vec<Vec<u8>> = rows().iter().map(encode_row).collect();
        samples.push(header().encode());
        samples.push(encode_entry(&entry()));
        for sample in samples {
            for at in 0..sample.len() {
                for bit in 0..8 {
                    let mut bad = sample.clone();
                    bad[at] ^= 1 << bit;
                    let _ =
                        (decode_row(&key, &apex, &bad), Header::decode(&bad), decode_entry(&bad), RowKey::decode(&bad));
                    let _ = name_of_key(&bad);
                }
                let cut = &sample[..at];
                let _ = (decode_row(&key, &apex, cut), RowKey::decode(cut));
                assert_eq!(Header::decode(cut), Err(Broken));
                assert_eq!(decode_entry(cut), Err(Broken));
            }
        }
    }
}
