//! The three ways to run an operation, which of them this machine offers, and which a context takes.

pub mod aio;
pub mod choice;
pub mod uring;

pub use choice::{choose, probe};

use std::os::fd::RawFd;

use crate::error::Result;
use crate::op::{Op, SimpleTransfer};

/// A backend, numbered as `CAIO_BACKEND_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Uring = 1,
    Linux = 2,
    Thread = 3,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Uring, Self::Linux, Self::Thread];

    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u32 == number)
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Linux => "linux",
            Self::Thread => "thread",
        }
    }
}

/// What a context asks of its kernel facility.
#[derive(Clone, Copy)]
pub struct Wants {
    pub max_requests: u32,
    pub workers: u32,
    /// One thread makes all calls.
    pub single_thread: bool,
    pub sqpoll: bool,
    /// Made readable by every native completion.
    pub eventfd: RawFd,
}

/// A context's kernel facility: chosen once, used under the context's lock except for [`Flush::run`].
#[allow(clippy::large_enum_variant)] // one per context, and never moved
pub enum Native {
    None,
    Uring(uring::Uring),
    Aio(aio::Aio),
}

impl Native {
    /// Sets one up; for threads there is nothing to.
    pub fn open(kind: Kind, wants: &Wants) -> Result<Self> {
        Ok(match kind {
            Kind::Uring => Self::Uring(uring::Uring::open(wants)?),
            Kind::Linux => Self::Aio(aio::Aio::open(wants)?),
            Kind::Thread => Self::None,
        })
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::None => Kind::Thread,
            Self::Uring(_) => Kind::Uring,
            Self::Aio(_) => Kind::Linux,
        }
    }

    /// The descriptor that a child of fork(2) must close.
    pub fn fd(&self) -> Option<RawFd> {
        match self {
            Self::Uring(uring) => Some(uring.fd()),
            Self::None | Self::Aio(_) => None,
        }
    }

    /// Whether there is a kernel facility that takes operations.
    pub fn works(&self) -> bool {
        match self {
            Self::None => false,
            Self::Uring(uring) => !uring.is_broken(),
            Self::Aio(_) => true,
        }
    }

    /// Takes an operation that [`crate::route`] found fit, after `moved` bytes of it; false if it has no room now.
    pub fn push(&mut self, token: u64, op: &Op, moved: u64) -> bool {
        match self {
            Self::None => false,
            Self::Uring(uring) => uring.push(token, op, moved),
            Self::Aio(aio) => aio.push(token, op, moved),
        }
    }

    /// For [`Self::push_simple`]: how many of so many simple transfers it takes.
    pub fn make_ready(&mut self, count: usize) -> usize {
        if let Self::Uring(uring) = self { uring.make_ready(count) } else { 0 }
    }

    /// Takes one of those that [`Self::make_ready`] said it takes.
    #[inline(always)]
    pub fn push_simple(&mut self, token: u64, op: &SimpleTransfer) {
        if let Self::Uring(uring) = self {
            uring.push_simple(token, op);
        }
    }

    /// Asks the kernel to stop an operation, where it can.
    pub fn cancel(&mut self, token: u64) {
        if let Self::Uring(uring) = self {
            uring.cancel(token);
        }
    }

    /// What was pushed and must be handed to the kernel once the lock is free.
    pub fn flush(&mut self) -> Flush {
        match self {
            Self::None => Flush::Nothing,
            Self::Uring(uring) => uring.flush().map_or(Flush::Nothing, Flush::Uring),
            Self::Aio(aio) => aio.flush().map_or(Flush::Nothing, Flush::Aio),
        }
    }

    /// Takes back what [`Flush::run`] left; `refused` gets the tokens that must go another way.
    pub fn flushed(&mut self, flush: Flush, refused: impl FnMut(u64)) {
        match (self, flush) {
            (Self::Uring(uring), Flush::Uring(enter)) => uring.flushed(&enter, refused),
            (Self::Aio(aio), Flush::Aio(submit)) => aio.flushed(submit, refused),
            _ => {}
        }
    }

    /// Pushed, and not flushed yet.
    pub fn has_unsent(&mut self) -> bool {
        match self {
            Self::None => false,
            Self::Uring(uring) => uring.has_unsent(),
            Self::Aio(aio) => aio.has_unsent(),
        }
    }

    /// Keeps the descriptor from hearing of what is done while the caller looks for it anyway, where that goes.
    pub fn mute(&mut self) {
        if let Self::Uring(uring) = self {
            uring.mute();
        }
    }

    pub fn is_muted(&self) -> bool {
        matches!(self, Self::Uring(uring) if uring.is_muted())
    }

    /// Look for completions afterwards.
    pub fn unmute(&mut self) {
        if let Self::Uring(uring) = self {
            uring.unmute();
        }
    }

    /// Whether the descriptor shows a completion before it can be seen here; else it may show it after.
    pub fn signals_first(&self) -> bool {
        matches!(self, Self::Uring(uring) if uring.signals_first())
    }

    pub fn has_completions(&mut self) -> bool {
        match self {
            Self::None => false,
            Self::Uring(uring) => uring.has_completions(),
            Self::Aio(aio) => aio.has_completions(),
        }
    }

    /// A completion: token and the system call's result.
    #[inline(always)]
    pub fn pop(&mut self) -> Option<(u64, i64)> {
        match self {
            Self::None => None,
            Self::Uring(uring) => uring.pop(),
            Self::Aio(aio) => aio.pop(),
        }
    }
}

/// A hand-over to the kernel, made under the lock and run without it: it may take long.
pub enum Flush {
    Nothing,
    Uring(uring::Enter),
    Aio(aio::Submit),
}

impl Flush {
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// Runs it; true if [`Native::flushed`] must hear of it.
    pub fn run(&mut self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Uring(enter) => enter.run(),
            Self::Aio(submit) => {
                submit.run();
                true
            }
        }
    }
}
