//! The lines of `CAIO_LOG` on standard error: what they tell, and that they never wait and reach no other file.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::limits::take_all_descriptors;
use super::opcodes::{READV, preloaded, refuse};
use super::seccomp::deny;
use super::support::files::{Folder, pattern};
use super::support::stuck::Stuck;
use super::support::*;
use super::{AIO, BOTH, ENTER, SETUP, alone};

/// Sets a variable for new contexts.
fn set(variable: &str, value: &str) {
    // SAFETY: in a process of its own, whose other threads do not read the environment.
    unsafe { std::env::set_var(variable, value) };
}

/// Makes `fd` standard error. Returns the old one.
fn replace_stderr(fd: &impl AsRawFd) -> OwnedFd {
    // SAFETY: no memory involved; the copy is fresh from the kernel.
    unsafe {
        let old = OwnedFd::from_raw_fd(libc::fcntl(2, libc::F_DUPFD_CLOEXEC, 3));
        assert_eq!(libc::dup2(fd.as_raw_fd(), 2), 2);
        old
    }
}

/// While it exists, standard error is something else.
struct Replaced(OwnedFd);

impl Drop for Replaced {
    fn drop(&mut self) {
        replace_stderr(&self.0);
    }
}

/// The lines that the library writes during `body`.
fn lines_of(level: &str, body: impl FnOnce()) -> Vec<String> {
    set("CAIO_LOG", level);
    let (reader, writer) = sys::pipe();
    let replaced = Replaced(replace_stderr(&writer));
    drop(writer);
    body();
    drop(replaced);
    let mut text = String::new();
    File::from(reader).read_to_string(&mut text).expect("UTF-8");
    assert!(text.is_empty() || text.ends_with('\n'), "whole lines: {text}");
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert!(lines.iter().all(|line| line.starts_with("caio: ") && line.len() < 1024), "{lines:#?}");
    lines
}

fn has(lines: &[String], words: &[&str]) {
    assert!(lines.iter().any(|line| words.iter().all(|word| line.contains(word))), "{words:?} in {lines:#?}");
}

#[test]
fn a_context_tells_its_backend_and_its_descriptor() {
    alone(|_| {
        for backend in backends() {
            let mut fd = 0;
            let lines = lines_of("info", || {
                let ctx = Ctx::new(&caio_options { max_requests: 77, threads: 5, ..options(backend) });
                fd = ctx.eventfd();
                assert_eq!(ctx.one(ops::nop()), 0);
            });
            let name = backend_name(backend);
            assert_eq!(lines, [format!("caio: context {fd}: backend {name}, up to 77 requests and 5 worker threads")]);
        }
    });
}

#[test]
fn the_choice_tells_why_a_backend_is_not_available() {
    alone(|_| {
        deny(SETUP, libc::EPERM);
        let auto = lines_of("info", || drop(Ctx::on(CAIO_BACKEND_AUTO)));
        has(&auto, &["uring is not available: ", "seccomp"]);
        has(&auto, &["context ", ": backend "]);
        let named =
            lines_of("info", || assert_eq!(Ctx::try_new(&options(CAIO_BACKEND_URING)).err(), Some(-libc::EPERM)));
        has(&named, &["uring is not available: ", "seccomp"]);
        has(&named, &["no context is made: ", "os error 1)"]);
    });
}

#[test]
fn the_choice_tells_of_kernel_aio_and_of_settings() {
    alone(|_| {
        deny(AIO, libc::ENOSYS);
        has(
            &lines_of("info", || drop(Ctx::try_new(&options(CAIO_BACKEND_LINUX)))),
            &["linux is not available: ", "CONFIG_AIO"],
        );
        set("CAIO_IMPL", "thread");
        has(&lines_of("info", || drop(Ctx::on(CAIO_BACKEND_AUTO))), &["CAIO_IMPL asks for thread"]);
        set("CAIO_IMPL", "side\nways");
        has(&lines_of("info", || drop(Ctx::on(CAIO_BACKEND_AUTO))), &["CAIO_IMPL says 'side?ways'", "is ignored"]);
    });
}

#[test]
fn nothing_is_told_without_the_variable() {
    alone(|_| {
        deny(BOTH, libc::EPERM);
        let body = || {
            let ctx = Ctx::on(CAIO_BACKEND_AUTO);
            assert_eq!(ctx.submit(&[op(200, 0)]), -libc::EINVAL);
        };
        assert!(lines_of("", body).is_empty());
        let unknown = lines_of("loud", body);
        assert_eq!(unknown, ["caio: CAIO_LOG says 'loud', which is not info or debug, and is ignored"]);
        // SAFETY: in a process of its own.
        unsafe { std::env::remove_var("CAIO_LOG") };
        assert!(!body_tells(body));
    });
}

