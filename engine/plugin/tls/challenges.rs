//! What an authority looks for to see that a name is ours: a TXT record at `_acme-challenge.NAME` (RFC 8555 §8.4).
//!
//! While an order is under way, each such name is a zone of its own, made of a SOA and the TXT records alone, in a set of
//! zones that the snapshot has for this. So the answers are those of any zone, they are on the wire when
//! [`Challenges::show`] returns, on every worker, and nobody's zones or files are touched: it does not matter where the
//! zone above comes from, nor whether it can be edited. A stage that answers from the set stands before all plugins with
//! zones, in the chains of those server blocks alone that a challenge may be asked of; while nothing is shown it passes a
//! query on after one comparison (21 instructions beside 1,363 for an address out of a `file`, counted by callgrind), and all
//! other chains do not have it.
//!
//! Nothing of it may be kept by others (TTL 0): the next challenge is a different one.

use std::sync::{Arc, Mutex, PoisonError};

use domain::base::iana::{OptRcode, Rtype};
use store::edit::{NodeData, RrsetData};
use store::{Name, types};

use crate::plugin::{Context, Flow, Plugin, zones};
use crate::wire::{Query, Response};
use crate::zone::{Hub, OwnedSet, Step, Zone};

/// The challenges of a configuration.
pub(in crate::plugin) struct Challenges {
    set: OwnedSet,
    /// What is shown, each with its name; two for one name if that is ordered with its wildcard.
    shown: Mutex<Vec<(Name, String)>>,
}

impl Challenges {
    /// None so far.
    pub(super) fn new(hub: &Arc<Hub>) -> Arc<Self> {
        Arc::new(Self { set: hub.add_owned(), shown: Mutex::default() })
    }

    /// Shows a text at a name until what is given back is dropped.
    pub(super) fn show(self: &Arc<Self>, name: Name, text: String) -> Shown {
        let shown = Shown { challenges: Arc::clone(self), name, text };
        self.change(&shown.name, |all| all.push((shown.name.clone(), shown.text.clone())));
        shown
    }

    /// The stage that answers for a server block.
    pub(in crate::plugin) fn stage(self: &Arc<Self>) -> Box<dyn Plugin> {
        Box::new(Stage(Arc::clone(self)))
    }

    /// Changes what is shown, and publishes what is shown at this name then.
    fn change(&self, name: &Name, change: impl FnOnce(&mut Vec<(Name, String)>)) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut shown);
        let texts: Vec<_> = shown.iter().filter(|(other, _)| other == name).map(|(_, text)| &text[..]).collect();
        let zone = (!texts.is_empty()).then(|| Arc::new(zone(name, &texts)));
        self.set.publish(|zones| zones.with([(name.clone(), zone)]));
    }
}

/// A text that is shown.
pub(super) struct Shown {
    challenges: Arc<Challenges>,
    name: Name,
    text: String,
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.challenges.change(&self.name, |all| {
            if let Some(place) = all.iter().position(|(name, text)| (name, text) == (&self.name, &self.text)) {
                all.swap_remove(place);
            }
        });
    }
}

/// Answers for the names at which something is shown.
struct Stage(Arc<Challenges>);

impl Plugin for Stage {
    fn name(&self) -> &'static str {
        "tls"
    }

    #[inline]
    fn query(&self, query: &Query, response: &mut Response<'_>, context: &mut Context<'_>) -> Flow {
        match self.is_asked(query, context) {
            true => zones::serve(self.0.set.id(), OptRcode::NOTIMP, query, response, context, &mut ()).0,
            false => Flow::Next,
        }
    }

    fn explain(
        &self,
        query: &Query,
        response: &mut Response<'_>,
        context: &mut Context<'_>,
        steps: &mut Vec<Step>,
    ) -> Flow {
        match self.is_asked(query, context) {
            true => zones::serve(self.0.set.id(), OptRcode::NOTIMP, query, response, context, steps).0,
            false => Flow::Next,
        }
    }

    fn unanswered(&self) -> OptRcode {
        OptRcode::REFUSED
    }
}

impl Stage {
    /// Whether anything is shown, and the question is not one for the zone above (RFC 4035 §3.1.4.1).
    #[inline]
    fn is_asked(&self, query: &Query, context: &Context<'_>) -> bool {
        context.snapshot.set(self.0.set.id()).is_some_and(|zones| !zones.is_empty()) && query.qtype != Rtype::DS
    }
}

