//! The load of one context: operations of every kind on a file with a shadow copy, a pipe and a folder.

use super::support::files::Dir;
use super::support::sys::Map;
use super::support::*;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

const BLOCK: usize = sys::PAGE;
const BLOCKS: usize = 128;
/// Operations in flight, each with a block of memory.
const DEPTH: usize = 32;
/// After this many turns, the context is freed with operations in flight, and replaced.
const TURNS: usize = 4000;

/// What a block of the memory is used for.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Use {
    Free,
    Nop,
    Read(usize),
    /// A write of a new stamp. The sync after it has the next place.
    Write(usize, u64),
    Sync,
    Open,
    Statx,
    Missing,
    /// Reads a byte of the pipe.
    Byte,
    /// The same, with a timeout that may expire first.
    Timeout,
}

#[derive(Clone, Copy)]
struct Block {
    /// The value of each word; None if unknown, because a context was freed with a write in flight.
    stamp: Option<u64>,
    busy: bool,
}

pub struct Load {
    options: caio_options,
    ctx: Ctx,
    file: File,
    folder: File,
    name: CString,
    pipe: (OwnedFd, OwnedFd),
    fed: usize,
    room: Map,
    uses: [Use; DEPTH],
    blocks: [Block; BLOCKS],
    random: Random,
    stamp: u64,
    turns: usize,
    accepted: u64,
    taken: u64,
    total: usize,
}

impl Load {
    pub fn new(dir: &Dir, options: caio_options, number: u32) -> Self {
        let name = format!("file-{number}");
        std::fs::write(dir.join(&name), vec![0; BLOCK * BLOCKS]).expect("the file");
        let direct = if number.is_multiple_of(2) || !dir.on_disk() { 0 } else { libc::O_DIRECT };
        let file = OpenOptions::new().read(true).write(true).custom_flags(direct).open(dir.join(&name));
        let block = Block { stamp: Some(0), busy: false };
        Self {
            ctx: Ctx::new(&options),
            options,
            file: file.expect("the file"),
            folder: dir.open(),
            name: CString::new(name).expect("no NUL"),
            pipe: sys::pipe(),
            fed: 0,
            room: Map::new(DEPTH * BLOCK),
            uses: [Use::Free; DEPTH],
            blocks: [block; BLOCKS],
            random: Random::new(number),
            stamp: 0,
            turns: 0,
            accepted: 0,
            taken: 0,
            total: 0,
        }
    }

    /// Submits operations, takes events, and sometimes makes another call.
    pub fn turn(&mut self) {
        self.turns += 1;
        self.submit();
        match self.random.below(40) {
            0 => self.feed(),
            1 => drop(self.ctx.cancel(self.random.below(DEPTH) as u64)),
            2 => drop(self.ctx.cancel_fd(self.pipe.0.as_raw_fd())),
            3 => drop(self.ctx.wake()),
            // SAFETY: no memory involved.
            4 => drop(unsafe { libc::posix_fadvise(self.file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) }),
            5 => self.check_stats(),
            _ => {}
        }
        let patience = self.random.below(1_000_000) as i64;
        let max = 1 + self.random.below(DEPTH) as u32;
        let events =
            if self.random.below(2) == 0 { self.ctx.poll(max) } else { self.ctx.wait(1, max, patience).expect("wait") };
        events.into_iter().for_each(|event| self.note(event));
        if self.turns.is_multiple_of(TURNS) {
            self.renew();
        }
    }

    fn free_place(&self) -> Option<usize> {
        (0..DEPTH - 1).find(|place| self.uses[*place] == Use::Free && self.uses[place + 1] == Use::Free)
    }

    fn submit(&mut self) {
        let Some(place) = self.free_place() else { return };
        let (fd, folder, pipe) = (self.file.as_raw_fd(), self.folder.as_raw_fd(), self.pipe.0.as_raw_fd());
        let memory = self.room.address(place * BLOCK);
        let block = self.random.below(BLOCKS);
        let at = (block * BLOCK) as u64;
        let moved = |opcode| op(opcode, fd).buf(memory).len(BLOCK as u64).at(at).full();
        let busy = self.blocks[block].busy;
        let byte = op(CAIO_OP_READ, pipe).buf(memory).len(1).current();
        let ops = match self.random.below(12) {
            0..3 if !busy => vec![(Use::Read(block), moved(CAIO_OP_READ))],
            3..5 if !busy => vec![(self.stamped(place, block), moved(CAIO_OP_WRITE))],
            5 if !busy => {
                vec![(self.stamped(place, block), moved(CAIO_OP_WRITE).link()), (Use::Sync, ops::fdsync(fd))]
            }
            6 => vec![(Use::Open, ops::openat(folder, &self.name, libc::O_RDONLY | libc::O_CLOEXEC, 0))],
            7 => {
                let statx = op(CAIO_OP_STATX, folder).buf(self.name.as_ptr()).buf2(memory).mode(libc::STATX_SIZE);
                vec![(Use::Statx, statx)]
            }
            8 => vec![(Use::Missing, ops::unlinkat(folder, c"missing"))],
            9 => vec![(Use::Byte, byte)],
            10 => vec![(Use::Timeout, byte.timeout(Duration::from_micros(50)))],
            _ => vec![(Use::Nop, ops::nop())],
        };
        for (at, (what, _)) in ops.iter().enumerate() {
            self.uses[place + at] = *what;
            if let Use::Read(block) | Use::Write(block, _) = what {
                self.blocks[*block].busy = true;
            }
        }
        let batch: Vec<caio_op> = ops.iter().enumerate().map(|(at, (_, op))| op.tag((place + at) as u64)).collect();
        self.ctx.accept(&batch);
        self.accepted += batch.len() as u64;
    }

