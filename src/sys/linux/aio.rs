//! Linux kernel AIO: io_setup(2), io_submit(2), and the completion ring, which is read in user space.

use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

pub use super::super::requests::AioRequest;
use super::aio_abi::{self, iocb};
pub use super::aio_abi::{aio_context_t, io_event};
use super::mem::room;
use super::{check, in_place};
use crate::error::{Errno, Result};

/// A kernel AIO context. Dropping it takes about 30 ms (io_destroy(2)); `backend::aio` keeps it for reuse.
pub struct AioContext {
    id: aio_context_t,
    entries: u32,
    ring: Option<CompletionRing>,
}

/// The kernel's ring of completions, mapped into this process (`struct aio_ring`, fs/aio.c).
struct CompletionRing {
    header: *const RingHeader,
    entries: u32,
    length: usize,
}

// SAFETY: the mapping lives as long as the context; one owner reaps it through `&mut`.
unsafe impl Send for CompletionRing {}

#[repr(C)]
struct RingHeader {
    id: u32,
    nr: u32,
    head: AtomicU32,
    tail: AtomicU32,
    magic: u32,
    compat_features: u32,
    incompat_features: u32,
    header_length: u32,
}

const MAGIC: u32 = 0xa10a_10a1;

impl AioContext {
    /// ENOSYS, EPERM or EACCES if io_setup(2) is forbidden, without making a context.
    pub fn may_be_made() -> Result<()> {
        let mut id: aio_context_t = 0;
        // SAFETY: a live number. The kernel refuses 0 requests with EINVAL.
        match check(unsafe { libc::syscall(libc::SYS_io_setup, 0, &raw mut id) } as i64) {
            Err(errno) if errno.is_forbidden() => Err(errno),
            _ => Ok(()),
        }
    }

    /// A context for `entries` requests. Fails with EAGAIN if fs.aio-max-nr is used up, ENOSYS without kernel AIO.
    pub fn new(entries: u32) -> Result<Self> {
        let mut id: aio_context_t = 0;
        // SAFETY: a live number, 0 as io_setup(2) requires.
        check(unsafe { libc::syscall(libc::SYS_io_setup, entries, &raw mut id) } as i64)?;
        let context = Self { id, entries, ring: CompletionRing::at(id) };
        if context.ring.is_none() {
            context.io_getevents(&mut [])?;
        }
        Ok(context)
    }

    pub fn entries(&self) -> u32 {
        self.entries
    }

    pub fn id(&self) -> aio_context_t {
        self.id
    }

    pub fn has_completions(&self) -> bool {
        // Acquire pairs with the kernel's release of the tail after it wrote the event.
        self.ring
            .as_ref()
            .is_none_or(|ring| ring.header().head.load(Ordering::Relaxed) != ring.header().tail.load(Ordering::Acquire))
    }

    /// Moves completions to `events` without waiting; returns how many.
    pub fn reap(&mut self, events: &mut [io_event]) -> usize {
        match &mut self.ring {
            Some(ring) => ring.reap(events),
            None => self.io_getevents(events).unwrap_or(0),
        }
    }

    /// io_getevents(2) without waiting, for a ring of an unknown layout.
    fn io_getevents(&self, events: &mut [io_event]) -> Result<usize> {
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let room = events.len() as libc::c_long;
        // SAFETY: room for that many events, and a live timespec.
        let got = unsafe {
            libc::syscall(libc::SYS_io_getevents, self.id, 0 as libc::c_long, room, events.as_mut_ptr(), &raw const now)
        };
        check(got as i64).map(|got| got as usize)
    }

    /// Forgets the parent's context in a child of fork(2), which has neither the context nor its ring.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for AioContext {
    fn drop(&mut self) {
        // SAFETY: the context is ours; the kernel waits for what is in flight and unmaps the ring.
        unsafe { libc::syscall(libc::SYS_io_destroy, self.id) };
    }
}

impl CompletionRing {
    /// The ring of a context, if its layout is known. Children of fork(2) do not get the mapping.
    fn at(id: aio_context_t) -> Option<Self> {
        let header = ptr::with_exposed_provenance::<RingHeader>(id as usize);
        // SAFETY: the kernel maps at least a page there, which libaio and fio read as well.
        let known = unsafe { (*header).magic == MAGIC && (*header).incompat_features == 0 };
        // SAFETY: as above.
        let (entries, header_length) = unsafe { ((*header).nr, (*header).header_length) };
        if !known || header_length as usize != size_of::<RingHeader>() {
            return None;
        }
        let length = size_of::<RingHeader>() + entries as usize * size_of::<io_event>();
        let ring = Self { header, entries, length };
        ring.keep_from_children();
        Some(ring)
    }

    fn keep_from_children(&self) {
        const PAGE: usize = 4096;
        let length = self.length.next_multiple_of(PAGE);
        // SAFETY: the mapping is that long. If it fails, children map a ring that they never read.
        unsafe { libc::madvise(self.header.cast_mut().cast(), length, libc::MADV_DONTFORK) };
    }

