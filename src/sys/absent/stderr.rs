//! Standard error of a system where the library does not write to it.

use crate::error::Result;

#[derive(Clone, Copy)]
pub struct Stderr;

impl Stderr {
    pub fn open_now() -> Option<Self> {
        None
    }

    pub fn write(self, _: &mut [u8]) -> Result<()> {
        Ok(())
    }
}
