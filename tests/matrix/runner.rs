//! Cells in child processes: each has a time limit, and one that fails takes no other with it.

use crate::kinds::{KINDS, Kind};
use crate::support::case::{Case, Variant};
use crate::support::files::Folder;
use crate::support::*;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

pub type Property = fn(&Case, &'static Kind, &mut Cells);

/// Most cells sleep: more processes than cores keep them busy.
const WIDTH: usize = 12;
const LOOK: Duration = Duration::from_millis(2);

fn limit() -> Duration {
    let set = std::env::var("CAIO_MATRIX_LIMIT_MS").ok().and_then(|text| text.parse().ok());
    set.map_or(PATIENCE, Duration::from_millis)
}

/// What a child says of itself while it runs, in memory that it shares with its parent.
#[repr(C)]
struct Page {
    /// The cell that runs.
    at: AtomicUsize,
    text_len: AtomicUsize,
    text: [u8; 2048],
}

static PAGE: AtomicPtr<Page> = AtomicPtr::new(std::ptr::null_mut());

struct Shared(*mut Page);

impl Shared {
    fn new() -> Self {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, wherever the kernel likes; zeroes are a Page.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), size_of::<Page>(), protection, flags, -1, 0) };
        assert_ne!(page, libc::MAP_FAILED, "mmap: {}", sys::errno());
        Self(page.cast())
    }

    fn page(&self) -> &Page {
        // SAFETY: mapped until dropped.
        unsafe { &*self.0 }
    }

    /// `cell`, and what it was doing.
    fn text(&self) -> String {
        let len = self.page().text_len.load(Ordering::Acquire);
        String::from_utf8_lossy(&self.page().text[..len]).into_owned()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: made by mmap in `new`.
        unsafe { libc::munmap(self.0.cast(), size_of::<Page>()) };
    }
}

fn say(text: &str) {
    let page = PAGE.load(Ordering::Relaxed);
    if page.is_null() {
        return;
    }
    let bytes = &text.as_bytes()[..text.len().min(2048)];
    // SAFETY: this process's shared page; its parent reads the text once this process is gone or hangs.
    unsafe {
        (*page).text_len.store(0, Ordering::Release);
        (&raw mut (*page).text).cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        (*page).text_len.store(bytes.len(), Ordering::Release);
    }
}

/// The cells of one kind in one mode, in order. Those before `from` have had their turn in an earlier process.
pub struct Cells {
    from: usize,
    next: usize,
    name: String,
}

impl Cells {
    /// Runs one cell, which panics if the property does not hold.
    pub fn cell(&mut self, name: &str, body: impl FnOnce(&Self)) {
        let at = self.next;
        self.next += 1;
        if at < self.from {
            return;
        }
        self.name = name.to_owned();
        self.doing("");
        // SAFETY: set by `child` before the first cell.
        unsafe { (*PAGE.load(Ordering::Relaxed)).at.store(at + 1, Ordering::Release) };
        body(self);
    }

    /// What a report says if the cell hangs from here on.
    pub fn doing(&self, what: &str) {
        say(&format!("{}\t{what}", self.name));
    }
}

/// Runs a property on one backend: every kind, in every variant.
pub fn run(backend: u32, property: Property) {
    if !available(backend) {
        return;
    }
    process::alone(|| Pool::new(backend, property).run());
}

struct Job {
    kind: &'static Kind,
    variant: Variant,
    /// The cell to go on with.
    from: usize,
    /// It has failed once.
    again: bool,
}

struct Running {
    job: Job,
    _case: Case,
    child: process::Forked,
    shared: Shared,
    messages: File,
    /// The time that is left to the cell, and the cell that it is for.
    left: Duration,
    at: usize,
    machine: Option<File>,
}

