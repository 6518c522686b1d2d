//! The plugins of one server block, asked one after the other.

use std::time::Duration;

use domain::base::iana::exterr::ExtendedErrorCode;
use domain::base::iana::{Class, OptRcode};

use super::explain::Guide;
use super::later::Brought;
use super::{Context, Errand, Failure, Flow, Plugin, Recall};
use crate::wire::{Query, Response};
use crate::zone::SetId;

/// What became of a query in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The response is complete.
    Answer,
    /// Nothing is to be sent.
    Silence,
    /// The plugin at this place has to wait for its answer.
    Later(usize),
    /// The response is complete, out of what was kept; it is time to ask the plugin at this place anew.
    Refresh(usize),
}

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

    /// Puts a plugin without zones at a place.
    pub(super) fn insert(&mut self, place: usize, plugin: Box<dyn Plugin>) {
        self.plugins.insert(place, plugin);
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
    #[inline]
    pub(super) fn run<G: Guide>(
        &self,
        query: &Query,
        response: &mut Response<'_>,
        context: &mut Context<'_>,
        guide: &mut G,
    ) -> Outcome {
        let mut outcome = Outcome::Answer;
        let mut asked = 0;
        let mut flow = Flow::Next;
        for plugin in &self.plugins {
            let is_asked =
                query.qclass == Class::IN || plugin.sees(query.qclass) || plugin.guards() || plugin.watches();
            if is_asked {
                flow = guide.ask(&**plugin, query, response, context);
            } else {
                guide.pass(&**plugin);
            }
            if flow != Flow::Next {
                break;
            }
            asked += 1;
        }
        match flow {
            Flow::Done => context.answered = Some(asked),
            Flow::Drop => return Outcome::Silence,
            Flow::Rcode(rcode) => fail(response, rcode),
            Flow::Later => match self.recall(asked, query, response, context) {
                Recall::Nothing => return Outcome::Later(asked),
                Recall::Answer => {}
                Recall::Refresh => outcome = Outcome::Refresh(asked),
            },
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
        self.show(asked, query, response, context, guide);
        if context.silence { Outcome::Silence } else { outcome }
    }

    /// Shows the answer to the plugins before a place, last first.
    #[inline]
    fn show<G: Guide>(
        &self,
        asked: usize,
        query: &Query,
        response: &mut Response<'_>,
        context: &mut Context<'_>,
        guide: &mut G,
    ) {
        for plugin in self.plugins[..asked].iter().rev() {
            guide.show(&**plugin, query, response, context);
        }
    }

    /// Asks the plugins before the one that would have to wait whether they have kept the answer.
    #[cold]
    fn recall(&self, place: usize, query: &Query, response: &mut Response<'_>, context: &mut Context<'_>) -> Recall {
        for (at, plugin) in self.plugins[..place].iter().enumerate() {
            let recall = plugin.recall(query, response, context);
            if recall != Recall::Nothing {
                context.answered = Some(at);
                return recall;
            }
        }
        Recall::Nothing
    }

    /// The name of the plugin at a place.
    pub(super) fn name(&self, place: usize) -> &'static str {
        self.plugins[place].name()
    }

    /// The errand of the plugin at a place, as those before it share it.
    pub(super) fn errand(
        &self,
        place: usize,
        query: &Query,
        head: &[u8],
        context: &Context<'_>,
    ) -> Result<Errand, (OptRcode, Failure)> {
        let errand = self.plugins[place].errand(query, head, context)?;
        Ok(self.plugins[..place].iter().rev().fold(errand, |errand, plugin| plugin.share(query, context, errand)))
    }

    /// How long the answer is worth waiting for, if not until it comes.
    pub(super) fn patience(&self, place: usize, query: &Query) -> Option<Duration> {
        self.plugins[..place].iter().filter_map(|plugin| plugin.patience(query)).min()
    }

    /// What the plugins before a place make of what was brought; one that kept an older answer may have a better one.
    pub(super) fn rescue(&self, place: usize, query: &Query, brought: Brought) -> Brought {
        self.plugins[..place].iter().rev().fold(brought, |brought, plugin| plugin.rescue(query, brought))
    }

    /// Completes the answer with what the plugin at a place waited for; false if nothing is to be sent.
    pub(super) fn conclude(
        &self,
        place: usize,
        brought: Brought,
        query: &Query,
        response: &mut Response<'_>,
        context: &mut Context<'_>,
    ) -> bool {
        match brought {
            Ok(received) => {
                response.take(&received, 0, query);
                context.answered = Some(place);
            }
            Err((rcode, failure)) => {
                fail(response, rcode);
                context.failure = Some(failure);
            }
        }
        self.show(place, query, response, context, &mut ());
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

#[cfg(test)]
mod tests {
    use crate::plugin::corefile::Corefile;
    use crate::plugin::{Arrival, Transport, setup};
    use crate::zone::Hub;

    /// The rcode and the number of answers, or None for silence, of a block with these lines to a question for a type and
    /// class of example.org; and whether the answer is waited for.
    fn ask(lines: &str, qtype: u8, qclass: u8) -> (Option<(u8, u8)>, bool) {
        let text = format!("example.org {{\n{lines}\n}}\n");
        let corefile = Corefile::parse_text("Corefile", &text).unwrap();
        let Ok(ready) = setup(&corefile, &Hub::new(), &|_| None) else { panic!("{text}") };
        let mut message = b"\xab\xcd\0\0\0\x01\0\0\0\0\0\0\x07example\x03org\0".to_vec();
        message.extend([0, qtype, 0, qclass]);
        let length = message.len();
        message.resize(512, 0);
        let client = "192.0.2.99:5353".parse().unwrap();
        let arrival = Arrival { client, local: client, transport: Transport::Udp, listener: 0, idle: None };
        let mut worker = ready.server.worker();
        let mut batch = worker.batch();
        batch.read(0, &message[..length], 0);
        let answer = batch.answer(0, &mut message, &arrival).map(|_| (message[3] & 15, message[7]));
        (answer, batch.later().is_some())
    }

    const ANY: u8 = 255;

    #[test]
    fn who_guards_is_asked_for_queries_of_every_class_that_another_plugin_sees() {
        let template = "template ANY ANY {\nanswer \"example.org. 60 TXT x\"\n}";
        let forward = "forward . 127.0.0.1:9";
        for class in [1, 3, ANY] {
            assert_eq!(ask(template, 16, class), (Some((0, 1)), false), "{class}");
            assert_eq!(ask(forward, 16, class), (None, true), "{class}");
            for lines in [template, forward] {
                assert_eq!(ask(&format!("acl {{\nblock\n}}\n{lines}"), 16, class), (Some((5, 0)), false), "{class}");
                assert_eq!(ask(&format!("acl {{\ndrop\n}}\n{lines}"), 16, class), (None, false), "{class}");
                let allowed = format!("acl {{\nallow net 192.0.2.99\nblock\n}}\n{lines}");
                assert_eq!(ask(&allowed, 16, class), ask(lines, 16, class), "{class}");
            }
        }
        // HINFO of class IN is no answer to a question for another one.
        assert_eq!(ask(&format!("any\n{forward}"), ANY, 1), (Some((0, 1)), false));
        assert_eq!(ask(&format!("any\n{forward}"), ANY, ANY), (Some((0, 1)), false));
        assert_eq!(ask(&format!("any\n{forward}"), ANY, 3), (None, true));
    }

    #[test]
    fn a_class_that_only_guards_would_be_asked_for_is_refused() {
        for lines in ["acl {\nfilter\n}\nwhoami", "acl {\ndrop\n}\nwhoami", "any\nwhoami"] {
            assert_eq!(ask(lines, ANY, 3), (Some((5, 0)), false), "{lines}");
            assert_eq!(ask(lines, ANY, ANY), (Some((5, 0)), false), "{lines}");
        }
    }
}
