//! The status of a file.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::path::OnPath;
use super::{Descriptor, lent};
use crate::api::state::{Operation, Outcome};
use crate::context::{BASIC, BIRTH, Statx, Timestamp};
use crate::error::Result;
use crate::op::Op;

fn time_of(time: Timestamp) -> SystemTime {
    let whole = Duration::from_secs(time.sec.unsigned_abs());
    let second = if time.sec < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
    second.and_then(|second| second.checked_add(Duration::from_nanos(time.nsec.into()))).unwrap_or(UNIX_EPOCH)
}

/// The status of a file, of [`Context::stat`](crate::Context::stat).
///
/// # Examples
/// ```
/// # let ctx = caio::Context::new()?;
/// let metadata = ctx.block_on(ctx.stat(caio::CWD, "/etc/passwd"))?;
/// println!("{} bytes, changed {:?}", metadata.len(), metadata.modified());
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Copy)]
pub struct Metadata(Statx);

macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident: $type:ty = |$statx:ident| $value:expr;)+) => {
        impl Metadata {
            $(
                $(#[$doc])*
                ///
                /// # Examples
                /// ```
                /// # let ctx = caio::Context::new()?;
                /// # let metadata = ctx.block_on(ctx.stat(caio::CWD, "/etc/passwd"))?;
                #[doc = concat!("let value: ", stringify!($type), " = metadata.", stringify!($name), "();")]
                /// # std::io::Result::Ok(())
                /// ```
                #[allow(clippy::len_without_is_empty)]
                pub fn $name(&self) -> $type {
                    let $statx = &self.0;
                    $value
                }
            )+
        }
    };
}

facts! {
    /// The size of the file in bytes.
    len: u64 = |statx| statx.size;
    /// Whether it is a regular file.
    is_file: bool = |statx| u32::from(statx.mode) & S_IFMT == S_IFREG;
    /// Whether it is a directory.
    is_dir: bool = |statx| u32::from(statx.mode) & S_IFMT == S_IFDIR;
    /// Whether it is a symbolic link: set the flag `AT_SYMLINK_NOFOLLOW` of the request.
    is_symlink: bool = |statx| u32::from(statx.mode) & S_IFMT == S_IFLNK;
    /// The type and the permissions, as in `st_mode` of stat(2).
    mode: u32 = |statx| statx.mode.into();
    /// The user ID of the owner.
    uid: u32 = |statx| statx.uid;
    /// The group ID of the owner.
    gid: u32 = |statx| statx.gid;
    /// The number of hard links.
    nlink: u32 = |statx| statx.nlink;
    /// The inode number.
    ino: u64 = |statx| statx.ino;
    /// The device of the file: major and minor number.
    dev: (u32, u32) = |statx| (statx.dev_major, statx.dev_minor);
    /// The number of blocks of 512 bytes.
    blocks: u64 = |statx| statx.blocks;
    /// The time of the last change of the data.
    modified: std::time::SystemTime = |statx| time_of(statx.mtime);
    /// The time of the last change of the status.
    changed: std::time::SystemTime = |statx| time_of(statx.ctime);
    /// The time of the last access.
    accessed: std::time::SystemTime = |statx| time_of(statx.atime);
    /// The time when the file was created, if the file system has it.
    created: Option<std::time::SystemTime> = |statx| (statx.mask & BIRTH != 0).then(|| time_of(statx.btime));
}

// stat.h: the type of a file, of which statx(2) returns Linux's numbers on every system.
const S_IFMT: u32 = 0o170_000;
const S_IFREG: u32 = 0o100_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFLNK: u32 = 0o120_000;
/// What a [`Stat`] asks for.
pub const MASK: u32 = BASIC | BIRTH;

impl std::fmt::Debug for Metadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metadata").field("len", &self.len()).field("mode", &self.mode()).finish_non_exhaustive()
    }
}

/// Gets the status of a file.
pub struct Stat<F> {
    path: OnPath<F>,
    statx: Box<Statx>,
}

impl<F: Descriptor> Stat<F> {
    pub fn new(path: OnPath<F>) -> Self {
        Self { path, statx: Box::default() }
    }
}

impl<F: Descriptor> Operation for Stat<F> {
    type Output = io::Result<Metadata>;

    fn describe(&mut self) -> Result<Op> {
        Ok(Op { buf2: lent((&raw mut *self.statx).cast()), ..self.path.op()? })
    }

    fn finish(self, outcome: Outcome) -> Self::Output {
        outcome.result().map(|_| Metadata(*self.statx))
    }
}
