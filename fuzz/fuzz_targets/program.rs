//! Bytes as a program of C calls with hostile arguments, and what must be true whatever they are: no crash, no hang, exactly
//! one event for each accepted operation, no descriptor left.

use std::io::Write;
use std::os::fd::RawFd;
use std::ptr::{null, null_mut};
use std::sync::{Mutex, Once};
use std::time::Duration;

use caio::capi::types::*;
use caio::capi::*;

use super::sandbox::{Kind, LARGEST_FILE, PAGE, Sandbox, sandbox};

const CONTEXTS: usize = 3;
const BATCH: usize = 12;

/// A program may take so many ticks. They are counted: a clock goes on while the process is stopped.
const PATIENCE: u32 = 600;
const TICK: Duration = Duration::from_millis(100);

/// The bytes of a program, zeros behind their end.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn word(&mut self) -> u32 {
        u32::from_le_bytes([(); 4].map(|()| self.byte()))
    }

    /// Mostly small, sometimes at the edges of what a number can be.
    fn number(&mut self) -> u64 {
        const EDGES: [u64; 8] =
            [u64::MAX, u64::MAX - 1, 1 << 63, i64::MAX as u64, 1 << 31, 0x7fff_f000, 1 << 33, u32::MAX as u64];
        match self.byte() {
            0xf0.. => EDGES[usize::from(self.byte()) % EDGES.len()],
            0xe0.. => u64::from(self.word()) << 32 | u64::from(self.word()),
            0x80.. => u64::from(self.word()) % (64 * PAGE as u64),
            small => u64::from(small),
        }
    }

    fn bits(&mut self) -> u32 {
        match self.byte() {
            0..0xa0 => 0,
            bit @ 0xa0..0xf0 => 1 << (bit % 32),
            _ => self.word(),
        }
    }
}

/// A context with what it owes.
#[derive(Clone, Copy)]
struct Slot {
    ctx: *mut caio_ctx,
    accepted: u64,
    taken: u64,
}

struct Program<'a> {
    bytes: Bytes<'a>,
    sandbox: &'static Sandbox,
    slots: [Slot; CONTEXTS],
}

const EMPTY: Slot = Slot { ctx: null_mut(), accepted: 0, taken: 0 };

/// The program that runs, and its number.
static RUNNING: Mutex<(u64, Vec<u8>)> = Mutex::new((0, Vec::new()));

fn running(bytes: &[u8]) {
    let mut running = RUNNING.lock().expect("no panic");
    running.0 += 1;
    running.1.clear();
    running.1.extend_from_slice(bytes);
}

/// Ends the process when a program hangs; the fuzzer then keeps the program.
fn watch() {
    let (mut number, mut ticks) = (0, 0);
    loop {
        std::thread::sleep(TICK);
        let running = RUNNING.lock().expect("no panic");
        ticks = if running.0 == number { ticks + 1 } else { 0 };
        number = running.0;
        if ticks > PATIENCE && !running.1.is_empty() {
            writeln!(std::io::stderr(), "a program hangs: {:02x?}", running.1).ok();
            std::process::abort();
        }
    }
}

/// Runs a program on a fresh sandbox.
pub fn run(bytes: &[u8]) {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| drop(std::thread::spawn(watch)));
    running(bytes);
    let sandbox = sandbox();
    sandbox.reset();
    let before = descriptors();
    let mut program = Program { bytes: Bytes(bytes), sandbox, slots: [EMPTY; CONTEXTS] };
    while !program.bytes.0.is_empty() {
        program.step();
    }
    program.end();
    // Operations may have closed some of the sandbox's own.
    let after = descriptors();
    assert!(after.iter().all(|fd| before.contains(fd)), "descriptors are left: {after:?}, not {before:?}");
    running(&[]);
}

