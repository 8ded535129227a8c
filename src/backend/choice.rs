//! Which backend a context gets, and why one cannot be had, in words that help.

use std::fmt;

use super::{Kind, Native, Wants};
use crate::error::{Errno, Result};
use crate::sys::eventfd::EventFd;
use crate::sys::text::{self, Word};

/// The file that chooses a default for all; its folder is fixed when the library is built.
const CONFIG_FILE: &str = concat!(env!("CAIO_CONFIG_DIR"), "/default_implementation");

/// The answer of `caio_backend_probe`.
pub struct Probe {
    pub result: Result<()>,
    pub why: String,
}

/// Opens the facility of a backend: the one named, which never falls back, or for AUTO (0) the first of
/// [`preferences`] that works now.
pub fn choose(backend: u32, wants: &Wants) -> Result<Native> {
    if let Some(kind) = Kind::from_number(backend) {
        return Native::open(kind, wants);
    }
    let mut last = Errno(libc::EINVAL);
    for kind in preferences(&mut |_| ()) {
        match Native::open(kind, wants) {
            Ok(native) => return Ok(native),
            Err(errno) => last = errno,
        }
    }
    Err(last)
}

/// Asks the kernel anew whether a backend works.
pub fn probe(backend: u32) -> Probe {
    match Kind::from_number(backend) {
        Some(kind) => {
            let result = try_open(kind);
            let why = match result {
                Ok(()) => works(kind),
                Err(errno) => reason(kind, errno),
            };
            Probe { result, why: format!("{}: {why}", kind.name()) }
        }
        None if backend == 0 => probe_auto(),
        None => Probe {
            result: Err(Errno(libc::EINVAL)),
            why: format!("{backend} is no backend; there are 0 auto, 1 uring, 2 linux, 3 thread"),
        },
    }
}

fn try_open(kind: Kind) -> Result<()> {
    let descriptor = EventFd::new()?;
    let eventfd = std::os::fd::AsRawFd::as_raw_fd(&descriptor);
    let wants = Wants { max_requests: 8, workers: 1, single_thread: false, sqpoll: false, eventfd };
    Native::open(kind, &wants).map(drop)
}

fn probe_auto() -> Probe {
    let mut remarks = Vec::new();
    let mut result = Err(Errno(libc::EINVAL));
    let order = preferences(&mut |remark| remarks.push(remark.to_string()));
    for kind in order {
        result = try_open(kind);
        match result {
            Ok(()) => {
                remarks.insert(0, format!("auto: takes {}", kind.name()));
                break;
            }
            Err(errno) => remarks.push(format!("{} does not work: {}", kind.name(), reason(kind, errno))),
        }
    }
    remarks.push(format!("the default may be set in CAIO_IMPL or in {CONFIG_FILE}"));
    Probe { result, why: remarks.join("; ") }
}

/// The backends to try, best first; what was wished for goes to `remark`. Allocates nothing.
fn preferences(remark: &mut dyn FnMut(fmt::Arguments)) -> impl Iterator<Item = Kind> + use<> {
    let wishes = [(text::trusted_env(c"CAIO_IMPL"), "CAIO_IMPL"), (configured(), CONFIG_FILE)];
    let wished = wishes.map(|(wish, origin)| {
        let wish = wish?;
        let kind = Kind::from_name(wish.as_str());
        match kind {
            Some(_) => remark(format_args!("{origin} asks for {}", wish.as_str())),
            None => remark(format_args!(
                "{origin} says '{}', which is none of uring, linux, thread, and is ignored",
                printable(wish.as_str())
            )),
        }
        kind
    });
    wished.into_iter().flatten().chain(Kind::ALL)
}

