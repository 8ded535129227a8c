//! Promise 2: which operations submit accepts, and its errors.

use crate::support::case::Case;
use crate::support::ops::chain;
use crate::support::stuck::Stuck;
use crate::support::*;
use std::os::fd::AsRawFd;

const EINVAL: i32 = -libc::EINVAL;
const EAGAIN: i32 = -libc::EAGAIN;
const E2BIG: i32 = -libc::E2BIG;

crate::promises! {
    Plan::EVERY => {
        accepts_all_that_fit,
        accepts_a_prefix_when_full,
        counts_operations_until_their_events_are_taken,
        accepts_chains_whole_or_not_at_all,
        gives_e2big_for_chains_above_max_requests,
        stops_before_a_malformed_operation,
        gives_einval_for_a_chain_with_a_malformed_member,
        gives_einval_for_link_on_the_last,
        gives_einval_precedence_over_eagain,
        of_no_operation_returns_0,
        follows_its_model,
    }
    Plan::DEFAULT => {
        gives_einval_for_unknown_opcodes_and_flags,
        gives_einval_for_every_unused_field,
        accepts_every_used_field,
        gives_einval_for_full_without_a_transfer,
        gives_einval_for_dir2_without_a_second_path,
        refuses_what_the_check_reports,
        checks_its_own_arguments,
        tells_which_opcodes_it_supports,
        returns_user_data_unchanged,
        supports_every_max_requests,
    }
    Plan::EVERY => { copies_operations_and_paths, never_modifies_iovecs, does_not_change_errno }
}

/// A malformed operation.
fn malformed() -> caio_op {
    ops::nop().len(1)
}

fn nops(count: usize) -> Vec<caio_op> {
    vec![ops::nop(); count]
}

fn accepts_all_that_fit(case: &Case) {
    let ctx = case.ctx_of(64);
    for count in [1, 2, 63, 64] {
        assert_eq!(ctx.submit(&nops(count)), count as i32);
        assert!(ctx.collect(count).iter().all(|event| event.result == 0));
    }
}

fn accepts_a_prefix_when_full(case: &Case) {
    let ctx = case.ctx_of(4);
    let ops: Vec<caio_op> = (0..6).map(|tag| ops::nop().tag(tag)).collect();
    assert_eq!(ctx.submit(&ops), 4, "as many as fit");
    assert_eq!(ctx.submit(&ops[4..]), EAGAIN, "the second call gives the reason");
    let mut events = ctx.collect(4);
    events.sort();
    assert_eq!(events.iter().map(|event| event.user_data).collect::<Vec<_>>(), [0, 1, 2, 3], "a prefix");
    assert_eq!(ctx.submit(&ops[4..]), 2, "taking events makes room");
    ctx.collect(2);
}

fn counts_operations_until_their_events_are_taken(case: &Case) {
    let ctx = case.ctx_of(2);
    ctx.accept(&nops(2));
    until("both operations have completed", || ctx.stats().completed == 2);
    assert_eq!(ctx.submit(&nops(1)), EAGAIN, "completed, but the events are not taken");
    assert_eq!(ctx.poll(1).len(), 1);
    assert_eq!(ctx.submit(&nops(2)), 1);
    ctx.collect(2);
}

fn accepts_chains_whole_or_not_at_all(case: &Case) {
    let ctx = case.ctx_of(4);
    let ops = [nops(2), chain(&nops(3))].concat();
    assert_eq!(ctx.submit(&ops), 2, "the chain does not fit");
    assert_eq!(ctx.submit(&ops[2..]), EAGAIN);
    ctx.collect(2);
    assert_eq!(ctx.submit(&[chain(&nops(3)), nops(3)].concat()), 4, "the chain and one operation");
    assert_eq!(ctx.submit(&chain(&nops(2))), EAGAIN);
    ctx.collect(4);
}

