//! # whoami
//!
//! ## Name
//! *whoami* - answers with the address of the client.
//!
//! ## Description
//! Answers every question with who asked: an empty answer section, and in the additional section the client's address
//! as A or AAAA and its port and transport as SRV, both with TTL 0. It is what a server without a Corefile runs.
//!
//! ## Syntax
//! ```corefile
//! whoami
//! ```
//!
//! ## Examples
//! ```corefile
//! example.org:1053 {
//!     whoami
//! }
//! ```
//!
//! ## Metrics
//! It has no metrics of its own; `prometheus` counts its answers with the label plugin=`whoami`.
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `chaos`, `nsid`, `log`.
//!
//! ## Bugs
//! None are known. Questions of class CH are not answered, where CoreDNS makes an answer that cannot be read.

use std::net::IpAddr;

use domain::base::iana::{Class, Rtype};

use super::corefile::{ConfigError, Directive};
use super::{Context, Flow, Plugin, Setup, Transport};
use crate::wire::{Full, Query, Response, Section};

/// The plugin.
struct Whoami;

/// Reads the directive, which takes no arguments.
pub(super) fn setup(lines: &[Directive], _: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    for line in lines {
        line.no_arguments()?;
    }
    Ok(Some(Box::new(Whoami)))
}

impl Plugin for Whoami {
    fn name(&self) -> &'static str {
        "whoami"
    }

    fn query(&self, _: &Query, response: &mut Response<'_>, context: &mut Context<'_>) -> Flow {
        response.authoritative = true;
        response.truncated = describe(response, context).is_err();
        Flow::Done
    }
}

/// Writes the client's address and port.
fn describe(response: &mut Response<'_>, context: &Context<'_>) -> Result<(), Full> {
    let client = context.arrival.client;
    let class = Class::IN.to_int();
    let mut put = |owner: &[u8], rtype: Rtype, rdata: &[&[u8]]| {
        response.append_record(Section::Additional, owner, rtype.to_int(), class, 0, rdata)
    };
    match client.ip().to_canonical() {
        IpAddr::V4(address) => put(&QUESTION_NAME, Rtype::A, &[&address.octets()])?,
        IpAddr::V6(address) => put(&QUESTION_NAME, Rtype::AAAA, &[&address.octets()])?,
    }
    let owner: &[u8] = match context.arrival.transport {
        Transport::Udp => b"\x04_udp\xc0\x0c",
        Transport::Tcp => b"\x04_tcp\xc0\x0c",
        Transport::Tls => b"\x04_tls\xc0\x0c",
        Transport::Https => b"\x06_https\xc0\x0c",
        Transport::Grpc => b"\x05_grpc\xc0\x0c",
        Transport::Quic => b"\x05_quic\xc0\x0c",
        Transport::Https3 => b"\x07_https3\xc0\x0c",
    };
    // Priority 0, weight 0, the port, and the root as target.
    put(owner, Rtype::SRV, &[&[0, 0, 0, 0], &client.port().to_be_bytes(), &[0]])
}

/// A pointer to the question's name.
const QUESTION_NAME: [u8; 2] = [0xc0, 12];
