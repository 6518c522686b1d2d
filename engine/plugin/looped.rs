//! # loop
//!
//! ## Name
//! *loop* - ends the process if forwarded queries come back.
//!
//! ## Description
//! Finds out at start whether queries that are forwarded come back, which would go on for ever: it asks the server itself
//! for HINFO of a name below the zone that nobody can guess. If that question arrives more than twice, the process ends
//! with a line that says so. The question is asked until it has been answered, for at most 30 seconds.
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
use std::sync::atomic::{AtomicU32, Ordering};
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
    let mut asking = Asking {
        probe: Arc::clone(&probe),
        server: (here, setup.first.1).into(),
        begun: None,
        asked: None,
        is_over: false,
    };
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
        Ok(Self { name: name.as_slice().to_ascii_lowercase().into(), zone: zone.clone(), seen: AtomicU32::new(0) })
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
    /// It was answered, or nobody is going to.
    is_over: bool,
}

impl Asking {
    /// Asks, looks for the answer, or does nothing because that is over.
    fn go_on(&mut self) {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        if self.is_over {
            return;
        }
        self.is_over = begun.elapsed() > PATIENCE;
        match &self.asked {
            _ if self.is_over => {}
            Some((socket, _)) if socket.recv(&mut [0; 12]).is_ok() => self.is_over = true,
            Some((_, since)) if since.elapsed() < AGAIN => {}
            _ => {
                // What the last asking left behind does not count.
                self.probe.seen.store(0, Ordering::Relaxed);
                self.asked = self.ask().ok().map(|socket| (socket, Instant::now()));
            }
        }
        if self.is_over {
            self.asked = None;
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
        if self.probe.seen.fetch_add(1, Ordering::Relaxed) < SEEN_MAX {
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
