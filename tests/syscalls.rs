//! Counts system calls with strace: a batch costs one submission call, and waiting costs none.

#![cfg(target_os = "linux")]

#[macro_use]
mod support;

use std::collections::BTreeMap;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;

use caio::capi::{caio_ctx_submit, caio_ctx_submit_poll};
use support::files::{Dir, Folder, pattern};
use support::*;

const BATCH: usize = 64;

/// The child marks its trace: it writes a word to a descriptor that is not open.
fn mark(word: &str) {
    // SAFETY: a live string; the descriptor is refused.
    unsafe { libc::write(-1, word.as_ptr().cast(), word.len()) };
}

/// A system call in the trace: its name, the rest of its line, its thread, and whether that is the marking one.
struct Call {
    thread: String,
    name: String,
    rest: String,
    ours: bool,
}

/// Runs `body` in its own process under strace. Returns the calls between each mark and the mark "end".
fn traced(body: impl FnOnce()) -> Option<BTreeMap<String, Vec<Call>>> {
    traced_with(&[], body)
}

/// The same, and preadv2(2) always finds a cold page. It starts a read of the disk, so that it may find what it has read, if the
/// thread is preempted meanwhile.
fn traced_cold(body: impl FnOnce()) -> Option<BTreeMap<String, Vec<Call>>> {
    traced_with(&["-e", "inject=preadv2:error=EAGAIN"], body)
}

fn traced_with(options: &[&str], body: impl FnOnce()) -> Option<BTreeMap<String, Vec<Call>>> {
    if process::is_child() {
        body();
        return None;
    }
    let can_trace = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    if !can_trace.is_ok_and(|output| output.status.success()) {
        skipped("counting system calls needs strace (and the permission to trace)");
        return None;
    }
    let dir = Folder::Default.make();
    let name = std::thread::current().name().expect("a test's thread has its name").to_owned();
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-s", "64", "-o"]).arg(dir.join("trace")).args(options);
    command.arg(std::env::current_exe().expect("this program"));
    command.args(["--exact", &name, "--nocapture", "--test-threads=1"]).env("CAIO_TEST_CHILD", "1");
    let output = command.output().expect("strace");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{name}: {}\n{said}", output.status);
    Some(sections(&dir.join("trace")))
}

fn sections(trace: &Path) -> BTreeMap<String, Vec<Call>> {
    let text = String::from_utf8_lossy(&std::fs::read(trace).expect("the trace")).into_owned();
    let mut sections = BTreeMap::new();
    let mut open: Option<(String, String, Vec<Call>)> = None;
    for line in text.lines() {
        let (thread, call) = line.split_once(' ').expect("a thread's number first");
        let call = call.trim_start();
        match call.strip_prefix("write(-1, \"").and_then(|rest| rest.split('"').next()) {
            Some("end") => {
                let (name, _, calls) = open.take().expect("a mark before the end");
                sections.insert(name, calls);
            }
            Some(name) => open = Some((name.to_owned(), thread.to_owned(), Vec::new())),
            None => {
                let Some((_, marking, calls)) = &mut open else { continue };
                let Some((name, rest)) = call.split_once('(') else { continue };
                if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                    // A read past the end of every file tests what the descriptor supports.
                    let name = if rest.contains("], 1, 9223372036854775806") { "check" } else { name };
                    calls.push(Call {
                        thread: thread.into(),
                        name: name.into(),
                        rest: rest.into(),
                        ours: thread == *marking,
                    });
                }
            }
        }
    }
    sections
}

fn ours<'a>(calls: &'a [Call], name: &str) -> Vec<&'a str> {
    calls.iter().filter(|call| call.ours && call.name == name).map(|call| call.rest.as_str()).collect()
}

fn touches_eventfd(call: &Call) -> bool {
    ["read", "write"].contains(&call.name.as_str()) && call.rest.contains("eventfd")
}

