//! Descriptors that a chain opens for its own operations.
//!
//! The descriptor moves along the chain: it belongs to the member that runs or starts next. A CLOSE of it takes it, and runs
//! even if the chain breaks before. Until then, it is in the list of descriptors that a child of fork(2) closes.

use super::state::{By, State};
use super::{Shared, Source};
use crate::completion::{Event, Finished};
use crate::error::{Errno, Result};
use crate::fork_list::Entry;
use crate::op::{Code, OPENED, Op, Role};
use crate::slab::{NONE, Place, Slot};
use crate::sys::fs;

/// A descriptor that a chain has opened.
pub struct ChainFile {
    /// The member of the chain that runs or starts next.
    at: u32,
    fd: i32,
    traits: Traits,
    /// Its place in the list, if a CLOSE of the chain closes it. Otherwise the event of the open has that.
    entry: Option<Entry>,
}

/// What is known of a descriptor when a chain opens it.
#[derive(Clone, Copy)]
pub struct Traits {
    /// A CLOSE of the chain closes it.
    pub for_chain: bool,
    /// It is of storage.
    pub storage: bool,
    /// It is of a local file system, and opened for reading: STATX and CLOSE do not wait.
    pub brief: bool,
    /// What the chain does with it is likely to be cached.
    pub cached: bool,
}

impl Traits {
    fn of(open: &Op) -> Self {
        let Op { storage, brief, cached, .. } = *open;
        Self { for_chain: open.role == Role::OpensForChain, storage, brief, cached }
    }
}

/// Copies the chain that begins at `first` to `chain`. A single operation is a chain of one.
pub fn read_chain(source: &impl Source, first: u32, max_requests: u32, chain: &mut Vec<Op>) -> Result<u32> {
    chain.clear();
    let mut index = first;
    let mut length = 0;
    let (mut opens, mut uses) = (false, false);
    loop {
        let op = source.get(index)?;
        if op.uses_opened() {
            uses = true;
            if !opens {
                return Err(Errno(libc::EINVAL));
            }
        }
        opens |= op.code.opens_fd();
        length += 1;
        if length <= max_requests {
            chain.try_reserve(1).map_err(|_| Errno(libc::ENOMEM))?;
            chain.push(op);
        }
        index += 1;
        if !op.link {
            break;
        }
        if index == source.count() {
            return Err(Errno(libc::EINVAL));
        }
    }
    if uses {
        assign_roles(chain);
    }
    if length > max_requests { Err(Errno(libc::E2BIG)) } else { Ok(length) }
}

/// Gives the members of a chain their roles.
#[cold]
fn assign_roles(chain: &mut [Op]) {
    let mut open: Option<usize> = None;
    for at in 0..chain.len() {
        chain[at].role = match (chain[at].code, open) {
            (code, _) if code.opens_fd() => {
                open = Some(at);
                Role::Opens
            }
            (_, None) => Role::None,
            (Code::Close, Some(opened)) if chain[at].fd == OPENED => {
                chain[opened].role = Role::OpensForChain;
                open = None;
                Role::Closes
            }
            _ => Role::Behind,
        };
    }
}

impl State {
    /// The completion of a member that has a role.
    #[cold]
    pub fn finished_in_chain(&mut self, index: u32, result: i64) -> Finished {
        let op = self.slab[index].op;
        if !op.code.opens_fd() || result < 0 {
            return self.done.finished(&op, result);
        }
        // An open before this one was for the caller.
        self.file_goes_on(index, NONE);
        let fd = result as i32;
        match self.keep_file(index, fd, Traits::of(&op)) {
            Ok(()) if op.role == Role::OpensForChain => finished(&op, 0),
            Ok(()) => {
                let finished = self.done.finished(&op, result);
                if finished.event.result < 0 {
                    self.file_goes_on(index, NONE);
                }
                finished
            }
            Err(errno) => {
                fs::close(fd).ok();
                finished(&op, errno.as_result())
            }
        }
    }

    /// Keeps a descriptor for the members behind its open, of which `at` is next.
    pub fn keep_file(&mut self, at: u32, fd: i32, traits: Traits) -> Result<()> {
        self.chain_files.try_reserve(1).map_err(|_| Errno(libc::ENOMEM))?;
        let entry = traits.for_chain.then(|| self.done.fds().add(fd)).transpose()?;
        self.chain_files.push(ChainFile { at, fd, traits, entry });
        Ok(())
    }

