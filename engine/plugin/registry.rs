//! Every plugin: its name, its place in the order, and how it is set up.

use super::corefile::{ConfigError, Directive};
use super::{
    Plugin, Setup, acl, any, auto, bind, bufsize, cache, chaos, debug, errors, file, forward, header, health, hosts,
    loadbalance, log, looped, minimal, multisocket, nsid, pocketbase, prometheus, ready, reload, root, rrl, template,
    timeouts, whoami,
};

/// Sets up a plugin for one server block from all its lines there; None if it has no part in the chain.
pub(super) type SetUp = fn(&[Directive], &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError>;

/// A plugin's row.
pub(super) struct Row {
    /// Its name in the Corefile.
    pub(super) name: &'static str,
    /// Its set-up; None for a name that only keeps a place in the order.
    pub(super) setup: Option<SetUp>,
}

/// Whether a plugin of this name is built in.
pub fn is_known(name: &str) -> bool {
    rows().any(|row| row.name == name)
}

/// The names of all plugins that are built in, sorted.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = rows().map(|row| row.name).collect();
    names.sort_unstable();
    names
}

/// The plugins that are built in, in the order in which a query passes them.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    ORDER.iter().filter(|row| row.setup.is_some())
}

/// A plugin that is built in.
const fn plugin(name: &'static str, setup: SetUp) -> Row {
    Row { name, setup: Some(setup) }
}

/// A place that is kept for a plugin.
const fn place(name: &'static str) -> Row {
    Row { name, setup: None }
}

/// The order is fixed; that of the Corefile counts only among lines of one plugin. `rewrite` and `autopath` stand before
/// `acl` so that rules see the name that is answered.
const ORDER: &[Row] = &[
    plugin("root", root::setup),
    place("metadata"),
    place("geoip"),
    place("cancel"),
    place("proxyproto"),
    place("quic"),
    place("grpc_server"),
    place("https"),
    place("https3"),
    plugin("timeouts", timeouts::setup),
    plugin("multisocket", multisocket::setup),
    plugin("reload", reload::setup),
    plugin("nsid", nsid::setup),
    plugin("bufsize", bufsize::setup),
    plugin("bind", bind::setup),
    plugin("debug", debug::setup),
    plugin("ready", ready::setup),
    plugin("health", health::setup),
    place("shed"),
    plugin("prometheus", prometheus::setup),
    plugin("errors", errors::setup),
    plugin("log", log::setup),
    place("dnstap"),
    // Before all that answer, so that none of them can be used to flood others.
    plugin("rrl", rrl::setup),
    place("local"),
    place("dns64"),
    plugin("any", any::setup),
    plugin("chaos", chaos::setup),
    plugin("loadbalance", loadbalance::setup),
    place("tsig"),
    place("rewrite"),
    plugin("acl", acl::setup),
    plugin("pocketbase", pocketbase::setup),
    plugin("cache", cache::setup),
    plugin("header", header::setup),
    place("dnssec"),
    place("tls"),
    plugin("minimal", minimal::setup),
    plugin("template", template::setup),
    place("transfer"),
    plugin("hosts", hosts::setup),
    plugin("file", file::setup),
    plugin("auto", auto::setup),
    place("secondary"),
    place("etcd"),
    plugin("loop", looped::setup),
    plugin("forward", forward::setup),
    place("grpc"),
    place("erratic"),
    plugin("whoami", whoami::setup),
    place("sign"),
    place("view"),
];
