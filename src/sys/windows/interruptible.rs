//! Calls that may wait for ever, each on a thread of its own, which a cancel ends.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::Descriptors;
use super::event::Event;
use super::fd::{AsRawFd, RawFd, handle};
use super::mem::{self, room};
use super::overlapped::Slot;
use super::ranges::{self, Copy};
use super::rw::{self, Transfer};
use super::thread;
pub use super::waits::Ended;
use crate::error::{Errno, Result};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sys::CURRENT;

/// A cancelled write does not tell what it has moved, so a write is not interrupted to make it short.
pub const TELLS_WHAT_MOVED: bool = false;

/// No stream tells whether it is ready, so that a copy to it is a call, too.
pub const COPIES: bool = true;

/// The bytes that a copy reads before it writes them.
const STEP: u64 = 256 * 1024;

/// The calls of one poller.
pub struct CallRing {
    ends: Arc<Ends>,
    running: Vec<(u64, Arc<Call>, thread::Handle)>,
}

/// The results of calls that have ended.
struct Ends {
    event: Event,
    results: Mutex<VecDeque<(u64, Result<u64>)>>,
}

struct Call {
    slot: Slot,
    work: Work,
    cancelled: AtomicBool,
}

#[derive(Clone, Copy)]
enum Work {
    Transfer(Transfer),
    Copy(Copy),
}

impl CallRing {
    pub fn open() -> Result<Self> {
        let ends = Ends { event: Event::new()?, results: Mutex::new(VecDeque::new()) };
        Ok(Self { ends: Arc::new(ends), running: room(8)? })
    }

    /// Starts a call. Its memory must stay valid until it ends.
    pub fn begin(&mut self, token: u64, transfer: &Transfer) -> Result<()> {
        self.start(token, Work::Transfer(*transfer))
    }

    /// The same for a copy from a file to a stream.
    pub fn begin_copy(&mut self, token: u64, copy: &Copy) -> Result<()> {
        self.start(token, Work::Copy(*copy))
    }

    fn start(&mut self, token: u64, work: Work) -> Result<()> {
        let no_memory = |_| Errno(libc::ENOMEM);
        self.running.try_reserve(1).map_err(no_memory)?;
        // Room for the results of all calls, so that none is lost.
        self.ends.results.lock().try_reserve(self.running.len() + 1).map_err(no_memory)?;
        let call = Call { slot: Slot::new()?, work, cancelled: AtomicBool::new(false) };
        let call = Arc::new(call);
        let (ends, theirs) = (self.ends.clone(), call.clone());
        let thread = thread::spawn(c"caio-call", move || ends.add(token, theirs.run()))?;
        self.running.push((token, call, thread));
        Ok(())
    }

    /// Interrupts a call, unless its thread is not inside it yet. It ends soon, with ECANCELED or its result.
    pub fn cancel(&mut self, token: u64) {
        if let Some((_, call, thread)) = self.running.iter().find(|running| running.0 == token) {
            // Relaxed: guards nothing.
            call.cancelled.store(true, Ordering::Relaxed);
            call.slot.cancel(handle(call.waits_for()));
            thread.cancel_io();
        }
    }

    /// The next completion.
    pub fn pop(&mut self) -> Option<Ended> {
        let (token, result) = self.ends.take()?;
        if let Some(at) = self.running.iter().position(|running| running.0 == token) {
            self.running.swap_remove(at);
        }
        Some(Ended::Call(token, result))
    }
}

impl Call {
    fn run(&self) -> Result<u64> {
        self.check()?;
        match &self.work {
            Work::Transfer(transfer) => rw::transfer_with(transfer, &self.slot),
            Work::Copy(copy) => self.copy(copy),
        }
    }

    fn check(&self) -> Result<()> {
        // Relaxed: as in `cancel`.
        if self.cancelled.load(Ordering::Relaxed) { Err(Errno(libc::ECANCELED)) } else { Ok(()) }
    }

    /// The descriptor that the call may wait for.
    fn waits_for(&self) -> RawFd {
        match &self.work {
            Work::Transfer(transfer) => transfer.fd,
            Work::Copy(copy) => copy.to,
        }
    }

    /// Copies until the end of the file. An error after some bytes ends it there.
    fn copy(&self, copy: &Copy) -> Result<u64> {
        let mut bytes = mem::zeroed(copy.len.min(STEP) as usize)?;
        let start = if copy.offset == CURRENT { ranges::position(copy.from)? } else { copy.offset };
        let mut moved = 0;
        let answer = loop {
            match self.copy_step(copy, start + moved, copy.len - moved, &mut bytes) {
                Ok(0) => break Ok(moved),
                Ok(more) => moved += more,
                Err(errno) => break if moved > 0 { Ok(moved) } else { Err(errno) },
            }
        };
        if copy.offset == CURRENT {
            ranges::set_position(copy.from, start + moved)?;
        }
        answer
    }

    fn copy_step(&self, copy: &Copy, offset: u64, left: u64, bytes: &mut [u8]) -> Result<u64> {
        let memory = mem::of_bytes(bytes);
        let part = |fd, reads, count, offset| Transfer { fd, reads, vectored: false, memory, count, offset, flags: 0 };
        self.check()?;
        match rw::transfer(&part(copy.from, true, left.min(bytes.len() as u64), offset))? {
            0 => Ok(0),
            read => rw::transfer_with(&part(copy.to, false, read, CURRENT), &self.slot),
        }
    }
}

impl Ends {
    fn add(&self, token: u64, result: Result<u64>) {
        let mut results = self.results.lock();
        results.push_back((token, result));
        self.event.set();
    }

    fn take(&self) -> Option<(u64, Result<u64>)> {
        let mut results = self.results.lock();
        let first = results.pop_front();
        if first.is_none() {
            self.event.reset();
        }
        first
    }
}

impl AsRawFd for CallRing {
    fn as_raw_fd(&self) -> RawFd {
        self.ends.event.as_raw_fd()
    }
}

impl Descriptors for CallRing {
    fn descriptors(&self) -> [Option<RawFd>; 2] {
        [None; 2]
    }
}
