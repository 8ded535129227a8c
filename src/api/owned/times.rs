//! The times of a file.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use super::path::OnPath;
use super::{Descriptor, lent};
use crate::api::state::{Operation, Outcome};
use crate::error::{Errno, Result};
use crate::op::Op;

/// A time that [`ops::set_times`](crate::ops::set_times) sets.
///
/// # Examples
/// ```
/// use caio::{CWD, FileTime, ops};
/// use std::time::UNIX_EPOCH;
///
/// # let ctx = caio::Context::new()?;
/// # let path = std::env::temp_dir().join(format!("caio-doc-times-{}", std::process::id()));
/// # std::fs::write(&path, "")?;
/// let touch = ops::set_times(CWD, &path, FileTime::Now, FileTime::At(UNIX_EPOCH));
/// ctx.block_on(ctx.submit(touch))?;
/// assert_eq!(std::fs::metadata(&path)?.modified()?, UNIX_EPOCH);
/// # std::fs::remove_file(&path)?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileTime {
    /// The present time.
    Now,
    /// The time stays as it is.
    Unchanged,
    /// This time. The operation fails with `EINVAL` if the system cannot represent it.
    At(SystemTime),
}

impl FileTime {
    fn timespec(self) -> Option<libc::timespec> {
        let (seconds, nanoseconds) = match self {
            Self::Now => (0, libc::UTIME_NOW),
            Self::Unchanged => (0, libc::UTIME_OMIT),
            Self::At(time) => since_epoch(time)?,
        };
        // SAFETY: plain data. Some systems have padding, which a literal cannot name.
        let mut timespec: libc::timespec = unsafe { std::mem::zeroed() };
        #[allow(clippy::useless_conversion)] // a 32-bit system may have 32-bit seconds
        let seconds = seconds.try_into().ok()?;
        timespec.tv_sec = seconds;
        timespec.tv_nsec = nanoseconds;
        Some(timespec)
    }
}

/// Seconds, and the nanoseconds after them. The seconds are negative before 1970.
fn since_epoch(time: SystemTime) -> Option<(i64, libc::c_long)> {
    let (is_before, distance) = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (false, after),
        Err(error) => (true, error.duration()),
    };
    let (seconds, nanoseconds) =
        (i64::try_from(distance.as_secs()).ok()?, libc::c_long::from(distance.subsec_nanos() as i32));
    Some(match (is_before, nanoseconds) {
        (false, _) => (seconds, nanoseconds),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanoseconds),
    })
}

/// Sets the times of a file.
pub struct SettingTimes<F> {
    path: OnPath<F>,
    /// The library reads it when it accepts the operation.
    times: Option<Box<[libc::timespec; 2]>>,
}

impl<F: Descriptor> SettingTimes<F> {
    pub fn new(path: OnPath<F>, [accessed, modified]: [FileTime; 2]) -> Self {
        let times = accessed.timespec().zip(modified.timespec());
        Self { path, times: times.map(|(accessed, modified)| Box::new([accessed, modified])) }
    }
}

impl<F: Descriptor> Operation for SettingTimes<F> {
    type Output = io::Result<()>;

    fn describe(&mut self) -> Result<Op> {
        let times = self.times.as_mut().ok_or(Errno(libc::EINVAL))?;
        Ok(Op { buf2: lent((&raw mut **times).cast()), ..self.path.op()? })
    }

    fn finish(self, outcome: Outcome) -> Self::Output {
        outcome.result().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_time_before_1970_has_negative_seconds_and_positive_nanoseconds() {
        let at = |time| FileTime::At(time).timespec().map(|timespec| (timespec.tv_sec, timespec.tv_nsec));
        assert_eq!(at(UNIX_EPOCH + Duration::new(7, 5)), Some((7, 5)));
        assert_eq!(at(UNIX_EPOCH - Duration::from_secs(2)), Some((-2, 0)));
        assert_eq!(at(UNIX_EPOCH - Duration::new(1, 1)), Some((-2, 999_999_999)));
    }
}
