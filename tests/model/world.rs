//! The files and streams of the operations: files with a shadow copy, streams whose bytes are counted, a folder, a
//! FIFO.

use super::plan::{CELLS, FILES, STREAMS};
use super::support::files::Dir;
use super::support::*;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

/// A part of a file, which is written as a whole, and its possible content.
#[derive(Clone, Default)]
pub struct Cell {
    /// Each word is one of these stamps. There are several after a write that was stopped.
    pub allowed: Vec<u64>,
    /// Unresolved chains that read or write it.
    pub readers: Vec<usize>,
    pub writers: Vec<usize>,
}

/// A file of fixed size.
pub struct CellFile {
    pub file: File,
    pub cell: usize,
    pub cells: Vec<Cell>,
}

pub const WORD: usize = size_of::<u64>();

impl CellFile {
    fn new(dir: &Dir, name: &str, cell: usize, flags: i32) -> Self {
        let words: Vec<u8> = (0..CELLS as u64).flat_map(|at| at.to_ne_bytes().repeat(cell / WORD)).collect();
        std::fs::write(dir.join(name), words).expect(name);
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(dir.join(name)).expect(name);
        let cells = (0..CELLS as u64).map(|at| Cell { allowed: vec![at], ..Cell::default() }).collect();
        Self { file, cell, cells }
    }

    pub fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    pub fn size(&self) -> u64 {
        (self.cell * CELLS) as u64
    }

    /// A run of up to `count` cells that `chain` may read or write now, from `wanted` on; None if all cells are busy.
    pub fn free(&self, wanted: usize, count: usize, chain: usize, write: bool) -> Option<(usize, usize)> {
        let usable = |at: usize| {
            let cell = &self.cells[at % CELLS];
            let alone = |chains: &Vec<usize>| chains.iter().all(|other| *other == chain);
            alone(&cell.writers) && (!write || alone(&cell.readers))
        };
        let first = (wanted..wanted + CELLS).find(|at| usable(*at))? % CELLS;
        let count = (first..CELLS.min(first + count)).take_while(|at| usable(*at)).count();
        Some((first, count))
    }

    /// The content of the file matches the shadow copy.
    fn verify(&self, path: &std::path::Path) {
        let bytes = std::fs::read(path).expect("the file");
        assert_eq!(bytes.len() as u64, self.size(), "{}", path.display());
        for (at, cell) in self.cells.iter().enumerate() {
            assert!(cell.readers.is_empty() && cell.writers.is_empty(), "all resolved");
            verify_cell(&bytes[at * self.cell..][..self.cell], &cell.allowed, at);
        }
    }
}

pub fn verify_cell(bytes: &[u8], allowed: &[u64], at: usize) {
    for word in bytes.chunks_exact(WORD) {
        let word = u64::from_ne_bytes(word.try_into().expect("a word"));
        assert!(allowed.contains(&word), "cell {at} holds {word:#x}, not one of {allowed:x?}");
    }
}

/// A pipe or a pair of sockets. Each byte that is written is read once.
pub struct Stream {
    pub reader: OwnedFd,
    pub writer: OwnedFd,
    feeder: OwnedFd,
    drainer: OwnedFd,
    /// For each byte value, how often it was written, minus how often it was read.
    balance: [i64; 256],
    /// A context was freed with writes in flight, so the number of bytes that they moved is unknown.
    pub inexact: bool,
    next: u8,
}

/// The content of a read's buffer before the read. Streams never carry this byte.
pub const UNTOUCHED: u8 = 0xee;

impl Stream {
    fn new((reader, writer): (OwnedFd, OwnedFd)) -> Self {
        // The ends that operations use stay blocking.
        let (feeder, drainer) = (nonblocking(&writer, libc::O_WRONLY), nonblocking(&reader, libc::O_RDONLY));
        Self { reader, writer, feeder, drainer, balance: [0; 256], inexact: false, next: 0 }
    }

    fn pipe() -> Self {
        let ends = sys::pipe();
        sys::set_pipe_size(&ends.1, sys::PAGE as i32);
        Self::new(ends)
    }

    /// New bytes for the stream.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut byte = || {
            self.next = (self.next + 1) % (UNTOUCHED - 1);
            self.next + 1
        };
        (0..len).map(|_| byte()).collect()
    }

    pub fn went_in(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.balance[usize::from(*byte)] += 1);
    }

    pub fn came_out(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.balance[usize::from(*byte)] -= 1);
    }

    /// Descriptors for a thread that feeds or drains the stream. They never block.
    pub fn taps(&self) -> (RawFd, RawFd) {
        (self.feeder.as_raw_fd(), self.drainer.as_raw_fd())
    }

    fn verify(&mut self) {
        let mut rest = vec![0; 1 << 20];
        let got = drain(self.drainer.as_raw_fd(), &mut rest);
        self.came_out(&rest[..got]);
        let lost = self.balance.iter().position(|balance| *balance != 0);
        assert!(self.inexact || lost.is_none(), "bytes were lost or came twice: {lost:?} {:?}", self.balance);
    }
}

