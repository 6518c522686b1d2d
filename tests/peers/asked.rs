//! Questions about a world, and how to say them.

use store::Rtype;

use super::random::Random;
use super::world::{LABELS, World};
use crate::support::Question;
use store::types::rtype_to_text;

/// Some question.
pub(super) fn question(world: &World, random: &mut Random) -> Question {
    let name = &world.names[random.below(world.names.len())];
    let qname = match random.below(10) {
        0..=3 => name.clone(),
        4 => format!("{}.{name}", random.pick(LABELS)),
        5 => format!("{}.{}.{name}", random.pick(LABELS), random.pick(LABELS)),
        6 => name.replacen('*', random.pick(LABELS), 1),
        7 => parent(name).into(),
        8 => format!("{}.{}", random.pick(LABELS), parent(name)),
        _ => name.to_ascii_uppercase(),
    };
    let qname = if store::name::parse(&qname, None).is_ok() { qname } else { name.clone() };
    let mut question = Question::new(&qname, TYPES[random.below(TYPES.len())]);
    question.dnssec_ok = random.percent(60);
    question.edns_size = (question.dnssec_ok || random.percent(50)).then_some(1232);
    question.recursion_desired = random.percent(10);
    question.checking_disabled = random.percent(10);
    question
}

/// A question as one would give it to `dig`.
pub(super) fn to_dig(question: &Question) -> String {
    let flags = [
        (question.dnssec_ok, " +dnssec"),
        (question.edns_size.is_some(), " +bufsize=1232"),
        (question.edns_size.is_none(), " +noedns"),
        (!question.recursion_desired, " +norec"),
        (question.checking_disabled, " +cd"),
    ];
    let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| *flag).collect();
    format!("'{}' {}{flags}", question.qname, rtype_to_text(question.qtype))
}

/// A name without its first label; no name has an escaped dot there that matters.
fn parent(name: &str) -> &str {
    name.split_once('.').map_or(".", |(_, parent)| if parent.is_empty() { "." } else { parent })
}

/// Types that are asked for; those listed twice more often.
const TYPES: &[Rtype] = &[
    Rtype::A,
    Rtype::A,
    Rtype::A,
    Rtype::AAAA,
    Rtype::TXT,
    Rtype::TXT,
    Rtype::MX,
    Rtype::SRV,
    Rtype::NS,
    Rtype::NS,
    Rtype::SOA,
    Rtype::DS,
    Rtype::DS,
    Rtype::DS,
    Rtype::DNSKEY,
    Rtype::NSEC,
    Rtype::NSEC3,
    Rtype::NSEC3PARAM,
    Rtype::RRSIG,
    Rtype::ANY,
    Rtype::CNAME,
    Rtype::DNAME,
    Rtype::PTR,
    Rtype::CAA,
    Rtype::SVCB,
    Rtype::HTTPS,
    Rtype::from_int(65534),
];
