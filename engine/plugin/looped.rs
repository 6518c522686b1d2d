//! # loop
//!
//! ## Name
//! *loop* - ends the process if forwarded queries come back.
//!
//! ## Description
//! Finds out at start whether queries that are forwarded come back, which would go on for ever: it asks the server itself
//! for HINFO of a name below the zone that nobody can guess. If that question arrives more than twice, the process ends
//! with a line that says so. The question is asked until it has been answered, for at most 30 seconds; after that it is a
//! question like any other.
//!
//! Loops are made by a resolver of the machine that names this server as its own, and by upstreams that forward to it.
//!
//! ## Syntax
//! ```corefile
//! loop
//! ```
//!
//! ## Examples
//! ```corefile
//! example.org:1053 {
//!     loop
//!     forward . 192.0.2.1
//! }
//! ```
//!
//! ## Metrics
//! None.
//!
//! ## Ready
//! It does not signal readiness.
//!
//! ## See also
//! `forward`, `errors`.
//!
//! ## Bugs
//! It is asked at start and after a reload only: a loop that comes about later is not found. Of a block with several
//! zones the first is asked.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use domain::base::iana::Rtype;
use store::{Name, name};

use super::corefile::{ConfigError, Directive};
use super::{Context, Flow, Life, Plugin, Setup, Task};
use crate::wire::{Query, Response};

/// The plugin.
struct Loop {
    probe: Arc<Probe>,
    life: Arc<Life>,
}

/// The question that must not come back.
struct Probe {
    /// Its name, in lower-case wire form.
    name: Box<[u8]>,
    /// The zone that it is in.
    zone: Name,
    /// It is not over: neither answered nor given up. Upstreams learn the name, and must not end the process with it.
    is_asked: AtomicBool,
    /// How often it has arrived since it was asked last.
    seen: AtomicU32,
}

/// Reads the directive, and has the question asked once the server answers.
pub(super) fn setup(lines: &[Directive], setup: &mut Setup<'_>) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let [line] = lines else { return Err(ConfigError::once()) };
    line.no_arguments()?;
    let Some(zone) = setup.zones.first() else { return Ok(None) };
    let probe = Arc::new(Probe::new(zone).map_err(ConfigError::plain)?);
    let here = match setup.binds.first() {
        Some(address) if !address.is_unspecified() => *address,
        Some(IpAddr::V6(_)) => Ipv6Addr::LOCALHOST.into(),
        _ => Ipv4Addr::LOCALHOST.into(),
    };
    let mut asking =
        Asking { probe: Arc::clone(&probe), server: (here, setup.first.1).into(), begun: None, asked: None };
    setup.services.tasks.push(Task { every: EVERY, run: Box::new(move || asking.go_on()) });
    Ok(Some(Box::new(Loop { probe, life: Arc::clone(&setup.services.life) })))
}

impl Probe {
    /// A name of two labels that nobody can guess, below a zone that leaves room for them; else two at the root.
    fn new(zone: &Name) -> Result<Self, String> {
        let random = || getrandom::u64().map_err(|why| format!("no random numbers from the kernel: {why}"));
        let labels = format!("{}.{}.", random()?, random()?);
        let below =
            |zone: &Name| name::parse(&format!("{labels}{}", name::to_text(zone).trim_start_matches('.')), None);
        let name = below(zone).or_else(|_| below(&Name::root_bytes())).map_err(|why| why.to_string())?;
        Ok(Self {
            name: name.as_slice().to_ascii_lowercase().into(),
            zone: zone.clone(),
            is_asked: AtomicBool::new(true),
            seen: AtomicU32::new(0),
        })
    }

    /// The message that asks it.
    fn message(&self) -> Vec<u8> {
        let mut message = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        message.extend(&self.name);
        message.extend(Rtype::HINFO.to_int().to_be_bytes());
        message.extend([0, 1]);
        message
    }
}

/// The asking, step by step.
struct Asking {
    probe: Arc<Probe>,
    server: SocketAddr,
    /// When it was asked for the first time.
    begun: Option<Instant>,
    /// The socket that waits for an answer, and since when.
    asked: Option<(UdpSocket, Instant)>,
}

impl Asking {
    /// Asks, looks for the answer, or does nothing because that is over.
    fn go_on(&mut self) {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        if !self.probe.is_asked.load(Ordering::Relaxed) {
            return;
        }
        let is_answered = |(socket, _): &(UdpSocket, Instant)| socket.recv(&mut [0; 12]).is_ok();
        if begun.elapsed() > PATIENCE || self.asked.as_ref().is_some_and(is_answered) {
            self.probe.is_asked.store(false, Ordering::Relaxed);
            self.asked = None;
            return;
        }
        match &self.asked {
            Some((_, since)) if since.elapsed() < AGAIN => {}
            _ => {
                // What the last asking left behind does not count.
                self.probe.seen.store(0, Ordering::Relaxed);
                self.asked = self.ask().ok().map(|socket| (socket, Instant::now()));
            }
        }
    }

