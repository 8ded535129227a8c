//! Settings of the whole machine: io_uring is disabled, or no AIO requests are left. Each test changes the machine for
//! a moment, so they run only if TORTURE_MACHINE is set.

use std::fs;

use super::support::*;
use super::{Dir, Folder, Setting, Verdict, program, run};

const ROUNDS: u32 = 12;
const WELL: Verdict = Verdict::Ran { failed: 0 };

/// A setting of the kernel; dropping it restores the value.
struct Sysctl {
    path: String,
    before: String,
}

impl Sysctl {
    fn set(name: &str, value: &str) -> Self {
        let path = format!("/proc/sys/{name}");
        let before = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path, before }
    }
}

impl Drop for Sysctl {
    fn drop(&mut self) {
        fs::write(&self.path, self.before.trim()).expect("the setting that was there before");
    }
}

/// Runs the program on a backend with each kind of flags; returns the number of runs.
fn expect_all(backend: u32, dir: &Dir, expected: Verdict) -> usize {
    for flags in [0, CAIO_CTX_NO_INLINE] {
        let verdict = run(&["env".into()], Setting { backend, flags }, &dir.path, ROUNDS, &[]);
        assert_eq!(verdict, Ok(expected), "backend {backend}, flags {flags}");
    }
    2
}

fn reads(ctx: &Ctx, dir: &Dir) {
    use std::os::fd::AsRawFd;
    let file = dir.cold("file", sys::PAGE);
    let mut back = vec![0; sys::PAGE];
    assert_eq!(ctx.one(ops::read(file.as_raw_fd(), &mut back, 0)), sys::PAGE as i64);
    assert_eq!(back, files::pattern(sys::PAGE));
}

fn backend_of(asked: u32) -> i32 {
    Ctx::on(asked).backend()
}

/// A test in a process of its own, if the machine may be changed.
fn on_this_machine(body: impl FnOnce(&Dir) -> usize) {
    if std::env::var_os("TORTURE_MACHINE").is_none()
        || !backends().starts_with(&[CAIO_BACKEND_URING, CAIO_BACKEND_LINUX])
    {
        return eprintln!("not tried: TORTURE_MACHINE is not set, or a backend is not available");
    }
    process::alone(|| {
        program();
        let runs = body(&Folder::Disk.make());
        tried(
            runs,
            "runs of 12 rounds with io_uring switched off (io_uring_disabled) or no AIO requests left (aio-max-nr)",
        );
    });
}

#[test]
fn io_uring_is_disabled() {
    on_this_machine(|dir| {
        let older = Ctx::on(CAIO_BACKEND_URING);
        let off = Sysctl::set("kernel/io_uring_disabled", "2");
        let (error, why) = probe(CAIO_BACKEND_URING);
        assert!(error == -libc::EPERM && why.contains("io_uring_disabled"), "{error}: {why}");
        let mut runs = expect_all(CAIO_BACKEND_URING, dir, Verdict::NoContext { errno: libc::EPERM });
        assert_eq!(backend_of(CAIO_BACKEND_AUTO), CAIO_BACKEND_LINUX as i32);
        for backend in [CAIO_BACKEND_AUTO, CAIO_BACKEND_LINUX, CAIO_BACKEND_THREAD] {
            runs += expect_all(backend, dir, WELL);
        }
        reads(&older, dir);
        drop(off);
        runs + expect_all(CAIO_BACKEND_URING, dir, WELL)
    });
}

fn aio(name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/sys/fs/aio-{name}")).expect("a number");
    text.trim().parse().expect("a number")
}

#[test]
fn no_aio_requests_are_left() {
    on_this_machine(|dir| {
        let mut older = vec![Ctx::on(CAIO_BACKEND_LINUX)];
        let most = Sysctl::set("fs/aio-max-nr", &aio("nr").to_string());
        // This process can still use the contexts that it keeps for reuse.
        while let Ok(kept) = Ctx::try_new(&options(CAIO_BACKEND_LINUX)) {
            older.push(kept);
            assert!(older.len() < 40, "no limit applies");
        }
        let (error, why) = probe(CAIO_BACKEND_LINUX);
        let numbers = why.contains(&aio("nr").to_string()) && why.contains("aio-max-nr");
        assert!(error == -libc::EAGAIN && numbers, "{error}: {why}");
        let mut runs = expect_all(CAIO_BACKEND_LINUX, dir, Verdict::NoContext { errno: libc::EAGAIN });
        assert_eq!(backend_of(CAIO_BACKEND_AUTO), CAIO_BACKEND_URING as i32);
        let off = Sysctl::set("kernel/io_uring_disabled", "2");
        assert_eq!(backend_of(CAIO_BACKEND_AUTO), CAIO_BACKEND_THREAD as i32);
        runs += expect_all(CAIO_BACKEND_AUTO, dir, WELL);
        drop(off);
        older.iter().for_each(|ctx| reads(ctx, dir));
        drop(most);
        runs + expect_all(CAIO_BACKEND_LINUX, dir, WELL)
    });
}

/// Takes AIO requests until at most `left` remain, and holds them until it is killed.
fn hoard(left: u64) -> i32 {
    loop {
        let free = aio("max-nr").saturating_sub(aio("nr"));
        if free <= left {
            break;
        }
        let mut context = 0u64;
        let wanted = (free - left).min(4096);
        // SAFETY: the kernel writes the context's number.
        if unsafe { libc::syscall(libc::SYS_io_setup, wanted, &raw mut context) } != 0 {
            return 1;
        }
    }
    // SAFETY: no memory involved; and it sleeps until it is killed.
    unsafe { libc::raise(libc::SIGSTOP) };
    0
}

#[test]
fn another_process_holds_all_aio_requests() {
    on_this_machine(|dir| {
        let before = aio("nr");
        let mut runs = 0;
        for left in [0, 16] {
            let hoarder = process::fork(|| hoard(left));
            let mut status = 0;
            // SAFETY: a live int.
            assert_eq!(unsafe { libc::waitpid(hoarder.pid, &mut status, libc::WUNTRACED) }, hoarder.pid);
            assert!(libc::WIFSTOPPED(status), "it holds them: {status}");
            let expected = if left == 0 { Verdict::NoContext { errno: libc::EAGAIN } } else { WELL };
            runs += expect_all(CAIO_BACKEND_LINUX, dir, expected) + expect_all(CAIO_BACKEND_AUTO, dir, WELL);
            // SAFETY: our own child.
            unsafe { libc::kill(hoarder.pid, libc::SIGKILL) };
            assert_eq!(hoarder.code(), 1000 + libc::SIGKILL);
            until("its requests are free", || aio("nr") <= before);
        }
        runs + expect_all(CAIO_BACKEND_LINUX, dir, WELL)
    });
}