/// Another descriptor of the same pipe or socket that does not block.
fn nonblocking(fd: &OwnedFd, flags: i32) -> OwnedFd {
    let path = CString::new(format!("/proc/self/fd/{}", fd.as_raw_fd())).expect("no NUL");
    // SAFETY: a live string.
    let opened = unsafe { libc::open(path.as_ptr(), flags | libc::O_NONBLOCK | libc::O_CLOEXEC) };
    // A socket cannot be opened this way; for sockets, send(2) and recv(2) take a flag.
    if opened < 0 { sys::dup(fd.as_raw_fd()) } else { sys::owned(opened.into()) }
}

/// Writes as many of `bytes` as fit.
pub fn feed(fd: RawFd, bytes: &[u8]) -> usize {
    // SAFETY: a live buffer. If the descriptor is no socket, write(2) does not block on it.
    let put = unsafe {
        match libc::send(fd, bytes.as_ptr().cast(), bytes.len(), libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) {
            -1 if sys::errno() == libc::ENOTSOCK => libc::write(fd, bytes.as_ptr().cast(), bytes.len()),
            put => put,
        }
    };
    put.max(0) as usize
}

/// Reads what is there, up to the length of `bytes`.
pub fn drain(fd: RawFd, bytes: &mut [u8]) -> usize {
    let mut done = 0;
    while done < bytes.len() {
        let rest = &mut bytes[done..];
        // SAFETY: a live buffer, as in `feed`.
        let got = unsafe {
            match libc::recv(fd, rest.as_mut_ptr().cast(), rest.len(), libc::MSG_DONTWAIT) {
                -1 if sys::errno() == libc::ENOTSOCK => libc::read(fd, rest.as_mut_ptr().cast(), rest.len()),
                got => got,
            }
        };
        if got <= 0 {
            break;
        }
        done += got as usize;
    }
    done
}

pub struct World {
    pub dir: Dir,
    pub folder: File,
    pub files: [CellFile; FILES],
    pub streams: Vec<Stream>,
    /// What REPLACED may hold: each word of it is the same one of these.
    pub replacements: Vec<u64>,
    /// Makes names and stamps unique.
    serial: u64,
    next_high: RawFd,
}

/// Descriptors for CLOSE get numbers from here on. Each number is used once, so the test can check whether it was
/// closed.
const HIGH: RawFd = 2000;
/// The file that chains replace.
pub const REPLACED: &str = "replaced";
pub const REPLACED_SIZE: usize = 8192;
pub const FILE_NAMES: [&str; FILES] = ["buffered", "direct"];

impl World {
    pub fn new() -> Self {
        let dir = files::Folder::Disk.make();
        let fifo = dir.c("fifo");
        sys::make_fifo(&fifo);
        let direct = if dir.on_disk() { libc::O_DIRECT } else { 0 };
        let files =
            [CellFile::new(&dir, FILE_NAMES[0], 1024, 0), CellFile::new(&dir, FILE_NAMES[1], sys::PAGE, direct)];
        let streams =
            (0..STREAMS).map(|at| if at % 2 == 0 { Stream::pipe() } else { Stream::new(sys::socketpair()) }).collect();
        Self {
            folder: dir.open(),
            dir,
            files,
            streams,
            replacements: Vec::new(),
            serial: CELLS as u64,
            next_high: HIGH,
        }
    }

    pub fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// A descriptor of the folder under a number that is never used again.
    pub fn disposable(&mut self) -> RawFd {
        self.next_high += 1;
        // SAFETY: no memory involved.
        let fd = unsafe { libc::dup3(self.folder.as_raw_fd(), self.next_high, libc::O_CLOEXEC) };
        assert_eq!(fd, self.next_high, "dup3: {}", sys::errno());
        fd
    }

    /// Opens the FIFO's other end, so that all opens that wait for it complete.
    pub fn release_fifo(&self) -> OwnedFd {
        let fifo = self.dir.c("fifo");
        // SAFETY: a live string; the descriptor is fresh.
        unsafe { OwnedFd::from_raw_fd(libc::open(fifo.as_ptr(), libc::O_RDWR | libc::O_NONBLOCK | libc::O_CLOEXEC)) }
    }

    /// Checks all files and streams, after the last context is freed.
    pub fn verify(&mut self) {
        for (file, name) in self.files.iter().zip(FILE_NAMES) {
            file.verify(&self.dir.join(name));
        }
        self.streams.iter_mut().for_each(Stream::verify);
        self.verify_replaced();
    }

    /// A file that chains replace is whole at any time.
    fn verify_replaced(&self) {
        let Ok(bytes) = std::fs::read(self.dir.join(REPLACED)) else { return };
        assert_eq!(bytes.len(), REPLACED_SIZE, "a file was replaced by a part");
        let first = u64::from_ne_bytes(bytes[..WORD].try_into().expect("a word"));
        assert!(self.replacements.contains(&first), "{first:#x} was never written");
        verify_cell(&bytes, &[first], 0);
    }
}
