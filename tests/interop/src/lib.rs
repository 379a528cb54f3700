//! Labs of network namespaces: a home, the router, an operator, and real programs in each.
//!
//! A [`Lab`] makes namespaces with names of their own, wires them with veth pairs, runs programs in them with a time limit, and
//! takes everything away when dropped. [`home`] builds the usual topology around `dialtone run`. Without root or
//! without a program a test needs, [`Lab::open`] says so loudly and the test ends early; `./check` installs the programs.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub mod baresip;
pub mod ear;
pub mod home;
pub mod kamailio;
pub mod peers;
pub mod sipp;
pub mod telephone;
pub mod telephony;

/// Namespaces, links and programs of one test.
pub struct Lab {
    tag: String,
    directory: PathBuf,
    namespaces: Vec<String>,
}

/// A network namespace of a lab.
#[derive(Clone)]
pub struct Namespace {
    name: String,
    directory: PathBuf,
}

/// A program that runs beside the test; killed when dropped.
pub struct Program {
    child: Child,
    what: String,
    log: PathBuf,
}

/// What a program that ended said.
#[derive(Debug)]
pub struct Said {
    /// It ended with 0, in time.
    pub ok: bool,
    /// Standard output and standard error, in this order.
    pub text: String,
}

impl Lab {
    /// A lab for the test `name`; `None`, with a line that says why, where it cannot be had.
    pub fn open(name: &str, programs: &[&str]) -> Option<Self> {
        // SAFETY: takes no pointers.
        if unsafe { libc::geteuid() } != 0 {
            eprintln!("\nSKIPPED {name}: network namespaces need root\n");
            return None;
        }
        let missing: Vec<_> = ["ip"].iter().chain(programs).filter(|program| !exists(program)).collect();
        if !missing.is_empty() {
            eprintln!("\nSKIPPED {name}: not installed: {missing:?} (./check install)\n");
            return None;
        }
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let tag = format!("dt{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(format!("dialtone-{tag}"));
        fs::create_dir_all(&directory).expect("a directory for the lab");
        Some(Self { tag, directory, namespaces: Vec::new() })
    }

    /// A new namespace with loopback up and an empty `/etc/resolv.conf` of its own.
    pub fn namespace(&mut self, role: &str) -> Namespace {
        let name = format!("{}-{role}", self.tag);
        let etc = Path::new("/etc/netns").join(&name);
        fs::create_dir_all(&etc).expect("/etc/netns");
        fs::write(etc.join("resolv.conf"), "").expect("resolv.conf");
        must("ip", &["netns", "add", &name]);
        self.namespaces.push(name.clone());
        let namespace = Namespace { name, directory: self.directory.clone() };
        namespace.ip("link set lo up");
        namespace
    }

    /// A cable between two interfaces that come to exist by it; both are left down.
    pub fn cable(&self, a: &Namespace, a_name: &str, b: &Namespace, b_name: &str) {
        let words = [
            "link", "add", a_name, "netns", &a.name, "type", "veth", "peer", "name", b_name, "netns", &b.name,
        ];
        must("ip", &words);
    }

    /// A directory for this test's files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes a file for a program to read; its path.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.join(name);
        fs::write(&path, text).expect("a file in the lab's directory");
        path
    }