    /// Fills the memory of a write with a new stamp.
    fn stamped(&mut self, place: usize, block: usize) -> Use {
        self.stamp += 1;
        let bytes = &mut self.room.bytes_mut()[place * BLOCK..][..BLOCK];
        bytes.chunks_exact_mut(8).for_each(|word| word.copy_from_slice(&self.stamp.to_ne_bytes()));
        Use::Write(block, self.stamp)
    }

    fn feed(&mut self) {
        if sys::waiting(&self.pipe.0) < 64 {
            self.fed += 16;
            sys::write_all(&self.pipe.1, &[b'x'; 16]);
        }
    }

    fn note(&mut self, event: Event) {
        let place = event.user_data as usize;
        let what = std::mem::replace(&mut self.uses[place], Use::Free);
        self.taken += 1;
        let stopped = event.result == -ECANCELED;
        let good = match what {
            Use::Free => panic!("an event without an operation: {event:?}"),
            Use::Nop | Use::Statx | Use::Sync => event.result == 0,
            Use::Missing => event.result == -ENOENT,
            Use::Open => event.result >= 0,
            Use::Byte => event.result == 1,
            Use::Timeout => event.result == 1 || event.result == -ETIMEDOUT,
            Use::Read(_) | Use::Write(..) => event.result == BLOCK as i64,
        };
        assert!(good || stopped, "{what:?}: {}", event.result);
        match what {
            Use::Open if event.result >= 0 => drop(sys::owned(event.result)),
            Use::Byte | Use::Timeout if event.result == 1 => self.fed -= 1,
            Use::Read(block) => {
                self.blocks[block].busy = false;
                if event.result > 0 {
                    self.verify(place, block);
                }
            }
            Use::Write(block, stamp) => self.blocks[block] = Block { stamp: (!stopped).then_some(stamp), busy: false },
            _ => {}
        }
    }

    fn verify(&self, place: usize, block: usize) {
        let Some(stamp) = self.blocks[block].stamp else { return };
        let bytes = &self.room.bytes()[place * BLOCK..][..BLOCK];
        let whole = bytes.chunks_exact(8).all(|word| word == stamp.to_ne_bytes());
        assert!(whole, "block {block} is not what was written: {stamp}, {:?}", &bytes[..16]);
    }

    fn check_stats(&self) {
        let stats = self.ctx.stats();
        assert_eq!((stats.submitted, u64::from(stats.inflight)), (self.accepted, self.accepted - self.taken));
        assert!((self.taken..=self.accepted).contains(&stats.completed));
    }

    /// Frees the context with operations in flight, and continues with a new one.
    fn renew(&mut self) {
        // The context drops pending events, so the pipe itself must tell how many bytes their reads took.
        let ctx = std::mem::replace(&mut self.ctx, Ctx::new(&self.options));
        drop(ctx);
        self.total += self.accepted as usize;
        (self.accepted, self.taken) = (0, 0);
        for what in std::mem::replace(&mut self.uses, [Use::Free; DEPTH]) {
            match what {
                Use::Read(block) => self.blocks[block].busy = false,
                Use::Write(block, _) => self.blocks[block] = Block { stamp: None, busy: false },
                _ => {}
            }
        }
        self.fed = sys::waiting(&self.pipe.0);
    }

    /// Cancels the operations in flight and takes their events. Returns the number of all operations.
    pub fn end(mut self) -> usize {
        let mut empty_waits = 0;
        while self.taken < self.accepted {
            self.ctx.cancel_all();
            let events = self.ctx.wait(1, DEPTH as u32, 1_000_000).expect("wait");
            empty_waits += u128::from(events.is_empty());
            assert!(empty_waits < PATIENCE.as_millis(), "{} of {} events", self.taken, self.accepted);
            events.into_iter().for_each(|event| self.note(event));
        }
        assert_eq!(self.ctx.poll(8), [], "and no more");
        assert_eq!(self.fed, sys::waiting(&self.pipe.0), "no byte was lost");
        self.total + self.accepted as usize
    }
}