fn shown(calls: &[Call]) -> String {
    let line = |call: &Call| {
        let rest: String = call.rest.chars().take(100).collect();
        format!("{}{}({rest}\n", if call.ours { "" } else { "  other thread: " }, call.name)
    };
    calls.iter().map(line).collect()
}

/// Two cold files, opened with these flags, and alternating reads of both.
fn cold_reads(dir: &Dir, memory: &sys::Map, flags: i32) -> ([std::fs::File; 2], Vec<caio_op>) {
    let files = ["one", "two"].map(|name| {
        dir.cold(name, BATCH * sys::PAGE);
        std::fs::File::from(sys::open(&dir.c(name), libc::O_RDONLY | flags))
    });
    let read = |at: usize| {
        let to = op(CAIO_OP_READ, files[at % 2].as_raw_fd()).buf(memory.address(at * sys::PAGE));
        to.len(sys::PAGE as u64).at((at * sys::PAGE) as u64).tag(at as u64)
    };
    let reads = (0..BATCH).map(read).collect();
    (files, reads)
}

/// A batch of cold reads, three times on one context. The library is warm for the later ones.
fn submit_cold_batches(backend: u32, flags: u32, open_flags: i32) {
    let dir = Folder::Disk.make();
    let memory = sys::Map::new(BATCH * sys::PAGE);
    let (files, reads) = cold_reads(&dir, &memory, open_flags);
    let ctx = Ctx::new(&caio_options { flags, ..options(backend) });
    for round in ["first", "second", "third"] {
        files.iter().for_each(|file| dir.cool(file));
        mark(round);
        // SAFETY: a live context, and as many operations as said.
        let accepted = unsafe { caio_ctx_submit(ctx.raw(), reads.as_ptr(), BATCH as u32) };
        mark("end");
        assert_eq!(accepted, BATCH as i32);
        let events = ctx.collect(BATCH);
        assert!(events.iter().all(|event| event.result == sys::PAGE as i64), "{events:?}");
        assert_eq!(memory.bytes()[..], pattern(BATCH * sys::PAGE)[..]);
    }
}

/// The kind of a batch of reads, and its allowed system calls.
#[derive(Clone, Copy)]
struct Price {
    backend: u32,
    flags: u32,
    open_flags: i32,
    /// The system call that a batch makes once.
    call: &'static str,
    /// The largest number of inline attempts.
    looks: usize,
    /// Only the first batch counts. Later ones may use a faster path.
    once: bool,
    /// What is asked about each descriptor: what it is, and for buffered reads, whether it is O_DIRECT.
    questions: usize,
}

const URING: Price = Price {
    backend: CAIO_BACKEND_URING,
    flags: 0,
    open_flags: 0,
    call: "io_uring_enter",
    looks: 0,
    once: false,
    questions: 1,
};
const LINUX: Price = Price { backend: CAIO_BACKEND_LINUX, call: "io_submit", ..URING };

/// Besides that call, one check for each of the two descriptors, and the inline attempts.
fn costs_one(price: Price) {
    if !available(price.backend) || !Folder::Disk.available() {
        return;
    }
    let Some(sections) = traced_cold(|| submit_cold_batches(price.backend, price.flags, price.open_flags)) else {
        return;
    };
    for round in ["first", "second", "third"] {
        let calls = &sections[round];
        let submissions = ours(calls, price.call).len();
        let fewer = price.once && round != "first" && submissions == 0;
        assert!(submissions == 1 || fewer, "{round} batch:\n{}", shown(calls));
        assert!(ours(calls, "preadv2").len() <= price.looks, "{round} batch:\n{}", shown(calls));
        // Does not count the first start of a thread, nor memory that the library keeps.
        if round != "first" {
            // Reads that were cached have completed, so the descriptor is signalled once.
            let told = calls.iter().filter(|made| made.ours && touches_eventfd(made)).count();
            assert!(told <= price.looks.min(1), "{round} batch:\n{}", shown(calls));
            // Waking a worker thread is not a check of a descriptor.
            let known = [price.call, "preadv2", "futex"];
            let others = calls.iter().filter(|made| made.ours && !known.contains(&made.name.as_str()));
            let most = 2 * price.questions + told;
            assert!(others.count() <= most, "{round} batch: two descriptors, each asked once\n{}", shown(calls));
        }
    }
}

