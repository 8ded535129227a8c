//! A file system in memory that fails, waits and forgets as it is told.
//!
//!     faultfs FOLDER
//!
//! mounts it, says `ready`, and stays until its standard input ends or it is unmounted; it exits with 77 if it may not
//! mount. In a shell: `exec 9> >(faultfs mnt)` ... `exec 9>&-`.
//!
//! # Commands
//!
//! One a line, written to the file `.control` in its root; write(2) answers EINVAL to what it does not understand.
//! Reading that file gives counters, `NAME NUMBER` a line: requests by kind, and `held`, those that hang now.
//!
//! A rule says what becomes of requests of one kind: `KIND ACTION [WHICH...]`.
//!
//! - KIND: `read` `write` `fsync` (fdatasync too) `fsyncdir` `open` `create` `lookup` `getattr` `setattr` (truncation too)
//!   `fallocate` `mkdir` `unlink` (rmdir too) `rename` `any`.
//! - ACTION: `fail ERRNO` (a name such as EIO, or a number), `short BYTES` (moves only so many), `slow MILLISECONDS`,
//!   `hang` (until `go`). One that waits and one that fails may meet in one request. What waits takes effect when it ends;
//!   a sync that waits covers what was written before it began.
//! - WHICH: `from=OFFSET` and `to=OFFSET` (only reads and writes that touch these bytes), `skip=N` (not the first N),
//!   `times=N` or `times=all` (1 if not said).
//!
//! Other commands:
//!
//! - `go`: what hangs goes on. `clear`: no rules any more.
//! - `full BYTES`: no file grows beyond that: writes end short there, then ENOSPC. `full off`.
//! - `direct on`: files opened from now on are as with O_DIRECT: no page cache. `direct off`.
//! - `sync honest`: what a sync has answered for stays (the default). `sync ignored`: it answers and keeps nothing.
//!   `sync early MILLISECONDS`: it answers at once, and keeps what it should that much later.
//! - `crash`: power is lost and comes back. Of every file only what was synced is there, in 512-byte sectors; names
//!   (creations, renames, removals) stay. `crash names`: of names too only what an fsync of a folder kept, all folders at
//!   once. `crash random SEED`: of what was not synced each sector stays or not, and names up to some point in their
//!   order. Syncs that are under way at that moment fail with EIO. Who had files open should be dead by then.
//!
//! What the kernel makes of a short read: through the page cache (O_DIRECT's remainder too) the rest is zeros, and the
//! file is thought to end there; with `direct on` it is a short read(2).
//! The kernel tries a read that failed as readahead once more: say `times=all`, or open with O_DIRECT.
//! There is no writeback cache: a write is here once write(2) has returned, and not safe before a sync.

mod control;
mod fs;
mod rules;
mod store;

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;

use fuser::{Config, MountOption, SessionACL};

const CANNOT_MOUNT: u8 = 77;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(folder), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: faultfs FOLDER");
        return ExitCode::from(2);
    };
    let root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("faultfs".into())];
    config.acl = if root { SessionACL::All } else { SessionACL::Owner };
    let session = match fuser::spawn_mount(fs::FaultFs::default(), &folder, &config) {
        Ok(session) => session,
        Err(error) => {
            eprintln!("faultfs: {}: {error}", folder.display());
            return ExitCode::from(CANNOT_MOUNT);
        }
    };
    println!("ready");
    let mut ignored = [0; 64];
    while std::io::stdin().read(&mut ignored).is_ok_and(|count| count > 0) {}
    // What hangs would keep the mount busy: it fails when the connection ends with this process.
    drop(std::process::Command::new("umount").args(["-l", "-n"]).arg(&folder).status());
    std::mem::forget(session);
    ExitCode::SUCCESS
}
