//! Operations of random bytes. Each accepted operation has exactly one event, no other memory changes, and nothing
//! crashes. Descriptors, paths and memory come from a fixed set, so that operations that succeed do no harm.

use std::collections::BTreeSet;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::support::case::Case;
use super::support::files::Dir;
use super::support::sys::{Map, PAGE};
use super::support::*;

const MEMORY: usize = 16 * PAGE;
/// More than one system call moves, so that the longest transfer ends in inaccessible memory.
const FORBIDDEN: usize = 4 << 30;
const LARGEST_FILE: u64 = 16 << 20;

/// What an operation may use.
struct Sandbox {
    _dir: Dir,
    /// Reads and statx write here. Inaccessible memory follows.
    memory: Map,
    /// Read-only: paths, then a page of iovecs. Inaccessible memory follows.
    texts: Map,
    fds: [RawFd; 8],
    _owners: Vec<OwnedFd>,
}

const PATHS: [&[u8]; 6] = [b"a\0", b"b\0", b"folder/a\0", b"folder\0", b"\0", b"nothing/here\0"];
const PATH_ROOM: usize = 64;

impl Sandbox {
    fn new(case: &Case) -> Self {
        let dir = case.folder.make();
        std::env::set_current_dir(&dir.path).expect("the case's folder");
        std::fs::create_dir_all("folder").expect("a folder");
        let file = dir.file("a", &files::pattern(3 * PAGE + 7));
        let (reader, writer) = sys::pipe();
        let owners: Vec<OwnedFd> = vec![file.into(), reader, writer, dir.open().into(), sys::eventfd(0)];
        // High numbers, which no OPENAT returns. A CLOSE may close them; the next case opens them again.
        let high = |owner: &OwnedFd, number: RawFd| {
            // SAFETY: no memory involved.
            assert_eq!(unsafe { libc::dup3(owner.as_raw_fd(), number, libc::O_CLOEXEC) }, number);
            number
        };
        let mut fds = [-1, libc::AT_FDCWD, 909, 0, 0, 0, 0, 0];
        for (place, owner) in owners.iter().enumerate() {
            fds[3 + place] = high(owner, 900 + place as RawFd);
        }
        let memory = Map::new(MEMORY + FORBIDDEN).forbid(MEMORY);
        Self { _dir: dir, texts: texts(&memory), memory, fds, _owners: owners }
    }

    fn address(&self, choice: Address) -> *mut u8 {
        match choice {
            Address::Null => std::ptr::null_mut(),
            Address::Wild => sys::nowhere(),
            Address::Memory(at) => self.memory.address(at % MEMORY),
            Address::Path(number) => self.texts.address(number % PATHS.len() * PATH_ROOM),
            Address::Unterminated => self.texts.address(2 * PAGE - 1),
            Address::Iovecs(before_end) => self.texts.address(2 * PAGE - before_end % 64 * size_of::<libc::iovec>()),
        }
    }
}

/// A page of paths, then one of iovecs.
fn texts(memory: &Map) -> Map {
    let mut texts = Map::new(3 * PAGE);
    for (place, path) in PATHS.iter().enumerate() {
        texts.bytes_mut()[place * PATH_ROOM..][..path.len()].copy_from_slice(path);
    }
    for place in 0..PAGE / size_of::<libc::iovec>() {
        let base = match place % 7 {
            5 => sys::nowhere(),
            6 => std::ptr::null_mut(),
            _ => memory.address(place * 100 % MEMORY),
        };
        let len = [0, 1, 100, PAGE, 3, usize::MAX, 0][place / 2 % 7];
        let iovec = libc::iovec { iov_base: base.cast(), iov_len: len };
        // SAFETY: within the second page.
        unsafe { texts.address(PAGE).cast::<libc::iovec>().add(place).write(iovec) };
    }
    let texts = texts.forbid(2 * PAGE);
    // SAFETY: the first two pages of a live mapping.
    assert_eq!(unsafe { libc::mprotect(texts.start().cast(), 2 * PAGE, libc::PROT_READ) }, 0);
    texts
}

