//! What a transfer may have to wait for.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Files, directories, block devices or volumes, and memory devices: a transfer waits for a disk at most. An invalid
    /// descriptor also counts as storage: the plain call reports its errno.
    Storage,
    Socket,
    /// Pipes, terminals, character devices, eventfds, inotify, ...: a transfer may wait for another process for ever,
    /// and each read may consume a record.
    Stream,
}

/// What the kernel tells about a descriptor.
#[derive(Clone, Copy)]
pub struct File {
    pub kind: FileKind,
    /// A block device, or a regular file on one: io_uring's submission does not wait for it. FUSE on a block device
    /// (ntfs-3g) does not count: its files support poll(2), so io_uring may wait.
    pub on_disk: bool,
    /// The number of its file system's device.
    pub device: u64,
    /// The size of a regular file.
    pub size: Option<u64>,
}

impl File {
    /// Whether this is a regular file that ends at or before `offset`.
    pub fn ends_before(&self, offset: u64) -> bool {
        self.size.is_some_and(|size| size <= offset)
    }
}
