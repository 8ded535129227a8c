//! An operation's description and the Python objects that hold its memory.

use std::ffi::{CString, c_void};

use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::buffer::Buffer;
use crate::descriptor::Descriptor;
use crate::flavor::Flavor;
use crate::paths::{LinkText, Paths, Room, Statx, entries, link_text, stat_result};
use crate::raw::*;
use crate::room::{BytesRoom, prefix, uninit_bytes};

/// The memory of an operation.
pub enum Memory {
    None,
    /// A read's `bytes`.
    Room(BytesRoom),
    /// A write's `bytes`, which are immutable.
    Bytes(Py<PyBytes>),
    /// Several of them.
    Vector(Vector),
    /// The program's, to read into.
    Buffer(Buffer),
    Paths(Paths),
    Stat {
        path: CString,
        room: Room<Statx>,
    },
    Link {
        path: CString,
        room: Room<LinkText>,
    },
}

/// Buffers of readv and writev, and the iovec array for the kernel.
pub struct Vector {
    buffers: Vec<Py<PyBytes>>,
    iovecs: Vec<IoVec>,
}

// SAFETY: the iovecs point into the buffers, which are kept alive beside them.
unsafe impl Send for Vector {}
// SAFETY: the iovecs are only read.
unsafe impl Sync for Vector {}

/// One operation, checked; immutable.
pub struct Io {
    pub code: Code,
    pub full: bool,
    /// `offset` is the directory of the second path.
    pub dir2: bool,
    pub fd: Descriptor,
    pub offset: u64,
    pub len: usize,
    pub sys_flags: u32,
    pub mode: u32,
    pub ioprio: u16,
    pub timeout_ns: u64,
    pub memory: Memory,
}

impl Io {
    /// An operation that uses nothing but `fd`.
    pub fn new(code: Code, fd: Descriptor) -> Self {
        let (offset, len, memory) = (0, 0, Memory::None);
        let (full, dir2, sys_flags, mode, ioprio, timeout_ns) = (false, false, 0, 0, 0, 0);
        Self { code, full, dir2, fd, offset, len, sys_flags, mode, ioprio, timeout_ns, memory }
    }

    pub fn read(py: Python<'_>, len: usize, fd: Descriptor, offset: u64) -> PyResult<Self> {
        let memory = Memory::Room(BytesRoom::new(py, len)?);
        Ok(Self { offset, len, memory, ..Self::new(Code::Read, fd) })
    }

    pub fn write(payload: &Bound<'_, PyAny>, fd: Descriptor, offset: u64) -> PyResult<Self> {
        let payload = payload.cast::<PyBytes>().map_err(|_| PyValueError::new_err("the payload must be bytes"))?;
        let len = payload.as_bytes().len();
        let memory = Memory::Bytes(payload.clone().unbind());
        Ok(Self { offset, len, memory, ..Self::new(Code::Write, fd) })
    }

    pub fn read_into(buffer: Buffer, fd: Descriptor, offset: u64) -> Self {
        let len = buffer.len();
        Self { offset, len, memory: Memory::Buffer(buffer), ..Self::new(Code::Read, fd) }
    }

    pub fn readv(py: Python<'_>, sizes: &[usize], fd: Descriptor, offset: u64) -> PyResult<Self> {
        let buffers = sizes.iter().map(|len| uninit_bytes(py, *len)).collect::<PyResult<Vec<_>>>()?;
        Ok(Self::vector(py, Code::Readv, buffers, fd, offset))
    }

    pub fn writev(py: Python<'_>, buffers: Vec<Py<PyBytes>>, fd: Descriptor, offset: u64) -> Self {
        Self::vector(py, Code::Writev, buffers, fd, offset)
    }

