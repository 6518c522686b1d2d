//! Plugin `forward` between real clients and upstreams that misbehave, over real sockets: what all of its tests use.

mod exchange;
mod failing;
mod lines;
mod options;
mod real;
mod secure;

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use store::Rtype;

use crate::cases::describe;
use crate::support::{Program, Question, command, free_port, samples};

/// An upstream that does what a test wants.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    /// The questions so far.
    asked: Arc<Mutex<Vec<Asked>>>,
    ended: Arc<AtomicBool>,
}

/// A question: the message, the port it came from, whether it came over TCP.
type Asked = (Vec<u8>, u16, bool);

/// Makes the answers to a message that came over UDP, or with `true` over TCP.
type Answers = dyn Fn(&[u8], bool) -> Vec<Vec<u8>> + Send + Sync;

impl Upstream {
    /// Listens on a free port.
    pub(crate) fn start(answers: impl Fn(&[u8], bool) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self::at(free_port(), answers)
    }

    /// Listens on a port.
    fn at(port: u16, answers: impl Fn(&[u8], bool) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        let answers: Arc<Answers> = Arc::new(answers);
        let asked = Arc::<Mutex<Vec<_>>>::default();
        let ended = Arc::<AtomicBool>::default();
        let (udp, tcp) = (UdpSocket::bind(("127.0.0.1", port)), TcpListener::bind(("127.0.0.1", port)));
        let (udp, tcp) = (udp.unwrap(), tcp.unwrap());
        udp.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        tcp.set_nonblocking(true).unwrap();
        let (noted, made, over) = (Arc::clone(&asked), Arc::clone(&answers), Arc::clone(&ended));
        std::thread::spawn(move || {
            let mut buffer = [0; 65_535];
            while !over.load(Ordering::Relaxed) {
                let Ok((len, client)) = udp.recv_from(&mut buffer) else { continue };
                noted.lock().unwrap().push((buffer[..len].to_vec(), client.port(), false));
                for answer in made(&buffer[..len], false) {
                    udp.send_to(&answer, client).unwrap();
                }
            }
        });
        let (noted, over) = (Arc::clone(&asked), Arc::clone(&ended));
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let Ok((mut stream, client)) = tcp.accept() else {
                    std::thread::sleep(Duration::from_millis(5));
                    continue;
                };
                stream.set_nonblocking(false).unwrap();
                let (noted, made) = (Arc::clone(&noted), Arc::clone(&answers));
                std::thread::spawn(move || {
                    let mut length = [0; 2];
                    while stream.read_exact(&mut length).is_ok() {
                        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
                        if stream.read_exact(&mut message).is_err() {
                            return;
                        }
                        noted.lock().unwrap().push((message.clone(), client.port(), true));
                        for answer in made(&message, true) {
                            stream.write_all(&(answer.len() as u16).to_be_bytes()).unwrap();
                            stream.write_all(&answer).unwrap();
                        }
                    }
                });
            }
        });
        Self { port, asked, ended }
    }

    /// How often a name has been asked for here.
    pub(crate) fn count(&self, qname: &str) -> usize {
        let wanted = store::name::parse(qname, None).unwrap().as_slice().to_vec();
        let is_wanted = |message: &&Asked| message.0[12..].starts_with(&wanted);
        self.asked.lock().unwrap().iter().filter(is_wanted).count()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// The answer to a message: its header and question, these flags and rcode, and one address for each last octet.
pub(crate) fn answer(message: &[u8], flags: [u8; 2], addresses: &[u8], ttl: u8) -> Vec<u8> {
    let question_end = 12 + message[12..].iter().position(|octet| *octet == 0).unwrap() + 5;
    let mut answer = message[..question_end].to_vec();
    answer[2] = 0x80 | flags[0] | message[2] & 1;
    answer[3] = flags[1];
    answer[7] = addresses.len() as u8;
    answer[11] = 0;
    for address in addresses {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4, 192, 0, 2, *address]);
    }
    answer
}

/// Answers every question with 192.0.2.N, recursion available.
pub(crate) fn says(number: u8) -> impl Fn(&[u8], bool) -> Vec<Vec<u8>> + Send + Sync + 'static {
    move |message, _| vec![answer(message, [0, 0x80], &[number], 60)]
}

/// Never answers.
pub(crate) fn silent(_: &[u8], _: bool) -> Vec<Vec<u8>> {
    Vec::new()
}

/// zonda with `forward` lines for `example.org` and below, and another block that is quick to say that it is there.
pub(crate) fn start(lines: &str, io: &str) -> Program {
    let corefile = format!(
        "example.org:PORT {{\n    bind 127.0.0.1\n    errors\n    {lines}\n}}\n.:PORT {{\n    bind 127.0.0.1\n    whoami\n}}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    std::fs::write(folder.path().join("Corefile"), corefile.replace("PORT", &port.to_string())).unwrap();
    let mut command = command(folder.path());
    command.env("ZONDA_IO", io);
    Program::run_command(command, folder, port)
}

/// The rcode of a question, or the last octets of the addresses in its answer.
pub(crate) fn found(message: &[u8]) -> String {
    let mut found = describe(message);
    let answers = found.sections.remove("answer").unwrap_or_default();
    match answers.is_empty() {
        true => found.status[0].clone(),
        false => answers.iter().map(|record| record.rsplit('.').next().unwrap()).collect::<Vec<_>>().join(" "),
    }
}

/// A question for an address.
pub(crate) fn a(qname: &str) -> Question {
    Question::new(qname, Rtype::A)
}

/// The value of a metric without labels.
pub(crate) fn value(port: u16, metric: &str) -> u64 {
    samples(port, metric).first().map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}