/// The first word of the file `default_implementation` that is no comment. What anybody may write is nobody's wish, and a
/// FIFO would be waited for.
fn configured() -> Option<Word> {
    use std::io::{ErrorKind, Read};
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    const LONGEST: usize = 4096;
    const WRITABLE_BY_ALL: u32 = 0o002;
    let mut options = std::fs::File::options();
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let mut file = options.open(CONFIG_FILE).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.mode() & WRITABLE_BY_ALL != 0 {
        return None;
    }
    let (mut content, mut length) = ([0; LONGEST], 0);
    while length < LONGEST {
        match file.read(&mut content[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    first_word(std::str::from_utf8(&content[..length]).ok()?).map(Word::new)
}

fn first_word(content: &str) -> Option<&str> {
    content.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).next()
}

fn printable(name: &str) -> String {
    name.chars().take(40).map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn works(kind: Kind) -> String {
    match kind {
        Kind::Uring => "io_uring works".into(),
        Kind::Linux => match aio_numbers() {
            Some((used, most)) => format!("kernel AIO works; aio-nr is {used} of aio-max-nr {most}"),
            None => "kernel AIO works".into(),
        },
        Kind::Thread => "worker threads always work".into(),
    }
}

/// Why a backend cannot be had, and what to do about it.
fn reason(kind: Kind, errno: Errno) -> String {
    let remedy = match (kind, errno.0) {
        (_, libc::EMFILE | libc::ENFILE) => "no descriptor is left; raise RLIMIT_NOFILE (ulimit -n) or close some".into(),
        (Kind::Uring, libc::EPERM | libc::EACCES) => uring_forbidden(),
        (Kind::Uring, libc::ENOSYS) => {
            "this kernel has no io_uring (Linux 5.6 or newer is needed), or a seccomp filter hides it: in a container, allow \
             io_uring_setup, io_uring_enter and io_uring_register in its seccomp profile"
                .into()
        }
        (Kind::Uring, libc::EOPNOTSUPP) => "this kernel's io_uring is too old; Linux 5.6 or newer is needed".into(),
        (Kind::Uring, libc::ENOMEM) => {
            "this user may lock too little memory, which this kernel counts io_uring's rings as; raise RLIMIT_MEMLOCK (ulimit -l), or make fewer contexts or smaller ones".into()
        }
        (Kind::Linux, libc::EAGAIN) => match aio_numbers() {
            Some((used, most)) => format!(
                "the machine's AIO requests are used up: fs.aio-nr is {used} of fs.aio-max-nr {most}; raise it with \
                 `sysctl -w fs.aio-max-nr=1048576`, or end programs that hold them"
            ),
            None => "the machine's AIO requests are used up; raise fs.aio-max-nr".into(),
        },
        (Kind::Linux, libc::EPERM | libc::EACCES) => {
            "io_setup is forbidden, most likely by a seccomp filter: in a container, allow io_setup, io_submit and io_getevents in its seccomp profile".into()
        }
        (Kind::Linux, libc::ENOSYS) => {
            "this kernel is built without kernel AIO (CONFIG_AIO), or a seccomp filter hides it: in a container, allow io_setup, io_submit and io_getevents".into()
        }
        _ => "unexpected here; please report it with the kernel's version".into(),
    };
    format!("{errno}: {remedy}")
}

/// EPERM has two usual origins; the sysctl can be asked.
fn uring_forbidden() -> String {
    let setting = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    match setting.trim() {
        "1" => "kernel.io_uring_disabled is 1: run with CAP_SYS_ADMIN or in the group of kernel.io_uring_group, or set it to 0 \
                with `sysctl -w kernel.io_uring_disabled=0`"
            .into(),
        "2" => "kernel.io_uring_disabled is 2: set it to 0 with `sysctl -w kernel.io_uring_disabled=0`".into(),
        _ => "io_uring is forbidden, most likely by a seccomp filter (Docker's default profile does that): allow io_uring_setup, \
              io_uring_enter and io_uring_register in the container's seccomp profile; kernel.io_uring_disabled does not forbid it"
            .into(),
    }
}

/// AIO requests that the machine has given out, and the most it gives.
fn aio_numbers() -> Option<(u64, u64)> {
    let number = |name: &str| std::fs::read_to_string(format!("/proc/sys/fs/{name}")).ok()?.trim().parse().ok();
    Some((number("aio-nr")?, number("aio-max-nr")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_outside_comments_counts() {
        assert_eq!(first_word("# thread\n\n  linux uring\n"), Some("linux"));
        assert_eq!(first_word("# nothing\n"), None);
        assert_eq!(first_word(""), None);
    }

    #[test]
    fn reasons_show_both_aio_numbers() {
        let Some((_, most)) = aio_numbers() else { return };
        assert!(reason(Kind::Linux, Errno(libc::EAGAIN)).contains(&most.to_string()));
    }
}