    fn header(&self) -> &RingHeader {
        // SAFETY: mapped as long as the context; its fields are atomics, or fixed since io_setup.
        unsafe { &*self.header }
    }

    fn reap(&mut self, events: &mut [io_event]) -> usize {
        let header = self.header();
        // Acquire pairs with the kernel's release of the tail after it wrote the event. Only we move the head.
        let tail = header.tail.load(Ordering::Acquire);
        let mut head = header.head.load(Ordering::Relaxed);
        let mut count = 0;
        while head != tail && count < events.len() {
            // SAFETY: `head` is below `entries`, and the kernel writes there only after the head moved on.
            events[count] = unsafe { self.header.add(1).cast::<io_event>().add(head as usize).read() };
            head = (head + 1) % self.entries;
            count += 1;
        }
        // Release pairs with the kernel's read of the head before it reuses a place.
        header.head.store(head, Ordering::Release);
        count
    }
}

/// Requests for one io_submit(2). Reused, so that submitting allocates nothing.
#[derive(Default)]
pub struct AioBatch {
    requests: Vec<iocb>,
    pointers: Vec<*const iocb>,
    /// The user data of requests that the kernel refused.
    refused: Vec<u64>,
    /// io_submit(2) itself is forbidden.
    forbidden: bool,
}

// SAFETY: only `submit` uses the pointers, after it has set them; the addresses in `requests` are Memory's.
unsafe impl Send for AioBatch {}

impl AioBatch {
    /// Room for `count` requests, or ENOMEM.
    pub fn with_room(count: u32) -> Result<Self> {
        let count = count as usize;
        Ok(Self { requests: room(count)?, pointers: room(count)?, refused: room(count)?, forbidden: false })
    }

    pub fn push(&mut self, request: AioRequest) {
        let AioRequest { user_data, fd, reads, vectored, memory, count, offset, rw_flags, ioprio, eventfd } = request;
        let opcode = match (reads, vectored) {
            (true, false) => aio_abi::IOCB_CMD_PREAD,
            (false, false) => aio_abi::IOCB_CMD_PWRITE,
            (true, true) => aio_abi::IOCB_CMD_PREADV,
            (false, true) => aio_abi::IOCB_CMD_PWRITEV,
        };
        let priority = if ioprio == 0 { 0 } else { aio_abi::IOCB_FLAG_IOPRIO };
        self.requests.push(iocb {
            aio_data: user_data,
            aio_key: 0,
            aio_rw_flags: rw_flags as i32,
            aio_lio_opcode: opcode,
            aio_reqprio: ioprio as i16,
            aio_fildes: fd as u32,
            aio_buf: memory.address().expose_provenance() as u64,
            aio_nbytes: count,
            aio_offset: offset as i64,
            aio_reserved2: 0,
            aio_flags: aio_abi::IOCB_FLAG_RESFD | priority,
            aio_resfd: eventfd as u32,
        });
    }

    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    pub fn refused(&self) -> impl Iterator<Item = u64> + '_ {
        self.refused.iter().copied()
    }

    /// Whether the last [`Self::submit`] found io_submit(2) forbidden.
    pub fn is_forbidden(&self) -> bool {
        self.forbidden
    }

    pub fn clear(&mut self) {
        self.requests.clear();
        self.refused.clear();
    }

    /// Submits all requests that the kernel accepts (io_submit(2)). The kernel stops at the first bad request and returns its
    /// errno, so the others are submitted without it.
    pub fn submit(&mut self, context: aio_context_t) {
        self.pointers.clear();
        self.pointers.extend(self.requests.iter().map(ptr::from_ref));
        let mut done = 0;
        while done < self.pointers.len() {
            let rest = &mut self.pointers[done..];
            match submit(context, rest) {
                Ok(taken) => done += taken,
                Err(errno) if errno.0 == libc::EINTR => {}
                Err(errno) if errno.is_forbidden() && may_submit(context).is_err() => {
                    self.refused.extend(self.requests[done..].iter().map(|request| request.aio_data));
                    self.forbidden = true;
                    return;
                }
                Err(_) => {
                    self.refused.push(self.requests[done].aio_data);
                    done += 1;
                }
            }
        }
    }
}

/// ENOSYS, EPERM or EACCES if io_submit(2) is forbidden; submits nothing.
pub fn may_submit(context: aio_context_t) -> Result<()> {
    // SAFETY: no requests.
    unsafe { in_place!(libc::SYS_io_submit, context, 0, ptr::null_mut::<*const iocb>()) }.map(drop)
}

fn submit(context: aio_context_t, requests: &mut [*const iocb]) -> Result<usize> {
    let count = requests.len() as libc::c_long;
    // SAFETY: live pointers to live requests, which the kernel copies; their memory is lent until the event (Memory).
    match unsafe { in_place!(libc::SYS_io_submit, context, count, requests.as_mut_ptr()) }? {
        0 => Err(Errno(libc::EAGAIN)),
        taken => Ok(taken as usize),
    }
}
