//! The zones and questions of all benchmarks, and the answer as a worker makes it.

use bytes::Bytes;
use engine::wire::{Query, Response};
use engine::zone::{Question, ZoneSet, answer};
use store::edit::{NodeData, RrsetData};
use store::types::rdata_from_text;
use store::{Name, Rtype, name};

/// A node with one record.
pub(crate) fn node(owner: &str, records: &[(Rtype, &str)]) -> NodeData {
    let rrset = |&(rtype, text): &(Rtype, &str)| RrsetData {
        rtype,
        records: vec![(Some(3600), rdata_from_text(rtype, text, Some(&apex())).expect("a record of this file"))],
    };
    NodeData {
        owner: name::parse(owner, Some(&apex())).expect("a name of this file"),
        rrsets: records.iter().map(rrset).collect(),
    }
}

/// The apex of all zones here.
pub(crate) fn apex() -> Name {
    name::parse("example.org.", None).expect("a name of this file")
}

/// A zone with `hosts` addresses, a delegation, a wildcard, an alias and a DNAME.
pub(crate) fn nodes(hosts: u32) -> Vec<NodeData> {
    let soa = "ns1 hostmaster 1 7200 3600 1209600 3600";
    let mut nodes = vec![
        node("@", &[(Rtype::NS, "ns1"), (Rtype::SOA, soa), (Rtype::MX, "10 mail")]),
        node("ns1", &[(Rtype::A, "192.0.2.1")]),
        node("mail", &[(Rtype::A, "192.0.2.3")]),
        node("*.wild", &[(Rtype::A, "192.0.2.9")]),
        node("alias", &[(Rtype::CNAME, "h1")]),
        node("sub", &[(Rtype::NS, "ns.sub")]),
        node("ns.sub", &[(Rtype::A, "192.0.2.4")]),
    ];
    let address = |host: u32| Bytes::copy_from_slice(&host.to_be_bytes());
    nodes.extend((0..hosts).map(|host| NodeData {
        owner: name::parse(&format!("h{host}"), Some(&apex())).expect("a name of this file"),
        rrsets: vec![RrsetData { rtype: Rtype::A, records: vec![(Some(3600), address(host))] }],
    }));
    nodes
}

/// A query message with EDNS.
pub(crate) fn query(qname: &str, qtype: Rtype) -> Vec<u8> {
    let qname = name::parse(qname, Some(&apex())).expect("a name of this file");
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    message.extend_from_slice(qname.as_slice());
    message.extend_from_slice(&qtype.to_int().to_be_bytes());
    message.extend_from_slice(&[0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    message
}

/// Message in, message out, as a worker does it: the query is read into memory that is there already.
pub(crate) fn respond(zones: &ZoneSet, query: &mut Query, message: &[u8], buffer: &mut [u8; 2048]) -> usize {
    buffer[..message.len()].copy_from_slice(message);
    if query.read_into(&buffer[..message.len()]).is_err() {
        return 0;
    }
    let mut response = Response::new(buffer, query, 1232);
    let dnssec_ok = query.edns.is_some_and(|edns| edns.dnssec_ok);
    let question = Question { name: &query.name, qtype: query.qtype, dnssec_ok };
    answer(zones, zones.ask(&query.name).as_ref(), question, &mut response);
    response.finish()
}