fn descriptors() -> Vec<RawFd> {
    let names = std::fs::read_dir("/proc/self/fd").expect("/proc/self/fd");
    let numbers: Vec<RawFd> = names.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    // SAFETY: no memory involved. The folder's own descriptor was among them, and is gone.
    numbers.into_iter().filter(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0).collect()
}

impl Program<'_> {
    fn step(&mut self) {
        let at = usize::from(self.bytes.byte()) % (CONTEXTS + 1);
        if at == CONTEXTS {
            return self.step_without_context();
        }
        if self.slots[at].ctx.is_null() && !self.bytes.byte().is_multiple_of(16) {
            return self.new_context(at);
        }
        self.call(at);
    }

    fn new_context(&mut self, at: usize) {
        let bytes = &mut self.bytes;
        let mut room = [0u8; 128];
        let size = match bytes.byte() {
            0..0xe0 => size_of::<caio_options>() as u32,
            other => u32::from(other - 0xe0) * 4,
        };
        let max_requests = match bytes.byte() {
            0xf8.. => u32::MAX - bytes.word() % 4,
            small => u32::from(small),
        };
        let flags = if bytes.byte() < 0xf0 { bytes.byte() & 7 } else { bytes.byte() };
        let fields = [size, u32::from(bytes.byte() % 5), max_requests, u32::from(bytes.byte() % 9), u32::from(flags)];
        for (place, field) in fields.into_iter().enumerate() {
            room[place * 4..][..4].copy_from_slice(&field.to_le_bytes());
        }
        if bytes.byte() >= 0xf0 {
            room[20 + usize::from(bytes.byte()) % 108] = bytes.byte();
        }
        let mut ctx = std::ptr::dangling_mut();
        let null_options = bytes.byte() >= 0xfa;
        let options = if null_options { null() } else { room.as_ptr().cast() };
        // SAFETY: longer than its size says.
        let result = unsafe { caio_ctx_new(options, &mut ctx) };
        assert_eq!(result < 0, ctx.is_null(), "*ctx is NULL after a failure, and only then: {result}");
        self.slots[at] = Slot { ctx, ..EMPTY };
    }

    /// One call on a context, which may be NULL.
    fn call(&mut self, at: usize) {
        let ctx = self.slots[at].ctx;
        // SAFETY: `ctx` is NULL or live; memory is as long as said.
        unsafe {
            match self.bytes.byte() % 20 {
                0..6 => self.submit(at),
                6 | 7 => self.poll(at),
                8 | 9 => self.wait(at),
                10 => drop(caio_ctx_wake(ctx)),
                11 => {
                    let tag = u64::from(self.bytes.byte() % 16) << 8 | u64::from(self.bytes.byte() % 8);
                    self.found(at, caio_ctx_cancel(ctx, tag));
                }
                12 => {
                    let fd = self.sandbox.fd(self.bytes.byte());
                    self.found(at, caio_ctx_cancel_fd(ctx, fd));
                }
                13 => self.found(at, caio_ctx_cancel_all(ctx)),
                14 => self.stats(at),
                15 => {
                    let (eventfd, backend) = (caio_ctx_eventfd(ctx), caio_ctx_backend(ctx));
                    assert!(ctx.is_null() || (eventfd >= 0 && (1..=3).contains(&backend)));
                    assert_eq!(caio_ctx_max_requests(ctx) > 0, !ctx.is_null());
                }
                16 => {
                    caio_ctx_free(ctx);
                    self.slots[at] = EMPTY;
                }
                17 => self.sandbox.feed(usize::from(self.bytes.byte())),
                18 => self.sandbox.drain(),
                _ => std::thread::sleep(Duration::from_micros(self.bytes.byte().into())),
            }
        }
    }

    fn step_without_context(&mut self) {
        let number = self.bytes.word();
        assert!(!caio_strerror(number as i32).is_null());
        let backend = u32::from(self.bytes.byte() % 6);
        assert_eq!(caio_backend_name(backend).is_null(), backend > 3);
        let mut why = [0x55u8; 300];
        let size = usize::from(self.bytes.byte());
        // SAFETY: longer than said.
        let result = unsafe { caio_backend_probe(backend, why.as_mut_ptr().cast(), size) };
        assert!(result <= 0 && why[size..].iter().all(|byte| *byte == 0x55));
        assert!(size == 0 || why[..size].contains(&0), "NUL-terminated");
        assert_eq!(caio_version() >> 24, 0);
    }

    fn submit(&mut self, at: usize) {
        let count = usize::from(self.bytes.byte()) % (BATCH + 1);
        let mut ops: Vec<caio_op> = (0..count).map(|_| operation(&mut self.bytes, self.sandbox)).collect();
        open_first(&mut self.bytes, self.sandbox, &mut ops);
        mark_owned_opens(&mut ops);
        let (poll, null_ops) = (self.bytes.byte(), self.bytes.byte() >= 0xf8);
        let slot = &mut self.slots[at];
        let first = if null_ops { null() } else { ops.as_ptr() };
        if poll < 0x80 {
            // SAFETY: NULL or live, as in `call`.
            let result = unsafe { caio_ctx_submit(slot.ctx, first, count as u32) };
            return slot.submitted(result, count, null_ops);
        }
        let mut events = room(poll);
        let mut polled = u32::MAX;
        let max = events.len() as u32;
        // SAFETY: as above; as much room as said.
        let result =
            unsafe { caio_ctx_submit_poll(slot.ctx, first, count as u32, events.as_mut_ptr(), max, &mut polled) };
        slot.submitted(result, count, null_ops);
        assert!(polled <= max, "*polled is always set");
        slot.take(&events[..polled as usize]);
    }

    fn poll(&mut self, at: usize) {
        let slot = &mut self.slots[at];
        let mut events = room(self.bytes.byte());
        let count = events.len() as u32;
        // SAFETY: as much room as said.
        let got = unsafe { caio_ctx_poll(slot.ctx, events.as_mut_ptr(), count) };
        slot.take(&events[..got.max(0) as usize]);
        // SAFETY: NULL is answered.
        let nothing = unsafe { caio_ctx_poll(slot.ctx, null_mut(), count) };
        assert!(nothing == 0 || [-libc::EINVAL, -libc::EPERM].contains(&nothing));
    }

    fn wait(&mut self, at: usize) {
        let mut events = room(self.bytes.byte());
        let (min, timeout) = (u32::from(self.bytes.byte() % 20), self.bytes.byte());
        let slot = &mut self.slots[at];
        let timeout = match timeout {
            // SAFETY: NULL or live. What is waited for without end must be woken.
            0xe0.. if unsafe { caio_ctx_wake(slot.ctx) } == 0 => [-1, i64::MIN, i64::MAX][usize::from(timeout) % 3],
            short => i64::from(short) * 2000,
        };
        // SAFETY: as much room as said.
        let got = unsafe { caio_ctx_wait(slot.ctx, events.as_mut_ptr(), min, events.len() as u32, timeout) };
        assert!(got <= events.len() as i32);
        slot.take(&events[..got.max(0) as usize]);
    }

    fn found(&self, at: usize, found: i32) {
        let slot = &self.slots[at];
        let owed = (slot.accepted - slot.taken) as i32;
        assert!(found <= owed, "{found} found of {owed}");
    }

    fn stats(&mut self, at: usize) {
        let slot = &self.slots[at];
        let mut room = [0u8; 512];
        let size = u32::from(self.bytes.byte()) * 2;
        room[..4].copy_from_slice(&size.to_le_bytes());
        if self.bytes.byte() >= 0xf0 {
            room[300] = 1;
        }
        // SAFETY: longer than its size says.
        let result = unsafe { caio_ctx_stats(slot.ctx, room.as_mut_ptr().cast()) };
        assert_eq!(room[..4], size.to_le_bytes(), "size itself is not changed");
        if result == 0 && size >= 8 {
            let inflight = u32::from_le_bytes([room[4], room[5], room[6], room[7]]);
            assert_eq!(u64::from(inflight), slot.accepted - slot.taken);
        }
    }

    /// Every other context gets all its events first; the others are freed as they are.
    fn end(&mut self) {
        for at in 0..CONTEXTS {
            let slot = &mut self.slots[at];
            if at % 2 == 0 && !slot.ctx.is_null() {
                slot.collect();
            }
            // SAFETY: NULL or live, freed once.
            unsafe { caio_ctx_free(slot.ctx) };
            *slot = EMPTY;
        }
        await_threads(self.sandbox);
    }
}