fn gives_e2big_for_chains_above_max_requests(case: &Case) {
    let ctx = case.ctx_of(4);
    assert_eq!(ctx.submit(&chain(&nops(5))), E2BIG);
    let ops = [nops(1), chain(&nops(5)), nops(1)].concat();
    assert_eq!(ctx.submit(&ops), 1);
    assert_eq!(ctx.submit(&ops[1..]), E2BIG);
    ctx.collect(1);
    assert_eq!(ctx.run(&chain(&nops(4))), [0; 4], "a chain of max_requests operations fits");
}

fn stops_before_a_malformed_operation(case: &Case) {
    let ctx = case.ctx_of(8);
    let ops = [nops(2), vec![malformed()], nops(1)].concat();
    assert_eq!(ctx.submit(&ops), 2);
    assert_eq!(ctx.submit(&ops[2..]), EINVAL, "the second call gives the reason");
    assert_eq!(ctx.submit(&ops[3..]), 1);
    ctx.collect(3);
    assert_eq!(ctx.stats().submitted, 3);
}

fn gives_einval_for_a_chain_with_a_malformed_member(case: &Case) {
    let never = case.dir.c("never");
    let ctx = case.ctx_of(8);
    for bad in 0..3 {
        let mut members = vec![ops::mkdirat(libc::AT_FDCWD, &never, 0o700); 3];
        members[bad] = malformed();
        assert_eq!(ctx.submit(&chain(&members)), EINVAL, "member {bad}");
        let ops = [nops(1), chain(&members)].concat();
        assert_eq!(ctx.submit(&ops), 1);
        assert_eq!(ctx.submit(&ops[1..]), EINVAL);
        ctx.collect(1);
    }
    assert!(!case.dir.join("never").exists(), "no member of a malformed chain runs");
}

fn gives_einval_for_link_on_the_last(case: &Case) {
    let ctx = case.ctx_of(8);
    assert_eq!(ctx.submit(&[ops::nop().link()]), EINVAL);
    assert_eq!(ctx.submit(&[ops::nop().link(), ops::nop().link()]), EINVAL);
    let ops = [ops::nop(), ops::nop().link()];
    assert_eq!(ctx.submit(&ops), 1);
    assert_eq!(ctx.submit(&ops[1..]), EINVAL);
    ctx.collect(1);
}

fn gives_einval_precedence_over_eagain(case: &Case) {
    let ctx = case.ctx_of(2);
    ctx.accept(&nops(2));
    assert_eq!(ctx.submit(&[malformed()]), EINVAL);
    assert_eq!(ctx.submit(&[malformed(), ops::nop()]), EINVAL);
    assert_eq!(ctx.submit(&[ops::nop().link(), malformed()]), EINVAL);
    assert_eq!(ctx.submit(&[ops::nop().link()]), EINVAL, "LINK on the last");
    assert_eq!(
        ctx.submit(&[ops::nop(), malformed()]),
        EAGAIN,
        "the first operation is well-formed, and the context is full"
    );
    ctx.collect(2);
}

fn of_no_operation_returns_0(case: &Case) {
    let ctx = case.ctx_of(1);
    let null = std::ptr::null();
    // SAFETY: a live context; a count of 0 never touches its array.
    unsafe {
        assert_eq!(caio::capi::caio_ctx_submit(ctx.raw(), null, 0), 0);
        assert_eq!(caio::capi::caio_ctx_submit(ctx.raw(), sys::nowhere().cast(), 0), 0);
        assert_eq!(caio::capi::caio_ctx_submit(ctx.raw(), null, 1), EINVAL);
        assert_eq!(caio::capi::caio_ctx_submit(std::ptr::null_mut(), &ops::nop(), 1), EINVAL);
    }
    ctx.accept(&nops(1));
    assert_eq!(ctx.submit(&[]), 0, "full or not");
    ctx.collect(1);
    assert_eq!(ctx.stats().submitted, 1);
}

