//! How long an answer may be kept by who knows nothing of DNS, such as a cache of HTTP.

use domain::base::Message;
use domain::base::iana::Rcode;
use domain::rdata::Soa;

/// The seconds for which an answer may be kept (RFC 8484 §5.1): the lowest TTL of its answer section, and of a denial no
/// more than its SOA says (RFC 2308 §5). 0 for errors, referrals, and what is no answer.
pub(crate) fn lifetime(answer: &[u8]) -> u32 {
    lowest(answer).unwrap_or(0)
}

/// The lowest of all that bounds it; None if nothing does.
fn lowest(answer: &[u8]) -> Option<u32> {
    let message = Message::from_octets(answer).ok()?;
    if !matches!(message.header().rcode(), Rcode::NOERROR | Rcode::NXDOMAIN) {
        return None;
    }
    let (_, answers, authority, _) = message.sections().ok()?;
    let of_answers = answers.flatten().map(|record| record.ttl());
    let of_denial = authority.limit_to::<Soa<_>>().flatten().map(|soa| soa.ttl().min(soa.data().minimum()));
    // RFC 2181 §8: a TTL with its highest bit set is 0.
    let seconds = of_answers.chain(of_denial).map(|ttl| i32::try_from(ttl.as_secs()).unwrap_or(0).unsigned_abs());
    seconds.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with records: type, TTL and data, those of the authority section behind the first `answers`.
    fn answer(rcode: u8, answers: usize, records: &[(u16, u32, &[u8])]) -> Vec<u8> {
        let mut message = vec![0, 0, 0x84, rcode, 0, 1, 0, answers as u8, 0, (records.len() - answers) as u8, 0, 0];
        message.extend(*b"\x07example\x03org\0\0\x01\0\x01");
        for (rtype, ttl, data) in records {
            message.extend([0xc0, 12]);
            message.extend(rtype.to_be_bytes());
            message.extend([0, 1]);
            message.extend(ttl.to_be_bytes());
            message.extend((data.len() as u16).to_be_bytes());
            message.extend(*data);
        }
        message
    }

    #[test]
    fn the_lowest_ttl_counts_and_the_soa_of_a_denial() {
        let a: &[u8] = &[192, 0, 2, 1];
        let alias: &[u8] = &[1, b'x', 0xc0, 12];
        let soa: &[u8] = &[&[0, 0][..], &[0; 16], &60_u32.to_be_bytes()].concat();
        let (a_type, cname, soa_type, ns) = (1, 5, 6, 2);
        for (message, expected) in [
            (answer(0, 2, &[(a_type, 300, a), (a_type, 200, a)]), 200),
            (answer(0, 1, &[(a_type, 300, a), (ns, 10, alias)]), 300),
            (answer(3, 0, &[(soa_type, 3600, soa)]), 60),
            (answer(0, 0, &[(soa_type, 30, soa)]), 30),
            (answer(3, 1, &[(cname, 300, alias), (soa_type, 3600, soa)]), 60),
            (answer(0, 0, &[(ns, 300, alias)]), 0),
            (answer(0, 1, &[(a_type, 1 << 31, a)]), 0),
            (answer(2, 1, &[(a_type, 300, a)]), 0),
            (vec![0; 12], 0),
            (vec![0; 5], 0),
        ] {
            assert_eq!(lifetime(&message), expected, "{message:?}");
        }
    }
}
