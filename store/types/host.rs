//! Rdata of HIP records (RFC 8005 §5): algorithm, host identity tag, public key, rendezvous servers.

use std::borrow::Cow;

use bytes::Bytes;
use domain::base::scan::Scanner as _;
use domain::utils::{base16, base64};

use super::scanner::{EntryScanner, ScanError};
use super::text::push;
use super::wire::{ENDS_EARLY, name_octets};
use crate::{Name, name};

/// Checks the rdata: nothing empty, names valid and not compressed.
pub(super) fn check(rdata: &[u8]) -> Result<(), Cow<'static, str>> {
    let Parts { mut servers, .. } = Parts::of(rdata).ok_or(ENDS_EARLY)?;
    while !servers.is_empty() {
        servers = &servers[name_octets(servers)?..];
    }
    Ok(())
}

/// Appends the rdata in presentation form: algorithm, tag in hex, key in base64, names.
pub(super) fn write(rdata: &[u8], text: &mut String) -> Option<()> {
    let Parts { algorithm, tag, key, mut servers } = Parts::of(rdata)?;
    push(text, format_args!("{algorithm} {} {}", base16::encode_display(tag), base64::encode_display(&key)));
    while !servers.is_empty() {
        let (server, rest) = servers.split_at_checked(name_octets(servers).ok()?)?;
        push(text, format_args!(" {}", name::to_text(&Name::from_octets(Bytes::copy_from_slice(server)).ok()?)));
        servers = rest;
    }
    Some(())
}

/// Reads the presentation form up to the end of the entry and appends the wire form.
pub(super) fn read(scanner: &mut EntryScanner<'_>, wire: &mut Vec<u8>) -> Result<(), ScanError> {
    let algorithm = scanner.number(u8::MAX.into())? as u8;
    let tag = scanner.convert_token(base16::SymbolConverter::new())?;
    let key = scanner.convert_token(base64::SymbolConverter::new())?;
    if tag.is_empty() || key.is_empty() {
        return Err(ScanError("tag and key must not be empty".into()));
    }
    let too_long = |_| ScanError("tag or key is too long".into());
    wire.extend([u8::try_from(tag.len()).map_err(too_long)?, algorithm]);
    wire.extend(u16::try_from(key.len()).map_err(too_long)?.to_be_bytes());
    wire.extend(tag);
    wire.extend(key);
    while scanner.continues() {
        wire.extend_from_slice(scanner.scan_name()?.as_slice());
    }
    Ok(())
}

/// The fields of the rdata.
struct Parts<'a> {
    /// The algorithm of the key.
    algorithm: u8,
    /// The host identity tag.
    tag: &'a [u8],
    /// The public key.
    key: &'a [u8],
    /// The names of the rendezvous servers, one after the other.
    servers: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Cuts the rdata; `None` if it is cut off or tag or key is empty.
    fn of(rdata: &'a [u8]) -> Option<Self> {
        let (&[tag_octets, algorithm, high, low], rest) = rdata.split_first_chunk()?;
        let (tag, rest) = rest.split_at_checked(tag_octets.into())?;
        let (key, servers) = rest.split_at_checked(u16::from_be_bytes([high, low]).into())?;
        (!tag.is_empty() && !key.is_empty()).then_some(Self { algorithm, tag, key, servers })
    }
}