/// Compares thousands of random calls with a model of the rules.
fn follows_its_model(case: &Case) {
    let mut random = Random::new(case.backend);
    for max in [1, 2, 3, 5, 8] {
        let ctx = case.ctx_of(max);
        let mut inside = 0;
        for rounds in 0..300 {
            let mut op = |_| {
                let op = if random.below(12) == 0 { malformed() } else { ops::nop() };
                if random.below(3) == 0 { op.link() } else { op }
            };
            let ops: Vec<caio_op> = (0..rounds % (max + 4)).map(&mut op).collect();
            let answer = ctx.submit(&ops);
            let expected = model(&ops, max as usize, inside);
            assert!(
                expected.contains(&answer),
                "max {max}, {inside} inside: {answer}, not {expected:?}: {}",
                shape(&ops)
            );
            inside += answer.max(0) as usize;
            let take = random.below(inside + 1);
            ctx.collect(take);
            inside -= take;
        }
        ctx.collect(inside);
    }
}

/// The possible return values of submit. With two errors, either is right, but -EINVAL takes precedence over -EAGAIN.
fn model(ops: &[caio_op], max: usize, inside: usize) -> Vec<i32> {
    let mut accepted = 0;
    while accepted < ops.len() {
        let chain = chain_length(&ops[accepted..]);
        let unit = &ops[accepted..accepted + chain];
        let bad = unit.iter().any(|op| op.len != 0) || unit[chain - 1].flags & CAIO_FLAG_LINK != 0;
        let full = inside + accepted + chain > max;
        if accepted > 0 && (bad || full) {
            return vec![accepted as i32];
        }
        match (bad, chain > max, full) {
            (true, true, _) => return vec![EINVAL, E2BIG],
            (true, false, _) => return vec![EINVAL],
            (false, true, _) if inside > 0 => return vec![E2BIG, EAGAIN],
            (false, true, _) => return vec![E2BIG],
            (false, false, true) => return vec![EAGAIN],
            (false, false, false) => accepted += chain,
        }
    }
    vec![accepted as i32]
}

fn chain_length(ops: &[caio_op]) -> usize {
    let last = ops.iter().position(|op| op.flags & CAIO_FLAG_LINK == 0);
    last.map_or(ops.len(), |last| last + 1)
}

/// `.` well-formed, `x` malformed, `-` linked to the next.
fn shape(ops: &[caio_op]) -> String {
    let name = |op: &caio_op| if op.len != 0 { "x" } else { "." };
    ops.iter().map(|op| name(op).to_owned() + if op.flags & CAIO_FLAG_LINK != 0 { "-" } else { " " }).collect()
}

fn gives_einval_for_unknown_opcodes_and_flags(case: &Case) {
    let ctx = case.ctx();
    for opcode in 37..=255 {
        assert_eq!(ctx.submit(&[op(opcode, -1)]), EINVAL, "opcode {opcode}");
    }
    for opcode in 0..37 {
        for bit in 3..8 {
            assert_eq!(ctx.submit(&[op(opcode, -1).flag(1 << bit)]), EINVAL, "opcode {opcode}, flag bit {bit}");
        }
    }
}

/// Sets one field.
type Setter = fn(caio_op) -> caio_op;

const FIELDS: [(&str, Setter); 6] = [
    ("buf", |op| op.buf(c"/missing/x".as_ptr())),
    ("len", |op| op.len(1)),
    ("offset", |op| op.at(1)),
    ("sys_flags", |op| op.sys(1)),
    ("mode", |op| op.mode(1)),
    ("buf2", |op| op.buf2(c"/missing/y".as_ptr())),
];

