//! The opcodes, as one table, and a validated operation with the memory that it borrows.

use crate::sys::input::Input;
use crate::sys::mem::{Memory, NULL};
use crate::sys::rw::{MAX_TRANSFER, MOST_PARTS, flags};

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
    ($($name:ident: $spec:expr;)+) => {
        /// An opcode; its value is its number in the C API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Code { $($name),+ }

        const TABLE: [Spec; Code::ALL.len()] = [$($spec),+];
        static SPECS: [Spec; Code::ALL.len()] = TABLE;

        impl Code {
            const ALL: [Self; [$(stringify!($name)),+].len()] = [$(Self::$name),+];
        }
    };
}

// The rows are in the order of the numbers, which never change.
opcodes! {
    Nop:       Spec { class: Class::Fast, uses_fd: false, ..CALL };
    Read:      Spec { reads: true, ..TRANSFER };
    Write:     Spec { ..TRANSFER };
    Fsync:     Spec { syncs: true, ..CALL };
    Fdsync:    Spec { syncs: true, ..CALL };
    Readv:     Spec { reads: true, vectored: true, ..TRANSFER };
    Writev:    Spec { vectored: true, ..TRANSFER };
    SyncRange: Spec { fields: RANGE, ..CALL };
    Allocate:  Spec { fields: RANGE, ..CALL };
    Truncate:  Spec { fields: OFFSET, ..CALL };
    Openat:    Spec { fields: BUF | SYS_FLAGS | MODE, opens_fd: true, ..PATH };
    // Of its results only -ECANCELED means that the number is still open.
    Close:     Spec { may_time_out: false, ..CALL };
    Statx:     Spec { fields: BUF | SYS_FLAGS | MODE | BUF2, class: Class::Fast, ..PATH };
    Renameat:  Spec { fields: BUF | SYS_FLAGS | BUF2 | DIR2, paths: 2, ..CALL };
    Unlinkat:  Spec { fields: BUF | SYS_FLAGS, ..PATH };
    Mkdirat:   Spec { fields: BUF | MODE, ..PATH };
    Readlinkat: Spec { fields: BUF | LEN | BUF2, class: Class::Fast, ..PATH };
    Symlinkat: Spec { fields: BUF | BUF2, paths: 2, ..CALL };
    Linkat:    Spec { fields: BUF | SYS_FLAGS | BUF2 | DIR2, paths: 2, ..CALL };
    Getdents:  Spec { fields: BUF | LEN, ..LOOKUP };
    CopyRange: Spec { ..COPY };
    Sendfile:  Spec { fields: LEN | OFFSET | MODE | FULL, input: Input::None, ..COPY };
    Splice:    Spec { fields: COPY.fields | SYS_FLAGS, ..COPY };
    Fadvise:   Spec { fields: RANGE, ..CALL };
    Seek:      Spec { fields: OFFSET | SYS_FLAGS, ..LOOKUP };
    Fchmodat:  Spec { fields: BUF | SYS_FLAGS | MODE, ..PATH };
    Fchownat:  Spec { fields: BUF | LEN | SYS_FLAGS | MODE, ..PATH };
    Utimensat: Spec { fields: BUF | SYS_FLAGS | BUF2, input: Input::Times, ..PATH };
    Faccessat: Spec { fields: BUF | SYS_FLAGS | MODE, class: Class::Fast, ..PATH };
    Fgetxattr: Spec { fields: BUF | LEN | BUF2, class: Class::Fast, ..PATH };
    Fsetxattr: Spec { fields: BUF | LEN | SYS_FLAGS | BUF2, ..PATH };
    Flistxattr: Spec { fields: LEN | BUF2, ..LOOKUP };
    Fremovexattr: Spec { ..PATH };
    Openat2:   Spec { fields: BUF | LEN | BUF2, input: Input::How, opens_fd: true, ..PATH };
    Syncfs:    Spec { ..CALL };
    Mknodat:   Spec { fields: BUF | OFFSET | MODE, ..PATH };
    Fstatfs:   Spec { fields: BUF2, ..LOOKUP };
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

impl Code {
    #[inline(always)]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    #[inline(always)]
    fn spec(self) -> &'static Spec {
        &SPECS[self as usize]
    }

    #[inline(always)]
    pub fn fields(self) -> u8 {
        self.spec().fields
    }

    /// Whether submit copies more of it than the operation itself.
    #[inline(always)]
    pub fn has_input(self) -> bool {
        which!(self, row => row.paths > 0 || !matches!(row.input, Input::None))
    }

    pub fn paths(self) -> u8 {
        self.spec().paths
    }

    pub fn input(self) -> Input {
        self.spec().input
    }

    pub fn uses_fd(self) -> bool {
        which!(self, row => row.uses_fd)
    }

    #[inline(always)]
    pub fn opens_fd(self) -> bool {
        which!(self, row => row.opens_fd)
    }

    #[inline(always)]
    pub fn transfers(self) -> bool {
        which!(self, row => row.transfers)
    }

    pub fn copies(self) -> bool {
        which!(self, row => row.copies)
    }

    #[inline(always)]
    fn moves(self) -> bool {
        which!(self, row => row.transfers || row.copies)
    }

    #[inline(always)]
    pub fn reads(self) -> bool {
        which!(self, row => row.reads)
    }

    pub fn writes(self) -> bool {
        self.spec().transfers && !which!(self, row => row.reads)
    }

    #[inline(always)]
    pub fn vectored(self) -> bool {
        which!(self, row => row.vectored)
    }

    pub fn syncs(self) -> bool {
        which!(self, row => row.syncs)
    }

    pub fn may_time_out(self) -> bool {
        which!(self, row => row.may_time_out)
    }
}

pub use crate::sys::CURRENT;

