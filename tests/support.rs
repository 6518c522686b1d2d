//! Servers to ask.

use std::fmt::Display;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::base::iana::{Class, Rtype};
use engine::plugin::corefile::Corefile;
use engine::plugin::{Arrival, Ready, Server, Transport, Worker, setup};
use engine::zone::Hub;
use store::name;
use tempfile::TempDir;

/// A server in memory, and the folder with its zone files.
pub(crate) struct InMemory {
    pub(crate) server: Arc<Server>,
    worker: Worker,
    _folder: TempDir,
}

impl InMemory {
    /// Serves zones, given as apex and zone-file text, from the root block. Without text the file is not there.
    pub(crate) fn with_zones(zones: &[(String, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut corefile = String::from(".:0 {\n");
        for (index, (apex, text)) in zones.iter().enumerate() {
            let path = folder.path().join(format!("{index}.zone"));
            if !text.is_empty() {
                std::fs::write(&path, text).unwrap();
            }
            corefile.push_str(&format!("    file {} {apex}\n", path.display()));
        }
        corefile.push_str("}\n");
        let server = server(&corefile);
        Self { worker: server.worker(), server, _folder: folder }
    }

    /// The answer to a message, None for silence.
    pub(crate) fn send(&mut self, message: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let mut buffer = in_buffer(message);
        let length = self.worker.answer(&mut buffer, message.len(), &arrival(transport))?;
        Some(buffer[..length].to_vec())
    }

    /// The same answer, as it is found for an explanation.
    pub(crate) fn explain(&mut self, message: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let mut buffer = in_buffer(message);
        let (length, _) = self.worker.explain(&mut buffer, message.len(), &arrival(transport));
        Some(buffer[..length?].to_vec())
    }
}

/// A message with room for its answer.
pub(crate) fn in_buffer(message: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; 65_535];
    buffer[..message.len()].copy_from_slice(message);
    buffer
}

/// How the messages of tests come in.
pub(crate) fn arrival(transport: Transport) -> Arrival {
    Arrival {
        client: address("192.0.2.99:5353"),
        local: address("192.0.2.53:53"),
        transport,
        listener: 0,
        idle: (transport == Transport::Tcp).then_some(Duration::from_secs(10)),
    }
}

/// What answers for a Corefile that listens on one address.
pub(crate) fn server(corefile: &str) -> Arc<Server> {
    let corefile = Corefile::parse_text("Corefile", corefile).unwrap_or_else(|why| panic!("{why}"));
    let Ready { server, .. } = setup(&corefile, &Hub::new(), &|_| None).unwrap_or_else(|why| panic!("{why:?}"));
    server
}

/// A question, and how to ask it.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) qname: String,
    pub(crate) qtype: Rtype,
    pub(crate) qclass: Class,
    pub(crate) edns_size: Option<u16>,
    pub(crate) dnssec_ok: bool,
    pub(crate) recursion_desired: bool,
    pub(crate) checking_disabled: bool,
    /// EDNS options: code and data.
    pub(crate) options: Vec<(u16, Vec<u8>)>,
}

impl Question {
    /// A plain question of class IN.
    pub(crate) fn new(qname: &str, qtype: Rtype) -> Self {
        Self {
            qname: qname.into(),
            qtype,
            qclass: Class::IN,
            edns_size: None,
            dnssec_ok: false,
            recursion_desired: false,
            checking_disabled: false,
            options: Vec::new(),
        }
    }

    /// The message that asks it.
    pub(crate) fn message(&self) -> Vec<u8> {
        let flags = [u8::from(self.recursion_desired), u8::from(self.checking_disabled) << 4];
        let opt = self.edns_size.is_some() || self.dnssec_ok || !self.options.is_empty();
        let mut message = vec![0xab, 0xcd, flags[0], flags[1], 0, 1, 0, 0, 0, 0, 0, u8::from(opt)];
        message.extend_from_slice(name::parse(&self.qname, None).unwrap().as_slice());
        message.extend_from_slice(&self.qtype.to_int().to_be_bytes());
        message.extend_from_slice(&self.qclass.to_int().to_be_bytes());
        if opt {
            message.extend_from_slice(&[0, 0, 41]);
            message.extend_from_slice(&self.edns_size.unwrap_or(1232).to_be_bytes());
            message.extend_from_slice(&[0, 0, u8::from(self.dnssec_ok) << 7, 0]);
            let octets: usize = self.options.iter().map(|(_, data)| 4 + data.len()).sum();
            message.extend_from_slice(&(octets as u16).to_be_bytes());
            for (code, data) in &self.options {
                message.extend_from_slice(&code.to_be_bytes());
                message.extend_from_slice(&(data.len() as u16).to_be_bytes());
                message.extend_from_slice(data);
            }
        }
        message
    }
}

