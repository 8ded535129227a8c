//! Directories and files of the tests, cached and cold.

use super::*;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The place of a test's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    /// The default temporary directory.
    Default,
    /// A disk: `CAIO_TEST_DIR`, otherwise cargo's directory for tests.
    Disk,
    /// Memory: tmpfs.
    Memory,
}

impl Folder {
    pub const ALL: &[Folder] = &[Folder::Default, Folder::Disk, Folder::Memory];

    pub fn root(self) -> PathBuf {
        match self {
            Folder::Default => std::env::temp_dir(),
            Folder::Disk => match std::env::var_os("CAIO_TEST_DIR") {
                Some(folder) => folder.into(),
                None => env!("CARGO_TARGET_TMPDIR").into(),
            },
            Folder::Memory => "/dev/shm".into(),
        }
    }

    /// Is it available on this machine? If not, reports that once.
    pub fn available(self) -> bool {
        let root = self.root();
        let usable = match self {
            Folder::Default => true,
            Folder::Disk => root.is_dir() && !in_memory(&root),
            Folder::Memory => root.is_dir() && in_memory(&root),
        };
        if !usable {
            skipped(match self {
                Folder::Memory => "the folder in memory needs a tmpfs at /dev/shm",
                _ => "the folder on a disk needs CAIO_TEST_DIR on a disk file system",
            });
        }
        usable
    }

    /// A new, empty directory in it.
    pub fn make(self) -> Dir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // Relaxed: only distinct numbers matter.
        let name = format!("caio-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = self.root().join(name);
        std::fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Dir { path }
    }
}

fn in_memory(path: &Path) -> bool {
    let path = c_path(path);
    // SAFETY: a struct of integers.
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: a live string and a live struct.
    assert_eq!(unsafe { libc::statfs(path.as_ptr(), &mut stat) }, 0, "statfs: {}", sys::errno());
    const TMPFS_MAGIC: i64 = 0x0102_1994;
    const RAMFS_MAGIC: i64 = 0x8584_58f6;
    [TMPFS_MAGIC, RAMFS_MAGIC].contains(&(stat.f_type as i64))
}

pub fn c_path(path: impl AsRef<Path>) -> CString {
    CString::new(path.as_ref().as_os_str().as_encoded_bytes()).expect("a path without NUL")
}

/// A directory of one test. Drop removes it with its contents.
pub struct Dir {
    pub path: PathBuf,
}

impl Dir {
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn c(&self, name: &str) -> CString {
        c_path(self.join(name))
    }

    /// A new file with this content, open for reading and writing.
    pub fn file(&self, name: &str, content: &[u8]) -> File {
        std::fs::write(self.join(name), content).unwrap_or_else(|error| panic!("{name}: {error}"));
        OpenOptions::new().read(true).write(true).open(self.join(name)).expect(name)
    }

    /// A new file of this length that is one hole.
    pub fn sparse(&self, name: &str, len: u64) -> File {
        let file = self.file(name, b"");
        file.set_len(len).expect("a sparse file");
        file
    }

    /// The directory itself, as the `fd` of a path.
    pub fn open(&self) -> File {
        File::open(&self.path).expect("the folder")
    }

    pub fn content(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.join(name)).expect(name)
    }

    /// Can a file in it be cold?
    pub fn on_disk(&self) -> bool {
        !in_memory(&self.path)
    }

    /// A file with a pattern. No page of it is cached, except on tmpfs.
    pub fn cold(&self, name: &str, len: usize) -> File {
        let file = self.file(name, &pattern(len));
        self.cool(&file);
        file
    }

    /// Drops `file` from the page cache and verifies that. Does nothing on tmpfs.
    pub fn cool(&self, file: &File) {
        if !self.on_disk() {
            return;
        }
        file.sync_all().expect("fsync");
        for _ in 0..100 {
            // SAFETY: no memory involved.
            unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
            if cached_pages(file) == 0 {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("{} pages stay in the cache", cached_pages(file));
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// The number of cached pages of a file. mincore(2), unlike a read with RWF_NOWAIT, reads no page.
pub fn cached_pages(file: &File) -> usize {
    let len = file.metadata().expect("fstat").len() as usize;
    if len == 0 {
        return 0;
    }
    let mut pages = vec![0u8; len.div_ceil(sys::PAGE)];
    // SAFETY: a new mapping of an open file, unmapped below; mincore fills one byte for each page.
    unsafe {
        let start = libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0);
        assert_ne!(start, libc::MAP_FAILED, "mmap: {}", sys::errno());
        assert_eq!(libc::mincore(start, len, pages.as_mut_ptr()), 0, "mincore: {}", sys::errno());
        libc::munmap(start, len);
    }
    pages.iter().filter(|page| **page & 1 != 0).count()
}

/// Bytes that depend on their offset: all pages differ.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(pattern_at).collect()
}

pub fn pattern_at(at: usize) -> u8 {
    (at ^ (at >> 8) ^ ((at >> 12) * 7)) as u8
}
