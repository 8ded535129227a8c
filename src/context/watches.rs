//! The operations that wait for readiness, by descriptor, and what reports it.

use std::collections::{HashMap, TryReserveError, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use super::waiting::Waiting;
use crate::error::Result;
use crate::fork_list::Listed;
use crate::slab::Token;
use crate::sys::fd::RawFd;
use crate::sys::readiness::{Interest, REPORTS_ONCE, Readiness, Ready};
use crate::sys::timer::Timer;

/// A hash table with integer keys. The standard library's hasher would abort the process where getrandom(2) is
/// forbidden.
pub type Table<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// Hashes integers by multiplication (Knuth, The Art of Computer Programming, 6.4).
#[derive(Default)]
pub struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_i32(&mut self, number: i32) {
        self.write_u64(number as u64);
    }

    fn write_u64(&mut self, number: u64) {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        self.0 = (self.0 ^ number).wrapping_mul(GOLDEN).rotate_right(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The waiting operations. The table and the queues are reused, so that no operation allocates after warm-up.
pub struct Watches {
    readiness: Listed<Readiness>,
    watches: Table<RawFd, Watch>,
    spare: Vec<Watch>,
}

/// The operations that wait for one descriptor.
#[derive(Default)]
struct Watch {
    interest: Interest,
    readers: Side,
    writers: Side,
}

/// The operations that read, or those that write.
#[derive(Default)]
struct Side {
    queue: VecDeque<Waiting>,
    /// Detached calls, which nothing can stop. The next operation is tried when they return or the descriptor becomes
    /// ready again. Before that, it could take the data that such a call was started for.
    detached: u32,
}

impl Watches {
    pub fn new(readiness: Listed<Readiness>) -> Self {
        Self { readiness, watches: Table::default(), spare: Vec::new() }
    }

    /// Watches one of the library's own descriptors for reading.
    pub fn add_own(&self, fd: RawFd) -> Result<()> {
        self.readiness.add_own(fd)
    }

    /// The timer ends a wait when it expires.
    pub fn add_timer(&self, timer: &Timer) -> Result<()> {
        self.readiness.add_timer(timer)
    }

    pub fn wait(&self, ready: &mut Ready, timeout: Option<Duration>) {
        self.readiness.wait(ready, timeout);
    }

    /// Queues an operation for its descriptor. [`Self::settle`] then starts to watch the descriptor.
    pub fn queue(&mut self, waiting: Waiting) -> std::result::Result<(), TryReserveError> {
        let (fd, reads) = (waiting.op.fd, waiting.reads());
        let queue = &mut self.side_or_new(fd, reads)?.queue;
        queue.try_reserve(1)?;
        queue.push_back(waiting);
        Ok(())
    }

    pub fn first(&mut self, fd: RawFd, reads: bool) -> Option<&mut Waiting> {
        self.side(fd, reads)?.queue.front_mut()
    }

    pub fn take_first(&mut self, fd: RawFd, reads: bool) -> Option<Waiting> {
        self.side(fd, reads)?.queue.pop_front()
    }

    pub fn take_last(&mut self, fd: RawFd, reads: bool) -> Option<Waiting> {
        self.side(fd, reads)?.queue.pop_back()
    }

    pub fn take(&mut self, fd: RawFd, reads: bool, token: Token) -> Option<Waiting> {
        let queue = &mut self.side(fd, reads)?.queue;
        let at = queue.iter().position(|waiting| waiting.token == token)?;
        queue.remove(at)
    }

    /// A detached call starts.
    pub fn detach(&mut self, fd: RawFd, reads: bool) -> std::result::Result<(), TryReserveError> {
        self.side_or_new(fd, reads).map(|side| side.detached += 1)
    }

    /// A detached call has returned.
    pub fn attach(&mut self, fd: RawFd, reads: bool) {
        if let Some(side) = self.side(fd, reads) {
            side.detached = side.detached.saturating_sub(1);
        }
    }

    pub fn has_detached(&mut self, fd: RawFd, reads: bool) -> bool {
        self.side(fd, reads).is_some_and(|side| side.detached > 0)
    }

    /// Watches a descriptor for what its queues wait for, and stops if they are empty. Call this before the events are
    /// published: after them, the caller may reuse the number for another file.
    pub fn settle(&mut self, fd: RawFd) -> Result<()> {
        let Some(watch) = self.watches.get_mut(&fd) else { return Ok(()) };
        let interest = Interest { read: watch.readers.waits(), write: watch.writers.waits() };
        let before = std::mem::replace(&mut watch.interest, interest);
        let answer = match (before == Interest::default(), interest == Interest::default()) {
            _ if before == interest => Ok(()),
            (_, true) => {
                self.readiness.remove(fd);
                Ok(())
            }
            (true, false) => self.readiness.add(fd, interest),
            (false, false) => self.readiness.modify(fd, interest),
        };
        if answer.is_err() {
            watch.interest = before;
        }
        if interest == Interest::default() && watch.readers.detached + watch.writers.detached == 0 {
            let watch = self.watches.remove(&fd).filter(|_| self.spare.try_reserve(1).is_ok());
            self.spare.extend(watch);
        }
        answer
    }

    fn side(&mut self, fd: RawFd, reads: bool) -> Option<&mut Side> {
        self.watches.get_mut(&fd).map(|watch| watch.side(reads))
    }

    fn side_or_new(&mut self, fd: RawFd, reads: bool) -> std::result::Result<&mut Side, TryReserveError> {
        self.watches.try_reserve(1)?;
        Ok(self.watches.entry(fd).or_insert_with(|| self.spare.pop().unwrap_or_default()).side(reads))
    }
}

impl Side {
    /// Whether to watch for the queue. Lasting readiness may be that which a detached call was started for.
    fn waits(&self) -> bool {
        !self.queue.is_empty() && (REPORTS_ONCE || self.detached == 0)
    }
}

impl Watch {
    fn side(&mut self, reads: bool) -> &mut Side {
        if reads { &mut self.readers } else { &mut self.writers }
    }
}
