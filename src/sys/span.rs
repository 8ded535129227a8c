//! A copy from one descriptor to another.

use crate::sys::CURRENT;

/// The arguments of a copy from one descriptor to another.
#[derive(Clone, Copy)]
pub struct Copy {
    pub from: i32,
    /// [`CURRENT`] for the current position.
    pub offset: u64,
    pub to: i32,
    /// None for the current position.
    pub to_offset: Option<u64>,
    pub len: u64,
}

impl Copy {
    /// The same, after `moved` bytes. The kernel advances the current positions itself.
    pub fn after(self, moved: u64) -> Self {
        Self {
            offset: if self.offset == CURRENT { CURRENT } else { self.offset.wrapping_add(moved) },
            to_offset: self.to_offset.map(|offset| offset.wrapping_add(moved)),
            len: self.len - moved,
            ..self
        }
    }
}
