//! Server cookies (RFC 7873, RFC 9018): who shows one has been sent it before, so its address is not forged.

use std::net::IpAddr;

use domain::base::Serial;
use domain::base::opt::cookie::{ClientCookie, StandardServerCookie};

use super::options::Cookie;

/// What cookies are made with: a secret of its own for every day, made from one that never leaves the process.
///
/// A cookie says when it was made and so with which secret; nobody has to remember the secrets of earlier days. One that
/// is a day old or more is never looked at, so a secret is out of use a day and an hour after its first use at most
/// (RFC 7873 §7.1 asks for a roll at least every 36 days).
pub struct CookieSecrets {
    root: [u8; 16],
}

impl CookieSecrets {
    /// Secrets from 16 octets that nobody can guess.
    pub fn new(root: [u8; 16]) -> Self {
        Self { root }
    }

    /// The cookie option's data for the answer to a client that showed `cookie`: its own part and ours. True beside it
    /// if the client showed a good cookie of ours. `now` is in seconds since 1970.
    ///
    /// A good cookie is given back for half an hour, then renewed; it is good for an hour, and for five minutes before
    /// the clock reaches it (RFC 9018 §4.3).
    pub fn answer(&self, client: IpAddr, cookie: Cookie, now: u32) -> ([u8; 24], bool) {
        let make = |time: u32| {
            StandardServerCookie::calculate(
                ClientCookie::from_octets(cookie.client),
                Serial(time),
                client,
                &self.secret(time / DAY),
            )
        };
        let shown = cookie.server.filter(|server| server.starts_with(&[VERSION, 0, 0, 0]));
        let good = shown.and_then(|server| {
            let time = u32::from_be_bytes(*server.get(4..)?.first_chunk()?);
            // Ages wrap as serials do; one from the future is negative.
            let age = now.wrapping_sub(time).cast_signed();
            let made = make(time);
            ((-AHEAD_MAX..=AGE_MAX).contains(&age) && is_same(made.hash(), &server)).then_some((made, age))
        });
        let (ours, good) = match good {
            Some((made, age)) if age <= RENEWAL_AGE => (made, true),
            Some(_) => (make(now), true),
            None => (make(now), false),
        };
        let mut data = [0; 24];
        data[..8].copy_from_slice(&cookie.client);
        data[8] = VERSION;
        data[12..16].copy_from_slice(&ours.timestamp().into_int().to_be_bytes());
        data[16..].copy_from_slice(&ours.hash());
        (data, good)
    }

    /// The secret of a day.
    fn secret(&self, day: u32) -> [u8; 16] {
        let half = |half: u8| {
            let label = ClientCookie::from_octets([half; 8]);
            StandardServerCookie::calculate(label, Serial(day), IpAddr::from([0; 4]), &self.root).hash()
        };
        let mut secret = [0; 16];
        secret[..8].copy_from_slice(&half(0));
        secret[8..].copy_from_slice(&half(1));
        secret
    }
}

/// Whether a hash is that of a server cookie, in the same time wherever they differ.
fn is_same(hash: [u8; 8], server: &[u8; 16]) -> bool {
    server[8..].iter().zip(hash).fold(0, |difference, (one, other)| difference | (one ^ other)) == 0
}

/// The version of server cookies (RFC 9018 §4.1).
const VERSION: u8 = 1;

/// Seconds that a secret is used for.
const DAY: u32 = 86_400;

/// Seconds that a cookie is good for.
const AGE_MAX: i32 = 3600;

/// Seconds that a clock may be behind that of the cookie.
const AHEAD_MAX: i32 = 300;

/// Seconds after which a cookie is renewed.
const RENEWAL_AGE: i32 = 1800;

#[cfg(test)]
mod tests {
    use super::*;

