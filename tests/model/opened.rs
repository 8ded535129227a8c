//! Chains that open the file or folder that they use.

use super::plan::{Ask, Opened};
use super::records::{Deed, Made, Memory, named, transfer, two_names};
use super::support::*;
use super::world::{REPLACED, REPLACED_SIZE, WORD, World};
use std::os::fd::AsRawFd;

/// The operations of a chain. `at` is the run of cells that it reads, if it reads.
pub fn chain(world: &mut World, chain: usize, how: Opened, at: (usize, usize)) -> Vec<Made> {
    let mut read = || {
        let (op, deed, memory) = transfer(world, chain, 0, at, false, false);
        // If the cells are busy, it is a NOP.
        let opened = caio_op { fd: CAIO_FD_OPENED, ..op };
        (if op.opcode == CAIO_OP_NOP { op } else { opened }, deed, memory)
    };
    match how {
        Opened::Read => {
            let read = read();
            vec![open(world, FILE, Deed::Always(0)), stat(), read, close()]
        }
        Opened::Fail => {
            let read = read();
            let bad = op(CAIO_OP_READ, CAIO_FD_OPENED).buf(sys::nowhere()).len(100);
            let fails = (bad, Deed::Always(-i64::from(libc::EFAULT)), Memory::none());
            vec![open(world, FILE, Deed::Always(0)), fails, read, close()]
        }
        Opened::Keep => {
            let read = read();
            vec![open(world, FILE, Deed::Open), read, stat()]
        }
        Opened::Missing => vec![open(world, "missing", Deed::Always(-ENOENT)), stat(), close()],
        Opened::Replace => replace(world),
        Opened::Folder => folder(world),
        Opened::Nothing => {
            vec![
                (ops::nop(), Deed::Always(0), Memory::none()),
                (ops::close(CAIO_FD_OPENED), Deed::Malformed, Memory::none()),
            ]
        }
    }
}

/// Gives the operations the options of the plan. A CLOSE that always runs has no timeout.
pub fn limit(made: &mut [Made], ask: &Ask) {
    for (op, deed, _) in made {
        let timeout_us = ask.timeout_us.filter(|_| *deed != Deed::CloseOpened);
        op.timeout_ns = timeout_us.unwrap_or(0) * 1000;
        op.ioprio = ask.ioprio;
    }
}

const FILE: &str = "buffered";

fn open(world: &World, name: &str, deed: Deed) -> Made {
    named(ops::openat(world.folder.as_raw_fd(), c"", libc::O_RDONLY | libc::O_CLOEXEC, 0), name, deed)
}

fn stat() -> Made {
    let memory = Memory::new(size_of::<libc::statx>()).with_path("");
    let op = op(CAIO_OP_STATX, CAIO_FD_OPENED).buf(memory.path(0)).buf2(memory.start());
    (op.sys(libc::AT_EMPTY_PATH.into()).mode(libc::STATX_SIZE), Deed::Statx, memory)
}

fn close() -> Made {
    (ops::close(CAIO_FD_OPENED), Deed::CloseOpened, Memory::none())
}

fn sync() -> Made {
    (ops::fsync(CAIO_FD_OPENED), Deed::Always(0), Memory::none())
}

/// The chain of the contract that replaces a file safely.
fn replace(world: &mut World) -> Vec<Made> {
    let dir = world.folder.as_raw_fd();
    let stamp = world.serial();
    world.replacements.push(stamp);
    let new = format!("new-{stamp}");
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
    let mut memory = Memory::new(REPLACED_SIZE);
    memory.fill(&stamp.to_ne_bytes().repeat(REPLACED_SIZE / WORD));
    let write = op(CAIO_OP_WRITE, CAIO_FD_OPENED).buf(memory.start()).len(REPLACED_SIZE as u64).full();
    vec![
        named(ops::openat(dir, c"", flags, 0o600), &new, Deed::Always(0)),
        (write, Deed::Always(REPLACED_SIZE as i64), memory),
        sync(),
        close(),
        two_names(op(CAIO_OP_RENAMEAT, dir), &new, REPLACED),
        open(world, ".", Deed::Always(0)),
        sync(),
        close(),
    ]
}

fn folder(world: &mut World) -> Vec<Made> {
    let (from, to) = (format!("from-{}", world.serial()), format!("to-{}", world.serial()));
    let rename = op(CAIO_OP_RENAMEAT, CAIO_FD_OPENED).flag(CAIO_FLAG_DIR2).at(CAIO_FD_OPENED as u64);
    let remove = ops::unlinkat(CAIO_FD_OPENED, c"").sys(libc::AT_REMOVEDIR.into());
    vec![
        open(world, ".", Deed::Always(0)),
        named(ops::mkdirat(CAIO_FD_OPENED, c"", 0o700), &from, Deed::Always(0)),
        two_names(rename, &from, &to),
        named(remove, &to, Deed::Always(0)),
        close(),
    ]
}
