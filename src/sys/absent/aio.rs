//! Kernel AIO where it does not exist.

#![allow(non_camel_case_types)] // The names of Linux.

pub use super::super::requests::AioRequest;

use crate::error::{Errno, Result};

/// A context's number.
pub type aio_context_t = usize;

/// One completion.
#[derive(Clone, Copy)]
pub struct io_event {
    pub data: u64,
    pub obj: u64,
    pub res: i64,
    pub res2: i64,
}

/// A kernel AIO context, of which there is none.
pub enum AioContext {}

impl AioContext {
    pub fn may_be_made() -> Result<()> {
        Err(Errno(libc::ENOSYS))
    }

    pub fn new(_: u32) -> Result<Self> {
        Err(Errno(libc::ENOSYS))
    }

    pub fn entries(&self) -> u32 {
        match *self {}
    }

    pub fn id(&self) -> aio_context_t {
        match *self {}
    }

    pub fn has_completions(&self) -> bool {
        match *self {}
    }

    pub fn reap(&mut self, _: &mut [io_event]) -> usize {
        match *self {}
    }

    pub fn forget(self) {
        match self {}
    }
}

impl Drop for AioContext {
    fn drop(&mut self) {
        match *self {}
    }
}

/// Requests for one submission.
#[derive(Default)]
pub struct AioBatch(());

impl AioBatch {
    pub fn with_room(_: u32) -> Result<Self> {
        Ok(Self(()))
    }

    pub fn push(&mut self, _: AioRequest) {}

    pub fn is_empty(&self) -> bool {
        true
    }

    pub fn refused(&self) -> impl Iterator<Item = u64> + '_ {
        std::iter::empty()
    }

    pub fn is_forbidden(&self) -> bool {
        true
    }

    pub fn clear(&mut self) {}

    pub fn submit(&mut self, _: aio_context_t) {}
}

pub fn may_submit(_: aio_context_t) -> Result<()> {
    Err(Errno(libc::ENOSYS))
}
