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
    /// Eight octets, decimal.
    U64,
    /// Two octets, a type of certificate by number or mnemonic (RFC 4398 §2.1).
    CertType,
    /// One octet, a scheme of DSYNC by number or mnemonic (RFC 9859 §2.1).
    Scheme,
    /// Six octets in hex with hyphens (RFC 7043 §3.2).
    Eui48,
    /// Eight octets in hex with hyphens (RFC 7043 §4.2).
    Eui64,
    /// Eight octets in hex, two by two with colons (RFC 6742 §2.1.2).
    Locator64,
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
    /// A character-string that may be left out: the rest.
    OptionalCharStr,
    /// A character-string of ASCII letters and digits (RFC 8659 §4.1).
    Tag,
    /// Octets shown as one quoted string: the rest.
    Quoted,
    /// At least one octet shown as one quoted string: the rest.
    Uri,
    /// At least one octet in hex: the rest.
    Hex,
    /// At least one octet in hex after `0x`, with dots anywhere (RFC 1706 §5): the rest.
    Nsap,
    /// At least one octet in base64: the rest.
    Base64,
    /// Octets in base64, perhaps none: the rest.
    OptionalBase64,
    /// Octets in base64, `-` for none: the rest.
    DashBase64,
    /// An octet count and hex, `-` for none (RFC 5155 §3.3).
    Salt,
    /// An octet count and base32hex (RFC 5155 §3.3).
    Hash,
    /// A type bitmap (RFC 4034 §4.1.2), shown as types: the rest.
    Bitmap,
    /// A bitmap of the types up to 127 (RFC 2535 §5.2), shown as types: the rest.
    OldBitmap,
    /// Nothing, an address or a name by the second octet of the rdata (RFC 4025 §2.5).
    Gateway,
    /// One octet, shown as its top bit and the number in the others (RFC 8777 §4.2).
    RelayType,
    /// As a gateway, by the second octet of the rdata without its top bit (RFC 8777 §4.2.4).
    Relay,
    /// A place on Earth (RFC 1876): the rest.
    Location,
    /// Address prefixes (RFC 3123): the rest.
    Prefixes,
    /// A host identity with its rendezvous servers (RFC 8005 §5): the rest.
    Host,
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
static TYPES: [Type; 79] = [
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
    row(Rtype::RRSIG, Lowered, RRSIG),
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
    row(Rtype::LOC, Verbatim, &[field("location", Location)]),
    row(Rtype::URI, Verbatim, &[field("priority", U16), field("weight", U16), field("target", Uri)]),
    row(Rtype::APL, Verbatim, &[field("prefixes", Prefixes)]),
    row(
        Rtype::CERT,
        Verbatim,
        &[field("type", CertType), field("key tag", U16), field("algorithm", Algorithm), field("certificate", Base64)],
    ),
    row(Rtype::DHCID, Verbatim, &[field("digest", Base64)]),
    row(Rtype::EUI48, Verbatim, &[field("address", Eui48)]),
    row(Rtype::EUI64, Verbatim, &[field("address", Eui64)]),
    row(Rtype::HIP, Verbatim, &[field("host identity", Host)]),
    row(Rtype::NID, Verbatim, &[field("preference", U16), field("node identifier", Locator64)]),
    row(Rtype::L32, Verbatim, &[field("preference", U16), field("locator", Ip4)]),
    row(Rtype::L64, Verbatim, &[field("preference", U16), field("locator", Locator64)]),
    row(Rtype::LP, Verbatim, &[field("preference", U16), field("pointer", Name)]),
    row(
        Rtype::SMIMEA,
        Verbatim,
        &[field("usage", U8), field("selector", U8), field("matching type", U8), field("data", Hex)],
    ),
    row(Rtype::CSYNC, Verbatim, &[field("serial", U32), field("flags", U16), field("types", Bitmap)]),
    // RFC 1183 §1 and §3.3 and RFC 2230 §3.2 ask for the addresses of the host.
    with_additional(row(Rtype::AFSDB, Lowered, &[field("subtype", U16), field("host", Name)])),
    with_additional(row(Rtype::RT, Lowered, &[field("preference", U16), field("host", Name)])),
    with_additional(row(Rtype::KX, Lowered, &[field("preference", U16), field("exchanger", Name)])),
    row(Rtype::PX, Lowered, &[field("preference", U16), field("map822", Name), field("mapx400", Name)]),
    row(Rtype::X25, Verbatim, &[field("address", CharStr)]),
    row(Rtype::ISDN, Verbatim, &[field("address", CharStr), field("subaddress", OptionalCharStr)]),
    row(Rtype::NSAP, Verbatim, &[field("address", Nsap)]),
    row(Rtype::NSAPPTR, Verbatim, &[field("host", Name)]),
    row(Rtype::GPOS, Verbatim, &[field("longitude", CharStr), field("latitude", CharStr), field("altitude", CharStr)]),
    row(Rtype::SPF, Verbatim, TXT),
    row(Rtype::NINFO, Verbatim, TXT),
    row(Rtype::AVC, Verbatim, TXT),
    row(Rtype::RESINFO, Verbatim, TXT),
    row(Rtype::WALLET, Verbatim, TXT),
    row(Rtype::CLA, Verbatim, TXT),
    row(Rtype::IPN, Verbatim, &[field("number", U64)]),
    row(
        Rtype::AMTRELAY,
        Verbatim,
        &[field("precedence", U8), field("discovery and type", RelayType), field("relay", Relay)],
    ),
    row(
        Rtype::DSYNC,
        Verbatim,
        &[field("type", Rtype), field("scheme", Scheme), field("port", U16), field("target", Name)],
    ),
    row(Rtype::TALINK, Verbatim, &[field("previous", Name), field("next", Name)]),
    row(Rtype::KEY, Verbatim, KEY),
    row(Rtype::RKEY, Verbatim, KEY),
    row(Rtype::SIG, Lowered, RRSIG),
    row(Rtype::NXT, Lowered, &[field("next name", Name), field("types", OldBitmap)]),
    row(Rtype::TA, Verbatim, DS),
    row(Rtype::DLV, Verbatim, DS),
    row(Rtype::EID, Verbatim, &[field("identifier", Hex)]),
    row(Rtype::NIMLOC, Verbatim, &[field("locator", Hex)]),
    row(Rtype::HHIT, Verbatim, &[field("data", Base64)]),
    row(Rtype::BRID, Verbatim, &[field("data", Base64)]),
    row(
        Rtype::DOA,
        Verbatim,
        &[
            field("enterprise", U32),
            field("type", U32),
            field("location", U8),
            field("media type", CharStr),
            field("data", DashBase64),
        ],
    ),
];