    /// The descriptor of `from`, if it has one, belongs to the next member `to` of the chain from now on.
    #[cold]
    pub fn file_goes_on(&mut self, from: u32, to: u32) {
        let Some(place) = self.chain_files.iter().position(|file| file.at == from) else { return };
        if to != NONE {
            self.chain_files[place].at = to;
        } else {
            let file = self.chain_files.swap_remove(place);
            debug_assert!(file.entry.is_none(), "a CLOSE takes it");
        }
    }

    /// A member starts: gives it the number of the descriptor. Without one, the number that it has is invalid.
    #[cold]
    pub fn use_file(&mut self, index: u32) {
        if let Some(file) = self.chain_files.iter().find(|file| file.at == index) {
            let Slot { op, paths, .. } = &mut self.slab[index];
            let Traits { storage, brief, cached, .. } = file.traits;
            let first = op.fd == OPENED;
            let tells = || op.code == Code::Statx && fs::may_mean_descriptor(op.sys_flags) && paths.starts_with(b"\0");
            op.brief = brief && first && (op.role == Role::Closes || tells());
            op.storage = storage && first && !op.at_current();
            op.cached = cached;
            op.use_opened(file.fd);
        }
    }

    /// A CLOSE is about to run: its descriptor leaves the records. [`Shared::close_chain_file`] takes it off the list.
    #[cold]
    pub fn take_file(&mut self, index: u32) -> Option<Entry> {
        let place = self.chain_files.iter().position(|file| file.at == index)?;
        self.chain_files.swap_remove(place).entry
    }

    /// A CLOSE that must run, but no worker thread could be started for it.
    fn take_queued_close(&mut self) -> Option<(u32, i32, Option<Entry>)> {
        let is_close = |index: &u32| {
            let slot = &self.slab[*index];
            slot.op.role == Role::Closes && matches!(slot.place, Place::Queued(_))
        };
        let index = self.slab.indexes().find(is_close).filter(|_| self.pool.live() == 0)?;
        if let Place::Queued(class) = self.slab[index].place {
            self.pool.unqueue(&mut self.slab, index, class);
        }
        self.slab[index].place = Place::Running;
        Some((index, self.slab[index].op.fd, self.take_file(index)))
    }
}

impl Shared {
    /// Closes a descriptor of a chain. fork(3) sees it closed, or open and in the list.
    pub fn close_chain_file(&self, fd: i32, entry: Entry) -> Result<u64> {
        let _kept_out = self.fds.take_out(entry);
        fs::close(fd)
    }

    /// Makes the CLOSEs that must run here, as there is no worker thread.
    #[cold]
    pub fn close_without_workers(&self) {
        loop {
            let Some((index, fd, entry)) = self.state.lock().take_queued_close() else { return };
            let closed = entry.map_or_else(|| fs::close(fd), |entry| self.close_chain_file(fd, entry));
            let result = closed.map_or_else(Errno::as_result, |value| value as i64);
            self.with_worker(|state| state.finish(index, result, By::Worker));
        }
    }
}

/// The completion of an open whose descriptor is not the caller's.
fn finished(op: &Op, result: i64) -> Finished {
    Finished::of(Event { user_data: op.user_data, result })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(codes: &[(Code, i32)]) -> Vec<Role> {
        let mut chain: Vec<Op> = codes.iter().map(|(code, fd)| Op { code: *code, fd: *fd, ..Op::nop(0) }).collect();
        assign_roles(&mut chain);
        chain.iter().map(|op| op.role).collect()
    }

    #[test]
    fn a_close_belongs_to_the_nearest_open() {
        use Code::*;
        let (open, read, close) = ((Openat, -100), (Read, OPENED), (Close, OPENED));
        let (opens, kept, behind, closes) = (Role::Opens, Role::OpensForChain, Role::Behind, Role::Closes);
        assert_eq!(roles(&[(Nop, -1), open, read, close]), [Role::None, kept, behind, closes]);
        assert_eq!(roles(&[open, read, (Close, 5)]), [opens, behind, behind]);
        assert_eq!(roles(&[open, open, close, close]), [opens, kept, closes, Role::None]);
        assert_eq!(roles(&[open, close, read, open, close]), [kept, closes, Role::None, kept, closes]);
    }
}
