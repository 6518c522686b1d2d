//! zonda from outside: what it answers, what it prints, what it keeps.
//!
//! * `any_message`: what holds for the answer to any octets
//! * `cache`: what is kept of upstreams' answers
//! * `cases`: zones, questions and the expected answers as text, one file a topic under `cases/`
//! * `packets`: messages octet for octet, `cases/packets.packets`
//! * `support`: servers to ask, in memory, over sockets and as the real program
//! * `manual`: the examples that a Corefile user knows
//! * `storm`: fuzzed packets and crowds of connections against the real program
//! * `ways`: both ways in, where io_uring is forbidden, and what a service manager sees
//! * `plugins`: each plugin over a real socket
//! * `counts`: what single plugins count, in memory
//! * `forward`: upstreams that answer, misbehave or are gone
//! * `stages`: plugins that change, limit or make up answers, in memory
//! * `program`: the command line
//! * `durability`: kills under many writers, a disk without room, back-ups
//! * `http`: records written over HTTP and answered over DNS
//! * `hostile`: HTTP requests that mean harm
//! * `insight`: what the program tells of itself over HTTP
//! * `peers`: the answers of other servers to the same questions
//! * `reload`: changing the configuration while it runs
//! * `watch`: health, readiness, metrics and the process-wide plugins
//! * `readme`: every example of the README

mod any_message;
mod cache;
mod cases;
mod counts;
mod durability;
mod forward;
mod hostile;
mod http;
mod insight;
mod manual;
mod packets;
mod peers;
mod plugins;
mod program;
mod readme;
mod reload;
mod stages;
mod storm;
mod support;
mod watch;
mod ways;
