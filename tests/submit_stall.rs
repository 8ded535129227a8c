//! Submit never waits for data. The test file system holds every read, write and sync until the command `go`. A call
//! that returns before `go` has not waited for the file. No test uses a clock for this.

#![cfg(target_os = "linux")]

#[path = "c/mod.rs"]
mod c;
#[macro_use]
mod support;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use support::case::Case;
use support::files::{c_path, pattern};
use support::*;

const PAGE: usize = sys::PAGE;

/// The file system of `tests/c/fuse_gate.c`, mounted for one test.
struct Gate {
    server: Child,
    commands: Option<ChildStdin>,
    reports: BufReader<ChildStdout>,
    folder: PathBuf,
}

impl Gate {
    /// None if this machine does not allow the mount.
    fn mount(case: &Case) -> Option<Self> {
        Self::mount_of(case, None)
    }

    /// Like `mount`, on a block device.
    fn mount_of(case: &Case, device: Option<&Path>) -> Option<Self> {
        static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
        let program = PROGRAM.get_or_init(|| c::program("fuse_gate", c::Language::C, c::Link::Not));
        let folder = case.dir.join("mounted");
        std::fs::create_dir(&folder).expect("a folder to mount on");
        let mut server = Command::new(program);
        let mut server =
            server.arg(&folder).args(device).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the server");
        let (commands, reports) = (server.stdin.take(), server.stdout.take().expect("its output"));
        let mut reports = BufReader::new(reports);
        let mut line = String::new();
        reports.read_line(&mut line).expect("its first line");
        if line == "ready\n" {
            return Some(Self { server, commands, reports, folder });
        }
        assert_eq!(server.wait().expect("its end").code(), Some(77), "it may not mount, or else it failed");
        skipped("files that hold their reads needs FUSE (/dev/fuse and the right to mount)");
        None
    }

    fn file(&self) -> File {
        File::options().read(true).write(true).open(self.path()).expect("the gated file")
    }

    fn path(&self) -> PathBuf {
        self.folder.join("gated")
    }

    /// Waits until the server holds this many more requests.
    fn holds(&mut self, requests: usize) {
        for _ in 0..requests {
            let mut line = String::new();
            self.reports.read_line(&mut line).expect("a report");
            assert_eq!(line, "held\n");
        }
    }

    /// Lets the held requests end.
    fn go(&mut self) {
        self.commands.as_mut().expect("its input").write_all(b"go\n").expect("a command");
    }

    /// From now on, the server also holds opens, the answer to stat(2), and what close(2) waits for.
    fn hold_all(&mut self) {
        self.commands.as_mut().expect("its input").write_all(b"all\n").expect("a command");
        let mut line = String::new();
        self.reports.read_line(&mut line).expect("a report");
        assert_eq!(line, "all\n");
    }

    /// Lets requests end until there are `count` events. Some requests may arrive later.
    fn collect(&mut self, ctx: &Ctx, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        until("all events after the gate has opened", || {
            self.go();
            events.extend(ctx.wait(1, count as u32, 20_000_000).expect("events"));
            events.len() >= count
        });
        assert_eq!(events.len(), count);
        events
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        drop(self.commands.take());
        let _ = self.server.wait();
    }
}

/// The file system returns `g` for every byte.
fn all_g(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == b'g')
}

fn page_read(file: &File, memory: &sys::Map, at: usize) -> caio_op {
    op(CAIO_OP_READ, file.as_raw_fd()).buf(memory.address(at * PAGE)).len(PAGE as u64).at((at * PAGE) as u64)
}

/// Reads of another file complete while all other operations are held. Their tags are distinct.
fn others_go_on(ctx: &Ctx, case: &Case) {
    const COUNT: usize = 8;
    let file = case.dir.cold("other", COUNT * PAGE);
    let memory = sys::Map::new(COUNT * PAGE);
    let reads: Vec<caio_op> = (0..COUNT).map(|at| page_read(&file, &memory, at).tag(1000 + at as u64)).collect();
    ctx.accept(&reads);
    let mut events = ctx.collect(COUNT);
    events.sort();
    let good = (0..COUNT).map(|at| Event { user_data: 1000 + at as u64, result: PAGE as i64 });
    assert_eq!(events, good.collect::<Vec<_>>());
    assert_eq!(memory.bytes(), pattern(COUNT * PAGE));
}

/// Fewer than the worker threads of a context.
const HELD: usize = 20;

