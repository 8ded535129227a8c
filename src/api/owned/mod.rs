//! What operations own until they complete: buffers, paths and descriptors.
//!
//! Besides `capi` and `sys`, only this module contains `unsafe`. It lends memory to the library, which keeps each operation's
//! data in place until its event (see `super::state`), even if the program drops or forgets everything.

mod buffer;
mod copy;
mod descriptor;
mod file_system;
mod named;
mod path;
mod raw;
mod stat;
mod times;
mod transfer;
mod vectored;

pub use buffer::{IoBuf, IoBufMut, Slice};
pub use copy::Copying;
pub use descriptor::{CWD, Close, Cwd, Descriptor, OPENED, OnFd, OnFdSize, Open, OpenForChain, Opened, borrowed};
pub use file_system::{FileSystem, Statfs};
pub use named::{Getting, Setting, name};
pub use path::{OnPath, PathCall};
pub use raw::raw;
pub use stat::{MASK, Metadata, Stat};
pub use times::{FileTime, SettingTimes};
pub use transfer::{Entries, Reading, Writing};
pub use vectored::{ReadingParts, WritingParts};

use std::io;

use super::state::Outcome;
use crate::context::Memory;

/// Lends memory that an operation owns. Call it only in [`super::state::Operation::describe`].
fn lent(address: *mut u8) -> Memory {
    // SAFETY: the operation keeps its data in place until its event, as `Operation` requires.
    unsafe { Memory::new(address.cast()) }
}

/// The output of an operation that has lent all of `buffer` to be filled.
fn filled<B: IoBufMut>(mut buffer: B, outcome: Outcome) -> (io::Result<usize>, B) {
    let size = outcome.size();
    if let Ok(size) = size {
        // An extended attribute without room has the size that is needed as its result.
        let filled = size.min(buffer.capacity());
        // SAFETY: the library has written that many bytes.
        unsafe { buffer.set_len(filled) };
    }
    (size, buffer)
}
