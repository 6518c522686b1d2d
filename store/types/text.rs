//! Presentation form of rdata, in and out, field by field along the table.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use domain::base::iana::{Rtype, SecurityAlgorithm};
use domain::base::scan::{Scanner as _, ScannerError as _};
use domain::rdata::dnssec::{RtypeBitmap, Timestamp};
use domain::rdata::nsec3::{Nsec3Salt, OwnerHash};
use domain::utils::{base16, base32, base64};

use super::scanner::{EntryScanner, ScanError};
use super::table::{Kind, Type};
use super::wire::is_tag;
use super::{check_rdata, host, location, not_data, period, prefixes, rtype_from_text, rtype_to_text, svcb};
use crate::{Name, name};

/// Reads the rest of an entry as rdata and appends its wire form to `wire`, which must be empty.
pub(crate) fn read(rtype: Rtype, scanner: &mut EntryScanner<'_>, wire: &mut Vec<u8>) -> Result<(), ScanError> {
    if !super::is_data(rtype) {
        return Err(ScanError(not_data(rtype).into()));
    }
    if scanner.scan_opt_unknown_marker()? {
        return read_unknown(rtype, scanner, wire);
    }
    let row = Type::of(rtype).ok_or_else(|| {
        ScanError(format!("{rtype} has no presentation form here; write \\# LENGTH HEX (RFC 3597)").into())
    })?;
    for field in row.fields {
        let before = scanner.count();
        field.kind.read(scanner, wire).map_err(|error| {
            let found = scanner.last().filter(|_| scanner.count() > before);
            let found = found.map(|found| format!(" (found `{}`)", found.escape_ascii())).unwrap_or_default();
            ScanError(format!("{rtype} {}: {error}{found}", field.name).into())
        })?;
    }
    if scanner.continues() {
        scanner.take()?;
        let surplus = scanner.last().unwrap_or_default().escape_ascii();
        return Err(ScanError(format!("{rtype}: nothing is expected after its last field (found `{surplus}`)").into()));
    }
    if wire.len() > usize::from(u16::MAX) {
        return Err(ScanError(format!("{rtype} rdata is longer than 65,535 octets").into()));
    }
    debug_assert_eq!(check_rdata(rtype, wire), Ok(()), "what was read has to fit the table");
    Ok(())
}

/// Reads length and hex of the form for unknown types (RFC 3597 §5).
fn read_unknown(rtype: Rtype, scanner: &mut EntryScanner<'_>, wire: &mut Vec<u8>) -> Result<(), ScanError> {
    let length =
        scanner.number(u16::MAX.into()).map_err(|error| ScanError(format!("length after \\#: {error}").into()))?;
    if scanner.continues() {
        *wire = scanner.convert_entry(base16::SymbolConverter::new())?;
    }
    if wire.len() != length as usize {
        return Err(ScanError(format!("\\# says {length} octets, but {} are there", wire.len()).into()));
    }
    check_rdata(rtype, wire).map_err(|error| ScanError(error.0.into()))
}

/// Appends rdata in presentation form: by the table, or as of an unknown type (RFC 3597 §5) where it does not fit,
/// has no text or would be empty text.
pub(crate) fn write(rtype: Rtype, rdata: &[u8], text: &mut String) {
    let start = text.len();
    if let Some(row) = Type::of(rtype)
        && check_rdata(rtype, rdata).is_ok()
        && write_fields(row, rdata, text).is_some()
        && text.len() > start
    {
        // Each field brings a space before it.
        text.remove(start);
        return;
    }
    text.truncate(start);
    push(text, format_args!("\\# {}", rdata.len()));
    if !rdata.is_empty() {
        push(text, format_args!(" {}", base16::encode_display(rdata)));
    }
}

/// Appends the fields of checked rdata, each with a space before it; `None` if the rdata does not fit after all.
fn write_fields(row: &Type, rdata: &[u8], text: &mut String) -> Option<()> {
    let mut at = 0;
    for field in row.fields {
        let end = at + field.kind.octets(rdata, at).ok()?;
        let octets = rdata.get(at..end)?;
        field.kind.resolved(rdata).write(octets, text)?;
        at = end;
    }
    Some(())
}