fn reads_are_held(case: &Case) {
    let Some(mut gate) = Gate::mount(case) else { return };
    let file = gate.file();
    let memory = sys::Map::new(HELD * PAGE);
    let ctx = case.ctx();
    let reads: Vec<caio_op> = (0..HELD).map(|at| page_read(&file, &memory, at).tag(at as u64)).collect();
    ctx.accept(&reads[..1]);
    gate.holds(1);
    ctx.accept(&reads[1..]);
    others_go_on(&ctx, case);
    assert_eq!(ctx.stats().inflight as usize, HELD, "none of them can have finished");
    assert!(!ctx.readable() || ctx.poll(1).is_empty());
    let events = gate.collect(&ctx, HELD);
    assert!(events.iter().all(|event| event.result == PAGE as i64), "{events:?}");
    assert!(all_g(memory.bytes()));
}

/// The same with submit_poll, and with the held read in a batch.
fn a_batch_with_a_held_read(case: &Case) {
    let Some(mut gate) = Gate::mount(case) else { return };
    let (file, other) = (gate.file(), case.dir.cold("batch", 2 * PAGE));
    let memory = sys::Map::new(4 * PAGE);
    let ctx = case.ctx();
    let mut batch = [
        page_read(&other, &memory, 0),
        page_read(&file, &memory, 2),
        page_read(&file, &memory, 3).link(),
        ops::nop(),
        page_read(&other, &memory, 1),
    ];
    batch.iter_mut().enumerate().for_each(|(at, op)| op.user_data = at as u64);
    let (accepted, mut events) = ctx.submit_poll(&batch, 5);
    assert_eq!(accepted, 5);
    events.extend(ctx.collect(2 - events.len()));
    let mut tags: Vec<u64> = events.iter().map(|event| event.user_data).collect();
    tags.sort_unstable();
    assert_eq!(tags, [0, 4], "the others; the NOP waits for the read that it is linked to");
    gate.holds(2);
    let events = gate.collect(&ctx, 3);
    assert!(events.iter().all(|event| event.result >= 0), "{events:?}");
    assert_eq!(memory.bytes()[..2 * PAGE], pattern(2 * PAGE));
    assert!(all_g(&memory.bytes()[2 * PAGE..]));
}

fn writes_and_syncs_are_held(case: &Case) {
    let Some(mut gate) = Gate::mount(case) else { return };
    let file = gate.file();
    let ctx = case.ctx();
    let text = [7u8; 100];
    for held in [ops::write(file.as_raw_fd(), &text, 10), ops::fsync(file.as_raw_fd())] {
        ctx.accept(&[held]);
        gate.holds(1);
        others_go_on(&ctx, case);
        let event = gate.collect(&ctx, 1)[0];
        assert_eq!(event.result, if held.opcode == CAIO_OP_WRITE { 100 } else { 0 });
    }
}

/// The calls that complete inside submit on a local file system.
fn calls_are_held(case: &Case, gate: &mut Gate, path: &Path) {
    let path = c_path(path);
    let file = sys::open(&path, libc::O_RDONLY);
    let ctx = case.ctx();
    gate.hold_all();
    let mut room = sys::statx_room();
    let stat = op(CAIO_OP_STATX, file.as_raw_fd()).buf(c"".as_ptr()).buf2(&raw mut room).mode(libc::STATX_SIZE);
    let stat = stat.sys((libc::AT_EMPTY_PATH | libc::AT_STATX_FORCE_SYNC).into());
    let mut result_of = |call: caio_op| {
        ctx.accept(&[call]);
        gate.holds(1);
        others_go_on(&ctx, case);
        gate.collect(&ctx, 1)[0].result
    };
    assert_eq!(result_of(stat), 0);
    let opened = result_of(ops::openat(libc::AT_FDCWD, &path, libc::O_RDONLY, 0));
    assert!(opened >= 0, "{opened}");
    for fd in [opened as i32, file.into_raw_fd()] {
        assert_eq!(result_of(ops::close(fd)), 0);
    }
}

fn opens_stats_and_closes_are_held(case: &Case) {
    let Some(mut gate) = Gate::mount(case) else { return };
    let path = gate.path();
    calls_are_held(case, &mut gate, &path);
}

/// An overlay, which looks like a local file system. Unmounted when dropped.
struct Overlay(std::ffi::CString);

impl Overlay {
    /// None if this machine does not allow the mount.
    fn of(case: &Case, lower: &Path) -> Option<Self> {
        let [second, merged] = ["second", "merged"].map(|name| {
            let folder = case.dir.join(name);
            std::fs::create_dir(&folder).expect("a folder");
            folder
        });
        let options = c_path(format!("lowerdir={}:{}", lower.display(), second.display()));
        let merged = c_path(merged);
        let name = c"overlay".as_ptr();
        // SAFETY: live strings.
        let mounted = unsafe { libc::mount(name, merged.as_ptr(), name, libc::MS_RDONLY, options.as_ptr().cast()) };
        if mounted != 0 {
            skipped("an overlay on FUSE needs overlayfs and the right to mount");
        }
        (mounted == 0).then_some(Self(merged))
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        // SAFETY: a live string.
        unsafe { libc::umount2(self.0.as_ptr(), libc::MNT_DETACH) };
    }
}

