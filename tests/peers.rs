//! zonda beside other servers: the same zone files, the same questions, the same answers.
//!
//! * `random`, `world`: zones that are the same for the same seed
//! * `sign`: signed by `dnssec-signzone` or `ldns-signzone`
//! * `peer`: knotd, nsd and named, running
//! * `asked`: questions
//! * `compared`: what counts as a difference, and the table of those that are known
//!
//! `ZONDA_PEERS_QUERIES` is how many questions each peer is asked about each kind of zones, 2,000 by default;
//! `ZONDA_PEERS_SEED` makes other zones and questions.

mod asked;
mod compared;
mod peer;
mod random;
mod sign;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::cases::describe;
use crate::support::{Program, Question, exchange_tcp, number};
use compared::{Asked, Verdict, difference};
use peer::{Asker, Kind, Peer};
use random::Random;
use sign::{Signer, Signing};
use store::types::rtype_to_text;
use world::{APEXES, World};

#[test]
#[ignore = "needs knotd, nsd, named, ldns-signzone or dnssec-signzone on this machine"]
fn unsigned() {
    compare(Signing { signer: Signer::Nobody, options: &[] });
}

#[test]
#[ignore = "needs knotd, nsd, named, ldns-signzone or dnssec-signzone on this machine"]
fn nsec_by_bind() {
    compare(Signing { signer: Signer::Bind, options: &[] });
}

#[test]
#[ignore = "needs knotd, nsd, named, ldns-signzone or dnssec-signzone on this machine"]
fn nsec_by_ldns() {
    compare(Signing { signer: Signer::Ldns, options: &[] });
}

#[test]
#[ignore = "needs knotd, nsd, named, ldns-signzone or dnssec-signzone on this machine"]
fn nsec3_by_bind() {
    compare(Signing { signer: Signer::Bind, options: &["-3", "-", "-H", "0"] });
}

#[test]
#[ignore = "needs knotd, nsd, named, ldns-signzone or dnssec-signzone on this machine"]
fn nsec3_opt_out_with_salt_by_bind() {
    compare(Signing { signer: Signer::Bind, options: &["-3", "c0ffee", "-H", "0", "-A"] });
}

#[test]
#[ignore = "needs knotd, nsd, named, ldns-signzone or dnssec-signzone on this machine"]
fn nsec3_with_salt_by_ldns() {
    compare(Signing { signer: Signer::Ldns, options: &["-n", "-t", "0", "-s", "c0ffee"] });
}

#[test]
#[ignore = "needs knotd, nsd, named, ldns-signzone or dnssec-signzone on this machine"]
fn nsec3_opt_out_by_ldns() {
    compare(Signing { signer: Signer::Ldns, options: &["-n", "-t", "0", "-p"] });
}

/// Asks everybody the same about zones that are signed in one way, then lets `delv` validate what zonda denies.
fn compare(signing: Signing) {
    let (seed, queries) = (number("ZONDA_PEERS_SEED", 1), number("ZONDA_PEERS_QUERIES", 2000));
    let mut random = Random::new(seed);
    let world = World::generate(&mut random);
    let folder = tempfile::tempdir().unwrap();
    let anchors = sign::write_zones(&world, signing, folder.path());
    let mut corefile = String::from(".:PORT {\n    bind 127.0.0.1\n");
    for apex in APEXES {
        corefile.push_str(&format!("    file {} {apex}\n", folder.path().join(apex).display()));
    }
    corefile.push_str("}\n");
    let zonda = Program::start(&corefile, &[]);
    let peers = Kind::ALL.map(|kind| Peer::start(kind, folder.path()));
    let mut askers = peers.each_ref().map(|peer| Asker::new(peer.dns));
    let mut asker = Asker::new(zonda.dns());
    let mut counts: BTreeMap<(Kind, &str), usize> = BTreeMap::new();
    let mut failures: BTreeMap<String, Vec<Kind>> = BTreeMap::new();
    let mut denials = Vec::new();
    let mut seen = BTreeSet::new();
    for _ in 0..queries {
        let question = asked::question(&world, &mut random);
        let message = question.message();
        let over_tcp = random.percent(10);
        let ask = |server, asker: &mut Asker| match over_tcp {
            true => exchange_tcp(server, std::slice::from_ref(&message)).pop(),
            false => asker.ask(&message),
        };
        let ours = ask(zonda.dns(), &mut asker).unwrap_or_else(|| {
            panic!("no answer from zonda to {} (TCP: {over_tcp}): {}", asked::to_dig(&question), zonda.text())
        });
        let ours = describe(&ours);
        if is_for_delv(&question, &ours) && seen.insert((question.qname.to_ascii_lowercase(), question.qtype)) {
            denials.push(question.clone());
        }
        let theirs: Vec<_> = peers
            .iter()
            .zip(&mut askers)
            .map(|(peer, asker)| {
                describe(&ask(peer.dns, asker).unwrap_or_else(|| panic!("an answer from {:?}", peer.kind)))
            })
            .collect();
        let mut seconded = theirs.iter().any(|theirs| difference(&ours, theirs).is_empty());
        // Where others end the chain, they are asked for its end.
        if !seconded && let Some(end) = compared::end_of_chain(&question, &ours) {
            let message = end.message();
            let answers =
                exchange_tcp(zonda.dns(), std::slice::from_ref(&message)).pop().map(|answer| describe(&answer));
            seconded = answers.filter(|end| compared::is_part(end, &ours)).is_some_and(|end| {
                let theirs = peers.iter().map(|peer| exchange_tcp(peer.dns, std::slice::from_ref(&message)).pop());
                theirs.flatten().any(|theirs| difference(&end, &describe(&theirs)).is_empty())
            });
        }
        for (peer, theirs) in peers.iter().zip(&theirs) {
            let asked = Asked { peer: peer.kind, question: &question, ours: &ours, theirs, seconded };
            match asked.verdict() {
                Verdict::Same => *counts.entry((peer.kind, "same")).or_default() += 1,
                Verdict::Known(why) => *counts.entry((peer.kind, why)).or_default() += 1,
                Verdict::Different(what) => {
                    failures.entry(format!("{what}\n{asked}")).or_default().push(peer.kind);
                }
            }
        }
    }
    for ((peer, what), count) in &counts {
        println!("{count:>7} {peer:?}: {what}");
    }
    let kept = keep_zones(&failures, folder);
    assert!(
        failures.is_empty(),
        "{} differences with {signing:?}, seed {seed}, {queries} queries, zone files in {kept}; to repeat:\n\
         ZONDA_PEERS_SEED={seed} ZONDA_PEERS_QUERIES={queries} cargo test --test main peers -- --ignored\n\n{}",
        failures.len(),
        failures.iter().take(SHOWN_MAX).map(|(text, peers)| format!("{peers:?}: {text}\n")).collect::<String>()
    );
    if signing.signer != Signer::Nobody {
        validate(&zonda, &anchors, &denials);
    }
}

