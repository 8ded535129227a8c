//! `caio::raw`, the unsafe layer for bindings, on each available backend: completions, room, refusals, cancelling, dropping.

use std::ffi::c_void;
use std::fs::File;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use caio::raw::{AT_FDCWD, Code, Completion, Context, Errno, OPENED, Options, Request};
use caio::{Backend, Stats};

type Room<const N: usize> = [MaybeUninit<Completion>; N];

const fn room<const N: usize>() -> Room<N> {
    [const { MaybeUninit::uninit() }; N]
}

fn on_each(test: impl Fn(Context)) {
    let mut ran = 0;
    for backend in [Backend::Uring, Backend::Linux, Backend::Thread] {
        if backend.probe().is_available() {
            println!("on {backend}");
            test(Context::new(Options { backend, max_requests: 8, ..Options::default() }).expect("a context"));
            ran += 1;
        }
    }
    assert!(ran > 0, "no backend is available");
}

/// Submits, and waits until all are complete. Returns the results in the order of the requests.
fn all(ctx: &Context, requests: &[Request]) -> Vec<i64> {
    let mut numbered = requests.to_vec();
    numbered.iter_mut().enumerate().for_each(|(number, request)| request.user_data = number as u64);
    let mut results = vec![None; requests.len()];
    let mut events = room::<3>();
    // SAFETY: the callers keep the memory until this function returns.
    let (accepted, completions) = unsafe { ctx.submit_poll(&numbered, &mut events) };
    assert_eq!(accepted, Ok(requests.len()));
    let mut note = |completions: &[Completion]| {
        for completion in completions {
            let earlier = results[completion.user_data as usize].replace(completion.result);
            assert_eq!(earlier, None, "a completion came twice");
        }
        results.iter().all(Option::is_some)
    };
    let mut complete = note(completions);
    while !complete {
        let completions = ctx.wait(&mut events, 1, Some(Duration::from_secs(30))).expect("completions");
        assert!(!completions.is_empty(), "no completion in 30 s");
        complete = note(completions);
    }
    results.into_iter().flatten().collect()
}

fn transfer(code: Code, file: &File, memory: *mut u8, len: usize, offset: u64) -> Request {
    Request { fd: file.as_raw_fd(), memory: memory.cast(), len: len as u64, offset, ..Request::new(code) }
}

fn file(content: &[u8]) -> File {
    // SAFETY: the name is a string.
    let fd = unsafe { libc::memfd_create(c"raw".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(fd >= 0);
    // SAFETY: just made.
    let mut file: File = unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) };
    file.write_all(content).expect("written");
    file
}

#[test]
fn requests_complete_with_the_results_of_their_calls() {
    on_each(|ctx| {
        let file = file(b"0123456789");
        let mut parts = [[0u8; 4]; 4];
        let reads: Vec<_> = parts
            .iter_mut()
            .enumerate()
            .map(|(number, part)| transfer(Code::Read, &file, part.as_mut_ptr(), 4, 4 * number as u64))
            .collect();
        assert_eq!(all(&ctx, &reads), [4, 4, 2, 0]);
        assert_eq!(&parts.concat(), b"0123456789\0\0\0\0\0\0");
        let closed = Request { fd: 1 << 20, ..transfer(Code::Read, &file, parts[0].as_mut_ptr(), 4, 0) };
        assert_eq!(all(&ctx, &[closed]), [-i64::from(libc::EBADF)]);
        assert_eq!(ctx.stats().map(|Stats { submitted, in_flight, .. }| (submitted, in_flight)), Ok((5, 0)));
    });
}

#[test]
fn a_chain_opens_reads_and_closes_a_file() {
    on_each(|ctx| {
        let mut buffer = [0u8; 4096];
        let path = c"/etc/passwd".as_ptr().cast_mut().cast::<c_void>();
        let open = Request { link: true, fd: AT_FDCWD, memory: path, ..Request::new(Code::Openat) };
        let (memory, len) = (buffer.as_mut_ptr().cast(), buffer.len() as u64);
        let read = Request { link: true, full: true, fd: OPENED, memory, len, ..Request::new(Code::Read) };
        let results = all(&ctx, &[open, read, Request { fd: OPENED, ..Request::new(Code::Close) }]);
        let expected = std::fs::read("/etc/passwd").expect("/etc/passwd");
        let count = results[1] as usize;
        assert_eq!((results[2], &buffer[..count]), (0, &expected[..count]));
    });
}