fn opens_stats_and_closes_through_an_overlay_are_held(case: &Case) {
    let Some(mut gate) = Gate::mount(case) else { return };
    let Some(overlay) = Overlay::of(case, &gate.folder) else { return };
    let path = Path::new(overlay.0.to_str().expect("ASCII")).join("gated");
    calls_are_held(case, &mut gate, &path);
}

/// A block device on a file.
struct Loop(String);

impl Loop {
    /// None if this machine has no loop device.
    fn of(path: &Path) -> Option<Self> {
        let output = Command::new("losetup").args(["-f", "--show"]).arg(path).output();
        match output {
            Ok(output) if output.status.success() => {
                Some(Self(String::from_utf8(output.stdout).expect("a path").trim().to_owned()))
            }
            _ => {
                skipped("FUSE on a block device needs losetup, loop devices and root");
                None
            }
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.0]).status();
    }
}

/// FUSE on a block device, such as ntfs-3g, looks like a file system in the kernel.
fn direct_transfers_of_fuse_on_a_device(case: &Case) {
    case.dir.sparse("image", 1 << 20);
    let Some(device) = Loop::of(&case.dir.join("image")) else { return };
    let Some(mut gate) = Gate::mount_of(case, Some(Path::new(&device.0))) else { return };
    let path = c_path(gate.path());
    let memory = sys::Map::new(PAGE);
    let ctx = case.ctx();
    for (opcode, access) in
        [(CAIO_OP_WRITE, libc::O_WRONLY), (CAIO_OP_WRITE, libc::O_RDWR), (CAIO_OP_READ, libc::O_RDONLY)]
    {
        let file = sys::open(&path, access | libc::O_DIRECT);
        ctx.accept(&[op(opcode, file.as_raw_fd()).buf(memory.start()).len(PAGE as u64)]);
        gate.holds(1);
        others_go_on(&ctx, case);
        assert_eq!(gate.collect(&ctx, 1)[0].result, PAGE as i64, "opcode {opcode}");
    }
}

/// A running operation is not interrupted, and yields its one event when it ends.
fn cancel_and_timeout_of_a_held_read(case: &Case) {
    let Some(mut gate) = Gate::mount(case) else { return };
    let file = gate.file();
    let memory = sys::Map::new(2 * PAGE);
    let ctx = case.ctx();
    others_go_on(&ctx, case);
    ctx.accept(&[page_read(&file, &memory, 0).tag(1)]);
    gate.holds(1);
    assert_eq!(ctx.cancel(1), 1);
    assert!(ctx.cancel(1) <= 1, "asking again does no harm");
    ctx.accept(&[page_read(&file, &memory, 1).tag(2).timeout(Duration::from_millis(100))]);
    let mut events = gate.collect(&ctx, 2);
    events.sort();
    let may_be =
        |event: Event, errno: i32| assert!([PAGE as i64, -i64::from(errno)].contains(&event.result), "{event:?}");
    may_be(events[0], libc::ECANCELED);
    may_be(events[1], libc::ETIMEDOUT);
    assert_eq!(ctx.cancel(1), -libc::ENOENT);
    assert!(ctx.poll(4).is_empty(), "and no more");
}

/// With one worker thread, which runs the first read, the second has not started: a cancel stops it at once.
fn cancel_of_a_queued_read(case: &Case) {
    let Some(mut gate) = Gate::mount(case) else { return };
    let file = gate.file();
    let memory = sys::Map::new(2 * PAGE);
    let ctx = Ctx::new(&caio_options { threads: 1, ..options(CAIO_BACKEND_THREAD) });
    ctx.accept(&[page_read(&file, &memory, 0).tag(1)]);
    gate.holds(1);
    ctx.accept(&[page_read(&file, &memory, 1).tag(2)]);
    assert_eq!(ctx.cancel(2), 1);
    assert_eq!(ctx.collect(1), [Event { user_data: 2, result: -i64::from(libc::ECANCELED) }]);
    assert_eq!(gate.collect(&ctx, 1), [Event { user_data: 1, result: PAGE as i64 }]);
}

/// free returns only when neither the kernel nor a worker thread can touch the caller's memory.
fn free_waits_for_a_held_read(case: &Case) {
    let Some(mut gate) = Gate::mount(case) else { return };
    let file = gate.file();
    let memory = sys::Map::new(PAGE);
    let ctx = case.ctx();
    ctx.accept(&[page_read(&file, &memory, 0)]);
    gate.holds(1);
    let freed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            drop(ctx);
            freed.store(true, Ordering::Release);
        });
        // A free that does not wait returns within this time. One that waits passes with any time.
        std::thread::sleep(Duration::from_millis(100));
        let waited = !freed.load(Ordering::Acquire);
        let touched = memory.bytes()[0];
        gate.go();
        assert!(waited || touched == 0);
        until("free returns", || freed.load(Ordering::Acquire));
        assert!(waited, "the read was held in the kernel, with the caller's memory");
    });
}