/// The fields that each opcode uses, besides `user_data`, `flags`, `timeout_ns`, `ioprio` and `fd`.
const USED: [(u8, &[&str]); 37] = [
    (CAIO_OP_NOP, &[]),
    (CAIO_OP_READ, &["buf", "len", "offset", "sys_flags"]),
    (CAIO_OP_WRITE, &["buf", "len", "offset", "sys_flags"]),
    (CAIO_OP_FSYNC, &[]),
    (CAIO_OP_FDSYNC, &[]),
    (CAIO_OP_READV, &["buf", "len", "offset", "sys_flags"]),
    (CAIO_OP_WRITEV, &["buf", "len", "offset", "sys_flags"]),
    (CAIO_OP_SYNC_RANGE, &["len", "offset", "sys_flags"]),
    (CAIO_OP_ALLOCATE, &["len", "offset", "sys_flags"]),
    (CAIO_OP_TRUNCATE, &["offset"]),
    (CAIO_OP_OPENAT, &["buf", "sys_flags", "mode"]),
    (CAIO_OP_CLOSE, &[]),
    (CAIO_OP_STATX, &["buf", "sys_flags", "mode", "buf2"]),
    (CAIO_OP_RENAMEAT, &["buf", "buf2", "sys_flags"]),
    (CAIO_OP_UNLINKAT, &["buf", "sys_flags"]),
    (CAIO_OP_MKDIRAT, &["buf", "mode"]),
    (CAIO_OP_READLINKAT, &["buf", "len", "buf2"]),
    (CAIO_OP_SYMLINKAT, &["buf", "buf2"]),
    (CAIO_OP_LINKAT, &["buf", "buf2", "sys_flags"]),
    (CAIO_OP_GETDENTS, &["buf", "len"]),
    (CAIO_OP_COPY_RANGE, &["len", "offset", "mode", "buf2"]),
    (CAIO_OP_SENDFILE, &["len", "offset", "mode"]),
    (CAIO_OP_SPLICE, &["len", "offset", "sys_flags", "mode", "buf2"]),
    (CAIO_OP_FADVISE, &["len", "offset", "sys_flags"]),
    (CAIO_OP_SEEK, &["offset", "sys_flags"]),
    (CAIO_OP_FCHMODAT, &["buf", "sys_flags", "mode"]),
    (CAIO_OP_FCHOWNAT, &["buf", "len", "sys_flags", "mode"]),
    (CAIO_OP_UTIMENSAT, &["buf", "sys_flags", "buf2"]),
    (CAIO_OP_FACCESSAT, &["buf", "sys_flags", "mode"]),
    (CAIO_OP_FGETXATTR, &["buf", "len", "buf2"]),
    (CAIO_OP_FSETXATTR, &["buf", "len", "sys_flags", "buf2"]),
    (CAIO_OP_FLISTXATTR, &["len", "buf2"]),
    (CAIO_OP_FREMOVEXATTR, &["buf"]),
    (CAIO_OP_OPENAT2, &["buf", "len", "buf2"]),
    (CAIO_OP_SYNCFS, &[]),
    (CAIO_OP_MKNODAT, &["buf", "offset", "mode"]),
    (CAIO_OP_FSTATFS, &["buf2"]),
];

/// The opcodes that have FULL.
const MOVES: [u8; 7] =
    [CAIO_OP_READ, CAIO_OP_WRITE, CAIO_OP_READV, CAIO_OP_WRITEV, CAIO_OP_COPY_RANGE, CAIO_OP_SENDFILE, CAIO_OP_SPLICE];
/// The opcodes that have DIR2.
const TWO_DIRECTORIES: [u8; 2] = [CAIO_OP_RENAMEAT, CAIO_OP_LINKAT];

fn gives_einval_for_every_unused_field(case: &Case) {
    let ctx = case.ctx();
    for (opcode, used) in USED {
        for (field, set) in FIELDS.iter().filter(|(field, _)| !used.contains(field)) {
            assert_eq!(ctx.submit(&[set(op(opcode, -1))]), EINVAL, "opcode {opcode}, field {field}");
        }
    }
    assert_eq!(ctx.stats().submitted, 0);
}