/// Threads that opens of the FIFO have kept; the contexts are gone, so what they open is closed.
fn await_threads(sandbox: &Sandbox) {
    let threads = || std::fs::read_dir("/proc/self/task").expect("/proc/self/task").filter_map(named_worker).count();
    let mut tries = 0..100_000;
    while threads() > 0 {
        sandbox.release_fifo();
        std::thread::sleep(Duration::from_micros(200));
        assert!(tries.next().is_some(), "threads are left");
    }
}

/// A task that is a thread of the library's.
fn named_worker(entry: std::io::Result<std::fs::DirEntry>) -> Option<()> {
    let name = std::fs::read_to_string(entry.ok()?.path().join("comm")).ok()?;
    ["caio-worker", "caio-poller"].contains(&name.trim()).then_some(())
}

fn room(bytes: u8) -> Vec<caio_event> {
    (0..bytes % 40).map(|_| caio_event { user_data: 0, result: 0 }).collect()
}

impl Slot {
    fn submitted(&mut self, result: i32, count: usize, null_ops: bool) {
        assert!(result <= count as i32, "{result} accepted of {count}");
        assert!(result != 0 || count == 0, "never 0 with a count");
        assert!(result <= 0 || !(null_ops || self.ctx.is_null()));
        self.accepted += result.max(0) as u64;
    }

