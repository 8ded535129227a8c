//! Operations that were offered to a context, their memory, and how they ended.

use super::harmless;
use super::opened;
use super::plan::{Ask, CELLS, Setup, What};
use super::support::sys::Map;
use super::support::*;
use super::world::{UNTOUCHED, WORD, World};
use std::ffi::CString;
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};

/// What an operation does, for the check of its result.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// It always has this result.
    Always(i64),
    Read {
        file: usize,
        first: usize,
        count: usize,
    },
    Write {
        file: usize,
        first: usize,
        count: usize,
        stamp: u64,
    },
    StreamRead(usize),
    StreamWrite(usize),
    Open,
    OpenFifo,
    Close,
    /// Of what the chain opened: it runs if the open succeeded.
    CloseOpened,
    Statx,
    /// Submit refuses it with -EINVAL.
    Malformed,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    Outstanding,
    Event(i64, Instant),
    /// Its context was freed.
    Dropped,
    /// Not accepted.
    Withdrawn,
}

pub struct Record {
    pub slot: usize,
    /// The setup of its context.
    pub setup: Setup,
    pub op: caio_op,
    pub deed: Deed,
    pub memory: Memory,
    pub chain: usize,
    pub end: End,
    /// When submit got it.
    pub offered: Instant,
    /// A cancel may have found it, or must have found it.
    pub asked: bool,
    pub surely_asked: bool,
}

impl Record {
    pub fn uses_fd(&self, fd: RawFd) -> bool {
        self.op.fd == fd && self.op.opcode != CAIO_OP_NOP
    }

    /// Whether it completes without another call.
    pub fn ends_by_itself(&self) -> bool {
        let waits = matches!(self.deed, Deed::StreamRead(_) | Deed::StreamWrite(_) | Deed::OpenFifo);
        !waits || self.surely_asked || self.op.timeout_ns > 0
    }

    pub fn succeeded_in_full(&self, result: i64) -> bool {
        let transfers = matches!(self.op.opcode, CAIO_OP_READ | CAIO_OP_WRITE | CAIO_OP_READV | CAIO_OP_WRITEV);
        result >= 0 && (!transfers || result as u64 >= self.memory.len as u64)
    }
}

/// Memory that the library may use until the event. A margin after it must not change.
pub struct Memory {
    map: Option<Map>,
    /// Bytes that the operation asks for.
    pub len: usize,
    /// The iovecs of a vectored operation, and a copy of them.
    iovecs: Vec<libc::iovec>,
    before: Vec<(usize, usize)>,
    /// Paths, which are valid until submit returns.
    paths: Vec<CString>,
}

// SAFETY: plain memory, used by one thread at a time or by the library.
unsafe impl Send for Memory {}

const MARGIN: usize = 64;
/// The content of memory once the library must not use it.
const POISON: u8 = 0x5a;

impl Memory {
    pub fn none() -> Self {
        Self { map: None, len: 0, iovecs: Vec::new(), before: Vec::new(), paths: Vec::new() }
    }

    pub fn new(len: usize) -> Self {
        let mut map = Map::new((len + MARGIN).next_multiple_of(sys::PAGE));
        map.bytes_mut().fill(UNTOUCHED);
        Self { map: Some(map), len, ..Self::none() }
    }

    pub fn paths(paths: &[&str]) -> Self {
        Self { paths: paths.iter().map(|path| CString::new(*path).expect("no NUL")).collect(), ..Self::none() }
    }

    /// The memory, with a path.
    pub fn with_path(self, path: &str) -> Self {
        Self { paths: Self::paths(&[path]).paths, ..self }
    }

    pub fn path(&self, at: usize) -> *const std::ffi::c_char {
        self.paths[at].as_ptr()
    }

    pub fn bytes(&self) -> &[u8] {
        self.map.as_ref().map_or(&[], |map| &map.bytes()[..self.len])
    }

    pub fn fill(&mut self, bytes: &[u8]) {
        self.map.as_mut().expect("memory").bytes_mut()[..bytes.len()].copy_from_slice(bytes);
    }

    pub fn start(&self) -> *const u8 {
        self.map.as_ref().map_or(std::ptr::null(), |map| map.start().cast_const())
    }

    /// Splits the memory into up to five parts of odd lengths, or of whole blocks for O_DIRECT.
    fn scatter(&mut self, unit: usize) {
        let parts = (self.len / unit).clamp(1, 5);
        let step = self.len / parts / unit * unit;
        self.iovecs = (0..parts)
            .map(|part| {
                let len = if part + 1 == parts { self.len - part * step } else { step };
                libc::iovec { iov_base: self.start().wrapping_add(part * step).cast_mut().cast(), iov_len: len }
            })
            .collect();
        self.before = self.iovecs.iter().map(|iovec| (iovec.iov_base.addr(), iovec.iov_len)).collect();
    }

    /// Overwrites the paths, which submit must have copied.
    pub fn spoil_paths(&mut self) {
        for path in self.paths.drain(..) {
            let mut bytes = path.into_bytes_with_nul();
            bytes.fill(b'X');
        }
    }

