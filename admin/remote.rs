//! A running server as the command line sees it: its HTTP service on this machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use engine::plugin::Pocketbase;
use serde_json::{Value, json};
use store::{Name, Serial, name};
use ureq::Agent;
use ureq::Body;
use ureq::http::Response;
use ureq::tls::TlsConfig;

/// A server that we are logged in to.
pub(crate) struct Remote {
    agent: Agent,
    base: String,
    token: String,
}

impl Remote {
    /// Logs in with the account of the Corefile.
    pub(crate) fn log_in(database: &Pocketbase) -> Result<Self, String> {
        // The server is this machine's own, found by its address, and its certificate is for the name that others know.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider).disable_verification(true);
        let config = Agent::config_builder().http_status_as_error(false).timeout_connect(Some(Duration::from_secs(5)));
        let config = config.tls_config(tls.build());
        let mut remote = Self { agent: config.build().into(), base: base(database), token: String::new() };
        let account = json!({"identity": database.email, "password": database.password.reveal()}).to_string();
        let path = "/api/collections/_superusers/auth-with-password";
        let request = remote.agent.post(format!("{}{path}", remote.base)).header("Content-Type", "application/json");
        let reply = request.send(account);
        if reply.as_ref().is_ok_and(|reply| reply.status() == 400) {
            return Err(format!(
                "the server at {} does not know the account of this Corefile and environment ({}); commands need those \
                 that it was started with: su_email and su_password, or COREDNS_PB_SUPERUSER_EMAIL and \
                 COREDNS_PB_SUPERUSER_PWD",
                remote.base, database.email
            ));
        }
        let reply = remote.reply(reply)?;
        remote.token = reply["token"].as_str().ok_or("the server gave no token")?.to_owned();
        Ok(remote)
    }

    /// Puts a zone in place of what the server has; its serial, and how many records were added and removed.
    pub(crate) fn import(&self, apex: &Name, text: &[u8]) -> Result<(u32, usize, usize), String> {
        let request = self
            .agent
            .put(self.zone_file(apex))
            .header("Authorization", &self.token)
            .header("Content-Type", "text/dns");
        let reply = self.reply(request.send(text))?;
        let number = |key: &str| reply[key].as_u64().unwrap_or_default();
        Ok((number("serial") as u32, number("added") as usize, number("removed") as usize))
    }

    /// The serial of a zone of the server, if it has the zone.
    pub(crate) fn serial(&self, apex: &Name) -> Result<Option<Serial>, String> {
        let request = self.agent.get(format!("{}/api/zonda/zones", self.base));
        let reply = self.reply(request.header("Authorization", &self.token).call())?;
        let name = name::to_text(apex);
        let zones = reply["zones"].as_array().into_iter().flatten();
        let mut serials =
            zones.filter(|zone| zone["zone"].as_str().is_some_and(|zone| zone.eq_ignore_ascii_case(&name)));
        Ok(serials.next().and_then(|zone| zone["serial"].as_u64()).map(|serial| Serial(serial as u32)))
    }

    /// Appends a zone of the server to `text` as a zone file.
    pub(crate) fn export(&self, apex: &Name, text: &mut Vec<u8>) -> Result<(), String> {
        let reply = self.agent.get(self.zone_file(apex)).header("Authorization", &self.token).call();
        let mut reply = reply.map_err(|why| self.unreachable(&why))?;
        if reply.status() == 404 {
            return Err(format!("there is no zone {} on the server at {}", name::to_text(apex), self.base));
        }
        if !reply.status().is_success() {
            return self.reply(Ok(reply)).map(|_| ());
        }
        let octets =
            reply.body_mut().with_config().limit(u64::MAX).read_to_vec().map_err(|why| self.unreachable(&why))?;
        text.extend_from_slice(&octets);
        Ok(())
    }

    /// Writes a back-up of the server's database.
    pub(crate) fn backup(&self, to: &mut impl io::Write) -> Result<(), String> {
        let path = format!("{}/api/zonda/backup", self.base);
        let reply = self.agent.get(path).header("Authorization", &self.token).call();
        let mut reply = reply.map_err(|why| self.unreachable(&why))?;
        if !reply.status().is_success() {
            return self.reply(Ok(reply)).map(|_| ());
        }
        let copied = io::copy(&mut reply.body_mut().with_config().limit(u64::MAX).reader(), to);
        copied.map(|_| ()).map_err(|why| match why.kind() {
            io::ErrorKind::StorageFull => "the disk is full".into(),
            _ => format!("the back-up of the server at {}: {why}", self.base),
        })
    }

    /// The address of a zone's file.
    fn zone_file(&self, apex: &Name) -> String {
        let zone: String = name::to_text(apex).bytes().map(percent).collect();
        format!("{}/api/zonda/zones/{zone}/zonefile", self.base)
    }

    /// The JSON of an answer, or what the server says is wrong.
    fn reply(&self, reply: Result<Response<Body>, ureq::Error>) -> Result<Value, String> {
        let mut reply = reply.map_err(|why| self.unreachable(&why))?;
        let body = reply.body_mut().read_to_string().map_err(|why| self.unreachable(&why))?;
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        if reply.status().is_success() {
            return Ok(body);
        }
        let message = body["message"].as_str().unwrap_or("no reason given");
        let details = match &body["data"] {
            Value::Object(data) if !data.is_empty() => format!(" {}", body["data"]),
            _ => String::new(),
        };
        Err(format!("the server at {} says {}: {message}{details}", self.base, reply.status().as_u16()))
    }

    /// The error of a server that does not talk to us.
    fn unreachable(&self, why: &ureq::Error) -> String {
        format!("the database is in use, and the server at {} cannot be reached: {why}", self.base)
    }
}

/// The server's address from here: a service on all addresses is on loopback too.
fn base(database: &Pocketbase) -> String {
    let listen = database.listen;
    let narrowed = database.password.is_default() && !listen.ip().is_loopback();
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() && !narrowed => IpAddr::V6(Ipv6Addr::LOCALHOST),
        _ if narrowed => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    let scheme = if database.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{}", SocketAddr::new(ip, listen.port()))
}

/// An octet of a path segment (RFC 3986 §2.1).
fn percent(octet: u8) -> String {
    match octet {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => (octet as char).to_string(),
        _ => format!("%{octet:02X}"),
    }
}
