//! Bad paths, and good paths to the wrong things.

use super::Matrix;
use crate::support::case::Case;
use crate::support::sys::{Map, PAGE, nowhere};
use crate::support::*;
use std::ffi::{CStr, CString};
use std::os::fd::AsRawFd;

crate::promises! {
    Plan::EVERY => { unreadable_paths, wrong_paths, wrong_things, wrong_flags, statx_buffers }
    Plan::EVERY.alone() => { paths_are_resolved_when_the_operation_runs }
    Plan::FOLDERS => { results_match_the_plain_calls }
}

/// A file that exists.
const EXISTING: &CStr = c"existing";

/// Every opcode with a path, applied to this path. For renames, as old and as new path.
fn every(path: *const u8, dir: i32, stat: &mut libc::statx) -> Vec<(&'static str, caio_op)> {
    let exchange = i64::from(libc::RENAME_EXCHANGE);
    let at = |opcode| op(opcode, dir).buf(path);
    vec![
        ("openat", at(CAIO_OP_OPENAT).sys(i64::from(libc::O_RDONLY | libc::O_NONBLOCK))),
        ("openat for writing", at(CAIO_OP_OPENAT).sys(i64::from(libc::O_WRONLY | libc::O_NONBLOCK))),
        ("statx", at(CAIO_OP_STATX).mode(libc::STATX_ALL).buf2(stat)),
        ("statx of a link", at(CAIO_OP_STATX).sys(libc::AT_SYMLINK_NOFOLLOW.into()).buf2(stat)),
        ("renameat from", at(CAIO_OP_RENAMEAT).buf2(c"missing/x".as_ptr())),
        ("renameat to", op(CAIO_OP_RENAMEAT, dir).buf(EXISTING.as_ptr()).buf2(path).sys(exchange)),
        ("unlinkat with a bad flag", at(CAIO_OP_UNLINKAT).sys(1 << 30)),
    ]
}

/// Like `every`, with operations that create or remove, for paths where both fail.
fn every_and_changes(path: *const u8, dir: i32, stat: &mut libc::statx) -> Vec<(&'static str, caio_op)> {
    let at = |opcode| op(opcode, dir).buf(path);
    let mut ops = every(path, dir, stat);
    ops.extend([
        (
            "openat to create",
            at(CAIO_OP_OPENAT).sys(i64::from(libc::O_CREAT | libc::O_EXCL | libc::O_RDWR)).mode(0o600),
        ),
        ("unlinkat", at(CAIO_OP_UNLINKAT)),
        ("unlinkat of a folder", at(CAIO_OP_UNLINKAT).sys(libc::AT_REMOVEDIR.into())),
        ("mkdirat", at(CAIO_OP_MKDIRAT).mode(0o700)),
    ]);
    ops
}

fn unreadable_paths(case: &Case) {
    let dir = case.dir.open();
    case.dir.file("existing", b"");
    let mut stat = sys::statx_room();
    let mut map = Map::new(4 * PAGE);
    map.bytes_mut()[..2 * PAGE].fill(b'a');
    map.bytes_mut()[2 * PAGE - 10..2 * PAGE].copy_from_slice(b"missing/x\0");
    let (ends, runs_on) = (map.address(2 * PAGE - 10), map.address(PAGE - 100));
    let map = map.forbid(2 * PAGE);
    let mut other = Map::new(3 * PAGE);
    other.bytes_mut()[..PAGE].fill(b'b');
    let other = other.forbid(PAGE);
    let mut matrix = Matrix::new(case);
    let paths: [(&str, *const u8, Option<i32>); 6] = [
        ("NULL", std::ptr::null(), Some(libc::EFAULT)),
        ("an unmapped path", nowhere(), Some(libc::EFAULT)),
        ("a forbidden path", map.address(2 * PAGE), Some(libc::EFAULT)),
        ("a path that runs on into forbidden memory", other.address(PAGE - 100), Some(libc::EFAULT)),
        ("a path that ends just before forbidden memory", ends, None),
        ("a path across pages", runs_on, None),
    ];
    for (what, path, errno) in paths {
        for (call, op) in every_and_changes(path, dir.as_raw_fd(), &mut stat) {
            match errno {
                // An unreadable path takes precedence over the flag.
                Some(_) if call == "unlinkat with a bad flag" => {}
                Some(errno) => matrix.says(format_args!("{call} of {what}"), op, errno),
                None => matrix.same(format_args!("{call} of {what}"), op),
            }
        }
    }
}

