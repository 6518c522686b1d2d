//! The table: a row a type.

use domain::base::iana::Rtype;

use Kind::*;
use Names::*;

/// What is known of a record type.
pub(super) struct Type {
    /// Its number and mnemonic.
    pub(super) rtype: Rtype,
    /// How names in its rdata are treated.
    pub(super) names: Names,
    /// Whether answers carry the addresses of the name in its rdata (RFC 1035 §3.3, RFC 2782, RFC 9460 §4.1).
    pub(super) additional: bool,
    /// Whether its JSON content has the fields as keys; otherwise it is `{"rdata":"presentation form"}`.
    pub(super) content: bool,
    /// The fields of its rdata in order.
    pub(super) fields: &'static [Field],
}

impl Type {
    /// The row of a type.
    pub(super) fn of(rtype: Rtype) -> Option<&'static Self> {
        TYPES.iter().find(|row| row.rtype == rtype)
    }

    /// The row of a mnemonic.
    pub(super) fn named(mnemonic: &[u8]) -> Option<&'static Self> {
        TYPES.iter().find(|row| row.rtype.to_mnemonic().is_some_and(|name| name.eq_ignore_ascii_case(mnemonic)))
    }
}

/// How names in rdata are treated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// Compressed in messages (RFC 3597 §4) and compared without case.
    Compressed,
    /// Not compressed, compared without case (RFC 4034 §6.2).
    Lowered,
    /// Copied and compared as they stand; also where there are none.
    Verbatim,
}

/// One field of rdata.
pub(super) struct Field {
    /// Its key in JSON content, and its name in errors.
    pub(super) name: &'static str,
    /// What it looks like.
    pub(super) kind: Kind,
    /// What JSON content without it means.
    pub(super) missing: Missing,
}

/// The forms of fields. Those marked "the rest" end the rdata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One octet, decimal.
    U8,
    /// Two octets, decimal.
    U16,
    /// Four octets, decimal.
    U32,
    /// Four octets, seconds with or without units (`1h30m`).
    Period,
    /// Four octets, `YYYYMMDDHHmmSS` (RFC 4034 §3.2).
    Time,
    /// Two octets, a record type.
    Rtype,
    /// One octet, a DNSSEC algorithm by number or mnemonic (RFC 4034 appendix A.1).
    Algorithm,
    /// An IPv4 address.
    Ip4,
    /// An IPv6 address.
    Ip6,
    /// A domain name.
    Name,
    /// A character-string (RFC 1035 §3.3).
    CharStr,
    /// One or more character-strings: the rest.
    CharStrs,
    /// A character-string of ASCII letters and digits (RFC 8659 §4.1).
    Tag,
    /// Octets shown as one quoted string: the rest.
    Quoted,
    /// At least one octet in hex: the rest.
    Hex,
    /// At least one octet in base64: the rest.
    Base64,
    /// Octets in base64, perhaps none: the rest.
    OptionalBase64,
    /// An octet count and hex, `-` for none (RFC 5155 §3.3).
    Salt,
    /// An octet count and base32hex (RFC 5155 §3.3).
    Hash,
    /// A type bitmap (RFC 4034 §4.1.2), shown as types: the rest.
    Bitmap,
    /// Nothing, an address or a name by the second octet of the rdata (RFC 4025 §2.5).
    Gateway,
    /// Service parameters (RFC 9460 §2.1): the rest.
    SvcParams,
}

/// What JSON content without a field means.
#[derive(Clone, Copy)]
pub(super) enum Missing {
    /// It is an error.
    Refused,
    /// This number.
    Number(u32),
    /// This label below the zone's apex.
    Label(&'static str),
    /// The field never is in content; its value is made elsewhere and 0 here.
    Elsewhere,
}

/// A field that content must have.
const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, missing: Missing::Refused }
}

/// A field that content may leave out.
const fn default(name: &'static str, kind: Kind, missing: Missing) -> Field {
    Field { name, kind, missing }
}

/// A row without JSON keys and additional data.
const fn row(rtype: Rtype, names: Names, fields: &'static [Field]) -> Type {
    Type { rtype, names, additional: false, content: false, fields }
}

/// A row whose answers carry addresses.
const fn with_additional(row: Type) -> Type {
    Type { additional: true, ..row }
}

/// A row whose fields are keys of JSON content.
const fn with_content(row: Type) -> Type {
    Type { content: true, ..row }
}

/// Numbers of the types that are for questions and messages (RFC 6895 §3.1).
pub(super) const META: std::ops::RangeInclusive<u16> = 128..=255;

