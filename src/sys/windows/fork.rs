//! This system has no fork(2).

/// This process's number.
pub fn process() -> u64 {
    1
}

/// A section for which fork(3) waits elsewhere.
pub struct KeepOut(());

pub fn keep_out() -> KeepOut {
    KeepOut(())
}

pub fn try_keep_out() -> Option<KeepOut> {
    Some(keep_out())
}
