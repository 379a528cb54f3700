//! TCP sockets and timers in the shape picoserve asks for.
//!
//! picoserve's own `embassy` feature would name embassy-net a second time; these forty lines keep it in `services::stack`.

use dialtone_services::stack::{TcpError, TcpReader, TcpSocket, TcpWriter};
use embassy_futures::select::{Either, select};
use embedded_io_async::{ErrorType, Write as BaseWrite};
use picoserve::io::{Socket, Write};
use picoserve::mem::{BorrowedBuffer, BorrowedCursor};
use picoserve::time::{Duration, Timer};
use picoserve::{Error, Timeouts};

/// The marker that joins our sockets and timers for picoserve.
pub struct Runtime;

/// Timers of embassy-time.
pub struct Clock;

impl Timer<Runtime> for Clock {
    async fn delay(&self, duration: Duration) {
        embassy_time::Timer::after_millis(duration.as_millis()).await;
    }
}

/// A visitor's connection.
pub struct Connection<'a>(pub TcpSocket<'a>);

/// Its sending half.
pub struct Sender<'a>(TcpWriter<'a>);

impl ErrorType for Sender<'_> {
    type Error = TcpError;
}

impl BaseWrite for Sender<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, TcpError> {
        self.0.write(bytes).await
    }

    async fn flush(&mut self) -> Result<(), TcpError> {
        self.0.flush().await
    }
}

impl Write for Sender<'_> {
    async fn write_with<F: FnOnce(BorrowedCursor<'_>) -> R, R>(&mut self, write: F) -> Result<R, TcpError> {
        self.0
            .write_with(|bytes| {
                let mut buffer = BorrowedBuffer::new(bytes);
                let output = write(buffer.unfilled());
                (buffer.len(), output)
            })
            .await
    }
}

impl<'s> Socket<Runtime> for Connection<'s> {
    type Error = TcpError;
    type ReadHalf<'a>
        = TcpReader<'a>
    where
        's: 'a;
    type WriteHalf<'a>
        = Sender<'a>
    where
        's: 'a;

    fn split(&mut self) -> (TcpReader<'_>, Sender<'_>) {
        let (reader, writer) = self.0.split();
        (reader, Sender(writer))
    }

    async fn abort<T: Timer<Runtime>>(
        mut self,
        timeouts: &Timeouts,
        timer: &T,
    ) -> Result<(), Error<TcpError>> {
        self.0.abort();
        flush(&mut self.0, timeouts, timer).await
    }

    async fn shutdown<T: Timer<Runtime>>(
        mut self,
        timeouts: &Timeouts,
        timer: &T,
    ) -> Result<(), Error<TcpError>> {
        self.0.close();
        let (mut reader, mut writer) = self.0.split();
        let drain = async {
            let mut rest = [0; 128];
            while reader.read(&mut rest).await.is_ok_and(|count| count > 0) {}
        };
        // Send what is left while reading whatever the visitor still says, until it has closed too or time is up.
        let closed = select(drain, async {
            let _ = writer.flush().await;
            core::future::pending::<()>().await
        });
        if let Either::Second(()) = select(closed, timer.delay(timeouts.read_request)).await {
            self.0.abort();
        }
        flush(&mut self.0, timeouts, timer).await
    }
}

async fn flush<T: Timer<Runtime>>(
    socket: &mut TcpSocket<'_>,
    timeouts: &Timeouts,
    timer: &T,
) -> Result<(), Error<TcpError>> {
    timer
        .run_with_timeout(timeouts.write, socket.flush())
        .await
        .map_err(Error::WriteTimeout)?
        .map_err(Error::Write)
}
