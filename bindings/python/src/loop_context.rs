//! The native part of `AsyncioContext`: creates a coroutine for each operation.

use std::sync::OnceLock;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::buffer::Buffer;
use crate::chain::Chain;
use crate::context::BaseContext;
use crate::coroutine::{Coroutine, Work};
use crate::descriptor::Descriptor;
use crate::flavor::Flavor;
use crate::io::Io;
use crate::loop_state::LoopState;
use crate::operation::Operation;
use crate::paths::{Path, Target};
use crate::raw::*;
use crate::system::O_RDONLY;

/// Base of the native AsyncioContext classes.
#[pyclass(subclass, frozen, weakref, module = "caio._native")]
pub struct LoopContext {
    loop_state: OnceLock<Py<LoopState>>,
}

impl LoopContext {
    fn loop_state(&self) -> PyResult<&Py<LoopState>> {
        self.loop_state.get().ok_or_else(|| PyRuntimeError::new_err("AsyncioContext.__init__() was not called"))
    }

    fn work(slf: &Bound<'_, Self>, work: Work) -> PyResult<Py<Coroutine>> {
        let loop_state = slf.get().loop_state()?.clone_ref(slf.py());
        crate::send::new(slf.py(), Coroutine::new(slf.clone().unbind(), loop_state, work))
    }

    fn request(slf: &Bound<'_, Self>, mut io: Io, priority: i64, timeout: Option<f64>) -> PyResult<Py<Coroutine>> {
        let loop_state = slf.get().loop_state()?;
        if priority != 0 {
            io.ioprio = loop_state.get().core.flavor.priority(priority)?;
        }
        if let Some(timeout) = timeout {
            io.timeout_ns = nanoseconds(timeout)?;
        }
        Self::work(slf, Work::Io(io))
    }
}

/// A timeout in nanoseconds; at least one, as 0 means no timeout.
fn nanoseconds(seconds: f64) -> PyResult<u64> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(PyValueError::new_err(format!("timeout ({seconds}) must not be negative")));
    }
    Ok(((seconds * 1e9) as u64).max(1))
}

