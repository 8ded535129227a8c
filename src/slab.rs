//! The operations that a context holds, each in a numbered slot, and lists through them.

use crate::error::{Errno, Result};
pub use crate::op::Class;
use crate::op::Op;
use crate::sys::mem::room;

/// No slot.
pub const NONE: u32 = u32::MAX;

/// Where an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Free,
    /// A member of a chain that waits for the member `before`.
    Waiting,
    /// In the queue of the workers.
    Queued(Class),
    /// Waits for a sync that serves several operations.
    Grouped,
    /// A worker runs it.
    Running,
    /// A thread runs it in a system call that uses the caller's descriptor at its beginning only. Once the thread sleeps
    /// there, `caio_ctx_free` does not wait for it.
    Detached,
    /// A worker runs it in openat(2), which uses nothing of the caller's.
    Opening,
    /// The same, and it waits for the other end of a FIFO. `caio_ctx_free` does not wait for it.
    OpeningBlocked,
    /// On its way to the poller.
    Inbox,
    /// With the poller, until a pipe, socket or terminal is ready.
    Stream,
    /// With the poller, which must stop it.
    Stopping,
    /// Waits for room in the kernel's ring.
    Backlog,
    /// In flight in the kernel.
    Native,
}

/// One accepted operation. Reused, so that its path buffer is allocated once.
pub struct Slot {
    pub op: Op,
    pub place: Place,
    /// The chain's next member.
    pub next: u32,
    /// A waiting member's predecessor; else the list neighbour before.
    pub before: u32,
    /// The list neighbour behind.
    pub behind: u32,
    /// Bytes that earlier attempts moved.
    pub moved: u64,
    /// The errno with which a cancel or timeout asked it to stop.
    pub stop: Option<Errno>,
    /// It counts in the registry of in-flight descriptors.
    pub held: bool,
    /// A sync that its group expects once its write completes.
    pub coming: bool,
    /// A worker retries it.
    pub retried: bool,
    /// The error of a filter that the kernel interface gave, until the plain call confirms it or not.
    pub native_errno: Option<Errno>,
    /// The thread that has it, by the system's number, while it is [`Place::Detached`].
    pub thread: i32,
    /// An error from submit, with which it fails when its turn comes.
    pub refused: Option<Errno>,
    /// NUL-terminated paths, one behind the other, then a structure (`sys::input`).
    pub paths: Vec<u8>,
    generation: u32,
}

impl Slot {
    /// For a new operation; `paths` is empty, and its memory is used again.
    #[inline(always)]
    fn new(op: Op, paths: Vec<u8>, generation: u32) -> Self {
        Self {
            op,
            place: Place::Waiting,
            next: NONE,
            before: NONE,
            behind: NONE,
            moved: 0,
            stop: None,
            held: false,
            coming: false,
            retried: false,
            native_errno: None,
            thread: 0,
            refused: None,
            paths,
            generation,
        }
    }

    /// The result completes a transfer in one call, and no operation is linked to it.
    pub fn is_done_with(&self, result: i64) -> bool {
        let simple = self.next == NONE && self.moved == 0 && self.op.code.transfers() && !self.op.code.vectored();
        simple && u64::try_from(result) == Ok(self.op.len)
    }
}

/// The number of a slot and of its use, as the kernel and threads keep it. Never `u64::MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(pub u64);

impl Token {
    pub fn index(self) -> u32 {
        self.0 as u32
    }
}

/// The slots of a context. They are initialised when first needed, and take up only address space until then.
pub struct Slab {
    slots: Vec<Slot>,
    /// The user data of each slot's last operation, close together for a fast search.
    tags: Vec<u64>,
    free: u32,
    used: u32,
}

impl Slab {
    pub fn new(capacity: usize) -> Result<Self> {
        Ok(Self { slots: room(capacity)?, tags: room(capacity)?, free: NONE, used: 0 })
    }

    /// How many are in use.
    pub fn used(&self) -> u32 {
        self.used
    }

    #[inline(always)]
    pub fn insert(&mut self, op: Op) -> u32 {
        self.used += 1;
        if self.free == NONE {
            self.tags.push(op.user_data);
            self.slots.push(Slot::new(op, Vec::new(), 0));
            return self.slots.len() as u32 - 1;
        }
        let index = self.free;
        let slot = &mut self.slots[index as usize];
        self.tags[index as usize] = op.user_data;
        self.free = slot.behind;
        *slot = Slot::new(op, std::mem::take(&mut slot.paths), slot.generation);
        index
    }

    pub fn release(&mut self, index: u32) {
        // The buffer of a long path is freed: a thousand slots would keep a thousand of them.
        const KEPT: usize = 512;
        let free = self.free;
        let slot = &mut self.slots[index as usize];
        debug_assert!(slot.place != Place::Free);
        slot.place = Place::Free;
        slot.generation = slot.generation.wrapping_add(1) & 0x7fff_ffff;
        slot.paths.clear();
        if slot.paths.capacity() > KEPT {
            slot.paths = Vec::new();
        }
        slot.behind = free;
        self.free = index;
        self.used -= 1;
    }

    pub fn token(&self, index: u32) -> Token {
        Token(u64::from(self[index].generation) << 32 | u64::from(index))
    }