    /// Checks that no byte after the end was written, and that the iovec array is unchanged.
    pub fn check(&self) {
        let margin = self.map.as_ref().map_or(&[][..], |map| &map.bytes()[self.len..][..MARGIN]);
        assert!(margin.iter().all(|byte| *byte == UNTOUCHED), "memory after a buffer was written");
        let after: Vec<_> = self.iovecs.iter().map(|iovec| (iovec.iov_base.addr(), iovec.iov_len)).collect();
        assert_eq!(after, self.before, "an iovec array was changed");
    }

    /// Fills the memory once the operation has its event, or its context was freed. Each later change is an error.
    pub fn poison(&mut self) {
        if let Some(map) = &mut self.map {
            map.bytes_mut().fill(POISON);
        }
        let nowhere = libc::iovec { iov_base: sys::nowhere().cast(), iov_len: 1 };
        self.iovecs.fill(nowhere);
    }

    pub fn still_poisoned(&self) -> bool {
        self.map.as_ref().is_none_or(|map| map.bytes().iter().all(|byte| *byte == POISON))
    }
}

/// All operations that were offered. An operation's tag is its index.
#[derive(Default)]
pub struct Records {
    pub all: Vec<Record>,
    pub chains: Vec<Range<usize>>,
}

impl Records {
    /// Makes the operations of a chain.
    pub fn offer(&mut self, world: &mut World, (slot, setup): (usize, Setup), asks: &[Ask]) -> Range<usize> {
        let (chain, first) = (self.chains.len(), self.all.len());
        let made = match asks {
            [Ask { what: What::Folder, .. }] => folder_chain(world),
            [ask @ Ask { what: What::Opened { how, cell, cells }, .. }] => {
                let mut made = opened::chain(world, chain, *how, (*cell, *cells));
                opened::limit(&mut made, ask);
                made
            }
            _ => asks.iter().map(|ask| prepare(world, chain, ask)).collect(),
        };
        let last = made.len() - 1;
        for (at, (op, deed, memory)) in made.into_iter().enumerate() {
            let op = op.tag(self.all.len() as u64).flag(if at < last { CAIO_FLAG_LINK } else { 0 });
            let (end, offered) = (End::Outstanding, Instant::now());
            let (asked, surely_asked) = (false, false);
            self.all.push(Record { slot, setup, op, deed, memory, chain, end, offered, asked, surely_asked });
        }
        self.chains.push(first..self.all.len());
        first..self.all.len()
    }
}

pub type Made = (caio_op, Deed, Memory);

fn prepare(world: &mut World, chain: usize, ask: &Ask) -> Made {
    let (mut op, deed, memory) = made(world, chain, ask);
    if ask.full && matches!(op.opcode, CAIO_OP_READ | CAIO_OP_WRITE | CAIO_OP_READV | CAIO_OP_WRITEV) {
        op = op.full();
    }
    op.timeout_ns = ask.timeout_us.unwrap_or(0) * 1000;
    (op.ioprio(ask.ioprio), deed, memory)
}

fn made(world: &mut World, chain: usize, ask: &Ask) -> Made {
    let dir = world.folder.as_raw_fd();
    let (file, stream) = (world.files[0].fd(), world.streams[0].reader.as_raw_fd());
    let always = |op: caio_op, result: i64| (op, Deed::Always(result), Memory::none());
    let room = |op: caio_op, len: usize, deed: Deed| {
        let memory = Memory::new(len);
        (op.buf(memory.start()).len(len as u64), deed, memory)
    };
    match ask.what {
        What::Nop | What::Folder | What::Opened { .. } => always(ops::nop(), 0),
        What::Read { file, cell, cells, vectored } => transfer(world, chain, file, (cell, cells), vectored, false),
        What::Write { file, cell, cells, vectored } => transfer(world, chain, file, (cell, cells), vectored, true),
        What::Beyond { file } => {
            let file = &world.files[file];
            let read = op(CAIO_OP_READ, file.fd()).at(file.size() - file.cell as u64);
            let (busy, short) = (!file.cells[CELLS - 1].writers.is_empty(), file.cell as i64);
            if busy { always(ops::nop(), 0) } else { room(read, 2 * file.cell, Deed::Always(short)) }
        }
        What::StreamRead { stream, len } => {
            let fd = world.streams[stream].reader.as_raw_fd();
            room(op(CAIO_OP_READ, fd).current(), len, Deed::StreamRead(stream))
        }
        What::StreamWrite { stream, len } => {
            let stream_ = &mut world.streams[stream];
            let bytes = stream_.bytes(len);
            let made = op(CAIO_OP_WRITE, stream_.writer.as_raw_fd()).current();
            let (op, deed, mut memory) = room(made, len, Deed::StreamWrite(stream));
            memory.fill(&bytes);
            (op, deed, memory)
        }
        What::Fsync { file } => always(ops::fsync(world.files[file].fd()), 0),
        What::Fdsync { file } => always(ops::fdsync(world.files[file].fd()), 0),
        What::SyncRange => always(op(CAIO_OP_SYNC_RANGE, file).len(sys::PAGE as u64).sys(2), 0),
        What::Allocate => always(op(CAIO_OP_ALLOCATE, file).len(world.files[0].size()), 0),
        What::Truncate => always(ops::truncate(file, world.files[0].size()), 0),
        What::Open => named(ops::openat(dir, c"", libc::O_RDONLY | libc::O_CLOEXEC, 0), "buffered", Deed::Open),
        What::OpenMissing => named(ops::openat(dir, c"", libc::O_RDONLY, 0), "missing", Deed::Always(-ENOENT)),
        What::OpenFifo => named(ops::openat(dir, c"", libc::O_RDONLY | libc::O_CLOEXEC, 0), "fifo", Deed::OpenFifo),
        What::Close => (ops::close(world.disposable()), Deed::Close, Memory::none()),
        What::Statx => {
            let memory = Memory::new(size_of::<libc::statx>()).with_path("buffered");
            let op = op(CAIO_OP_STATX, dir).buf(memory.path(0)).buf2(memory.start()).mode(libc::STATX_SIZE);
            (op, Deed::Statx, memory)
        }
        What::Harmless(which) => harmless::harmless(world, which),
        What::UnlinkMissing => named(ops::unlinkat(dir, c""), "missing", Deed::Always(-ENOENT)),
        What::BadDescriptor => room(op(CAIO_OP_READ, -1), 100, Deed::Always(-EBADF)),
        What::BadMemory => always(op(CAIO_OP_READ, file).buf(sys::nowhere()).len(100), -EFAULT),
        What::BadPath => always(op(CAIO_OP_UNLINKAT, dir).buf(sys::nowhere()), -EFAULT),
        What::Directory => room(op(CAIO_OP_READ, dir), 100, Deed::Always(-EISDIR)),
        What::StreamAtOffset { .. } => room(op(CAIO_OP_READ, stream), 100, Deed::Always(-ESPIPE)),
        What::Malformed(how) => (malformed(how), Deed::Malformed, Memory::none()),
    }
}