/// The methods. Those of the first list have the same arguments but for the first one.
macro_rules! methods {
    ({ $($(#[$doc:meta])* $name:ident($first:ident: $type:ty) = $io:expr;)+ } $($other:tt)*) => {
        #[pymethods]
        impl LoopContext {
            $(
                $(#[$doc])*
                #[pyo3(signature = ($first, fd, offset, priority=0, *, timeout=None))]
                fn $name(
                    slf: &Bound<'_, Self>,
                    $first: $type,
                    fd: Descriptor,
                    offset: &Bound<'_, PyAny>,
                    priority: i64,
                    timeout: Option<f64>,
                ) -> PyResult<Py<Coroutine>> {
                    let make: fn(Python<'_>, $type, Descriptor, u64, Flavor) -> PyResult<Io> = $io;
                    let flavor = slf.get().loop_state()?.get().core.flavor;
                    let io = make(slf.py(), $first, fd, flavor.offset(Some(offset))?, flavor)?;
                    Self::request(slf, io, priority, timeout)
                }
            )+

            $($other)*
        }
    };
}

methods! {
    {
        /// Reads up to `nbytes` bytes at `offset`; -1 is the file's current position.
        read(nbytes: &Bound<'_, PyAny>) =
            |py, nbytes, fd, offset, flavor| Io::read(py, flavor.length(nbytes)?, fd, offset);
        /// Writes `payload` at `offset`; returns how many bytes were written.
        write(payload: &Bound<'_, PyAny>) = |_, payload, fd, offset, _| Io::write(payload, fd, offset);
        /// Reads into several bytes objects of these sizes in one call; returns a list of them.
        readv(sizes: Vec<usize>) = |py, sizes, fd, offset, _| Io::readv(py, &sizes, fd, offset);
        /// Writes several bytes objects, one after the other, in one call; returns how many bytes were written.
        writev(payloads: Vec<Py<PyBytes>>) = |py, payloads, fd, offset, _| Ok(Io::writev(py, payloads, fd, offset));
        /// Reads into a writable buffer of the program's; returns how many bytes were read.
        readinto(buffer: &Bound<'_, PyAny>) =
            |_, buffer, fd, offset, _| Ok(Io::read_into(Buffer::new(buffer)?, fd, offset));
    }

    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, pyo3::types::PyDict>>) -> Self {
        Self { loop_state: OnceLock::new() }
    }

    /// Connects a context with an event loop.
    fn _open(&self, context: &Bound<'_, BaseContext>, event_loop: Bound<'_, PyAny>, deferred: bool) -> PyResult<()> {
        let loop_state = LoopState::new(context.get().core.clone(), event_loop, deferred)?;
        self.loop_state
            .set(loop_state)
            .map_err(|_| PyRuntimeError::new_err("AsyncioContext.__init__() was called twice"))
    }

    /// fsync(2).
    #[pyo3(signature = (fd, priority=0, *, timeout=None))]
    fn fsync(slf: &Bound<'_, Self>, fd: Descriptor, priority: i64, timeout: Option<f64>) -> PyResult<Py<Coroutine>> {
        Self::request(slf, Io::new(Code::Fsync, fd), priority, timeout)
    }

    /// fdatasync(2).
    #[pyo3(signature = (fd, priority=0, *, timeout=None))]
    fn fdsync(slf: &Bound<'_, Self>, fd: Descriptor, priority: i64, timeout: Option<f64>) -> PyResult<Py<Coroutine>> {
        Self::request(slf, Io::new(Code::Fdsync, fd), priority, timeout)
    }

    /// Opens a file, as os.open(); returns the descriptor. If it is cancelled, no descriptor stays open.
    #[pyo3(signature = (path, flags=O_RDONLY, mode=0o666, *, dir_fd=None))]
    fn open(
        slf: &Bound<'_, Self>,
        path: Path,
        flags: i32,
        mode: u32,
        dir_fd: Option<Descriptor>,
    ) -> PyResult<Py<Coroutine>> {
        Self::request(slf, Io::open(dir_fd.unwrap_or(Descriptor::CWD), path, flags, mode), 0, None)
    }

    /// Returns the os.stat_result of a path or a descriptor.
    #[pyo3(signature = (path, *, dir_fd=None, follow_symlinks=true))]
    fn stat(
        slf: &Bound<'_, Self>,
        path: Target,
        dir_fd: Option<Descriptor>,
        follow_symlinks: bool,
    ) -> PyResult<Py<Coroutine>> {
        Self::request(slf, Io::stat(dir_fd.unwrap_or(Descriptor::CWD), path, follow_symlinks), 0, None)
    }

    /// Renames a file; replaces another of the new name.
    #[pyo3(signature = (src, dst, *, src_dir_fd=None, dst_dir_fd=None))]
    fn rename(
        slf: &Bound<'_, Self>,
        src: Path,
        dst: Path,
        src_dir_fd: Option<Descriptor>,
        dst_dir_fd: Option<Descriptor>,
    ) -> PyResult<Py<Coroutine>> {
        Self::request(
            slf,
            Io::rename(src_dir_fd.unwrap_or(Descriptor::CWD), src, dst_dir_fd.unwrap_or(Descriptor::CWD), dst),
            0,
            None,
        )
    }

    /// Removes a file.
    #[pyo3(signature = (path, *, dir_fd=None))]
    fn unlink(slf: &Bound<'_, Self>, path: Path, dir_fd: Option<Descriptor>) -> PyResult<Py<Coroutine>> {
        Self::request(slf, Io::unlink(dir_fd.unwrap_or(Descriptor::CWD), path), 0, None)
    }

    /// Removes an empty directory.
    #[pyo3(signature = (path, *, dir_fd=None))]
    fn rmdir(slf: &Bound<'_, Self>, path: Path, dir_fd: Option<Descriptor>) -> PyResult<Py<Coroutine>> {
        Self::request(slf, Io::rmdir(dir_fd.unwrap_or(Descriptor::CWD), path), 0, None)
    }

    /// Creates a directory.
    #[pyo3(signature = (path, mode=0o777, *, dir_fd=None))]
    fn mkdir(slf: &Bound<'_, Self>, path: Path, mode: u32, dir_fd: Option<Descriptor>) -> PyResult<Py<Coroutine>> {
        Self::request(slf, Io::mkdir(dir_fd.unwrap_or(Descriptor::CWD), path, mode), 0, None)
    }

    /// Returns what a symbolic link says.
    #[pyo3(signature = (path, *, dir_fd=None))]
    fn readlink(slf: &Bound<'_, Self>, path: Path, dir_fd: Option<Descriptor>) -> PyResult<Py<Coroutine>> {
        Self::request(slf, Io::readlink(dir_fd.unwrap_or(Descriptor::CWD), path), 0, None)
    }

    /// Returns the next entries of a directory: name, inode and type of each. An empty list is the end.
    fn _entries(slf: &Bound<'_, Self>, fd: Descriptor, room: usize) -> PyResult<Py<Coroutine>> {
        Self::request(slf, Io::entries(slf.py(), fd, room)?, 0, None)
    }

    /// Whether the system lists directories, copies files and sends them.
    fn _abilities(&self, py: Python<'_>) -> PyResult<(bool, bool, bool)> {
        let core = &self.loop_state()?.get().core;
        let supports = |code| core.ctx.supports(code).map_err(|errno| core.flavor.failure(py, errno));
        Ok((supports(Code::Getdents)?, supports(Code::CopyRange)?, supports(Code::Sendfile)?))
    }

    /// Copies from `offset` of one file to the current position of another; returns how many bytes were copied.
    fn _copy_natively(
        slf: &Bound<'_, Self>,
        source: Descriptor,
        target: Descriptor,
        offset: u64,
        count: usize,
    ) -> PyResult<Py<Coroutine>> {
        Self::request(slf, Io::copy(source, target, offset, count), 0, None)
    }

    /// Sends from `offset` of a file as much as fits; returns how many bytes were sent.
    fn _send_natively(
        slf: &Bound<'_, Self>,
        target: Descriptor,
        fd: Descriptor,
        offset: u64,
        count: usize,
    ) -> PyResult<Py<Coroutine>> {
        Self::request(slf, Io::send_file(fd, target, offset, count), 0, None)
    }

    /// Changes the size of a file.
    fn truncate(slf: &Bound<'_, Self>, fd: Descriptor, size: u64) -> PyResult<Py<Coroutine>> {
        Self::request(slf, Io::truncate(fd, size), 0, None)
    }

    /// Opens a file, reads at most `room` bytes, closes it.
    fn _read_whole(slf: &Bound<'_, Self>, path: Path, room: usize) -> PyResult<Py<Coroutine>> {
        Self::work(slf, Work::Chain(Chain::read(slf.py(), path, room)?))
    }

    /// Returns all entries of a directory, or None if it has more than fit into `room` bytes.
    fn _list_whole(slf: &Bound<'_, Self>, path: Path, room: usize) -> PyResult<Py<Coroutine>> {
        Self::work(slf, Work::Chain(Chain::list(slf.py(), path, room)?))
    }

    /// Writes a temporary file, perhaps syncs it, and renames it. Syncs a directory that is given. If it fails, the temporary file
    /// is removed.
    #[pyo3(signature = (path, temporary, data, sync, folder, mode))]
    fn _replace_whole(
        slf: &Bound<'_, Self>,
        path: Path,
        temporary: Path,
        data: &Bound<'_, PyAny>,
        sync: bool,
        folder: Option<Path>,
        mode: u32,
    ) -> PyResult<Py<Coroutine>> {
        Self::work(slf, Work::Chain(Chain::replace(data, path, temporary, sync, folder, mode)?))
    }

    /// Performs an operation that the caller created; returns its value.
    fn submit(slf: &Bound<'_, Self>, op: &Bound<'_, PyAny>) -> PyResult<Py<Coroutine>> {
        let loop_state = slf.get().loop_state()?;
        let flavor = loop_state.get().core.flavor;
        let operation = op.cast::<Operation>().ok().filter(|op| op.get().flavor == flavor);
        let Some(operation) = operation else {
            let module = flavor.module();
            return Err(PyValueError::new_err(format!("{} is not a {module}.Operation", op.repr()?)));
        };
        Self::work(slf, Work::Operation(operation.clone().unbind()))
    }

    /// Starts a chain: each operation runs after the one before has succeeded in full.
    fn _start_chain(&self, coroutines: Vec<Py<Coroutine>>, py: Python<'_>) -> PyResult<()> {
        let loop_state = self.loop_state()?;
        if coroutines.iter().any(|coroutine| !std::ptr::eq(coroutine.get().loop_state(), loop_state.get())) {
            return Err(PyValueError::new_err("a member of the chain belongs to another context"));
        }
        LoopState::begin_chain(loop_state.bind(py), coroutines)
    }

    /// Without an argument, closes the context: it accepts no more operations, and those in flight go on.
    /// With a descriptor, returns a coroutine that closes it. That goes on when it is cancelled.
    #[pyo3(signature = (fd=None))]
    fn close(slf: &Bound<'_, Self>, fd: Option<Descriptor>) -> PyResult<Option<Py<Coroutine>>> {
        if let Some(fd) = fd {
            return Self::request(slf, Io::new(Code::Close, fd), 0, None).map(Some);
        }
        slf.get().loop_state.get().map_or(Ok(()), |loop_state| LoopState::close(loop_state.bind(slf.py())))?;
        Ok(None)
    }

    /// Counters since the context was created.
    fn stats(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let core = &self.loop_state()?.get().core;
        let stats = core.ctx.stats().map_err(|errno| core.flavor.failure(py, errno))?;
        crate::info::stats_object(py, core.flavor, &stats)
    }

    /// Operations in flight and queued.
    #[getter]
    fn _unfinished(&self) -> PyResult<usize> {
        Ok(self.loop_state()?.get().unfinished())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        self.loop_state.get().map_or(Ok(()), |loop_state| visit.call(loop_state))
    }
}

impl Drop for LoopContext {
    fn drop(&mut self) {
        if let Some(loop_state) = self.loop_state.get() {
            Python::attach(|py| {
                if let Err(error) = LoopState::close(loop_state.bind(py)) {
                    error.write_unraisable(py, None);
                }
            });
        }
    }
}