    /// Writes a script for a program to call; its path.
    pub fn script(&self, name: &str, text: &str) -> String {
        use std::os::unix::fs::PermissionsExt;
        let path = self.file(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
        path.display().to_string()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for name in &self.namespaces {
            for process in said("ip", &["netns", "pids", name]).text.split_whitespace() {
                if let Ok(process) = process.parse() {
                    // SAFETY: takes numbers. The process lives in a namespace this lab made.
                    unsafe { libc::kill(process, libc::SIGKILL) };
                }
            }
            said("ip", &["netns", "del", name]);
            let _ = fs::remove_dir_all(Path::new("/etc/netns").join(name));
        }
        if std::thread::panicking() || std::env::var_os("INTEROP_KEEP").is_some() {
            eprintln!("the lab's files and logs are kept in {}", self.directory.display());
        } else {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

impl Namespace {
    /// Its name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip WORDS` in it; panics when that fails.
    pub fn ip(&self, words: &str) {
        let said = self.try_ip(words);
        assert!(said.ok, "ip {words} in {}: {}", self.name, said.text);
    }

    /// Runs `ip WORDS` in it.
    pub fn try_ip(&self, words: &str) -> Said {
        let mut arguments = vec!["-n", &self.name];
        arguments.extend(words.split_whitespace());
        said("ip", &arguments)
    }

    /// Runs a shell line in it, for at most `seconds`.
    pub fn shell(&self, line: &str, seconds: u64) -> Said {
        let mut command = self.command(line);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(command, Duration::from_secs(seconds))
    }

    /// [`Namespace::shell`] that panics when the line fails; what it said.
    pub fn must(&self, line: &str, seconds: u64) -> String {
        let said = self.shell(line, seconds);
        assert!(said.ok, "in {}: {line}\n{}", self.name, said.text);
        said.text
    }

    /// Starts a shell line beside the test. Its output goes to a file ([`Program::output`]).
    pub fn start(&self, what: &str, line: &str) -> Program {
        let log = self.directory.join(format!("{}-{what}.log", self.name));
        let out = File::create(&log).expect("a log file");
        let mut command = self.command(&format!("exec {line}"));
        command
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a descriptor"))
            .stderr(out)
            .process_group(0);
        let child = command.spawn().unwrap_or_else(|error| panic!("{what}: {error}"));
        Program { child, what: what.to_owned(), log }
    }

    /// Sets a sysctl in it, e.g. `net/ipv4/ip_forward`.
    pub fn sysctl(&self, name: &str, value: &str) {
        self.must(&format!("echo {value} > /proc/sys/{name}"), 5);
    }

    /// Runs `action` in it, on a thread of its own: sockets opened there belong to the namespace for good.
    pub fn enter<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(Path::new("/run/netns").join(&self.name)).expect("the namespace's file");
        std::thread::scope(|scope| {
            let entered = scope.spawn(move || {
                use std::os::fd::AsRawFd;
                // SAFETY: takes numbers; only this thread moves.
                let moved = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
                assert_eq!(moved, 0, "setns: {}", std::io::Error::last_os_error());
                action()
            });
            entered.join().unwrap_or_else(|fault| std::panic::resume_unwind(fault))
        })
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "sh", "-c", line]);
        command
    }
}

impl Program {
    /// Everything it wrote so far.
    pub fn output(&self) -> String {
        let mut bytes = Vec::new();
        let _ = File::open(&self.log).and_then(|mut file| file.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until its output holds `text`; panics with the output when it ends or `seconds` pass before.
    pub fn wait_for(&mut self, text: &str, seconds: u64) {
        self.wait_for_count(text, 1, seconds);
    }

    /// Waits until its output holds `text` `count` times.
    pub fn wait_for_count(&mut self, text: &str, count: usize, seconds: u64) {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        loop {
            let output = self.output();
            if output.matches(text).count() >= count {
                return;
            }
            let ended = self.child.try_wait().ok().flatten();
            assert!(ended.is_none(), "{} ended ({ended:?}) before it said {text:?}:\n{output}", self.what);
            assert!(
                Instant::now() < deadline,
                "{} did not say {text:?} in {seconds} s:\n{output}",
                self.what
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: takes numbers; the process is our own child, not yet waited for.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    /// Its process id (`ip netns exec` and `sh` both become the program).
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it ends by itself; whether it did in time and with 0.
    pub fn wait(&mut self, seconds: u64) -> bool {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(libc::SIGTERM);
            if !self.wait(5) {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}", self.what, self.output());
        }
    }
}

/// Tries until `attempt` says `true` or `seconds` pass; whether it did.
pub fn eventually(seconds: u64, mut attempt: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if attempt() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Whether a program is in the path.
pub fn exists(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').chain(["/usr/sbin", "/sbin"]).any(|folder| Path::new(folder).join(program).exists())
}

fn must(program: &str, words: &[&str]) {
    let said = said(program, words);
    assert!(said.ok, "{program} {words:?}: {}", said.text);
}

fn said(program: &str, words: &[&str]) -> Said {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command, Duration::from_secs(20))
}

/// Runs a program to its end, or kills its process group when the time is up.
fn finish(mut command: Command, limit: Duration) -> Said {
    let mut child = match command.process_group(0).spawn() {
        Ok(child) => child,
        Err(error) => return Said { ok: false, text: error.to_string() },
    };
    let readers = [child.stdout.take().map(read_all), child.stderr.take().map(read_all)];
    let deadline = Instant::now() + limit;
    let ok = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status.success(),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            _ => {
                // SAFETY: takes numbers; the group is the one this child leads.
                unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
                let _ = child.wait();
                break false;
            }
        }
    };
    let text = readers.into_iter().flatten().filter_map(|reader| reader.join().ok()).collect();
    Said { ok, text }
}

fn read_all(mut source: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = source.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