    /// The slot of a token, unless that use of it is over.
    pub fn find(&self, token: Token) -> Option<u32> {
        let slot = self.slots.get(token.index() as usize)?;
        (slot.place != Place::Free && u64::from(slot.generation) == token.0 >> 32).then(|| token.index())
    }

    /// The list neighbour behind.
    pub fn behind(&self, index: u32) -> Option<u32> {
        let behind = self[index].behind;
        (behind != NONE).then_some(behind)
    }

    /// The first slot from `from` on whose operation has that user data.
    pub fn tagged(&self, user_data: u64, from: u32) -> Option<u32> {
        let mut at = from as usize;
        while let Some(more) = self.tags.get(at..)?.iter().position(|tag| *tag == user_data) {
            at += more;
            if self.slots[at].place != Place::Free {
                return Some(at as u32);
            }
            at += 1;
        }
        None
    }

    /// The numbers of all slots that were ever in use.
    pub fn indexes(&self) -> std::ops::Range<u32> {
        0..self.slots.len() as u32
    }
}

impl std::ops::Index<u32> for Slab {
    type Output = Slot;
    fn index(&self, index: u32) -> &Slot {
        &self.slots[index as usize]
    }
}

impl std::ops::IndexMut<u32> for Slab {
    fn index_mut(&mut self, index: u32) -> &mut Slot {
        &mut self.slots[index as usize]
    }
}

/// A linked list through slots. It needs no memory of its own, and removing from the middle is cheap.
pub struct List {
    head: u32,
    tail: u32,
    len: u32,
}

impl List {
    pub const fn new() -> Self {
        Self { head: NONE, tail: NONE, len: 0 }
    }

    pub fn len(&self) -> u32 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn first(&self) -> Option<u32> {
        (self.head != NONE).then_some(self.head)
    }

    pub fn push_back(&mut self, slab: &mut Slab, index: u32) {
        (slab[index].before, slab[index].behind) = (self.tail, NONE);
        match self.tail {
            NONE => self.head = index,
            tail => slab[tail].behind = index,
        }
        self.tail = index;
        self.len += 1;
    }

    pub fn push_front(&mut self, slab: &mut Slab, index: u32) {
        (slab[index].before, slab[index].behind) = (NONE, self.head);
        match self.head {
            NONE => self.tail = index,
            head => slab[head].before = index,
        }
        self.head = index;
        self.len += 1;
    }

    pub fn pop_front(&mut self, slab: &mut Slab) -> Option<u32> {
        let index = self.head;
        (index != NONE).then(|| {
            self.remove(slab, index);
            index
        })
    }

    pub fn remove(&mut self, slab: &mut Slab, index: u32) {
        let (before, behind) = (slab[index].before, slab[index].behind);
        match before {
            NONE => self.head = behind,
            _ => slab[before].behind = behind,
        }
        match behind {
            NONE => self.tail = before,
            _ => slab[behind].before = before,
        }
        (slab[index].before, slab[index].behind) = (NONE, NONE);
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_dies_with_its_use_of_the_slot() {
        let mut slab = Slab::new(2).unwrap();
        let first = slab.insert(Op::nop(1));
        let token = slab.token(first);
        assert_eq!(slab.find(token), Some(first));
        slab.release(first);
        assert_eq!(slab.find(token), None);
        let again = slab.insert(Op::nop(2));
        assert_eq!(again, first);
        assert_eq!(slab.find(token), None);
        assert_eq!(slab.used(), 1);
    }

    #[test]
    fn a_slot_keeps_nothing_of_the_operation_before_but_its_memory() {
        let mut slab = Slab::new(1).unwrap();
        let index = slab.insert(Op::nop(1));
        let generation = slab[index].generation;
        let paths = Vec::with_capacity(100);
        let memory = paths.as_ptr();
        slab[index] = Slot {
            held: true,
            coming: true,
            retried: true,
            native_errno: Some(Errno(libc::EACCES)),
            thread: 7,
            moved: 9,
            paths,
            ..Slot::new(Op::nop(1), Vec::new(), generation)
        };
        slab.release(index);
        assert_eq!(slab.insert(Op::nop(2)), index);
        let Slot {
            op,
            place,
            next,
            before,
            behind,
            moved,
            stop,
            held,
            coming,
            retried,
            native_errno,
            thread,
            refused,
            paths,
            generation: _,
        } = &slab[index];
        assert_eq!((op.user_data, *place, *next, *before, *behind, *moved), (2, Place::Waiting, NONE, NONE, NONE, 0));
        assert_eq!((*stop, *held, *coming, *retried, *thread, *refused), (None, false, false, false, 0, None));
        assert_eq!(*native_errno, None);
        assert_eq!((paths.len(), paths.as_ptr()), (0, memory));
    }

    #[test]
    fn a_list_gives_up_its_middle() {
        let mut slab = Slab::new(4).unwrap();
        let mut list = List::new();
        let all: Vec<u32> = (0..4).map(|n| slab.insert(Op::nop(n))).collect();
        for index in &all[1..] {
            list.push_back(&mut slab, *index);
        }
        list.push_front(&mut slab, all[0]);
        list.remove(&mut slab, all[2]);
        let rest: Vec<u32> = std::iter::from_fn(|| list.pop_front(&mut slab)).collect();
        assert_eq!(rest, [all[0], all[1], all[3]]);
        assert!(list.is_empty());
    }
}
