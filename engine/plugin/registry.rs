//! Every plugin: its name, its place in the order, and how it is set up.

use super::corefile::{ConfigError, Directive};
use super::{Page, Plugin, Setup};

/// Sets up a plugin for one server block from all its lines there; None if it has no part in the chain.
pub(super) type SetUp = fn(&[Directive], &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError>;

/// A plugin's row.
pub(super) struct Row {
    /// Its name in the Corefile.
    pub(super) name: &'static str,
    /// Its set-up; None for a name that only keeps a place in the order.
    pub(super) setup: Option<SetUp>,
    /// The file that its page stands at the top of.
    source: &'static str,
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

/// The page of a plugin that is built in.
pub fn page(name: &str) -> Option<Page> {
    rows().find(|row| row.name == name).map(|row| Page::of(row.source))
}

/// The plugins that are built in, in the order in which a query passes them.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    ORDER.iter().filter(|row| row.setup.is_some())
}

/// A plugin that is built in: its name, its module and the file with its page.
macro_rules! plugin {
    ($name:literal, $module:ident, $file:literal) => {
        Row { name: $name, setup: Some(super::$module::setup), source: include_str!($file) }
    };
}

/// A place that is kept for a plugin.
const fn place(name: &'static str) -> Row {
    Row { name, setup: None, source: "" }
}

/// The order is fixed; that of the Corefile counts only among lines of one plugin. `rewrite` and `autopath` stand before
/// `acl` so that rules see the name that is answered.
const ORDER: &[Row] = &[
    plugin!("root", root, "root.rs"),
    place("metadata"),
    place("geoip"),
    place("cancel"),
    place("proxyproto"),
    plugin!("quic", quic, "quic.rs"),
    plugin!("grpc_server", grpc_server, "grpc_server.rs"),
    plugin!("https", https, "https.rs"),
    plugin!("https3", https3, "https3.rs"),
    plugin!("timeouts", timeouts, "timeouts.rs"),
    plugin!("multisocket", multisocket, "multisocket.rs"),
    plugin!("reload", reload, "reload.rs"),
    plugin!("nsid", nsid, "nsid.rs"),
    plugin!("bufsize", bufsize, "bufsize.rs"),
    plugin!("bind", bind, "bind.rs"),
    plugin!("debug", debug, "debug.rs"),
    plugin!("ready", ready, "ready.rs"),
    plugin!("health", health, "health.rs"),
    place("shed"),
    plugin!("prometheus", prometheus, "prometheus/mod.rs"),
    plugin!("errors", errors, "errors.rs"),
    plugin!("log", log, "log/mod.rs"),
    place("dnstap"),
    // Before all that answer, so that none of them can be used to flood others.
    plugin!("rrl", rrl, "rrl/mod.rs"),
    place("local"),
    place("dns64"),
    plugin!("any", any, "any.rs"),
    plugin!("chaos", chaos, "chaos.rs"),
    plugin!("loadbalance", loadbalance, "loadbalance/mod.rs"),
    place("tsig"),
    place("rewrite"),
    plugin!("acl", acl, "acl.rs"),
    plugin!("pocketbase", pocketbase, "pocketbase.rs"),
    plugin!("cache", cache, "cache/mod.rs"),
    plugin!("header", header, "header.rs"),
    place("dnssec"),
    plugin!("tls", tls, "tls.rs"),
    plugin!("minimal", minimal, "minimal.rs"),
    // Of the guide to writing plugins, `docs/plugin.md`.
    #[cfg(test)]
    plugin!("example", example, "example.rs"),
    plugin!("template", template, "template/mod.rs"),
    place("transfer"),
    plugin!("hosts", hosts, "hosts/mod.rs"),
    plugin!("file", file, "file/mod.rs"),
    plugin!("auto", auto, "auto/mod.rs"),
    place("secondary"),
    place("etcd"),
    plugin!("loop", looped, "looped.rs"),
    plugin!("forward", forward, "forward/mod.rs"),
    place("grpc"),
    place("erratic"),
    plugin!("whoami", whoami, "whoami.rs"),
    place("sign"),
    place("view"),
];

/// The first plugin in the order that answers from zones.
pub(super) const FIRST_WITH_ZONES: &str = "pocketbase";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_the_one_that_corefiles_were_written_for() {
        let known = "root metadata geoip cancel proxyproto quic grpc_server https https3 timeouts multisocket reload nsid \
                     bufsize bind debug trace ready health pprof shed prometheus errors log dnstap local dns64 any chaos \
                     loadbalance tsig rewrite autopath acl pocketbase cache header dnssec tls minimal template transfer \
                     hosts route53 azure clouddns k8s_external kubernetes file auto secondary etcd loop forward grpc \
                     erratic whoami on sign view nomad";
        // What is never going to be here, and what is ours alone.
        let left_out = "trace pprof autopath route53 azure clouddns k8s_external kubernetes on nomad";
        let expected: Vec<_> = known.split(' ').filter(|name| !left_out.split(' ').any(|out| out == *name)).collect();
        let order: Vec<_> =
            ORDER.iter().map(|row| row.name).filter(|name| !matches!(*name, "rrl" | "example")).collect();
        assert_eq!(order, expected);
    }

    #[test]
    fn a_place_that_is_kept_for_a_plugin_is_no_plugin() {
        let kept: Vec<_> = ORDER.iter().filter(|row| row.setup.is_none()).map(|row| row.name).collect();
        for name in kept {
            assert!(!is_known(name) && !names().contains(&name) && page(name).is_none(), "{name}");
        }
    }
}
