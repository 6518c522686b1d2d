//! A `forward` line as it is written.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use domain::base::iana::{OptRcode, Rtype};
use hyper::Method;
use store::{Name, name};

use super::counts;
use super::https::Https;
use super::line::{Line, Policy};
use super::targets::{self, Scheme, Target, question};
use super::tls::{self, Tls};
use super::upstream::{Settings, Speaks, Upstream};
use crate::plugin::Setup;
use crate::plugin::corefile::{ConfigError, Directive, Token, duration, zones_or};

/// Reads a line with its block.
pub(super) fn read(line: &Directive, setup: &Setup<'_>) -> Result<Line, ConfigError> {
    line.flat()?;
    let [from, to @ ..] = &line.args[..] else { return Err(line.wrong_argument_count()) };
    if to.is_empty() {
        return Err(line.wrong_argument_count());
    }
    let mut new = Line {
        from: wire(&zones_or(std::slice::from_ref(from), setup.zones)?),
        except: Vec::new(),
        upstreams: Vec::new(),
        policy: Policy::Random,
        turn: AtomicUsize::new(0),
        max_fails: 2,
        attempts_max: 0,
        concurrent_max: 0,
        concurrent: AtomicUsize::new(0),
        next: Vec::new(),
        next_on_nodata: false,
        failover: Vec::new(),
        fails_fast: false,
    };
    let mut settings = Settings {
        force_tcp: false,
        prefer_udp: false,
        expire: Duration::from_secs(10),
        idle_max: 0,
        read_timeout: Duration::from_secs(2),
        source: None,
        health_interval: Duration::from_millis(500),
        health_query: health_query(&[0], true).map_err(|why| line.error(why))?,
    };
    let mut resolver = Vec::new();
    let (mut tls_line, mut tls_name, mut method) = (None, None, Method::POST);
    for property in line.properties() {
        match &property.name.text[..] {
            "except" if property.args.is_empty() => return Err(property.wrong_argument_count()),
            "except" => new.except.extend(wire(&zones_or(&property.args, &[])?)),
            "force_tcp" => settings.force_tcp = flag(property)?,
            "prefer_udp" => settings.prefer_udp = flag(property)?,
            "next_on_nodata" => new.next_on_nodata = flag(property)?,
            "failfast_all_unhealthy_upstreams" => new.fails_fast = flag(property)?,
            "expire" => settings.expire = duration(property.one_argument()?)?,
            "read_timeout" => settings.read_timeout = duration(property.one_argument()?)?,
            "max_idle_conns" => settings.idle_max = number(property)?,
            "max_fails" => new.max_fails = number(property)?.try_into().unwrap_or(u32::MAX),
            "max_connect_attempts" => new.attempts_max = number(property)?,
            "max_concurrent" => new.concurrent_max = number(property)?,
            "policy" => new.policy = policy(property.one_argument()?)?,
            "health_check" => health_check(property, &mut settings)?,
            "next" => new.next.extend(rcodes(property)?),
            "failover" => new.failover.extend(rcodes(property)?),
            "source_address" => {
                let address = property.one_argument()?;
                let invalid = |_| address.error(format!("invalid source_address: {}", address.text));
                settings.source = Some(address.text.parse().map_err(invalid)?);
            }
            "doh_method" => {
                let name = property.one_argument()?;
                method = match &name.text.to_ascii_uppercase()[..] {
                    "GET" => Method::GET,
                    "POST" => Method::POST,
                    _ => return Err(name.error(format!("invalid doh_method '{}'", name.text))),
                };
            }
            "tls" => tls_line = Some(property),
            "tls_servername" => tls_name = Some(property.one_argument()?),
            "resolver" if property.args.is_empty() => return Err(property.wrong_argument_count()),
            "resolver" => {
                for address in &property.args {
                    let invalid = || address.error(format!("invalid resolver address: {}", address.text));
                    resolver.push(targets::address(&address.text, 53).ok_or_else(invalid)?);
                }
            }
            _ => return Err(property.unknown_property()),
        }
    }
    let mut found = Vec::new();
    for to in to {
        found.extend(targets::read(to, &resolver, setup)?);
    }
    if found.len() > UPSTREAMS_MAX {
        let count = found.len();
        return Err(line.error(format!("more than {UPSTREAMS_MAX} TOs configured: {count}")));
    }
    if let Some(source) = settings.source
        && let Some(other) = found.iter().map(|to| to.address).find(|address| address.is_ipv4() != source.is_ipv4())
    {
        return Err(line.error(format!("source_address {source} cannot reach {other}")));
    }
    let settings = Arc::new(settings);
    // Faults of the files are told even if nobody is spoken to over TLS.
    let is_secret = |to: &Target| !matches!(to.scheme, Scheme::Dns);
    let config = match tls_line.is_some() || found.iter().any(is_secret) {
        true => Some(tls::config(tls_line, line, setup)?),
        false => None,
    };
    for Target { address, scheme } in found {
        let tls = |name: Option<&str>, is_http: bool| {
            let name = name.or_else(|| tls_name.map(|name| &name.text[..]));
            let invalid = || line.error(format!("invalid server name: {}", name.unwrap_or_default()));
            let name = tls::server_name(name, address.ip()).ok_or_else(invalid)?;
            let config = config.as_ref().ok_or_else(invalid)?;
            let config = if is_http { tls::for_http(config) } else { Arc::clone(config) };
            Ok(Tls { config, name })
        };
        let speaks = match scheme {
            Scheme::Dns => Speaks::Plain,
            Scheme::Tls(name) => Speaks::Tls(tls(name.as_deref(), false)?),
            Scheme::Https(uri) => {
                // `tls_servername` is for those whose host says nothing.
                let host = uri.host().filter(|host| targets::address(host, 0).is_none()).map(str::to_owned);
                Speaks::Https(Https::new(tls(host.as_deref(), true)?, uri, method.clone()))
            }
        };
        new.upstreams.push(Arc::new(Upstream::new(address, speaks, Arc::clone(&settings), counts::of(address))));
    }
    Ok(new)
}

