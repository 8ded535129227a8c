//! Operations on paths.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{Descriptor, lent};
use crate::api::state::{Operation, Outcome};
use crate::context::NULL;
use crate::error::{Errno, Result};
use crate::op::{Code, Op};

/// An operation and its numbers.
#[derive(Clone, Copy)]
pub struct PathCall {
    pub code: Code,
    pub flags: u32,
    pub mode: u32,
}

/// A call on one path, or on two of the same directory.
pub struct OnPath<F> {
    dir: F,
    call: PathCall,
    path: Option<CString>,
    second: Option<Option<CString>>,
}

/// None if the path contains a null byte.
fn c_string(path: &Path) -> Option<CString> {
    CString::new(path.as_os_str().as_bytes()).ok()
}

impl<F: Descriptor> OnPath<F> {
    pub fn new(dir: F, path: &Path, call: PathCall) -> Self {
        Self { dir, call, path: c_string(path), second: None }
    }

    pub fn and(mut self, second: &Path) -> Self {
        self.second = Some(c_string(second));
        self
    }

    pub fn op(&self) -> Result<Op> {
        const EINVAL: Errno = Errno(libc::EINVAL);
        let address = |path: &CString| lent(path.as_ptr().cast_mut().cast());
        let buf = address(self.path.as_ref().ok_or(EINVAL)?);
        let buf2 = match &self.second {
            Some(second) => address(second.as_ref().ok_or(EINVAL)?),
            None => NULL,
        };
        let PathCall { code, flags, mode } = self.call;
        Ok(Op { fd: self.dir.raw(), buf, buf2, sys_flags: flags, mode, ..Op::of(code) })
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
