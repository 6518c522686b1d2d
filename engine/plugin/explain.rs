//! How an answer comes about: the server block, the plugins that were asked, and the steps of those that answer from
//! zones.
//!
//! An explanation is made by the code that answers, with somebody beside it who takes notes. On the query line that is
//! `()`, who takes none. Plugins that watch (logs, counters, rate limits) are left out of an explanation: it is no query
//! of a client.

use store::Name;

use super::{Context, Flow, Plugin};
use crate::wire::{Query, Response};
use crate::zone::Step;

/// Goes along with a query on its way through the chain.
pub(super) trait Guide {
    /// Whether the query is one to count.
    const COUNTS: bool;

    /// The block with this zone has the query.
    fn enter(&mut self, zone: &Name);

    /// Asks a plugin.
    fn ask(
        &mut self,
        plugin: &dyn Plugin,
        query: &Query,
        response: &mut Response<'_>,
        context: &mut Context<'_>,
    ) -> Flow;

    /// Passes a plugin by that is not for the class of the query.
    fn pass(&mut self, plugin: &dyn Plugin);

    /// Shows the answer to a plugin.
    fn show(&mut self, plugin: &dyn Plugin, query: &Query, response: &mut Response<'_>, context: &mut Context<'_>);
}

/// Takes no notes.
impl Guide for () {
    const COUNTS: bool = true;

    #[inline(always)]
    fn enter(&mut self, _: &Name) {}

    #[inline(always)]
    fn ask(
        &mut self,
        plugin: &dyn Plugin,
        query: &Query,
        response: &mut Response<'_>,
        context: &mut Context<'_>,
    ) -> Flow {
        plugin.query(query, response, context)
    }

    #[inline(always)]
    fn pass(&mut self, _: &dyn Plugin) {}

    #[inline(always)]
    fn show(&mut self, plugin: &dyn Plugin, query: &Query, response: &mut Response<'_>, context: &mut Context<'_>) {
        plugin.response(query, response, context);
    }
}

/// The way of a query to its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The zone of the server block; None if no block is for the name.
    pub block: Option<Name>,
    /// The plugins of the block that were reached, in their order.
    pub asked: Vec<Asked>,
}

/// A plugin that was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its name.
    pub plugin: &'static str,
    /// What it did; None if it was left out.
    pub flow: Option<Flow>,
    /// What it looked for in its zones.
    pub steps: Vec<Step>,
}

/// Takes notes.
impl Guide for Trace {
    const COUNTS: bool = false;

    fn enter(&mut self, zone: &Name) {
        self.block = Some(zone.clone());
    }

    fn ask(
        &mut self,
        plugin: &dyn Plugin,
        query: &Query,
        response: &mut Response<'_>,
        context: &mut Context<'_>,
    ) -> Flow {
        if plugin.watches() {
            self.pass(plugin);
            return Flow::Next;
        }
        let mut steps = Vec::new();
        let flow = plugin.explain(query, response, context, &mut steps);
        self.asked.push(Asked { plugin: plugin.name(), flow: Some(flow), steps });
        flow
    }

    fn pass(&mut self, plugin: &dyn Plugin) {
        self.asked.push(Asked { plugin: plugin.name(), flow: None, steps: Vec::new() });
    }

    fn show(&mut self, plugin: &dyn Plugin, query: &Query, response: &mut Response<'_>, context: &mut Context<'_>) {
        if !plugin.watches() {
            plugin.response(query, response, context);
        }
    }
}
