//! Blocking calls that can be stopped: a kernel thread of an io_uring makes them, and a cancel interrupts its sleep. For
//! descriptors that nothing else can be tried on without the risk of waiting, whatever the context's backend is.

use std::os::fd::{AsRawFd, RawFd};

use crate::error::{Errno, Result};
use crate::sys::rw::Transfer;
use crate::sys::uring::{self, NOBODY, Ring, Setup};

/// One poller's ring of such calls. All functions are its thread's: io_uring(7) runs the calls on its behalf.
pub struct CallRing {
    ring: Ring,
}

/// Set in the user data of a cancel request; no token has it.
const CANCEL: u64 = 1 << 63;

/// What the kernel finished.
pub enum Ended {
    /// A call: its token and result.
    Call(u64, Result<u64>),
    /// A cancel of that call that found nothing to stop: it may have been on its way from one queue to another.
    CancelMissed(u64),
}

impl CallRing {
    pub fn open() -> Result<Self> {
        const ENTRIES: u32 = 64;
        let setup = Setup {
            entries: ENTRIES,
            completions: 2 * ENTRIES,
            deferred: false,
            sqpoll: false,
            // As many threads as the kernel allows: each may be stuck for long.
            iowq_workers: [0, 0],
        };
        Ring::new(setup).map(|ring| Self { ring })
    }

    /// Begins a call. Its memory stays valid until its end.
    pub fn begin(&mut self, token: u64, transfer: &Transfer) -> Result<()> {
        if !self.ring.push_blocking(transfer, token) {
            self.hand_over()?;
            self.ring.push_blocking(transfer, token);
        }
        self.hand_over()
    }

    /// Interrupts a call. It ends in a moment, with ECANCELED, EINTR, or what it had moved.
    pub fn cancel(&mut self, token: u64) {
        if self.ring.room() == 0 {
            self.hand_over().ok();
        }
        self.ring.push(uring::Request::Cancel(token), token | CANCEL);
        // Without success, it is repeated.
        self.hand_over().ok();
    }

    /// A call that has ended.
    pub fn pop(&mut self) -> Option<Ended> {
        loop {
            let Some((token, result)) = self.ring.pop() else {
                // The kernel keeps what the ring had no room for.
                if self.ring.overflowed() && uring::get_events(self.as_raw_fd()).is_ok() && self.ring.has_completions()
                {
                    continue;
                }
                return None;
            };
            let result = u64::try_from(result).map_err(|_| Errno(-result));
            match token {
                NOBODY => {}
                token if token & CANCEL == 0 => return Some(Ended::Call(token, result)),
                token if result == Err(Errno(libc::ENOENT)) => return Some(Ended::CancelMissed(token & !CANCEL)),
                _ => {}
            }
        }
    }

    fn hand_over(&mut self) -> Result<()> {
        let mut tries = 64;
        while self.ring.unsubmitted() > 0 {
            match uring::enter(self.as_raw_fd(), self.ring.unsubmitted(), 0) {
                Ok(_) | Err(Errno(libc::EINTR)) => {}
                Err(Errno(libc::EAGAIN | libc::EBUSY | libc::ENOMEM)) if tries > 0 => {
                    tries -= 1;
                    std::thread::yield_now();
                }
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

impl AsRawFd for CallRing {
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}