/// Every used field is set, and the descriptor is invalid: submit accepts the operation, and it yields an event.
fn accepts_every_used_field(case: &Case) {
    let ctx = case.ctx();
    for (opcode, used) in USED {
        let plain = op(opcode, -1).ioprio(7).timeout(PATIENCE);
        for (field, set) in FIELDS.iter().filter(|(field, _)| used.contains(field)) {
            assert_ne!(ctx.one(set(plain)), 1, "opcode {opcode}, field {field}: an event, and no success");
        }
        let all = FIELDS.iter().filter(|(field, _)| used.contains(field)).fold(plain, |op, (_, set)| set(op));
        let result = ctx.one(all);
        assert_eq!(result >= 0, opcode == CAIO_OP_NOP, "opcode {opcode}: {result}");
    }
}

fn gives_einval_for_full_without_a_transfer(case: &Case) {
    let ctx = case.ctx();
    for (opcode, _) in USED {
        let transfers = MOVES.contains(&opcode);
        let answer = ctx.submit(&[op(opcode, -1).full().len(transfers.into())]);
        assert_eq!(answer, if transfers { 1 } else { EINVAL }, "opcode {opcode}");
        if transfers {
            let expected = if ctx.supports(opcode) { -EBADF } else { -i64::from(libc::EOPNOTSUPP) };
            assert_eq!(ctx.collect(1)[0].result, expected);
        }
    }
}

fn gives_einval_for_dir2_without_a_second_path(case: &Case) {
    let ctx = case.ctx();
    for (opcode, _) in USED {
        let both = TWO_DIRECTORIES.contains(&opcode);
        for operation in [op(opcode, -1).flag(CAIO_FLAG_DIR2), op(opcode, -1).flag(CAIO_FLAG_DIR2).at(3)] {
            assert_eq!(ctx.submit(&[operation]), if both { 1 } else { EINVAL }, "opcode {opcode}");
            if both {
                assert_eq!(ctx.collect(1)[0].result, -i64::from(libc::EFAULT));
            }
        }
    }
}

/// `caio_op_check` refuses what submit refuses, and names the operation and the field.
fn refuses_what_the_check_reports(case: &Case) {
    let ctx = case.ctx();
    assert_eq!(check(&[]), (0, "every operation is well-formed".to_owned()));
    for (opcode, used) in USED {
        for (field, set) in FIELDS {
            let (good, tried) = (ops::nop(), set(op(opcode, -1)));
            let (answer, why) = check(&[good, tried]);
            assert_eq!(answer == 0, used.contains(&field), "opcode {opcode}, field {field}: {why}");
            let submitted = ctx.submit(&[tried]);
            assert_eq!(answer, submitted.min(0), "opcode {opcode}, field {field}");
            ctx.collect(submitted.max(0) as usize);
            if answer < 0 {
                assert!(why.starts_with(&format!("operation 1: {field}: ")), "{why}");
            }
        }
    }
    for (malformed, named) in [
        (op(200, -1), "operation 0: opcode: 200"),
        (ops::nop().flag(0x80), "operation 0: flags: "),
        (ops::nop().full(), "operation 0: flags: NOP has no FULL"),
        (ops::nop().link(), "operation 0: flags: LINK"),
        (op(CAIO_OP_RENAMEAT, -1).at(1), "operation 0: offset: "),
    ] {
        assert_eq!(ctx.submit(&[malformed]), EINVAL);
        let (answer, why) = check(&[malformed]);
        assert!(answer == EINVAL && why.starts_with(named), "{why}");
    }
}

/// The answer of `caio_op_check`, and its sentence.
fn check(ops: &[caio_op]) -> (i32, String) {
    let mut why = [b'?'; 200];
    // SAFETY: an array of operations, and room of that size.
    let answer =
        unsafe { caio::capi::caio_op_check(ops.as_ptr(), ops.len() as u32, why.as_mut_ptr().cast(), why.len()) };
    let why = std::ffi::CStr::from_bytes_until_nul(&why).expect("it is terminated");
    (answer, why.to_str().expect("UTF-8").to_owned())
}

