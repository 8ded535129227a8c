//! A pipe that poll(2), select(2) and kqueue(2) report readable, and sleeping until one of several descriptors is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::fd::{AsRawFd, OwnedFd, RawFd};
use super::{Descriptors, Signal, check, os, quiet};
use crate::error::{Errno, Result};
use crate::sync::Mutex;

/// A pipe that holds one byte for each signal.
pub struct Pollable {
    reader: OwnedFd,
    writer: OwnedFd,
    listeners: Arc<Listeners>,
}

/// The pipes that get each signal too, by the descriptor to write to.
struct Listeners {
    count: AtomicUsize,
    fds: Mutex<Vec<RawFd>>,
}

impl Pollable {
    pub fn new() -> Result<Self> {
        let [reader, writer] = os::pipe()?;
        let listeners = Listeners { count: AtomicUsize::new(0), fds: Mutex::new(Vec::new()) };
        Ok(Self { reader, writer, listeners: Arc::new(listeners) })
    }
}

impl Signal for Pollable {
    fn signal(&self) -> bool {
        let signalled = write_byte(self.writer.as_raw_fd());
        // Relaxed: a listener looks for earlier events under the context's lock after it came. No lock without listeners:
        // a signal handler may run this.
        if self.listeners.count.load(Ordering::Relaxed) > 0 {
            for writer in self.listeners.fds.lock().iter() {
                write_byte(*writer);
            }
        }
        signalled
    }

    fn clear(&self) -> Option<u64> {
        let mut bytes = [0u8; 512];
        let mut count = 0;
        loop {
            // SAFETY: that many live bytes.
            match quiet(|| unsafe { libc::read(self.reader.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) } as i64)
            {
                Ok(more) if more == bytes.len() as u64 => count += more,
                Ok(more) => return Some(count + more),
                Err(Errno(libc::EAGAIN)) => return Some(count),
                Err(Errno(libc::EINTR)) => {}
                Err(_) => return None,
            }
        }
    }
}

/// Writes one byte to a pipe; false if it is full.
fn write_byte(fd: RawFd) -> bool {
    loop {
        // SAFETY: one live byte.
        match quiet(|| unsafe { libc::write(fd, [1u8].as_ptr().cast(), 1) } as i64) {
            Err(Errno(libc::EINTR)) => {}
            answer => return answer.is_ok(),
        }
    }
}

impl AsRawFd for Pollable {
    fn as_raw_fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }
}

impl Descriptors for Pollable {
    fn descriptors(&self) -> [Option<RawFd>; 2] {
        [&self.reader, &self.writer].map(|end| Some(end.as_raw_fd()))
    }
}

/// Becomes readable with each further signal of a pollable, while that stays readable.
pub struct Edges {
    own: Pollable,
    listeners: Arc<Listeners>,
}

impl Edges {
    pub fn new(of: &Pollable) -> Result<Self> {
        let own = Pollable::new()?;
        let mut fds = of.listeners.fds.lock();
        fds.try_reserve(1).map_err(|_| Errno(libc::ENOMEM))?;
        fds.push(own.writer.as_raw_fd());
        of.listeners.count.store(fds.len(), Ordering::Relaxed);
        drop(fds);
        Ok(Self { own, listeners: of.listeners.clone() })
    }

    /// Makes it not readable until the next signal.
    pub fn clear(&self) {
        self.own.clear();
    }
}

impl Drop for Edges {
    fn drop(&mut self) {
        let mut fds = self.listeners.fds.lock();
        fds.retain(|fd| *fd != self.own.writer.as_raw_fd());
        self.listeners.count.store(fds.len(), Ordering::Relaxed);
    }
}

impl AsRawFd for Edges {
    fn as_raw_fd(&self) -> RawFd {
        self.own.as_raw_fd()
    }
}

impl Descriptors for Edges {
    fn descriptors(&self) -> [Option<RawFd>; 2] {
        self.own.descriptors()
    }
}

/// Sleeps in poll(2) until a descriptor is readable, the timeout expires (None: no limit), or a signal handler ran (EINTR).
/// Returns which are readable. poll(2) ignores a negative descriptor.
pub fn sleep_until_readable<const N: usize>(fds: [RawFd; N], timeout: Option<Duration>) -> Result<[bool; N]> {
    let mut watched = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    // SAFETY: N live pollfds.
    check(unsafe { libc::poll(watched.as_mut_ptr(), N as libc::nfds_t, milliseconds(timeout)) }.into())?;
    Ok(watched.map(|fd| fd.revents != 0))
}

/// The timeout of poll(2), rounded up so that it never expires early.
pub fn milliseconds(timeout: Option<Duration>) -> i32 {
    timeout.map_or(-1, |time| time.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(i32::MAX))
}
