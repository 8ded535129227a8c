//! A descriptor of some kind, and what a test needs to bring it into a state.

use crate::support::*;
use std::any::Any;
use std::cell::Cell;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

/// A kind that this machine or this user cannot make, and what it needs.
pub type SkipReason = String;

pub type Made = Result<Ends, SkipReason>;

pub struct Ends {
    fd: RawFd,
    closed: Cell<bool>,
    /// Where the bytes arrive that are written to `fd`.
    pub peer: Option<OwnedFd>,
    /// The length of a record, where a record arrives a moment after it was sent.
    pub late: Option<usize>,
    /// Writes wait once it is full.
    pub fills: bool,
    /// Where it is full only when nothing has been taken for a while.
    pub settles: Duration,
    feed: Option<Box<dyn Fn(usize)>>,
    keep: Vec<Box<dyn Any>>,
}

impl Ends {
    pub fn of(fd: impl IntoRawFd) -> Self {
        let fd = fd.into_raw_fd();
        Self {
            fd,
            closed: Cell::new(false),
            peer: None,
            late: None,
            fills: false,
            settles: Duration::ZERO,
            feed: None,
            keep: Vec::new(),
        }
    }

    /// What is written to `fd` arrives there.
    pub fn peer(mut self, peer: OwnedFd) -> Self {
        self.peer = Some(peer);
        self
    }

    /// Makes the numbered record readable.
    pub fn fed(mut self, feed: impl Fn(usize) + 'static) -> Self {
        self.feed = Some(Box::new(feed));
        self
    }

    /// Fed by writing [`record`] to the peer.
    pub fn fed_by_peer(self) -> Self {
        let peer = self.peer.as_ref().expect("a peer").as_raw_fd();
        self.fed(move |number| put(peer, &record(number)))
    }

    pub fn fills(mut self) -> Self {
        self.fills = true;
        self
    }

    pub fn settles(mut self, within: Duration) -> Self {
        self.settles = within;
        self
    }

    pub fn late(mut self) -> Self {
        self.late = Some(record(0).len());
        self
    }

    pub fn keep(mut self, kept: impl Any) -> Self {
        self.keep.push(Box::new(kept));
        self
    }

    pub fn nonblocking(self) -> Self {
        sys::set_nonblocking(self.fd);
        self
    }

    pub fn fd(&self) -> RawFd {
        self.fd
    }

    /// The descriptor was closed by an operation.
    pub fn was_closed(&self) {
        self.closed.set(true);
    }

    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    pub fn can_be_fed(&self) -> bool {
        self.feed.is_some()
    }

    pub fn feed(&self, number: usize) {
        (self.feed.as_ref().expect("a kind that can be fed"))(number);
    }

    /// As `feed` while nothing reads: the record is there when it returns.
    pub fn fill(&self, number: usize) {
        self.feed(number);
        if let Some(len) = self.late {
            until("the record arrives", || sys::waiting(&self.fd) >= len * (number + 1));
        }
        let mut poll = libc::pollfd { fd: self.fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one live pollfd.
        unsafe { libc::poll(&mut poll, 1, 1000) };
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        if !self.closed.get() {
            sys::plain(&ops::close(self.fd));
        }
    }
}

/// What streams and sockets are fed with: a line, which a terminal in canonical mode passes on.
pub fn record(number: usize) -> [u8; 9] {
    let mut record = *b"record 0\n";
    record[7] = b'0' + number as u8;
    record
}

/// write(2), which has to succeed.
pub fn put(fd: RawFd, bytes: &[u8]) {
    let result = sys::plain(&ops::write(fd, bytes, CAIO_OFFSET_CURRENT));
    assert_eq!(result, bytes.len() as i64, "the test's own write");
}

/// The descriptor of a system call that may be refused.
pub fn refused(what: &str, result: impl Into<i64>) -> Result<OwnedFd, SkipReason> {
    let result = result.into();
    if result < 0 { Err(format!("{what}: {}", std::io::Error::last_os_error())) } else { Ok(sys::owned(result)) }
}
