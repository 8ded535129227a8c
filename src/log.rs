//! `CAIO_LOG`: lines on standard error that tell which backend a context uses, what falls back, and why a call is refused.
//! A line allocates nothing and never waits: a line that does not fit into a full pipe is dropped and counted.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Errno;
use crate::sys::stderr::Stderr;
use crate::sys::text::trusted_env;

/// What to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Level {
    Info,
    Debug,
}

/// The lines of one context.
#[derive(Clone, Copy)]
pub struct Log(Option<(Level, Stderr)>);

/// Lines that a full pipe had no room for, since the last one that was written.
static DROPPED: AtomicU64 = AtomicU64::new(0);

impl Log {
    /// As `CAIO_LOG` says now. A set-uid program ignores it, and nothing is written while standard error is closed.
    pub fn from_environment() -> Self {
        let Some(word) = trusted_env(c"CAIO_LOG") else { return Self(None) };
        // Before the context opens a descriptor, which could get the number of a closed standard error.
        let Some(to) = Stderr::open_now() else { return Self(None) };
        let log = |level| Self(Some((level, to)));
        match word.as_str() {
            "info" => log(Level::Info),
            "debug" => log(Level::Debug),
            "" => Self(None),
            other => {
                log(Level::Info)
                    .info(format_args!("CAIO_LOG says '{other}', which is not info or debug, and is ignored"));
                Self(None)
            }
        }
    }

    /// A choice or a fall-back.
    pub fn info(self, text: fmt::Arguments) {
        self.line(Level::Info, text);
    }

    /// A refusal.
    pub fn debug(self, text: fmt::Arguments) {
        self.line(Level::Debug, text);
    }

    pub fn is_on(self) -> bool {
        self.0.is_some()
    }

    pub fn tells_refusals(self) -> bool {
        matches!(self.0, Some((Level::Debug, _)))
    }

    #[cold]
    fn line(self, level: Level, text: fmt::Arguments) {
        let Some((most, to)) = self.0 else { return };
        if level > most {
            return;
        }
        // Relaxed: a count that belongs to no other data.
        let dropped = DROPPED.swap(0, Ordering::Relaxed);
        let notice = format_args!("{dropped} lines are missing, because standard error was full");
        if dropped > 0 && is_full(to, notice) {
            DROPPED.fetch_add(dropped + 1, Ordering::Relaxed);
        } else if is_full(to, text) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes one line. True if it would have to wait.
fn is_full(to: Stderr, text: fmt::Arguments) -> bool {
    let mut line = Line::new();
    // It fails only if it cuts the text.
    let _ = line.write_fmt(text);
    to.write(line.ended()) == Err(Errno(libc::EAGAIN))
}

/// A line on the stack. A longer one is cut.
struct Line {
    text: [u8; Self::MOST],
    length: usize,
}

impl Line {
    const MOST: usize = 1024;
    const PREFIX: &[u8] = b"caio: ";

    fn new() -> Self {
        let mut line = Self { text: [0; Self::MOST], length: Self::PREFIX.len() };
        line.text[..line.length].copy_from_slice(Self::PREFIX);
        line
    }

    fn ended(&mut self) -> &mut [u8] {
        self.text[self.length] = b'\n';
        &mut self.text[..=self.length]
    }
}

impl Write for Line {
    /// The program's texts, such as a variable's value, must not end the line.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.length + 1 == Self::MOST {
                return Err(fmt::Error);
            }
            self.text[self.length] = if byte.is_ascii_control() { b'?' } else { byte };
            self.length += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_and_is_cut() {
        let mut line = Line::new();
        line.write_fmt(format_args!("a\nb\t{}", 7)).unwrap();
        assert_eq!(line.ended(), b"caio: a?b?7\n");
        let mut line = Line::new();
        assert!(line.write_str(&"x".repeat(2 * Line::MOST)).is_err());
        assert_eq!((line.ended().len(), line.text[Line::MOST - 1]), (Line::MOST, b'\n'));
    }
}
