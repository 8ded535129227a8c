//! Work on a whole file or directory: operations that the library runs one after the other, with one value.
//!
//! The chain opens its own file, and the library closes it whatever happens. So a chain that is cancelled or fails leaves no
//! descriptor open.

use std::ffi::CString;
use std::sync::{Mutex, MutexGuard};

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use crate::descriptor::Descriptor;
use crate::io::{Io, Memory};
use crate::paths::{Path, entries, file_name};
use crate::raw::*;
use crate::system::{self, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_WRONLY};

/// How many operations a chain has at most.
pub const MOST_STEPS: usize = 8;

/// The operations and their results.
pub struct Chain {
    steps: Vec<Io>,
    value: Value,
    /// The name in exceptions.
    path: CString,
    /// Removes the file of a chain that did not get to rename it.
    clean_up: Option<Io>,
    progress: Mutex<Progress>,
}

/// What a chain returns.
enum Value {
    Content,
    Entries,
    Nothing,
}

#[derive(Default)]
struct Progress {
    results: [i64; MOST_STEPS],
    pending: usize,
    cleaning_up: bool,
}

/// What follows an event.
pub enum Next<'a> {
    Wait,
    CleanUp(&'a Io),
    Done,
}

impl Chain {
    fn new(value: Value, path: &Path, steps: Vec<Io>, clean_up: Option<Io>) -> Self {
        let progress = Mutex::new(Progress { pending: steps.len(), ..Progress::default() });
        Self { steps, value, path: path.0.clone(), clean_up, progress }
    }

    /// Reads at most `room` bytes from the start of a file.
    pub fn read(py: Python<'_>, path: Path, room: usize) -> PyResult<Self> {
        let read = Io::read(py, room, Descriptor::OPENED, 0)?;
        let steps = vec![
            Io::open(Descriptor::CWD, path.clone(), O_RDONLY, 0),
            Io { full: true, ..read },
            Io::close(Descriptor::OPENED),
        ];
        Ok(Self::new(Value::Content, &path, steps, None))
    }

    /// Reads the entries of a directory whose records fit into `room` bytes.
    pub fn list(py: Python<'_>, path: Path, room: usize) -> PyResult<Self> {
        let steps = vec![
            Io::open(Descriptor::CWD, path.clone(), O_RDONLY | O_DIRECTORY, 0),
            Io::entries(py, Descriptor::OPENED, room)?,
            // One that returns nothing is the end.
            Io::entries(py, Descriptor::OPENED, ONE_RECORD)?,
            Io::close(Descriptor::OPENED),
        ];
        Ok(Self::new(Value::Entries, &path, steps, None))
    }

    /// Replaces a file by way of a temporary one in the same directory.
    pub fn replace(
        data: &Bound<'_, PyAny>,
        path: Path,
        temporary: Path,
        sync: bool,
        folder: Option<Path>,
        mode: u32,
    ) -> PyResult<Self> {
        const CREATE: i32 = O_WRONLY | O_CREAT | O_EXCL;
        let flush = || Io::new(Code::Fsync, Descriptor::OPENED);
        let write = Io::write(data, Descriptor::OPENED, 0)?;
        let mut steps = vec![
            Io::open(Descriptor::CWD, temporary.clone(), CREATE, mode),
            Io { full: true, ..write },
            Io::close(Descriptor::OPENED),
            Io::rename(Descriptor::CWD, temporary.clone(), Descriptor::CWD, path.clone()),
        ];
        if sync {
            steps.insert(2, flush());
        }
        if let Some(folder) = folder {
            steps.push(Io::open(Descriptor::CWD, folder, O_RDONLY | O_DIRECTORY, 0));
            steps.push(flush());
            steps.push(Io::close(Descriptor::OPENED));
        }
        Ok(Self::new(Value::Nothing, &path, steps, Some(Io::unlink(Descriptor::CWD, temporary))))
    }

    pub fn steps(&self) -> &[Io] {
        &self.steps
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Notes the result of a step, or of the clean-up.
    pub fn note(&self, step: usize, result: i64) -> Next<'_> {
        let mut progress = self.progress();
        if progress.cleaning_up {
            if result == -i64::from(libc::ECANCELED) {
                self.clean_up_here();
            }
            return Next::Done;
        }
        progress.results[step] = result;
        progress.pending -= 1;
        match &self.clean_up {
            _ if progress.pending > 0 => Next::Wait,
            Some(clean_up) if self.left_a_file(&progress.results) => {
                progress.cleaning_up = true;
                Next::CleanUp(clean_up)
            }
            _ => Next::Done,
        }
    }

    fn left_a_file(&self, results: &[i64; MOST_STEPS]) -> bool {
        let renamed = self.steps.iter().zip(results).any(|(step, result)| step.code == Code::Renameat && *result >= 0);
        results[0] >= 0 && !renamed
    }

    /// The library does not do it, for example as its context is full or ends.
    pub fn clean_up_here(&self) {
        if let Some(Io { memory: Memory::Paths(paths), .. }) = &self.clean_up {
            system::remove_file(&paths.first);
        }
    }

    /// The chain's value, or the exception of its first step that failed.
    pub fn value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let results = self.progress().results;
        if let Some(failed) = results[..self.steps.len()].iter().find(|result| **result < 0) {
            let errno = Errno(-*failed as i32);
            return Err(PyOSError::new_err((number(errno), errno.text(), file_name(py, &self.path)?)));
        }
        let moved = results[1] as usize;
        match (&self.value, &self.steps[1].memory) {
            (Value::Content, Memory::Room(room)) => Ok(room.take(py, moved).unwrap_or_else(|| py.None())),
            (Value::Entries, Memory::Room(room)) if results[2] == 0 => entries(py, room, moved),
            _ => Ok(py.None()),
        }
    }
}

/// Room for the longest record of a directory. On Windows, the library takes no less, for a name of 255 UTF-16 units.
const ONE_RECORD: usize = 1024;
