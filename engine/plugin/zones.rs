//! What all plugins that answer from zones have in common.

use domain::base::iana::exterr::ExtendedErrorCode;
use domain::base::iana::{OptRcode, Rtype};

use super::{Context, Flow, Transport};
use crate::wire::{Query, Response};
use crate::zone::{Found, Question, SetId, Watch, answer_watched};

/// Answers from a set of zones; the second value says what was found, for those who fall through.
///
/// A transfer is refused with `transfer` (a plugin of its own allows transfers). Over UDP it is NOTIMP, and a question
/// for IXFR is answered with the SOA alone, which sends the client to TCP (RFC 1995 §2); at a name that is no apex there is
/// nothing to transfer (NOTAUTH).
#[inline]
pub(super) fn serve(
    set: SetId,
    transfer: OptRcode,
    query: &Query,
    response: &mut Response<'_>,
    context: &Context<'_>,
    watch: &mut impl Watch,
) -> (Flow, Found) {
    let Some(zones) = context.snapshot.set(set) else { return (Flow::Next, Found::NoZone) };
    let qtype = match (query.qtype, context.arrival.transport) {
        (Rtype::IXFR, Transport::Udp) => match zones.find(&query.name) {
            Some(zone) if zone.labels() < query.name.labels() => return (Flow::Rcode(OptRcode::NOTAUTH), Found::Data),
            _ => Rtype::SOA,
        },
        (Rtype::AXFR | Rtype::IXFR, transport) => {
            return match zones.find(&query.name) {
                None => (Flow::Next, Found::NoZone),
                Some(_) if transport == Transport::Udp => {
                    response.explain(ExtendedErrorCode::NOT_SUPPORTED);
                    (Flow::Rcode(OptRcode::NOTIMP), Found::Data)
                }
                Some(_) => {
                    response.explain(ExtendedErrorCode::PROHIBITED);
                    (Flow::Rcode(transfer), Found::Data)
                }
            };
        }
        (qtype, _) => qtype,
    };
    let ahead = context.ahead.filter(|(of, _)| *of == set).map(|(_, ahead)| ahead);
    let dnssec_ok = query.edns.is_some_and(|edns| edns.dnssec_ok);
    let question = Question { name: &query.name, qtype, dnssec_ok };
    match answer_watched(zones, ahead, question, response, watch) {
        Found::NoZone => (Flow::Next, Found::NoZone),
        Found::Withheld => {
            response.explain(ExtendedErrorCode::NOT_READY);
            (Flow::Rcode(OptRcode::SERVFAIL), Found::Withheld)
        }
        found => (Flow::Done, found),
    }
}