    fn take(&mut self, events: &[caio_event]) {
        self.taken += events.len() as u64;
        assert!(self.taken <= self.accepted, "more events than operations");
        for event in events {
            let (opcode, fd) = ((event.user_data >> 8) as u8, event.result);
            assert!(fd >= -4095, "{fd}");
            if event.user_data & CLOSED_BY_CHAIN != 0 {
                assert!(fd <= 0, "the chain closes what it opens, and has no number for the caller: {fd}");
            } else if opens(opcode) && fd >= 0 {
                // SAFETY: no memory involved.
                assert_eq!(unsafe { libc::close(fd as RawFd) }, 0, "a new descriptor");
            }
        }
    }

    fn collect(&mut self) {
        let mut tries = 0..200;
        while self.taken < self.accepted {
            let mut events = room(39);
            // SAFETY: a live context, as much room as said.
            let got = unsafe {
                caio_ctx_cancel_all(self.ctx);
                caio_ctx_wait(self.ctx, events.as_mut_ptr(), 1, events.len() as u32, TICK.as_nanos() as i64)
            };
            self.take(&events[..got.max(0) as usize]);
            assert!(got > 0 || tries.next().is_some(), "{} of {} events", self.taken, self.accepted);
        }
    }
}

/// In the tag of an OPENAT whose descriptor a CLOSE of its chain closes.
const CLOSED_BY_CHAIN: u64 = 1 << 16;

const EMPTY_OP: caio_op = caio_op {
    user_data: 0,
    opcode: 0,
    flags: 0,
    ioprio: 0,
    fd: 0,
    buf: null_mut(),
    len: 0,
    offset: 0,
    sys_flags: 0,
    mode: 0,
    timeout_ns: 0,
    buf2: null_mut(),
};

fn opens(opcode: u8) -> bool {
    [CAIO_OP_OPENAT, CAIO_OP_OPENAT2].contains(&opcode)
}