/// Reads `health_check DURATION [no_rec] [domain NAME]`.
fn health_check(property: &Directive, settings: &mut Settings) -> Result<(), ConfigError> {
    let [interval, options @ ..] = &property.args[..] else { return Err(property.wrong_argument_count()) };
    settings.health_interval = duration(interval)?.max(HEALTH_INTERVAL_MIN);
    let (mut recursion, mut domain) = (true, Name::root_bytes());
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match &option.text[..] {
            "no_rec" => recursion = false,
            "domain" => {
                let Some(value) = options.next() else { return Err(property.wrong_argument_count()) };
                let invalid = |_| value.error("health_check: invalid domain name");
                domain = name::parse(&value.text, Some(&Name::root_bytes())).map_err(invalid)?;
            }
            other => return Err(option.error(format!("health_check: unknown option {other}"))),
        }
    }
    settings.health_query = health_query(domain.as_slice(), recursion).map_err(|why| property.error(why))?;
    Ok(())
}

/// The question that finds out whether an upstream is there.
fn health_query(name: &[u8], recursion: bool) -> Result<(Vec<u8>, crate::wire::Query), &'static str> {
    question(name, Rtype::NS, recursion).ok_or("health_check: invalid domain name")
}

/// Reads a property without arguments.
fn flag(property: &Directive) -> Result<bool, ConfigError> {
    property.no_arguments().map(|()| true)
}

/// Reads a number that is not negative.
fn number(property: &Directive) -> Result<usize, ConfigError> {
    let argument = property.one_argument()?;
    let number: i64 =
        argument.text.parse().map_err(|_| argument.error(format!("not a number: {:?}", argument.text)))?;
    usize::try_from(number).map_err(|_| argument.error(format!("{} can't be negative: {number}", property.name.text)))
}

/// Reads the name of a policy.
fn policy(name: &Token) -> Result<Policy, ConfigError> {
    match &name.text[..] {
        "random" => Ok(Policy::Random),
        "round_robin" => Ok(Policy::RoundRobin),
        "sequential" => Ok(Policy::Sequential),
        other => Err(name.error(format!("unknown policy '{other}'"))),
    }
}

/// Reads names of rcodes.
fn rcodes(property: &Directive) -> Result<Vec<OptRcode>, ConfigError> {
    if property.args.is_empty() {
        return Err(property.wrong_argument_count());
    }
    let rcode = |word: &Token| {
        let wanted = word.text.to_ascii_uppercase();
        let known = |value: &u16| OptRcode::masked_from_int(*value).to_mnemonic_str() == Some(&wanted[..]);
        let found = (0..=RCODE_MAX).find(known).map(OptRcode::masked_from_int);
        found.ok_or_else(|| word.error(format!("{} is not a valid rcode", word.text)))
    };
    property.args.iter().map(rcode).collect()
}

/// Names in lower-case wire form.
fn wire(names: &[Name]) -> Vec<Box<[u8]>> {
    names.iter().map(|name| name.as_slice().to_ascii_lowercase().into()).collect()
}

/// Upstreams of one line.
const UPSTREAMS_MAX: usize = 15;

/// The highest rcode that has a name (RFC 6895 §2.3, RFC 7873).
const RCODE_MAX: u16 = 23;

/// An upstream is not looked at more often.
const HEALTH_INTERVAL_MIN: Duration = Duration::from_millis(10);
