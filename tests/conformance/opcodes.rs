//! What the opcodes of version 0.2 do.

use crate::support::case::Case;
use crate::support::files::pattern;
use crate::support::*;
use std::ffi::CStr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

crate::promises! {
    Plan::PLAIN => {
        links_are_made_and_read,
        a_second_directory_is_used,
        an_empty_path_means_the_descriptor,
        folders_are_listed,
        a_directory_is_listed_in_pieces,
        attributes_are_set_and_read,
        copies_move_all_bytes,
        copies_use_and_move_the_current_position,
        copies_between_any_files_work,
        input_is_read_at_submit,
    }
}

/// Whether the system has no call for one of these opcodes.
fn lacks(case: &Case, opcodes: &[u8]) -> bool {
    let ctx = case.ctx();
    opcodes.iter().any(|opcode| !ctx.supports(*opcode))
}

fn at(case: &Case, opcode: u8) -> (caio_op, std::fs::File) {
    let dir = case.dir.open();
    (op(opcode, dir.as_raw_fd()), dir)
}

fn links_are_made_and_read(case: &Case) {
    let ctx = case.ctx();
    case.dir.file("file", b"content");
    let (link, _dir) = at(case, CAIO_OP_SYMLINKAT);
    assert_eq!(ctx.one(link.buf(c"any text".as_ptr()).buf2(c"link".as_ptr())), 0);
    let mut room = [b'?'; 20];
    let (read, _dir) = at(case, CAIO_OP_READLINKAT);
    assert_eq!(ctx.one(read.buf(c"link".as_ptr()).buf2(room.as_mut_ptr()).len(20)), 8);
    assert_eq!(&room[..9], b"any text?", "without a null byte");
    let (hard, _dir) = at(case, CAIO_OP_LINKAT);
    assert_eq!(ctx.one(hard.buf(c"file".as_ptr()).buf2(c"again".as_ptr())), 0);
    assert_eq!(case.dir.content("again"), b"content");
    let (node, _dir) = at(case, CAIO_OP_MKNODAT);
    assert_eq!(ctx.one(node.buf(c"fifo".as_ptr()).mode(libc::S_IFIFO | 0o600)), 0);
    let mode = std::fs::metadata(case.dir.join("fifo")).expect("the FIFO").mode();
    assert_eq!(mode & libc::S_IFMT, libc::S_IFIFO);
}

fn a_second_directory_is_used(case: &Case) {
    let ctx = case.ctx();
    std::fs::create_dir(case.dir.join("sub")).expect("a folder");
    case.dir.file("file", b"content");
    let (here, sub) = (case.dir.open(), std::fs::File::open(case.dir.join("sub")).expect("a folder"));
    let second = |opcode, from: &'static CStr, to: &'static CStr, offset| {
        ctx.one(op(opcode, here.as_raw_fd()).buf(from.as_ptr()).buf2(to.as_ptr()).flag(CAIO_FLAG_DIR2).at(offset))
    };
    assert_eq!(second(CAIO_OP_LINKAT, c"file", c"linked", sub.as_raw_fd() as u64), 0);
    assert_eq!(case.dir.content("sub/linked"), b"content");
    assert_eq!(second(CAIO_OP_RENAMEAT, c"file", c"moved", sub.as_raw_fd() as u64), 0);
    assert_eq!(case.dir.content("sub/moved"), b"content");
    // AT_FDCWD, with and without its sign.
    let missing = c"/missing/x";
    for cwd in [libc::AT_FDCWD as u32 as u64, i64::from(libc::AT_FDCWD) as u64] {
        assert_eq!(second(CAIO_OP_LINKAT, c"sub/moved", missing, cwd), -i64::from(libc::ENOENT));
    }
    for none in [-1i64 as u64, 1 << 20, 1 << 40 | sub.as_raw_fd() as u64] {
        assert_eq!(second(CAIO_OP_LINKAT, c"sub/moved", c"x", none), -i64::from(libc::EBADF), "{none:#x}");
    }
}

