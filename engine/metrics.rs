//! Numbers for those who watch: who has some registers a source, and a scrape asks all sources and writes one text.
//!
//! The text is the exposition format of Prometheus, version 0.0.4, in which all samples of a metric stand together.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// All sources.
#[derive(Default)]
pub struct Metrics {
    sources: Mutex<Vec<Source>>,
}

/// What writes its metrics when it is asked.
type Source = Box<dyn Fn(&mut Text) + Send + Sync>;

impl Metrics {
    /// Adds a source.
    pub fn add(&self, source: impl Fn(&mut Text) + Send + Sync + 'static) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(source));
    }

    /// The metrics of all sources at this moment.
    pub fn text(&self) -> String {
        let mut text = Text::default();
        for source in &*self.sources.lock().unwrap_or_else(PoisonError::into_inner) {
            source(&mut text);
        }
        text.finish()
    }
}

/// A text under way.
#[derive(Default)]
pub struct Text {
    families: BTreeMap<&'static str, Family>,
}

/// A metric with its samples.
struct Family {
    kind: &'static str,
    help: &'static str,
    /// Labels and numbers in the order in which they came.
    numbers: Vec<(String, f64)>,
    /// The places of labels among the numbers.
    places: HashMap<String, usize>,
    /// What is written already: histograms.
    samples: String,
}

/// Names and values of labels.
pub type Labels<'l> = &'l [(&'l str, &'l str)];

impl Text {
    /// A number that only grows.
    pub fn counter(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, value: u64) {
        self.sample("counter", name, help, labels, value as f64);
    }

    /// A number that may also fall.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, value: f64) {
        self.sample("gauge", name, help, labels, value);
    }

    /// A point in time, as seconds since 1970; of several with the same labels the latest.
    pub fn time(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, seconds: f64) {
        self.put("gauge", name, help, labels, seconds, f64::max);
    }

    /// One sample of a kind of metric. Numbers with the same labels are added up: sources may be of one kind.
    pub fn sample(
        &mut self,
        kind: &'static str,
        name: &'static str,
        help: &'static str,
        labels: Labels<'_>,
        value: f64,
    ) {
        self.put(kind, name, help, labels, value, |a, b| a + b);
    }

    /// One number, joined with one that has the same labels.
    fn put(
        &mut self,
        kind: &'static str,
        name: &'static str,
        help: &'static str,
        labels: Labels<'_>,
        value: f64,
        join: fn(f64, f64) -> f64,
    ) {
        let mut written = String::new();
        write_labels(&mut written, labels, None);
        let Family { numbers, places, .. } = self.family(kind, name, help);
        match places.get(&written).and_then(|&place| numbers.get_mut(place)) {
            Some((_, number)) => *number = join(*number, value),
            None => {
                places.insert(written.clone(), numbers.len());
                numbers.push((written, value));
            }
        }
    }

    /// A distribution: how many values fell up to each bound and above the bound before, those above all, and their sum.
    pub fn histogram(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Labels<'_>,
        bounds: &[f64],
        counts: &[u64],
        sum: f64,
    ) {
        let samples = &mut self.family("histogram", name, help).samples;
        let mut total = 0;
        for (index, count) in counts.iter().enumerate() {
            total += count;
            let bound = bounds.get(index).map_or_else(|| "+Inf".into(), ToString::to_string);
            // Writing into a String cannot fail.
            let _ = write!(samples, "{name}_bucket");
            write_labels(samples, labels, Some(&bound));
            let _ = writeln!(samples, " {total}");
        }
        for (part, value) in [("sum", sum), ("count", total as f64)] {
            let _ = write!(samples, "{name}_{part}");
            write_labels(samples, labels, None);
            let _ = writeln!(samples, " {value}");
        }
    }

    /// A metric with what it has so far.
    fn family(&mut self, kind: &'static str, name: &'static str, help: &'static str) -> &mut Family {
        let new = || Family { kind, help, numbers: Vec::new(), places: HashMap::new(), samples: String::new() };
        self.families.entry(name).or_insert_with(new)
    }

    /// All of it.
    fn finish(self) -> String {
        let mut text = String::new();
        for (name, Family { kind, help, numbers, samples, .. }) in self.families {
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{samples}");
            for (labels, number) in numbers {
                let _ = writeln!(text, "{name}{labels} {number}");
            }
        }
        text
    }
}

/// A distribution that is counted off the query line.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    counts: Vec<AtomicU64>,
    sum_nanos: AtomicU64,
}

impl Histogram {
    /// An empty one with these upper bounds in seconds.
    pub fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum_nanos: AtomicU64::new(0) }
    }

    /// Counts a value in seconds.
    pub fn observe(&self, seconds: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_nanos.fetch_add((seconds * 1e9) as u64, Ordering::Relaxed);
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Writes it.
    pub fn write(&self, text: &mut Text, name: &'static str, help: &'static str, labels: Labels<'_>) {
        let counts: Vec<u64> = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let sum = self.sum_nanos.load(Ordering::Relaxed) as f64 / 1e9;
        text.histogram(name, help, labels, self.bounds, &counts, sum);
    }
}

/// Writes `{name="value",…}`; nothing without labels. The bound of a bucket is the last label.
fn write_labels(text: &mut String, labels: Labels<'_>, bound: Option<&str>) {
    let bound = bound.map(|bound| ("le", bound));
    let mut separator = '{';
    for (name, value) in labels.iter().copied().chain(bound) {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(text, "{separator}{name}=\"{value}\"");
        separator = ',';
    }
    if separator == ',' {
        text.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_a_metric_stand_together_and_labels_are_escaped() {
        let metrics = Metrics::default();
        metrics.add(|text| text.counter("b_total", "B.", &[("zone", "a\"\\\n")], 1));
        metrics.add(|text| text.gauge("a", "A.", &[], 0.5));
        metrics.add(|text| text.counter("b_total", "B.", &[("zone", "x")], 2));
        // Numbers with the same labels are one sample, or a scrape would be refused.
        metrics.add(|text| text.counter("b_total", "B.", &[("zone", "x")], 40));
        metrics.add(|text| [1.5, 3.5, 2.5].iter().for_each(|seconds| text.time("c", "C.", &[], *seconds)));
        let expected = "# HELP a A.\n# TYPE a gauge\na 0.5\n# HELP b_total B.\n# TYPE b_total counter\n\
                        b_total{zone=\"a\\\"\\\\\\n\"} 1\nb_total{zone=\"x\"} 42\n\
                        # HELP c C.\n# TYPE c gauge\nc 3.5\n";
        assert_eq!(metrics.text(), expected);
    }

    #[test]
    fn buckets_add_up_and_a_bound_belongs_to_its_bucket() {
        let histogram = Histogram::new(&[0.5, 2.0]);
        for seconds in [0.5, 1.0, 3.0] {
            histogram.observe(seconds);
        }
        let mut text = Text::default();
        histogram.write(&mut text, "h", "H.", &[]);
        let expected = "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"0.5\"} 1\nh_bucket{le=\"2\"} 2\n\
                        h_bucket{le=\"+Inf\"} 3\nh_sum 4.5\nh_count 3\n";
        assert_eq!(text.finish(), expected);
    }
}