const EFAULT: i64 = libc::EFAULT as i64;
const EISDIR: i64 = libc::EISDIR as i64;
const ESPIPE: i64 = libc::ESPIPE as i64;

/// The operation with a path, in memory that is valid during the call only.
pub fn named(op: caio_op, path: &str, deed: Deed) -> Made {
    let memory = Memory::paths(&[path]);
    (op.buf(memory.path(0)), deed, memory)
}

/// The same with two paths.
pub fn two_names(op: caio_op, from: &str, to: &str) -> Made {
    let memory = Memory::paths(&[from, to]);
    (op.buf(memory.path(0)).buf2(memory.path(1)), Deed::Always(0), memory)
}

fn malformed(how: u8) -> caio_op {
    match how % 6 {
        0 => op(37 + how % 200, -1),
        1 => ops::nop().flag(4 << (how / 6 % 6)),
        2 => ops::nop().len(1),
        3 => ops::fsync(0).at(1),
        4 => ops::nop().full(),
        _ => op(CAIO_OP_READ, 0).mode(1),
    }
}

fn folder_chain(world: &mut World) -> Vec<Made> {
    let dir = world.folder.as_raw_fd();
    let (from, to) = (format!("from-{}", world.serial()), format!("to-{}", world.serial()));
    vec![
        named(ops::mkdirat(dir, c"", 0o700), &from, Deed::Always(0)),
        two_names(op(CAIO_OP_RENAMEAT, dir), &from, &to),
        named(ops::unlinkat(dir, c"").sys(libc::AT_REMOVEDIR.into()), &to, Deed::Always(0)),
    ]
}

pub fn transfer(world: &mut World, chain: usize, file: usize, at: (usize, usize), vectored: bool, write: bool) -> Made {
    let stamp = world.serial();
    let cells = &mut world.files[file];
    let Some((first, count)) = cells.free(at.0, at.1, chain, write) else {
        return (ops::nop(), Deed::Always(0), Memory::none());
    };
    for cell in &mut cells.cells[first..first + count] {
        let holders = if write { &mut cell.writers } else { &mut cell.readers };
        holders.push(chain);
    }
    let len = count * cells.cell;
    let mut memory = Memory::new(len);
    if write {
        memory.fill(&stamp.to_ne_bytes().repeat(len / WORD));
    }
    let opcode = match (write, vectored) {
        (false, false) => CAIO_OP_READ,
        (false, true) => CAIO_OP_READV,
        (true, false) => CAIO_OP_WRITE,
        (true, true) => CAIO_OP_WRITEV,
    };
    let op = op(opcode, cells.fd()).at((first * cells.cell) as u64);
    let op = if vectored {
        memory.scatter(if file == 0 { 1 } else { sys::PAGE });
        op.buf(memory.iovecs.as_ptr()).len(memory.iovecs.len() as u64)
    } else {
        op.buf(memory.start()).len(len as u64)
    };
    let deed = if write { Deed::Write { file, first, count, stamp } } else { Deed::Read { file, first, count } };
    (op, deed, memory)
}
