//! Promise 1: exactly one event for every accepted operation, whatever happens to it.

use crate::support::case::Case;
use crate::support::files::pattern_at;
use crate::support::stuck::Stuck;
use crate::support::*;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsRawFd;

crate::promises! {
    Plan::FOLDERS => { for_thousands_of_mixed_operations }
    Plan::EVERY => { for_cancelled_operations, for_a_context_that_is_always_full }
}

const COUNT: usize = 3000;
const SIZE: usize = 512;
const PAGES: usize = 256;

/// Operations of every kind, and the results that they may have.
struct Mix {
    file: File,
    folder: File,
    names: [CString; 2],
    rooms: Vec<Vec<u8>>,
    data: Vec<u8>,
    stats: Vec<libc::statx>,
    random: Random,
}

impl Mix {
    fn new(case: &Case) -> Self {
        Self {
            file: case.dir.cold("file", PAGES * 4096),
            folder: case.dir.open(),
            names: [c"file".into(), c"missing".into()],
            rooms: vec![vec![0; SIZE]; COUNT],
            data: vec![b'w'; SIZE],
            stats: vec![sys::statx_room(); COUNT],
            random: Random::new(case.backend),
        }
    }

    fn op(&mut self, number: usize) -> caio_op {
        let (fd, folder) = (self.file.as_raw_fd(), self.folder.as_raw_fd());
        let at = (number % PAGES * 4096) as u64;
        let past = (PAGES * 4096 + number) as u64;
        match number % 12 {
            0..=3 => ops::read(fd, &mut self.rooms[number], at),
            4 => ops::read(fd, &mut self.rooms[number], at).full(),
            5 => ops::write(fd, &self.data, past),
            6 => ops::fdsync(fd),
            7 => ops::statx(folder, &self.names[0], &mut self.stats[number]),
            8 => ops::openat(folder, &self.names[0], libc::O_RDONLY | libc::O_CLOEXEC, 0),
            9 => ops::unlinkat(folder, &self.names[1]),
            10 => ops::read(-1, &mut self.rooms[number], at),
            _ => ops::nop(),
        }
    }

    fn check(&mut self, number: usize, result: i64) {
        match number % 12 {
            0..=4 => {
                assert_eq!(result, SIZE as i64, "operation {number}");
                let start = number % PAGES * 4096;
                assert!(self.rooms[number].iter().enumerate().all(|(at, byte)| *byte == pattern_at(start + at)));
            }
            5 => assert_eq!(result, SIZE as i64),
            8 => {
                assert!(result >= 0, "openat: {result}");
                assert_eq!(sys::plain(&ops::close(result as i32)), 0);
            }
            9 => assert_eq!(result, -ENOENT),
            10 => assert_eq!(result, -EBADF),
            _ => assert_eq!(result, 0, "operation {number}"),
        }
    }
}

/// The operations whose events are taken.
struct Seen(Vec<bool>);

impl Seen {
    fn mark(&mut self, number: usize) {
        assert!(!std::mem::replace(&mut self.0[number], true), "a second event for {number}");
    }
}

fn for_thousands_of_mixed_operations(case: &Case) {
    let mut mix = Mix::new(case);
    let mut seen = Seen(vec![false; COUNT]);
    let ctx = case.ctx_of(200);
    let (mut next, mut done) = (0, 0);
    while done < COUNT {
        let batch = (1 + mix.random.below(40)).min(COUNT - next);
        let ops: Vec<caio_op> = (next..next + batch).map(|number| mix.op(number).tag(number as u64)).collect();
        let accepted = ctx.submit(&ops);
        assert!(accepted > 0 || accepted == -libc::EAGAIN || batch == 0, "{accepted}");
        next += accepted.max(0) as usize;
        let must = u32::from(accepted <= 0);
        for event in ctx.wait(must, 1 + mix.random.below(60) as u32, PATIENCE.as_nanos() as i64).expect("wait") {
            seen.mark(event.user_data as usize);
            mix.check(event.user_data as usize, event.result);
            done += 1;
        }
    }
    assert_eq!(ctx.poll(8), [], "no further event");
    let stats = ctx.stats();
    assert_eq!((stats.submitted, stats.completed, stats.inflight), (COUNT as u64, COUNT as u64, 0));
}

/// Blocked, waiting, timed-out, running and completed operations, while threads cancel them.
fn for_cancelled_operations(case: &Case) {
    const ROUNDS: u64 = 60;
    let stuck = Stuck::kinds();
    let file = case.dir.file("file", &files::pattern(65536));
    let mut room = [0; 64];
    let read = ops::read(file.as_raw_fd(), &mut room, 7);
    let ctx = case.ctx();
    let mut random = Random::new(case.backend);
    let mut seen = Seen(vec![false; 8 * ROUNDS as usize]);
    let mut mark = |events: Vec<Event>| {
        for event in events {
            seen.mark(event.user_data as usize);
            assert!([64, 0, -ECANCELED, -ETIMEDOUT].contains(&event.result), "{event:?}");
        }
    };
    for round in 0..ROUNDS {
        let one = &stuck[random.below(3)];
        let timeout = Duration::from_micros(1 + random.below(2000) as u64);
        let batch = [
            one.read(),
            one.read().timeout(timeout),
            one.read().full().link(),
            ops::nop(),
            read,
            read.link(),
            one.read().link(),
            ops::fsync(file.as_raw_fd()),
        ];
        let first = round * 8;
        let batch: Vec<caio_op> = batch.iter().zip(first..).map(|(op, tag)| op.tag(tag)).collect();
        ctx.accept(&batch);
        for _ in 0..4 {
            match random.below(4) {
                0 => drop(ctx.cancel(first + random.below(8) as u64)),
                1 => drop(ctx.cancel_fd(one.fd())),
                2 => drop(ctx.cancel_fd(file.as_raw_fd())),
                _ => mark(ctx.poll(3)),
            }
        }
        if round % 16 == 15 {
            ctx.cancel_all();
        }
    }
    ctx.cancel_all();
    mark(ctx.collect(ctx.stats().inflight as usize));
    assert!(seen.0.iter().all(|seen| *seen), "every operation has its event");
    assert_eq!(ctx.poll(8), []);
}

fn for_a_context_that_is_always_full(case: &Case) {
    let file = case.dir.file("file", &files::pattern(65536));
    let mut rooms = [[0u8; 64]; 3];
    for max in 1..=3u32 {
        let ctx = case.ctx_of(max);
        let mut seen = Seen(vec![false; 600]);
        let mut next = 0u64;
        while next < 600 || ctx.stats().inflight > 0 {
            while next < 600 {
                let room = &mut rooms[next as usize % 3];
                if ctx.submit(&[ops::read(file.as_raw_fd(), room, next).tag(next)]) != 1 {
                    break;
                }
                next += 1;
            }
            for event in ctx.collect(1) {
                seen.mark(event.user_data as usize);
                assert_eq!(event.result, 64);
            }
        }
        assert!(seen.0.iter().all(|seen| *seen));
    }
}
