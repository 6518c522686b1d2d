//! Wire rdata seen through the table: whether it fits its type, where its names are, how it is compared.

use std::borrow::Cow;

use domain::base::iana::Rtype;

use super::table::{Kind, Names, Type};
use super::{RdataError, host, not_data, prefixes, svcb};

/// A domain name inside rdata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAt {
    /// Octet of the rdata at which the name begins.
    pub start: usize,
    /// Its octets, root included.
    pub octets: usize,
    /// May be compressed in messages: the types of RFC 1035 (RFC 3597 §4).
    pub compressible: bool,
}

/// Whether wire rdata fits its type: complete, nothing left over, names valid and not compressed.
pub fn check_rdata(rtype: Rtype, rdata: &[u8]) -> Result<(), RdataError> {
    if !super::is_data(rtype) {
        return Err(RdataError(not_data(rtype)));
    }
    if rdata.len() > usize::from(u16::MAX) {
        return Err(RdataError(format!("{rtype} rdata is longer than 65,535 octets")));
    }
    let Some(row) = Type::of(rtype) else { return Ok(()) };
    let mut at = 0;
    for field in row.fields {
        at += field.kind.octets(rdata, at).map_err(|why| RdataError(format!("{rtype} {}: {why}", field.name)))?;
    }
    match rdata.len() - at {
        0 => Ok(()),
        surplus => Err(RdataError(format!("{rtype} rdata has {surplus} octets too many"))),
    }
}

/// Where domain names stand in checked wire rdata; none in rdata that does not fit its type.
pub fn names_in_rdata(rtype: Rtype, rdata: &[u8]) -> Vec<NameAt> {
    let Some(row) = Type::of(rtype) else { return Vec::new() };
    let compressible = row.names == Names::Compressed;
    let mut names = Vec::new();
    let mut at = 0;
    for field in row.fields {
        let Ok(octets) = field.kind.octets(rdata, at) else {
            return Vec::new();
        };
        if field.kind.resolved(rdata) == Kind::Name {
            names.push(NameAt { start: at, octets, compressible });
        }
        at += octets;
    }
    names
}

/// Rdata as it is compared and sorted (RFC 4034 §6.2): names in lower case where the type asks for that.
pub fn canonical_rdata(rtype: Rtype, rdata: &[u8]) -> Cow<'_, [u8]> {
    let mut canonical = Cow::Borrowed(rdata);
    if Type::of(rtype).is_some_and(|row| row.names != Names::Verbatim) {
        for name in names_in_rdata(rtype, rdata) {
            let range = name.start..name.start + name.octets;
            if rdata[range.clone()].iter().any(u8::is_ascii_uppercase) {
                // Length octets are at most 63, below `A`, so that only letters change.
                canonical.to_mut()[range].make_ascii_lowercase();
            }
        }
    }
    canonical
}

impl Kind {
    /// The kind that a gateway or relay has in this rdata; any other is itself.
    pub(super) fn resolved(self, rdata: &[u8]) -> Self {
        let told = match self {
            Self::Gateway => rdata.get(1).copied(),
            Self::Relay => rdata.get(1).map(|octet| octet & RELAY_TYPE),
            _ => None,
        };
        match told {
            Some(GATEWAY_IP4) => Self::Ip4,
            Some(GATEWAY_IP6) => Self::Ip6,
            Some(GATEWAY_NAME) => Self::Name,
            _ => self,
        }
    }

    /// Whether this rdata has no gateway or relay.
    pub(super) fn has_no_gateway(self, rdata: &[u8]) -> bool {
        let mask = if self == Self::Relay { RELAY_TYPE } else { u8::MAX };
        rdata.get(1).is_some_and(|octet| octet & mask == GATEWAY_NONE)
    }

