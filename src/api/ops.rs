//! The operations, as requests for [`Context::submit`](crate::Context::submit) and
//! [`submit_chain`](crate::Context::submit_chain). [`Context`](crate::Context) has a method for most of them, which submits.
//!
//! An operation owns its buffers and descriptors until it completes. It yields the errno of the system call.
//!
//! # Examples
//! Replace a file so that a crash leaves the old or the new content:
//! ```
//! use caio::{CWD, ops};
//! use std::sync::Arc;
//!
//! # let ctx = caio::Context::new()?;
//! # let folder = std::env::temp_dir().join(format!("caio-doc-ops-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let (path, temporary) = (folder.join("file"), folder.join("temporary"));
//! let file = Arc::new(std::fs::File::create(&temporary)?);
//! let (write, sync, rename) = ctx.submit_chain((
//!     ops::write_at(file.clone(), "new content", 0).full(),
//!     ops::fsync(file),
//!     ops::rename(CWD, &temporary, &path),
//! ));
//! ctx.block_on(rename)?;
//! assert_eq!(std::fs::read(&path)?, b"new content");
//! # drop((write, sync));
//! # std::fs::remove_dir_all(&folder)?;
//! # std::io::Result::Ok(())
//! ```

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::open::OpenOptions;
use super::owned::{
    CWD, Close, Copying, Descriptor, Entries, FileSystem, FileTime, Getting, IoBuf, IoBufMut, MASK, Metadata, OPENED,
    OnFd, OnFdSize, OnPath, Open, OpenForChain, PathCall, Reading, ReadingParts, Setting, SettingTimes, Stat, Statfs,
    Writing, WritingParts, name,
};
use super::request::Request;
use crate::context::IovecBuf;
use crate::op::{CURRENT, Code, Op};

pub use super::owned::raw;

/// A buffer comes back with the number of bytes that were moved.
type Transfer<B> = Request<(io::Result<usize>, B)>;

