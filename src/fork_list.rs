//! The descriptors that a context holds, as a list that a child of fork(2) can read.
//!
//! The child closes its copies of them when it frees the context. Another thread of the parent may have held any lock at
//! the moment of the fork, so the child reads and writes only atomics, and allocates nothing.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};

use crate::error::{Errno, Result};
use crate::sync::Mutex;
use crate::sys::Descriptors;
use crate::sys::fd::RawFd;
use crate::sys::fork::{self, KeepOut};
use crate::sys::fs;
use crate::sys::mem::room;

/// Grows by blocks that never move, each twice as large as the one before.
pub struct ForkList {
    blocks: [OnceLock<Vec<AtomicI32>>; BLOCKS],
    /// The entries that hold no descriptor. There is always room for all of them. The child does not use it.
    free: Mutex<Vec<u32>>,
}

/// The number of an entry in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry(u32);

/// A descriptor that is in the list until it is closed.
pub struct Listed<T> {
    list: Arc<ForkList>,
    entries: [Option<Entry>; 2],
    descriptor: T,
    /// Until the descriptor is closed. Fields are dropped in this order.
    closing: Option<KeepOut>,
}

const FIRST_BLOCK: usize = 16;
/// Enough for more descriptors than a process may have (`fs.nr_open` is 2^20 unless raised).
const BLOCKS: usize = 20;
const EMPTY: RawFd = -1;

impl ForkList {
    pub fn new() -> Self {
        Self { blocks: [const { OnceLock::new() }; BLOCKS], free: Mutex::new(Vec::new()) }
    }

    /// Adds a descriptor that closes with the context, or that [`Self::remove`] follows for. Fails with ENOMEM.
    pub fn add(&self, fd: RawFd) -> Result<Entry> {
        let mut free = self.free.lock();
        if free.is_empty() {
            self.grow(&mut free)?;
        }
        let entry = Entry(free.pop().ok_or(Errno(libc::ENOMEM))?);
        // Relaxed: fork(2) orders it before all that the child does.
        self.cell(entry).store(fd, Ordering::Relaxed);
        Ok(entry)
    }

    /// Call it before the descriptor is closed: the child must not close a number that means another file.
    pub fn remove(&self, entry: Entry) {
        // Relaxed: as in `add`.
        self.cell(entry).store(EMPTY, Ordering::Relaxed);
        self.free.lock().push(entry.0);
    }

    /// [`Self::remove`], if the descriptor is closed while the result exists: fork(3) waits for that.
    pub fn take_out(&self, entry: Entry) -> KeepOut {
        let kept_out = fork::keep_out();
        self.remove(entry);
        kept_out
    }

    /// Opens a descriptor, and lists it until it is dropped. fork(3) sees it closed, or open and in the list.
    pub fn hold<T: Descriptors>(self: &Arc<Self>, open: impl FnOnce() -> Result<T>) -> Result<Listed<T>> {
        let _kept_out = fork::keep_out();
        let descriptor = open()?;
        let fds = descriptor.descriptors();
        let mut listed = Listed { list: self.clone(), entries: [None; 2], descriptor, closing: None };
        for (entry, fd) in listed.entries.iter_mut().zip(fds) {
            *entry = fd.map(|fd| self.add(fd)).transpose()?;
        }
        Ok(listed)
    }

    /// In a child of fork(2): closes its copies.
    pub fn close_all(&self) {
        for cell in self.blocks.iter().filter_map(OnceLock::get).flatten() {
            let fd = cell.swap(EMPTY, Ordering::Relaxed);
            if fd != EMPTY {
                // The number is free even after a failure.
                fs::close(fd).ok();
            }
        }
    }

    fn grow(&self, free: &mut Vec<u32>) -> Result<()> {
        let (at, block) =
            self.blocks.iter().enumerate().find(|(_, block)| block.get().is_none()).ok_or(Errno(libc::ENOMEM))?;
        let (start, len) = (block_start(at), FIRST_BLOCK << at);
        let mut cells = room(len)?;
        cells.resize_with(len, || AtomicI32::new(EMPTY));
        free.try_reserve_exact(start + len).map_err(|_| Errno(libc::ENOMEM))?;
        if block.set(cells).is_ok() {
            free.extend((start..start + len).rev().map(|entry| entry as u32));
        }
        Ok(())
    }

    fn cell(&self, entry: Entry) -> &AtomicI32 {
        let entry = entry.0 as usize;
        let at = (entry / FIRST_BLOCK + 1).ilog2() as usize;
        &self.blocks[at].get().expect("an entry is in a block")[entry - block_start(at)]
    }
}

/// The first entry of a block.
fn block_start(at: usize) -> usize {
    FIRST_BLOCK * ((1 << at) - 1)
}

impl<T> Deref for Listed<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.descriptor
    }
}

impl<T> DerefMut for Listed<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.descriptor
    }
}

impl<T> Drop for Listed<T> {
    fn drop(&mut self) {
        self.closing = Some(fork::keep_out());
        self.entries.into_iter().flatten().for_each(|entry| self.list.remove(entry));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::pollable::Pollable;
    use std::collections::HashSet;

    fn listed(list: &ForkList) -> HashSet<RawFd> {
        let cells = list.blocks.iter().filter_map(OnceLock::get).flatten();
        cells.map(|cell| cell.load(Ordering::Relaxed)).filter(|fd| *fd != EMPTY).collect()
    }

    #[test]
    fn every_descriptor_has_an_entry() {
        let list = ForkList::new();
        let entries: Vec<Entry> = (0..5000).map(|fd| list.add(fd).unwrap()).collect();
        assert_eq!(listed(&list), (0..5000).collect());
        for entry in &entries[100..] {
            list.remove(*entry);
        }
        assert_eq!(listed(&list), (0..100).collect());
    }

    #[test]
    fn entries_are_used_again() {
        let list = ForkList::new();
        for fd in 0..1000 {
            let entry = list.add(fd).unwrap();
            list.remove(entry);
        }
        assert!(list.blocks[1].get().is_none());
    }

    #[test]
    fn a_closed_descriptor_is_not_listed() {
        let list = Arc::new(ForkList::new());
        let held = list.hold(Pollable::new).unwrap();
        assert_eq!(listed(&list), held.descriptors().into_iter().flatten().collect());
        drop(held);
        assert!(listed(&list).is_empty());
    }
}
