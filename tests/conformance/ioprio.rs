//! The priority of an operation is its own: no thread and no later operation keeps it.

use crate::support::case::Case;
use crate::support::*;
use std::os::fd::AsRawFd;

crate::promises! {
    Plan::EVERY.alone() => { priority_ends_with_its_operation }
}

const WHO_PROCESS: i32 = 1;
const IDLE: libc::c_long = 3 << 13;
const BEST_EFFORT_4: u16 = 2 << 13 | 4;

/// The threads of this process.
fn threads() -> Vec<i32> {
    let threads = std::fs::read_dir("/proc/self/task").expect("/proc/self/task").flatten();
    threads.filter_map(|thread| thread.file_name().to_str()?.parse().ok()).collect()
}

/// A thread that has ended has no class.
fn class(thread: i32) -> libc::c_long {
    // SAFETY: no memory involved.
    unsafe { libc::syscall(libc::SYS_ioprio_get, WHO_PROCESS, thread) }
}

fn all_idle() -> bool {
    threads().into_iter().map(class).all(|class| class == IDLE || class == -1)
}

/// Waits until each thread that is in another class comes back. One that ends in it never does.
fn all_come_back() {
    let mut away: Vec<i32> = threads().into_iter().filter(|thread| ![IDLE, -1].contains(&class(*thread))).collect();
    until("each thread is back in the class of the process", || {
        away.retain(|thread| class(*thread) != IDLE);
        away.is_empty()
    });
}

fn priority_ends_with_its_operation(case: &Case) {
    for thread in threads() {
        // SAFETY: no memory involved.
        let set = unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, thread, IDLE) };
        assert_eq!(set, 0, "ioprio_set: {}", sys::errno());
    }
    let file = case.dir.file("file", b"content");
    let (fd, ctx) = (file.as_raw_fd(), case.ctx());
    let mut room = [0; 7];
    for (op, result) in [(ops::fsync(fd), 0), (ops::write(fd, b"another", 0), 7), (ops::read(fd, &mut room, 0), 7)] {
        assert_eq!(ctx.one(op), result);
        assert!(all_idle(), "new threads inherit the class, opcode {}", op.opcode);
        assert_eq!(ctx.one(op.ioprio(BEST_EFFORT_4)), result);
        all_come_back();
        assert_eq!(ctx.one(op), result);
        assert!(all_idle(), "and stays there, opcode {}", op.opcode);
    }
}
