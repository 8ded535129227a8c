//! Operations on paths and descriptors: open, close, stat and so on. They fail with the exceptions of the module `os`.

use std::cell::UnsafeCell;
use std::ffi::{CStr, CString, c_void};

use pyo3::exceptions::{PyOSError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList};

use crate::descriptor::Descriptor;
use crate::io::{Io, Memory};
use crate::raw::*;
use crate::room::BytesRoom;
use crate::system::{self, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, O_CLOEXEC};

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
    Fd(Descriptor),
}

impl<'py> FromPyObject<'_, 'py> for Target {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match given.extract() {
            Ok(fd) => Ok(Self::Fd(fd)),
            Err(error) if error.is_instance_of::<PyTypeError>(given.py()) => given.extract().map(Self::Path),
            Err(error) => Err(error),
        }
    }
}

/// A name of a file as `os.fsdecode()` returns it. On Windows it is UTF-8.
pub fn text<'py>(py: Python<'py>, name: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: attached; a buffer of that length. It returns a new reference, or sets an exception.
    unsafe {
        let made = ffi::PyUnicode_DecodeFSDefaultAndSize(name.as_ptr().cast(), name.len() as isize);
        Bound::from_owned_ptr_or_err(py, made)
    }
}

/// The name of a file for an exception.
pub fn file_name(py: Python<'_>, path: &CStr) -> PyResult<Py<PyAny>> {
    text(py, path.to_bytes()).map(Bound::unbind)
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
pub type LinkText = [u8; system::LONGEST_LINK];

// SAFETY: bytes.
unsafe impl Zeroable for LinkText {}

impl Io {
    fn of_path(code: Code, dir: Descriptor, path: Path) -> Self {
        Self { memory: Memory::Paths(Paths { first: path.0, second: None }), ..Self::new(code, dir) }
    }

    pub fn open(dir: Descriptor, path: Path, flags: i32, mode: u32) -> Self {
        // As the module `os` does.
        let sys_flags = (flags | O_CLOEXEC) as u32;
        Self { sys_flags, mode, ..Self::of_path(Code::Openat, dir, path) }
    }

    pub fn close(fd: Descriptor) -> Self {
        Self::new(Code::Close, fd)
    }

    pub fn truncate(fd: Descriptor, size: u64) -> Self {
        Self { offset: size, ..Self::new(Code::Truncate, fd) }
    }

    pub fn stat(dir: Descriptor, target: Target, follow: bool) -> Self {
        let no_follow = if follow { 0 } else { AT_SYMLINK_NOFOLLOW };
        let (fd, path, flags) = match target {
            Target::Path(path) => (dir, path.0, no_follow),
            Target::Fd(fd) => (fd, CString::default(), EMPTY_PATH),
        };
        let memory = Memory::Stat { path, room: Room::zeroed() };
        Self { sys_flags: flags as u32, mode: BASIC_STATS, memory, ..Self::new(Code::Statx, fd) }
    }

    pub fn rename(from_dir: Descriptor, from: Path, to_dir: Descriptor, to: Path) -> Self {
        let memory = Memory::Paths(Paths { first: from.0, second: Some(to.0) });
        // Sign-extended, as the library takes an int from it.
        let offset = i64::from(to_dir.handle) as u64;
        Self { dir2: true, offset, memory, ..Self::new(Code::Renameat, from_dir) }
    }

    pub fn unlink(dir: Descriptor, path: Path) -> Self {
        Self::of_path(Code::Unlinkat, dir, path)
    }

    pub fn rmdir(dir: Descriptor, path: Path) -> Self {
        Self { sys_flags: AT_REMOVEDIR as u32, ..Self::of_path(Code::Unlinkat, dir, path) }
    }

    pub fn mkdir(dir: Descriptor, path: Path, mode: u32) -> Self {
        Self { mode, ..Self::of_path(Code::Mkdirat, dir, path) }
    }

    pub fn readlink(dir: Descriptor, path: Path) -> Self {
        let memory = Memory::Link { path: path.0, room: Room::zeroed() };
        Self { len: size_of::<LinkText>(), memory, ..Self::new(Code::Readlinkat, dir) }
    }

    /// The next entries of a directory.
    pub fn entries(py: Python<'_>, fd: Descriptor, len: usize) -> PyResult<Self> {
        Ok(Self { len, memory: Memory::Room(BytesRoom::new(py, len)?), ..Self::new(Code::Getdents, fd) })
    }

    pub fn copy(from: Descriptor, to: Descriptor, offset: u64, len: usize) -> Self {
        Self { full: true, mode: to.handle as u32, offset, len, ..Self::new(Code::CopyRange, from) }
    }

    pub fn send_file(from: Descriptor, to: Descriptor, offset: u64, len: usize) -> Self {
        Self { mode: to.handle as u32, offset, len, ..Self::new(Code::Sendfile, from) }
    }

    /// What may complete immediately.
    pub fn kind(&self) -> Kind {
        match self.code {
            Code::Read | Code::Readv => Kind::Read,
            Code::Openat | Code::Statx | Code::Readlinkat => Kind::Lookup,
            _ => Kind::Other,
        }
    }

    /// Whether it fails with the exceptions of the module `os`, not with those of the original package.
    pub fn fails_as_os(&self) -> bool {
        !matches!(self.code, Code::Read | Code::Write | Code::Readv | Code::Writev | Code::Fsync | Code::Fdsync)
    }

    pub fn opens(&self) -> bool {
        self.code == Code::Openat
    }

    pub fn closes(&self) -> bool {
        self.code == Code::Close
    }

    /// The exception of the module `os`, with the names of the files.
    pub fn os_error(&self, py: Python<'_>, errno: Errno) -> PyErr {
        let name = |path: &CString| file_name(py, path).unwrap_or_else(|_| py.None());
        let (number, text) = (number(errno), errno.text());
        match &self.memory {
            Memory::Paths(Paths { first, second: Some(second) }) => {
                PyOSError::new_err((number, text, name(first), py.None(), name(second)))
            }
            Memory::Paths(Paths { first: path, second: None })
            | Memory::Stat { path, .. }
            | Memory::Link { path, .. }
                if !path.is_empty() =>
            {
                PyOSError::new_err((number, text, name(path)))
            }
            _ => PyOSError::new_err((number, text)),
        }
    }
}

/// An `os.stat_result`.
pub fn stat_result(py: Python<'_>, room: &Room<Statx>) -> PyResult<Py<PyAny>> {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let stat = room.filled();
    let time = |time: Timestamp| (time.seconds, time.nanoseconds);
    let ids = (stat.mode, stat.inode, system::device(stat.file_system), stat.links, stat.uid, stat.gid, stat.size);
    let times = (time(stat.accessed), time(stat.modified), time(stat.changed));
    let made = MAKE.import(py, "caio._stat", "stat_result")?;
    made.call1((ids, times, stat.block_size, stat.blocks, system::device(stat.device))).map(Bound::unbind)
}

/// What a symbolic link says.
pub fn link_text(py: Python<'_>, room: &Room<LinkText>, len: usize) -> PyResult<Py<PyAny>> {
    text(py, &room.filled()[..len]).map(Bound::unbind)
}

/// The name, inode and type of each record of `struct linux_dirent64`, without `.` and `..`.
pub fn entries(py: Python<'_>, room: &BytesRoom, moved: usize) -> PyResult<Py<PyAny>> {
    let object = room.object(py);
    let mut records = object.as_ref().map_or(&[][..], |object| &object.as_bytes(py)[..moved]);
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
            found.append((text(py, name)?, inode, record[TYPE]))?;
        }
        records = rest;
    }
    Ok(found.into_any().unbind())
}