/// Makes some batches one chain whose first operation opens a file for most of the others, which the last one may close.
fn open_first(bytes: &mut Bytes, sandbox: &Sandbox, ops: &mut [caio_op]) {
    let (how, path, flags) = (bytes.byte(), bytes.byte(), bytes.bits());
    let [first, rest @ .., last] = ops else { return };
    if how < 0xa0 {
        return;
    }
    *first = caio_op {
        user_data: u64::from(CAIO_OP_OPENAT) << 8,
        opcode: CAIO_OP_OPENAT,
        flags: CAIO_FLAG_LINK,
        fd: libc::AT_FDCWD,
        buf: sandbox.address(Kind::Path, path),
        sys_flags: flags & !(libc::O_TMPFILE as u32) | libc::O_CLOEXEC as u32,
        mode: 0o600,
        ..EMPTY_OP
    };
    for (place, op) in rest.iter_mut().enumerate() {
        op.flags |= CAIO_FLAG_LINK;
        op.fd = if how >> (place % 4) & 1 == 0 { CAIO_FD_OPENED } else { op.fd };
    }
    if how & 0x10 == 0 {
        let user_data = u64::from(CAIO_OP_CLOSE) << 8;
        *last = caio_op { user_data, opcode: CAIO_OP_CLOSE, fd: CAIO_FD_OPENED, ..EMPTY_OP };
    }
}

/// Marks the opens whose descriptor their chain closes: the nearest one before a CLOSE of CAIO_FD_OPENED.
fn mark_owned_opens(ops: &mut [caio_op]) {
    let mut last_open = None;
    for at in 0..ops.len() {
        let op = ops[at];
        if op.opcode == CAIO_OP_CLOSE
            && op.fd == CAIO_FD_OPENED
            && let Some(open) = last_open
        {
            let open: &mut caio_op = &mut ops[open];
            open.user_data |= CLOSED_BY_CHAIN;
        }
        last_open = if opens(op.opcode) { Some(at) } else { last_open }.filter(|_| op.flags & CAIO_FLAG_LINK != 0);
    }
}

/// Any operation. Its tag holds the opcode, and a byte that several may share.
fn operation(bytes: &mut Bytes, sandbox: &Sandbox) -> caio_op {
    let opcode = match bytes.byte() {
        0xfc.. => bytes.byte(),
        common => common % 37,
    };
    let kind = match opcode {
        CAIO_OP_READV | CAIO_OP_WRITEV => Kind::Iovecs,
        CAIO_OP_GETDENTS => Kind::Bytes,
        CAIO_OP_OPENAT..=CAIO_OP_FREMOVEXATTR | CAIO_OP_OPENAT2 | CAIO_OP_MKNODAT => Kind::Path,
        _ => Kind::Bytes,
    };
    let second = match opcode {
        CAIO_OP_RENAMEAT | CAIO_OP_SYMLINKAT | CAIO_OP_LINKAT => Kind::Path,
        _ => Kind::Bytes,
    };
    let (flags, tidy) = (bytes.byte(), bytes.byte() < 0xf4);
    let mut op = caio_op {
        user_data: u64::from(opcode) << 8 | u64::from(bytes.byte() % 8),
        opcode,
        flags: if flags < 0xf0 { flags & 7 } else { flags },
        ioprio: bytes.bits() as u16,
        fd: sandbox.fd(bytes.byte()),
        buf: sandbox.address(kind, bytes.byte()),
        len: bytes.number(),
        offset: if bytes.byte() < 0x60 { CAIO_OFFSET_CURRENT } else { bytes.number() },
        sys_flags: bytes.bits(),
        mode: bytes.bits(),
        timeout_ns: if bytes.byte() < 0xc0 { 0 } else { bytes.number().saturating_mul(100) },
        buf2: sandbox.address(second, bytes.byte()),
    };
    if opcode == CAIO_OP_ALLOCATE && op.len > LARGEST_FILE {
        op.len |= 1 << 63; // what could fill the disk is refused instead
    }
    if (CAIO_OP_COPY_RANGE..=CAIO_OP_SPLICE).contains(&opcode) {
        op.mode = sandbox.fd(op.mode as u8) as u32;
    }
    if opcode == CAIO_OP_MKNODAT {
        op.mode &= 0o777; // a device could do harm when it is opened
    }
    if op.flags & CAIO_FLAG_DIR2 != 0 {
        op.offset = sandbox.fd(op.offset as u8) as u64;
    }
    if tidy {
        tidy_up(&mut op);
    }
    op
}

