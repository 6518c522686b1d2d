//! The admin service as a client sees it: a server on a port of its own, asked over a socket.

mod auth;
mod batch;
mod client;
mod console;
mod general;
mod history;
mod limits;
mod openapi;
mod realtime;
mod records;
mod rrsets;
mod tls;
mod tokens;
mod zones;