macro_rules! documented {
    ($(
        $(#[$doc:meta])*
        example $example:literal
        fn $name:ident<$($type:ident: $bound:path),*>($($argument:ident: $of:ty),*) -> $output:ty = $body:expr;
    )+) => {
        $(
            $(#[$doc])*
            ///
            /// # Examples
            /// ```
            /// # use caio::ops;
            /// # use std::fs::File;
            /// # let ctx = caio::Context::new()?;
            #[doc = $example]
            /// # std::io::Result::Ok(())
            /// ```
            pub fn $name<$($type: $bound),*>($($argument: $of),*) -> $output {
                $body
            }
        )+
    };
}

documented! {
    /// Does nothing and succeeds: a member of a chain, or a wake-up.
    example "ctx.block_on(ctx.submit(ops::nop()))?;"
    fn nop<>() -> Request<io::Result<()>> = Request::new(OnFd { fd: CWD, op: Op::of(Code::Nop) });

    /// Reads from `offset` into `buffer`, up to its capacity. See pread(2).
    example "let request = ops::read_at(File::open(\"/etc/passwd\")?, Vec::with_capacity(4096), 0);"
    fn read_at<F: Descriptor, B: IoBufMut>(fd: F, buffer: B, offset: u64) -> Transfer<B> =
        Request::new(Reading { fd, buffer, offset });

    /// Reads at the current position of a file, or from a pipe, socket or terminal. See read(2).
    example "let request = ops::read(std::io::stdin(), vec![0; 4096]);"
    fn read<F: Descriptor, B: IoBufMut>(fd: F, buffer: B) -> Transfer<B> =
        Request::new(Reading { fd, buffer, offset: CURRENT });

    /// Writes `buffer` at `offset`. See pwrite(2).
    example "let request = ops::write_at(File::open(\"/etc/passwd\")?, \"text\", 0);"
    fn write_at<F: Descriptor, B: IoBuf>(fd: F, buffer: B, offset: u64) -> Transfer<B> =
        Request::new(Writing { fd, buffer, offset });

    /// Writes `buffer` at the current position of a file, or to a pipe, socket or terminal. See write(2).
    example "let request = ops::write(std::io::stdout(), \"text\\n\");"
    fn write<F: Descriptor, B: IoBuf>(fd: F, buffer: B) -> Transfer<B> =
        Request::new(Writing { fd, buffer, offset: CURRENT });

    /// Reads from `offset` into buffers, one after the other. See preadv(2).
    example "let request = ops::readv_at(File::open(\"/etc/passwd\")?, vec![vec![0; 16], vec![0; 4096]], 0);"
    fn readv_at<F: Descriptor, B: IoBufMut>(fd: F, buffers: Vec<B>, offset: u64) -> Transfer<Vec<B>> =
        Request::new(ReadingParts { fd, buffers, offset, parts: IovecBuf::default() });

    /// Writes buffers at `offset`, one after the other. See pwritev(2).
    example "let request = ops::writev_at(File::open(\"/etc/passwd\")?, vec![\"head\", \"body\"], 0);"
    fn writev_at<F: Descriptor, B: IoBuf>(fd: F, buffers: Vec<B>, offset: u64) -> Transfer<Vec<B>> =
        Request::new(WritingParts { fd, buffers, offset, parts: IovecBuf::default() });

    /// Syncs the data and the metadata of a file. It covers writes that completed before it was submitted. See fsync(2).
    example "ctx.block_on(ctx.submit(ops::fsync(File::open(\"/etc\")?)))?;"
    fn fsync<F: Descriptor>(fd: F) -> Request<io::Result<()>> = Request::new(OnFd { fd, op: Op::of(Code::Fsync) });

    /// Like [`fsync`], without metadata that is not needed to read the data. See fdatasync(2).
    example "ctx.block_on(ctx.submit(ops::fdatasync(File::open(\"/etc\")?)))?;"
    fn fdatasync<F: Descriptor>(fd: F) -> Request<io::Result<()>> = Request::new(OnFd { fd, op: Op::of(Code::Fdsync) });

    /// Syncs a range of a file. Set `SYNC_FILE_RANGE_*` with [`Request::flags`]. See sync_file_range(2).
    example "let request = ops::sync_range(File::open(\"/etc/passwd\")?, 0, 4096).flags(2);"
    fn sync_range<F: Descriptor>(fd: F, offset: u64, len: u64) -> Request<io::Result<()>> =
        Request::new(OnFd { fd, op: Op { offset, len, ..Op::of(Code::SyncRange) } });

    /// Allocates the space of a range of a file. Set `FALLOC_FL_*` with [`Request::flags`]. See fallocate(2).
    example "let request = ops::allocate(File::open(\"/etc/passwd\")?, 0, 4096);"
    fn allocate<F: Descriptor>(fd: F, offset: u64, len: u64) -> Request<io::Result<()>> =
        Request::new(OnFd { fd, op: Op { offset, len, ..Op::of(Code::Allocate) } });

    /// Changes the size of a file. See ftruncate(2).
    example "let request = ops::truncate(File::open(\"/etc/passwd\")?, 0);"
    fn truncate<F: Descriptor>(fd: F, size: u64) -> Request<io::Result<()>> =
        Request::new(OnFd { fd, op: Op { offset: size, ..Op::of(Code::Truncate) } });

    /// Opens a file, with `O_CLOEXEC`. See openat(2).
    example "let file = File::from(ctx.block_on(ctx.submit(ops::open(caio::CWD, \"/etc/passwd\", caio::OpenOptions::new().read(true))))?);"
    fn open<F: Descriptor, P: AsRef<Path>>(dir: F, path: P, options: &OpenOptions) -> Request<io::Result<OwnedFd>> =
        Request::new(Open(OpenForChain::new(dir, path.as_ref(), options)));

    /// Opens a file for the operations behind it in the chain, which use it as [`OPENED`](crate::OPENED), up to a
    /// [`close_opened`]. Elsewhere it fails with `EINVAL`. See openat(2).
    example "let request = ops::open_for_chain(caio::CWD, \"/etc/passwd\", caio::OpenOptions::new().read(true));"
    fn open_for_chain<F: Descriptor, P: AsRef<Path>>(dir: F, path: P, options: &OpenOptions) -> Request<io::Result<()>> =
        Request::for_chain(OpenForChain::new(dir, path.as_ref(), options));

    /// Closes the file that the nearest [`open_for_chain`] before it in the chain has opened. It runs whenever that succeeded,
    /// whatever became of the operations between.
    example "let request = ops::close_opened();"
    fn close_opened<>() -> Request<io::Result<()>> = Request::new(OnFd { fd: OPENED, op: Op::of(Code::Close) });

    /// Closes a descriptor. After `ECANCELED` and after an error of submission it is closed as if it were dropped. See close(2).
    example "ctx.block_on(ctx.submit(ops::close(File::open(\"/etc/passwd\")?)))?;"
    fn close<F: Into<OwnedFd>>(fd: F) -> Request<io::Result<()>> = Request::new(Close(fd.into()));

    /// Gets the status of a file. Set `AT_*` with [`Request::flags`]. See statx(2).
    example "assert!(ctx.block_on(ctx.submit(ops::stat(caio::CWD, \"/etc\")))?.is_dir());"
    fn stat<F: Descriptor, P: AsRef<Path>>(dir: F, path: P) -> Request<io::Result<Metadata>> =
        Request::new(Stat::new(OnPath::new(dir, path.as_ref(), PathCall { mode: MASK, ..PathCall::of(Code::Statx) })));

    /// Gets the status of an open file. See statx(2).
    example "assert!(ctx.block_on(ctx.submit(ops::stat_fd(File::open(\"/etc\")?)))?.is_dir());"
    fn stat_fd<F: Descriptor>(fd: F) -> Request<io::Result<Metadata>> = {
        const AT_EMPTY_PATH: u32 = 0x1000;
        stat(fd, "").flags(AT_EMPTY_PATH)
    };

    /// Renames a file within a directory. Set `RENAME_*` with [`Request::flags`]. See renameat2(2).
    example "let request = ops::rename(caio::CWD, \"old\", \"new\");"
    fn rename<F: Descriptor, P: AsRef<Path>, Q: AsRef<Path>>(dir: F, from: P, to: Q) -> Request<io::Result<()>> =
        Request::new(OnPath::new(dir, from.as_ref(), PathCall::of(Code::Renameat)).and(to.as_ref()));

    /// Removes a file. See unlinkat(2).
    example "let request = ops::unlink(caio::CWD, \"name\");"
    fn unlink<F: Descriptor, P: AsRef<Path>>(dir: F, path: P) -> Request<io::Result<()>> =
        Request::new(OnPath::new(dir, path.as_ref(), PathCall::of(Code::Unlinkat)));

    /// Removes an empty directory. See unlinkat(2).
    example "let request = ops::rmdir(caio::CWD, \"name\");"
    fn rmdir<F: Descriptor, P: AsRef<Path>>(dir: F, path: P) -> Request<io::Result<()>> = {
        let flags = libc::AT_REMOVEDIR as u32;
        Request::new(OnPath::new(dir, path.as_ref(), PathCall { flags, ..PathCall::of(Code::Unlinkat) }))
    };

    /// Renames a file into another directory. Set `RENAME_*` with [`Request::flags`]. See renameat2(2).
    example "let request = ops::rename_between(caio::CWD, \"old\", File::open(\"/tmp\")?, \"new\");"
    fn rename_between<F: Descriptor, P: AsRef<Path>, G: Descriptor, Q: AsRef<Path>>(dir: F, from: P, to_dir: G, to: Q) -> Request<io::Result<()>> =
        Request::new(OnPath::new(dir, from.as_ref(), PathCall::of(Code::Renameat)).and(to.as_ref()).from(to_dir));

    /// Makes `to` another name of the file `from`. Set `AT_*` with [`Request::flags`]. See linkat(2).
    example "let request = ops::link(caio::CWD, \"name\", caio::CWD, \"other name\");"
    fn link<F: Descriptor, P: AsRef<Path>, G: Descriptor, Q: AsRef<Path>>(dir: F, from: P, to_dir: G, to: Q) -> Request<io::Result<()>> =
        Request::new(OnPath::new(dir, from.as_ref(), PathCall::of(Code::Linkat)).and(to.as_ref()).from(to_dir));

    /// Makes a symbolic link at `path` that says `target`. See symlinkat(2).
    example "let request = ops::symlink(\"target\", caio::CWD, \"link\");"
    fn symlink<P: AsRef<Path>, F: Descriptor, Q: AsRef<Path>>(target: P, dir: F, path: Q) -> Request<io::Result<()>> =
        Request::new(OnPath::new(dir, target.as_ref(), PathCall::of(Code::Symlinkat)).and(path.as_ref()));

    /// Reads what a symbolic link says. See readlinkat(2).
    example "let request = ops::read_link(caio::CWD, \"link\", Vec::with_capacity(4096));"
    fn read_link<F: Descriptor, P: AsRef<Path>, B: IoBufMut>(dir: F, path: P, buffer: B) -> Transfer<B> =
        Request::new(Getting { fd: dir, code: Code::Readlinkat, name: Some(name(path.as_ref())), buffer });

    /// Reads entries of a directory, as `struct linux_dirent64`; 0 at the end. See getdents64(2).
    example "let (size, entries) = ctx.block_on(ctx.submit(ops::read_dir(File::open(\"/\")?, Vec::with_capacity(4096))));\nassert!(size? > 0);"
    fn read_dir<F: Descriptor, B: IoBufMut>(fd: F, buffer: B) -> Transfer<B> =
        Request::new(Entries { fd, buffer });

    /// Sets the permissions of a file. Set `AT_*` with [`Request::flags`]. See fchmodat2(2).
    example "let request = ops::chmod(caio::CWD, \"name\", 0o644);"
    fn chmod<F: Descriptor, P: AsRef<Path>>(dir: F, path: P, mode: u32) -> Request<io::Result<()>> =
        Request::new(OnPath::new(dir, path.as_ref(), PathCall { mode, ..PathCall::of(Code::Fchmodat) }));

    /// Sets the user and the group of a file; None leaves one as it is. Set `AT_*` with [`Request::flags`]. See fchownat(2).
    example "let request = ops::chown(caio::CWD, \"name\", Some(1000), None);"
    fn chown<F: Descriptor, P: AsRef<Path>>(dir: F, path: P, user: Option<u32>, group: Option<u32>) -> Request<io::Result<()>> = {
        const UNCHANGED: u32 = u32::MAX;
        let (mode, len) = (user.unwrap_or(UNCHANGED), group.unwrap_or(UNCHANGED).into());
        Request::new(OnPath::new(dir, path.as_ref(), PathCall { mode, len, ..PathCall::of(Code::Fchownat) }))
    };

    /// Sets the times of the last access and of the last change of a file. Set `AT_*` with [`Request::flags`]. See utimensat(2).
    example "let request = ops::set_times(caio::CWD, \"name\", caio::FileTime::Unchanged, caio::FileTime::Now);"
    fn set_times<F: Descriptor, P: AsRef<Path>>(dir: F, path: P, accessed: FileTime, modified: FileTime) -> Request<io::Result<()>> =
        Request::new(SettingTimes::new(OnPath::new(dir, path.as_ref(), PathCall::of(Code::Utimensat)), [accessed, modified]));

    /// Creates a file, a FIFO, a socket or a device. `mode` is the type `S_IF*` and the permissions, `device` the number of a
    /// device. See mknodat(2).
    example "let request = ops::mknod(caio::CWD, \"fifo\", 0o010_600, 0);"
    fn mknod<F: Descriptor, P: AsRef<Path>>(dir: F, path: P, mode: u32, device: u64) -> Request<io::Result<()>> =
        Request::new(OnPath::new(dir, path.as_ref(), PathCall { mode, offset: device, ..PathCall::of(Code::Mknodat) }));

    /// Checks the access to a file: `R_OK`, `W_OK`, `X_OK`, or 0 for its existence. See faccessat2(2).
    example "ctx.block_on(ctx.submit(ops::access(caio::CWD, \"/etc/passwd\", 0)))?;"
    fn access<F: Descriptor, P: AsRef<Path>>(dir: F, path: P, mode: u32) -> Request<io::Result<()>> =
        Request::new(OnPath::new(dir, path.as_ref(), PathCall { mode, ..PathCall::of(Code::Faccessat) }));

    /// Gets an extended attribute. See fgetxattr(2).
    example "let request = ops::get_xattr(File::open(\"/etc/passwd\")?, \"user.name\", Vec::with_capacity(256));"
    fn get_xattr<F: Descriptor, N: AsRef<Path>, B: IoBufMut>(fd: F, attribute: N, buffer: B) -> Transfer<B> =
        Request::new(Getting { fd, code: Code::Fgetxattr, name: Some(name(attribute.as_ref())), buffer });

    /// Sets an extended attribute. Set `XATTR_*` with [`Request::flags`]. The result is 0. See fsetxattr(2).
    example "let request = ops::set_xattr(File::open(\"/etc/passwd\")?, \"user.name\", \"value\");"
    fn set_xattr<F: Descriptor, N: AsRef<Path>, B: IoBuf>(fd: F, attribute: N, value: B) -> Transfer<B> =
        Request::new(Setting { fd, code: Code::Fsetxattr, name: name(attribute.as_ref()), buffer: value });

    /// Removes an extended attribute. See fremovexattr(2).
    example "let request = ops::remove_xattr(File::open(\"/etc/passwd\")?, \"user.name\");"
    fn remove_xattr<F: Descriptor, N: AsRef<Path>>(fd: F, attribute: N) -> Request<io::Result<()>> =
        Request::new(OnPath::new(fd, attribute.as_ref(), PathCall::of(Code::Fremovexattr)));

    /// Lists the extended attributes. See flistxattr(2).
    example "let request = ops::list_xattr(File::open(\"/etc/passwd\")?, Vec::with_capacity(4096));"
    fn list_xattr<F: Descriptor, B: IoBufMut>(fd: F, buffer: B) -> Transfer<B> =
        Request::new(Getting { fd, code: Code::Flistxattr, name: None, buffer });

    /// Copies `len` bytes from `offset` of a file to `to_offset` of another, or to its current position. The output is the number
    /// of bytes. See copy_file_range(2).
    example "let request = ops::copy_range(File::open(\"/etc/passwd\")?, 0, std::io::stdout(), None, 100).full();"
    fn copy_range<F: Descriptor, T: Descriptor>(from: F, offset: u64, to: T, to_offset: Option<u64>, len: u64) -> Request<io::Result<u64>> =
        Request::new(Copying { code: Code::CopyRange, from, offset, to, to_offset: to_offset.map(Box::new), len });

    /// Sends `len` bytes from `offset` of a file to a socket, a pipe or a file. See sendfile(2).
    example "let request = ops::sendfile(File::open(\"/etc/passwd\")?, 0, std::io::stdout(), 100);"
    fn sendfile<F: Descriptor, T: Descriptor>(from: F, offset: u64, to: T, len: u64) -> Request<io::Result<u64>> =
        Request::new(Copying { code: Code::Sendfile, from, offset, to, to_offset: None, len });

    /// Moves `len` bytes from `from` to `to`, one of which is a pipe. An offset is None for a pipe, and for the current position
    /// of a file. Set `SPLICE_F_*` with [`Request::flags`]. See splice(2).
    example "let (_read, write) = std::io::pipe()?;\nlet request = ops::splice(File::open(\"/etc/passwd\")?, Some(0), write, None, 100);"
    fn splice<F: Descriptor, T: Descriptor>(from: F, offset: Option<u64>, to: T, to_offset: Option<u64>, len: u64) -> Request<io::Result<u64>> = {
        let offset = offset.unwrap_or(CURRENT);
        Request::new(Copying { code: Code::Splice, from, offset, to, to_offset: to_offset.map(Box::new), len })
    };

    /// Moves the current position, or finds data or a hole. `whence` is `SEEK_*`. The output is the new position. See lseek(2).
    example "let request = ops::seek(File::open(\"/etc/passwd\")?, 0, 2);"
    fn seek<F: Descriptor>(fd: F, offset: i64, whence: u32) -> Request<io::Result<u64>> =
        Request::new(OnFdSize(OnFd { fd, op: Op { offset: offset as u64, sys_flags: whence, ..Op::of(Code::Seek) } }));

    /// Tells the kernel how a range of a file will be used. `advice` is `POSIX_FADV_*`. See posix_fadvise(2).
    example "let request = ops::advise(File::open(\"/etc/passwd\")?, 0, 0, 3);"
    fn advise<F: Descriptor>(fd: F, offset: u64, len: u64, advice: u32) -> Request<io::Result<()>> =
        Request::new(OnFd { fd, op: Op { offset, len, sys_flags: advice, ..Op::of(Code::Fadvise) } });

    /// Syncs the file system of a file. See syncfs(2).
    example "let request = ops::syncfs(File::open(\"/etc/passwd\")?);"
    fn syncfs<F: Descriptor>(fd: F) -> Request<io::Result<()>> = Request::new(OnFd { fd, op: Op::of(Code::Syncfs) });

    /// Gets the status of the file system of a file. See fstatfs(2).
    example "let status = ctx.block_on(ctx.submit(ops::statfs(File::open(\"/etc\")?)))?;\nprintln!(\"{} bytes left\", status.available_blocks() * status.block_size());"
    fn statfs<F: Descriptor>(fd: F) -> Request<io::Result<FileSystem>> = Request::new(Statfs::new(fd));

    /// Creates a directory with these permissions. See mkdirat(2).
    example "let request = ops::mkdir(caio::CWD, \"name\", 0o755);"
    fn mkdir<F: Descriptor, P: AsRef<Path>>(dir: F, path: P, mode: u32) -> Request<io::Result<()>> =
        Request::new(OnPath::new(dir, path.as_ref(), PathCall { mode, ..PathCall::of(Code::Mkdirat) }));
}
