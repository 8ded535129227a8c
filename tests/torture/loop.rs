//! Faults of real file systems, on every backend. CAIO_TEST_DIR is a file system with the fault CAIO_FAULT. Each
//! operation completes once, with the result of the plain system call, also in the kernel's queues. The file systems
//! are on loop devices, or on a SCSI disk of the virtual machine.

#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::files::pattern;
use support::*;

const PAGE: usize = sys::PAGE;
const PAGES: usize = 64;
const EIO: i64 = -(libc::EIO as i64);

fn folder() -> PathBuf {
    std::env::var_os("CAIO_TEST_DIR").expect("CAIO_TEST_DIR").into()
}

fn contexts() -> Vec<Ctx> {
    let with_flags =
        |backend| [0, CAIO_CTX_NO_INLINE].map(|flags| Ctx::new(&caio_options { flags, ..options(backend) }));
    backends().into_iter().flat_map(with_flags).collect()
}

/// A file that `make` created before the fault, opened with these flags.
fn open(name: &str, flags: i32) -> File {
    let path = folder().join(name);
    File::options().read(true).write(true).custom_flags(flags).open(&path).unwrap_or_else(|why| panic!("{name}: {why}"))
}

fn cool(file: &File) {
    // SAFETY: no memory involved.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
}

/// Reads and writes of whole pages, many at a time.
fn pages(opcode: u8, file: &File, memory: &sys::Map) -> Vec<caio_op> {
    let page = |at: usize| {
        let place = at * PAGE;
        op(opcode, file.as_raw_fd()).buf(memory.address(place)).len(PAGE as u64).at(place as u64)
    };
    (0..PAGES).map(page).collect()
}

/// Reads of bad pages fail, and reads of good pages return their content. Another file still works.
fn eio(ctx: &Ctx, memory: &mut sys::Map) -> usize {
    let mut tries = 0;
    for flags in [0, libc::O_DIRECT] {
        let [bad, good] = ["bad", "good"].map(|name| {
            let path = folder().join(name);
            File::options().read(true).custom_flags(flags).open(path).expect(name)
        });
        cool(&bad);
        let reads = pages(CAIO_OP_READ, &bad, memory);
        // With O_DIRECT, a medium error may be ENODATA.
        let plain: Vec<i64> = reads.iter().map(sys::plain).collect();
        let failed: Vec<i64> = plain.iter().copied().filter(|result| *result != PAGE as i64).collect();
        assert!(failed.len() > PAGES / 2, "the fault has an effect: {plain:?}");
        assert!(failed.iter().all(|result| [EIO, -i64::from(libc::ENODATA)].contains(result)), "{plain:?}");
        cool(&bad);
        assert_eq!(ctx.run(&reads), plain);
        let full = ops::read(bad.as_raw_fd(), memory.bytes_mut(), 0).full();
        assert_eq!(ctx.one(full), failed[0]);
        cool(&good);
        memory.bytes_mut().fill(0);
        assert!(ctx.run(&pages(CAIO_OP_READ, &good, memory)).iter().all(|result| *result == PAGE as i64));
        assert_eq!(memory.bytes(), pattern(PAGES * PAGE), "the next operations work");
        tries += 2 * PAGES + 1;
    }
    tries
}

/// The file system was shut down while these files were open.
fn shutdown(ctx: &Ctx, memory: &sys::Map, open: &[File; 2]) -> usize {
    let mut tries = 1;
    let path = files::c_path(folder().join("good"));
    assert_eq!(ctx.one(ops::openat(libc::AT_FDCWD, &path, libc::O_RDWR, 0)), EIO);
    for file in open {
        let fd = file.as_raw_fd();
        let mut all = pages(CAIO_OP_WRITE, file, memory);
        all.extend([ops::fsync(fd), ops::fdsync(fd), ops::truncate(fd, 1 << 20)]);
        cool(file);
        all.extend(pages(CAIO_OP_READ, file, memory));
        let plain: Vec<i64> = all.iter().map(sys::plain).collect();
        assert_eq!(ctx.run(&all), plain);
        assert!(plain[..PAGES].iter().all(|result| *result == EIO), "{plain:?}");
        tries += all.len();
    }
    tries
}

/// CAIO_SWITCH turns the disk "down", so that it fails with EIO, and "up".
fn switch(state: &str) {
    let switch = std::env::var_os("CAIO_SWITCH").expect("CAIO_SWITCH");
    assert!(Command::new(switch).arg(state).status().expect("the switch").success(), "{state}");
}

/// While the disk is down, reads, direct writes and syncs fail. When it is up again, all operations work.
fn flaky(ctx: &Ctx, memory: &mut sys::Map) -> usize {
    for flags in [0, libc::O_DIRECT] {
        let file = open("good", flags);
        let sync = ops::fdsync(file.as_raw_fd());
        cool(&file);
        switch("down");
        let direct = flags != 0;
        assert_eq!(ctx.run(&pages(CAIO_OP_READ, &file, memory)), [EIO; PAGES]);
        let written = if direct { EIO } else { PAGE as i64 };
        assert_eq!(ctx.run(&pages(CAIO_OP_WRITE, &file, memory)), [written; PAGES]);
        if !direct {
            assert_eq!(ctx.one(sync), EIO, "dirty pages cannot be written");
        }
        switch("up");
        memory.bytes_mut().copy_from_slice(&pattern(PAGES * PAGE));
        assert_eq!(ctx.run(&pages(CAIO_OP_WRITE, &file, memory)), [PAGE as i64; PAGES]);
        assert_eq!(ctx.one(sync), 0);
        cool(&file);
        memory.bytes_mut().fill(0);
        assert_eq!(ctx.run(&pages(CAIO_OP_READ, &file, memory)), [PAGE as i64; PAGES]);
        assert_eq!(memory.bytes(), pattern(PAGES * PAGE));
    }
    8 * PAGES + 3
}