    /// A client, and a cookie of its own.
    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 100));
    const OWN: [u8; 8] = [0x24, 0x64, 0xc4, 0xab, 0xcf, 0x10, 0xc9, 0x57];

    /// The answer's server part, and whether the cookie was good.
    fn ask(server: Option<[u8; 16]>, now: u32) -> ([u8; 16], bool) {
        let (data, good) = CookieSecrets::new([7; 16]).answer(CLIENT, Cookie { client: OWN, server }, now);
        assert_eq!(data[..8], OWN);
        (data[8..].try_into().unwrap(), good)
    }

    #[test]
    fn the_examples_of_rfc_9018_appendix_a() {
        const FIRST: u128 = 0xe5e9_73e5_a6b2_a43f_48e7_dc84_9e37_bfcf;
        const BEFORE_ROLL: u128 = 0xdd3b_df93_44b6_78b1_85a6_f5cb_60fc_a715;
        const AFTER_ROLL: u128 = 0x4455_36bc_d251_3298_075a_5d37_9663_c962;
        let six = "2001:db8:220:1:59de:d0f4:8769:82b8";
        for (secret, client, address, time, hash) in [
            (FIRST, 0x2464_c4ab_cf10_c957_u64, "198.51.100.100", 1_559_731_985, 0x1f81_30c3_eee2_9480_u64),
            (FIRST, 0x2464_c4ab_cf10_c957, "198.51.100.100", 1_559_734_385, 0xd4a5_64a1_442a_ca77),
            (FIRST, 0xfc93_fc62_807d_db86, "203.0.113.203", 1_559_734_700, 0xf73a_7810_aca2_381e),
            (BEFORE_ROLL, 0x2268_1ab9_7d52_c298, six, 1_559_741_817, 0x2655_6bd0_934c_72f8),
            (AFTER_ROLL, 0x2268_1ab9_7d52_c298, six, 1_559_741_961, 0xa6bb_79d1_6625_507a),
        ] {
            let (secret, client) = (secret.to_be_bytes(), ClientCookie::from_octets(client.to_be_bytes()));
            let cookie = StandardServerCookie::calculate(client, Serial(time), address.parse().unwrap(), &secret);
            assert_eq!(u64::from_be_bytes(cookie.hash()), hash, "{address} at {time}");
        }
    }

    #[test]
    fn a_cookie_is_given_back_then_renewed_then_refused() {
        let made = 1_800_000_000;
        let (first, good) = ask(None, made);
        assert!(!good);
        assert_eq!(first[..8], [&[1, 0, 0, 0], &made.to_be_bytes()[..]].concat());
        for (now, is_good, is_renewed) in [
            (made, true, false),
            (made + 1800, true, false),
            (made + 1801, true, true),
            (made + 3600, true, true),
            (made + 3601, false, true),
            (made - 300, true, false),
            (made - 301, false, true),
        ] {
            let (next, good) = ask(Some(first), now);
            assert_eq!((good, next != first), (is_good, is_renewed), "{now}");
        }
    }

    #[test]
    fn a_cookie_outlives_midnight_and_other_days_have_other_secrets() {
        let midnight = 86_400 * 20_000;
        let (cookie, _) = ask(None, midnight - 1);
        assert!(ask(Some(cookie), midnight + 1).1);
        let secrets = CookieSecrets::new([7; 16]);
        assert_ne!(secrets.secret(1), secrets.secret(2));
    }

    #[test]
    fn what_is_not_of_our_making_is_not_good() {
        let now = 1_800_000_000;
        let (cookie, _) = ask(None, now);
        for at in 0..16 {
            let mut other = cookie;
            other[at] ^= 1;
            assert!(!ask(Some(other), now).1, "octet {at}");
        }
        let cookie = Cookie { client: OWN, server: Some(cookie) };
        let secrets = CookieSecrets::new([7; 16]);
        assert!(!secrets.answer([198, 51, 100, 101].into(), cookie, now).1, "another client");
        assert!(!CookieSecrets::new([8; 16]).answer(CLIENT, cookie, now).1, "another server");
        assert!(secrets.answer(CLIENT, cookie, now).1);
    }
}
