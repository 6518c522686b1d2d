//! The ways in of the real program, its start where io_uring is forbidden, and its dealings with who started it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
use store::Rtype;

use crate::packets;
use crate::support::{Program, Question, command, free_port};

/// Zones to ask about, and nothing that logs.
const COREFILE: &str = "\
example.org:PORT {
    bind 127.0.0.1
    file db.example.org
}
.:PORT {
    bind 127.0.0.1
    chaos zonda
}
";

/// The zone of the packet file.
const ZONE: &str = "@ 300 SOA ns1 host 1 1 1 1 60\n@ 300 NS ns1\nns1 300 A 192.0.2.53\nwww 300 A 192.0.2.1\n";

/// The program over one way in.
fn program(way: &str) -> Program {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    std::fs::write(folder.path().join("Corefile"), COREFILE.replace("PORT", &port.to_string())).unwrap();
    std::fs::write(folder.path().join("db.example.org"), ZONE).unwrap();
    let mut command = command(folder.path());
    command.env("ZONDA_IO", way);
    Program::run_command(command, folder, port)
}

/// What comes back for a message over UDP: all answers before that to a question which is asked behind it.
fn over_udp(program: &Program, message: &[u8]) -> Vec<Vec<u8>> {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    client.connect(program.dns()).unwrap();
    let last = Question::new("last.example.org.", Rtype::TXT).message();
    client.send(message).unwrap();
    client.send(&last).unwrap();
    let mut answers = Vec::new();
    let mut buffer = [0; 65_535];
    loop {
        let length = client.recv(&mut buffer).unwrap();
        let answer = buffer[..length].to_vec();
        if answer.get(12..last.len()) == last.get(12..) {
            return answers;
        }
        answers.push(answer);
    }
}

/// What comes back for a message over TCP until the connection ends.
fn over_tcp(program: &Program, message: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(program.dns()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(&[&(message.len() as u16).to_be_bytes()[..], message].concat()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

#[test]
fn both_ways_in_give_the_same_octets() {
    let (ring, mmsg) = (program("ring"), program("mmsg"));
    for program in [&ring, &mmsg] {
        let way = if std::ptr::eq(program, &ring) { "over io_uring" } else { "over recvmmsg" };
        assert!(program.text().contains(way), "{}", program.text());
    }
    let messages = packets::messages();
    assert!(messages.len() >= 40);
    let mut mutations = packets::Mutations::new(7);
    let mutated = (0..500).map(|_| mutations.message());
    // The answers to sound cookies differ between processes, each of which has secrets of its own.
    let has_cookie = |message: &Vec<u8>| message.windows(3).any(|octets| octets == [0, 10, 0]);
    for message in messages.into_iter().chain(mutated).filter(|message| !has_cookie(message)) {
        assert_eq!(over_udp(&ring, &message), over_udp(&mmsg, &message), "{message:x?}");
        assert_eq!(over_tcp(&ring, &message), over_tcp(&mmsg, &message), "{message:x?}");
    }
}

/// As the seccomp profiles of container run-times have it (EPERM), and a kernel without io_uring (ENOSYS).
#[test]
fn where_io_uring_is_forbidden_it_starts_over_recvmmsg_and_says_why() {
    for (errno, said) in
        [(EPERM, "operation not permitted (forbidden: container seccomp profile"), (ENOSYS, "function not")]
    {
        // The filter counts for this thread and the processes that it starts.
        let started = std::thread::spawn(move || {
            let rules: BTreeMap<i64, _> = IO_URING_CALLS.map(|call| (call, Vec::new())).into();
            let arch = std::env::consts::ARCH.try_into().unwrap();
            let forbidden = SeccompAction::Errno(errno);
            let filter = SeccompFilter::new(rules, SeccompAction::Allow, forbidden, arch).unwrap();
            let filter = BpfProgram::try_from(filter).unwrap();
            apply_filter(&filter).unwrap();
            program("auto")
        });
        let mut program = started.join().unwrap();
        let line = "answering over recvmmsg with";
        program.wait("the way in is told", |program| program.text().contains(line));
        let text = program.text();
        let line = text.lines().find(|text| text.contains(line)).unwrap();
        assert!(line.contains("(io_uring_setup: ") && line.contains(said), "{line}");
        let question = Question::new("www.example.org.", Rtype::A);
        assert_eq!(program.ask(&question).last(), Some(&1));
        assert_eq!(over_tcp(&program, &question.message()).last(), Some(&1));
        assert_eq!(program.end("TERM"), Some(0));
    }
}

/// One worker where there is one CPU to use; and workers whose CPUs are taken away go on upon what is left.
#[test]
fn it_runs_on_the_cpus_that_it_is_given() {
    use rustix::process::Pid;
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let allowed = sched_getaffinity(None).unwrap();
    let mut one = CpuSet::new();
    one.set((0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)).unwrap());
    for way in ["ring", "mmsg"] {
        // The CPUs of this thread are those of the processes that it starts.
        let started = std::thread::spawn(move || {
            sched_setaffinity(None, &one).unwrap();
            program(way)
        });
        let program_with_one = started.join().unwrap();
        assert!(program_with_one.text().contains(" with 1 worker"), "{}", program_with_one.text());
        let mut program_with_all = program(way);
        for task in std::fs::read_dir(format!("/proc/{}/task", program_with_all.id())).unwrap() {
            let task = task.unwrap().file_name().into_string().unwrap().parse().unwrap();
            sched_setaffinity(Pid::from_raw(task), &one).unwrap();
        }
        let question = Question::new("www.example.org.", Rtype::A);
        for program in [&program_with_one, &program_with_all] {
            // Each from a port of its own, so that every worker has some.
            (0..20).for_each(|_| assert_eq!(program.ask(&question).last(), Some(&1)));
            assert_eq!(over_tcp(program, &question.message()).last(), Some(&1));
        }
        assert_eq!(program_with_all.end("TERM"), Some(0));
    }
}

#[test]
fn the_service_manager_learns_of_start_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let port = free_port();
    let mut command = command(folder.path());
    command.args(["-p", &port.to_string()]).env("NOTIFY_SOCKET", &path);
    let mut program = Program::run_command(command, folder, port);
    let mut buffer = [0; 64];
    let length = manager.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"READY=1");
    assert_eq!(program.end("TERM"), Some(0));
    let length = manager.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"STOPPING=1");
}

/// A connection that is open when the program ends, in whatever way, does not keep the next one from starting.
#[test]
fn a_restart_does_not_wait_for_old_connections() {
    for signal in ["TERM", "KILL"] {
        let mut program = program("auto");
        let mut stream = TcpStream::connect(program.dns()).unwrap();
        stream.write_all(&[0, 29]).unwrap();
        program.end(signal);
        let program = program.restart();
        let question = Question::new("www.example.org.", Rtype::A);
        assert_eq!(program.ask(&question).last(), Some(&1));
        assert_eq!(over_tcp(&program, &question.message()).last(), Some(&1));
    }
}

/// io_uring_setup, io_uring_enter and io_uring_register, which have the same numbers on every architecture.
const IO_URING_CALLS: [i64; 3] = [425, 426, 427];

/// What container run-times answer to a call that they forbid.
const EPERM: u32 = 1;

/// What a kernel answers to a call that it does not have.
const ENOSYS: u32 = 38;