fn checks_its_own_arguments(_: &Case) {
    use caio::capi::caio_op_check;
    use std::ptr::{null, null_mut};
    let mut why = [b'?'; 10];
    let room = why.as_mut_ptr().cast();
    // SAFETY: NULL, or room of the given size.
    unsafe {
        assert_eq!(caio_op_check(null(), 1, room, 10), EINVAL);
        assert_eq!(&why, b"ops is NU\0", "the sentence is cut to size");
        assert_eq!(caio_op_check(null(), 0, null_mut(), 1), EINVAL);
        assert_eq!(caio_op_check(null(), 0, null_mut(), 0), 0);
    }
}

/// `caio_ctx_supports` knows every opcode of the header, and no other.
fn tells_which_opcodes_it_supports(case: &Case) {
    let ctx = case.ctx();
    // SAFETY: a live context.
    let supports = |opcode| unsafe { caio::capi::caio_ctx_supports(ctx.raw(), opcode) };
    // SPLICE, OPENAT2, SYNCFS.
    let missing = |opcode| POSIX && matches!(opcode, 22 | 33 | 34);
    for opcode in 0..300 {
        assert_eq!(supports(opcode), i32::from(opcode < 37 && !missing(opcode)), "opcode {opcode}");
    }
    assert_eq!(supports(1 << 8), 0, "not cut to a byte");
    let mut handle = std::ptr::dangling_mut();
    // SAFETY: NULL is an error; a live context and a live pointer.
    unsafe {
        assert_eq!(caio::capi::caio_ctx_supports(std::ptr::null(), 0), EINVAL);
        assert_eq!(caio::capi::caio_ctx_event_handle(ctx.raw(), std::ptr::null_mut()), EINVAL);
        assert_eq!(caio::capi::caio_ctx_event_handle(ctx.raw(), &mut handle), -libc::ENOSYS);
        assert!(handle.is_null());
        assert_eq!(caio::capi::caio_ctx_event_handle(std::ptr::null(), &mut handle), EINVAL);
    }
}

fn returns_user_data_unchanged(case: &Case) {
    let ctx = case.ctx();
    let tags = [0, 1, u64::from(u32::MAX), 1 << 32, i64::MAX as u64, 1 << 63, u64::MAX - 1, u64::MAX];
    let ops: Vec<caio_op> = tags.iter().map(|tag| ops::nop().tag(*tag)).collect();
    ctx.accept(&ops);
    let mut back: Vec<u64> = ctx.collect(tags.len()).iter().map(|event| event.user_data).collect();
    back.sort_unstable();
    assert_eq!(back, tags);
    ctx.accept(&vec![ops::nop().tag(7); 5]);
    assert!(ctx.collect(5).iter().all(|event| event.user_data == 7), "several operations may share it");
}

fn supports_every_max_requests(case: &Case) {
    for max in [1, 2, 3, 512, 513, 4096, 32768] {
        let ctx = case.ctx_of(max);
        assert_eq!(ctx.max_requests(), max as i32);
        assert_eq!(ctx.submit(&nops(max as usize + 1)), max as i32);
        assert_eq!(ctx.submit(&nops(1)), EAGAIN);
        ctx.collect(max as usize);
    }
    assert_eq!(case.ctx_of(0).max_requests(), 512, "0 means 512");
    for max in [i32::MAX as u32 + 1, u32::MAX] {
        let refused = Ctx::try_new(&caio_options { max_requests: max, ..case.options() });
        assert_eq!(refused.err(), Some(EINVAL), "above INT_MAX");
    }
}