#[test]
fn reads_cost_one_io_uring_enter() {
    costs_one(Price { flags: CAIO_CTX_NO_INLINE, ..URING });
}

#[test]
fn reads_that_are_not_cached_cost_one_io_uring_enter() {
    costs_one(Price { looks: BATCH, questions: 2, ..URING });
}

#[test]
fn direct_reads_cost_one_io_uring_enter() {
    costs_one(Price { open_flags: libc::O_DIRECT, ..URING });
}

#[test]
fn direct_reads_cost_one_io_submit() {
    costs_one(Price { open_flags: libc::O_DIRECT, flags: CAIO_CTX_NO_INLINE, ..LINUX });
}

/// Kernel AIO returns -EAGAIN for buffered reads that would block. Worker threads make them.
#[test]
fn reads_cost_one_io_submit_at_most() {
    costs_one(Price { flags: CAIO_CTX_NO_INLINE, once: true, questions: 2, ..LINUX });
}

fn submit_cached_batches(backend: u32) {
    let dir = Folder::Disk.make();
    let memory = sys::Map::new(BATCH * sys::PAGE);
    let (_files, reads) = cold_reads(&dir, &memory, 0);
    let mut events = [const { caio_event { user_data: 0, result: 0 } }; BATCH];
    let ctx = Ctx::on(backend);
    assert!(ctx.run(&reads).iter().all(|result| *result == sys::PAGE as i64), "now they are cached");
    // The library may need some batches to notice that the file is now cached.
    for round in ["", "", "", "", "", "", "", "first", "second", "third"] {
        let mut polled = 0;
        mark(round);
        // SAFETY: a live context, as many operations and events as said.
        unsafe {
            caio_ctx_submit_poll(
                ctx.raw(),
                reads.as_ptr(),
                BATCH as u32,
                events.as_mut_ptr(),
                BATCH as u32,
                &mut polled,
            )
        };
        mark("end");
        ctx.collect(BATCH - polled as usize);
        assert!(polled as usize == BATCH || round.is_empty(), "{round} batch: {polled} cached reads finish at once");
        assert!(events[..polled as usize].iter().all(|event| event.result == sys::PAGE as i64));
    }
}

/// Cached reads with submit_poll: one preadv2 each, one check of each descriptor, and no call on the eventfd.
fn cached_reads_cost_one_preadv2(backend: u32) {
    if !available(backend) || !Folder::Disk.available() {
        return;
    }
    let Some(sections) = traced(|| submit_cached_batches(backend)) else { return };
    for calls in ["first", "second", "third"].map(|round| &sections[round]) {
        assert_eq!(ours(calls, "preadv2").len(), BATCH, "{}", shown(calls));
        let made = calls.iter().filter(|call| call.ours).count();
        assert!(made <= BATCH + 2, "two descriptors, each asked once:\n{}", shown(calls));
        assert!(!calls.iter().any(touches_eventfd), "{}", shown(calls));
    }
}

#[test]
fn cached_reads_on_uring() {
    cached_reads_cost_one_preadv2(CAIO_BACKEND_URING);
}

#[test]
fn cached_reads_on_linux() {
    cached_reads_cost_one_preadv2(CAIO_BACKEND_LINUX);
}

#[test]
fn cached_reads_on_threads() {
    cached_reads_cost_one_preadv2(CAIO_BACKEND_THREAD);
}

