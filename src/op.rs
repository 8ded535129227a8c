//! The opcodes, as one table, and a validated operation with the memory that it borrows.

mod simple;
#[cfg(test)]
mod tests;

use std::fmt::{self, Write};

use crate::error::{Errno, Result};
use crate::sys::input::Input;
use crate::sys::mem::{Memory, NULL};
use crate::sys::rw::{MAX_TRANSFER, MOST_PARTS, flags};

pub use simple::SimpleTransfer;

/// What the library knows of an opcode, apart from its system call.
pub struct Spec {
    /// The fields of `caio_op` that it uses, of [`field`]. The others must be zero.
    fields: u8,
    /// How many strings it takes, such as paths: the first is in `buf`, the second in `buf2`.
    paths: u8,
    /// What submit reads at `buf2`.
    input: Input,
    class: Class,
    /// It works on `fd`.
    uses_fd: bool,
    /// Its result is a new descriptor.
    opens_fd: bool,
    /// Moves bytes between memory and `fd`.
    transfers: bool,
    /// Moves bytes from `fd` to the descriptor in `mode`.
    copies: bool,
    /// Of a transfer: into memory.
    reads: bool,
    /// Of a transfer: `buf` is an array of iovecs.
    vectored: bool,
    /// One call may serve several operations on the same descriptor.
    syncs: bool,
    /// A timeout may stop it.
    may_time_out: bool,
}

/// Which worker threads may run an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Any.
    Fast,
    /// A part of them, so that reads go on: it may take long or wait for others.
    Slow,
}

/// The fields of `caio_op` that only some opcodes use, and the flags that only some allow.
pub mod field {
    pub const BUF: u8 = 1 << 0;
    pub const LEN: u8 = 1 << 1;
    pub const OFFSET: u8 = 1 << 2;
    pub const SYS_FLAGS: u8 = 1 << 3;
    pub const MODE: u8 = 1 << 4;
    pub const BUF2: u8 = 1 << 5;
    pub const FULL: u8 = 1 << 6;
    /// With this flag, `offset` is a directory.
    pub const DIR2: u8 = 1 << 7;
    pub const RANGE: u8 = LEN | OFFSET | SYS_FLAGS;
}

use self::field::*;

/// Most opcodes: a system call that may take long.
const CALL: Spec = Spec {
    fields: 0,
    paths: 0,
    input: Input::None,
    class: Class::Slow,
    uses_fd: true,
    opens_fd: false,
    transfers: false,
    copies: false,
    reads: false,
    vectored: false,
    syncs: false,
    may_time_out: true,
};
const TRANSFER: Spec = Spec { fields: BUF | RANGE | FULL, class: Class::Fast, transfers: true, ..CALL };
const PATH: Spec = Spec { fields: BUF, paths: 1, ..CALL };
const COPY: Spec = Spec { fields: LEN | OFFSET | MODE | BUF2 | FULL, input: Input::Offset, copies: true, ..CALL };
/// It returns what a read of the directory or the inode returns.
const LOOKUP: Spec = Spec { class: Class::Fast, ..CALL };