    /// Sends the question.
    fn ask(&self) -> io::Result<UdpSocket> {
        let local: IpAddr =
            if self.server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((local, 0))?;
        socket.set_nonblocking(true)?;
        socket.connect(self.server)?;
        socket.send(&self.probe.message())?;
        Ok(socket)
    }
}

impl Plugin for Loop {
    fn name(&self) -> &'static str {
        "loop"
    }

    fn query(&self, query: &Query, _: &mut Response<'_>, context: &mut Context<'_>) -> Flow {
        if query.qtype != Rtype::HINFO || query.name.as_slice() != &*self.probe.name {
            return Flow::Next;
        }
        let is_asked = self.probe.is_asked.load(Ordering::Relaxed);
        if !is_asked || self.probe.seen.fetch_add(1, Ordering::Relaxed) < SEEN_MAX {
            return Flow::Next;
        }
        let (client, local) = (context.arrival.client, context.arrival.local);
        let zone = name::to_text(&self.probe.zone);
        self.life.fail(format!(
            "plugin/loop: Loop ({client} -> {local}) detected for zone \"{zone}\": queries that are forwarded come back"
        ));
        Flow::Drop
    }
}

/// Arrivals of the question that are no loop: the asking itself, and one way round.
const SEEN_MAX: u32 = 2;

/// How often the asking goes on.
const EVERY: Duration = Duration::from_millis(100);

/// How long an answer is waited for before the question is asked again.
const AGAIN: Duration = Duration::from_secs(3);

/// How long it is asked at most.
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::corefile::Corefile;
    use crate::plugin::{Arrival, Ready, Transport, setup};
    use crate::zone::Hub;

    /// A server whose question to itself arrives at this socket.
    fn start() -> (Ready, UdpSocket) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let port = socket.local_addr().unwrap().port();
        let text = format!("example.org:{port} {{\nbind 127.0.0.1\nloop\nwhoami\n}}\n");
        let corefile = Corefile::parse_text("Corefile", &text).unwrap();
        let Ok(ready) = setup(&corefile, &Hub::new(), &|_| None) else { panic!("{text}") };
        (ready, socket)
    }

    /// What the housekeeping thread does in a server.
    fn keep_house(ready: &mut Ready) {
        ready.services.tasks.iter_mut().for_each(|task| (task.run)());
    }

    /// Has a message arrive so many times; gives how many of them were answered.
    fn arrive(ready: &Ready, message: &[u8], times: usize) -> usize {
        let client = "192.0.2.99:5353".parse().unwrap();
        let arrival = Arrival { client, local: client, transport: Transport::Udp, listener: 0, idle: None };
        let mut worker = ready.server.worker();
        let mut answer = || {
            let mut buffer = message.to_vec();
            buffer.resize(512, 0);
            worker.answer(&mut buffer, message.len(), &arrival)
        };
        (0..times).filter_map(|_| answer()).count()
    }

    #[test]
    fn the_question_ends_the_process_while_it_is_asked_and_never_after_it_was_answered() {
        let (mut ready, socket) = start();
        keep_house(&mut ready);
        let mut buffer = [0; 512];
        let (length, asker) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!(arrive(&ready, &buffer[..length], 2), 2);
        socket.send_to(&buffer[..length], asker).unwrap();
        keep_house(&mut ready);
        assert_eq!(arrive(&ready, &buffer[..length], 20), 20);
        assert_eq!(ready.services.life.failure(), None);

        let (mut ready, socket) = start();
        keep_house(&mut ready);
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(arrive(&ready, &buffer[..length], 3), 2);
        assert!(ready.services.life.failure().is_some());
    }

    #[test]
    fn nothing_is_counted_once_the_asking_was_given_up() {
        let zone = name::parse("example.org.", None).unwrap();
        let probe = Arc::new(Probe::new(&zone).unwrap());
        let begun = Instant::now().checked_sub(PATIENCE + AGAIN);
        assert!(begun.is_some());
        let server = "127.0.0.1:9".parse().unwrap();
        let mut asking = Asking { probe: Arc::clone(&probe), server, begun, asked: None };
        assert!(probe.is_asked.load(Ordering::Relaxed));
        asking.go_on();
        assert!(!probe.is_asked.load(Ordering::Relaxed));
    }
}
