//! Which backend a context uses, and why one is not available.

use std::fmt;

use super::{Backend, Config, Kind, Native, Probe};
use crate::error::{Errno, Result};
use crate::log::Log;
use crate::sys::config;
use crate::sys::fd::AsRawFd;
use crate::sys::fork;
use crate::sys::pollable::Pollable;
use crate::sys::text::{self, Word};

/// The file that sets the default backend for all programs. Its directory is fixed when the library is built.
const CONFIG_FILE: &str = concat!(env!("CAIO_CONFIG_DIR"), "/default_implementation");

/// Opens the named backend, without falling back, or for AUTO the first of [`preferences`] that is available.
pub fn choose(backend: Backend, config: &Config, log: Log) -> Result<Native> {
    let open = |kind: Kind| Native::open(kind, config).inspect_err(|errno| tell_unavailable(log, kind, *errno));
    if let Some(kind) = backend.kind() {
        return open(kind);
    }
    let mut last = Errno(libc::EINVAL);
    for kind in preferences(&mut |remark| log.info(remark)) {
        match open(kind) {
            Ok(native) => return Ok(native),
            Err(errno) => last = errno,
        }
    }
    Err(last)
}

#[cold]
fn tell_unavailable(log: Log, kind: Kind, errno: Errno) {
    if log.is_on() {
        log.info(format_args!("{} is not available: {}", kind.name(), reason(kind, errno)));
    }
}

/// Checks whether a backend is available now.
pub fn probe(backend: Backend) -> Probe {
    // What it opens would leak into a child that another thread forks meanwhile.
    let _kept_out = fork::keep_out();
    let Some(kind) = backend.kind() else { return probe_auto() };
    let result = try_open(kind);
    let why = match result {
        Ok(()) => available(kind),
        Err(errno) => reason(kind, errno),
    };
    Probe::new(result, format!("{}: {why}", kind.name()))
}

/// Opens a backend as [`choose`] does, but without kernel contexts that the process kept.
fn try_open(kind: Kind) -> Result<()> {
    let descriptor = Pollable::new()?;
    let events_fd = descriptor.as_raw_fd();
    let (single_thread, sqpoll, reuse) = (false, false, false);
    let config = Config { max_requests: 8, workers: 1, single_thread, sqpoll, events_fd, reuse };
    Native::open(kind, &config).map(drop)
}

fn probe_auto() -> Probe {
    let mut remarks = Vec::new();
    let mut result = Err(Errno(libc::EINVAL));
    let order = preferences(&mut |remark| remarks.push(remark.to_string()));
    for kind in order {
        result = try_open(kind);
        match result {
            Ok(()) => {
                remarks.insert(0, format!("auto: uses {}", kind.name()));
                break;
            }
            Err(errno) => remarks.push(format!("{} is not available: {}", kind.name(), reason(kind, errno))),
        }
    }
    remarks.push(format!("CAIO_IMPL or the file {CONFIG_FILE} sets the default"));
    Probe::new(result, remarks.join("; "))
}

/// The backends to try, best first. `remark` gets a sentence about each setting. Allocates nothing.
fn preferences(remark: &mut dyn FnMut(fmt::Arguments)) -> impl Iterator<Item = Kind> + use<> {
    let settings = [(text::trusted_env(c"CAIO_IMPL"), "CAIO_IMPL"), (configured(), CONFIG_FILE)];
    let kinds = settings.map(|(name, origin)| {
        let name = name?;
        let kind = Kind::from_name(name.as_str());
        match kind {
            Some(_) => remark(format_args!("{origin} asks for {}", name.as_str())),
            None => remark(format_args!(
                "{origin} says '{}', which is not uring, linux or thread, and is ignored",
                printable(name.as_str())
            )),
        }
        kind
    });
    kinds.into_iter().flatten().chain(Kind::ALL)
}

/// The first word of the file `default_implementation` outside comments.
fn configured() -> Option<Word> {
    const LONGEST: usize = 4096;
    let mut content = [0; LONGEST];
    let length = config::read(CONFIG_FILE, &mut content)?;
    first_word(std::str::from_utf8(&content[..length]).ok()?).map(Word::new)
}