/// Kind, cell and message of a failure, and the variants that have it.
type Failures = BTreeMap<(&'static str, String, String), Vec<Variant>>;

struct Pool {
    backend: u32,
    property: Property,
    waiting: Vec<Job>,
    running: Vec<Running>,
    failures: Failures,
    cells: usize,
}

impl Pool {
    fn new(backend: u32, property: Property) -> Self {
        let part = std::env::var("CAIO_MATRIX_KIND").unwrap_or_default();
        let mut waiting = Vec::new();
        for variant in [Variant::Sqpoll, Variant::SingleThread, Variant::NoInline, Variant::Default] {
            if variant == Variant::Sqpoll && backend != CAIO_BACKEND_URING {
                continue;
            }
            if variant != Variant::Default && std::env::var_os("CAIO_MATRIX_QUICK").is_some() {
                continue;
            }
            let kinds = KINDS.iter().filter(|kind| kind.name.contains(&part));
            waiting.extend(kinds.map(|kind| Job { kind, variant, from: 0, again: false }));
        }
        // Those that run one at a time come first (from the end), so that no one waits for them at last.
        waiting.sort_by_key(|job| job.kind.machine_wide);
        Self { backend, property, waiting, running: Vec::new(), failures: BTreeMap::new(), cells: 0 }
    }

    fn run(mut self) {
        while !self.waiting.is_empty() || !self.running.is_empty() {
            self.start();
            let start = Instant::now();
            std::thread::sleep(LOOK);
            // Longer if this process was stopped, which takes nothing from the cells' time.
            self.look(start.elapsed().min(LOOK * 10));
        }
        assert!(self.cells > 0, "no cell ran");
        if !self.failures.is_empty() {
            panic!("{}", self.report());
        }
    }

    fn start(&mut self) {
        let mut next = self.waiting.len();
        while self.running.len() < WIDTH && next > 0 {
            next -= 1;
            let alone = self.waiting[next].kind.machine_wide;
            let busy = self.running.iter().any(|one| one.machine.is_some());
            let machine = if alone && !busy { machine() } else { None };
            if alone && machine.is_none() {
                continue;
            }
            let job = self.waiting.remove(next);
            self.running.push(child(self.backend, self.property, job, machine));
        }
    }

    fn look(&mut self, passed: Duration) {
        for mut one in std::mem::take(&mut self.running) {
            let at = one.shared.page().at.load(Ordering::Acquire);
            if at != one.at {
                (one.at, one.left) = (at, limit());
            }
            one.left = one.left.saturating_sub(passed);
            match ended(&one.child, one.left.is_zero()) {
                None => self.running.push(one),
                Some(how) => self.judge(one, how),
            }
        }
    }

    fn judge(&mut self, mut one: Running, how: End) {
        let mut message = String::new();
        let _ = one.messages.read_to_string(&mut message);
        if let Some(reason) = message.strip_prefix("skip ") {
            return skipped(&format!("the matrix's kind `{}` needs {reason}", one.job.kind.name));
        }
        if let End::Code(0) = how {
            self.cells += message.parse::<usize>().expect("the number of cells");
            return;
        }
        let (text, at) = (one.shared.text(), one.shared.page().at.load(Ordering::Acquire));
        let (cell, doing) = text.split_once('\t').unwrap_or((&text, ""));
        let message = match how {
            End::Hung => format!("hangs: {doing}"),
            End::Code(code) if message.is_empty() => format!("ended with {code}: {doing}"),
            End::Code(_) => message,
        };
        // What the whole machine has once may be disturbed by others.
        if one.job.kind.machine_wide && !(one.job.again && at == one.job.from + 1) && at > one.job.from {
            return self.waiting.push(Job { from: at - 1, again: true, ..one.job });
        }
        if let Some(log) = std::env::var_os("CAIO_MATRIX_LOG") {
            let (kind, backend) = (one.job.kind.name, backend_name(self.backend));
            let line = format!("FAIL | {kind} | {cell} | {backend} [{:?}] | {message}\n", one.job.variant);
            let mut log = File::options().create(true).append(true).open(log).expect("the log");
            log.write_all(line.as_bytes()).expect("the log");
        }
        let failure = (one.job.kind.name, cell.to_owned(), message);
        self.failures.entry(failure).or_default().push(one.job.variant);
        self.cells += 1;
        if at > one.job.from {
            self.waiting.push(Job { from: at, again: false, ..one.job });
        }
    }

    fn report(&self) -> String {
        let backend = backend_name(self.backend);
        let mut report = format!("{} cells fail on backend {backend}:\n", self.failures.len());
        for ((kind, cell, message), variants) in &self.failures {
            report += &format!("FAIL | {kind} | {cell} | {backend} {variants:?} | {message}\n");
        }
        report
    }
}

/// The right to change what the whole machine shares, until the file is closed; None if another process has it.
/// A POSIX lock: the children have no part in it.
fn machine() -> Option<File> {
    // SAFETY: no memory involved.
    let user = unsafe { libc::getuid() };
    let path = std::env::temp_dir().join(format!("caio-matrix-{user}.lock"));
    let file = File::options().create(true).truncate(false).write(true).open(path).expect("a lock file");
    // SAFETY: a struct of integers.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as i16;
    // SAFETY: a live struct.
    let taken = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &lock) } == 0;
    taken.then_some(file)
}