/// Writes to a full file system fail with ENOSPC. Reads still work.
fn full(ctx: &Ctx, memory: &mut sys::Map) -> usize {
    const ENOSPC: i64 = -(libc::ENOSPC as i64);
    let filler = File::options().append(true).create(true).open(folder().join("filler")).expect("a file");
    while sys::plain(&ops::write(filler.as_raw_fd(), memory.bytes(), CAIO_OFFSET_CURRENT)) > 0 {}
    while sys::plain(&ops::write(filler.as_raw_fd(), &memory.bytes()[..512], CAIO_OFFSET_CURRENT)) > 0 {}
    let mut tries = 0;
    for flags in [0, libc::O_DIRECT] {
        let file = open("new", flags);
        let fd = file.as_raw_fd();
        let wide: Vec<caio_op> = pages(CAIO_OP_WRITE, &file, memory).iter().map(|op| op.at(op.offset * 64)).collect();
        let results = ctx.run(&wide);
        assert!(results.iter().all(|result| [ENOSPC, PAGE as i64].contains(result)), "{results:?}");
        assert!(results.contains(&ENOSPC), "{results:?}");
        assert_eq!(ctx.one(op(CAIO_OP_ALLOCATE, fd).len(1 << 30)), ENOSPC);
        let good = open("good", flags);
        assert!(ctx.run(&pages(CAIO_OP_READ, &good, memory)).iter().all(|result| *result == PAGE as i64));
        assert_eq!(memory.bytes(), pattern(PAGES * PAGE), "reads still work");
        assert_eq!(ctx.one(ops::truncate(fd, 0)), 0);
        tries += 2 * PAGES + 2;
    }
    tries
}

/// Without a fault, each page is read as it was written, also with O_DIRECT and any sector size.
fn nothing(ctx: &Ctx, memory: &mut sys::Map) -> usize {
    for flags in [0, libc::O_DIRECT] {
        let file = open("good", flags);
        memory.bytes_mut().copy_from_slice(&pattern(PAGES * PAGE));
        assert!(ctx.run(&pages(CAIO_OP_WRITE, &file, memory)).iter().all(|result| *result == PAGE as i64));
        assert_eq!(ctx.one(ops::fsync(file.as_raw_fd())), 0);
        cool(&file);
        memory.bytes_mut().fill(0);
        assert!(ctx.run(&pages(CAIO_OP_READ, &file, memory)).iter().all(|result| *result == PAGE as i64));
        assert_eq!(memory.bytes(), pattern(PAGES * PAGE));
        // Not a whole page: O_DIRECT allows that only with small sectors.
        let odd = op(CAIO_OP_READ, file.as_raw_fd()).buf(memory.address(0)).len(512).at(512);
        assert_eq!(ctx.one(odd), sys::plain(&odd));
    }
    4 * PAGES + 4
}

#[test]
fn on_this_file_system() {
    let fault = std::env::var("CAIO_FAULT").expect("CAIO_FAULT");
    let name = std::env::var("CAIO_FS").expect("CAIO_FS");
    let mut memory = sys::Map::new(PAGES * PAGE);
    if fault == "make" {
        make(&folder());
        return;
    }
    let open = [0, libc::O_DIRECT].map(|flags| {
        let writes = fault != "eio";
        File::options().read(true).write(writes).custom_flags(flags).open(folder().join("good")).expect("good")
    });
    if fault == "shutdown" {
        let done = Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(folder()).status().expect("xfs_io");
        assert!(done.success(), "{done}");
    }
    let mut tries = 0;
    for ctx in contexts() {
        tries += match fault.as_str() {
            "nothing" => nothing(&ctx, &mut memory),
            "eio" => eio(&ctx, &mut memory),
            "shutdown" => shutdown(&ctx, &memory, &open),
            "full" => full(&ctx, &mut memory),
            "flaky" => flaky(&ctx, &mut memory),
            other => panic!("no such fault: {other}"),
        };
        let stats = ctx.stats();
        assert_eq!((stats.submitted, stats.inflight), (stats.completed, 0));
    }
    tried(tries, &format!("{name}, fault: {fault}"));
}

/// Creates the files. The script moves "bad" to where the fault is.
fn make(folder: &Path) {
    let content = pattern(PAGES * PAGE);
    std::fs::write(folder.join("good"), &content).expect("a file");
    std::fs::write(folder.join("bad"), &content).expect("a file");
    File::create(folder.join("new")).expect("a file");
    for name in ["good", "bad", "new"] {
        File::open(folder.join(name)).and_then(|file| file.sync_all()).expect("on the disk");
    }
}