/// Reads a file by a chain, whose open and statx the kernel has in its caches, and whose read not.
fn cold_chains(backend: u32) {
    let dir = Folder::Disk.make();
    let (file, path) = (dir.cold("file", sys::PAGE), dir.c("file"));
    let (mut stat, memory) = (sys::statx_room(), sys::Map::new(2 * sys::PAGE));
    let opened = |opcode| op(opcode, CAIO_FD_OPENED);
    let mut steps = |pages: usize| {
        ops::chain(&[
            ops::openat(libc::AT_FDCWD, &path, libc::O_RDONLY | libc::O_CLOEXEC, 0),
            opened(CAIO_OP_STATX).buf(c"".as_ptr()).sys(libc::AT_EMPTY_PATH.into()).buf2(&raw mut stat),
            opened(CAIO_OP_READ).buf(memory.start()).len((pages * sys::PAGE) as u64),
            opened(CAIO_OP_CLOSE),
        ])
    };
    let ctx = Ctx::on(backend);
    // Of the file's one page. The read of two is short, which breaks the chain, but the CLOSE runs.
    for (round, pages) in [("", 1), ("", 2), ("first", 1), ("second", 2), ("third", 2)] {
        dir.cool(&file);
        let steps = steps(pages);
        mark(round);
        let (accepted, mut events) = ctx.submit_poll(&steps, 4);
        assert_eq!((accepted, events.len()), (4, 2), "the open and the statx complete inside submit");
        while events.len() < 4 {
            assert!(sys::readable(ctx.eventfd(), None));
            events.extend(ctx.poll(4));
        }
        mark("end");
        assert!(events.iter().all(|event| event.result >= 0), "{events:?}");
    }
}

/// A chain that meets something cold goes on in one worker thread, with one signal of the descriptor.
fn a_cold_chain_wakes_once(backend: u32) {
    if !available(backend) || !Folder::Disk.available() {
        return;
    }
    let Some(sections) = traced_cold(|| cold_chains(backend)) else { return };
    for calls in ["first", "second", "third"].map(|round| &sections[round]) {
        let of = |name: &'static str| calls.iter().filter(move |call| !call.ours && call.name == name);
        let signals = calls.iter().filter(|call| call.name == "write" && touches_eventfd(call)).count();
        assert_eq!(signals, 1, "{}", shown(calls));
        let work: Vec<&Call> = of("pread64").chain(of("close")).collect();
        assert_eq!(work.len(), 2, "{}", shown(calls));
        assert_eq!(work[0].thread, work[1].thread, "{}", shown(calls));
    }
}

#[test]
fn a_cold_chain_wakes_once_on_uring() {
    a_cold_chain_wakes_once(CAIO_BACKEND_URING);
}

#[test]
fn a_cold_chain_wakes_once_on_linux() {
    a_cold_chain_wakes_once(CAIO_BACKEND_LINUX);
}

#[test]
fn a_cold_chain_wakes_once_on_threads() {
    a_cold_chain_wakes_once(CAIO_BACKEND_THREAD);
}

/// Where opens cannot complete inside submit, it tries that less and less often.
#[test]
fn opens_are_not_tried_where_that_does_not_pay() {
    const OPENS: usize = 256;
    let opens = || {
        let ctx = Ctx::on(CAIO_BACKEND_THREAD);
        for round in ["early", "", "late"] {
            mark(round);
            for _ in 0..OPENS {
                drop(sys::owned(ctx.one(ops::openat(libc::AT_FDCWD, c"/proc/self/stat", libc::O_RDONLY, 0))));
            }
            mark("end");
        }
    };
    let Some(sections) = traced(opens) else { return };
    let tried = |round| ours(&sections[round], "openat2").len();
    assert!((1..OPENS / 8).contains(&tried("early")), "{}", tried("early"));
    assert!(tried("late") <= 2, "{}", tried("late"));
}