fn wrong_paths(case: &Case) {
    case.dir.file("file", b"content");
    case.dir.file("existing", b"");
    std::os::unix::fs::symlink("loop", case.dir.join("loop")).expect("a symlink");
    let long = |length: usize| CString::new("x".repeat(length)).unwrap();
    let deep = |length: usize| CString::new("./".repeat(length / 2) + if length % 2 == 1 { "x" } else { "" }).unwrap();
    let paths = [
        ("an empty path", c"".into()),
        ("a missing file", c"missing".into()),
        ("a file in a missing folder", c"missing/x".into()),
        ("a file in a file", c"file/x".into()),
        ("a file with a slash", c"file/".into()),
        ("a loop", c"loop/x".into()),
        ("a name of 255", long(255)),
        ("a name of 256", long(256)),
        ("a name of 4094", long(4094)),
        ("a name of 4095", long(4095)),
        ("a name of 4096", long(4096)),
        ("a name of 9000", long(9000)),
        ("a path of 4093", deep(4093)),
        ("a path of 4095", deep(4095)),
        ("a path of 4096", deep(4096)),
        ("a path of 9001", deep(9001)),
    ];
    let dir = case.dir.open();
    let mut stat = sys::statx_room();
    let mut matrix = Matrix::new(case);
    for (what, path) in &paths {
        for (call, op) in every(path.as_ptr().cast(), dir.as_raw_fd(), &mut stat) {
            matrix.same(format_args!("{call} of {what}"), op);
        }
    }
    let open = |path: &CString| ops::openat(dir.as_raw_fd(), path, libc::O_RDONLY, 0);
    for (at, errno) in [
        (0, libc::ENOENT),
        (1, libc::ENOENT),
        (3, libc::ENOTDIR),
        (5, libc::ELOOP),
        (7, libc::ENAMETOOLONG),
        (10, libc::ENAMETOOLONG),
    ] {
        matrix.says(paths[at].0, open(&paths[at].1), errno);
    }
}

fn wrong_things(case: &Case) {
    let dir = case.dir.open();
    let fd = dir.as_raw_fd();
    case.dir.file("file", b"content");
    std::fs::create_dir_all(case.dir.join("folder/inner")).expect("folders");
    std::fs::create_dir(case.dir.join("empty")).expect("a folder");
    std::os::unix::fs::symlink("loop", case.dir.join("loop")).expect("a symlink");
    std::os::unix::fs::symlink("file", case.dir.join("link")).expect("a symlink");
    sys::make_fifo(&case.dir.c("fifo"));
    let create = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR;
    let nowait = libc::O_NONBLOCK;
    let rename = |from, to, flags: u32| ops::renameat(fd, from, to).sys(flags.into());
    let remove = i64::from(libc::AT_REMOVEDIR);
    let mut matrix = Matrix::new(case);
    for (what, op, errno) in [
        ("making what is there", ops::openat(fd, c"file", create, 0o600), libc::EEXIST),
        ("making where a link is", ops::openat(fd, c"link", create, 0o600), libc::EEXIST),
        ("writing to a folder", ops::openat(fd, c"folder", libc::O_WRONLY, 0), libc::EISDIR),
        ("making in no folder", ops::openat(fd, c"file/x", create, 0o600), libc::ENOTDIR),
        ("a folder that is none", ops::openat(fd, c"file", libc::O_DIRECTORY, 0), libc::ENOTDIR),
        ("a link not followed", ops::openat(fd, c"link", libc::O_NOFOLLOW, 0), libc::ELOOP),
        ("a loop", ops::openat(fd, c"loop", libc::O_RDONLY, 0), libc::ELOOP),
        ("a FIFO without a reader", ops::openat(fd, c"fifo", libc::O_WRONLY | nowait, 0), libc::ENXIO),
        ("relative to a closed descriptor", ops::openat(-1, c"file", 0, 0), libc::EBADF),
        ("a folder that is there", ops::mkdirat(fd, c"folder", 0o700), libc::EEXIST),
        ("a folder where a file is", ops::mkdirat(fd, c"file", 0o700), libc::EEXIST),
        ("unlink of a folder", ops::unlinkat(fd, c"folder"), libc::EISDIR),
        ("rmdir of a file", ops::unlinkat(fd, c"file").sys(remove), libc::ENOTDIR),
        ("rmdir of a full folder", ops::unlinkat(fd, c"folder").sys(remove), libc::ENOTEMPTY),
        ("rmdir of .", ops::unlinkat(fd, c"empty/.").sys(remove), libc::EINVAL),
        ("rename of a folder to a file", rename(c"folder", c"file", 0), libc::ENOTDIR),
        ("rename of a file to a folder", rename(c"file", c"folder", 0), libc::EISDIR),
        ("rename to a full folder", rename(c"empty", c"folder", 0), libc::ENOTEMPTY),
        ("rename into itself", rename(c"folder", c"folder/inner/x", 0), libc::EINVAL),
        ("rename over another", rename(c"file", c"fifo", libc::RENAME_NOREPLACE), libc::EEXIST),
        ("exchange with nothing", rename(c"file", c"missing", libc::RENAME_EXCHANGE), libc::ENOENT),
        ("rename elsewhere", rename(c"file", c"/proc/self/x", 0), libc::EXDEV),
    ] {
        matrix.says(what, op, errno);
    }
}

