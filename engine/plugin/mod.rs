//! The Corefile, and the chain of plugins that it makes.
//!
//! [`corefile`] reads the text; [`setup`] makes a [`Server`] of it, with the help of the [`registry`], where every plugin
//! has one row. A plugin is a stage: [`Plugin::query`] is asked in the registry's order until one of them answers, then
//! [`Plugin::response`] of those asked before sees the final answer. A new plugin is a file and a row;
//! `docs/plugin.md` writes one step by step.
//!
//! On the query line a plugin opens no socket, takes no lock and waits for nothing. What has to be waited for leaves the
//! line: [`later`] tells how.

mod chain;
mod context;
pub mod corefile;
mod counted;
mod server;

mod acl;
mod any;
mod auto;
mod bind;
mod bufsize;
mod cache;
pub(crate) mod caps;
mod chaos;
mod debug;
mod endpoint;
mod errors;
#[cfg(test)]
mod example;
mod explain;
mod expression;
mod file;
mod forward;
mod grpc_server;
mod header;
mod health;
mod hosts;
mod housekeeping;
mod https;
mod https3;
mod later;
mod loadbalance;
mod log;
mod looped;
mod minimal;
mod multisocket;
mod nsid;
mod page;
mod pocketbase;
mod prometheus;
mod quic;
mod ready;
mod registry;
mod reload;
mod root;
mod rrl;
mod setup;
mod switch;
mod template;
mod timeouts;
mod tls;
mod watched;
mod whoami;
mod zones;

pub use caps::Caps;
pub use chain::{Chain, Outcome};
pub use context::{Arrival, Context, Failure, Listener, Transport};
pub use endpoint::{Endpoint, Life, Reply};
pub use explain::{Asked, Trace};
pub use housekeeping::{Housekeeping, Task};
pub use later::{Brought, Errand, Later};
pub use page::{HEADINGS, Page};
pub use pocketbase::{Password, Pocketbase};
pub use prometheus::{Counters, Statuses, Tally, Tops, top_names};
pub use registry::{is_known, names, page};
pub use reload::Reload;
pub use server::{AHEAD, Batch, Routes, Server, Worker};
pub use setup::{Environment, Ready, Services, Setup, pocketbases, setup, setup_after};
pub use switch::Switch;
pub use timeouts::Timeouts;

use std::time::Duration;

use domain::base::iana::{Class, OptRcode};

use crate::wire::{Query, Response};
use crate::zone::{SetId, Step};

/// One stage of a server block. Each has a row in the registry.
pub trait Plugin: Send + Sync {
    /// The plugin's name in the Corefile.
    fn name(&self) -> &'static str;

    /// Answers the query, or passes it on.
    fn query(&self, query: &Query, response: &mut Response<'_>, context: &mut Context<'_>) -> Flow;

    /// The same for an explanation. Who answers from zones gives the steps to the answer.
    fn explain(
        &self,
        query: &Query,
        response: &mut Response<'_>,
        context: &mut Context<'_>,
        _steps: &mut Vec<Step>,
    ) -> Flow {
        self.query(query, response, context)
    }

    /// Sees, and may change, the answer to a query that this plugin passed on.
    fn response(&self, _query: &Query, _response: &mut Response<'_>, _context: &mut Context<'_>) {}

    /// What brings the answer to a query that it has returned [`Flow::Later`] for. `head` is the client's message up to
    /// the end of its question. On an error the client is told this rcode at once.
    fn errand(&self, _query: &Query, _head: &[u8], _: &Context<'_>) -> Result<Errand, (OptRcode, Failure)> {
        Err((OptRcode::SERVFAIL, Failure { plugin: self.name(), text: "nobody can be asked" }))
    }

    /// Answers a query that a plugin behind it would have to wait for, if it has kept the answer.
    fn recall(&self, _query: &Query, _response: &mut Response<'_>, _context: &mut Context<'_>) -> Recall {
        Recall::Nothing
    }

    /// How long an answer is worth waiting for, if [`Plugin::rescue`] has another one to give after that; it is waited for
    /// all the same, to be kept.
    fn patience(&self, _query: &Query) -> Option<Duration> {
        None
    }

    /// Goes along with the errand of a plugin behind it: keeps what it brings, or spares it where the same is under way.
    fn share(&self, _query: &Query, _: &Context<'_>, errand: Errand) -> Errand {
        errand
    }

    /// Gives what is better than an error that a plugin behind it has brought, or that no errand could be begun.
    fn rescue(&self, _query: &Query, brought: Brought) -> Brought {
        brought
    }

    /// Whether it answers queries of a class other than IN.
    fn sees(&self, _class: Class) -> bool {
        false
    }

    /// Whether it is asked for queries of every class that another plugin of its block sees.
    fn guards(&self) -> bool {
        false
    }

    /// Whether it never answers but sees every query, of any class.
    fn watches(&self) -> bool {
        false
    }

    /// Whether it wants to know when a query was taken up.
    fn wants_time(&self) -> bool {
        false
    }

    /// The zones that it answers from, so that they can be looked into ahead.
    fn zones(&self) -> Option<SetId> {
        None
    }

    /// The rcode of a query that nobody answered, if this is the last plugin of its block.
    fn unanswered(&self) -> OptRcode {
        OptRcode::SERVFAIL
    }
}

/// What a plugin did with a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It is not for this plugin: the next one is asked.
    Next,
    /// The response is complete.
    Done,
    /// The answer is this error and no records.
    Rcode(OptRcode),
    /// Nothing is sent.
    Drop,
    /// The answer has to be waited for: [`Plugin::errand`] brings it.
    Later,
}

/// What a plugin has kept of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recall {
    /// None, or it is too old.
    Nothing,
    /// The response is complete.
    Answer,
    /// The response is complete, and it is time to fetch the answer anew.
    Refresh,
}

/// The host's name, or `localhost` where it has none.
fn host_name() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "localhost".into())
}
