//! Tests that change what a whole process shares (limits, signals, descriptors) run in one of their own.

use super::*;
use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::process::{Command, Stdio};

const CHILD: &str = "CAIO_TEST_CHILD";

/// Are we in the process that [`alone`] started?
pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs `body` in a fresh process of this test binary, which runs nothing but the test that calls it.
pub fn alone(body: impl FnOnce()) {
    alone_with(Vec::new, body);
}

/// The same, with these environment variables.
pub fn alone_with(variables: impl FnOnce() -> Vec<(&'static str, OsString)>, body: impl FnOnce()) {
    if is_child() {
        return body();
    }
    let name = std::thread::current().name().expect("a test's thread has its name").to_owned();
    let arguments = ["--exact", &name, "--nocapture", "--test-threads=1"];
    let mut command = this_program();
    command.args(arguments).env(CHILD, "1").envs(variables()).stdin(Stdio::null());
    let output = command.output().expect("a child process");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("1 passed") || !output.status.success(), "{name} did not run:\n{said}");
    said.lines().filter_map(|line| line.strip_prefix("skipped: ")).for_each(skipped);
    assert!(output.status.success(), "{name} in its own process: {}\n{said}", output.status);
}

/// The command that runs this test binary. `CAIO_TEST_RUNNER` is the command line of the emulator that it needs, if any.
fn this_program() -> Command {
    let program = std::env::current_exe().expect("this program");
    let runner = std::env::var("CAIO_TEST_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace();
    let Some(emulator) = words.next() else { return Command::new(program) };
    let mut command = Command::new(emulator);
    command.args(words).arg(program);
    command
}

/// fork(2). The child runs `child` and exits with its result, or with 101 after a panic. It dies with the thread of its parent.
pub fn fork(child: impl FnOnce() -> i32) -> Forked {
    // SAFETY: the child leaves through _exit.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", sys::errno());
    if pid == 0 {
        // SAFETY: no memory involved.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(101);
        // SAFETY: never returns.
        unsafe { libc::_exit(code) };
    }
    Forked { pid }
}

/// A forked child.
pub struct Forked {
    pub pid: i32,
}

impl Forked {
    /// Waits until it ends. Returns its exit code, or 1000 plus the signal that killed it.
    pub fn code(self) -> i32 {
        let mut status = 0;
        // SAFETY: a live int.
        assert_eq!(unsafe { libc::waitpid(self.pid, &mut status, 0) }, self.pid, "waitpid: {}", sys::errno());
        if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 1000 + libc::WTERMSIG(status) }
    }
}

/// Waits until a thread of this process or another sleeps in a system call.
pub fn await_asleep(process: u32, thread: i32) {
    let path = format!("/proc/{process}/task/{thread}/stat");
    until("the thread sleeps", || std::fs::read_to_string(&path).is_ok_and(|stat| stat.contains(") S ")));
}

/// Waits for a thread of this process with this name.
pub fn await_thread(name: &str) -> i32 {
    let mut found = None;
    until("there is such a thread", || {
        let threads = std::fs::read_dir("/proc/self/task").expect("/proc/self/task").filter_map(|entry| entry.ok());
        let mut named = threads.filter(|thread| {
            std::fs::read_to_string(thread.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name)
        });
        found = named.next().and_then(|thread| thread.file_name().to_str()?.parse().ok());
        found.is_some()
    });
    found.expect("found")
}

/// A thread of this process that is stopped until drop: a child traces it.
pub struct Held {
    child: Option<Forked>,
    release: Option<OwnedFd>,
}

impl Held {
    pub fn thread(thread: i32) -> Self {
        let ((held, says_held), (released, release)) = (sys::pipe(), sys::pipe());
        // SAFETY: no memory involved. Allows a child to trace its parent.
        unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY) };
        let child = fork(|| {
            let mut byte = 0u8;
            // SAFETY: the child's copies of the descriptors, live memory, and a thread of its parent.
            unsafe {
                libc::close(release.as_raw_fd());
                let stops = libc::ptrace(libc::PTRACE_SEIZE, thread, 0, 0) == 0
                    && libc::ptrace(libc::PTRACE_INTERRUPT, thread, 0, 0) == 0
                    && libc::waitpid(thread, std::ptr::null_mut(), libc::__WALL) == thread;
                libc::write(says_held.as_raw_fd(), [u8::from(stops)].as_ptr().cast(), 1);
                libc::read(released.as_raw_fd(), (&raw mut byte).cast(), 1);
            }
            0
        });
        let mut stops = [0];
        sys::read_all(&held, &mut stops);
        assert_eq!(stops, [1], "the thread can be traced");
        Self { child: Some(child), release: Some(release) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.release.take());
        assert_eq!(self.child.take().map(Forked::code), Some(0));
    }
}

/// The thread id of the calling thread.
pub fn this_thread() -> i32 {
    // SAFETY: no memory involved.
    unsafe { libc::gettid() }
}

/// The number of threads of this process.
pub fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("/proc/self/task").count()
}

/// The open descriptors of this process.
pub fn descriptors() -> Vec<RawFd> {
    // A thread whose first malloc(3) makes glibc count the processors has this file open meanwhile.
    const PROCESSORS: &str = "/sys/devices/system/cpu/online";
    let entries = std::fs::read_dir("/proc/self/fd").expect("/proc/self/fd");
    let numbers: Vec<RawFd> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    // The list contains the descriptor of the directory, which is closed now.
    let file = |fd: &RawFd| std::fs::read_link(format!("/proc/self/fd/{fd}"));
    let mut open: Vec<RawFd> =
        numbers.into_iter().filter(|fd| file(fd).is_ok_and(|file| file.as_os_str() != PROCESSORS)).collect();
    open.sort_unstable();
    open
}

fn flags(fd: RawFd) -> i32 {
    // SAFETY: no memory involved.
    unsafe { libc::fcntl(fd, libc::F_GETFD) }
}

pub fn is_open(fd: RawFd) -> bool {
    flags(fd) >= 0
}

pub fn is_close_on_exec(fd: RawFd) -> bool {
    flags(fd) >= 0 && flags(fd) & libc::FD_CLOEXEC != 0
}

/// Resident memory of this process, in bytes.
pub fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").expect("/proc/self/smaps_rollup");
    let line = text.lines().find(|line| line.starts_with("Rss:")).expect("Rss");
    line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<usize>().ok()).expect("a number") * 1024
}

#[cfg(target_env = "gnu")]
pub type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
pub type Resource = libc::c_int;

pub const UNLIMITED: u64 = u64::MAX;

/// Sets the soft limit of a resource. Only for a test in [`alone`].
pub fn limit(resource: Resource, soft: u64) {
    // SAFETY: a struct of integers.
    let mut limit: libc::rlimit64 = unsafe { std::mem::zeroed() };
    // SAFETY: a live struct.
    unsafe {
        assert_eq!(libc::getrlimit64(resource, &mut limit), 0);
        limit.rlim_cur = soft;
        assert_eq!(libc::setrlimit64(resource, &limit), 0, "setrlimit: {}", sys::errno());
    }
}