/// An address of a test.
pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The real program in a folder of its own; killed when dropped.
pub(crate) struct Program {
    child: Child,
    pub(crate) folder: TempDir,
    pub(crate) port: u16,
    pub(crate) output: Arc<Mutex<String>>,
}

impl Program {
    /// Starts zonda with a Corefile in which `PORT` stands for a free port, and waits until it answers there on
    /// 127.0.0.1. Files are written into its folder first.
    pub(crate) fn start(corefile: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let port = free_port();
        std::fs::write(folder.path().join("Corefile"), corefile.replace("PORT", &port.to_string())).unwrap();
        Self::run(folder, port, &[])
    }

    /// Starts zonda in a folder with what that holds.
    pub(crate) fn run(folder: TempDir, port: u16, arguments: &[&str]) -> Self {
        let mut command = command(folder.path());
        command.args(arguments);
        Self::run_command(command, folder, port)
    }

    /// Runs a command that starts zonda in this folder, and waits until it answers on this port.
    pub(crate) fn run_command(mut command: Command, folder: TempDir, port: u16) -> Self {
        let is_quiet = command.get_args().any(|argument| argument == "-quiet");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = Arc::new(Mutex::new(String::new()));
        gather(child.stdout.take().unwrap(), &output);
        gather(child.stderr.take().unwrap(), &output);
        let mut program = Self { child, folder, port, output };
        program.wait("it answers", |program| {
            assert!(program.child.try_wait().unwrap().is_none(), "it ended: {}", program.text());
            exchange_udp(program.dns(), &Question::new("version.bind.", Rtype::TXT).message(), 100).is_some()
        });
        // What it has printed comes over a pipe and a thread, in its own time.
        program.wait("its start is told", |program| is_quiet || program.text().contains("answering over"));
        program
    }

