//! An operation's description and the Python objects that hold its memory.

use std::ffi::{CString, c_void};

use pyo3::exceptions::{PyMemoryError, PyOverflowError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::buffer::Buffer;
use crate::flavor::Flavor;
use crate::paths::{LinkText, Paths, Room, Statx, entries, link_text, stat_result};
use crate::raw::*;

/// The memory of an operation.
pub enum Memory {
    None,
    /// A read's `bytes`, which no program sees before the read completes, or a write's, which are immutable.
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
    iovecs: Vec<libc::iovec>,
}

// SAFETY: the iovecs point into the buffers, which are kept alive beside them.
unsafe impl Send for Vector {}
// SAFETY: the iovecs are only read.
unsafe impl Sync for Vector {}

/// One operation, checked; immutable.
pub struct Io {
    pub opcode: u8,
    pub flags: u8,
    pub fd: i32,
    pub offset: u64,
    pub len: usize,
    pub sys_flags: u32,
    pub mode: u32,
    pub ioprio: u16,
    pub timeout_ns: u64,
    pub memory: Memory,
}

/// A descriptor. A larger number is an error: cut off to 32 bits, it could be another file's.
pub fn descriptor(fd: i64) -> PyResult<i32> {
    i32::try_from(fd).map_err(|_| PyOverflowError::new_err(format!("fd ({fd}) is out of range")))
}

impl Io {
    /// An operation that uses nothing but `fd`.
    pub fn new(opcode: u8, fd: i32) -> Self {
        let (offset, len, memory) = (0, 0, Memory::None);
        Self { opcode, flags: 0, fd, offset, len, sys_flags: 0, mode: 0, ioprio: 0, timeout_ns: 0, memory }
    }

    pub fn read(py: Python<'_>, len: usize, fd: i32, offset: u64) -> PyResult<Self> {
        let memory = Memory::Bytes(uninit_bytes(py, len)?);
        Ok(Self { offset, len, memory, ..Self::new(CAIO_OP_READ, fd) })
    }

    pub fn write(payload: &Bound<'_, PyAny>, fd: i32, offset: u64) -> PyResult<Self> {
        let payload = payload.cast::<PyBytes>().map_err(|_| PyValueError::new_err("the payload must be bytes"))?;
        let len = payload.as_bytes().len();
        let memory = Memory::Bytes(payload.clone().unbind());
        Ok(Self { offset, len, memory, ..Self::new(CAIO_OP_WRITE, fd) })
    }

    pub fn read_into(buffer: Buffer, fd: i32, offset: u64) -> Self {
        let len = buffer.len();
        Self { offset, len, memory: Memory::Buffer(buffer), ..Self::new(CAIO_OP_READ, fd) }
    }

    pub fn readv(py: Python<'_>, sizes: &[usize], fd: i32, offset: u64) -> PyResult<Self> {
        let buffers = sizes.iter().map(|len| uninit_bytes(py, *len)).collect::<PyResult<Vec<_>>>()?;
        Ok(Self::vector(py, CAIO_OP_READV, buffers, fd, offset))
    }

    pub fn writev(py: Python<'_>, buffers: Vec<Py<PyBytes>>, fd: i32, offset: u64) -> Self {
        Self::vector(py, CAIO_OP_WRITEV, buffers, fd, offset)
    }

    fn vector(py: Python<'_>, opcode: u8, buffers: Vec<Py<PyBytes>>, fd: i32, offset: u64) -> Self {
        let iovecs: Vec<_> = buffers
            .iter()
            .map(|buffer| buffer.as_bytes(py))
            .map(|bytes| libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() })
            .collect();
        let len = iovecs.len();
        let memory = Memory::Vector(Vector { buffers, iovecs });
        Self { offset, len, memory, ..Self::new(opcode, fd) }
    }

    pub fn reads(&self) -> bool {
        matches!(self.opcode, CAIO_OP_READ | CAIO_OP_READV)
    }

    pub fn writes(&self) -> bool {
        matches!(self.opcode, CAIO_OP_WRITE | CAIO_OP_WRITEV)
    }

    /// Its result is a number for the program.
    fn counts(&self) -> bool {
        self.opens() || matches!(self.opcode, CAIO_OP_COPY_RANGE | CAIO_OP_SENDFILE)
    }

    pub fn bytes(&self) -> Option<&Py<PyBytes>> {
        match &self.memory {
            Memory::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The operation for the library; its memory lives as long as `self`.
    pub fn to_op(&self, py: Python<'_>, user_data: u64) -> caio_op {
        let none = std::ptr::null_mut();
        let path = |path: &CString| path.as_ptr().cast_mut().cast();
        let (buf, buf2): (*mut c_void, *mut c_void) = match &self.memory {
            Memory::None => (none, none),
            Memory::Bytes(bytes) => (bytes.as_bytes(py).as_ptr().cast_mut().cast(), none),
            Memory::Vector(vector) => (vector.iovecs.as_ptr().cast_mut().cast(), none),
            Memory::Buffer(buffer) => (buffer.memory(), none),
            Memory::Paths(Paths { first, second }) => (path(first), second.as_ref().map_or(none, path)),
            Memory::Stat { path: name, room } => (path(name), room.pointer()),
            Memory::Link { path: name, room } => (path(name), room.pointer()),
        };
        let mut op = blank_op();
        (op.user_data, op.opcode, op.flags, op.ioprio) = (user_data, self.opcode, self.flags, self.ioprio);
        (op.fd, op.buf, op.len, op.offset) = (self.fd, buf, self.len as u64, self.offset);
        (op.sys_flags, op.mode, op.timeout_ns, op.buf2) = (self.sys_flags, self.mode, self.timeout_ns, buf2);
        op
    }

    /// The value of an operation that moved `result` bytes, or the exception of one that failed with that negative errno.
    pub fn value(&self, py: Python<'_>, flavor: Flavor, result: i64) -> PyResult<Py<PyAny>> {
        if result < 0 {
            let errno = Errno(-result as i32);
            return Err(if self.fails_as_os() { self.os_error(py, errno) } else { flavor.failure(py, errno) });
        }
        let moved = result as usize;
        Ok(match &self.memory {
            Memory::Bytes(bytes) if self.reads() => prefix(py, bytes, moved),
            Memory::Vector(vector) if self.reads() => vector.prefixes(py, moved)?,
            Memory::Bytes(records) if self.opcode == CAIO_OP_GETDENTS => entries(py, &records.as_bytes(py)[..moved])?,
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
    pub fn zero_from(&self, py: Python<'_>, moved: usize) {
        if let (Memory::Bytes(bytes), true) = (&self.memory, self.reads()) {
            let bytes = bytes.as_bytes(py);
            if moved < bytes.len() {
                let tail = bytes[moved..].as_ptr().cast_mut();
                // SAFETY: within the object, which no program has seen yet.
                unsafe { tail.write_bytes(0, bytes.len() - moved) };
            }
        }
    }
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

/// The first `moved` bytes; the object itself if it has no more.
pub fn prefix(py: Python<'_>, bytes: &Py<PyBytes>, moved: usize) -> Py<PyAny> {
    let all = bytes.as_bytes(py);
    if moved == all.len() {
        bytes.clone_ref(py).into_any()
    } else {
        PyBytes::new(py, &all[..moved]).into_any().unbind()
    }
}

/// A `bytes` object to read into. It is not filled yet, so no program may see it. (CPython shares those of length 0, which
/// are never written to. It shares those of length 1 only when their value is passed.)
pub fn uninit_bytes(py: Python<'_>, len: usize) -> PyResult<Py<PyBytes>> {
    let len = isize::try_from(len).map_err(|_| PyMemoryError::new_err(()))?;
    // SAFETY: attached; NULL leaves the memory unset; the function returns a new reference to a bytes object.
    unsafe {
        let made = ffi::PyBytes_FromStringAndSize(std::ptr::null(), len);
        Ok(Bound::from_owned_ptr_or_err(py, made)?.cast_into_unchecked().unbind())
    }
}
