//! Rings that refuse single opcodes with EACCES, as filters can from Linux 7.0. Here, a preloaded library sets
//! restrictions of the ring (IORING_REGISTER_RESTRICTIONS) between its setup and its first use.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::support::files::{Dir, Folder, pattern};
use super::support::*;
use super::{c, works};

const NOP: u8 = 0;
pub const READV: u8 = 1;
const WRITEV: u8 = 2;
const READ: u8 = 22;
const WRITE: u8 = 23;

const OPCODES: &str = "RESTRICT_OPCODES";
const ONLY_DISABLED: &str = "RESTRICT_DISABLED";

/// Runs `body` in a process of its own, with the library preloaded.
pub fn preloaded(body: impl FnOnce(&Dir)) {
    if !process::is_child() && !available(CAIO_BACKEND_URING) {
        return;
    }
    process::alone_with(
        || vec![("LD_PRELOAD", library().into())],
        || {
            // SAFETY: no memory involved.
            unsafe { libc::alarm(4 * PATIENCE.as_secs() as u32) };
            body(&Folder::Default.make());
        },
    );
}

/// The preloaded library, which is built once, because tests run at the same time.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| c::preload("restrict_rings"))
}

fn set(variable: &str, value: &str) {
    // SAFETY: in a process of its own, whose other threads do not read the environment.
    unsafe { std::env::set_var(variable, value) };
}

/// New rings refuse `opcode`.
pub fn refuse(opcode: u8) {
    set(OPCODES, &opcode.to_string());
}

fn uring(flags: u32) -> caio_options {
    caio_options { flags, ..options(CAIO_BACKEND_URING) }
}

fn not_available_without(opcode: u8) {
    preloaded(|dir| {
        let before = process::descriptors();
        assert_eq!(probe(CAIO_BACKEND_URING).0, 0, "nothing is refused yet");
        refuse(opcode);
        let (result, why) = probe(CAIO_BACKEND_URING);
        assert_eq!(result, -libc::EACCES, "{why}");
        assert!(why.contains("IORING_OP_READ") && why.contains("filter"), "{why}");
        for flags in [0, CAIO_CTX_SINGLE_THREAD, CAIO_CTX_SQPOLL, CAIO_CTX_NO_INLINE] {
            assert_eq!(Ctx::try_new(&uring(flags)).err(), Some(-libc::EACCES), "flags {flags}");
            let auto = Ctx::new(&caio_options { flags, ..options(CAIO_BACKEND_AUTO) });
            assert_ne!(auto.backend(), CAIO_BACKEND_URING as i32, "flags {flags}");
            works(&auto, dir);
        }
        assert_eq!(process::descriptors(), before);
    });
}

#[test]
fn a_ring_that_refuses_reads_is_not_available() {
    not_available_without(READ);
}

#[test]
fn a_ring_that_refuses_writes_is_not_available() {
    not_available_without(WRITE);
}

/// Calls `body` with an operation of this opcode, and its expected result.
fn operations(opcode: u8, dir: &Dir, body: impl FnOnce(caio_op, i64)) {
    let file = dir.file("refused", &pattern(sys::PAGE));
    let fd = file.as_raw_fd();
    let mut memory = vec![0; sys::PAGE];
    let iovecs = [ops::iovec(&memory)];
    match opcode {
        NOP => body(ops::nop(), 0),
        READ => body(ops::read(fd, &mut memory, 0), sys::PAGE as i64),
        WRITE => body(ops::write(fd, &memory, 0), sys::PAGE as i64),
        READV => body(ops::readv(fd, &iovecs, 0), sys::PAGE as i64),
        WRITEV => body(ops::writev(fd, &iovecs, 0), sys::PAGE as i64),
        _ => unreachable!("an opcode of this test"),
    }
}

/// If the ring refuses an operation, a worker thread runs it with the right result. The context does not try the ring
/// again.
fn workers_run_what_the_ring_refuses(opcode: u8, flags: u32) {
    preloaded(|dir| {
        refuse(opcode);
        if flags & CAIO_CTX_SINGLE_THREAD != 0 {
            // The ring that caio_ctx_new tests refuses nothing, as with a filter that is installed later.
            set(ONLY_DISABLED, "1");
        }
        let ctx = Ctx::new(&uring(flags | CAIO_CTX_NO_INLINE));
        operations(opcode, dir, |op, result| {
            assert_eq!(ctx.one(op), result);
            assert_eq!(ctx.stats().retried, 1, "the ring refused it");
            for _ in 0..20 {
                assert_eq!(ctx.one(op), result);
            }
            assert_eq!(ctx.run(&vec![op; 20]), vec![result; 20]);
            assert_eq!(ctx.stats().retried, 1, "the context does not try the ring again");
        });
        works(&ctx, dir);
    });
}

#[test]
fn workers_run_readv_if_the_ring_refuses_it() {
    workers_run_what_the_ring_refuses(READV, 0);
}

#[test]
fn workers_run_writev_if_the_ring_refuses_it() {
    workers_run_what_the_ring_refuses(WRITEV, 0);
}

#[test]
fn workers_run_nop_if_the_ring_refuses_it() {
    workers_run_what_the_ring_refuses(NOP, 0);
}

#[test]
fn workers_run_readv_if_a_ring_with_sqpoll_refuses_it() {
    workers_run_what_the_ring_refuses(READV, CAIO_CTX_SQPOLL);
}

#[test]
fn workers_run_read_if_the_ring_refuses_it_later() {
    workers_run_what_the_ring_refuses(READ, CAIO_CTX_SINGLE_THREAD);
}

#[test]
fn workers_run_write_if_the_ring_refuses_it_later() {
    workers_run_what_the_ring_refuses(WRITE, CAIO_CTX_SINGLE_THREAD);
}

/// If the plain call fails with EPERM too, the file is the cause, and the context still uses the ring for other files.
#[test]
fn a_sealed_file_does_not_stop_the_ring() {
    if !available(CAIO_BACKEND_URING) {
        return;
    }
    let dir = Folder::Default.make();
    let ctx = Ctx::new(&uring(CAIO_CTX_NO_INLINE));
    // SAFETY: a live string; fresh from the kernel.
    let sealed = unsafe { OwnedFd::from_raw_fd(libc::memfd_create(c"sealed".as_ptr(), libc::MFD_ALLOW_SEALING)) };
    sys::write_all(&sealed, &pattern(sys::PAGE));
    // SAFETY: takes no memory.
    assert_eq!(unsafe { libc::fcntl(sealed.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_WRITE) }, 0);
    let page = pattern(sys::PAGE);
    assert_eq!(ctx.one(ops::write(sealed.as_raw_fd(), &page, 0)), -i64::from(libc::EPERM));
    let file = dir.file("file", &page);
    let before = ctx.stats().done_native;
    assert_eq!(ctx.one(ops::write(file.as_raw_fd(), &page, 0)), sys::PAGE as i64);
    assert_eq!(ctx.stats().done_native, before + 1);
}
