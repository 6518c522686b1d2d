//! zonda from outside: what it answers, what it prints, what it keeps.
//!
//! * `acme`: certificates from an authority for tests
//! * `allocations`: nothing is allocated on the query line
//! * `any_message`: what holds for the answer to any octets
//! * `cache`: what is kept of upstreams' answers
//! * `cases`: zones, questions and the expected answers as text, one file a topic under `cases/`
//! * `over_quic`: a client of DNS over QUIC
//! * `packets`: messages octet for octet, `cases/packets.packets`
//! * `support`: servers to ask, in memory, over sockets and as the real program
//! * `manual`: sixty statements that a Corefile user relies on, a test each
//! * `storm`: fuzzed packets and crowds of connections against the real program
//! * `transports`: the encrypted transports, over sockets
//! * `https`: requests and connections of DNS over HTTPS
//! * `http3`: the same over HTTP/3
//! * `caps`: how many connections and streams clients may have over the encrypted transports
//! * `ways`: both ways in, where io_uring is forbidden, and what a service manager sees
//! * `plugins`: each plugin over a real socket
//! * `counts`: what single plugins count, in memory
//! * `dashboard`: the queries of dashboards that were made for CoreDNS
//! * `forward`: upstreams that answer, misbehave or are gone
//! * `soak`: every plugin at once, reloaded again and again under dnsperf
//! * `stages`: plugins that change, limit or make up answers, in memory
//! * `program`: the command line
//! * `durability`: kills under many writers, a disk without room, back-ups
//! * `http`: records written over HTTP and answered over DNS
//! * `grpc`: DNS over gRPC, over sockets
//! * `hostile`: HTTP requests that mean harm
//! * `insight`: what the program tells of itself over HTTP
//! * `peers`: the answers of other servers to the same questions
//! * `reload`: changing the configuration while it runs
//! * `watch`: health, readiness, metrics and the process-wide plugins
//! * `readme`: every example of the README
//! * `pages`: the pages of the plugins, and `zonda help`

mod acme;
mod allocations;
mod any_message;
mod cache;
mod caps;
mod cases;
mod counts;
mod dashboard;
mod durability;
mod forward;
mod grpc;
mod hostile;
mod http;
mod http3;
mod https;
mod insight;
mod manual;
mod over_quic;
mod packets;
mod pages;
mod peers;
mod plugins;
mod program;
mod readme;
mod reload;
mod soak;
mod stages;
mod storm;
mod support;
mod transports;
mod watch;
mod ways;