fn wrong_flags(case: &Case) {
    let dir = case.dir.open();
    let fd = dir.as_raw_fd();
    case.dir.file("file", b"content");
    let mut stat = sys::statx_room();
    let mut matrix = Matrix::new(case);
    for bit in 0..32 {
        let flag = 1i64 << bit;
        let open = op(CAIO_OP_OPENAT, fd).buf(c"file".as_ptr());
        matrix.same(format_args!("openat, flag bit {bit}"), open.sys(flag));
        matrix.same(format_args!("openat of nothing, flag bit {bit}"), open.buf(c"none/x".as_ptr()).sys(flag));
        matrix.same(format_args!("openat, mode bit {bit}"), open.mode(1 << bit));
        matrix.same(format_args!("openat of a path, flag bit {bit}"), open.sys(flag | i64::from(libc::O_PATH)));
        matrix.same(format_args!("statx, flag bit {bit}"), ops::statx(fd, c"file", &mut stat).sys(flag));
        matrix.same(format_args!("statx, mask bit {bit}"), ops::statx(fd, c"file", &mut stat).mode(1 << bit));
        matrix.same(format_args!("unlinkat, flag bit {bit}"), ops::unlinkat(fd, c"missing").sys(flag));
        matrix.same(format_args!("renameat, flag bit {bit}"), ops::renameat(fd, c"missing", c"x").sys(flag));
        matrix.same(format_args!("mkdirat, mode bit {bit}"), ops::mkdirat(fd, c"file", 1 << bit));
    }
    let both = i64::from(libc::RENAME_NOREPLACE | libc::RENAME_EXCHANGE);
    let path = i64::from(libc::O_TMPFILE);
    for (what, op) in [
        ("rename, no and exchange", ops::renameat(fd, c"file", c"x").sys(both)),
        ("openat O_TMPFILE for reading", op(CAIO_OP_OPENAT, fd).buf(c".".as_ptr()).sys(path)),
        ("statx, reserved mask", ops::statx(fd, c"file", &mut stat).mode(1 << 31)),
        ("statx, both syncs", ops::statx(fd, c"file", &mut stat).sys(0x6000)),
        ("unlinkat, unknown", ops::unlinkat(fd, c"missing").sys(1 << 20)),
    ] {
        matrix.says(what, op, libc::EINVAL);
    }
}

fn statx_buffers(case: &Case) {
    let dir = case.dir.open();
    let fd = dir.as_raw_fd();
    case.dir.file("file", b"content");
    let (fixed, half) = (Map::new(PAGE).read_only(), Map::new(2 * PAGE).forbid(PAGE));
    let mut room = sys::statx_room();
    let good = ops::statx(fd, c"file", &mut room);
    let mut matrix = Matrix::new(case);
    for (what, buf) in [
        ("NULL", std::ptr::null_mut()),
        ("unmapped", nowhere()),
        ("read-only", fixed.start()),
        ("forbidden", half.address(PAGE)),
        ("half forbidden", half.address(PAGE - 100)),
    ] {
        matrix.says(format_args!("statx to {what} memory"), good.buf2(buf), libc::EFAULT);
        matrix.same(format_args!("statx of nothing to {what} memory"), good.buf(c"none".as_ptr()).buf2(buf));
        matrix.same(format_args!("statx with a bad flag to {what} memory"), good.buf2(buf).sys(1 << 30));
    }
}

