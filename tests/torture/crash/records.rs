//! Records whose content shows whether they are whole, and the program that writes them.

use super::support::sys::Map;
use super::support::*;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::Path;

/// More than a sector, so that it can be torn.
pub const RECORD: usize = 2048;
/// Records in flight.
const DEPTH: usize = 32;
/// What the writer prints before the numbers.
pub const READY: &[u8] = b"records from here:";

/// How a record is written and acknowledged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// A write, then an fdatasync that is linked to it.
    Chain,
    /// A write, and an fdatasync when the write has completed.
    After,
    /// A write without a sync.
    NoSync,
    /// An fdatasync, and a write that is not linked to it. The record is acknowledged when both have completed.
    Unlinked,
}

impl Order {
    pub fn from_number(number: u32) -> Self {
        [Self::Chain, Self::After, Self::NoSync, Self::Unlinked][number as usize]
    }
}

/// The content of each word depends on the record and the position in it.
fn word(number: u64, at: usize) -> u64 {
    (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ at as u64
}

pub fn is_whole(content: &[u8], number: u64) -> bool {
    let Some(record) = content.get(number as usize * RECORD..(number as usize + 1) * RECORD) else { return false };
    record.chunks_exact(8).enumerate().all(|(at, bytes)| bytes == word(number, at).to_ne_bytes())
}

pub struct Writer {
    ctx: Ctx,
    file: File,
    order: Order,
    room: Map,
    /// The record in each place of the memory, and how many events it still needs.
    places: [(u64, u32); DEPTH],
    next: u64,
}

impl Writer {
    pub fn new(backend: u32, order: Order, path: &Path) -> Self {
        let file = File::create(path).expect("the file of the records");
        let (ctx, room) = (Ctx::on(backend), Map::new(DEPTH * RECORD));
        Self { ctx, file, order, room, places: [(0, 0); DEPTH], next: 0 }
    }

    /// Writes records until the process is killed.
    pub fn run(mut self) {
        let mut output = std::io::stdout();
        output.write_all(READY).and_then(|()| output.flush()).expect("a reader");
        (0..DEPTH).for_each(|place| self.submit(place));
        loop {
            let events = self.ctx.wait(1, 64, -1).expect("events");
            for event in events {
                self.note(event, &mut output);
            }
        }
    }

    fn submit(&mut self, place: usize) {
        let number = self.next;
        self.next += 1;
        let bytes = &mut self.room.bytes_mut()[place * RECORD..][..RECORD];
        for (at, bytes) in bytes.chunks_exact_mut(8).enumerate() {
            bytes.copy_from_slice(&word(number, at).to_ne_bytes());
        }
        let fd = self.file.as_raw_fd();
        let write = ops::write(fd, bytes, number * RECORD as u64).tag(place as u64 * 2);
        let sync = ops::fdsync(fd).tag(place as u64 * 2 + 1);
        let ops = match self.order {
            Order::Chain => vec![write.link(), sync],
            Order::After | Order::NoSync => vec![write],
            Order::Unlinked => vec![sync, write],
        };
        self.places[place] = (number, ops.len() as u32);
        self.ctx.accept(&ops);
    }

    fn note(&mut self, event: Event, output: &mut impl Write) {
        let (place, sync) = (event.user_data as usize / 2, event.user_data % 2 == 1);
        assert_eq!(event.result, if sync { 0 } else { RECORD as i64 }, "a write or a sync");
        if self.order == Order::After && !sync {
            return self.ctx.accept(&[ops::fdsync(self.file.as_raw_fd()).tag(event.user_data + 1)]);
        }
        let (number, left) = &mut self.places[place];
        *left -= 1;
        if *left == 0 {
            output.write_all(&number.to_ne_bytes()).and_then(|()| output.flush()).expect("a reader");
            self.submit(place);
        }
    }
}