#[derive(Clone, Copy, Debug)]
enum Address {
    Null,
    Wild,
    Memory(usize),
    Path(usize),
    Unterminated,
    Iovecs(usize),
}

/// An operation before its addresses and descriptors are known.
#[derive(Clone, Debug)]
struct Wild {
    opcode: u8,
    flags: u8,
    ioprio: u16,
    fd: usize,
    buf: Address,
    buf2: Address,
    len: u64,
    offset: u64,
    sys_flags: u32,
    mode: u32,
    timeout_ns: u64,
    /// Clears the fields that the opcode does not use, so that submit accepts it.
    tidy: bool,
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..20_000u64,
        1 => Just(0),
        1 => prop::sample::select(vec![u64::MAX, u64::MAX - 1, 1 << 63, i64::MAX as u64, 1 << 31, 0x7fff_f000, 1 << 33]),
        1 => any::<u64>(),
    ]
}

fn bits() -> impl Strategy<Value = u32> {
    prop_oneof![8 => Just(0u32), 2 => (0..32u32).prop_map(|bit| 1 << bit), 1 => any::<u32>()]
}

/// An address for the opcode. If the operation succeeds, it writes only into the sandbox.
fn address(opcode: u8) -> BoxedStrategy<Address> {
    let nothing = prop_oneof![Just(Address::Null), Just(Address::Wild)];
    let good = match opcode {
        CAIO_OP_READV | CAIO_OP_WRITEV => (0..65usize).prop_map(Address::Iovecs).boxed(),
        CAIO_OP_GETDENTS => (0..MEMORY).prop_map(Address::Memory).boxed(),
        CAIO_OP_OPENAT..=CAIO_OP_FREMOVEXATTR | CAIO_OP_OPENAT2 | CAIO_OP_MKNODAT => {
            prop_oneof![8 => (0..PATHS.len()).prop_map(Address::Path), 1 => Just(Address::Unterminated)].boxed()
        }
        _ => prop_oneof![4 => (0..MEMORY).prop_map(Address::Memory), 1 => Just(Address::Path(0))].boxed(),
    };
    prop_oneof![6 => good, 1 => nothing].boxed()
}

fn second_address(opcode: u8) -> BoxedStrategy<Address> {
    match opcode {
        CAIO_OP_RENAMEAT | CAIO_OP_SYMLINKAT | CAIO_OP_LINKAT => address(opcode),
        CAIO_OP_STATX.. => address(CAIO_OP_READ),
        _ => prop_oneof![Just(Address::Null), Just(Address::Wild)].boxed(),
    }
}

fn wild_operation() -> impl Strategy<Value = Wild> {
    let opcode = prop_oneof![80 => 0..37u8, 1 => any::<u8>()];
    let flags = prop_oneof![40 => Just(0), 20 => Just(CAIO_FLAG_FULL), 10 => 0..8u8, 1 => any::<u8>()];
    let timeout = prop_oneof![4 => Just(0), 1 => 1..2_000_000u64, 1 => any::<u64>()];
    opcode.prop_flat_map(move |opcode| {
        let addresses = (address(opcode), second_address(opcode));
        let offset = prop_oneof![3 => number(), 1 => Just(CAIO_OFFSET_CURRENT)];
        let rest = (number(), offset, bits(), bits(), timeout.clone(), prop::bool::weighted(0.98));
        (Just(opcode), flags.clone(), bits(), 0..8usize, addresses, rest).prop_map(
            |(opcode, flags, ioprio, fd, (buf, buf2), (len, offset, sys_flags, mode, timeout_ns, tidy))| Wild {
                opcode,
                flags,
                ioprio: ioprio as u16,
                fd,
                buf,
                buf2,
                len,
                offset,
                sys_flags,
                mode,
                timeout_ns,
                tidy,
            },
        )
    })
}