/// Whether the body writes to standard error, with the environment as it is.
fn body_tells(body: impl FnOnce()) -> bool {
    let (reader, writer) = sys::pipe();
    let replaced = Replaced(replace_stderr(&writer));
    drop(writer);
    body();
    drop(replaced);
    File::from(reader).read(&mut [0]).expect("a read") > 0
}

#[test]
fn a_ring_that_refuses_an_opcode_is_told_once() {
    preloaded(|dir| {
        refuse(READV);
        let page = pattern(sys::PAGE);
        let file = dir.file("refused", &page);
        let lines = lines_of("info", || {
            let ctx = Ctx::new(&caio_options { flags: CAIO_CTX_NO_INLINE, ..options(CAIO_BACKEND_URING) });
            for _ in 0..20 {
                assert_eq!(ctx.one(ops::readv(file.as_raw_fd(), &[ops::iovec(&page)], 0)), sys::PAGE as i64);
            }
        });
        has(&lines, &["refuses READV to the kernel's queue", "os error 13"]);
        assert_eq!(lines.len(), 2, "{lines:#?}");
    });
}

#[test]
fn a_queue_that_fails_is_told_once() {
    if !process::is_child() && !available(CAIO_BACKEND_URING) {
        return;
    }
    alone(|dir| {
        let mut back = pattern(sys::PAGE);
        let file = dir.file("later", &back);
        let lines = lines_of("info", || {
            let ctx = Ctx::new(&caio_options { flags: CAIO_CTX_NO_INLINE, ..options(CAIO_BACKEND_URING) });
            deny(ENTER, libc::EPERM);
            for _ in 0..20 {
                assert_eq!(ctx.one(ops::read(file.as_raw_fd(), &mut back, 0)), sys::PAGE as i64);
            }
        });
        has(&lines, &["the kernel's queue failed"]);
        assert_eq!(lines.len(), 2, "{lines:#?}");
    });
}

#[test]
fn a_lack_of_descriptors_and_threads_is_told_once() {
    alone(|dir| {
        let file = dir.file("file", b"");
        let lines = lines_of("info", || {
            let ctx = Ctx::on(CAIO_BACKEND_THREAD);
            let stuck = Stuck::pipe();
            let taken = take_all_descriptors();
            for _ in 0..3 {
                ctx.accept(&[stuck.read().tag(1)]);
                assert_eq!(ctx.cancel(1), 1);
                ctx.collect(1);
            }
            drop(taken);
        });
        has(&lines, &["the poller cannot start", "os error 24"]);
        assert_eq!(lines.len(), 2, "{lines:#?}");
        let lines = lines_of("info", || {
            let ctx = Ctx::on(CAIO_BACKEND_THREAD);
            deny(&[libc::SYS_clone, libc::SYS_clone3], libc::EAGAIN);
            for _ in 0..3 {
                assert_eq!(ctx.one(ops::fsync(file.as_raw_fd())), -i64::from(libc::EAGAIN));
            }
        });
        has(&lines, &["a worker thread cannot start", "os error 11"]);
        assert_eq!(lines.len(), 2, "{lines:#?}");
    });
}

#[test]
fn streams_that_need_io_uring_without_it_are_told_once() {
    alone(|_| {
        deny(SETUP, libc::EPERM);
        let lines = lines_of("info", || {
            let ctx = Ctx::on(CAIO_BACKEND_THREAD);
            for _ in 0..3 {
                let terminal = Stuck::terminal();
                ctx.accept(&[terminal.read()]);
                terminal.feed(1);
                assert!(ctx.collect(1)[0].result > 0);
            }
        });
        has(&lines, &["the kernel cannot end calls that wait for streams", "os error 1)"]);
        assert_eq!(lines.len(), 2, "{lines:#?}");
    });
}

#[test]
fn debug_tells_why_a_call_fails() {
    alone(|_| {
        let body = || {
            let ctx = Ctx::new(&caio_options {
                max_requests: 2,
                flags: CAIO_CTX_SINGLE_THREAD,
                ..options(CAIO_BACKEND_THREAD)
            });
            let stuck = Stuck::pipe();
            assert_eq!(ctx.submit(&[ops::nop().tag(1).len(5)]), -libc::EINVAL);
            assert_eq!(ctx.submit(&ops::chain(&[ops::nop(), ops::nop(), ops::nop()])), -libc::E2BIG);
            ctx.accept(&[stuck.read(), stuck.read()]);
            assert_eq!(ctx.submit(&[ops::nop()]), -libc::EAGAIN);
            assert_eq!(ctx.wait(2, 1, 0), Err(-libc::EINVAL));
            let raw = ctx.raw().addr();
            let theirs = std::thread::spawn(move || {
                let ctx = std::mem::ManuallyDrop::new(Ctx::from_raw(std::ptr::with_exposed_provenance_mut(raw)));
                ctx.submit(&[ops::nop()])
            });
            assert_eq!(theirs.join().expect("no panic"), -libc::EPERM);
            let child = process::fork(|| i32::from(ctx.submit(&[ops::nop()]) != -libc::EOWNERDEAD));
            assert_eq!(child.code(), 0);
        };
        let lines = lines_of("debug", body);
        has(&lines, &["submit of 1 fails", "operation 0: len: NOP does not use it"]);
        has(&lines, &["submit of 3 fails", "a chain is longer than max_requests (2)"]);
        has(&lines, &["submit of 1 fails", "2 operations are accepted and their events not taken"]);
        has(&lines, &["min_events is larger than max_events"]);
        has(&lines, &["another thread owns it"]);
        has(&lines, &["belongs to the parent process"]);
        assert_eq!(lines.len(), 7, "{lines:#?}");
        assert_eq!(lines_of("info", body).len(), 1, "a refusal is no fall-back");
    });
}

