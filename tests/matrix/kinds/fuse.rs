//! The server's side of a file system in user space: each record is a request.

use crate::ends::{Ends, Made, refused};
use crate::support::files::Dir;
use crate::support::*;
use std::os::fd::AsRawFd;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// Mounted where only this process sees it.
struct Mount(std::ffi::CString);

impl Drop for Mount {
    fn drop(&mut self) {
        // SAFETY: a live string.
        unsafe { libc::umount2(self.0.as_ptr(), libc::MNT_DETACH) };
    }
}

fn private() {
    static ONCE: Once = Once::new();
    let none = std::ptr::null();
    // SAFETY: live strings.
    ONCE.call_once(|| unsafe {
        libc::unshare(libc::CLONE_NEWNS);
        libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast());
    });
}

pub fn mounted(dir: &Dir) -> Made {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    // Relaxed: only distinct numbers matter.
    let name = format!("fuse-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    // SAFETY: a live string.
    let fd = unsafe { libc::open(c"/dev/fuse".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    let fd = refused("/dev/fuse", fd)?;
    private();
    std::fs::create_dir(dir.join(&name)).expect("a folder");
    let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", fd.as_raw_fd());
    let (path, options) = (dir.c(&name), std::ffi::CString::new(options).expect("options"));
    let kind = c"fuse".as_ptr();
    // SAFETY: live strings.
    let result = unsafe { libc::mount(kind, path.as_ptr(), kind, 0, options.as_ptr().cast()) };
    if result < 0 {
        return Err(format!("the right to mount ({})", std::io::Error::last_os_error()));
    }
    answer_init(&fd);
    let folder = dir.c(&name);
    // Another process asks: a thread of this one could not end, and would keep the descriptor open, without an answer.
    let ask = move |_| {
        let asker = process::fork(|| {
            let mut stat = sys::statx_room();
            // SAFETY: a live string and a live struct; no descriptor is used in this process from here on.
            unsafe { libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0) };
            (sys::plain(&ops::statx(libc::AT_FDCWD, &folder, &mut stat)) != 0).into()
        });
        process::await_asleep(asker.pid as u32, asker.pid);
    };
    Ok(Ends::of(fd).fed(ask).keep(Mount(path)))
}

/// The first request, FUSE_INIT, and its answer.
fn answer_init(fd: &impl AsRawFd) {
    const UNIQUE: usize = 2;
    let mut request = [0u8; 8192];
    let count = sys::plain(&ops::read(fd.as_raw_fd(), &mut request, CAIO_OFFSET_CURRENT));
    assert!(count >= 56, "FUSE_INIT: {count}");
    let word = |at: usize| u32::from_ne_bytes(request[at * 4..at * 4 + 4].try_into().expect("four bytes"));
    // struct fuse_out_header and struct fuse_init_out: version 7.31, and all else as small as can be.
    let mut answer = [0u32; 20];
    answer[..4].copy_from_slice(&[80, 0, word(UNIQUE), word(UNIQUE + 1)]);
    answer[4..6].copy_from_slice(&[7, 31]);
    answer[9] = 4096;
    let bytes: Vec<u8> = answer.iter().flat_map(|word| word.to_ne_bytes()).collect();
    assert_eq!(sys::plain(&ops::write(fd.as_raw_fd(), &bytes, CAIO_OFFSET_CURRENT)), 80, "the answer to FUSE_INIT");
}