macro_rules! opcodes {
    ($($name:ident: $spec:expr, $doc:literal;)+) => {
        /// An opcode; its value is its number in the C API. caio_op(3) describes the fields of each.
        ///
        /// # Examples
        /// ```
        /// assert_eq!(caio::raw::Code::Write as u8, 2);
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Code { $(#[doc = $doc] $name),+ }

        const TABLE: [Spec; Code::ALL.len()] = [$($spec),+];
        static SPECS: [Spec; Code::ALL.len()] = TABLE;
        static NAMES: [&str; Code::ALL.len()] = [$(stringify!($name)),+];

        impl Code {
            const ALL: [Self; [$(stringify!($name)),+].len()] = [$(Self::$name),+];
        }
    };
}

// The rows are in the order of the numbers, which never change.
opcodes! {
    Nop:       Spec { class: Class::Fast, uses_fd: false, ..CALL }, "Does nothing.";
    Read:      Spec { reads: true, ..TRANSFER }, "pread(2), or read(2).";
    Write:     Spec { ..TRANSFER }, "pwrite(2), or write(2).";
    Fsync:     Spec { syncs: true, ..CALL }, "fsync(2).";
    Fdsync:    Spec { syncs: true, ..CALL }, "fdatasync(2).";
    Readv:     Spec { reads: true, vectored: true, ..TRANSFER }, "preadv(2), or readv(2).";
    Writev:    Spec { vectored: true, ..TRANSFER }, "pwritev(2), or writev(2).";
    SyncRange: Spec { fields: RANGE, ..CALL }, "sync_file_range(2).";
    Allocate:  Spec { fields: RANGE, ..CALL }, "fallocate(2).";
    Truncate:  Spec { fields: OFFSET, ..CALL }, "ftruncate(2).";
    Openat:    Spec { fields: BUF | SYS_FLAGS | MODE, opens_fd: true, ..PATH }, "openat(2).";
    // Of its results only -ECANCELED means that the number is still open.
    Close:     Spec { may_time_out: false, ..CALL }, "close(2).";
    Statx:     Spec { fields: BUF | SYS_FLAGS | MODE | BUF2, class: Class::Fast, ..PATH }, "statx(2).";
    Renameat:  Spec { fields: BUF | SYS_FLAGS | BUF2 | DIR2, paths: 2, ..CALL }, "renameat2(2).";
    Unlinkat:  Spec { fields: BUF | SYS_FLAGS, ..PATH }, "unlinkat(2).";
    Mkdirat:   Spec { fields: BUF | MODE, ..PATH }, "mkdirat(2).";
    Readlinkat: Spec { fields: BUF | LEN | BUF2, class: Class::Fast, ..PATH }, "readlinkat(2).";
    Symlinkat: Spec { fields: BUF | BUF2, paths: 2, ..CALL }, "symlinkat(2).";
    Linkat:    Spec { fields: BUF | SYS_FLAGS | BUF2 | DIR2, paths: 2, ..CALL }, "linkat(2).";
    Getdents:  Spec { fields: BUF | LEN, ..LOOKUP }, "getdents64(2).";
    CopyRange: Spec { ..COPY }, "copy_file_range(2).";
    Sendfile:  Spec { fields: LEN | OFFSET | MODE | FULL, input: Input::None, ..COPY }, "sendfile(2).";
    Splice:    Spec { fields: COPY.fields | SYS_FLAGS, ..COPY }, "splice(2).";
    Fadvise:   Spec { fields: RANGE, ..CALL }, "posix_fadvise(2).";
    Seek:      Spec { fields: OFFSET | SYS_FLAGS, ..LOOKUP }, "lseek(2).";
    Fchmodat:  Spec { fields: BUF | SYS_FLAGS | MODE, ..PATH }, "fchmodat(2).";
    Fchownat:  Spec { fields: BUF | LEN | SYS_FLAGS | MODE, ..PATH }, "fchownat(2).";
    Utimensat: Spec { fields: BUF | SYS_FLAGS | BUF2, input: Input::Times, ..PATH }, "utimensat(2).";
    Faccessat: Spec { fields: BUF | SYS_FLAGS | MODE, class: Class::Fast, ..PATH }, "faccessat(2).";
    Fgetxattr: Spec { fields: BUF | LEN | BUF2, class: Class::Fast, ..PATH }, "fgetxattr(2).";
    Fsetxattr: Spec { fields: BUF | LEN | SYS_FLAGS | BUF2, ..PATH }, "fsetxattr(2).";
    Flistxattr: Spec { fields: LEN | BUF2, ..LOOKUP }, "flistxattr(2).";
    Fremovexattr: Spec { ..PATH }, "fremovexattr(2).";
    Openat2:   Spec { fields: BUF | LEN | BUF2, input: Input::How, opens_fd: true, ..PATH }, "openat2(2).";
    Syncfs:    Spec { ..CALL }, "syncfs(2).";
    Mknodat:   Spec { fields: BUF | OFFSET | MODE, ..PATH }, "mknodat(2).";
    Fstatfs:   Spec { fields: BUF2, ..LOOKUP }, "fstatfs(2).";
}

/// The opcodes whose row satisfies a condition, as a bit set: the check needs no memory access.
macro_rules! which {
    ($code:expr, $row:ident => $holds:expr) => {{
        const SET: u64 = {
            let (mut set, mut at) = (0, 0);
            while at < TABLE.len() {
                let $row = &TABLE[at];
                set |= ($holds as u64) << at;
                at += 1;
            }
            set
        };
        SET >> $code as u8 & 1 != 0
    }};
}

/// As in `CAIO_OP_*`, without underscores.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut letters = NAMES[*self as usize].chars();
        letters.try_for_each(|letter| f.write_char(letter.to_ascii_uppercase()))
    }
}