#[test]
fn debug_tells_which_option_is_refused() {
    alone(|_| {
        let sound = options(CAIO_BACKEND_THREAD);
        for (wrong, why) in [
            (caio_options { size: 8, ..sound }, "size is smaller"),
            (caio_options { backend: 9, ..sound }, "backend is unknown"),
            (caio_options { flags: 1 << 30, ..sound }, "a bit of flags"),
            (caio_options { reserved32: 1, ..sound }, "a reserved field"),
            (caio_options { max_requests: u32::MAX, ..sound }, "INT_MAX"),
        ] {
            let lines = lines_of("debug", || assert_eq!(Ctx::try_new(&wrong).err(), Some(-libc::EINVAL)));
            assert_eq!(lines.len(), 1, "{lines:#?}");
            has(&lines, &["caio_ctx_new fails: ", why]);
        }
    });
}

/// Fills a pipe.
fn fill(writer: &OwnedFd) -> usize {
    let (size, page) = (sys::pipe_size(writer), vec![b'x'; sys::PAGE]);
    (0..size / page.len()).for_each(|_| sys::write_all(writer, &page));
    size
}

#[test]
fn a_full_pipe_drops_lines_and_never_waits() {
    alone(|_| {
        let (reader, writer) = sys::pipe();
        let filled = fill(&writer);
        let replaced = Replaced(replace_stderr(&writer));
        set("CAIO_LOG", "debug");
        // Blocking, as a shell's pipe is: the alarm ends the process if a line waits.
        let ctx = Ctx::on(CAIO_BACKEND_THREAD);
        for _ in 0..4 {
            assert_eq!(ctx.submit(&[op(200, 0)]), -libc::EINVAL);
        }
        let mut rest = vec![0; filled];
        let mut reader = File::from(reader);
        reader.read_exact(&mut rest).expect("what filled it");
        assert_eq!(ctx.submit(&[op(201, 0)]), -libc::EINVAL);
        drop((ctx, replaced, writer));
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("UTF-8");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "caio: 5 lines are missing, because standard error was full");
        assert!(lines[1].contains("201 is unknown") && lines.len() == 2, "{lines:#?}");
    });
}

#[test]
fn a_pipe_without_readers_kills_no_program() {
    alone(|_| {
        let (reader, writer) = sys::pipe();
        drop(reader);
        let _replaced = Replaced(replace_stderr(&writer));
        // The test harness ignores the signal.
        // SAFETY: the default action.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        set("CAIO_LOG", "debug");
        let ctx = Ctx::on(CAIO_BACKEND_THREAD);
        assert_eq!(ctx.submit(&[op(200, 0)]), -libc::EINVAL);
    });
}

#[test]
fn no_line_goes_to_a_file_with_the_number_of_a_closed_stderr() {
    alone(|dir| {
        let _replaced = Replaced(replace_stderr(&File::open("/dev/null").expect("/dev/null")));
        // SAFETY: nothing uses it here.
        let close = || assert_eq!(unsafe { libc::close(2) }, 0);
        let refused = |ctx: &Ctx| assert_eq!(ctx.submit(&[op(200, 0)]), -libc::EINVAL);
        set("CAIO_LOG", "debug");
        let before = Ctx::on(CAIO_BACKEND_THREAD);
        close();
        let file = dir.file("data", b"");
        assert_eq!(file.as_raw_fd(), 2, "the lowest number");
        refused(&before);
        assert_eq!(dir.content("data"), b"");
        drop(file);
        // Its own descriptor gets the number.
        let after = Ctx::on(CAIO_BACKEND_THREAD);
        assert_eq!(after.eventfd(), 2);
        refused(&after);
        assert!(!after.readable());
        assert_eq!(after.one(ops::nop()), 0);
        drop(after);
        let other = Folder::Default.make().file("other", b"");
        assert_eq!(other.as_raw_fd(), 2);
        std::mem::forget(other);
    });
}
