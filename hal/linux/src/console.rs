//! The console as a Unix socket: lines in, text out, one visitor at a time.
//!
//! Others wait in the listener's queue. Output while nobody is there is thrown away, so the app never waits for a reader that
//! does not exist; a visitor who does not read for five seconds is shown out.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use dialtone_hal_api::console::{ConsoleDriver, LINE};
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, with_timeout};

use crate::executor::{Reactor, Watch};
use crate::socket::listen;

/// A console that listens.
pub struct ConsoleSocket {
    listener: UnixListener,
}

impl ConsoleSocket {
    /// Listens at `path`, for this user and root only. A socket left there by a router that died is replaced.
    ///
    /// # Errors
    /// `AddrInUse` when another router listens there; others when the folder cannot be made or written.
    pub fn open(path: &Path) -> io::Result<Self> {
        let in_use = "another router listens there: stop it, or give this one its own --socket and --flash";
        Ok(Self { listener: listen(path, in_use)? })
    }

    /// Serves visitors. Ends only with an error of the listener.
    pub async fn run(self, reactor: &Reactor, driver: ConsoleDriver) -> io::Error {
        let watch = match reactor.watch(&self.listener) {
            Ok(watch) => watch,
            Err(error) => return error,
        };
        let mut ignored = [0; 512];
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    // Whatever goes wrong in a visit ends only the visit.
                    let _ = visit(stream, reactor, driver).await;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => loop {
                    match select(watch.readable(), driver.output(&mut ignored)).await {
                        Either::First(()) => break,
                        Either::Second(_) => {}
                    }
                },
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error,
            }
        }
    }
}

async fn visit(mut stream: UnixStream, reactor: &Reactor, driver: ConsoleDriver) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let watch = reactor.watch(&stream)?;
    let mut line = Vec::new();
    let mut too_long = false;
    let mut bytes = [0; 4096];
    let mut output = [0; 4096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                for byte in &bytes[..count] {
                    match byte {
                        b'\n' if std::mem::take(&mut too_long) => {
                            let text = format!("error: a line has at most {LINE} bytes\n");
                            send(&mut stream, &watch, text.as_bytes()).await?;
                        }
                        b'\n' => {
                            let text = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
                            line.clear();
                            // The app may be busy writing to us: both must move.
                            let mut handed = std::pin::pin!(driver.line(text));
                            while let Either::Second(count) =
                                select(&mut handed, driver.output(&mut output)).await
                            {
                                send(&mut stream, &watch, &output[..count]).await?;
                            }
                        }
                        byte if line.len() < LINE && !too_long => line.push(*byte),
                        _ => {
                            too_long = true;
                            line.clear();
                        }
                    }
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                match select(watch.readable(), driver.output(&mut output)).await {
                    Either::First(()) => {}
                    Either::Second(count) => send(&mut stream, &watch, &output[..count]).await?,
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

async fn send(stream: &mut UnixStream, watch: &Watch, mut bytes: &[u8]) -> io::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(5);
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                with_timeout(PATIENCE, watch.writable()).await.map_err(|_| ErrorKind::TimedOut)?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{BufRead, BufReader};

    use dialtone_hal_api::console::console;

    use super::*;
    use crate::executor::Host;

    #[test]
    fn visitors_come_one_after_the_other_and_output_to_nobody_does_not_block() {
        let path = std::env::temp_dir().join(format!("dialtone-console-{}", std::process::id()));
        let socket = ConsoleSocket::open(&path).unwrap();
        assert_eq!(ConsoleSocket::open(&path).err().map(|error| error.kind()), Some(ErrorKind::AddrInUse));
        let host = Host::new().unwrap();
        let (mut handle, driver) = console();
        let (reactor, stopper) = (host.reactor(), host.stopper());
        host.spawn(async move {
            socket.run(&reactor, driver).await;
        });
        host.spawn(async move {
            handle.write(&"nobody listens ".repeat(1000)).await;
            loop {
                let line = handle.next_line().await;
                handle.write(&format!("heard {line}\n")).await;
            }
        });
        let at = path.clone();
        let visitor = std::thread::spawn(move || {
            let heard = (0..3)
                .map(|visit| {
                    let mut stream = UnixStream::connect(&at).unwrap();
                    if visit == 2 {
                        stream.write_all(&vec![b'x'; LINE + 1]).unwrap();
                        stream.write_all(b"\n").unwrap();
                    }
                    writeln!(stream, "visit {visit}\r").unwrap();
                    let mut reader = BufReader::new(stream);
                    let mut answer = String::new();
                    while !answer.contains("heard") {
                        assert!(reader.read_line(&mut answer).unwrap() > 0);
                    }
                    answer
                })
                .collect::<Vec<_>>();
            stopper.stop();
            heard
        });
        host.run().unwrap();
        let heard = visitor.join().unwrap();
        assert!(heard[0].ends_with("heard visit 0\n") && heard[1] == "heard visit 1\n", "{heard:?}");
        assert!(heard[2].starts_with("error: ") && heard[2].ends_with("heard visit 2\n"), "{heard:?}");
        fs::remove_file(path).unwrap();
    }
}
