//! What the real program withstands, over both ways in. Small numbers by default; for the great ones:
//!
//! ```text
//! ZONDA_STORM_PACKETS=10000000 ZONDA_STORM_CONNECTIONS=20000 cargo test --profile optimized --test main storm -- --nocapture
//! ```

mod http3;
mod https;
mod quic;
mod tls;

use std::fmt::{self, Display, Formatter};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use store::Rtype;
use tempfile::TempDir;

use crate::packets::{self, Mutations};
use crate::support::{Program, Question, command, free_port, number, open_files};

/// Any octets, over UDP and some of them over TCP: each message gets the one answer or the silence that it is due, in
/// order, and in the end the right answer is the same, nothing has panicked, and no memory is lost.
#[test]
fn fuzzed_packets_stop_nothing_and_leak_nothing() {
    let packets = number("ZONDA_STORM_PACKETS", 20_000);
    thread::scope(|scope| {
        for (seed, way) in (1..).zip(["ring", "mmsg"]) {
            scope.spawn(move || {
                let program = program(way, "");
                let client = UdpSocket::bind("127.0.0.1:0").unwrap();
                client.set_read_timeout(Some(PATIENCE)).unwrap();
                client.connect(program.dns()).unwrap();
                let expected = program.ask(&question());
                assert_eq!(expected.last(), Some(&1));
                let mut mutations = Mutations::new(seed);
                let (mut sent, mut answered, mut batches) = (0, 0, 0);
                let mut before = None;
                while sent < packets {
                    let messages: Vec<_> = (0..BATCH).map(|_| mutations.message()).collect();
                    batches += 1;
                    answered += if batches % 64 == 0 {
                        over_tcp(program.dns(), messages)
                    } else {
                        over_udp(&client, &messages, &expected)
                    };
                    sent += BATCH;
                    // What is reserved once has been by now.
                    if sent >= packets / 4 {
                        before.get_or_insert_with(|| memory_kb(program.id()));
                    }
                }
                let (before, after) = (before.unwrap(), memory_kb(program.id()));
                println!(
                    "{way}: {sent} packets, {answered} answers, {before} KiB after a quarter, {after} KiB at the end"
                );
                assert!(after < before + LEAK_KB, "{way}: {before} KiB became {after} KiB");
                assert_eq!(program.ask(&question()), expected);
                assert!(!program.text().contains("panic"), "{}", program.text());
            });
        }
    });
}

/// Two servers that are sent each other's answers, as with a forged source: neither says a word.
#[test]
fn two_servers_aimed_at_each_other_fall_silent() {
    let programs = ["ring", "mmsg"].map(|way| program(way, ""));
    let clients = programs.each_ref().map(|program| {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.connect(program.dns()).unwrap();
        client
    });
    let mut mutations = Mutations::new(1);
    let mut buffer = [0; 65_535];
    for message in packets::messages().into_iter().chain((0..2000).map(|_| mutations.message())) {
        for (from, to) in [(0, 1), (1, 0)] {
            if !is_answered(&message) {
                continue;
            }
            clients[from].send(&message).unwrap();
            let length = clients[from].recv(&mut buffer).unwrap();
            // The answer that comes back is to the question behind it.
            clients[to].send(&buffer[..length]).unwrap();
            let last = question().message();
            clients[to].send(&last).unwrap();
            let length = clients[to].recv(&mut buffer).unwrap();
            assert_eq!(buffer[12..length.min(last.len())], last[12..], "an answer to an answer: {message:x?}");
        }
    }
}

/// Connections that are silent, that drip an octet at a time, and that never read what they asked for: all are gone in
/// time, in bounded memory, and nothing that is asked over UDP meanwhile is lost.
#[test]
fn crowds_of_connections_are_gone_in_time_and_udp_does_not_notice() {
    let silent = number("ZONDA_STORM_CONNECTIONS", 400);
    let timeouts =
        if silent > 1000 { "" } else { "timeouts {\n        read 1s\n        write 1s\n        idle 2s\n    }" };
    for way in ["ring", "mmsg"] {
        let mut program = program(way, timeouts);
        let (files, before) = (open_files(program.id()), memory_kb(program.id()));
        let others = silent / 20;
        let seen = beside_udp(&program, || {
            // A process may not have as many files open as there are connections.
            let half = silent / 2;
            let crowds =
                [("silent", half, 0), ("silent", silent - half, 1), ("drip", others, 2), ("greedy", others, 3)];
            let begun = Instant::now();
            let at = program.dns();
            let mut crowds =
                crowds.map(|(what, count, net)| Crowd::start(CROWD, &format!("{at} {what} {count} {net}")));
            crowds.iter_mut().for_each(|crowd| crowd.until(THERE));
            let connected = begun.elapsed();
            let begun = Instant::now();
            crowds.iter_mut().for_each(|crowd| crowd.until(GONE));
            println!("there in {connected:.1?}, gone {:.1?} later", begun.elapsed());
        });
        let after = memory_kb(program.id());
        println!(
            "{way}: {silent} silent, {others} dripping, {others} greedy: {before} KiB before, {after} KiB after; {seen}"
        );
        assert!(seen.high_kb < before + CROWD_KB, "{before} KiB became {} KiB", seen.high_kb);
        program.wait("all files are closed", |program| open_files(program.id()) <= files);
        assert_eq!(program.ask(&question()).last(), Some(&1));
        assert!(!program.text().contains("panic"), "{}", program.text());
        assert_eq!(program.end("TERM"), Some(0));
    }
}

