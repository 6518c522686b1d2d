//! What holds for the answer to any octets at all. Shared by a test and by the fuzz target `message`.

use std::io::Write;

use domain::base::{Message, ParsedName, Rtype};
use domain::rdata::AllRecordData;
use engine::plugin::corefile::Corefile;
use engine::plugin::{Arrival, Transport, Worker, setup};
use engine::zone::Hub;

/// A server for a zone that has something of everything.
pub(crate) fn server() -> Worker {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(ZONE.as_bytes()).expect("a temporary file");
    let corefile = format!(".:0 {{\n    chaos\n    file {} example.org\n}}\n", file.path().display());
    let corefile = Corefile::parse_text("Corefile", &corefile).expect("a sound Corefile");
    setup(&corefile, &Hub::new(), &|_| None).expect("a sound Corefile").server.worker()
}

/// Panics if the answer to a message breaks a rule: it is no answer to an answer, silence is for answers and fragments
/// only, id and question are echoed, it fits, it can be read whole, and OPT goes to those
/// who sent it.
pub(crate) fn check(worker: &mut Worker, message: &[u8]) {
    for (transport, room) in [(Transport::Udp, 4096), (Transport::Tcp, 65_535)] {
        if message.len() > room {
            continue;
        }
        let mut buffer = vec![0xee; room];
        buffer[..message.len()].copy_from_slice(message);
        let client = ([192, 0, 2, 99], 5353).into();
        let idle = (transport == Transport::Tcp).then_some(std::time::Duration::from_secs(10));
        let arrival = Arrival { client, local: ([192, 0, 2, 53], 53).into(), transport, listener: 0, idle };
        let Some(len) = worker.answer(&mut buffer, message.len(), &arrival) else {
            assert!(message.len() < 12 || message[2] & 0x80 != 0, "silence to a query");
            continue;
        };
        assert!(message[2] & 0x80 == 0, "an answer to an answer");
        let answer = Message::from_octets(&buffer[..len]).expect("a header");
        assert!(answer.header().qr());
        assert_eq!(buffer[..2], message[..2], "the id");
        assert!(transport == Transport::Tcp || len <= 1232, "{len} octets over UDP");
        if answer.header_counts().qdcount() == 1 {
            let mut question = answer.question();
            question.next().expect("a question").expect("a whole question");
            assert_eq!(buffer[12..question.pos()], message[12..question.pos()], "the question");
        }
        let (_, answers, authority, additional) = answer.sections().expect("whole sections");
        let mut opts = 0;
        for record in answers.chain(authority).chain(additional) {
            let record = record.expect("a whole record");
            opts += usize::from(record.rtype() == Rtype::OPT);
            record.to_any_record::<AllRecordData<&[u8], ParsedName<&[u8]>>>().expect("rdata that fits its type");
        }
        // RFC 6891 §7: who sends no OPT record gets none, and nobody gets two.
        assert!(opts <= usize::from(message[10..12] != [0, 0]), "{opts} OPT records");
    }
}

/// The zone of [`server`].
const ZONE: &str = "\
$TTL 60
@ SOA ns host 1 1 1 1 1
@ NS ns.sub
@ MX 10 a
a A 192.0.2.1
a TXT \"text\"
*.w CNAME a
l CNAME l
d DNAME w
sub NS ns.sub
ns.sub A 192.0.2.2
svc HTTPS 1 a alpn=h2
x.y.ent A 192.0.2.3
$GENERATE 1-100 big A 192.0.2.$
";