impl Code {
    #[inline(always)]
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    #[inline(always)]
    fn spec(self) -> &'static Spec {
        &SPECS[self as usize]
    }

    #[inline(always)]
    pub(crate) fn fields(self) -> u8 {
        self.spec().fields
    }

    /// Whether submit copies more of it than the operation itself.
    #[inline(always)]
    pub(crate) fn has_input(self) -> bool {
        which!(self, row => row.paths > 0 || !matches!(row.input, Input::None))
    }

    pub(crate) fn paths(self) -> u8 {
        self.spec().paths
    }

    pub(crate) fn input(self) -> Input {
        self.spec().input
    }

    pub(crate) fn uses_fd(self) -> bool {
        which!(self, row => row.uses_fd)
    }

    #[inline(always)]
    pub(crate) fn opens_fd(self) -> bool {
        which!(self, row => row.opens_fd)
    }

    #[inline(always)]
    pub(crate) fn transfers(self) -> bool {
        which!(self, row => row.transfers)
    }

    pub(crate) fn copies(self) -> bool {
        which!(self, row => row.copies)
    }

    #[inline(always)]
    fn moves(self) -> bool {
        which!(self, row => row.transfers || row.copies)
    }

    #[inline(always)]
    pub(crate) fn reads(self) -> bool {
        which!(self, row => row.reads)
    }

    pub(crate) fn writes(self) -> bool {
        self.spec().transfers && !which!(self, row => row.reads)
    }

    #[inline(always)]
    pub(crate) fn vectored(self) -> bool {
        which!(self, row => row.vectored)
    }

    pub(crate) fn syncs(self) -> bool {
        which!(self, row => row.syncs)
    }

    pub(crate) fn may_time_out(self) -> bool {
        which!(self, row => row.may_time_out)
    }
}

pub use crate::sys::CURRENT;

/// The descriptor that means the one that the nearest open before in the chain has opened.
///
/// # Examples
/// ```
/// use caio::raw::{Code, OPENED, Request};
/// let behind_an_open = Request { fd: OPENED, link: true, ..Request::new(Code::Read) };
/// ```
pub const OPENED: i32 = -2;

/// What an operation has to do with a descriptor that its chain opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    None,
    /// Opens it for the caller.
    Opens,
    /// Opens it for the chain, a CLOSE of which closes it.
    OpensForChain,
    /// Runs while it is open.
    Behind,
    /// Closes it, whatever became of the operations before.
    Closes,
}

/// One well-formed operation. Its system call checks the file and the memory.
#[derive(Clone, Copy)]
pub struct Op {
    pub user_data: u64,
    pub code: Code,
    /// The next operation of the same submit starts only after this one succeeded in full.
    pub link: bool,
    /// Finish short transfers.
    pub full: bool,
    /// `offset` is the directory of the second path.
    pub dir2: bool,
    pub ioprio: u16,
    pub fd: i32,
    pub buf: Memory,
    pub len: u64,
    pub offset: u64,
    pub sys_flags: u32,
    pub mode: u32,
    pub timeout_ns: u64,
    pub buf2: Memory,
    /// A write that is known to bypass the page cache (O_DIRECT), and so waits for the device.
    pub direct: bool,
    /// Its descriptor is known to be of a disk, so that the plain call waits for nothing else.
    pub storage: bool,
    /// It is likely to be short-running, as the kernel has in its caches what it needs.
    pub cached: bool,
    /// It does not wait.
    pub brief: bool,
    pub role: Role,
}

/// `field` if it is set.
#[inline(always)]
fn set(field: u8, is_set: bool) -> u8 {
    if is_set { field } else { 0 }
}

impl Op {
    /// The fields that are set, and that this opcode does not use. Branchless: submit looks at every operation.
    #[inline(always)]
    pub fn misused_fields(&self) -> u8 {
        let fields = set(BUF, !self.buf.address().is_null())
            | set(LEN, self.len != 0)
            | set(OFFSET, self.offset != 0)
            | set(SYS_FLAGS, self.sys_flags != 0)
            | set(MODE, self.mode != 0)
            | set(BUF2, !self.buf2.address().is_null())
            | set(FULL, self.full)
            | set(DIR2, self.dir2);
        fields & !(self.code.fields() | set(OFFSET, self.dir2))
    }

