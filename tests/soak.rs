//! Every plugin at once, under dnsperf, while the configuration changes again and again. A few changes by default; for a
//! long run:
//!
//! ```text
//! ZONDA_SOAK_RELOADS=1000 ZONDA_SOAK_RATE=0 cargo test --profile optimized --test main soak -- --nocapture
//! ```

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use engine::plugin::names;
use store::Rtype;

use crate::cases::describe;
use crate::support::{Program, Question, free_port, get, number, open_files, resident_kib};

/// A server with every plugin loses no query over UDP or TCP while it is reloaded again and again, and has in the end as
/// much memory and as many files as after the first of them.
#[test]
fn every_plugin_at_once_reloads_under_load_without_a_loss() {
    if Command::new("dnsperf").arg("-h").output().is_err() {
        println!("dnsperf is not installed, so nothing is tested here; .ci/run installs it");
        return;
    }
    let reloads: usize = number("ZONDA_SOAK_RELOADS", 12);
    let rate: u32 = number("ZONDA_SOAK_RATE", 2000);
    let upstream = Program::start(UPSTREAM, &[("db", ZONE)]);
    let ports = [(); 8].map(|()| free_port().to_string());
    let variant = |number: usize| {
        let mut text = COREFILE.replace("UPSTREAM", &upstream.port.to_string());
        for (index, port) in ports.iter().enumerate() {
            text = text.replace(&format!("LISTEN{index}"), port);
        }
        // Each second configuration has another block on an address of its own, other HTTP addresses and other data.
        match number % 2 {
            0 => text.replace("HEALTH", &ports[4]).replace("SERIAL", "1"),
            _ => (text + MORE).replace("HEALTH", &ports[5]).replace("SERIAL", "2").replace("LISTEN6", &ports[6]),
        }
    };
    let unused: Vec<_> = names().into_iter().filter(|name| !(COREFILE.to_owned() + MORE).contains(name)).collect();
    assert_eq!(unused, [""; 0], "plugins that are not in the Corefile");

    let files = [("db", ZONE), ("zones/db.auto.example.org", ZONE), ("weights", "www.lb.example.org\n192.0.2.1 2\n")];
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("zones")).unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let made = rcgen::generate_simple_self_signed(["dns.example.org".into()]).unwrap();
    std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let port = free_port();
    let write = |folder: &Path, number: usize| {
        std::fs::write(folder.join("Corefile"), variant(number).replace("PORT", &port.to_string())).unwrap();
    };
    write(folder.path(), 0);
    let mut program = Program::run(folder, port, &[]);

    // Every question has the answer that it is asked for, before, while and after.
    let check = |program: &Program| {
        for (name, rtype, expected) in QUESTIONS {
            let reply = describe(&program.ask(&Question::new(name, *rtype)));
            let found =
                reply.sections.get("answer").map_or_else(|| reply.status[0].clone(), |records| records.join(" "));
            assert!(found.contains(expected), "{name} {rtype}: {found} instead of {expected}\n{}", program.text());
        }
    };
    check(&program);

    let lines: Vec<_> =
        QUESTIONS.iter().map(|(name, rtype, _)| format!("{} {rtype}\n", name.trim_end_matches('.'))).collect();
    let queries = program.folder.path().join("queries");
    std::fs::write(&queries, lines.concat()).unwrap();
    let load = ["udp", "tcp"].map(|transport| Load::start(transport, &queries, port, rate));
    let begun = Instant::now();
    let mut first = None;
    for number in 1..=reloads {
        write(program.folder.path(), number);
        program.signal("USR1");
        program.wait("it has changed", |program| said(program, "Reloading complete") == number);
        // The listener of each second configuration is there, and the one before is gone.
        let is_more = number % 2 == 1;
        assert_eq!(get(ports[5].parse().unwrap(), "/health").is_some(), is_more);
        program.wait("the old address is closed", |_| get(ports[4].parse().unwrap(), "/health").is_some() != is_more);
        // What is reserved once has been by now.
        if number % 2 == 0 && number * 4 >= reloads {
            first.get_or_insert_with(|| state(&program));
        }
    }
    let took = begun.elapsed();
    let asked: Vec<_> = load.into_iter().map(Load::end).collect();
    check(&program);
    let (before, mut after) = (first.expect("two changes at least"), (0, 0));
    program.wait("what has ended is let go", |program| {
        after = state(program);
        after.1 <= before.1
    });
    println!(
        "{reloads} reloads in {:.1} s; udp and tcp: {asked:?} queries, none lost; {} KiB and {} files after a quarter, {} KiB and {} at the end",
        took.as_secs_f64(),
        before.0,
        before.1,
        after.0,
        after.1
    );
    assert!(after.0 < before.0 + GROWTH_KIB, "{} KiB became {} KiB", before.0, after.0);
    assert!(!program.text().contains("panic"), "{}", program.text());
    assert_eq!(said(&program, "Reloading failed"), 0, "{}", program.text());
    assert_eq!(program.end("TERM"), Some(0));
}

/// dnsperf at work.
struct Load(Child, std::path::PathBuf);

