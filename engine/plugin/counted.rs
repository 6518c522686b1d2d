//! What plugins count by themselves: each registers its counters when it is set up, and counts through the context of a
//! query. The numbers are kept apart for each zone and listener, beside those of the plugin `prometheus`, and like these
//! only in server blocks that have it.

/// A counter of a plugin, by its place among those of its server block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count(pub(super) usize);

/// The counters of a server block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted(Vec<Metric>);

/// What a counter is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metric {
    /// The name of the metric.
    pub(super) name: &'static str,
    /// What it means.
    pub(super) help: &'static str,
    /// Labels besides those of server, zone and view.
    pub(super) labels: Vec<(&'static str, String)>,
    /// Whether it has the label of the zone; without it those of all zones of a server are added up.
    pub(super) has_zone: bool,
}

impl Counted {
    /// Adds a counter by server and zone, with these labels besides.
    pub(super) fn add(&mut self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Count {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.put(Metric { name, help, labels, has_zone: true })
    }

    /// Adds a counter by server alone.
    pub(super) fn add_for_server(&mut self, name: &'static str, help: &'static str) -> Count {
        self.put(Metric { name, help, labels: Vec::new(), has_zone: false })
    }

    /// All of them in their order.
    pub(super) fn metrics(&self) -> &[Metric] {
        &self.0
    }

    /// Adds one.
    fn put(&mut self, metric: Metric) -> Count {
        self.0.push(metric);
        Count(self.0.len() - 1)
    }
}