    /// The operation, or EINVAL if it is malformed.
    #[inline(always)]
    pub fn checked(self) -> Result<Self> {
        if self.misused_fields() == 0 { Ok(self) } else { Err(Errno(libc::EINVAL)) }
    }

    /// Reads or writes at the file's current position, and so moves it.
    pub fn at_current(&self) -> bool {
        self.offset == CURRENT
    }

    /// The directory of the second path. EBADF of the plain call if `offset` is none.
    pub fn second_directory(&self) -> i32 {
        match self.dir2 {
            true => descriptor(self.offset),
            false => self.fd,
        }
    }

    /// Moves bytes from or to a current position, so that they are not lost if it is stopped.
    pub fn moves_at_current(&self) -> bool {
        self.at_current() || self.code.copies() && self.buf2.address().is_null()
    }

    /// Whether it uses the descriptor that its chain opened.
    #[inline(always)]
    pub fn uses_opened(&self) -> bool {
        self.fd == OPENED && self.code.uses_fd() || self.uses_opened_second()
    }

    fn uses_opened_second(&self) -> bool {
        self.code.copies() && self.mode as i32 == OPENED || self.dir2 && descriptor(self.offset) == OPENED
    }

    /// Uses `fd` as that descriptor.
    pub fn use_opened(&mut self, fd: i32) {
        if self.uses_opened_second() {
            match self.dir2 {
                true => self.offset = fd as u64,
                false => self.mode = fd as u32,
            }
        }
        if self.fd == OPENED {
            self.fd = fd;
        }
    }

    /// The bytes that a transfer asks for; for vectored ones only the system call knows.
    pub fn wanted(&self) -> u64 {
        if self.code.vectored() { self.buf.iovec_total(self.len) } else { self.len }
    }

    /// Writes that wait for the device are slow.
    pub fn class(&self) -> Class {
        let waits = self.code.writes() && (self.sys_flags & flags::SYNCED != 0 || self.direct);
        if waits {
            Class::Slow
        } else if self.cached {
            Class::Fast
        } else {
            self.code.spec().class
        }
    }

    /// Whether a kernel's queue performs a transfer as the plain call would, if it accepts the file. A plain call checks
    /// the file even for 0 bytes, and the whole address range even beyond MAX_TRANSFER.
    pub fn fits_the_kernel(&self) -> bool {
        i64::try_from(self.offset).is_ok()
            && (1..=MAX_TRANSFER).contains(&self.len)
            && self.sys_flags & !(flags::SYNCED | flags::APPEND) == 0
            && (!self.code.vectored() || self.len <= MOST_PARTS)
            && priority_is_common(self.ioprio)
    }

    /// Whether `result` is all that was asked for, so that a linked operation may start.
    pub fn succeeded_in_full(&self, result: i64) -> bool {
        result >= 0 && (!self.code.moves() || result as u64 >= self.wanted())
    }
}

/// The descriptor that a 64-bit field holds, with or without sign extension; an invalid one for any other value.
fn descriptor(value: u64) -> i32 {
    let is_int = u32::try_from(value).is_ok() || i32::try_from(value as i64).is_ok();
    if is_int { value as i32 } else { -1 }
}

/// Whether every kernel's queue accepts this priority. It refuses others, but a priority is a hint and must not fail.
fn priority_is_common(value: u16) -> bool {
    const BEST_EFFORT: u16 = 2;
    const IDLE: u16 = 3;
    let (class, level) = (value >> 13, value & 0x1fff);
    value == 0 || (matches!(class, BEST_EFFORT | IDLE) && level < 8)
}

impl Op {
    /// An operation whose fields are not set. For the Rust API, which not every system has.
    #[allow(dead_code)]
    pub fn of(code: Code) -> Self {
        let (user_data, fd) = (0, -1);
        let nothing = SimpleTransfer { user_data, reads: true, hurried: false, fd, buf: NULL, len: 0, offset: 0 };
        Self { code, ..nothing.op() }
    }

    #[cfg(test)]
    pub fn nop(user_data: u64) -> Self {
        Self { user_data, ..Self::of(Code::Nop) }
    }
}