impl Kind {
    /// Reads a field and appends its wire form.
    fn read(self, scanner: &mut EntryScanner<'_>, wire: &mut Vec<u8>) -> Result<(), ScanError> {
        match self.resolved(wire) {
            Self::U8 => wire.push(scanner.number(u8::MAX.into())? as u8),
            Self::U16 => wire.extend((scanner.number(u16::MAX.into())? as u16).to_be_bytes()),
            Self::U32 => wire.extend(scanner.number(u32::MAX)?.to_be_bytes()),
            Self::Period => {
                let seconds = period::parse(scanner.raw()?);
                let seconds =
                    seconds.ok_or_else(|| ScanError("seconds, or a period such as 1h30m, are expected".into()))?;
                wire.extend(seconds.to_be_bytes());
            }
            Self::Time => wire.extend(Timestamp::scan(scanner)?.into_int().to_be_bytes()),
            Self::Rtype => wire.extend(read_rtype(scanner)?.to_int().to_be_bytes()),
            Self::Algorithm => match SecurityAlgorithm::from_mnemonic(scanner.raw()?) {
                Some(algorithm) => wire.push(algorithm.to_int()),
                None => {
                    scanner.back();
                    wire.push(scanner.number(u8::MAX.into())? as u8);
                }
            },
            Self::U64 => wire.extend(scanner.parsed::<u64>("a number is expected")?.to_be_bytes()),
            Self::CertType => wire.extend(number_or_mnemonic(CERT_TYPES, scanner, u16::MAX)?.to_be_bytes()),
            Self::Scheme => wire.push(number_or_mnemonic(SCHEMES, scanner, u8::MAX.into())? as u8),
            Self::Eui48 => wire.extend(groups::<6>(scanner.raw()?, b'-', 1)?),
            Self::Eui64 => wire.extend(groups::<8>(scanner.raw()?, b'-', 1)?),
            Self::Locator64 => wire.extend(groups::<8>(scanner.raw()?, b':', 2)?),
            Self::Ip4 => wire.extend(scanner.parsed::<Ipv4Addr>("an IPv4 address is expected")?.octets()),
            Self::Ip6 => wire.extend(scanner.parsed::<Ipv6Addr>("an IPv6 address is expected")?.octets()),
            Self::Name => wire.extend_from_slice(scanner.scan_name()?.as_slice()),
            Self::CharStr => scanner.charstr_into(wire)?,
            Self::CharStrs => {
                scanner.charstr_into(wire)?;
                while scanner.continues() {
                    scanner.charstr_into(wire)?;
                }
            }
            Self::OptionalCharStr => {
                if scanner.continues() {
                    scanner.charstr_into(wire)?;
                }
            }
            Self::Tag => {
                let at = wire.len();
                scanner.charstr_into(wire)?;
                if !is_tag(&wire[at + 1..]) {
                    return Err(ScanError("only ASCII letters and digits are allowed".into()));
                }
            }
            Self::Quoted => wire.extend(scanner.scan_octets()?),
            Self::Uri => wire.extend(some(scanner.scan_octets()?)?),
            Self::Nsap => wire.extend(nsap(scanner.raw()?)?),
            Self::DashBase64 => match scanner.raw()? {
                b"-" => {}
                _ => {
                    scanner.back();
                    Self::Base64.read(scanner, wire)?;
                }
            },
            Self::Hex => wire.extend(some(scanner.convert_entry(base16::SymbolConverter::new())?)?),
            Self::Base64 => wire.extend(some(scanner.convert_entry(base64::SymbolConverter::new())?)?),
            Self::OptionalBase64 => {
                if scanner.continues() {
                    wire.extend(scanner.convert_entry(base64::SymbolConverter::new())?);
                }
            }
            Self::Salt => push_counted(Nsec3Salt::scan(scanner)?.as_slice(), wire)?,
            Self::Hash => push_counted(&some(OwnerHash::scan(scanner)?.into_octets())?, wire)?,
            Self::Bitmap => {
                let mut types = RtypeBitmap::<Vec<u8>>::builder();
                while scanner.continues() {
                    // A Vec takes what fits into a record.
                    types.add(read_rtype(scanner)?).map_err(|_| ScanError::short_buf())?;
                }
                wire.extend_from_slice(types.finalize().as_slice());
            }
            Self::OldBitmap => {
                let mut bits = [0; 16];
                while scanner.continues() {
                    let rtype = read_rtype(scanner)?.to_int();
                    let octet = bits.get_mut(usize::from(rtype / 8)).filter(|_| rtype != 0);
                    *octet.ok_or_else(|| ScanError("only types from 1 to 127 fit here".into()))? |= 128 >> (rtype % 8);
                }
                let octets = bits.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
                wire.extend_from_slice(&bits[..octets]);
            }
            Self::Gateway | Self::Relay if self.has_no_gateway(wire) => match scanner.raw()? {
                b"." => {}
                _ => return Err(ScanError("`.` is expected where the gateway type is 0".into())),
            },
            Self::Gateway | Self::Relay => return Err(ScanError("the gateway type is unknown".into())),
            Self::RelayType => {
                let discovery = scanner.number(1)? as u8;
                wire.push(discovery << 7 | scanner.number(127)? as u8);
            }
            Self::Location => location::read(scanner, wire)?,
            Self::Prefixes => prefixes::read(scanner, wire)?,
            Self::Host => host::read(scanner, wire)?,
            Self::SvcParams => svcb::read(scanner, wire)?,
        }
        Ok(())
    }

