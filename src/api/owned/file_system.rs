//! The status of a file system.

use std::fmt;
use std::io;

use super::{Descriptor, lent};
use crate::api::state::{Operation, Outcome};
use crate::error::Result;
use crate::op::{Code, Op};

/// The status of a file system, of [`ops::statfs`](crate::ops::statfs).
///
/// # Examples
/// ```
/// # let ctx = caio::Context::new()?;
/// let root = std::fs::File::open("/")?;
/// let status = ctx.block_on(ctx.submit(caio::ops::statfs(root)))?;
/// println!("{} of {} blocks are free", status.free_blocks(), status.blocks());
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Copy)]
pub struct FileSystem(libc::statfs);

macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $field:ident;)+) => {
        impl FileSystem {
            $(
                $(#[$doc])*
                ///
                /// # Examples
                /// ```
                /// # let ctx = caio::Context::new()?;
                /// # let status = ctx.block_on(ctx.submit(caio::ops::statfs(std::fs::File::open("/")?)))?;
                #[doc = concat!("let value: ", stringify!($type), " = status.", stringify!($name), "();")]
                /// # std::io::Result::Ok(())
                /// ```
                #[allow(clippy::unnecessary_cast)] // the types differ between systems
                pub fn $name(&self) -> $type {
                    self.0.$field as $type
                }
            )+
        }
    };
}

facts! {
    /// The type of the file system: a magic number of statfs(2).
    kind: u32 = f_type;
    /// The size of a block in bytes.
    block_size: u64 = f_bsize;
    /// The number of blocks.
    blocks: u64 = f_blocks;
    /// The number of free blocks.
    free_blocks: u64 = f_bfree;
    /// The number of free blocks for unprivileged users.
    available_blocks: u64 = f_bavail;
    /// The number of inodes.
    files: u64 = f_files;
    /// The number of free inodes.
    free_files: u64 = f_ffree;
}

impl fmt::Debug for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSystem").field("kind", &self.kind()).field("blocks", &self.blocks()).finish_non_exhaustive()
    }
}

/// Gets the status of a file system.
pub struct Statfs<F> {
    fd: F,
    status: Box<libc::statfs>,
}

impl<F: Descriptor> Statfs<F> {
    pub fn new(fd: F) -> Self {
        // SAFETY: plain data.
        Self { fd, status: Box::new(unsafe { std::mem::zeroed() }) }
    }
}

impl<F: Descriptor> Operation for Statfs<F> {
    type Output = io::Result<FileSystem>;

    fn describe(&mut self) -> Result<Op> {
        let buf2 = lent((&raw mut *self.status).cast());
        Ok(Op { fd: self.fd.raw(), buf2, ..Op::of(Code::Fstatfs) })
    }

    fn finish(self, outcome: Outcome) -> Self::Output {
        outcome.result().map(|_| FileSystem(*self.status))
    }
}