/// The fields of SVCB and HTTPS (RFC 9460 §2.2).
const SVCB: &[Field] = &[field("priority", U16), field("target", Name), field("parameters", SvcParams)];

/// The fields of DS and CDS (RFC 4034 §5.1, RFC 7344 §3.1).
const DS: &[Field] =
    &[field("key tag", U16), field("algorithm", Algorithm), field("digest type", U8), field("digest", Hex)];

/// The fields of DNSKEY and CDNSKEY (RFC 4034 §2.1, RFC 7344 §3.2).
const DNSKEY: &[Field] =
    &[field("flags", U16), field("protocol", U8), field("algorithm", Algorithm), field("key", Base64)];

/// The fields of KEY and RKEY (RFC 2535 §3.1); a KEY may say that there is none.
const KEY: &[Field] =
    &[field("flags", U16), field("protocol", U8), field("algorithm", Algorithm), field("key", OptionalBase64)];

/// The fields of RRSIG and SIG (RFC 4034 §3.1, RFC 2535 §4.1).
const RRSIG: &[Field] = &[
    field("type covered", Rtype),
    field("algorithm", Algorithm),
    field("labels", U8),
    field("original TTL", U32),
    field("expiration", Time),
    field("inception", Time),
    field("key tag", U16),
    field("signer", Name),
    field("signature", Base64),
];

/// The fields of the types that look like TXT.
const TXT: &[Field] = &[field("text", CharStrs)];