impl Load {
    /// Asks these questions over a transport, so many a second in all, or with 0 as many as it can.
    fn start(transport: &str, queries: &Path, port: u16, rate: u32) -> Self {
        let told = queries.with_file_name(format!("told-{transport}"));
        let mut command = Command::new("dnsperf");
        command.args([
            "-s",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-m",
            transport,
            "-c",
            "4",
            "-q",
            "40",
            "-l",
            "86400",
        ]);
        command.arg("-d").arg(queries);
        if rate > 0 {
            command.args(["-Q", &(rate / 2).to_string()]);
        }
        let child = command.stdout(File::create(&told).unwrap()).stderr(Stdio::null()).stdin(Stdio::null()).spawn();
        Self(child.expect("dnsperf is installed"), told)
    }

    /// Ends it, and gives how many queries it has asked, of which none may be lost.
    fn end(mut self) -> u64 {
        let interrupt = format!("kill -s INT {}", self.0.id());
        assert!(Command::new("sh").args(["-c", &interrupt]).status().unwrap().success());
        self.0.wait().unwrap();
        let told = std::fs::read_to_string(&self.1).unwrap();
        let count = |what: &str| -> u64 {
            let line = told.lines().find_map(|line| line.trim_start().strip_prefix(what)).expect(&told);
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        assert_eq!(count("Queries lost:"), 0, "{told}");
        assert!(!told.contains("REFUSED") && !told.contains("SERVFAIL"), "{told}");
        count("Queries completed:")
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How often the program has said something.
fn said(program: &Program, text: &str) -> usize {
    program.text().matches(text).count()
}

/// Kibibytes and open files of a program.
fn state(program: &Program) -> (u64, usize) {
    (resident_kib(program.id()), open_files(program.id()))
}

/// What is asked all the time, and what each answer has in it.
const QUESTIONS: &[(&str, Rtype, &str)] = &[
    ("www.example.org.", Rtype::A, "192.0.2.80"),
    ("www.example.org.", Rtype::ANY, "HINFO"),
    ("nx.example.org.", Rtype::A, "NXDOMAIN"),
    ("www.auto.example.org.", Rtype::A, "192.0.2.80"),
    ("host.hosts.example.org.", Rtype::A, "192.0.2.7"),
    ("ip-9.template.example.org.", Rtype::A, "192.0.2.9"),
    ("www.lb.example.org.", Rtype::A, "192.0.2."),
    ("www.up.example.net.", Rtype::A, "192.0.2.80"),
    ("alias.up.example.net.", Rtype::A, "192.0.2.80"),
    ("nx.up.example.net.", Rtype::A, "NXDOMAIN"),
    ("who.example.net.", Rtype::A, "NOERROR"),
];

/// The zone of the files, whatever its name.
const ZONE: &str =
    "@ 2 SOA ns1 host 1 1h 1h 1h 2\n@ 2 NS ns1\nns1 2 A 192.0.2.53\nwww 2 A 192.0.2.80\nalias 2 CNAME www\n";

/// The server behind `forward`.
const UPSTREAM: &str = "up.example.net:PORT {
    bind 127.0.0.1
    file db
}
.:PORT {
    bind 127.0.0.1
    whoami
}
";

/// Several blocks that have every plugin between them.
const COREFILE: &str = "(watched) {
    prometheus 127.0.0.1:LISTEN0
    errors {
        consolidate 1s \".*\" warning
    }
    log . {combined} {
        class error
    }
}
.:PORT tls://.:LISTEN7 {
    bind 127.0.0.1
    tls cert.pem key.pem
    debug
    health 127.0.0.1:HEALTH {
        lameduck 100ms
    }
    ready 127.0.0.1:LISTEN1
    reload 1h
    quic {
        max_streams 100
    }
    https {
        max_connections 100
    }
    https3 {
        max_streams 100
        max_connections 100
    }
    grpc_server {
        max_streams 100
        max_connections 100
    }
    timeouts {
        idle 30s
        read 5s
    }
    multisocket 2
    import watched
    chaos soak-SERIAL
    whoami
}
example.org:PORT {
    bind 127.0.0.1
    root .
    import watched
    nsid soak-SERIAL
    bufsize 1232
    any
    minimal
    acl {
        allow net 127.0.0.0/8
        block
    }
    rrl {
        responses-per-second 1000000
        nxdomains-per-second 1000000
    }
    header {
        response set ra
    }
    loadbalance weighted weights {
        reload 1s
        prefer 192.0.2.0/24
    }
    pocketbase {
        listen 127.0.0.1:LISTEN2
        su_email soak@example.org
        su_password a-long-password-for-the-soak
    }
    template IN A template.example.org {
        match ^ip-(?P<last>[0-9]+)[.]
        answer \"{{ .Name }} 60 IN A 192.0.2.{{ .Group.last }}\"
        fallthrough
    }
    hosts {
        192.0.2.7 host.hosts.example.org
        192.0.2.1 www.lb.example.org
        192.0.2.2 www.lb.example.org
        no_reverse
        fallthrough
    }
    file db {
        reload 1s
        fallthrough auto.example.org
    }
    auto {
        directory zones
        reload 1s
    }
}
up.example.net:PORT {
    bind 127.0.0.1
    import watched
    cache 1 {
        success 1000
        denial 1000
        prefetch 5 1m 50%
        serve_stale 1h
    }
    loop
    forward . 127.0.0.1:UPSTREAM {
        health_check 500ms
        max_concurrent 3000
    }
}
";

/// A block more.
const MORE: &str = "more.example.org:LISTEN6 {
    bind 127.0.0.1
    import watched
    whoami
}
";

/// How much memory may differ from one moment to another.
const GROWTH_KIB: u64 = 16 * 1024;
