//! Descriptors that tell of events.

use crate::ends::{Ends, Made, put, refused};
use crate::support::files::Dir;
use crate::support::*;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};

pub fn eventfd(flags: i32) -> Made {
    // SAFETY: no memory involved.
    let fd = sys::owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | flags) }.into());
    let feed = fd.as_raw_fd();
    Ok(Ends::of(fd).fed(move |_| put(feed, &1u64.to_ne_bytes())).fills())
}

pub fn timerfd() -> Made {
    // SAFETY: no memory involved.
    let fd = sys::owned(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC) }.into());
    let feed = fd.as_raw_fd();
    Ok(Ends::of(fd).fed(move |_| {
        let time = |nanos| libc::timespec { tv_sec: 0, tv_nsec: nanos };
        let soon = libc::itimerspec { it_interval: time(0), it_value: time(1) };
        // SAFETY: a live struct.
        let result = unsafe { libc::timerfd_settime(feed, 0, &soon, std::ptr::null_mut()) };
        assert_eq!(result, 0, "timerfd_settime: {}", sys::errno());
    }))
}

/// Takes what is left of a signal when it is dropped.
struct Pending(libc::sigset_t);

impl Drop for Pending {
    fn drop(&mut self) {
        let none = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: live structs.
        while unsafe { libc::sigtimedwait(&self.0, std::ptr::null_mut(), &none) } > 0 {}
    }
}

/// A signal that queues.
pub fn signalfd() -> Made {
    let number = libc::SIGRTMIN() + 4;
    // SAFETY: a set of bits.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: live structs.
    let fd = unsafe {
        libc::sigaddset(&mut set, number);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        sys::owned(libc::signalfd(-1, &set, libc::SFD_CLOEXEC).into())
    };
    let feed = move |value: usize| {
        let value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut(value) };
        // SAFETY: a blocked signal to this process.
        assert_eq!(unsafe { libc::sigqueue(libc::getpid(), number, value) }, 0, "sigqueue: {}", sys::errno());
    };
    Ok(Ends::of(fd).fed(feed).keep(Pending(set)))
}

fn folder(dir: &Dir) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    // Relaxed: only distinct numbers matter.
    let name = format!("watched-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    std::fs::create_dir(dir.join(&name)).expect("a folder");
    name
}

pub fn inotify(dir: &Dir) -> Made {
    let name = folder(dir);
    // SAFETY: no memory involved.
    let fd = sys::owned(unsafe { libc::inotify_init1(libc::IN_CLOEXEC) }.into());
    // SAFETY: a live string.
    let watch = unsafe { libc::inotify_add_watch(fd.as_raw_fd(), dir.c(&name).as_ptr(), libc::IN_CREATE) };
    assert!(watch >= 0, "inotify_add_watch: {}", sys::errno());
    let folder = dir.join(&name);
    Ok(Ends::of(fd).fed(move |number| std::fs::create_dir(folder.join(format!("new-{number}"))).expect("a folder")))
}

/// Of a kind whose events hold no descriptor.
pub fn fanotify(dir: &Dir) -> Made {
    const FAN_REPORT_DFID_NAME: u32 = 0x400 | 0x800;
    const FAN_CLOEXEC: u32 = 1;
    const FAN_MARK_ADD: u32 = 1;
    const FAN_CREATE: u64 = 0x100;
    const FAN_ONDIR: u64 = 0x4000_0000;
    // SAFETY: no memory involved.
    let fd = unsafe { libc::fanotify_init(FAN_CLOEXEC | FAN_REPORT_DFID_NAME, 0) };
    let fd = refused("fanotify", fd)?;
    let name = folder(dir);
    let (events, path) = (FAN_CREATE | FAN_ONDIR, dir.c(&name));
    // SAFETY: a live string.
    let result = unsafe { libc::fanotify_mark(fd.as_raw_fd(), FAN_MARK_ADD, events, libc::AT_FDCWD, path.as_ptr()) };
    if result < 0 {
        return Err(format!("fanotify_mark: {}", std::io::Error::last_os_error()));
    }
    let folder = dir.join(&name);
    Ok(Ends::of(fd).fed(move |number| std::fs::create_dir(folder.join(format!("new-{number}"))).expect("a folder")))
}

/// Pages that are missing until this process ends. Each record is a thread that touches one.
pub fn userfaultfd() -> Made {
    const UFFDIO_API: u64 = 0xc018_aa3f;
    const UFFDIO_REGISTER: u64 = 0xc020_aa00;
    const MISSING: u64 = 1;
    const PAGES: usize = 4;
    // SAFETY: no memory involved.
    let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) };
    let fd = refused("userfaultfd", fd)?;
    // Leaked: its threads may touch it until the process ends.
    let pages: &'static sys::Map = Box::leak(Box::new(sys::Map::new(PAGES * sys::PAGE)));
    let mut api = [0xaau64, 0, 0];
    let mut range = [pages.start().addr() as u64, pages.len() as u64, MISSING, 0];
    // SAFETY: live structs, as the calls have them.
    unsafe {
        let result = libc::ioctl(fd.as_raw_fd(), UFFDIO_API as _, api.as_mut_ptr());
        assert_eq!(result, 0, "UFFDIO_API: {}", sys::errno());
        let result = libc::ioctl(fd.as_raw_fd(), UFFDIO_REGISTER as _, range.as_mut_ptr());
        assert_eq!(result, 0, "UFFDIO_REGISTER: {}", sys::errno());
    }
    Ok(Ends::of(fd).fed(move |number| touch(pages.address(number * sys::PAGE).expose_provenance())))
}

fn touch(address: usize) {
    super::blocked(move || {
        let byte = std::ptr::with_exposed_provenance::<u8>(address);
        // SAFETY: mapped for as long as the process lives.
        unsafe { byte.read_volatile() };
    });
}