/// The caller may reuse the array and the paths when submit returns. No operation has run by then.
fn copies_operations_and_paths(case: &Case) {
    let stuck = Stuck::pipe();
    let (mut first, mut second) =
        (case.dir.c("first").into_bytes_with_nul(), case.dir.c("second").into_bytes_with_nul());
    let ctx = case.ctx();
    let dir = libc::AT_FDCWD;
    let mut ops = chain(&[
        stuck.byte().tag(1),
        op(CAIO_OP_MKDIRAT, dir).buf(first.as_ptr()).mode(0o700).tag(2),
        op(CAIO_OP_RENAMEAT, dir).buf(first.as_ptr()).buf2(second.as_ptr()).tag(3),
    ]);
    ctx.accept(&ops);
    first.fill(b'x');
    second.fill(b'y');
    ops.fill(malformed());
    stuck.feed(1);
    let mut events = ctx.collect(3);
    events.sort();
    assert_eq!(results(&events), [1, 0, 0]);
    assert!(case.dir.join("second").is_dir());
}

/// The array is in read-only memory, also while FULL continues from the middle of it.
fn never_modifies_iovecs(case: &Case) {
    let (reader, writer) = sys::pipe();
    let mut room = vec![0; 40];
    let mut map = sys::Map::new(sys::PAGE);
    let parts: Vec<libc::iovec> = room.chunks_mut(10).map(|part| ops::iovec(part)).collect();
    for (at, part) in parts.iter().enumerate() {
        // SAFETY: the page has room for four.
        unsafe { map.start().cast::<libc::iovec>().add(at).write(*part) };
    }
    map.bytes_mut()[1000] = 1;
    let map = map.read_only();
    let ctx = case.ctx();
    ctx.accept(&[op(CAIO_OP_READV, reader.as_raw_fd()).buf(map.start()).len(4).current().full()]);
    for piece in files::pattern(40).chunks(7) {
        sys::write_all(&writer, piece);
        until("the piece is taken", || sys::waiting(&reader) == 0);
    }
    assert_eq!(ctx.collect(1)[0].result, 40);
    assert_eq!(room, files::pattern(40));
    let file = case.dir.file("file", b"");
    assert_eq!(ctx.one(op(CAIO_OP_WRITEV, file.as_raw_fd()).buf(map.start()).len(4).full()), 40);
    assert_eq!(case.dir.content("file"), files::pattern(40));
}

/// Neither a failing operation nor an internal attempt changes errno of the caller.
fn does_not_change_errno(case: &Case) {
    const MARK: i32 = 4242;
    let file = case.dir.file("file", &files::pattern(5000));
    let (fd, nowhere, mut room) = (file.as_raw_fd(), sys::nowhere(), [0; 16]);
    let (pipe, socket) = (Stuck::pipe(), Stuck::socket());
    let mark = || {
        // SAFETY: errno of this thread.
        unsafe { *libc::__errno_location() = MARK }
    };
    mark();
    let ctx = case.ctx();
    assert_eq!(sys::errno(), MARK, "caio_ctx_new");
    probe(case.backend);
    assert_eq!(sys::errno(), MARK, "caio_backend_probe");
    let tried = [
        ops::nop(),
        malformed(),
        ops::read(fd, &mut room, 0),
        ops::read(-1, &mut room, 0),
        ops::read(fd, &mut room, 0).buf(nowhere),
        ops::read(pipe.fd(), &mut room, 0),
        pipe.read(),
        socket.read(),
        op(CAIO_OP_OPENAT, libc::AT_FDCWD).buf(nowhere),
        ops::openat(libc::AT_FDCWD, c"/missing/x", 0, 0),
        ops::close(-1),
    ];
    for (number, op) in tried.into_iter().enumerate() {
        mark();
        ctx.submit(&[op]);
        let _ = ctx.submit_poll(&[op], 1);
        ctx.cancel_all();
        let _ = ctx.wait(1, 2, 1_000_000);
        assert_eq!(sys::errno(), MARK, "operation {number}");
        ctx.collect(ctx.stats().inflight as usize);
    }
    mark();
    drop(ctx);
    assert_eq!(sys::errno(), MARK, "caio_ctx_free");
}