/// Zeroes what the opcode does not use, so that it is accepted.
fn tidy_up(op: &mut caio_op) {
    use Field::*;
    let used: &[Field] = match op.opcode {
        CAIO_OP_READ | CAIO_OP_WRITE | CAIO_OP_READV | CAIO_OP_WRITEV => &[Buf, Len, Offset, SysFlags, Full],
        CAIO_OP_SYNC_RANGE | CAIO_OP_ALLOCATE | CAIO_OP_FADVISE => &[Len, Offset, SysFlags],
        CAIO_OP_TRUNCATE => &[Offset],
        CAIO_OP_OPENAT | CAIO_OP_FCHMODAT | CAIO_OP_FACCESSAT => &[Buf, SysFlags, Mode],
        CAIO_OP_STATX => &[Buf, SysFlags, Mode, Buf2],
        CAIO_OP_RENAMEAT | CAIO_OP_LINKAT => &[Buf, SysFlags, Buf2, Dir2],
        CAIO_OP_UNLINKAT => &[Buf, SysFlags],
        CAIO_OP_MKDIRAT => &[Buf, Mode],
        CAIO_OP_READLINKAT | CAIO_OP_FGETXATTR | CAIO_OP_OPENAT2 => &[Buf, Len, Buf2],
        CAIO_OP_SYMLINKAT => &[Buf, Buf2],
        CAIO_OP_GETDENTS => &[Buf, Len],
        CAIO_OP_COPY_RANGE => &[Len, Offset, Mode, Buf2, Full],
        CAIO_OP_SENDFILE => &[Len, Offset, Mode, Full],
        CAIO_OP_SPLICE => &[Len, Offset, SysFlags, Mode, Buf2, Full],
        CAIO_OP_SEEK => &[Offset, SysFlags],
        CAIO_OP_FCHOWNAT => &[Buf, Len, SysFlags, Mode],
        CAIO_OP_UTIMENSAT => &[Buf, SysFlags, Buf2],
        CAIO_OP_FSETXATTR => &[Buf, Len, SysFlags, Buf2],
        CAIO_OP_FLISTXATTR => &[Len, Buf2],
        CAIO_OP_FREMOVEXATTR => &[Buf],
        CAIO_OP_MKNODAT => &[Buf, Offset, Mode],
        CAIO_OP_FSTATFS => &[Buf2],
        _ => &[],
    };
    let uses = |field| used.contains(&field);
    let flag = |field, flag| if uses(field) { flag } else { 0 };
    op.flags &= CAIO_FLAG_LINK | flag(Full, CAIO_FLAG_FULL) | flag(Dir2, CAIO_FLAG_DIR2);
    let kept = |field, value: u64| if uses(field) { value } else { 0 };
    op.len = kept(Len, op.len);
    if op.flags & CAIO_FLAG_DIR2 == 0 {
        op.offset = kept(Offset, op.offset);
    }
    (op.sys_flags, op.mode) = (kept(SysFlags, op.sys_flags.into()) as u32, kept(Mode, op.mode.into()) as u32);
    if !uses(Buf) {
        op.buf = null_mut();
    }
    if !uses(Buf2) {
        op.buf2 = null_mut();
    }
}

/// What an opcode may use.
#[derive(Clone, Copy, PartialEq)]
enum Field {
    Buf,
    Len,
    Offset,
    SysFlags,
    Mode,
    Buf2,
    Full,
    Dir2,
}