enum End {
    /// As [`process::Forked::code`] has it.
    Code(i32),
    Hung,
}

fn ended(child: &process::Forked, too_long: bool) -> Option<End> {
    let mut status = 0;
    if too_long {
        // SAFETY: a live int, and a child of this process.
        unsafe { libc::kill(child.pid, libc::SIGKILL) };
        // One that even this does not end stays behind.
        let mut looks = 0..100;
        // SAFETY: as above.
        while unsafe { libc::waitpid(child.pid, &mut status, libc::WNOHANG) } == 0 && looks.next().is_some() {
            std::thread::sleep(LOOK * 10);
        }
        return Some(End::Hung);
    }
    // SAFETY: as above.
    if unsafe { libc::waitpid(child.pid, &mut status, libc::WNOHANG) } == 0 {
        return None;
    }
    Some(End::Code(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 1000 + libc::WTERMSIG(status) }))
}

fn child(backend: u32, property: Property, job: Job, machine: Option<File>) -> Running {
    let case = Case { backend, variant: job.variant, folder: Folder::Default, dir: Folder::Default.make() };
    let shared = Shared::new();
    let (messages, says) = sys::pipe();
    // A report may be longer than the pipe: the parent reads it at the end.
    sys::set_pipe_size(&says, 1 << 16);
    let child = process::fork(|| {
        PAGE.store(shared.0, Ordering::Relaxed);
        let says = File::from(says.try_clone().expect("a copy"));
        let says_why = says.as_raw_fd();
        std::panic::set_hook(Box::new(move |info| {
            let payload = info.payload();
            let formatted = payload.downcast_ref::<String>().map(String::as_str);
            let why = formatted.or(payload.downcast_ref::<&str>().copied()).unwrap_or("a panic").replace('\n', " ");
            let place = info.location().map(|at| format!(" ({}:{})", at.file(), at.line())).unwrap_or_default();
            let message = why + &place;
            // SAFETY: live bytes; then this process ends without a look at anything else.
            unsafe {
                libc::write(says_why, message.as_ptr().cast(), message.len().min(60_000));
                libc::_exit(101);
            }
        }));
        let mut cells = Cells { from: job.from, next: 0, name: "making it".into() };
        cells.doing("");
        tell(says, property, &case, &mut cells, job.kind);
        0
    });
    let (at, left) = (job.from, limit());
    Running { job, _case: case, child, shared, messages: messages.into(), left, at, machine }
}

fn tell(mut says: File, property: Property, case: &Case, cells: &mut Cells, kind: &'static Kind) {
    let text = match kind.make(&case.dir) {
        Err(reason) => format!("skip {reason}"),
        Ok(ends) => {
            drop(ends);
            property(case, kind, cells);
            cells.next.saturating_sub(cells.from).to_string()
        }
    };
    says.write_all(text.as_bytes()).expect("the parent's pipe");
}