    /// Where it answers DNS.
    pub(crate) fn dns(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// What it has printed so far.
    pub(crate) fn text(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// Asks over UDP.
    pub(crate) fn ask(&self, question: &Question) -> Vec<u8> {
        exchange_udp(self.dns(), &question.message(), 20_000).unwrap_or_else(|| panic!("no answer: {}", self.text()))
    }

    /// Waits for a condition, at most 30 s.
    pub(crate) fn wait(&mut self, what: &str, mut condition: impl FnMut(&mut Self) -> bool) {
        let begun = Instant::now();
        while !condition(self) {
            assert!(begun.elapsed() < Duration::from_secs(30), "{what}: not in 30 s\n{}", self.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal by name (`TERM`, `KILL`) and waits for the end; gives the exit code, None for a death by signal.
    pub(crate) fn end(&mut self, signal: &str) -> Option<i32> {
        self.signal(signal);
        self.child.wait().unwrap().code()
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, signal: &str) {
        // The shell's own kill: the program of that name is not on every machine.
        let kill = format!("kill -s {signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// None while it runs, then its exit code, None for a death by signal.
    pub(crate) fn has_ended(&mut self) -> Option<Option<i32>> {
        self.child.try_wait().unwrap().map(|status| status.code())
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Bounds the octets of each file that it writes, or with `None` ends that.
    pub(crate) fn limit_files(&self, octets: Option<u64>) {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        let pid = Pid::from_raw(self.child.id() as i32);
        prlimit(pid, Resource::Fsize, Rlimit { current: octets, maximum: None }).unwrap();
    }

    /// Bounds the number of files that it has open.
    pub(crate) fn limit_open_files(&self, count: u64) {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        let pid = Pid::from_raw(self.child.id() as i32);
        prlimit(pid, Resource::Nofile, Rlimit { current: Some(count), maximum: Some(count) }).unwrap();
    }

    /// Kills it without waiting for the end.
    pub(crate) fn kill(&self) {
        let kill = format!("kill -s KILL {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Starts it anew in the same folder after it ended.
    pub(crate) fn restart(self) -> Self {
        let port = self.port;
        Self::run(self.into_folder(), port, &[])
    }

    /// Gives the folder up.
    fn into_folder(mut self) -> TempDir {
        let _ = self.child.kill();
        let _ = self.child.wait();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program to run in a folder, without this process's account.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zonda"));
    command.current_dir(folder).env_remove("COREDNS_PB_SUPERUSER_EMAIL").env_remove("COREDNS_PB_SUPERUSER_PWD");
    command
}

/// Runs the program to its end; exit code, standard output, standard error.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = command(folder).args(arguments).stdin(Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// A number from the environment.
pub(crate) fn number<N: FromStr<Err: Display>>(variable: &str, default: N) -> N {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap_or_else(|why| panic!("{variable}: {why}")))
}

/// How many files a process has open.
pub(crate) fn open_files(id: u32) -> usize {
    std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count()
}

/// Starts blocks that hold one of these lines each; each start has to end with the error beside them, of this plugin.
pub(crate) fn refuses(plugin: &str, faults: &[(&str, &str)]) {
    for (lines, message) in faults {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Corefile"), format!("example.org:0 {{\n    {lines}\n}}\n")).unwrap();
        let (code, _, stderr) = run(folder.path(), &["-conf", "Corefile"]);
        assert_eq!((code, stderr.trim_end()), (Some(1), &format!("plugin/{plugin}: {message}")[..]), "{lines}");
    }
}

/// How long a test waits for what comes soon where the machine is not busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Whether this machine speaks IPv6.
pub(crate) fn has_ipv6() -> bool {
    UdpSocket::bind("[::1]:0").is_ok()
}

/// A port that is free over UDP and TCP, each time another one. It lies below those that the system gives to clients and
/// to servers that ask for any, so that nobody takes it before it is used.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(101).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 10_000 + (number % 20_000) as u16;
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A text with other ports: each number in it that is one of the first is replaced by the second. All at once, as the new
/// ones may contain the digits of the old.
pub(crate) fn with_ports(text: &str, ports: &[(&str, u16)]) -> String {
    let runs = text.as_bytes().chunk_by(|one, next| one.is_ascii_digit() == next.is_ascii_digit());
    let runs = runs.map(|run| str::from_utf8(run).unwrap());
    runs.map(|run| match ports.iter().find(|(from, _)| *from == run) {
        Some((_, to)) => to.to_string(),
        None => run.to_owned(),
    })
    .collect()
}

#[test]
fn ports_are_replaced_at_once() {
    let ports = [("1053", 18_443), ("8443", 11_053)];
    assert_eq!(with_ports(".:1053 https://.:8443 21053", &ports), ".:18443 https://.:11053 21053");
}

/// Sends a datagram and waits for one back, in milliseconds.
pub(crate) fn exchange_udp(server: SocketAddr, message: &[u8], wait_ms: u64) -> Option<Vec<u8>> {
    let local = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let socket = UdpSocket::bind(local).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(wait_ms))).unwrap();
    socket.connect(server).unwrap();
    socket.send(message).ok()?;
    let mut buffer = vec![0; 65_535];
    let length = socket.recv(&mut buffer).ok()?;
    Some(buffer[..length].to_vec())
}

/// Sends messages over one connection and reads as many answers.
pub(crate) fn exchange_tcp(server: SocketAddr, messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let framed: Vec<u8> =
        messages.iter().flat_map(|message| [&(message.len() as u16).to_be_bytes()[..], message].concat()).collect();
    stream.write_all(&framed).unwrap();
    let read = |stream: &mut TcpStream| {
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).unwrap();
        answer
    };
    messages.iter().map(|_| read(&mut stream)).collect()
}

/// Status and body of a GET request; None where nobody listens.
pub(crate) fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    let (head, body) = reply.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.into()))
}

/// The samples of a metric at 127.0.0.1.
pub(crate) fn samples(port: u16, metric: &str) -> Vec<String> {
    let (status, text) = get(port, "/metrics").unwrap();
    assert_eq!(status, 200);
    let is_wanted = |line: &&str| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' ']));
    text.lines().filter(is_wanted).map(Into::into).collect()
}

/// Kibibytes of memory that a process has in use.
pub(crate) fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Appends what a pipe gives to a text.
fn gather(mut pipe: impl Read + Send + 'static, text: &Arc<Mutex<String>>) {
    let text = Arc::clone(text);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            text.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    });
}