fn first_word(content: &str) -> Option<&str> {
    content.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).next()
}

fn printable(name: &str) -> String {
    name.chars().take(40).map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn available(kind: Kind) -> String {
    match kind {
        Kind::Uring => "io_uring is available".into(),
        Kind::Linux => match aio_numbers() {
            Some((used, most)) => format!("kernel AIO is available; fs.aio-nr is {used} of fs.aio-max-nr {most}"),
            None => "kernel AIO is available".into(),
        },
        Kind::Thread => "worker threads are always available".into(),
    }
}

/// Why a backend is not available, and what to do about it.
fn reason(kind: Kind, errno: Errno) -> String {
    let remedy = match (kind, errno.0) {
        (_, libc::EMFILE | libc::ENFILE) => {
            "no descriptor is free: close some, or raise the limit (RLIMIT_NOFILE, ulimit -n)".into()
        }
        (Kind::Uring, libc::EPERM) => uring_forbidden(),
        (Kind::Uring, libc::EACCES) => {
            "a filter refuses io_uring or an operation on it: allow io_uring_setup, io_uring_enter and io_uring_register in the \
             seccomp profile, and IORING_OP_READ and IORING_OP_WRITE in an io_uring filter (Linux 7.0 or newer)"
                .into()
        }
        (Kind::Uring, libc::ENOSYS) => {
            "this kernel has no io_uring (Linux 5.6 or newer is needed), or a seccomp filter hides it: in a container, allow \
             io_uring_setup, io_uring_enter and io_uring_register in its seccomp profile"
                .into()
        }
        (Kind::Uring, libc::EOPNOTSUPP) => "this kernel's io_uring is too old: Linux 5.6 or newer is needed".into(),
        (Kind::Uring, libc::ENOMEM) => {
            "io_uring's rings exceed the limit of locked memory: raise RLIMIT_MEMLOCK (ulimit -l), or make fewer or smaller contexts"
                .into()
        }
        (Kind::Linux, libc::EAGAIN) => match aio_numbers() {
            Some((used, most)) => format!(
                "the system's AIO requests are used up (fs.aio-nr is {used} of fs.aio-max-nr {most}): raise the limit with \
                 `sysctl -w fs.aio-max-nr=1048576`, or end programs that use them"
            ),
            None => "the system's AIO requests are used up: raise fs.aio-max-nr".into(),
        },
        (Kind::Linux, libc::EPERM | libc::EACCES) => {
            "io_setup or io_submit is forbidden, most likely by a seccomp filter: in a container, allow io_setup, io_submit, \
             io_getevents and io_destroy in its seccomp profile"
                .into()
        }
        (Kind::Linux, libc::ENOSYS) => {
            "this kernel is built without kernel AIO (CONFIG_AIO), or a seccomp filter hides it: in a container, allow \
             io_setup, io_submit, io_getevents and io_destroy in its seccomp profile"
                .into()
        }
        _ => "unexpected error; please report it with the kernel's version".into(),
    };
    format!("{errno}: {remedy}")
}

/// EPERM has two usual causes; reading the sysctl tells which one.
fn uring_forbidden() -> String {
    let setting = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    match setting.trim() {
        "1" => "kernel.io_uring_disabled is 1: run with CAP_SYS_ADMIN or in the group of kernel.io_uring_group, or set it to 0 \
                with `sysctl -w kernel.io_uring_disabled=0`"
            .into(),
        "2" => "kernel.io_uring_disabled is 2: set it to 0 with `sysctl -w kernel.io_uring_disabled=0`".into(),
        _ => "io_uring is forbidden, most likely by a seccomp filter, as in Docker's default profile: allow io_uring_setup, \
              io_uring_enter and io_uring_register in the container's seccomp profile. kernel.io_uring_disabled does not forbid it"
            .into(),
    }
}

/// The system's fs.aio-nr and fs.aio-max-nr.
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
