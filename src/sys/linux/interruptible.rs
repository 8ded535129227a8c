//! Blocking calls that a cancel can interrupt: a kernel thread of an io_uring makes them. On every backend, they serve
//! descriptors that have no other way to avoid waiting.

use super::super::Descriptors;
use super::fd::{AsRawFd, RawFd};
use super::rw::Transfer;
use super::span::Copy;
use super::uring::{self, IoUring, NO_OPERATION, RingSetup};
pub use super::waits::Ended;
use crate::error::{Errno, Result};

/// An interrupted write tells how many bytes it moved.
pub const TELLS_WHAT_MOVED: bool = true;

/// Whether calls copy to streams. Not here: the poller waits until a stream is ready.
pub const COPIES: bool = false;

/// The ring of one poller. Only the poller's thread uses it, as the kernel ties a ring's calls to the thread that
/// submits.
pub struct CallRing {
    ring: IoUring,
    /// The kernel refused to take what is in it. That must never start, so nothing is submitted any more.
    broken: bool,
}

/// Set in the user data of a cancel request; no token has it.
const CANCEL: u64 = 1 << 63;

impl CallRing {
    pub fn open() -> Result<Self> {
        const ENTRIES: u32 = 64;
        let setup = RingSetup {
            entries: ENTRIES,
            completions: 2 * ENTRIES,
            deferred: false,
            sqpoll: false,
            // As many threads as the kernel allows, because each call may wait for long.
            iowq_workers: [0, 0],
        };
        IoUring::new(setup).map(|ring| Self { ring, broken: false })
    }

    /// Starts a call. Its memory must stay valid until it ends.
    pub fn begin(&mut self, token: u64, transfer: &Transfer) -> Result<()> {
        if !self.ring.push_blocking(transfer, token) {
            self.submit()?;
            self.ring.push_blocking(transfer, token);
        }
        self.submit()
    }

    /// Not supported: see [`COPIES`].
    pub fn begin_copy(&mut self, _: u64, _: &Copy) -> Result<()> {
        Err(Errno(libc::ENOSYS))
    }

    /// Interrupts a call. It ends soon, with ECANCELED, EINTR, or the bytes that it had moved.
    pub fn cancel(&mut self, token: u64) {
        if self.ring.room() == 0 {
            self.submit().ok();
        }
        self.ring.push(uring::Submission::Cancel(token), token | CANCEL);
        // After a failure, the poller cancels the call again.
        self.submit().ok();
    }

    /// The next completion.
    pub fn pop(&mut self) -> Option<Ended> {
        loop {
            let Some((token, result)) = self.ring.pop() else {
                // The kernel keeps the completions that did not fit into the ring.
                if self.ring.overflowed() && uring::get_events(self.as_raw_fd()).is_ok() && self.ring.has_completions()
                {
                    continue;
                }
                return None;
            };
            let result = u64::try_from(result).map_err(|_| Errno(-result));
            match token {
                NO_OPERATION => {}
                token if token & CANCEL == 0 => return Some(Ended::Call(token, result)),
                token if result == Err(Errno(libc::ENOENT)) => return Some(Ended::CancelMissed(token & !CANCEL)),
                _ => {}
            }
        }
    }

    /// Hands what is in the ring to the kernel.
    fn submit(&mut self) -> Result<()> {
        const BROKEN: Errno = Errno(libc::EIO);
        let mut tries = 64;
        while !self.broken && self.ring.unsubmitted() > 0 {
            match uring::enter(self.as_raw_fd(), self.ring.unsubmitted(), 0) {
                Ok(_) | Err(Errno(libc::EINTR)) => {}
                Err(Errno(libc::EAGAIN | libc::EBUSY | libc::ENOMEM)) if tries > 0 => {
                    tries -= 1;
                    std::thread::yield_now();
                }
                Err(_) => self.broken = true,
            }
        }
        if self.broken { Err(BROKEN) } else { Ok(()) }
    }
}

impl Descriptors for CallRing {
    fn descriptors(&self) -> [Option<RawFd>; 2] {
        [Some(self.as_raw_fd()), None]
    }
}

impl AsRawFd for CallRing {
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}