/// The zone of a name at which texts are shown.
fn zone(name: &Name, texts: &[&str]) -> Zone {
    let records = |rtype, texts: &mut dyn Iterator<Item = String>| RrsetData {
        rtype,
        records: texts
            .filter_map(|text| Some((Some(0), types::rdata_from_text(rtype, &text, Some(name)).ok()?)))
            .collect(),
    };
    let soa = records(Rtype::SOA, &mut std::iter::once("@ . 1 3600 600 86400 0".to_owned()));
    let txt = records(Rtype::TXT, &mut texts.iter().map(|text| format!("\"{text}\"")));
    Zone::compile(name, &[NodeData { owner: name.clone(), rrsets: vec![soa, txt] }], 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::corefile::Corefile;
    use crate::plugin::{Arrival, Ready, Transport, setup};

    /// The rcode, the AA flag, and how many records there are in answer and authority section.
    type Seen = (u8, bool, u8, u8);

    /// What a server says to a question on a listener, if it has that.
    fn ask_on(ready: &Ready, listener: usize, name: &str, rtype: Rtype) -> Option<Seen> {
        let name = store::name::parse(name, None).unwrap();
        let question = [name.as_slice(), &rtype.to_int().to_be_bytes(), &[0, 1]].concat();
        let message = [&[0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &question].concat();
        let mut buffer = vec![0; 1232];
        buffer[..message.len()].copy_from_slice(&message);
        let at = "127.0.0.1:53".parse().unwrap();
        let arrival = Arrival { client: at, local: at, transport: Transport::Udp, listener, idle: None };
        ready.server.worker().answer(&mut buffer, message.len(), &arrival)?;
        Some((buffer[3] & 15, buffer[2] & 4 != 0, buffer[7], buffer[9]))
    }

    /// The same on the first.
    fn ask(ready: &Ready, name: &str, rtype: Rtype) -> Seen {
        ask_on(ready, 0, name, rtype).unwrap()
    }

    /// Serves a block, and beside it one that gets a certificate.
    fn ready(block: &str) -> Ready {
        let folder = tempfile::tempdir().unwrap();
        let authority = rcgen::generate_simple_self_signed(["ca.example.net".to_owned()]).unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.cert.pem()).unwrap();
        let root = folder.path().display();
        let tls = "tls {\nacme dns.example.org *.dns.example.org\nca_root ca.pem\n}";
        let text = format!("{block}\ntls://. {{\nbind 127.0.0.1\nroot {root}\n{tls}\n}}\n");
        let corefile = Corefile::parse_text("Corefile", &text).unwrap();
        setup(&corefile, &Hub::new(), &|_| None).unwrap_or_else(|why| panic!("{why:?}"))
    }

    /// The name that the authority looks at.
    const AT: &str = "_acme-challenge.dns.example.org.";

    /// Shows a text there.
    fn show(ready: &Ready, text: &str) -> Shown {
        let challenges = ready.services.acme.as_ref().unwrap().challenges();
        challenges.show(store::name::parse(AT, None).unwrap(), text.into())
    }

    #[test]
    fn a_challenge_is_answered_while_it_is_shown_and_only_at_its_name() {
        let template = "template IN A {\nanswer \"{{ .Name }} 60 IN A 192.0.2.1\"\n}";
        let ready = ready(&format!("example.org {{\nbind 127.0.0.1\n{template}\n}}"));
        let nothing = ask(&ready, AT, Rtype::TXT);
        let one = show(&ready, "one");
        assert_eq!(ask(&ready, AT, Rtype::TXT), (0, true, 1, 0));
        assert_eq!(ask(&ready, &AT.to_ascii_uppercase(), Rtype::TXT), (0, true, 1, 0));
        let other = show(&ready, "other");
        assert_eq!(ask(&ready, AT, Rtype::TXT), (0, true, 2, 0));
        assert_eq!(ask(&ready, AT, Rtype::A), (0, true, 0, 1), "no data, with the SOA");
        assert_eq!(ask(&ready, &format!("x.{AT}"), Rtype::TXT), (3, true, 0, 1));
        assert_eq!(ask(&ready, AT, Rtype::DS), nothing, "it is the zone above that knows");
        assert_eq!(ask(&ready, "www.example.org.", Rtype::A), (0, true, 1, 0));
        drop(one);
        assert_eq!(ask(&ready, AT, Rtype::TXT), (0, true, 1, 0));
        drop(other);
        assert_eq!(ask(&ready, AT, Rtype::TXT), nothing);
    }

    #[test]
    fn only_blocks_of_plain_dns_above_the_name_answer() {
        for (key, is_above) in [
            (".", true),
            ("example.org", true),
            ("_acme-challenge.dns.example.org", true),
            ("x.dns.example.org", false),
            ("example.net", false),
            ("https://example.org", false),
        ] {
            let ready = ready(&format!("{key} {{\nbind 127.0.0.1\nwhoami\n}}"));
            let _shown = show(&ready, "one");
            let is_answered = (0..2).any(|listener| ask_on(&ready, listener, AT, Rtype::TXT) == Some((0, true, 1, 0)));
            let is_warned = ready.services.warnings.iter().any(|warning| warning.starts_with("plugin/tls"));
            assert_eq!((is_answered, !is_warned), (is_above, is_above), "{key}");
        }
    }
}