    /// Appends a field in presentation form with a space before it; nothing for one that is empty and may be.
    fn write(self, octets: &[u8], text: &mut String) -> Option<()> {
        match self {
            Self::Bitmap => {
                for rtype in RtypeBitmap::from_octets(octets).ok()?.iter() {
                    push(text, format_args!(" {}", rtype_to_text(rtype)));
                }
                return Some(());
            }
            Self::CharStrs => {
                let mut strings = octets;
                while let Some((&length, after)) = strings.split_first() {
                    let (string, rest) = after.split_at_checked(length.into())?;
                    push_string(string, text);
                    strings = rest;
                }
                return Some(());
            }
            Self::SvcParams => {
                svcb::write(octets, text);
                return Some(());
            }
            Self::OldBitmap => {
                for number in (0..octets.len() * 8).filter(|bit| octets[bit / 8] & 128 >> (bit % 8) != 0) {
                    push(text, format_args!(" {}", rtype_to_text(Rtype::from_int(number as u16))));
                }
                return Some(());
            }
            Self::Prefixes => return prefixes::write(octets, text),
            Self::OptionalBase64 | Self::OptionalCharStr if octets.is_empty() => return Some(()),
            Self::CharStr | Self::OptionalCharStr => push_string(octets.get(1..)?, text),
            Self::Quoted | Self::Uri => push_string(octets, text),
            _ => text.push(' '),
        }
        match self {
            Self::U8 | Self::Algorithm => push(text, format_args!("{}", octets.first()?)),
            Self::U16 => push(text, format_args!("{}", u16::from_be_bytes(octets.try_into().ok()?))),
            Self::U32 | Self::Period => push(text, format_args!("{}", u32::from_be_bytes(octets.try_into().ok()?))),
            Self::Time => push_time(u32::from_be_bytes(octets.try_into().ok()?), text),
            Self::Rtype => text.push_str(&rtype_to_text(Rtype::from_int(u16::from_be_bytes(octets.try_into().ok()?)))),
            Self::U64 => push(text, format_args!("{}", u64::from_be_bytes(octets.try_into().ok()?))),
            Self::CertType => push_mnemonic(CERT_TYPES, u16::from_be_bytes(octets.try_into().ok()?), text),
            Self::Scheme => push_mnemonic(SCHEMES, (*octets.first()?).into(), text),
            Self::RelayType => push(text, format_args!("{} {}", octets.first()? >> 7, octets.first()? & 0x7F)),
            Self::Eui48 | Self::Eui64 => push_groups(octets, '-', 1, text),
            Self::Locator64 => push_groups(octets, ':', 2, text),
            Self::Nsap => push(text, format_args!("0x{}", base16::encode_display(octets))),
            Self::DashBase64 if octets.is_empty() => text.push('-'),
            Self::Location => location::write(octets, text)?,
            Self::Host => host::write(octets, text)?,
            Self::Ip4 => push(text, format_args!("{}", Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?))),
            Self::Ip6 => push(text, format_args!("{}", Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?))),
            Self::Name => text.push_str(&name::to_text(&Name::from_octets(Bytes::copy_from_slice(octets)).ok()?)),
            Self::Tag => text.push_str(std::str::from_utf8(octets.get(1..)?).ok()?),
            Self::Hex => push(text, format_args!("{}", base16::encode_display(octets))),
            Self::Base64 | Self::OptionalBase64 | Self::DashBase64 => {
                push(text, format_args!("{}", base64::encode_display(&octets)))
            }
            Self::Salt if octets.len() == 1 => text.push('-'),
            Self::Salt => push(text, format_args!("{}", base16::encode_display(octets.get(1..)?))),
            Self::Hash => push(text, format_args!("{}", base32::encode_display_hex(&octets.get(1..)?))),
            Self::Gateway | Self::Relay => text.push('.'),
            Self::CharStr | Self::CharStrs | Self::OptionalCharStr | Self::Quoted | Self::Uri => {}
            Self::Bitmap | Self::OldBitmap | Self::Prefixes | Self::SvcParams => {}
        }
        Some(())
    }
}

/// Octets that must be there.
fn some(octets: Vec<u8>) -> Result<Vec<u8>, ScanError> {
    if octets.is_empty() { Err(ScanError::end_of_entry()) } else { Ok(octets) }
}

/// Reads a record type.
fn read_rtype(scanner: &mut EntryScanner<'_>) -> Result<Rtype, ScanError> {
    let rtype = std::str::from_utf8(scanner.raw()?).ok().and_then(rtype_from_text);
    rtype.ok_or_else(|| ScanError("a record type is expected".into()))
}