/// Where no more files can be opened, that is told once, idle connections give way to new ones, which are served, and UDP
/// does not notice.
#[test]
fn without_files_to_open_idle_connections_give_way() {
    for way in ["ring", "mmsg"] {
        let mut program = program(way, "");
        program.limit_open_files(open_files(program.id()) as u64 + 8);
        let message = question().message();
        let message = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
        let mut connections = Vec::new();
        for host in 1..=60 {
            let mut stream = connect_from([127, 0, 1, host], program.dns());
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(&message).unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(answer.last(), Some(&1));
            connections.push(stream);
            assert_eq!(program.ask(&question()).last(), Some(&1));
        }
        let line = format!(
            "[WARNING] listen tcp {}: cannot accept connections: too many open files; idle ones give way",
            program.dns()
        );
        program.wait("it is told", |program| program.text().contains(&line));
        assert_eq!(program.text().matches("cannot accept").count(), 1, "{}", program.text());
        assert_eq!(program.end("TERM"), Some(0));
    }
}

/// A start with room for fewer files than connections is told what that means.
#[test]
fn a_low_limit_of_open_files_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let zonda = command(folder.path()).get_program().to_owned();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 1000 && exec \"$0\" -p \"$1\""]).arg(zonda).arg(port.to_string());
    command.current_dir(folder.path());
    let mut program = Program::run_command(command, folder, port);
    let line =
        "[WARNING] 744 TCP connections at once instead of 8192: no more than 1000 files may be open (`ulimit -n`)";
    program.wait("it is told", |program| program.text().contains(line));
}

/// A crowd of connections, which is a process of its own: [`crowd`].
struct Crowd(Child);

impl Crowd {
    /// Starts a test that is one, which is told in words what to do.
    fn start(test: &str, order: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--ignored", "--nocapture"]);
        command.env("ZONDA_CROWD", order);
        Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
    }