fn an_empty_path_means_the_descriptor(case: &Case) {
    // POSIX has no such call for access(2) and link(2).
    if POSIX {
        return;
    }
    let ctx = case.ctx();
    let file = case.dir.file("file", b"content");
    let times = [libc::timespec { tv_sec: 5, tv_nsec: 6 }; 2];
    let path_only = sys::open(&case.dir.c("file"), libc::O_PATH);
    for fd in [file.as_raw_fd(), path_only.as_raw_fd()] {
        let itself = |opcode| op(opcode, fd).buf(c"".as_ptr()).sys(libc::AT_EMPTY_PATH.into());
        assert_eq!(ctx.one(itself(CAIO_OP_FCHMODAT).mode(0o604)), 0);
        assert_eq!(ctx.one(itself(CAIO_OP_UTIMENSAT).buf2(&times)), 0);
        assert_eq!(ctx.one(itself(CAIO_OP_FCHOWNAT).mode(u32::MAX).len(u32::MAX.into())), 0);
        assert_eq!(ctx.one(itself(CAIO_OP_FACCESSAT).mode(libc::R_OK as u32)), 0);
        let mut stat = sys::statx_room();
        assert_eq!(ctx.one(itself(CAIO_OP_STATX).mode(libc::STATX_BASIC_STATS).buf2(&raw mut stat)), 0);
        assert_eq!((stat.stx_mode & 0o7777, stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec), (0o604, 5, 6));
    }
    // Without a capability, only the path in /proc makes this possible.
    let unnamed = sys::open(&case.dir.c("."), libc::O_TMPFILE | libc::O_RDWR);
    sys::write_all(&unnamed, b"unnamed");
    let link = op(CAIO_OP_LINKAT, unnamed.as_raw_fd()).buf(c"".as_ptr()).buf2(c"named".as_ptr());
    let here = case.dir.open();
    let link = link.flag(CAIO_FLAG_DIR2).at(here.as_raw_fd() as u64).sys(libc::AT_EMPTY_PATH.into());
    assert_eq!(ctx.one(link), 0);
    assert_eq!(case.dir.content("named"), b"unnamed");
}

fn folders_are_listed(case: &Case) {
    let ctx = &case.ctx();
    for name in ["one", "two"] {
        case.dir.file(name, b"");
    }
    let dir = case.dir.open();
    let mut names = Vec::new();
    loop {
        let some = entries(ctx, &dir, 200);
        if some.is_empty() {
            break;
        }
        names.extend(some.into_iter().map(|(name, ..)| name));
    }
    names.sort();
    assert_eq!(
        names,
        [c"."; 1]
            .map(CStr::to_owned)
            .into_iter()
            .chain([c"..", c"one", c"two"].map(CStr::to_owned))
            .collect::<Vec<_>>()
    );
    assert_eq!(ctx.one(op(CAIO_OP_SEEK, dir.as_raw_fd())), 0, "back to the start");
}

/// The entries that one GETDENTS returns: the name, the position behind it, and the type.
fn entries(ctx: &Ctx, dir: &std::fs::File, room: usize) -> Vec<(std::ffi::CString, u64, u8)> {
    let mut bytes = vec![0u8; room];
    let got = ctx.one(op(CAIO_OP_GETDENTS, dir.as_raw_fd()).buf(bytes.as_mut_ptr()).len(room as u64));
    assert!(got >= 0, "{got}");
    let (mut records, mut all) = (&bytes[..got as usize], Vec::new());
    while !records.is_empty() {
        let length = usize::from(u16::from_ne_bytes([records[16], records[17]]));
        let name = CStr::from_bytes_until_nul(&records[19..length]).expect("a name").to_owned();
        all.push((name, u64::from_ne_bytes(records[8..16].try_into().expect("8 bytes")), records[18]));
        records = &records[length..];
    }
    all
}

fn a_directory_is_listed_in_pieces(case: &Case) {
    let ctx = case.ctx();
    let mut expected: Vec<_> =
        (0..300).map(|at| std::ffi::CString::new(format!("file{at}")).expect("no NUL")).collect();
    expected.iter().for_each(|name| drop(case.dir.file(name.to_str().expect("ASCII"), b"")));
    expected.extend([c".".to_owned(), c"..".to_owned()]);
    expected.sort();
    let dir = case.dir.open();
    let mut all = Vec::new();
    for room in [100, 1000, 1 << 20].into_iter().cycle() {
        let some = entries(&ctx, &dir, room);
        if some.is_empty() {
            break;
        }
        all.extend(some);
    }
    for (name, _, kind) in &all {
        let regular = name.to_bytes().starts_with(b"file");
        assert_eq!(*kind, if regular { libc::DT_REG } else { libc::DT_DIR }, "{name:?}");
    }
    // The position of an entry is that of the one behind it.
    assert_eq!(ctx.one(op(CAIO_OP_SEEK, dir.as_raw_fd()).at(all[7].1)), all[7].1 as i64);
    assert_eq!(entries(&ctx, &dir, 100)[0], all[8]);
    let mut names: Vec<_> = all.into_iter().map(|(name, ..)| name).collect();
    names.sort();
    assert_eq!(names, expected);
    assert_eq!(ctx.one(op(CAIO_OP_SEEK, dir.as_raw_fd())), 0);
    let small = op(CAIO_OP_GETDENTS, dir.as_raw_fd()).buf([0u8; 8].as_mut_ptr()).len(8);
    assert_eq!(ctx.one(small), -i64::from(libc::EINVAL), "no room for one entry");
    let wild = op(CAIO_OP_GETDENTS, dir.as_raw_fd()).buf(std::ptr::without_provenance_mut::<u8>(8)).len(1000);
    assert_eq!(ctx.one(wild), -i64::from(libc::EFAULT));
    let file = case.dir.file("file", b"");
    assert_eq!(
        ctx.one(op(CAIO_OP_GETDENTS, file.as_raw_fd()).buf([0u8; 99].as_mut_ptr()).len(99)),
        -i64::from(libc::ENOTDIR)
    );
}

