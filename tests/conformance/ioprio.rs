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

/// Is each thread in the idle class? A thread that has ended has no class.
fn all_idle() -> bool {
    // SAFETY: no memory involved.
    let class = |thread: i32| unsafe { libc::syscall(libc::SYS_ioprio_get, WHO_PROCESS, thread) };
    threads().into_iter().map(class).all(|class| class == IDLE || class == -1)
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
        until("each thread is back in the class", all_idle);
        assert_eq!(ctx.one(op), result);
        assert!(all_idle(), "and stays there, opcode {}", op.opcode);
    }
}