/// The descriptor that means the one that the nearest open before in the chain opened.
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
    pub role: Role,
}

impl Op {
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
        if waits { Class::Slow } else { self.code.spec().class }
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

/// A read or write at an offset that asks for nothing special.
#[derive(Clone, Copy)]
pub struct SimpleTransfer {
    pub user_data: u64,
    pub reads: bool,
    /// It has a priority or a timeout, which matter only if it must wait.
    pub hurried: bool,
    pub fd: i32,
    pub buf: Memory,
    pub len: u64,
    pub offset: u64,
}

impl SimpleTransfer {
    /// The same as [`Op::fits_the_kernel`].
    #[inline(always)]
    pub fn fits_the_kernel(&self) -> bool {
        !self.hurried && (1..=MAX_TRANSFER).contains(&self.len) && i64::try_from(self.offset).is_ok()
    }

    /// The whole operation, without its priority and timeout.
    #[inline(always)]
    pub fn op(self) -> Op {
        let Self { user_data, reads, hurried: _, fd, buf, len, offset } = self;
        Op {
            user_data,
            code: if reads { Code::Read } else { Code::Write },
            link: false,
            full: false,
            dir2: false,
            ioprio: 0,
            fd,
            buf,
            len,
            offset,
            sys_flags: 0,
            mode: 0,
            timeout_ns: 0,
            buf2: NULL,
            direct: false,
            storage: false,
            role: Role::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The opcodes that `capi` exports: name and number.
    fn exported() -> impl Iterator<Item = (String, u8)> {
        let lines = include_str!("capi/types.rs").lines().filter_map(|line| line.strip_prefix("pub const CAIO_OP_"));
        lines.map(|line| {
            let (name, number) = line.split_once(": u8 = ").unwrap();
            (name.replace('_', ""), number.trim_end_matches(';').parse().unwrap())
        })
    }

    #[test]
    fn each_exported_opcode_has_its_row() {
        for (name, number) in exported() {
            let code = Code::from_number(number).expect(&name);
            assert_eq!(format!("{code:?}").to_uppercase(), name);
        }
        assert_eq!(exported().count(), Code::ALL.len());
        assert_eq!(Code::from_number(Code::ALL.len() as u8), None);
    }

    #[test]
    fn each_row_is_complete() {
        for code in Code::ALL {
            let Spec { fields, paths, input, class: _, uses_fd, opens_fd, transfers, copies, reads, .. } = *code.spec();
            let Spec { vectored, syncs, may_time_out: _, .. } = *code.spec();
            let has = |field: u8| fields & field != 0;
            assert!(
                paths <= 2 && (paths < 1 || has(BUF)) && (paths < 2 || has(BUF2)),
                "{code:?}: paths are in buf and buf2"
            );
            assert!(!transfers || has(BUF) && has(LEN) && has(OFFSET) && paths == 0, "{code:?}: what a transfer needs");
            assert!(!copies || has(MODE) && has(LEN) && has(OFFSET) && !transfers, "{code:?}: what a copy needs");
            assert!(input == Input::None || has(BUF2) && paths < 2, "{code:?}: buf2 is one thing");
            assert!(has(FULL) == (transfers || copies), "{code:?}: only what moves bytes can be full");
            assert!(!has(DIR2) || paths == 2 && !has(OFFSET), "{code:?}: the directory of a second path");
            assert!(transfers || !reads && !vectored, "{code:?}: only transfers read or take iovecs");
            assert!(!transfers || !opens_fd && !syncs, "{code:?}: one kind of result");
            assert!(!opens_fd || paths > 0, "{code:?}: an open takes a path");
            assert!(uses_fd || fields == 0, "{code:?}: fields without a descriptor");
        }
    }

    #[test]
    fn only_writes_that_wait_for_the_device_are_slow_transfers() {
        let write = Op { code: Code::Write, ..Op::nop(0) };
        let synced = flags::SYNCED;
        assert_eq!(write.class(), Class::Fast);
        assert_eq!(Op { sys_flags: synced, ..write }.class(), Class::Slow);
        assert_eq!(Op { direct: true, ..write }.class(), Class::Slow);
        assert_eq!(Op { code: Code::Read, sys_flags: synced, ..write }.class(), Class::Fast);
    }

    #[test]
    fn a_directory_is_an_int_with_or_without_its_sign() {
        let linked = |offset| Op { code: Code::Linkat, dir2: true, offset, fd: 7, ..Op::nop(0) }.second_directory();
        assert_eq!([linked(3), linked(-100i64 as u64), linked(-100i32 as u32 as u64)], [3, -100, -100]);
        assert_eq!([linked(1 << 32 | 3), linked(1 << 63)], [-1, -1]);
        assert_eq!(Op { code: Code::Linkat, fd: 7, offset: 3, ..Op::nop(0) }.second_directory(), 7);
    }

    #[test]
    fn the_opened_descriptor_is_found_in_each_field() {
        let used = |op: Op| {
            let mut after = op;
            after.use_opened(7);
            (op.uses_opened(), after.fd, after.mode, after.offset)
        };
        let op = Op { mode: OPENED as u32, offset: OPENED as u64, ..Op::nop(0) };
        assert_eq!(used(Op { code: Code::Read, fd: OPENED, ..op }), (true, 7, OPENED as u32, OPENED as u64));
        assert_eq!(used(Op { code: Code::Sendfile, ..op }), (true, -1, 7, OPENED as u64));
        assert_eq!(used(Op { code: Code::Linkat, dir2: true, ..op }), (true, -1, OPENED as u32, 7));
        assert!(!Op { code: Code::Statx, ..op }.uses_opened() && !Op { fd: OPENED, ..op }.uses_opened());
    }

    #[test]
    fn an_operation_stays_small() {
        assert!(size_of::<Op>() <= 72);
    }
}