/// The library resolves a path when the operation runs: with the working directory and the files of that time.
fn paths_are_resolved_when_the_operation_runs(case: &Case) {
    let stuck = stuck::Stuck::pipe();
    let mut stat = sys::statx_room();
    let ctx = case.ctx();
    let here = libc::AT_FDCWD;
    let ops = [stuck.byte().tag(1), ops::statx(here, c"late", &mut stat).tag(2), ops::unlinkat(here, c"late").tag(3)];
    ctx.accept(&ops::chain(&ops));
    assert_eq!(ctx.run_beside(ops::nop()), 0);
    std::env::set_current_dir(&case.dir.path).expect("chdir");
    case.dir.file("late", b"content");
    stuck.feed(1);
    let mut events = ctx.collect(3);
    events.sort();
    assert_eq!(results(&events), [1, 0, 0]);
    assert_eq!(stat.stx_size, 7);
    std::env::set_current_dir("/").expect("chdir");
}

/// Successful operations have the effect of the plain call.
fn results_match_the_plain_calls(case: &Case) {
    let dir = case.dir.open();
    let fd = dir.as_raw_fd();
    let file = case.dir.file("file", &files::pattern(5000));
    let (mut plain, mut ours) = (sys::statx_room(), sys::statx_room());
    let ctx = case.ctx();
    assert_eq!(sys::plain(&ops::statx(fd, c"file", &mut plain)), 0);
    assert_eq!(ctx.one(ops::statx(fd, c"file", &mut ours)), 0);
    assert_eq!((ours.stx_ino, ours.stx_size, ours.stx_mode), (plain.stx_ino, 5000, plain.stx_mode));
    assert_eq!((ours.stx_mtime.tv_nsec, ours.stx_nlink), (plain.stx_mtime.tv_nsec, plain.stx_nlink));
    assert_eq!(ctx.one(ops::statx(file.as_raw_fd(), c"", &mut ours).sys(libc::AT_EMPTY_PATH.into())), 0);
    assert_eq!(ours.stx_ino, plain.stx_ino);

    // SAFETY: no memory involved. No other test changes the umask of the process.
    let mask = unsafe { libc::umask(0o22) };
    // SAFETY: as above.
    unsafe { libc::umask(mask) };
    let flags = libc::O_CREAT | libc::O_WRONLY | libc::O_APPEND;
    for (name, mode) in [(c"a", 0o600), (c"b", 0o777), (c"c", 0o4755), (c"d", 0)] {
        let made = ctx.one(ops::openat(fd, name, flags, mode)) as i32;
        assert!(made >= 0, "openat: {made}");
        // SAFETY: no memory involved.
        let (status, descriptor) = unsafe { (libc::fcntl(made, libc::F_GETFL), libc::fcntl(made, libc::F_GETFD)) };
        assert_eq!((status & (libc::O_ACCMODE | libc::O_APPEND), descriptor), (libc::O_WRONLY | libc::O_APPEND, 0));
        assert_eq!(ctx.one(ops::statx(made, c"", &mut ours).sys(libc::AT_EMPTY_PATH.into())), 0);
        assert_eq!(u32::from(ours.stx_mode) & 0o7777, mode & !mask, "the umask of the process applies");
        assert_eq!(ctx.one(ops::close(made)), 0);
    }
    assert_eq!(ctx.one(ops::mkdirat(fd, c"folder", 0o751)), 0);
    assert_eq!(ctx.one(ops::statx(fd, c"folder", &mut ours)), 0);
    assert_eq!(u32::from(ours.stx_mode), libc::S_IFDIR | (0o751 & !mask));
    assert_eq!(ctx.one(ops::renameat(fd, c"file", c"folder/file")), 0);
    assert_eq!(case.dir.content("folder/file"), files::pattern(5000));
    let exchange = ops::renameat(fd, c"a", c"folder/file").sys(libc::RENAME_EXCHANGE.into());
    if POSIX {
        assert_eq!(ctx.one(exchange), -i64::from(libc::EOPNOTSUPP));
    } else {
        assert_eq!(ctx.one(exchange), 0);
        assert_eq!(case.dir.content("a"), files::pattern(5000));
    }
    assert_eq!(ctx.one(ops::unlinkat(fd, c"a")), 0);
    assert!(!case.dir.join("a").exists());
}
