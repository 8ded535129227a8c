//! What a backend takes, and how its transfers end. The router and the context read this, and know no backend by name.

/// Each backend states its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Takes NOPs.
    pub nops: bool,
    pub reads: Takes,
    pub writes: Takes,
    /// A worker thread makes a buffered write in less time.
    pub slow_buffered_writes: bool,
    /// A submission copies the cached reads in it, in the caller's thread, so a long copy delays the caller.
    pub copies_in_submit: bool,
    pub short_reads: ShortReads,
    /// Takes the rest of a short transfer. Otherwise a worker thread makes it.
    pub resumes: bool,
}

/// Which transfers at an offset a backend takes, so that its submission does not wait and its errors are those of the
/// plain call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    /// Those that bypass the page cache. It refuses others.
    Direct,
    /// Those that bypass the page cache. Others might never complete.
    NeverBuffered,
    /// Those that bypass the page cache, and cached reads. It refuses other reads with EAGAIN.
    Cached,
    All,
}

/// What a read means that ends before its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShortReads {
    /// The file ends there, or the next page is not cached.
    NotCached,
    /// The file ends there, or the thread that submitted the read has exited.
    Interrupted,
}

impl Rules {
    /// Without a queue in the kernel: worker threads make all operations.
    pub const NONE: Self = Self {
        nops: false,
        reads: Takes::Nothing,
        writes: Takes::Nothing,
        slow_buffered_writes: false,
        copies_in_submit: false,
        short_reads: ShortReads::Interrupted,
        resumes: false,
    };

    /// Which reads, if `reads`, or writes it takes.
    #[inline(always)]
    pub fn takes(&self, reads: bool) -> Takes {
        if reads { self.reads } else { self.writes }
    }
}
