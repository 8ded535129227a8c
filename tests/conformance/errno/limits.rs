//! Limits of the process and the machine.

use crate::support::case::Case;
use crate::support::sys::PAGE;
use crate::support::*;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, Ordering};

crate::promises! {
    Plan::EVERY.alone() => {
        files_above_the_size_limit,
        sigxfsz_reaches_only_the_submitting_thread,
        opens_above_the_descriptor_limit,
        a_waiting_read_needs_no_descriptor,
        operations_use_the_current_credentials,
    }
    Plan::DEFAULT => { writes_to_a_full_disk }
}

const EFBIG: i64 = libc::EFBIG as i64;

/// RLIMIT_FSIZE: a write up to the limit is short. A write past it is EFBIG.
fn files_above_the_size_limit(case: &Case) {
    const LIMIT: u64 = 64 << 10;
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    process::limit(libc::RLIMIT_FSIZE, LIMIT);
    let file = case.dir.file("file", b"");
    let fd = file.as_raw_fd();
    let data = files::pattern(100 << 10);
    let ctx = case.ctx();
    assert_eq!(ctx.one(ops::write(fd, &data, 0)), LIMIT as i64, "what fits");
    assert_eq!(ctx.one(ops::write(fd, &data, 0).full()), -EFBIG, "the error at an explicit offset");
    assert_eq!(ctx.one(ops::write(fd, &data, LIMIT)), -EFBIG);
    assert_eq!(ctx.one(ops::write(fd, &data, LIMIT - 10)), 10);
    assert_eq!(ctx.run(&ops::chain(&[ops::write(fd, &data, 0), ops::nop()])), [LIMIT as i64, -ECANCELED]);
    assert_eq!(ctx.one(ops::write(fd, &data, CAIO_OFFSET_CURRENT).full()), LIMIT as i64, "the bytes moved");
    assert_eq!(ctx.one(ops::write(fd, &data, CAIO_OFFSET_CURRENT).full()), -EFBIG, "no further byte fits");
    let parts = [ops::iovec(&data[..50 << 10]), ops::iovec(&data[50 << 10..])];
    assert_eq!(ctx.one(ops::writev(fd, &parts, 0)), LIMIT as i64);
    assert_eq!(ctx.one(ops::writev(fd, &parts, 0).full()), -EFBIG);
    for op in [ops::truncate(fd, LIMIT + 1), op(CAIO_OP_ALLOCATE, fd).len(LIMIT + 1)] {
        assert_eq!((ctx.one(op), sys::plain(&op)), (-EFBIG, -EFBIG), "opcode {}", op.opcode);
    }
    assert_eq!(case.dir.content("file"), data[..LIMIT as usize]);
    process::limit(libc::RLIMIT_FSIZE, process::UNLIMITED);
}

/// SIGXFSZ reaches the submitting thread or no thread of the application, at most once.
fn sigxfsz_reaches_only_the_submitting_thread(case: &Case) {
    static RAISED: AtomicI32 = AtomicI32::new(0);
    static ELSEWHERE: AtomicI32 = AtomicI32::new(0);
    static SUBMITTER: AtomicI32 = AtomicI32::new(0);
    extern "C" fn note(_: i32) {
        // Relaxed: the test reads these after the operation, or in the same thread.
        let here = SUBMITTER.load(Ordering::Relaxed) == process::this_thread();
        let count = if here { &RAISED } else { &ELSEWHERE };
        count.fetch_add(1, Ordering::Relaxed);
    }
    SUBMITTER.store(process::this_thread(), Ordering::Relaxed);
    // SAFETY: the handler touches atomics only.
    unsafe { libc::signal(libc::SIGXFSZ, note as extern "C" fn(i32) as libc::sighandler_t) };
    let file = case.dir.file("file", &[0; PAGE]);
    let bystander = std::thread::spawn(std::thread::park);
    process::limit(libc::RLIMIT_FSIZE, PAGE as u64);
    let data = [1; 512];
    let past = ops::write(file.as_raw_fd(), &data, PAGE as u64);
    let ctx = case.ctx();
    for _ in 0..20 {
        RAISED.store(0, Ordering::Relaxed);
        assert_eq!(ctx.one(past), -EFBIG);
        assert!(RAISED.load(Ordering::Relaxed) <= 1);
        assert_eq!(ctx.run(&[ops::nop().link(), past]), [0, -EFBIG]);
        assert_eq!(ctx.one(ops::write(file.as_raw_fd(), &data, 0)), 512, "the next operation works");
    }
    assert_eq!(ELSEWHERE.load(Ordering::Relaxed), 0, "raised in a thread that did not submit");
    process::limit(libc::RLIMIT_FSIZE, process::UNLIMITED);
    bystander.thread().unpark();
    bystander.join().expect("no panic");
}

/// RLIMIT_NOFILE: an open fails, and all other operations continue.
fn opens_above_the_descriptor_limit(case: &Case) {
    let file = case.dir.file("file", b"content");
    let name = case.dir.c("file");
    let open = ops::openat(libc::AT_FDCWD, &name, libc::O_RDONLY, 0);
    let mut room = [0; 7];
    let ctx = case.ctx();
    assert_eq!(ctx.one(ops::read(file.as_raw_fd(), &mut room, 0)), 7);
    let taken: Vec<_> = (0..3).map(|_| sys::dup(file.as_raw_fd())).collect();
    process::limit(libc::RLIMIT_NOFILE, 3);
    let emfile = -i64::from(libc::EMFILE);
    let answers = (sys::plain(&open), ctx.one(open), ctx.run(&[ops::nop().link(), open]));
    let read = ctx.one(ops::read(file.as_raw_fd(), &mut room, 0));
    process::limit(libc::RLIMIT_NOFILE, 1024);
    assert_eq!(answers, (emfile, emfile, vec![0, emfile]));
    assert_eq!(read, 7);
    let opened = ctx.one(open);
    assert!(opened >= 0, "the open works again: {opened}");
    assert_eq!(sys::plain(&ops::close(opened as i32)), 0);
    drop(taken);
}

