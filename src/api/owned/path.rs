//! Operations on paths.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{Descriptor, lent};
use crate::api::state::{Operation, Outcome};
use crate::context::{Memory, NULL};
use crate::error::{Errno, Result};
use crate::op::{Code, Op};

/// An operation and its numbers.
#[derive(Clone, Copy)]
pub struct PathCall {
    pub code: Code,
    pub flags: u32,
    pub mode: u32,
    pub len: u64,
    pub offset: u64,
}

impl PathCall {
    pub fn of(code: Code) -> Self {
        Self { code, flags: 0, mode: 0, len: 0, offset: 0 }
    }
}

/// A call on one path, or on two.
pub struct OnPath<F> {
    dir: F,
    call: PathCall,
    path: Name,
    second: Option<Name>,
    second_directory: Option<Box<dyn Descriptor>>,
}

/// A string for the system, or None if it contains a null byte.
pub type Name = Option<CString>;

pub fn c_string(path: &Path) -> Name {
    CString::new(path.as_os_str().as_bytes()).ok()
}

/// Its address, or EINVAL.
pub fn name_address(name: &Name) -> Result<Memory> {
    name.as_ref().map(|name| lent(name.as_ptr().cast_mut().cast())).ok_or(Errno(libc::EINVAL))
}

impl<F: Descriptor> OnPath<F> {
    pub fn new(dir: F, path: &Path, call: PathCall) -> Self {
        Self { dir, call, path: c_string(path), second: None, second_directory: None }
    }

    pub fn and(mut self, second: &Path) -> Self {
        self.second = Some(c_string(second));
        self
    }

    /// The second path starts at another directory.
    pub fn from(mut self, directory: impl Descriptor) -> Self {
        self.second_directory = Some(Box::new(directory));
        self
    }

    pub fn op(&self) -> Result<Op> {
        let (buf, buf2) = (name_address(&self.path)?, self.second.as_ref().map_or(Ok(NULL), name_address)?);
        let PathCall { code, flags, mode, len, offset } = self.call;
        let (dir2, offset) = match &self.second_directory {
            Some(directory) => (true, i64::from(directory.raw()) as u64),
            None => (false, offset),
        };
        Ok(Op { fd: self.dir.raw(), buf, buf2, len, offset, sys_flags: flags, mode, dir2, ..Op::of(code) })
    }
}

impl<F: Descriptor> Operation for OnPath<F> {
    type Output = io::Result<()>;

    fn describe(&mut self) -> Result<Op> {
        self.op()
    }

    fn finish(self, outcome: Outcome) -> Self::Output {
        outcome.result().map(drop)
    }
}