    fn vector(py: Python<'_>, code: Code, buffers: Vec<Py<PyBytes>>, fd: Descriptor, offset: u64) -> Self {
        let iovecs: Vec<_> = buffers
            .iter()
            .map(|buffer| buffer.as_bytes(py))
            .map(|bytes| IoVec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() })
            .collect();
        let len = iovecs.len();
        let memory = Memory::Vector(Vector { buffers, iovecs });
        Self { offset, len, memory, ..Self::new(code, fd) }
    }

    pub fn reads(&self) -> bool {
        matches!(self.code, Code::Read | Code::Readv)
    }

    pub fn writes(&self) -> bool {
        matches!(self.code, Code::Write | Code::Writev)
    }

    /// Its result is a number for the program.
    fn counts(&self) -> bool {
        self.opens() || matches!(self.code, Code::CopyRange | Code::Sendfile)
    }

    pub fn bytes(&self, py: Python<'_>) -> Option<Py<PyBytes>> {
        match &self.memory {
            Memory::Room(room) => room.object(py),
            Memory::Bytes(bytes) => Some(bytes.clone_ref(py)),
            _ => None,
        }
    }

    /// The request to the library; its memory lives as long as `self`.
    pub fn request(&self, py: Python<'_>, user_data: u64) -> Request {
        let none = std::ptr::null_mut();
        let path = |path: &CString| path.as_ptr().cast_mut().cast();
        let (buf, buf2): (*mut c_void, *mut c_void) = match &self.memory {
            Memory::None => (none, none),
            Memory::Room(room) => (room.memory(), none),
            Memory::Bytes(bytes) => (bytes.as_bytes(py).as_ptr().cast_mut().cast(), none),
            Memory::Vector(vector) => (vector.iovecs.as_ptr().cast_mut().cast(), none),
            Memory::Buffer(buffer) => (buffer.memory(), none),
            Memory::Paths(Paths { first, second }) => (path(first), second.as_ref().map_or(none, path)),
            Memory::Stat { path: name, room } => (path(name), room.pointer()),
            Memory::Link { path: name, room } => (path(name), room.pointer()),
        };
        Request {
            user_data,
            code: self.code,
            full: self.full,
            dir2: self.dir2,
            priority: self.ioprio,
            fd: self.fd.handle,
            memory: buf,
            len: self.len as u64,
            offset: self.offset,
            flags: self.sys_flags,
            mode: self.mode,
            timeout_ns: self.timeout_ns,
            memory2: buf2,
            link: false,
        }
    }

    /// The value of an operation that moved `result` bytes, or the exception of one that failed with that negative errno.
    /// The caller is the last one that wants it, so that a read's `bytes` are not copied.
    pub fn take_value(&self, py: Python<'_>, flavor: Flavor, result: i64) -> PyResult<Py<PyAny>> {
        let taken = match &self.memory {
            Memory::Room(room) if result >= 0 && self.reads() => room.take(py, result as usize),
            _ => None,
        };
        taken.map_or_else(|| self.value(py, flavor, result), Ok)
    }

    /// The same, for an operation that keeps its memory.
    pub fn value(&self, py: Python<'_>, flavor: Flavor, result: i64) -> PyResult<Py<PyAny>> {
        if result < 0 {
            let errno = Errno(-result as i32);
            return Err(if self.fails_as_os() { self.os_error(py, errno) } else { flavor.failure(py, errno) });
        }
        let moved = result as usize;
        Ok(match &self.memory {
            Memory::Room(room) if self.reads() => read_part(py, room, moved)?,
            Memory::Vector(vector) if self.reads() => vector.prefixes(py, moved)?,
            Memory::Room(room) => entries(py, room, moved)?,
            Memory::Stat { room, .. } => stat_result(py, room)?,
            Memory::Link { room, .. } => link_text(py, room, moved)?,
            Memory::None | Memory::Paths(_) if !self.counts() => py.None(),
            _ => result.into_pyobject(py)?.into_any().unbind(),
        })
    }

    /// The library no longer writes to the program's buffer.
    pub fn release_buffer(&self) {
        if let Memory::Buffer(buffer) = &self.memory {
            buffer.release();
        }
    }

    /// Zeroes what a read did not fill.
    pub fn zero_from(&self, moved: usize) {
        if let (Memory::Room(room), true) = (&self.memory, self.reads()) {
            room.zero_from(moved);
        }
    }
}

fn read_part(py: Python<'_>, room: &BytesRoom, moved: usize) -> PyResult<Py<PyAny>> {
    let object = room.object(py).ok_or_else(|| PyMemoryError::new_err(()))?;
    Ok(prefix(py, &object, moved))
}

impl Vector {
    fn prefixes(&self, py: Python<'_>, moved: usize) -> PyResult<Py<PyAny>> {
        let mut left = moved;
        let values = self.buffers.iter().map(|buffer| {
            let here = left.min(buffer.as_bytes(py).len());
            left -= here;
            prefix(py, buffer, here)
        });
        Ok(PyList::new(py, values.collect::<Vec<_>>())?.into_any().unbind())
    }
}
