//! The plugins of one server block, asked one after the other.

use domain::base::iana::exterr::ExtendedErrorCode;
use domain::base::iana::{Class, OptRcode};

use super::{Context, Failure, Flow, Plugin};
use crate::wire::{Query, Response};
use crate::zone::SetId;

/// The plugins of a server block in the order of the registry.
pub struct Chain {
    plugins: Vec<Box<dyn Plugin>>,
    timed: bool,
    zones: Option<SetId>,
}

impl Chain {
    /// Takes plugins in the order in which they are to be asked.
    pub fn new(plugins: Vec<Box<dyn Plugin>>) -> Self {
        Self {
            timed: plugins.iter().any(|plugin| plugin.wants_time()),
            zones: plugins.iter().find_map(|plugin| plugin.zones()),
            plugins,
        }
    }

    /// Whether a plugin wants to know when a query was taken up.
    #[inline]
    pub fn wants_time(&self) -> bool {
        self.timed
    }

    /// The zones that are asked first.
    #[inline]
    pub fn zones(&self) -> Option<SetId> {
        self.zones
    }

    /// The names of its plugins in their order.
    pub fn names(&self) -> Vec<&'static str> {
        self.plugins.iter().map(|plugin| plugin.name()).collect()
    }

    /// Whether a plugin answers queries of this class, if not IN.
    pub fn sees(&self, class: Class) -> bool {
        self.plugins.iter().any(|plugin| plugin.sees(class))
    }

    /// Asks the plugins until one has the answer, then shows the answer to those that were asked before, last first.
    /// False if nothing is to be sent.
    #[inline]
    pub fn run(&self, query: &Query, response: &mut Response<'_>, context: &mut Context<'_>) -> bool {
        let mut asked = 0;
        let mut flow = Flow::Next;
        for plugin in &self.plugins {
            if query.qclass == Class::IN || plugin.sees(query.qclass) || plugin.watches() {
                flow = plugin.query(query, response, context);
            }
            if flow != Flow::Next {
                break;
            }
            asked += 1;
        }
        match flow {
            Flow::Done => context.answered = Some(asked),
            Flow::Drop => return false,
            Flow::Rcode(rcode) => fail(response, rcode),
            Flow::Next => {
                fail(response, self.unanswered(query.qclass, context));
                if response.rcode == OptRcode::REFUSED {
                    response.explain(match query.qclass {
                        Class::IN => ExtendedErrorCode::NOT_AUTHORITATIVE,
                        _ => ExtendedErrorCode::NOT_SUPPORTED,
                    });
                }
            }
        }
        for plugin in self.plugins[..asked].iter().rev() {
            plugin.response(query, response, context);
        }
        !context.silence
    }

    /// The rcode of a query that every plugin passed on.
    fn unanswered(&self, class: Class, context: &mut Context<'_>) -> OptRcode {
        let Some(last) = self.plugins.last() else { return OptRcode::REFUSED };
        if class != Class::IN {
            return OptRcode::REFUSED;
        }
        let rcode = last.unanswered();
        if rcode == OptRcode::SERVFAIL {
            context.failure.get_or_insert_with(|| Failure { plugin: last.name(), text: "no next plugin found" });
        }
        rcode
    }
}

/// Makes the answer an error without records.
fn fail(response: &mut Response<'_>, rcode: OptRcode) {
    response.reset();
    response.rcode = rcode;
}