    /// Waits until it says something.
    fn until(&mut self, said: &str) {
        let (mut text, mut octet) = (Vec::new(), [0]);
        while !text.ends_with(said.as_bytes()) {
            assert_eq!(self.0.stdout.as_mut().unwrap().read(&mut octet).unwrap(), 1, "the crowd has failed");
            text.push(octet[0]);
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ends what goes on until then, also when a test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Not a test: the process of a [`Crowd`], which goes on until it is killed.
#[test]
#[ignore = "part of another test"]
fn crowd() {
    let Ok(order) = std::env::var("ZONDA_CROWD") else { return };
    let words: Vec<_> = order.split(' ').collect();
    let [at, what, count, net] = words[..] else { panic!("{order}") };
    let (at, count, net): (SocketAddr, usize, u8) = (at.parse().unwrap(), count.parse().unwrap(), net.parse().unwrap());
    let greedy = Question { edns_size: Some(4096), ..Question::new("big.example.org.", Rtype::TXT) }.message();
    let greedy = [&(greedy.len() as u16).to_be_bytes()[..], &greedy].concat().repeat(1000);
    let crowd = (0..count).map(|index| {
        let stream = connect_from(host(net, index), at);
        stream.set_nonblocking(true).unwrap();
        stream
    });
    stay(crowd.collect(), |stream| match what {
        "greedy" => is_over(stream.write(&greedy)),
        "drip" if is_over(stream.write(&[0])) => true,
        _ => match stream.read(&mut [0]) {
            Ok(length) => length == 0,
            error => is_over(error),
        },
    });
}

/// Where one of a crowd comes from: 127.0.0.0/16 in four parts, each connection with an address of its own while there
/// are some.
fn host(net: u8, index: usize) -> [u8; 4] {
    [127, 0, net * 64 + (index / 250 % 64) as u8, (index % 250) as u8 + 1]
}

/// Whether a connection has ended.
fn is_over(done: io::Result<usize>) -> bool {
    done.is_err_and(|error| error.kind() != ErrorKind::WouldBlock)
}

/// Goes on until all of a crowd have been let go, then until it is killed. Who has been let go stays half open on this
/// side, as somebody who means no good would have it.
fn stay<M>(mut crowd: Vec<M>, is_gone: impl Fn(&mut M) -> bool) {
    println!("{THERE}");
    let mut gone = vec![false; crowd.len()];
    let begun = Instant::now();
    while gone.contains(&false) {
        assert!(begun.elapsed() < PATIENCE, "{} are still there", gone.iter().filter(|gone| !**gone).count());
        for (member, gone) in crowd.iter_mut().zip(&mut gone).filter(|(_, gone)| !**gone) {
            *gone = is_gone(member);
        }
        thread::sleep(Duration::from_secs(1));
    }
    println!("{GONE}");
    thread::park();
}

/// Connects from an address of one's choice.
fn connect_from(host: [u8; 4], to: SocketAddr) -> TcpStream {
    use rustix::net::sockopt::set_socket_recv_buffer_size;
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::from((host, 0))).unwrap();
    // What is not read waits on the other side.
    set_socket_recv_buffer_size(&socket, 4096).unwrap();
    connect(&socket, &to).unwrap();
    socket.into()
}

/// Does something while the program is asked over UDP at half of its peak, where nothing may be lost, and is watched.
fn beside_udp(program: &Program, work: impl FnOnce()) -> Seen {
    let (at, id, over) = (program.dns(), program.id(), &AtomicBool::new(false));
    thread::scope(|scope| {
        let (time, asked) = ask_for(at, Duration::ZERO, |asked| asked >= 20 * ASKED);
        // Half the peak: twice the time for each turn.
        let turn = 2 * time / (asked / ASKED as u64) as u32;
        let asking = scope.spawn(move || ask_for(at, turn, |_| over.load(Ordering::Relaxed)));
        let watching = scope.spawn(move || {
            let (mut files, mut high_kb) = (0, 0);
            while !over.load(Ordering::Relaxed) {
                (files, high_kb) = (files.max(open_files(id)), high_kb.max(memory_kb(id)));
                thread::sleep(Duration::from_millis(20));
            }
            (files, high_kb)
        });
        let end = End(over);
        work();
        drop(end);
        let rate = |(time, asked): (Duration, u64)| asked as f64 / time.as_secs_f64();
        let (files, high_kb) = watching.join().unwrap();
        Seen { files, high_kb, asked: rate(asking.join().unwrap()), peak: rate((time, asked)) }
    })
}

/// What was seen of a program meanwhile.
struct Seen {
    /// Open files, at most.
    files: usize,
    /// Memory, at most.
    high_kb: u64,
    /// Questions a second, each with its answer.
    asked: f64,
    /// The same for one client that does not wait.
    peak: f64,
}

impl Display for Seen {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let Self { files, high_kb, asked, peak } = self;
        write!(to, "at most {files} files and {high_kb} KiB; UDP {asked:.0}/s of {peak:.0}/s, nothing lost")
    }
}

/// Asks over UDP, several questions in each turn, until told to stop; a question without an answer is a failure. Gives the
/// time it took and the number of answers.
fn ask_for(at: SocketAddr, turn: Duration, stop: impl Fn(usize) -> bool) -> (Duration, u64) {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.connect(at).unwrap();
    let (begun, mut asked, mut buffer) = (Instant::now(), 0, [0; 512]);
    let mut next = begun;
    let mut message = question().message();
    while !stop(asked) {
        for id in 0..ASKED as u16 {
            message[..2].copy_from_slice(&id.to_be_bytes());
            client.send(&message).unwrap();
        }
        let mut seen = [false; ASKED];
        for _ in 0..ASKED {
            let length = client.recv(&mut buffer).expect("an answer over UDP was lost");
            assert_eq!(buffer[length - 1], 1);
            let id = usize::from(u16::from_be_bytes([buffer[0], buffer[1]]));
            assert!(!std::mem::replace(&mut seen[id], true), "two answers to one question");
        }
        asked += ASKED;
        next = (next + turn).max(Instant::now() - Duration::from_millis(100));
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    (begun.elapsed(), asked as u64)
}

/// Sends messages, and behind them a question, whose answer has to be the last. Each message that is due an answer has
/// it, in order. Returns their number.
fn over_udp(client: &UdpSocket, messages: &[Vec<u8>], expected: &[u8]) -> usize {
    for message in messages.iter().chain([&question().message()]) {
        client.send(message).unwrap();
    }
    let mut buffer = [0; 65_535];
    let mut due = messages.iter().filter(|message| is_answered(message));
    let mut answered = 0;
    loop {
        let length = client.recv(&mut buffer).expect("an answer");
        let Some(message) = due.next() else {
            assert_eq!(&buffer[..length], expected);
            return answered;
        };
        assert_eq!(buffer[..2], message[..2], "the answer to {message:x?} is {:x?}", &buffer[..length]);
        assert!(buffer[2] & 0x80 != 0 && (12..=1232).contains(&length));
        answered += 1;
    }
}

/// Sends messages over one connection, up to the first that closes it; as many answers come back.
fn over_tcp(at: SocketAddr, mut messages: Vec<Vec<u8>>) -> usize {
    let due = messages.iter().take_while(|message| is_answered(message)).count();
    messages.truncate(due + 1);
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let framed: Vec<_> =
        messages.iter().map(|message| [&(message.len() as u16).to_be_bytes()[..], message].concat()).collect();
    stream.write_all(&framed.concat()).unwrap();
    match stream.shutdown(Shutdown::Write) {
        Err(error) if error.kind() != ErrorKind::NotConnected => panic!("{error}"),
        _ => {}
    }
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).unwrap();
    let mut rest = &answers[..];
    for message in &messages[..due] {
        let (length, behind) = rest.split_first_chunk().expect("a length");
        let (answer, behind) = behind.split_at(usize::from(u16::from_be_bytes(*length)));
        assert_eq!(answer[..2], message[..2]);
        rest = behind;
    }
    assert!(rest.is_empty(), "answers that nothing asked for");
    due
}

/// Whether a message is due an answer: it has a header, and is not an answer itself.
fn is_answered(message: &[u8]) -> bool {
    message.len() >= 12 && message[2] & 0x80 == 0
}

/// The question whose answer ends in 1.
fn question() -> Question {
    Question::new("www.example.org.", Rtype::A)
}

/// The program over one way in, with something of everything to ask for.
fn program(way: &str, timeouts: &str) -> Program {
    let port = free_port();
    program_in(tempfile::tempdir().unwrap(), way, port, &format!(".:{port}"), timeouts)
}

/// The same in a folder, with the keys of its server block and more lines in it.
fn program_in(folder: TempDir, way: &str, port: u16, keys: &str, lines: &str) -> Program {
    let corefile = format!(
        "{keys} {{\n    bind 127.0.0.1\n    {lines}\n    chaos zonda\n    file db.example.org example.org\n}}\n"
    );
    let big: String = (0..60).map(|index| format!("big 60 TXT \"{index}{}\"\n", "x".repeat(240))).collect();
    std::fs::write(folder.path().join("Corefile"), corefile).unwrap();
    std::fs::write(folder.path().join("db.example.org"), format!("{ZONE}{big}")).unwrap();
    let mut command = command(folder.path());
    command.env("ZONDA_IO", way);
    Program::run_command(command, folder, port)
}

/// Memory that a process has in use, in KiB.
fn memory_kb(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The zone's records, but for the big RRset.
const ZONE: &str = "\
@ 300 SOA ns1 host 1 1 1 1 60
@ 300 NS ns1
@ 300 MX 10 a
ns1 300 A 192.0.2.53
www 300 A 192.0.2.1
a 300 A 192.0.2.2
*.w 300 CNAME a
l 300 CNAME l
d 300 DNAME w
sub 300 NS ns.sub
ns.sub 300 A 192.0.2.3
svc 300 HTTPS 1 a alpn=h2
x.y.ent 300 A 192.0.2.4
";

/// Messages sent together: no more than a socket holds.
const BATCH: usize = 64;

/// Questions that are asked together over UDP.
const ASKED: usize = 50;

/// The test that is a crowd.
const CROWD: &str = "storm::crowd";

/// What says that a crowd is there.
const THERE: &str = "all are there";

/// What says that all of it have been let go.
const GONE: &str = "all are gone";

/// Memory in which a program may have grown without a leak: the buffers of the last connections, and what the allocator
/// keeps for later. A leak of two octets a packet is more, of ten million packets.
const LEAK_KB: u64 = 8 << 10;

/// Memory that all connections together may take: the bound on their buffers, and 8,192 tasks.
const CROWD_KB: u64 = 160 << 10;

/// How long anything may take that has to come.
const PATIENCE: Duration = Duration::from_secs(60);
