//! libcaio's unsafe layer, which this package uses.

use std::mem::MaybeUninit;

pub use caio::Backend;
pub use caio::raw::{Code, Completion, Context as Ctx, Errno, IoVec, Options, Request};

pub type Result<T> = std::result::Result<T, Errno>;

/// Room for completions on the stack.
pub type Room<const N: usize> = [MaybeUninit<Completion>; N];

pub const fn room<const N: usize>() -> Room<N> {
    [const { MaybeUninit::uninit() }; N]
}

/// The number that Python's module `errno` has for it.
pub fn number(errno: Errno) -> i32 {
    crate::system::errno_for_python(errno.0)
}

/// The object that a proactor loop waits for: on Windows an event, elsewhere the descriptor.
pub fn event_handle(ctx: &Ctx) -> Result<isize> {
    match ctx.event_handle() {
        Err(Errno(libc::ENOSYS)) => ctx.descriptor().map(|fd| fd as isize),
        handle => handle.map(|handle| handle as isize),
    }
}