/// Reads a number up to `max`, or one of the names for numbers.
fn number_or_mnemonic(names: &[(u16, &str)], scanner: &mut EntryScanner<'_>, max: u16) -> Result<u16, ScanError> {
    let raw = scanner.raw()?;
    match names.iter().find(|(_, name)| name.as_bytes().eq_ignore_ascii_case(raw)) {
        Some((number, _)) => Ok(*number),
        None => {
            scanner.back();
            Ok(scanner.number(max.into())? as u16)
        }
    }
}

/// Octets in hex, `width` of them between separators.
fn groups<const N: usize>(raw: &[u8], separator: u8, width: usize) -> Result<[u8; N], ScanError> {
    let read = || {
        let mut octets = [0; N];
        let mut groups = raw.split(|octet| *octet == separator);
        for group in octets.chunks_exact_mut(width) {
            let digits = groups.next().filter(|digits| digits.len() == width * 2)?;
            for (octet, pair) in group.iter_mut().zip(digits.chunks_exact(2)) {
                *octet = hex(pair[0])? << 4 | hex(pair[1])?;
            }
        }
        groups.next().is_none().then_some(octets)
    };
    read().ok_or_else(|| {
        let (groups, digits, separator) = (N / width, width * 2, char::from(separator));
        ScanError(format!("{groups} groups of {digits} hex digits with `{separator}` between them are expected").into())
    })
}

/// The octets of `0x` and hex with dots in it (RFC 1706 §5).
fn nsap(raw: &[u8]) -> Result<Vec<u8>, ScanError> {
    let read = || {
        let digits = raw.strip_prefix(b"0x").or_else(|| raw.strip_prefix(b"0X"))?;
        let digits =
            digits.iter().filter(|octet| **octet != b'.').map(|octet| hex(*octet)).collect::<Option<Vec<_>>>()?;
        let (pairs, odd) = digits.as_chunks::<2>();
        let octets: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
        (odd.is_empty() && !octets.is_empty()).then_some(octets)
    };
    read().ok_or_else(|| ScanError("0x and hex digits are expected".into()))
}

/// The value of a hex digit.
fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// Appends a number by its name where it has one.
fn push_mnemonic(names: &[(u16, &str)], number: u16, text: &mut String) {
    match names.iter().find(|(known, _)| *known == number) {
        Some((_, name)) => text.push_str(name),
        None => push(text, format_args!("{number}")),
    }
}

/// Appends octets in lower-case hex, `width` of them between separators.
fn push_groups(octets: &[u8], separator: char, width: usize, text: &mut String) {
    for (at, octet) in octets.iter().enumerate() {
        if at > 0 && at % width == 0 {
            text.push(separator);
        }
        push(text, format_args!("{octet:02x}"));
    }
}

/// Appends an octet count and the octets.
fn push_counted(octets: &[u8], wire: &mut Vec<u8>) -> Result<(), ScanError> {
    wire.push(u8::try_from(octets.len()).map_err(|_| ScanError::short_buf())?);
    wire.extend_from_slice(octets);
    Ok(())
}

/// Appends a quoted string with a space before it.
fn push_string(octets: &[u8], text: &mut String) {
    text.push_str(" \"");
    push_escaped(octets, text);
    text.push('"');
}

/// Appends octets as they stand inside quotes.
pub(super) fn push_escaped(octets: &[u8], text: &mut String) {
    for &octet in octets {
        match octet {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(octet.into());
            }
            b' '..=b'~' => text.push(octet.into()),
            _ => push(text, format_args!("\\{octet:03}")),
        }
    }
}

/// Appends a time as `YYYYMMDDHHmmSS` in UTC (RFC 4034 §3.2).
pub(crate) fn push_time(seconds: u32, text: &mut String) {
    // Days are counted from 1 March of year 0, in eras of 400 years; 1970-01-01 is day 719,468.
    let days = seconds / 86_400 + 719_468;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year_of_era + days / 146_097 * 400 + carry;
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    push(text, format_args!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}"));
}

/// Appends formatted text.
pub(super) fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = text.write_fmt(arguments);
}

/// Names of the types of certificates (RFC 4398 §2.1).
const CERT_TYPES: &[(u16, &str)] = &[
    (1, "PKIX"),
    (2, "SPKI"),
    (3, "PGP"),
    (4, "IPKIX"),
    (5, "ISPKI"),
    (6, "IPGP"),
    (7, "ACPKIX"),
    (8, "IACPKIX"),
    (253, "URI"),
    (254, "OID"),
];

/// Names of the schemes of DSYNC (RFC 9859 §2.1).
const SCHEMES: &[(u16, &str)] = &[(1, "NOTIFY")];