impl Wild {
    fn op(&self, sandbox: &Sandbox, tag: u64) -> caio_op {
        let mut op = op(self.opcode, sandbox.fds[self.fd]).tag(tag).flag(self.flags).ioprio(self.ioprio);
        op = op.buf(sandbox.address(self.buf)).buf2(sandbox.address(self.buf2)).len(self.len).at(self.offset);
        op = op.sys(self.sys_flags.into()).mode(self.mode);
        op.timeout_ns = self.timeout_ns;
        if (CAIO_OP_COPY_RANGE..=CAIO_OP_SPLICE).contains(&op.opcode) {
            op.mode = sandbox.fds[self.mode as usize % 8] as u32;
        }
        if op.opcode == CAIO_OP_MKNODAT {
            op.mode &= 0o777; // A device could do harm when it is opened.
        }
        if op.flags & CAIO_FLAG_DIR2 != 0 {
            op.offset = sandbox.fds[self.offset as usize % 8] as u64;
        }
        if op.opcode == CAIO_OP_ALLOCATE && op.len > LARGEST_FILE {
            op.len |= 1 << 63; // The kernel refuses this length. Otherwise it could fill the disk.
        }
        if self.tidy { tidied(op) } else { op }
    }
}

fn tidied(op: caio_op) -> caio_op {
    let bare = super::support::op(op.opcode, op.fd).tag(op.user_data).ioprio(op.ioprio).flag(op.flags & CAIO_FLAG_LINK);
    let dir2 = op.flags & CAIO_FLAG_DIR2;
    let second = |bare: caio_op| bare.buf2(op.buf2).flag(dir2).at(if dir2 != 0 { op.offset } else { 0 });
    let mut bare = caio_op { timeout_ns: op.timeout_ns, ..bare };
    match op.opcode {
        CAIO_OP_READ | CAIO_OP_WRITE | CAIO_OP_READV | CAIO_OP_WRITEV => {
            bare = bare.flag(op.flags & CAIO_FLAG_FULL).buf(op.buf).len(op.len).at(op.offset).sys(op.sys_flags.into());
        }
        CAIO_OP_SYNC_RANGE | CAIO_OP_ALLOCATE => bare = bare.len(op.len).at(op.offset).sys(op.sys_flags.into()),
        CAIO_OP_TRUNCATE => bare = bare.at(op.offset),
        CAIO_OP_OPENAT => bare = bare.buf(op.buf).sys(op.sys_flags.into()).mode(op.mode),
        CAIO_OP_STATX => bare = bare.buf(op.buf).sys(op.sys_flags.into()).mode(op.mode).buf2(op.buf2),
        CAIO_OP_RENAMEAT | CAIO_OP_LINKAT => bare = second(bare.buf(op.buf).sys(op.sys_flags.into())),
        CAIO_OP_UNLINKAT => bare = bare.buf(op.buf).sys(op.sys_flags.into()),
        CAIO_OP_MKDIRAT => bare = bare.buf(op.buf).mode(op.mode),
        CAIO_OP_READLINKAT | CAIO_OP_FGETXATTR | CAIO_OP_OPENAT2 => bare = bare.buf(op.buf).buf2(op.buf2).len(op.len),
        CAIO_OP_SYMLINKAT => bare = bare.buf(op.buf).buf2(op.buf2),
        CAIO_OP_GETDENTS => bare = bare.buf(op.buf).len(op.len),
        CAIO_OP_COPY_RANGE..=CAIO_OP_SPLICE => {
            bare = bare.flag(op.flags & CAIO_FLAG_FULL).len(op.len).at(op.offset).mode(op.mode);
            match op.opcode {
                CAIO_OP_SENDFILE => {}
                CAIO_OP_SPLICE => bare = bare.buf2(op.buf2).sys(op.sys_flags.into()),
                _ => bare = bare.buf2(op.buf2),
            }
        }
        CAIO_OP_FADVISE => bare = bare.len(op.len).at(op.offset).sys(op.sys_flags.into()),
        CAIO_OP_SEEK => bare = bare.at(op.offset).sys(op.sys_flags.into()),
        CAIO_OP_FCHMODAT | CAIO_OP_FACCESSAT => bare = bare.buf(op.buf).sys(op.sys_flags.into()).mode(op.mode),
        CAIO_OP_FCHOWNAT => bare = bare.buf(op.buf).sys(op.sys_flags.into()).mode(op.mode).len(op.len),
        CAIO_OP_UTIMENSAT => bare = bare.buf(op.buf).sys(op.sys_flags.into()).buf2(op.buf2),
        CAIO_OP_FSETXATTR => bare = bare.buf(op.buf).buf2(op.buf2).len(op.len).sys(op.sys_flags.into()),
        CAIO_OP_FLISTXATTR => bare = bare.buf2(op.buf2).len(op.len),
        CAIO_OP_FREMOVEXATTR => bare = bare.buf(op.buf),
        CAIO_OP_MKNODAT => bare = bare.buf(op.buf).mode(op.mode).at(op.offset),
        CAIO_OP_FSTATFS => bare = bare.buf2(op.buf2),
        _ => {}
    }
    bare
}

