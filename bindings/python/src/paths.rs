//! Operations on paths and descriptors: open, close, stat and so on. They fail with the exceptions of the module `os`.

use std::cell::UnsafeCell;
use std::ffi::{CString, OsStr, c_void};
use std::os::unix::ffi::OsStrExt;

use pyo3::exceptions::{PyOSError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList};

use crate::io::{Io, Memory, descriptor, uninit_bytes};
use crate::raw::*;

/// Operations that complete immediately if the page cache, or the cache of names, has what they need.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Read,
    Lookup,
    Other,
}

/// A path argument: str, bytes or os.PathLike.
#[derive(Clone)]
pub struct Path(pub CString);

impl<'py> FromPyObject<'_, 'py> for Path {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let mut bytes: *mut ffi::PyObject = std::ptr::null_mut();
        // SAFETY: attached. After a success, `bytes` is a new reference to a bytes object without a null byte inside.
        let encoded = unsafe {
            if ffi::PyUnicode_FSConverter(given.as_ptr(), (&raw mut bytes).cast::<c_void>()) == 0 {
                return Err(PyErr::fetch(given.py()));
            }
            Bound::from_owned_ptr(given.py(), bytes).cast_into_unchecked::<PyBytes>()
        };
        Ok(Self(CString::new(encoded.as_bytes())?))
    }
}

/// A path, or the number of a descriptor.
pub enum Target {
    Path(Path),
    Fd(i32),
}

impl<'py> FromPyObject<'_, 'py> for Target {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match given.extract::<i64>() {
            Ok(fd) => Ok(Self::Fd(descriptor(fd)?)),
            Err(error) if error.is_instance_of::<PyTypeError>(given.py()) => given.extract().map(Self::Path),
            Err(error) => Err(error),
        }
    }
}

/// A `dir_fd` argument. None is the working directory.
pub fn directory(dir_fd: Option<i64>) -> PyResult<i32> {
    dir_fd.map_or(Ok(libc::AT_FDCWD), descriptor)
}

/// The paths of an operation, which submit copies.
pub struct Paths {
    pub first: CString,
    pub second: Option<CString>,
}

/// Room that the library fills.
pub struct Room<T>(Box<UnsafeCell<T>>);

// SAFETY: the library writes it before the event, and it is only read after that.
unsafe impl<T: Send> Send for Room<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Room<T> {}

impl<T: Copy> Room<T> {
    pub fn zeroed() -> Self
    where
        T: Zeroable,
    {
        // SAFETY: zeroes are a value of the type.
        Self(Box::new(UnsafeCell::new(unsafe { std::mem::zeroed() })))
    }

    pub fn pointer(&self) -> *mut c_void {
        self.0.get().cast()
    }

    /// What the library has written; after the event only.
    fn filled(&self) -> T {
        // SAFETY: the event has come, so that nothing writes to it.
        unsafe { *self.0.get() }
    }
}

/// # Safety
/// All zeroes are a value of the type.
pub unsafe trait Zeroable {}

// SAFETY: integers.
unsafe impl Zeroable for Statx {}

/// What STATX fills: `struct statx` of Linux on each system.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Statx {
    mask: u32,
    block_size: u32,
    attributes: u64,
    links: u32,
    uid: u32,
    gid: u32,
    mode: u16,
    spare: u16,
    inode: u64,
    size: u64,
    blocks: u64,
    attributes_mask: u64,
    accessed: Timestamp,
    born: Timestamp,
    changed: Timestamp,
    modified: Timestamp,
    /// Major and minor number of a device file.
    device: [u32; 2],
    /// Of the file system's device.
    file_system: [u32; 2],
    reserved: [u64; 14],
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Timestamp {
    seconds: i64,
    nanoseconds: u32,
    reserved: i32,
}

const _: () = assert!(size_of::<Statx>() == 256);
/// AT_EMPTY_PATH and STATX_BASIC_STATS of Linux.
const EMPTY_PATH: i32 = 0x1000;
const BASIC_STATS: u32 = 0x7ff;

/// As long as the text of a symbolic link can be.
pub type LinkText = [u8; libc::PATH_MAX as usize];

// SAFETY: bytes.
unsafe impl Zeroable for LinkText {}

impl Io {
    fn of_path(opcode: u8, dir: i32, path: Path) -> Self {
        Self { memory: Memory::Paths(Paths { first: path.0, second: None }), ..Self::new(opcode, dir) }
    }

    pub fn open(dir: i32, path: Path, flags: i32, mode: u32) -> Self {
        // As the module `os` does.
        let sys_flags = (flags | libc::O_CLOEXEC) as u32;
        Self { sys_flags, mode, ..Self::of_path(CAIO_OP_OPENAT, dir, path) }
    }

    pub fn close(fd: i32) -> Self {
        Self::new(CAIO_OP_CLOSE, fd)
    }

    pub fn truncate(fd: i32, size: u64) -> Self {
        Self { offset: size, ..Self::new(CAIO_OP_TRUNCATE, fd) }
    }

    pub fn stat(dir: i32, target: Target, follow: bool) -> Self {
        let no_follow = if follow { 0 } else { libc::AT_SYMLINK_NOFOLLOW };
        let (fd, path, flags) = match target {
            Target::Path(path) => (dir, path.0, no_follow),
            Target::Fd(fd) => (fd, CString::default(), EMPTY_PATH),
        };
        let memory = Memory::Stat { path, room: Room::zeroed() };
        Self { sys_flags: flags as u32, mode: BASIC_STATS, memory, ..Self::new(CAIO_OP_STATX, fd) }
    }