fn attributes_are_set_and_read(case: &Case) {
    let ctx = case.ctx();
    let file = case.dir.file("file", b"content");
    let fd = file.as_raw_fd();
    let (mut room, name) = ([0u8; 100], c"user.caio");
    let set = op(CAIO_OP_FSETXATTR, fd).buf(name.as_ptr()).buf2(b"value".as_ptr()).len(5);
    match ctx.one(set) {
        0 => {
            let get = op(CAIO_OP_FGETXATTR, fd).buf(name.as_ptr()).buf2(room.as_mut_ptr()).len(100);
            assert_eq!((ctx.one(get), &room[..5]), (5, &b"value"[..]));
            assert!(ctx.one(op(CAIO_OP_FLISTXATTR, fd).buf2(room.as_mut_ptr()).len(100)) >= 10);
            assert_eq!(ctx.one(op(CAIO_OP_FREMOVEXATTR, fd).buf(name.as_ptr())), 0);
            assert_eq!(ctx.one(get), -i64::from(libc::ENODATA));
        }
        answer => assert_eq!(answer, -i64::from(libc::EOPNOTSUPP), "a file system without them"),
    }
    let (mode, _dir) = at(case, CAIO_OP_FCHMODAT);
    assert_eq!(ctx.one(mode.buf(c"file".as_ptr()).mode(0o444)), 0);
    assert_eq!(std::fs::metadata(case.dir.join("file")).expect("the file").permissions().mode() & 0o777, 0o444);
    // SAFETY: a struct of integers.
    let mut status: libc::statfs = unsafe { std::mem::zeroed() };
    assert_eq!(ctx.one(op(CAIO_OP_FSTATFS, fd).buf2(&raw mut status)), 0);
    assert!(status.f_bsize > 0);
    assert_eq!(ctx.one(op(CAIO_OP_SYNCFS, fd)), if POSIX { -i64::from(libc::EOPNOTSUPP) } else { 0 });
    assert_eq!(ctx.one(op(CAIO_OP_FADVISE, fd).sys(libc::POSIX_FADV_DONTNEED.into())), 0);
}

/// A copy of all of `len` bytes from one descriptor to another.
fn copy(opcode: u8, from: &impl AsRawFd, to: &impl AsRawFd, len: usize) -> caio_op {
    op(opcode, from.as_raw_fd()).mode(to.as_raw_fd() as u32).len(len as u64).full()
}

fn copies_move_all_bytes(case: &Case) {
    const SIZE: usize = 700_001;
    let ctx = case.ctx();
    let from = case.dir.file("from", &pattern(SIZE));
    for (opcode, name) in [(CAIO_OP_COPY_RANGE, "copied"), (CAIO_OP_SENDFILE, "sent")] {
        let to = case.dir.file(name, b"");
        assert_eq!(ctx.one(copy(opcode, &from, &to, SIZE)), SIZE as i64);
        assert_eq!(case.dir.content(name), pattern(SIZE));
        assert_eq!(ctx.one(copy(opcode, &from, &to, SIZE).at(SIZE as u64)), 0, "at the end of the source");
        let chain = [copy(opcode, &from, &to, SIZE + 1).link(), ops::nop()];
        assert_eq!(ctx.run(&chain), [SIZE as i64, -i64::from(libc::ECANCELED)], "short of what was asked for");
    }
    let (to, offset) = (case.dir.file("placed", b"0123456789"), 4u64);
    assert_eq!(ctx.one(copy(CAIO_OP_COPY_RANGE, &from, &to, 3).at(10).buf2(&offset)), 3);
    assert_eq!(&case.dir.content("placed"), &[&b"0123"[..], &pattern(13)[10..], b"789"].concat());
    assert_eq!(offset, 4, "the caller's offset does not change");
    if lacks(case, &[CAIO_OP_SPLICE]) {
        return;
    }
    let (reader, writer) = sys::pipe();
    assert_eq!(ctx.one(copy(CAIO_OP_SPLICE, &from, &writer, 1000)), 1000);
    let to = case.dir.file("spliced", b"");
    assert_eq!(ctx.one(copy(CAIO_OP_SPLICE, &reader, &to, 1000).current()), 1000);
    assert_eq!(case.dir.content("spliced"), pattern(1000));
}