/// With no number left, a READ of an empty pipe waits for data as read(2) does.
fn a_waiting_read_needs_no_descriptor(case: &Case) {
    let (reader, writer) = sys::pipe();
    let mut room = [0; 8];
    let ctx = case.ctx();
    process::limit(libc::RLIMIT_NOFILE, 3);
    let accepted = ctx.submit(&[ops::read(reader.as_raw_fd(), &mut room, CAIO_OFFSET_CURRENT)]);
    let early = ctx.wait(1, 1, 20_000_000);
    sys::write_all(&writer, b"data");
    let events = ctx.collect(1);
    process::limit(libc::RLIMIT_NOFILE, 1024);
    assert_eq!((accepted, early.map(|events| events.len())), (1, Ok(0)), "it waits");
    assert_eq!(events[0].result, 4);
    assert_eq!(&room[..4], b"data");
}

/// An operation runs with the credentials that the process has then, not with those at the creation of the context.
fn operations_use_the_current_credentials(case: &Case) {
    // SAFETY: no memory involved.
    if unsafe { libc::geteuid() } != 0 {
        return skipped("a change of credentials needs root");
    }
    let secret = case.dir.c("secret");
    case.dir.file("secret", b"content");
    set_mode(case, "secret", 0o600);
    set_mode(case, ".", 0o755);
    let open = ops::openat(libc::AT_FDCWD, &secret, libc::O_RDONLY, 0);
    let linked = [ops::nop().link(), open];
    let ctx = case.ctx();
    let mine = [ctx.one(open), ctx.run(&linked)[1]];
    // SAFETY: no memory involved; glibc changes every thread.
    assert_eq!(unsafe { libc::seteuid(65534) }, 0);
    let others = [sys::plain(&open), ctx.one(open), ctx.run(&linked)[1]];
    // SAFETY: as above.
    assert_eq!(unsafe { libc::seteuid(0) }, 0);
    let mine_again = [ctx.one(open), ctx.run(&linked)[1]];
    assert_eq!(others, [-i64::from(libc::EACCES); 3]);
    for fd in mine.into_iter().chain(mine_again) {
        assert!(fd >= 0, "root opens the file: {fd}");
        assert_eq!(sys::plain(&ops::close(fd as i32)), 0);
    }
}

fn set_mode(case: &Case, name: &str, mode: u32) {
    let path = case.dir.c(name);
    // SAFETY: a live string.
    assert_eq!(unsafe { libc::chmod(path.as_ptr(), mode) }, 0, "chmod: {}", sys::errno());
}

/// A tmpfs of 16 pages that only this descriptor can reach.
fn writes_to_a_full_disk(case: &Case) {
    let Some(folder) = small_disk() else {
        return skipped("a full disk needs root, to mount a tmpfs");
    };
    let name = std::ffi::CString::new(format!("full{}", case.backend)).unwrap();
    let flags = libc::O_CREAT | libc::O_RDWR | libc::O_CLOEXEC;
    let data = files::pattern(20 * PAGE);
    let ctx = case.ctx();
    let fd = ctx.one(ops::openat(folder, &name, flags, 0o600)) as i32;
    assert!(fd >= 0, "openat: {fd}");
    let (enospc, fits) = (-i64::from(libc::ENOSPC), 16 * PAGE as i64);
    assert_eq!(ctx.one(ops::write(fd, &data, 0)), fits, "what fits");
    assert_eq!(ctx.one(ops::write(fd, &data, 0).full()), enospc);
    assert_eq!(ctx.one(ops::write(fd, &data, 16 * PAGE as u64)), enospc);
    assert_eq!(ctx.run(&ops::chain(&[ops::write(fd, &data, 0), ops::nop()])), [fits, -ECANCELED]);
    assert_eq!(ctx.one(ops::write(fd, &data, CAIO_OFFSET_CURRENT).full()), fits, "the bytes moved");
    assert_eq!(ctx.one(ops::write(fd, &data, CAIO_OFFSET_CURRENT)), enospc);
    assert_eq!(ctx.one(op(CAIO_OP_ALLOCATE, fd).at(16 * PAGE as u64).len(4096)), enospc);
    for fd in [fd, folder] {
        assert_eq!(sys::plain(&ops::close(fd)), 0);
    }
}

/// fsopen(2) and fsmount(2), which do not change the mounts of other processes.
fn small_disk() -> Option<i32> {
    const FSCONFIG_SET_STRING: u32 = 1;
    const FSCONFIG_CMD_CREATE: u32 = 6;
    let null = std::ptr::null::<u8>();
    let size = std::ffi::CString::new((16 * PAGE).to_string()).unwrap();
    // SAFETY: live strings and descriptors.
    unsafe {
        let fs = libc::syscall(libc::SYS_fsopen, c"tmpfs".as_ptr(), 1);
        if fs < 0 {
            return None;
        }
        let set = libc::syscall(libc::SYS_fsconfig, fs, FSCONFIG_SET_STRING, c"size".as_ptr(), size.as_ptr(), 0);
        let create = libc::syscall(libc::SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, null, null, 0);
        let folder = libc::syscall(libc::SYS_fsmount, fs, 1, 0);
        libc::close(fs as i32);
        (set == 0 && create == 0 && folder >= 0).then_some(folder as i32)
    }
}