/// All types that are more than octets here; the usual ones first, as they are searched in order.
static TYPES: [Type; 35] = [
    with_content(row(Rtype::A, Verbatim, &[field("ip", Ip4)])),
    with_content(row(Rtype::AAAA, Verbatim, &[field("ip", Ip6)])),
    with_additional(with_content(row(Rtype::NS, Compressed, &[field("host", Name)]))),
    with_content(row(Rtype::CNAME, Compressed, &[field("host", Name)])),
    with_additional(with_content(row(
        Rtype::MX,
        Compressed,
        &[default("preference", U16, Missing::Number(0)), field("host", Name)],
    ))),
    with_content(row(Rtype::TXT, Verbatim, &[field("text", CharStrs)])),
    with_content(row(Rtype::PTR, Compressed, &[field("host", Name)])),
    with_content(row(
        Rtype::SOA,
        Compressed,
        &[
            default("ns", Name, Missing::Label("ns1")),
            default("mbox", Name, Missing::Label("hostmaster")),
            default("serial", U32, Missing::Elsewhere),
            default("refresh", Period, Missing::Number(7200)),
            default("retry", Period, Missing::Number(1800)),
            default("expire", Period, Missing::Number(1_209_600)),
            default("minttl", Period, Missing::Number(300)),
        ],
    )),
    // RFC 2782 forbids compression of the target, and RFC 3597 §4 upholds that.
    with_additional(with_content(row(
        Rtype::SRV,
        Lowered,
        &[
            default("priority", U16, Missing::Number(0)),
            default("weight", U16, Missing::Number(0)),
            field("port", U16),
            field("target", Name),
        ],
    ))),
    with_content(row(
        Rtype::CAA,
        Verbatim,
        &[default("flag", U8, Missing::Number(0)), field("tag", Tag), field("value", Quoted)],
    )),
    row(Rtype::DNAME, Lowered, &[field("target", Name)]),
    with_additional(row(Rtype::HTTPS, Verbatim, SVCB)),
    with_additional(row(Rtype::SVCB, Verbatim, SVCB)),
    row(Rtype::DS, Verbatim, DS),
    row(Rtype::CDS, Verbatim, DS),
    row(Rtype::DNSKEY, Verbatim, DNSKEY),
    row(Rtype::CDNSKEY, Verbatim, DNSKEY),
    row(
        Rtype::RRSIG,
        Lowered,
        &[
            field("type covered", Rtype),
            field("algorithm", Algorithm),
            field("labels", U8),
            field("original TTL", U32),
            field("expiration", Time),
            field("inception", Time),
            field("key tag", U16),
            field("signer", Name),
            field("signature", Base64),
        ],
    ),
    // The next name keeps its case when compared (RFC 6840 §5.1).
    row(Rtype::NSEC, Verbatim, &[field("next name", Name), field("types", Bitmap)]),
    row(
        Rtype::NSEC3,
        Verbatim,
        &[
            field("hash algorithm", U8),
            field("flags", U8),
            field("iterations", U16),
            field("salt", Salt),
            field("next hash", Hash),
            field("types", Bitmap),
        ],
    ),
    row(
        Rtype::NSEC3PARAM,
        Verbatim,
        &[field("hash algorithm", U8), field("flags", U8), field("iterations", U16), field("salt", Salt)],
    ),
    row(
        Rtype::TLSA,
        Verbatim,
        &[field("usage", U8), field("selector", U8), field("matching type", U8), field("data", Hex)],
    ),
    row(Rtype::SSHFP, Verbatim, &[field("algorithm", U8), field("type", U8), field("fingerprint", Hex)]),
    with_additional(row(
        Rtype::NAPTR,
        Lowered,
        &[
            field("order", U16),
            field("preference", U16),
            field("flags", CharStr),
            field("services", CharStr),
            field("regexp", CharStr),
            field("replacement", Name),
        ],
    )),
    row(Rtype::HINFO, Verbatim, &[field("cpu", CharStr), field("os", CharStr)]),
    row(Rtype::RP, Lowered, &[field("mailbox", Name), field("text", Name)]),
    row(
        Rtype::IPSECKEY,
        Verbatim,
        &[
            field("precedence", U8),
            field("gateway type", U8),
            field("algorithm", U8),
            field("gateway", Gateway),
            field("key", OptionalBase64),
        ],
    ),
    row(Rtype::OPENPGPKEY, Verbatim, &[field("key", Base64)]),
    row(
        Rtype::ZONEMD,
        Verbatim,
        &[field("serial", U32), field("scheme", U8), field("algorithm", U8), field("digest", Hex)],
    ),
    with_additional(row(Rtype::MB, Compressed, &[field("host", Name)])),
    row(Rtype::MD, Compressed, &[field("host", Name)]),
    row(Rtype::MF, Compressed, &[field("host", Name)]),
    row(Rtype::MG, Compressed, &[field("mailbox", Name)]),
    row(Rtype::MR, Compressed, &[field("mailbox", Name)]),
    row(Rtype::MINFO, Compressed, &[field("mailbox", Name), field("error mailbox", Name)]),
];

/// The fields of SVCB and HTTPS (RFC 9460 §2.2).
const SVCB: &[Field] = &[field("priority", U16), field("target", Name), field("parameters", SvcParams)];

/// The fields of DS and CDS (RFC 4034 §5.1, RFC 7344 §3.1).
const DS: &[Field] =
    &[field("key tag", U16), field("algorithm", Algorithm), field("digest type", U8), field("digest", Hex)];

/// The fields of DNSKEY and CDNSKEY (RFC 4034 §2.1, RFC 7344 §3.2).
const DNSKEY: &[Field] =
    &[field("flags", U16), field("protocol", U8), field("algorithm", Algorithm), field("key", Base64)];