#[test]
fn a_field_that_the_operation_does_not_use_is_refused() {
    on_each(|ctx| {
        let mut byte = 0u8;
        let memory = (&raw mut byte).cast::<c_void>();
        for request in [
            Request { mode: 1, ..Request::new(Code::Read) },
            Request { memory, ..Request::new(Code::Fsync) },
            Request { memory2: memory, ..Request::new(Code::Write) },
            Request { full: true, ..Request::new(Code::Nop) },
            Request { dir2: true, ..Request::new(Code::Unlinkat) },
            Request { offset: 1, memory, ..Request::new(Code::Renameat) },
            Request { link: true, ..Request::new(Code::Nop) },
        ] {
            // SAFETY: refused, or it uses no memory but the byte.
            let accepted = unsafe { ctx.submit(&[request]) };
            assert_eq!(accepted, Err(Errno(libc::EINVAL)), "{request:?}");
        }
    });
}

#[test]
fn a_full_context_accepts_what_fits_and_keeps_completions() {
    on_each(|ctx| {
        let nothing = [Request::new(Code::Nop); 12];
        // SAFETY: they use no memory.
        let (accepted, completions) = unsafe { ctx.submit_poll(&nothing, &mut []) };
        assert_eq!((accepted, completions.len()), (Ok(8), 0));
        // SAFETY: as above.
        assert_eq!(unsafe { ctx.submit(&nothing) }, Err(Errno(libc::EAGAIN)));
        let mut events = room::<3>();
        let mut taken = 0;
        while taken < 8 {
            taken += ctx.wait(&mut events, 1, None).expect("completions").len();
        }
        assert_eq!(taken, 8);
        assert_eq!(ctx.wait(&mut events, 4, None), Err(Errno(libc::EINVAL)));
    });
}

#[test]
fn a_cancelled_request_completes_and_a_dropped_context_waits_for_none_on_a_pipe() {
    on_each(|ctx| {
        let (read, _write) = std::io::pipe().expect("a pipe");
        let mut byte = 0u8;
        let waiting = Request {
            user_data: 5,
            fd: read.as_raw_fd(),
            memory: (&raw mut byte).cast(),
            len: 1,
            offset: caio::raw::CURRENT,
            ..Request::new(Code::Read)
        };
        // SAFETY: the byte stays in place until the context is dropped below.
        assert_eq!(unsafe { ctx.submit(&[waiting, waiting]) }, Ok(2));
        assert_eq!(ctx.cancel(6), Err(Errno(libc::ENOENT)));
        assert_eq!(ctx.cancel_fd(read.as_raw_fd()), Ok(2));
        let mut events = room::<1>();
        let completions = ctx.wait(&mut events, 1, None).expect("a completion");
        assert_eq!(completions, [Completion { user_data: 5, result: -i64::from(libc::ECANCELED) }]);
        // SAFETY: as above.
        assert_eq!(unsafe { ctx.submit(&[waiting]) }, Ok(1));
        let started = Instant::now();
        drop(ctx);
        assert!(started.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn wake_and_a_timeout_end_a_wait() {
    on_each(|ctx| {
        let mut events = room::<1>();
        let started = Instant::now();
        assert_eq!(ctx.wait(&mut events, 1, Some(Duration::from_millis(20))).map(|events| events.len()), Ok(0));
        assert!(started.elapsed() >= Duration::from_millis(20));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                ctx.wake().expect("woken");
            });
            let mut events = room::<1>();
            assert_eq!(ctx.wait(&mut events, 1, None).map(|events| events.len()), Ok(0));
        });
    });
}

#[test]
fn errors_have_the_texts_of_the_system() {
    assert_eq!(Errno(libc::ENOENT).text(), "No such file or directory");
    let too_many = Options { max_requests: u32::MAX, ..Options::default() };
    assert_eq!(Context::new(too_many).err(), Some(Errno(libc::EINVAL)));
    let ctx = Context::new(Options::default()).expect("a context");
    assert_eq!(ctx.event_handle(), Err(Errno(libc::ENOSYS)));
    assert_eq!(ctx.supports(Code::Read), Ok(true));
}