/// A file that a worker thread opens for itself would leak into a child that another thread forks meanwhile.
#[test]
fn worker_threads_open_nothing_for_themselves() {
    let backends = backends();
    let work = || {
        let dir = Folder::Default.make();
        let file = sys::open(&dir.c("file"), libc::O_RDWR | libc::O_CREAT);
        let mut byte = [0];
        for backend in &backends {
            let ctx = Ctx::on(*backend);
            mark(backend_name(*backend));
            assert_eq!(ctx.one(ops::write(file.as_raw_fd(), b"x", 0)), 1);
            assert_eq!(ctx.one(ops::fsync(file.as_raw_fd())), 0);
            assert_eq!(ctx.one(ops::read(file.as_raw_fd(), &mut byte, 0)), 1);
            drop(ctx);
            mark("end");
        }
    };
    let Some(sections) = traced_cold(work) else { return };
    for calls in backends.iter().map(|backend| &sections[backend_name(*backend)]) {
        assert!(!calls.is_empty() && !calls.iter().any(|call| call.name.starts_with("open")), "{}", shown(calls));
    }
}

/// The sleep of the test, which the tracer may interrupt.
const SLEEP: [&str; 3] = ["nanosleep", "clock_nanosleep", "restart_syscall"];

fn idle(case_backends: &[u32]) {
    let (reader, _writer) = sys::pipe();
    let mut bytes = [[0u8; 1]; 3];
    let contexts: Vec<Ctx> = case_backends.iter().map(|backend| Ctx::on(*backend)).collect();
    let rest = || {
        // SAFETY: sleeps. One call, seen in the trace.
        unsafe { libc::usleep(1_500_000) };
        mark("end");
    };
    // Threads and reads reach the calls in which they wait. If that takes longer, the test fails.
    let settle = || std::thread::sleep(Duration::from_secs(1));
    mark("new");
    rest();
    for ctx in &contexts {
        assert_eq!(ctx.one(ops::fsync(-1)), -i64::from(libc::EBADF));
        assert_eq!(ctx.one(ops::nop()), 0);
    }
    settle();
    mark("used");
    rest();
    for (ctx, byte) in contexts.iter().zip(&mut bytes) {
        ctx.accept(&[ops::read(reader.as_raw_fd(), byte, CAIO_OFFSET_CURRENT)]);
    }
    settle();
    mark("waiting");
    rest();
    drop(contexts);
}

/// Contexts that are new, idle, or waiting for a pipe make no system call.
#[test]
fn idle_contexts_make_no_calls() {
    let backends = backends();
    let Some(sections) = traced(|| idle(&backends)) else { return };
    for (section, most) in [("new", 0), ("used", 8 * backends.len()), ("waiting", 8 * backends.len())] {
        let calls = &sections[section];
        let woken = calls.iter().filter(|call| !SLEEP.contains(&call.name.as_str())).count();
        // An idle worker thread may have exited.
        assert!(woken <= most, "{section}:\n{}", shown(calls));
    }
}

/// A wait for a completion that does not arrive is one sleep.
#[test]
fn a_wait_sleeps_once() {
    let backends = backends();
    let wait = || {
        for backend in &backends {
            let ctx = Ctx::on(*backend);
            mark(backend_name(*backend));
            assert_eq!(ctx.wait(1, 1, 300_000_000), Ok(vec![]));
            mark("end");
        }
    };
    let Some(sections) = traced(wait) else { return };
    for backend in &backends {
        let calls = &sections[backend_name(*backend)];
        assert!(calls.len() <= 8, "{}", shown(calls));
    }
}

/// Checks that the trace shows the calls that the other tests count.
#[test]
fn the_trace_is_read_right() {
    let Some(sections) = traced(|| {
        let case = sys::eventfd(0);
        mark("known");
        sys::write_all(&case, &1u64.to_ne_bytes());
        assert!(sys::readable(case.as_raw_fd(), None));
        mark("end");
    }) else {
        return;
    };
    let calls = &sections["known"];
    assert_eq!(ours(calls, "write").len(), 1, "{}", shown(calls));
    assert!(touches_eventfd(&calls[0]), "{}", shown(calls));
    assert_eq!(calls.len(), 2, "{}", shown(calls));
}