fn fifo(case: &Case) -> std::ffi::CString {
    let path = case.dir.c("fifo");
    sys::make_fifo(&path);
    path
}

/// More operations than worker threads are blocked on a FIFO. Disk operations proceed.
fn fifo_reads_beside_disk_reads(case: &Case) {
    const COUNT: usize = 200;
    let path = fifo(case);
    let ends: [OwnedFd; 2] = [sys::open(&path, libc::O_RDWR), sys::open(&path, libc::O_WRONLY)];
    let ctx = case.ctx();
    let mut bytes = [0u8; COUNT];
    let reads = bytes.iter_mut().enumerate();
    let reads: Vec<caio_op> = reads
        .map(|(at, byte)| {
            ops::read(ends[0].as_raw_fd(), std::slice::from_mut(byte), CAIO_OFFSET_CURRENT).tag(at as u64)
        })
        .collect();
    ctx.accept(&reads);
    others_go_on(&ctx, case);
    let file = case.dir.file("synced", b"x");
    ctx.accept(&[ops::write(file.as_raw_fd(), b"y", 0).tag(COUNT as u64).link(), ops::fsync(file.as_raw_fd())]);
    assert!(ctx.collect(2).iter().all(|event| event.result >= 0));
    sys::write_all(&ends[1], &[b'z'; COUNT]);
    assert!(ctx.collect(COUNT).iter().all(|event| event.result == 1));
    assert_eq!(bytes, [b'z'; COUNT]);
}

/// Opens wait for the other end of a FIFO. Submit, reads and free do not wait for them.
fn fifo_opens_beside_disk_reads(case: &Case) {
    const COUNT: usize = 40;
    let path = fifo(case);
    let ctx = case.ctx();
    let opens: Vec<caio_op> = (0..COUNT).map(|_| ops::openat(libc::AT_FDCWD, &path, libc::O_RDONLY, 0)).collect();
    ctx.accept(&opens);
    others_go_on(&ctx, case);
    let writer = loop {
        // SAFETY: a live string. ENXIO until one of the opens waits.
        let fd = unsafe { libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_NONBLOCK | libc::O_CLOEXEC) };
        if fd >= 0 {
            // SAFETY: a new descriptor.
            break unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd) };
        }
        assert_eq!(sys::errno(), libc::ENXIO);
        std::thread::yield_now();
    };
    for event in ctx.collect(COUNT) {
        assert!(event.result >= 0, "{event:?}");
        assert_eq!(sys::plain(&ops::close(event.result as i32)), 0);
    }
    drop(writer);
    ctx.accept(&opens);
    drop(ctx);
    // Let the waiting opens end, so that no thread outlives the test.
    drop(sys::open(&path, libc::O_RDWR));
}

/// Group commit: one call serves all syncs that are submitted while another call runs.
fn one_sync_serves_all_who_asked(case: &Case) {
    const ASKED: u64 = 8;
    let Some(mut gate) = Gate::mount(case) else { return };
    let file = gate.file();
    let ctx = case.ctx();
    let sync = |tag| ops::fdsync(file.as_raw_fd()).tag(tag);
    ctx.accept(&[sync(0)]);
    gate.holds(1);
    let asked: Vec<caio_op> = (1..=ASKED).map(sync).collect();
    ctx.accept(&asked);
    ctx.accept(&ops::chain(&[sync(20), ops::nop().tag(21)]));
    assert_eq!(ctx.cancel(3), 1);
    assert_eq!(ctx.collect(1), [Event { user_data: 3, result: -i64::from(libc::ECANCELED) }], "it need not wait");
    gate.go();
    assert_eq!(ctx.collect(1), [Event { user_data: 0, result: 0 }], "it started before the others asked");
    gate.holds(1);
    gate.go();
    let mut served = ctx.collect(ASKED as usize + 1);
    served.sort();
    let tags: Vec<u64> = served.iter().map(|event| event.user_data).collect();
    assert_eq!(tags, [1, 2, 4, 5, 6, 7, 8, 20, 21]);
    assert!(served.iter().all(|event| event.result == 0), "{served:?}");
}

promises! {
    Plan::PLAIN => {
        one_sync_serves_all_who_asked, reads_are_held, a_batch_with_a_held_read, writes_and_syncs_are_held,
        opens_stats_and_closes_are_held, opens_stats_and_closes_through_an_overlay_are_held, cancel_and_timeout_of_a_held_read,
        direct_transfers_of_fuse_on_a_device,
        free_waits_for_a_held_read, fifo_reads_beside_disk_reads, fifo_opens_beside_disk_reads,
    }
    Plan::DEFAULT => { cancel_of_a_queued_read }
}
