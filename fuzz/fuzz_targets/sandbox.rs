//! What the operations of a fuzzed program may touch. Descriptors, paths and memory come from a closed set, so that what
//! succeeds does no harm; among them are bad ones of every kind.

use caio::capi::types::CAIO_FD_OPENED;
use std::ffi::c_void;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::ptr::null_mut;
use std::sync::{Mutex, OnceLock};

pub const PAGE: usize = 4096;
/// Memory that may be written, behind which lies nothing.
pub const MEMORY: usize = 16 * PAGE;
pub const LARGEST_FILE: u64 = 1 << 20;
/// Numbers that no open gets.
const HIGH: RawFd = 900;
const PATHS: [&[u8]; 8] = [b"a\0", b"b\0", b"folder/a\0", b"folder\0", b"\0", b"nothing/here\0", b".\0", b"fifo\0"];
const PATH_ROOM: usize = 64;

/// A folder and memory that all programs of this process use, one after the other.
pub struct Sandbox {
    pub memory: *mut u8,
    /// A page of paths, one of iovecs, and nothing behind.
    texts: *mut u8,
    originals: Vec<OwnedFd>,
    /// The FIFO, whatever a program has done with its name.
    fifo: Mutex<Option<OwnedFd>>,
}

// SAFETY: the addresses are of mappings that stay.
unsafe impl Send for Sandbox {}
// SAFETY: as above; programs run one after the other.
unsafe impl Sync for Sandbox {}

pub fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(Sandbox::new)
}