/// Leaves the zone files behind if there is something to look up in them; says where.
fn keep_zones(failures: &BTreeMap<String, Vec<Kind>>, folder: tempfile::TempDir) -> String {
    if failures.is_empty() { String::new() } else { folder.keep().display().to_string() }
}

/// Whether `delv` can say whether this answer is proved: it has authority and stays below one trust anchor.
fn is_for_delv(question: &Question, ours: &crate::cases::Expected) -> bool {
    let is_alias = |line: &String| line.contains(" CNAME ") || line.contains(" DNAME ");
    let answer = ours.sections.get("answer").map_or(&[][..], Vec::as_slice);
    anchor_above(question).is_some_and(|anchor| {
        // DS at the anchor itself is for whoever is above it.
        !(question.qtype == store::Rtype::DS && question.qname.eq_ignore_ascii_case(anchor))
    }) && question.dnssec_ok
        && ours.status.iter().any(|word| word == "aa")
        && !ours.status.iter().any(|word| word == "tc")
        && !answer.iter().any(is_alias)
        && ours.sections.get("authority").is_some_and(|authority| authority.iter().any(|line| line.contains(" NSEC")))
        // Meta types, and those that delv does not ask for on behalf of others.
        && ![store::Rtype::ANY, store::Rtype::RRSIG, store::Rtype::NSEC3].contains(&question.qtype)
}

/// The zone whose key validation begins with.
fn anchor_above(question: &Question) -> Option<&'static str> {
    let qname = question.qname.to_ascii_lowercase();
    [APEXES[0], APEXES[2]].into_iter().find(|apex| qname == *apex || qname.ends_with(&format!(".{apex}")))
}

/// Lets `delv` validate denials and wildcard answers with the keys of the zones.
fn validate(zonda: &Program, anchors: &str, denials: &[Question]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("anchors");
    std::fs::write(&file, anchors).unwrap();
    let (mut validated, mut failures) = (0, Vec::new());
    for question in denials {
        let rtype = rtype_to_text(question.qtype);
        let root = format!("+root={}", anchor_above(question).expect("a question for delv"));
        let output = Command::new("delv")
            .args(["@127.0.0.1", "-p", &zonda.port.to_string(), &root, "-a"])
            .arg(&file)
            .args(["-q", &question.qname, "-t", &rtype])
            .output()
            .expect("delv");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        // Opted-out names are proved to be insecure (RFC 5155 §9.2).
        if text.contains("fully validated") || text.contains("unsigned answer") {
            validated += 1;
        } else {
            failures.push(format!("delv {}\n{text}", asked::to_dig(question)));
        }
    }
    println!("{validated:>7} denials and wildcard answers validated by delv");
    assert!(failures.is_empty(), "{} answers are not proved:\n{}", failures.len(), failures.join("\n"));
}

/// Differences that are printed.
const SHOWN_MAX: usize = 20;
