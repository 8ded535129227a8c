//! Terminals and the masters of pseudoterminals.

use crate::ends::{Ends, Made};
use crate::support::*;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;

/// The kernel moves bytes between the sides in the background.
const MOVED: Duration = Duration::from_millis(20);

pub fn raw() -> Made {
    let (controller, terminal) = sys::terminal();
    Ok(Ends::of(terminal).peer(controller).fed_by_peer().fills().settles(MOVED).late())
}

fn set(fd: RawFd, change: impl FnOnce(&mut libc::termios)) {
    // SAFETY: a struct of integers.
    let mut settings: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: a live struct and an open terminal.
    unsafe {
        assert_eq!(libc::tcgetattr(fd, &mut settings), 0, "tcgetattr: {}", sys::errno());
        change(&mut settings);
        assert_eq!(libc::tcsetattr(fd, libc::TCSANOW, &settings), 0, "tcsetattr: {}", sys::errno());
    }
}

pub fn canonical() -> Made {
    let ends = raw()?;
    set(ends.fd(), |settings| settings.c_lflag |= libc::ICANON);
    Ok(ends)
}

pub fn at_least(bytes: u8) -> Made {
    let ends = raw()?;
    set(ends.fd(), |settings| settings.c_cc[libc::VMIN] = bytes);
    Ok(ends)
}

pub fn hung_up() -> Made {
    Ok(Ends::of(sys::terminal().1))
}

pub fn controller() -> Made {
    let (controller, terminal) = sys::terminal();
    Ok(Ends::of(controller).peer(terminal).fed_by_peer().fills().settles(MOVED).late())
}

pub fn packets() -> Made {
    let ends = controller()?;
    let on = 1i32;
    // SAFETY: a live int.
    assert_eq!(unsafe { libc::ioctl(ends.fd(), libc::TIOCPKT, &on) }, 0, "TIOCPKT: {}", sys::errno());
    Ok(ends)
}

pub fn without_terminal() -> Made {
    Ok(Ends::of(sys::terminal().0))
}

/// This process's controlling terminal, which is made once.
pub fn controlling() -> Made {
    static TERMINAL: OnceLock<(OwnedFd, OwnedFd)> = OnceLock::new();
    let (controller, terminal) = TERMINAL.get_or_init(|| {
        let made = sys::terminal();
        // SAFETY: no memory involved.
        unsafe {
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            libc::setsid();
            assert_eq!(libc::ioctl(made.1.as_raw_fd(), libc::TIOCSCTTY, 0), 0, "TIOCSCTTY: {}", sys::errno());
        }
        made
    });
    // SAFETY: no memory involved.
    unsafe { libc::tcflush(terminal.as_raw_fd(), libc::TCIOFLUSH) };
    let fd = sys::open(c"/dev/tty", libc::O_RDWR);
    Ok(Ends::of(fd).peer(sys::dup(controller.as_raw_fd())).fed_by_peer().fills().settles(MOVED).late())
}