    pub fn rename(from_dir: i32, from: Path, to_dir: i32, to: Path) -> Self {
        let memory = Memory::Paths(Paths { first: from.0, second: Some(to.0) });
        // Sign-extended, as the library takes an int from it.
        let offset = i64::from(to_dir) as u64;
        Self { flags: CAIO_FLAG_DIR2, offset, memory, ..Self::new(CAIO_OP_RENAMEAT, from_dir) }
    }

    pub fn unlink(dir: i32, path: Path) -> Self {
        Self::of_path(CAIO_OP_UNLINKAT, dir, path)
    }

    pub fn rmdir(dir: i32, path: Path) -> Self {
        Self { sys_flags: libc::AT_REMOVEDIR as u32, ..Self::of_path(CAIO_OP_UNLINKAT, dir, path) }
    }

    pub fn mkdir(dir: i32, path: Path, mode: u32) -> Self {
        Self { mode, ..Self::of_path(CAIO_OP_MKDIRAT, dir, path) }
    }

    pub fn readlink(dir: i32, path: Path) -> Self {
        let memory = Memory::Link { path: path.0, room: Room::zeroed() };
        Self { len: size_of::<LinkText>(), memory, ..Self::new(CAIO_OP_READLINKAT, dir) }
    }

    /// The next entries of a directory.
    pub fn entries(py: Python<'_>, fd: i32, len: usize) -> PyResult<Self> {
        Ok(Self { len, memory: Memory::Bytes(uninit_bytes(py, len)?), ..Self::new(CAIO_OP_GETDENTS, fd) })
    }

    pub fn copy(from: i32, to: i32, offset: u64, len: usize) -> Self {
        Self { flags: CAIO_FLAG_FULL, mode: to as u32, offset, len, ..Self::new(CAIO_OP_COPY_RANGE, from) }
    }

    pub fn send_file(from: i32, to: i32, offset: u64, len: usize) -> Self {
        Self { mode: to as u32, offset, len, ..Self::new(CAIO_OP_SENDFILE, from) }
    }

    /// What may complete immediately.
    pub fn kind(&self) -> Kind {
        match self.opcode {
            CAIO_OP_READ | CAIO_OP_READV => Kind::Read,
            CAIO_OP_OPENAT | CAIO_OP_STATX | CAIO_OP_READLINKAT => Kind::Lookup,
            _ => Kind::Other,
        }
    }

    /// Whether it fails with the exceptions of the module `os`, not with those of the original package.
    pub fn fails_as_os(&self) -> bool {
        !matches!(
            self.opcode,
            CAIO_OP_READ | CAIO_OP_WRITE | CAIO_OP_READV | CAIO_OP_WRITEV | CAIO_OP_FSYNC | CAIO_OP_FDSYNC
        )
    }

    pub fn opens(&self) -> bool {
        self.opcode == CAIO_OP_OPENAT
    }

    pub fn closes(&self) -> bool {
        self.opcode == CAIO_OP_CLOSE
    }

    /// The exception of the module `os`, with the names of the files.
    pub fn os_error(&self, py: Python<'_>, errno: Errno) -> PyErr {
        let name = |path: &CString| OsStr::from_bytes(path.as_bytes()).to_owned();
        let text = errno.text();
        match &self.memory {
            Memory::Paths(Paths { first, second: Some(second) }) => {
                PyOSError::new_err((errno.0, text, name(first), py.None(), name(second)))
            }
            Memory::Paths(Paths { first: path, second: None })
            | Memory::Stat { path, .. }
            | Memory::Link { path, .. }
                if !path.is_empty() =>
            {
                PyOSError::new_err((errno.0, text, name(path)))
            }
            _ => PyOSError::new_err((errno.0, text)),
        }
    }
}

/// An `os.stat_result`.
pub fn stat_result(py: Python<'_>, room: &Room<Statx>) -> PyResult<Py<PyAny>> {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let stat = room.filled();
    let time = |time: Timestamp| (time.seconds, time.nanoseconds);
    let ids = (stat.mode, stat.inode, device(stat.file_system), stat.links, stat.uid, stat.gid, stat.size);
    let times = (time(stat.accessed), time(stat.modified), time(stat.changed));
    let made = MAKE.import(py, "caio._stat", "stat_result")?;
    made.call1((ids, times, stat.block_size, stat.blocks, device(stat.device))).map(Bound::unbind)
}

/// The number of a device, as in struct stat.
#[allow(clippy::unnecessary_cast)]
fn device([major, minor]: [u32; 2]) -> u64 {
    libc::makedev(major as _, minor as _) as u64
}

/// What a symbolic link says.
pub fn link_text(py: Python<'_>, room: &Room<LinkText>, len: usize) -> PyResult<Py<PyAny>> {
    let text = room.filled();
    Ok(OsStr::from_bytes(&text[..len]).into_pyobject(py)?.into_any().unbind())
}

/// The name, inode and type of each record of `struct linux_dirent64`, without `.` and `..`.
pub fn entries(py: Python<'_>, mut records: &[u8]) -> PyResult<Py<PyAny>> {
    const LENGTH: usize = 16;
    const TYPE: usize = 18;
    const NAME: usize = 19;
    let found = PyList::empty(py);
    while records.len() > NAME {
        let length = u16::from_ne_bytes([records[LENGTH], records[LENGTH + 1]]) as usize;
        let (record, rest) = records.split_at(length.clamp(NAME + 1, records.len()));
        let name = record[NAME..].split(|byte| *byte == 0).next().unwrap_or_default();
        if name != b"." && name != b".." {
            let inode = u64::from_ne_bytes(std::array::from_fn(|index| record[index]));
            found.append((OsStr::from_bytes(name), inode, record[TYPE]))?;
        }
        records = rest;
    }
    Ok(found.into_any().unbind())
}
