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
use super::wire::{GATEWAY_IP4, GATEWAY_IP6, GATEWAY_NAME, GATEWAY_NONE, is_tag};
use super::{check_rdata, not_data, period, rtype_from_text, svcb};
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

/// Appends rdata in presentation form: by the table, or as of an unknown type (RFC 3597 §5) where it does not fit.
pub(crate) fn write(rtype: Rtype, rdata: &[u8], text: &mut String) {
    let start = text.len();
    if let Some(row) = Type::of(rtype)
        && check_rdata(rtype, rdata).is_ok()
        && write_fields(row, rdata, text).is_some()
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
        // The form of a gateway is told by the octet before it.
        let kind = match (field.kind, rdata.get(1)) {
            (Kind::Gateway, Some(&GATEWAY_IP4)) => Kind::Ip4,
            (Kind::Gateway, Some(&GATEWAY_IP6)) => Kind::Ip6,
            (Kind::Gateway, Some(&GATEWAY_NAME)) => Kind::Name,
            (kind, _) => kind,
        };
        kind.write(octets, text)?;
        at = end;
    }
    Some(())
}

impl Kind {
    /// Reads a field and appends its wire form.
    fn read(self, scanner: &mut EntryScanner<'_>, wire: &mut Vec<u8>) -> Result<(), ScanError> {
        match self {
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
            Self::Rtype => {
                let rtype = std::str::from_utf8(scanner.raw()?).ok().and_then(rtype_from_text);
                wire.extend(rtype.ok_or_else(|| ScanError("a record type is expected".into()))?.to_int().to_be_bytes());
            }
            Self::Algorithm => match SecurityAlgorithm::from_mnemonic(scanner.raw()?) {
                Some(algorithm) => wire.push(algorithm.to_int()),
                None => {
                    scanner.back();
                    wire.push(scanner.number(u8::MAX.into())? as u8);
                }
            },
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
            Self::Tag => {
                let at = wire.len();
                scanner.charstr_into(wire)?;
                if !is_tag(&wire[at + 1..]) {
                    return Err(ScanError("only ASCII letters and digits are allowed".into()));
                }
            }
            Self::Quoted => wire.extend(scanner.scan_octets()?),
            Self::Hex => wire.extend(some(scanner.convert_entry(base16::SymbolConverter::new())?)?),
            Self::Base64 => wire.extend(some(scanner.convert_entry(base64::SymbolConverter::new())?)?),
            Self::OptionalBase64 => {
                if scanner.continues() {
                    wire.extend(scanner.convert_entry(base64::SymbolConverter::new())?);
                }
            }
            Self::Salt => push_counted(Nsec3Salt::scan(scanner)?.as_slice(), wire)?,
            Self::Hash => push_counted(&some(OwnerHash::scan(scanner)?.into_octets())?, wire)?,
            Self::Bitmap => wire.extend_from_slice(RtypeBitmap::scan(scanner)?.as_slice()),
            Self::Gateway => match wire.get(1) {
                Some(&GATEWAY_NONE) => match scanner.raw()? {
                    b"." => {}
                    _ => return Err(ScanError("`.` is expected where the gateway type is 0".into())),
                },
                Some(&GATEWAY_IP4) => Self::Ip4.read(scanner, wire)?,
                Some(&GATEWAY_IP6) => Self::Ip6.read(scanner, wire)?,
                Some(&GATEWAY_NAME) => Self::Name.read(scanner, wire)?,
                _ => return Err(ScanError("the gateway type is unknown".into())),
            },
            Self::SvcParams => svcb::read(scanner, wire)?,
        }
        Ok(())
    }

    /// Appends a field in presentation form with a space before it; nothing for one that is empty and may be.
    fn write(self, octets: &[u8], text: &mut String) -> Option<()> {
        match self {
            Self::Bitmap => {
                for rtype in RtypeBitmap::from_octets(octets).ok()?.iter() {
                    push(text, format_args!(" {rtype}"));
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
            Self::CharStr => push_string(octets.get(1..)?, text),
            Self::Quoted => push_string(octets, text),
            Self::OptionalBase64 if octets.is_empty() => {}
            _ => text.push(' '),
        }
        match self {
            Self::U8 | Self::Algorithm => push(text, format_args!("{}", octets.first()?)),
            Self::U16 => push(text, format_args!("{}", u16::from_be_bytes(octets.try_into().ok()?))),
            Self::U32 | Self::Period => push(text, format_args!("{}", u32::from_be_bytes(octets.try_into().ok()?))),
            Self::Time => push_time(u32::from_be_bytes(octets.try_into().ok()?), text),
            Self::Rtype => push(text, format_args!("{}", Rtype::from_int(u16::from_be_bytes(octets.try_into().ok()?)))),
            Self::Ip4 => push(text, format_args!("{}", Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?))),
            Self::Ip6 => push(text, format_args!("{}", Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?))),
            Self::Name => text.push_str(&name::to_text(&Name::from_octets(Bytes::copy_from_slice(octets)).ok()?)),
            Self::Tag => text.push_str(std::str::from_utf8(octets.get(1..)?).ok()?),
            Self::Hex => push(text, format_args!("{}", base16::encode_display(octets))),
            Self::Base64 | Self::OptionalBase64 => push(text, format_args!("{}", base64::encode_display(&octets))),
            Self::Salt if octets.len() == 1 => text.push('-'),
            Self::Salt => push(text, format_args!("{}", base16::encode_display(octets.get(1..)?))),
            Self::Hash => push(text, format_args!("{}", base32::encode_display_hex(&octets.get(1..)?))),
            Self::Gateway => text.push('.'),
            Self::CharStr | Self::CharStrs | Self::Quoted | Self::Bitmap | Self::SvcParams => {}
        }
        Some(())
    }
}

/// Octets that must be there.
fn some(octets: Vec<u8>) -> Result<Vec<u8>, ScanError> {
    if octets.is_empty() { Err(ScanError::end_of_entry()) } else { Ok(octets) }
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
fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = text.write_fmt(arguments);
}