fn copies_use_and_move_the_current_position(case: &Case) {
    let ctx = case.ctx();
    let from = case.dir.file("from", &pattern(1000));
    let to = case.dir.file("to", b"");
    let seek = |file: &std::fs::File, to: u64| ctx.one(op(CAIO_OP_SEEK, file.as_raw_fd()).at(to));
    for opcode in [CAIO_OP_COPY_RANGE, CAIO_OP_SENDFILE] {
        assert_eq!((seek(&from, 100), seek(&to, 7)), (100, 7));
        assert_eq!(ctx.one(copy(opcode, &from, &to, 50).current()), 50);
        let place = |file: &std::fs::File| ctx.one(op(CAIO_OP_SEEK, file.as_raw_fd()).sys(libc::SEEK_CUR.into()));
        assert_eq!((place(&from), place(&to)), (150, 57));
        assert_eq!(&case.dir.content("to")[7..57], &pattern(150)[100..]);
    }
}

/// Where copy_file_range(2) cannot: between file systems, and to what is no regular file.
fn copies_between_any_files_work(case: &Case) {
    let ctx = case.ctx();
    let from = case.dir.file("from", &pattern(300_000));
    for elsewhere in files::Folder::ALL.iter().filter(|folder| folder.available()) {
        let dir = elsewhere.make();
        let to = dir.file("to", b"");
        assert_eq!(ctx.one(copy(CAIO_OP_COPY_RANGE, &from, &to, 300_000)), 300_000);
        assert_eq!(dir.content("to"), pattern(300_000));
    }
    let generated = std::fs::File::open("/proc/self/maps").expect("/proc");
    let to = case.dir.file("to", b"");
    assert!(ctx.one(copy(CAIO_OP_COPY_RANGE, &generated, &to, 10)) == 10, "a file of the kernel");
    let null = std::fs::File::options().write(true).open("/dev/null").expect("/dev/null");
    assert_eq!(ctx.one(copy(CAIO_OP_COPY_RANGE, &from, &null, 300_000)), 300_000);
    let overlapping = copy(CAIO_OP_COPY_RANGE, &from, &from, 100).at(0).buf2(&50u64);
    assert_eq!(ctx.one(overlapping), -i64::from(libc::EINVAL));
    assert_eq!(case.dir.content("from"), pattern(300_000));
}

/// The structures at `buf2` may change when submit returns. No operation has run by then.
fn input_is_read_at_submit(case: &Case) {
    if lacks(case, &[CAIO_OP_OPENAT2]) {
        return;
    }
    let stuck = stuck::Stuck::pipe();
    let ctx = case.ctx();
    let (from, to) = (case.dir.file("from", &pattern(100)), case.dir.file("to", &[0; 20]));
    let mut times = [libc::timespec { tv_sec: 5, tv_nsec: 6 }; 2];
    let mut how = [libc::O_CREAT as u64 | libc::O_RDWR as u64, 0o600, 0];
    let (mut offset, mut name) = (10u64, *b"user.x\0");
    let dir = case.dir.open();
    let ops = ops::chain(&[
        stuck.byte(),
        op(CAIO_OP_UTIMENSAT, dir.as_raw_fd()).buf(c"from".as_ptr()).buf2(&times),
        op(CAIO_OP_OPENAT2, dir.as_raw_fd()).buf(c"new".as_ptr()).buf2(&how).len(24),
        copy(CAIO_OP_COPY_RANGE, &from, &to, 5).buf2(&offset),
        op(CAIO_OP_FGETXATTR, from.as_raw_fd()).buf(name.as_ptr()),
    ]);
    ctx.accept(&ops.iter().enumerate().map(|(at, op)| op.tag(at as u64)).collect::<Vec<_>>());
    times.fill(libc::timespec { tv_sec: 0, tv_nsec: -1 });
    how.fill(u64::MAX);
    offset = u64::MAX;
    name.fill(b'/');
    stuck.feed(1);
    let mut events = ctx.collect(5);
    events.sort();
    let results: Vec<i64> = events.iter().map(|event| event.result).collect();
    assert!(results[2] >= 0, "{results:?}");
    assert_eq!((results[1], results[3]), (0, 5));
    assert!([-i64::from(libc::ENODATA), -i64::from(libc::EOPNOTSUPP)].contains(&results[4]), "{results:?}");
    drop(sys::owned(results[2]));
    assert_eq!(std::fs::metadata(case.dir.join("from")).expect("the file").mtime(), 5);
    assert_eq!(&case.dir.content("to")[10..15], &pattern(5));
    assert_eq!((how[0], offset, name[0], times[0].tv_nsec), (u64::MAX, u64::MAX, b'/', -1));
}
