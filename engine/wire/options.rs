//! Options of the OPT record (RFC 6891 §6.1.2): what a client asks for by them.

/// What the options of a query ask for; options that are not known are passed over (RFC 6891 §6.1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The client's cookie; of several the first (RFC 7873 §5.2).
    pub cookie: Option<Cookie>,
    /// The client wants to know which server answers (RFC 5001).
    pub nsid: bool,
    /// The client, a secondary, wants to know when the zone expires (RFC 7314).
    pub expire: bool,
    /// The client wants to know for how long a connection stays open (RFC 7828).
    pub keepalive: bool,
    /// edns-tcp-keepalive is there, with data or without.
    pub has_keepalive: bool,
    /// The client hides the length of its message, and wants the same of the answer (RFC 7830).
    pub padding: bool,
}

/// A DNS cookie as a client sends it (RFC 7873 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// What the client made.
    pub client: [u8; 8],
    /// What it says that this server made; None if there is nothing or it does not have the length of ours.
    pub server: Option<[u8; 16]>,
}

impl Options {
    /// Reads the rdata of an OPT record. None if an option does not lie inside it, or if a cookie has no length of
    /// RFC 7873 §5.2.2.
    #[inline]
    pub(super) fn read(mut rdata: &[u8]) -> Option<Self> {
        let mut options = Self::default();
        while let [code_high, code_low, length_high, length_low, rest @ ..] = rdata {
            let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
            let (data, after) = rest.split_at_checked(length)?;
            match u16::from_be_bytes([*code_high, *code_low]) {
                NSID => options.nsid = true,
                EXPIRE => options.expire = true,
                COOKIE => {
                    let cookie = Cookie::read(data)?;
                    options.cookie.get_or_insert(cookie);
                }
                // The client's has no data (RFC 7828 §3.2.1).
                KEEPALIVE if data.is_empty() => (options.keepalive, options.has_keepalive) = (true, true),
                KEEPALIVE => options.has_keepalive = true,
                PADDING => options.padding = true,
                _ => {}
            }
            rdata = after;
        }
        rdata.is_empty().then_some(options)
    }
}

impl Cookie {
    /// Reads the data of a cookie option.
    fn read(data: &[u8]) -> Option<Self> {
        let (client, server) = data.split_first_chunk::<8>()?;
        matches!(server.len(), 0 | 8..=32).then(|| Self { client: *client, server: server.try_into().ok() })
    }
}

/// Option code of the name server identifier (RFC 5001 §4).
pub const NSID: u16 = 3;

/// Option code of the time until a zone expires (RFC 7314 §3).
pub const EXPIRE: u16 = 9;

/// Option code of DNS cookies (RFC 7873 §4).
pub const COOKIE: u16 = 10;

/// Option code of the time that a connection stays open (RFC 7828 §3.1).
pub const KEEPALIVE: u16 = 11;

/// Option code of padding (RFC 7830 §3).
pub const PADDING: u16 = 12;

/// Option code of extended errors (RFC 8914 §2).
pub const EXTENDED_ERROR: u16 = 15;