    /// How many octets the field takes that begins at octet `at` of `rdata`, or why it cannot be.
    pub(super) fn octets(self, rdata: &[u8], at: usize) -> Result<usize, Cow<'static, str>> {
        let rest = rdata.get(at..).unwrap_or_default();
        let octets = match self.resolved(rdata) {
            Self::U8 | Self::Algorithm | Self::Scheme | Self::RelayType => 1,
            Self::U16 | Self::Rtype | Self::CertType => 2,
            Self::Eui48 => 6,
            Self::U64 | Self::Eui64 | Self::Locator64 => 8,
            Self::U32 | Self::Period | Self::Time | Self::Ip4 => 4,
            Self::Ip6 => 16,
            Self::Name => name_octets(rest)?,
            Self::CharStr | Self::Salt => counted(rest)?.len() + 1,
            Self::OptionalCharStr if rest.is_empty() => 0,
            Self::OptionalCharStr => counted(rest)?.len() + 1,
            Self::Tag => match counted(rest)? {
                tag if is_tag(tag) => tag.len() + 1,
                _ => return Err("it is not made of ASCII letters and digits".into()),
            },
            Self::Hash => match counted(rest)? {
                [] => return Err("it is empty".into()),
                hash => hash.len() + 1,
            },
            Self::CharStrs => {
                let mut strings = rest;
                while !strings.is_empty() {
                    strings = &strings[counted(strings)?.len() + 1..];
                }
                rest.len().max(1)
            }
            Self::Hex | Self::Nsap | Self::Base64 | Self::Uri => rest.len().max(1),
            Self::Quoted | Self::OptionalBase64 | Self::DashBase64 => rest.len(),
            Self::Bitmap => {
                check_bitmap(rest)?;
                rest.len()
            }
            Self::OldBitmap => match rest {
                [] => 0,
                // The first bit set announces a form that was never defined.
                [0..=127, ..] if rest.len() <= 16 && rest.last() != Some(&0) => rest.len(),
                _ => return Err("the bitmap has the wrong form".into()),
            },
            Self::Gateway | Self::Relay if self.has_no_gateway(rdata) => 0,
            Self::Gateway | Self::Relay => return Err("the gateway type is unknown".into()),
            Self::Location => LOCATION_OCTETS,
            Self::Prefixes => {
                prefixes::check(rest)?;
                rest.len()
            }
            Self::Host => {
                host::check(rest)?;
                rest.len()
            }
            Self::SvcParams => {
                svcb::check(rest)?;
                rest.len()
            }
        };
        if octets > rest.len() { Err(ENDS_EARLY.into()) } else { Ok(octets) }
    }
}

/// The octets of a name at the start of `rest`.
pub(super) fn name_octets(rest: &[u8]) -> Result<usize, Cow<'static, str>> {
    let mut at = 0;
    loop {
        match rest.get(at) {
            None => return Err(ENDS_EARLY.into()),
            Some(0) => break,
            Some(&length @ 1..=63) => at += 1 + usize::from(length),
            Some(192..) => return Err("the name is compressed".into()),
            Some(_) => return Err("the name has a label of an unknown kind".into()),
        }
        if at >= NAME_OCTETS_MAX {
            return Err("the name is longer than 255 octets".into());
        }
    }
    Ok(at + 1)
}

/// What follows a length octet at the start of `rest`.
pub(super) fn counted(rest: &[u8]) -> Result<&[u8], Cow<'static, str>> {
    let (&length, after) = rest.split_first().ok_or(ENDS_EARLY)?;
    after.get(..usize::from(length)).ok_or_else(|| ENDS_EARLY.into())
}

/// Whether this is the tag of a CAA record (RFC 8659 §4.1).
pub(super) fn is_tag(tag: &[u8]) -> bool {
    (1..=255).contains(&tag.len()) && tag.iter().all(u8::is_ascii_alphanumeric)
}

/// Checks a type bitmap: blocks in ascending order, none empty, no zero octet at the end of one (RFC 4034 §4.1.2).
fn check_bitmap(mut blocks: &[u8]) -> Result<(), Cow<'static, str>> {
    let mut before = None;
    while let Some((&window, after)) = blocks.split_first() {
        let bits = counted(after)?;
        if before.is_some_and(|before| before >= window) {
            return Err("the blocks of the bitmap are out of order".into());
        }
        if !(1..=32).contains(&bits.len()) || bits.last() == Some(&0) {
            return Err("a block of the bitmap has the wrong length".into());
        }
        before = Some(window);
        blocks = &after[bits.len() + 1..];
    }
    Ok(())
}

/// Gateway types of IPSECKEY (RFC 4025 §2.3): no gateway.
pub(super) const GATEWAY_NONE: u8 = 0;

/// An IPv4 address.
pub(super) const GATEWAY_IP4: u8 = 1;

/// An IPv6 address.
pub(super) const GATEWAY_IP6: u8 = 2;

/// A domain name.
pub(super) const GATEWAY_NAME: u8 = 3;

/// The bits of the second octet of AMTRELAY that hold the type of the relay (RFC 8777 §4.2.3).
const RELAY_TYPE: u8 = 0x7F;

/// Octets of a LOC record (RFC 1876 §2).
const LOCATION_OCTETS: usize = 16;

/// Octets of the longest name (RFC 1035 §2.3.4).
const NAME_OCTETS_MAX: usize = 255;

/// The rdata is shorter than its fields.
pub(super) const ENDS_EARLY: &str = "the rdata ends early";