/// Submits the operations, collects one event for each accepted one, and closes opened descriptors.
fn submit_and_collect(ctx: &Ctx, ops: &[caio_op]) {
    let accepted = ctx.submit(ops);
    if accepted < ops.len() as i32 {
        let rest = &ops[accepted.max(0) as usize..];
        assert!([-libc::EINVAL, -libc::E2BIG].contains(&ctx.submit(rest)), "the next call returns the cause");
    }
    let accepted = accepted.max(0) as usize;
    assert_eq!(ctx.stats().submitted as usize, accepted);
    let mut events = ctx.wait(accepted as u32, accepted as u32, 5_000_000).expect("events");
    let left = accepted - events.len();
    assert!(ctx.cancel_all() <= left as i32, "the rest waits for a pipe, or completes soon");
    events.extend(ctx.collect(left));
    let tags: BTreeSet<u64> = events.iter().map(|event| event.user_data).collect();
    assert_eq!(tags, (0..accepted as u64).collect(), "one event for each accepted operation");
    for event in &events {
        assert!(event.result >= -4095, "{event:?}");
        let opens = [CAIO_OP_OPENAT, CAIO_OP_OPENAT2].contains(&ops[event.user_data as usize].opcode);
        if opens && event.result >= 0 {
            assert_eq!(sys::plain(&ops::close(event.result as i32)), 0, "{event:?} is a new descriptor");
        }
    }
    assert_eq!(ctx.poll(8), [], "and no more");
}

pub fn wild(case: &Case) {
    // SAFETY: no handler. A write beyond the limit, or to a pipe without a reader, must not end the process.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }
    process::limit(libc::RLIMIT_FSIZE, LARGEST_FILE);
    drop(case.ctx()); // creates what the library keeps for reuse
    let config = Config { cases: 300, max_shrink_iters: 100, failure_persistence: None, ..Config::default() };
    let batches = (prop::collection::vec(wild_operation(), 1..24), any::<bool>(), 0..3usize);
    let ran = TestRunner::new(config).run(&batches, |(batch, free_at_once, kind)| {
        eprintln!("{free_at_once} {kind} {batch:?}");
        let before = process::descriptors();
        let sandbox = Sandbox::new(case);
        let ops: Vec<caio_op> = batch.iter().enumerate().map(|(at, wild)| wild.op(&sandbox, at as u64)).collect();
        let flags = [0, CAIO_CTX_NO_INLINE, CAIO_CTX_SINGLE_THREAD][kind];
        let ctx = Ctx::new(&caio_options { flags, ..case.options() });
        if free_at_once {
            ctx.submit(&ops);
        } else {
            submit_and_collect(&ctx, &ops);
        }
        drop(ctx);
        // Closes the sandbox's high numbers, unless a CLOSE has closed them.
        sandbox.fds.iter().filter(|fd| **fd >= 0).for_each(|fd| {
            sys::plain(&ops::close(*fd));
        });
        drop(sandbox);
        assert_eq!(process::descriptors(), before, "no descriptor is leaked");
        Ok(())
    });
    ran.unwrap_or_else(|failure| panic!("{failure}"));
}
