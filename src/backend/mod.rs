//! The three backends: which are available on this machine, and which one a context uses.

pub mod aio;
pub mod choice;
mod named;
mod rules;
pub mod uring;

pub use choice::choose;
pub use named::{Backend, Probe};
pub use rules::{Rules, ShortReads, Takes};

use std::ffi::CStr;

use crate::error::Result;
use crate::op::{Code, Op, SimpleTransfer};
use crate::sys::fd::RawFd;

/// The backend of a context: one of [`Backend`] without AUTO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Uring,
    Linux,
    Thread,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Uring, Self::Linux, Self::Thread];

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub fn name(self) -> &'static str {
        self.c_name().to_str().unwrap_or_default()
    }

    pub fn c_name(self) -> &'static CStr {
        match self {
            Self::Uring => c"uring",
            Self::Linux => c"linux",
            Self::Thread => c"thread",
        }
    }
}

/// The parameters of a context's backend.
#[derive(Clone, Copy)]
pub struct Config {
    pub max_requests: u32,
    pub workers: u32,
    /// CAIO_CTX_SINGLE_THREAD: one thread makes all calls.
    pub single_thread: bool,
    pub sqpoll: bool,
    /// Every native completion signals it. Nothing else uses it while the backend is opened.
    pub events_fd: RawFd,
    /// Kernel contexts that the process kept may be reused. Without, the kernel is asked for new ones.
    pub reuse: bool,
}

/// A context's kernel interface: chosen once, used under the context's lock except for [`Flush::run`].
#[allow(clippy::large_enum_variant)] // one per context, and never moved
pub enum Native {
    None,
    Uring(uring::Uring),
    Aio(aio::Aio),
}

impl Native {
    pub fn open(kind: Kind, config: &Config) -> Result<Self> {
        Ok(match kind {
            Kind::Uring => Self::Uring(uring::Uring::open(config)?),
            Kind::Linux => Self::Aio(aio::Aio::open(config)?),
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

    pub fn rules(&self) -> Rules {
        match self {
            Self::None => Rules::NONE,
            Self::Uring(_) => uring::rules(),
            Self::Aio(_) => aio::RULES,
        }
    }

    /// The descriptor that a child of fork(2) has to close.
    pub fn fd(&self) -> Option<RawFd> {
        match self {
            Self::Uring(uring) => Some(uring.fd()),
            Self::None | Self::Aio(_) => None,
        }
    }

    /// Whether there is a kernel interface that takes operations.
    pub fn works(&self) -> bool {
        match self {
            Self::None => false,
            Self::Uring(uring) => !uring.is_broken(),
            Self::Aio(aio) => !aio.is_broken(),
        }
    }

    /// The same, for operations of this kind.
    pub fn takes(&self, code: Code) -> bool {
        match self {
            Self::Uring(uring) => uring.takes(code),
            Self::None | Self::Aio(_) => self.works(),
        }
    }

    /// Tells that the kernel interface failed with an error that the plain call did not give: it is not used for this opcode
    /// again.
    pub fn refuse(&mut self, code: Code) {
        if let Self::Uring(uring) = self {
            uring.refuse(code);
        }
    }

    /// Takes an operation that [`crate::route`] chose for it, of which `moved` bytes are done; false if it has no room now.
    pub fn push(&mut self, token: u64, op: &Op, moved: u64) -> bool {
        match self {
            Self::None => false,
            Self::Uring(uring) => uring.push(token, op, moved),
            Self::Aio(aio) => aio.push(token, op, moved),
        }
    }

    /// How many of `count` simple transfers [`Self::push_simple`] takes.
    pub fn make_ready(&mut self, count: usize) -> usize {
        if let Self::Uring(uring) = self { uring.make_ready(count) } else { 0 }
    }

    /// Takes one of those that [`Self::make_ready`] has room for.
    #[inline(always)]
    pub fn push_simple(&mut self, token: u64, op: &SimpleTransfer) {
        if let Self::Uring(uring) = self {
            uring.push_simple(token, op);
        }
    }

    /// Asks the kernel to cancel an operation, if the kernel interface can.
    pub fn cancel(&mut self, token: u64) {
        if let Self::Uring(uring) = self {
            uring.cancel(token);
        }
    }

    /// The submission of pushed operations, to be run without the lock.
    pub fn flush(&mut self) -> Flush {
        match self {
            Self::None => Flush::Nothing,
            Self::Uring(uring) => uring.flush().map_or(Flush::Nothing, Flush::Uring),
            Self::Aio(aio) => aio.flush().map_or(Flush::Nothing, Flush::Aio),
        }
    }

    /// Takes back what [`Flush::run`] did not submit; `refused` gets the tokens, for workers.
    pub fn flushed(&mut self, flush: Flush, refused: impl FnMut(u64)) {
        match (self, flush) {
            (Self::Uring(uring), Flush::Uring(enter)) => uring.flushed(&enter, refused),
            (Self::Aio(aio), Flush::Aio(submit)) => aio.flushed(submit, refused),
            _ => {}
        }
    }

    /// Whether there are operations that were pushed and not flushed.
    pub fn has_unsent(&mut self) -> bool {
        match self {
            Self::None => false,
            Self::Uring(uring) => uring.has_unsent(),
            Self::Aio(aio) => aio.has_unsent(),
        }
    }

    /// Keeps completions from signalling the eventfd while the caller looks for them anyway, if the kernel interface can.
    pub fn mute(&mut self) {
        if let Self::Uring(uring) = self {
            uring.mute();
        }
    }

    pub fn is_muted(&self) -> bool {
        matches!(self, Self::Uring(uring) if uring.is_muted())
    }

    /// Signals again. Check for completions afterwards.
    pub fn unmute(&mut self) {
        if let Self::Uring(uring) = self {
            uring.unmute();
        }
    }

    /// Whether the eventfd is signalled before [`Self::pop`] can return the completion; else it may be signalled after.
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

    /// A completion: its token, and the system call's result.
    #[inline(always)]
    pub fn pop(&mut self) -> Option<(u64, i64)> {
        match self {
            Self::None => None,
            Self::Uring(uring) => uring.pop(),
            Self::Aio(aio) => aio.pop(),
        }
    }
}

/// A submission, made under the lock and run without it: it may take long.
pub enum Flush {
    Nothing,
    Uring(uring::Enter),
    Aio(aio::AioSubmit),
}

impl Flush {
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// Submits; true if [`Native::flushed`] must be called.
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
