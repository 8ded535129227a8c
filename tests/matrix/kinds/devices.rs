//! Devices.

use crate::ends::{Ends, Made, put, refused};
use crate::support::files::{Dir, c_path, pattern};
use crate::support::*;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;

pub fn open(path: &str, flags: i32) -> Made {
    // SAFETY: a live string.
    let fd = unsafe { libc::open(c_path(path).as_ptr(), flags | libc::O_CLOEXEC) };
    Ok(Ends::of(refused(path, fd)?))
}

/// The kernel's log from here on.
pub fn kmsg() -> Made {
    let ends = open("/dev/kmsg", libc::O_RDONLY)?;
    // Each has its own: the kernel takes few records of one descriptor.
    let log = open("/dev/kmsg", libc::O_WRONLY)?;
    // SAFETY: no memory involved.
    assert_eq!(unsafe { libc::lseek(ends.fd(), 0, libc::SEEK_END) }, 0, "lseek: {}", sys::errno());
    // Debug messages of a user's, which no console shows.
    Ok(ends.fed(move |number| put(log.fd(), format!("<15>caio test, record {number}\n").as_bytes())))
}

/// A loop device over a file in `dir`. It goes when this process ends.
pub fn loop_device(dir: &Dir) -> Made {
    static PATH: OnceLock<Result<(String, std::fs::File), String>> = OnceLock::new();
    const LEN: usize = 65536;
    let made = PATH.get_or_init(|| attach(&dir.sparse("image", LEN as u64)));
    let (path, _) = made.as_ref().map_err(String::clone)?;
    let device = sys::open(&c_path(path), libc::O_RDWR);
    sys::write_all(&device, &pattern(LEN));
    Ok(Ends::of(sys::open(&c_path(path), libc::O_RDWR)))
}

/// The device's path, and a descriptor that keeps it.
fn attach(image: &std::fs::File) -> Result<(String, std::fs::File), String> {
    const LOOP_CTL_GET_FREE: u64 = 0x4c82;
    const LOOP_CONFIGURE: u64 = 0x4c0a;
    const AUTOCLEAR: u32 = 4;
    let read_write = |path: &str| {
        let file = std::fs::File::options().read(true).write(true).open(path);
        file.map_err(|why| format!("a loop device ({path}: {why})"))
    };
    let control = read_write("/dev/loop-control")?;
    // struct loop_config: the file, the block size, struct loop_info64 with its flags at 52, and nothing else.
    let mut config = [0u32; 304 / 4];
    config[0] = image.as_raw_fd() as u32;
    config[(8 + 52) / 4] = AUTOCLEAR;
    for _ in 0..100 {
        // SAFETY: no memory involved.
        let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE as _) };
        let path = format!("/dev/loop{number}");
        let device = read_write(&path)?;
        // SAFETY: a struct loop_config. Another process may be faster.
        if unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE as _, config.as_ptr()) } == 0 {
            return Ok((path, device));
        }
    }
    Err(format!("a loop device (LOOP_CONFIGURE: {})", std::io::Error::last_os_error()))
}