/// The folder of this process; nothing is left of it when it is gone.
fn folder() -> PathBuf {
    let root = std::env::var_os("CAIO_FUZZ_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = root.join(format!("caio-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Removes the folder; no program runs afterwards.
#[allow(dead_code)] // the fuzzer never ends by itself
pub fn remove() {
    std::fs::remove_dir_all(folder()).ok();
}

fn map(len: usize, accessible: usize) -> *mut u8 {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping, of which the first part becomes accessible.
    unsafe {
        let start = libc::mmap(null_mut(), len, libc::PROT_NONE, flags, -1, 0);
        assert_ne!(start, libc::MAP_FAILED);
        assert_eq!(libc::mprotect(start, accessible, libc::PROT_READ | libc::PROT_WRITE), 0);
        start.cast()
    }
}

impl Sandbox {
    fn new() -> Self {
        // SAFETY: signals that write(2) raises are ignored, and files stay small.
        unsafe {
            libc::signal(libc::SIGPIPE, libc::SIG_IGN);
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            let limit = libc::rlimit { rlim_cur: LARGEST_FILE, rlim_max: libc::RLIM_INFINITY };
            libc::setrlimit(libc::RLIMIT_FSIZE, &limit);
        }
        std::env::set_current_dir(folder()).expect("the folder");
        // More than one system call moves: a transfer without end stops at what is forbidden.
        let memory = map(MEMORY + (4 << 30), MEMORY);
        let texts = map(3 * PAGE, 2 * PAGE);
        for (place, path) in PATHS.iter().enumerate() {
            // SAFETY: within the first page.
            unsafe { texts.add(place * PATH_ROOM).copy_from_nonoverlapping(path.as_ptr(), path.len()) };
        }
        for place in 0..PAGE / size_of::<libc::iovec>() {
            let base = match place % 7 {
                5 => nowhere(memory),
                6 => null_mut(),
                _ => memory.wrapping_add(place * 100 % MEMORY),
            };
            let iov_len = [0, 1, 100, PAGE, 3, usize::MAX, 0][place / 2 % 7];
            let iovec = libc::iovec { iov_base: base.cast(), iov_len };
            // SAFETY: within the second page.
            unsafe { texts.add(PAGE).cast::<libc::iovec>().add(place).write(iovec) };
        }
        // SAFETY: the first two pages of the mapping.
        unsafe { libc::mprotect(texts.cast(), 2 * PAGE, libc::PROT_READ) };
        Self { memory, texts, originals: originals(), fifo: Mutex::default() }
    }

    /// Puts files and descriptors back to what they were.
    pub fn reset(&self) {
        // A program may have made anything of them.
        for name in ["a", "b", "folder", "fifo"] {
            let whole = name == "fifo" && std::fs::metadata(name).is_ok_and(|meta| meta.file_type().is_fifo());
            if !whole {
                std::fs::remove_dir_all(name).or_else(|_| std::fs::remove_file(name)).ok();
            }
        }
        std::fs::create_dir("folder").expect("a folder");
        std::fs::write("a", [b'c'; 3 * PAGE + 7]).expect("a file");
        self.make_fifo();
        for (place, original) in self.originals.iter().enumerate() {
            // SAFETY: no memory involved.
            unsafe { libc::dup3(original.as_raw_fd(), HIGH + place as RawFd, libc::O_CLOEXEC) };
        }
        self.drain();
    }

    fn make_fifo(&self) {
        // SAFETY: a live string, and a fresh descriptor.
        let fifo = unsafe {
            libc::mkfifo(c"fifo".as_ptr(), 0o600);
            OwnedFd::from_raw_fd(libc::open(c"fifo".as_ptr(), libc::O_PATH | libc::O_CLOEXEC))
        };
        *self.fifo.lock().expect("no panic") = Some(fifo);
    }

    /// Lets opens of the FIFO go on that wait for its other end.
    pub fn release_fifo(&self) {
        let fifo = self.fifo.lock().expect("no panic");
        let path = format!("/proc/self/fd/{}\0", fifo.as_ref().expect("made by reset").as_raw_fd());
        // SAFETY: a live string; a failure to open is closed in vain.
        unsafe {
            libc::close(libc::open(path.as_ptr().cast(), libc::O_RDWR | libc::O_NONBLOCK | libc::O_CLOEXEC));
        }
    }

    /// Empties the pipe and the socket, so that no byte reaches another program.
    pub fn drain(&self) {
        let mut bytes = [0; PAGE];
        for place in [DRAIN_PIPE, DRAIN_SOCKET] {
            // SAFETY: a live buffer; neither descriptor blocks.
            while unsafe { libc::read(self.originals[place].as_raw_fd(), bytes.as_mut_ptr().cast(), PAGE) } > 0 {}
        }
    }

    pub fn feed(&self, len: usize) {
        let bytes = [b'f'; 256];
        for place in [FEED_PIPE, FEED_SOCKET] {
            // SAFETY: a live buffer; neither descriptor blocks.
            unsafe { libc::write(self.originals[place].as_raw_fd(), bytes.as_ptr().cast(), len.min(bytes.len())) };
        }
    }

    pub fn fd(&self, choice: u8) -> RawFd {
        match choice as usize % (FDS + 5) {
            place if place < FDS => HIGH + place as RawFd,
            place => [-1, libc::AT_FDCWD, 950, i32::MIN, CAIO_FD_OPENED][place - FDS],
        }
    }

    /// Memory for an operation that takes a path, iovecs, or bytes.
    pub fn address(&self, kind: Kind, choice: u8) -> *mut c_void {
        let choice = usize::from(choice);
        let address = match (choice % 16, kind) {
            (0, _) => null_mut(),
            (1, _) => nowhere(self.memory),
            (2, Kind::Path) => self.texts.wrapping_add(2 * PAGE - 1),
            (_, Kind::Path) => self.texts.wrapping_add(choice % PATHS.len() * PATH_ROOM),
            (_, Kind::Iovecs) => self.texts.wrapping_add(2 * PAGE - choice * size_of::<libc::iovec>()),
            (2, Kind::Bytes) => self.memory.wrapping_add(MEMORY - 1),
            (_, Kind::Bytes) => self.memory.wrapping_add(choice * 200),
        };
        address.cast()
    }
}

#[derive(Clone, Copy)]
pub enum Kind {
    Bytes,
    Path,
    Iovecs,
}

/// Within what is forbidden: unlike the first pages of the address space, nothing of a sanitizer's is within reach.
fn nowhere(memory: *mut u8) -> *mut u8 {
    memory.wrapping_add(MEMORY + PAGE)
}

/// The first of the descriptors are what programs use; the rest feed and drain.
const FDS: usize = 9;
const FEED_PIPE: usize = FDS;
const DRAIN_PIPE: usize = FDS + 1;
const FEED_SOCKET: usize = FDS + 2;
const DRAIN_SOCKET: usize = FDS + 3;

fn originals() -> Vec<OwnedFd> {
    // SAFETY: fresh descriptors; all strings and arrays are live.
    unsafe {
        let own = |fd: RawFd| {
            assert!(fd >= 0, "{}", std::io::Error::last_os_error());
            OwnedFd::from_raw_fd(fd)
        };
        let mut pipe = [0; 2];
        let mut pair = [0; 2];
        assert_eq!(libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC), 0);
        assert_eq!(libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0, pair.as_mut_ptr()), 0);
        let again = |fd: RawFd, flags: i32| {
            let path = std::ffi::CString::new(format!("/proc/self/fd/{fd}")).expect("no NUL");
            own(libc::open(path.as_ptr(), flags | libc::O_NONBLOCK | libc::O_CLOEXEC))
        };
        let open = |path: &std::ffi::CStr, flags: i32| own(libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, 0o600));
        let mut sockets = [0; 2];
        let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        assert_eq!(libc::socketpair(libc::AF_UNIX, kind, 0, sockets.as_mut_ptr()), 0);
        let (feed, drain) = (again(pipe[1], libc::O_WRONLY), again(pipe[0], libc::O_RDONLY));
        vec![
            open(c"a", libc::O_RDWR | libc::O_CREAT),
            direct(),
            own(pipe[0]),
            own(pipe[1]),
            own(pair[0]),
            own(pair[1]),
            open(c".", libc::O_RDONLY | libc::O_DIRECTORY),
            own(libc::eventfd(0, libc::EFD_CLOEXEC)),
            open(c"/dev/null", libc::O_RDWR),
            feed,
            drain,
            own(sockets[0]),
            own(sockets[1]),
        ]
    }
}

/// A file past the cache, where the file system has that.
fn direct() -> OwnedFd {
    let open = |flags: i32| {
        // SAFETY: a live string, and a fresh descriptor.
        unsafe {
            let fd = libc::open(c"direct".as_ptr(), libc::O_RDWR | libc::O_CREAT | libc::O_CLOEXEC | flags, 0o600);
            (fd >= 0).then(|| OwnedFd::from_raw_fd(fd))
        }
    };
    std::fs::write("direct", [b'd'; 4 * PAGE]).expect("a file");
    open(libc::O_DIRECT).or_else(|| open(0)).expect("a file")
}
