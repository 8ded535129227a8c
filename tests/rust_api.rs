//! The Rust API, on each available backend: outputs, buffers, cancelling, chains, loops, threads, panics of the program.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Wake, Waker};
use std::time::{Duration, UNIX_EPOCH};

use caio::raw::{Code, Request as Fields};
use caio::{Backend, CWD, Context, FileTime, OPENED, Op, OpenOptions, Slice, ops};

const ECANCELED: Option<i32> = Some(libc::ECANCELED);
const PATIENCE: Option<Duration> = Some(Duration::from_secs(30));

/// Runs a test with a context of each available backend.
fn on_each(test: impl Fn(Context)) {
    let mut ran = 0;
    for backend in [Backend::Uring, Backend::Linux, Backend::Thread] {
        if !backend.probe().is_available() {
            println!("not available: {}", backend.probe());
            continue;
        }
        for inline in [true, false] {
            println!("on {backend}, inline {inline}");
            test(Context::builder().backend(backend).inline(inline).build().expect("a context"));
            ran += 1;
        }
    }
    assert!(ran > 0, "no backend is available");
}

/// A folder that is removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn file(&self, content: &[u8]) -> Arc<File> {
        let path = self.0.join("file");
        fs::write(&path, content).expect("a file");
        Arc::new(File::options().read(true).write(true).open(path).expect("the file"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn pipe() -> (Arc<OwnedFd>, Arc<OwnedFd>) {
    let (read, write) = io::pipe().expect("a pipe");
    (Arc::new(read.into()), Arc::new(write.into()))
}

fn errno<T: std::fmt::Debug>(result: io::Result<T>) -> Option<i32> {
    result.expect_err("a failure").raw_os_error()
}

fn descriptors() -> usize {
    fs::read_dir("/dev/fd").expect("/dev/fd").count()
}

#[test]
fn reads_and_writes_give_back_their_buffers() {
    on_each(|ctx| {
        let folder = Folder::new("transfers");
        let file = folder.file(b"0123456789");
        let (read, buffer) = ctx.block_on(ctx.read_at(file.clone(), Vec::with_capacity(100), 4));
        assert_eq!((read.unwrap(), &buffer[..]), (6, &b"456789"[..]));
        let (read, buffer) = ctx.block_on(ctx.read_at(file.clone(), Box::new([b'x'; 8]), 8));
        assert_eq!((read.unwrap(), &buffer[..]), (2, &b"89xxxxxx"[..]));
        let (wrote, text) = ctx.block_on(ctx.write_at(file.clone(), "ab".to_string(), 1));
        assert_eq!((wrote.unwrap(), text.as_str()), (2, "ab"));
        let (wrote, _) = ctx.block_on(ctx.write_at(file.clone(), Slice::new(&b"xxcdxx"[..], 2..4), 3));
        assert_eq!(wrote.unwrap(), 2);
        let (wrote, _) = ctx.block_on(ctx.writev_at(file.clone(), vec!["e", "fg"], 5));
        assert_eq!(wrote.unwrap(), 3);
        let (read, parts) = ctx.block_on(ctx.readv_at(file.clone(), vec![vec![0; 4], vec![0; 9]], 0));
        assert_eq!((read.unwrap(), parts), (10, vec![b"0abc".to_vec(), b"defg89".to_vec()]));
        // An error leaves the buffer as it was.
        let (read, buffer) = ctx.block_on(ctx.read_at(File::open("/").unwrap(), vec![7; 3], 0));
        assert_eq!((errno(read), buffer), (Some(libc::EISDIR), vec![7; 3]));
    });
}

#[test]
fn bytes_buffers_give_back_what_was_read() {
    on_each(|ctx| {
        let folder = Folder::new("bytes");
        let file = folder.file(b"");
        let (wrote, text) = ctx.block_on(ctx.write_at(file.clone(), bytes::Bytes::from_static(b"text"), 0));
        assert_eq!((wrote.unwrap(), &text[..]), (4, &b"text"[..]));
        let (read, buffer) = ctx.block_on(ctx.read_at(file, bytes::BytesMut::with_capacity(64), 1));
        assert_eq!((read.unwrap(), &buffer[..]), (3, &b"ext"[..]));
    });
}

#[test]
fn files_are_opened_described_renamed_and_removed() {
    on_each(|ctx| {
        let folder = Folder::new("paths");
        let run = |op: Op<io::Result<()>>| ctx.block_on(op).expect("success");
        let (sub, old, new) = (folder.0.join("sub"), folder.0.join("old"), folder.0.join("new"));
        run(ctx.mkdir(CWD, &sub, 0o700));
        let file = ctx.block_on(ctx.open(CWD, &old, OpenOptions::new().write(true).create(true).mode(0o600)));
        let file = Arc::new(file.expect("a file"));
        let dir = Arc::new(File::open(&folder.0).unwrap());
        run(ctx.submit(ops::allocate(file.clone(), 0, 100)));
        run(ctx.submit(ops::truncate(file.clone(), 42)));
        run(ctx.fsync(file.clone()));
        run(ctx.fdatasync(file.clone()));
        let metadata = ctx.block_on(ctx.submit(ops::stat_fd(file.clone()))).unwrap();
        assert_eq!((metadata.len(), metadata.mode() & 0o777, metadata.is_file()), (42, 0o600, true));
        let std = fs::metadata(&old).unwrap();
        assert_eq!(metadata.modified(), std.modified().unwrap());
        run(ctx.rename(dir.clone(), "old", "new"));
        assert!(new.exists() && !old.exists());
        assert!(ctx.block_on(ctx.stat(dir.clone(), "sub")).unwrap().is_dir());
        run(ctx.unlink(dir.clone(), "new"));
        run(ctx.submit(ops::rmdir(dir.clone(), "sub")));
        assert_eq!(errno(ctx.block_on(ctx.stat(dir, "sub"))), Some(libc::ENOENT));
        run(ctx.close(Arc::into_inner(file).expect("the only one")));
    });
}

#[test]
fn links_attributes_and_copies_are_made() {
    on_each(|ctx| {
        let folder = Folder::new("more");
        let file = folder.file(b"0123456789");
        let dir = Arc::new(File::open(&folder.0).unwrap());
        let run = |request: caio::Request<io::Result<()>>| ctx.block_on(ctx.submit(request)).expect("success");
        run(ops::link(dir.clone(), "file", dir.clone(), "second"));
        run(ops::symlink("file", dir.clone(), "symbolic"));
        let (size, target) = ctx.block_on(ctx.submit(ops::read_link(dir.clone(), "symbolic", Vec::with_capacity(100))));
        assert_eq!((size.unwrap(), &target[..]), (4, &b"file"[..]));
        run(ops::mkdir(dir.clone(), "sub", 0o755));
        run(ops::rename_between(dir.clone(), "second", Arc::new(File::open(folder.0.join("sub")).unwrap()), "moved"));
        assert!(folder.0.join("sub/moved").exists());
        run(ops::chmod(dir.clone(), "file", 0o640));
        run(ops::access(dir.clone(), "file", libc::R_OK as u32));
        assert_eq!(ctx.block_on(ctx.stat(dir.clone(), "file")).unwrap().mode() & 0o777, 0o640);
        let (size, entries) = ctx.block_on(ctx.submit(ops::read_dir(dir.clone(), Vec::with_capacity(4096))));
        assert!(size.unwrap() == entries.len() && entries.windows(9).any(|bytes| bytes == b"symbolic\0"));
        // The offset in the destination is read when the operation is accepted.
        let copy = ops::copy_range(file.clone(), 2, file.clone(), Some(20), 3).full();
        assert_eq!(ctx.block_on(ctx.submit(copy)).unwrap(), 3);
        assert_eq!(&fs::read(folder.0.join("file")).unwrap()[20..], b"234");
        let (read, write) = pipe();
        assert_eq!(ctx.block_on(ctx.submit(ops::sendfile(file.clone(), 1, write, 4))).unwrap(), 4);
        assert_eq!(ctx.block_on(ctx.read(read, vec![0; 9])).1, b"1234");
        assert_eq!(ctx.block_on(ctx.submit(ops::seek(file.clone(), 5, libc::SEEK_SET as u32))).unwrap(), 5);
        assert_eq!(ctx.block_on(ctx.read(file.clone(), vec![0; 2])).1, b"56");
        run(ops::advise(file.clone(), 0, 0, libc::POSIX_FADV_RANDOM as u32));
        run(ops::syncfs(file.clone()));
    });
}

#[test]
fn owners_times_nodes_and_file_systems_are_as_the_plain_calls_say() {
    on_each(|ctx| {
        let folder = Folder::new("attributes-of-files");
        let file = folder.file(b"0123456789");
        let dir = Arc::new(File::open(&folder.0).unwrap());
        let run = |request: caio::Request<io::Result<()>>| ctx.block_on(ctx.submit(request));
        let metadata = || fs::metadata(folder.0.join("file")).unwrap();
        run(ops::chown(dir.clone(), "file", None, Some(metadata().gid()))).unwrap();
        if metadata().uid() == 0 {
            run(ops::chown(dir.clone(), "file", Some(12), None)).unwrap();
            assert_eq!((metadata().uid(), metadata().gid()), (12, 0));
        } else {
            assert_eq!(errno(run(ops::chown(dir.clone(), "file", Some(0), None))), Some(libc::EPERM));
        }
        let (old, before) = (UNIX_EPOCH + Duration::new(1000, 5), UNIX_EPOCH - Duration::new(1, 1));
        run(ops::set_times(dir.clone(), "file", FileTime::At(old), FileTime::At(before))).unwrap();
        assert_eq!((metadata().accessed().unwrap(), metadata().modified().unwrap()), (old, before));
        run(ops::set_times(dir.clone(), "file", FileTime::Unchanged, FileTime::Now)).unwrap();
        assert!(metadata().accessed().unwrap() == old && metadata().modified().unwrap() > old);
        run(ops::mknod(dir.clone(), "fifo", libc::S_IFIFO | 0o600, 0)).unwrap();
        assert!(fs::metadata(folder.0.join("fifo")).unwrap().file_type().is_fifo());
        let status = ctx.block_on(ctx.submit(ops::statfs(file))).unwrap();
        // SAFETY: plain data, filled by the call.
        let mut plain: libc::statfs64 = unsafe { std::mem::zeroed() };
        // SAFETY: `plain` is live.
        assert_eq!(unsafe { libc::fstatfs64(dir.as_raw_fd(), &raw mut plain) }, 0);
        assert_eq!((status.kind(), status.blocks()), (plain.f_type as u32, plain.f_blocks));
        assert_eq!((status.files(), status.block_size()), (plain.f_files, plain.f_bsize as u64));
        assert!(status.available_blocks() <= status.free_blocks() && status.free_blocks() <= status.blocks());
        assert!(status.free_files() <= status.files());
    });
}

#[test]
fn splice_moves_from_a_file_to_a_pipe_and_back() {
    on_each(|ctx| {
        let folder = Folder::new("splice");
        let file = folder.file(b"0123456789");
        let (read, write) = pipe();
        assert_eq!(ctx.block_on(ctx.submit(ops::splice(file.clone(), Some(2), write, None, 3))).unwrap(), 3);
        assert_eq!(ctx.block_on(ctx.submit(ops::splice(read, None, file.clone(), Some(7), 3))).unwrap(), 3);
        assert_eq!(fs::read(folder.0.join("file")).unwrap(), b"0123456234");
        let both_files = ops::splice(file.clone(), None, file, None, 1);
        assert_eq!(errno(ctx.block_on(ctx.submit(both_files))), Some(libc::EINVAL));
    });
}

#[test]
fn a_resolved_open_stays_beneath_its_folder() {
    const RESOLVE_BENEATH: u64 = 8;
    on_each(|ctx| {
        let folder = Folder::new("resolve");
        folder.file(b"inside");
        let dir = Arc::new(File::open(&folder.0).unwrap());
        let mut beneath = OpenOptions::new();
        beneath.read(true).resolve(RESOLVE_BENEATH);
        let outside = ctx.open(dir.clone(), "../outside", &beneath);
        assert_eq!(errno(ctx.block_on(outside)), Some(libc::EXDEV));
        let inside = ctx.block_on(ctx.open(dir.clone(), "file", &beneath)).unwrap();
        assert_eq!(ctx.block_on(ctx.read(inside, vec![0; 9])).1, b"inside");
        let (open, read, close) = ctx.submit_chain((
            ops::open_for_chain(dir.clone(), "file", &beneath),
            ops::read_at(OPENED, vec![0; 2], 2),
            ops::close_opened(),
        ));
        ctx.block_on(async { (open.await.unwrap(), close.await.unwrap()) });
        assert_eq!(ctx.block_on(read).1, b"si");
        // A new file gets the permissions.
        let new =
            ctx.open(dir, "new", OpenOptions::new().write(true).create(true).mode(0o600).resolve(RESOLVE_BENEATH));
        ctx.block_on(new).unwrap();
        assert_eq!(fs::metadata(folder.0.join("new")).unwrap().mode() & 0o777, 0o600);
    });
}

#[test]
fn a_raw_operation_gives_back_what_it_owned() {
    on_each(|ctx| {
        let folder = Folder::new("raw");
        let file = folder.file(b"0123456789");
        let mut buffer = vec![0u8; 4];
        let (fd, memory) = (file.as_raw_fd(), buffer.as_mut_ptr().cast());
        // Its own options are ignored.
        let read = Fields { fd, memory, len: 4, offset: 3, link: true, ..Fields::new(Code::Read) };
        // SAFETY: the operation owns the buffer, on the heap, and the file.
        let read = unsafe { ops::raw(read, (buffer, file.clone())) };
        let (result, (buffer, _)) = ctx.block_on(ctx.submit(read));
        assert_eq!((result.unwrap(), &buffer[..]), (4, &b"3456"[..]));
        // The second directory.
        let dir = Arc::new(File::open(&folder.0).unwrap());
        let [mut old, mut new] = [b"file\0".to_vec(), b"moved\0".to_vec()];
        let (fd, offset) = (dir.as_raw_fd(), dir.as_raw_fd() as u64);
        let (memory, memory2) = (old.as_mut_ptr().cast(), new.as_mut_ptr().cast());
        let rename = Fields { fd, memory, memory2, offset, dir2: true, ..Fields::new(Code::Renameat) };
        // SAFETY: the operation owns the paths, on the heap, and the directory.
        let rename = unsafe { ops::raw(rename, (old, new, dir)) };
        assert_eq!(ctx.block_on(ctx.submit(rename)).0.unwrap(), 0);
        assert!(folder.0.join("moved").exists());
        let malformed = [
            Fields { len: 1, ..Fields::new(Code::Statx) },
            Fields { dir2: true, ..Fields::new(Code::Read) },
            Fields { offset: 5, ..Fields::new(Code::Renameat) },
        ];
        for fields in malformed {
            // SAFETY: it has no memory and no descriptor.
            let (result, owned) = ctx.block_on(ctx.submit(unsafe { ops::raw(fields, "owned") }));
            assert_eq!((errno(result), owned), (Some(libc::EINVAL), "owned"), "{fields:?}");
        }
    });
}

#[test]
fn an_attribute_comes_back_as_it_was_set() {
    on_each(|ctx| {
        let folder = Folder::new("attributes");
        let file = folder.file(b"");
        let set = ops::set_xattr(file.clone(), "user.name", "value");
        match ctx.block_on(ctx.submit(set)).0 {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return,
            result => assert_eq!(result.unwrap(), 0),
        }
        let get = |buffer| ctx.block_on(ctx.submit(ops::get_xattr(file.clone(), "user.name", buffer)));
        let (size, value) = get(Vec::with_capacity(64));
        assert_eq!((size.unwrap(), &value[..]), (5, &b"value"[..]));
        // Without room, the result is the size that is needed.
        let (size, value) = get(Vec::new());
        assert_eq!((size.unwrap(), value.len()), (5, 0));
        let (size, names) = ctx.block_on(ctx.submit(ops::list_xattr(file.clone(), Vec::with_capacity(4096))));
        assert!(size.unwrap() > 0 && names.windows(10).any(|bytes| bytes == b"user.name\0"));
        ctx.block_on(ctx.submit(ops::remove_xattr(file.clone(), "user.name"))).unwrap();
        assert_eq!(
            errno(ctx.block_on(ctx.submit(ops::get_xattr(file, "user.name", vec![0; 9]))).0),
            Some(libc::ENODATA)
        );
    });
}

#[test]
fn options_that_an_operation_does_not_have_are_refused() {
    on_each(|ctx| {
        let file = Arc::new(File::open("/etc/passwd").unwrap());
        for request in [
            ops::fsync(file.clone()).full(),
            ops::fsync(file.clone()).flags(1),
            ops::unlink(CWD, "a null\0byte"),
            ops::mkdir(CWD, "/tmp", 0).flags(1),
        ] {
            assert_eq!(errno(ctx.block_on(ctx.submit(request))), Some(libc::EINVAL));
        }
        let (stat, unlink) = ctx.submit_chain((ops::stat(CWD, "/etc"), ops::unlink(CWD, "\0")));
        assert_eq!(errno(ctx.block_on(stat)), ECANCELED);
        assert_eq!(errno(ctx.block_on(unlink)), Some(libc::EINVAL));
    });
}

#[test]
fn a_chain_stops_at_the_first_failure() {
    on_each(|ctx| {
        let folder = Folder::new("chain");
        let file = folder.file(b"");
        let target = folder.0.join("target");
        let write = |text| ops::write_at(file.clone(), text, 0).full();
        let (write_1, fsync, rename) = ctx.submit_chain((
            write("text"),
            ops::fsync(file.clone()),
            ops::rename(CWD, folder.0.join("file"), &target),
        ));
        ctx.block_on(async { (write_1.await.0.unwrap(), fsync.await.unwrap(), rename.await.unwrap()) });
        assert_eq!(fs::read(&target).unwrap(), b"text");
        let missing = ops::unlink(CWD, folder.0.join("missing"));
        let (unlink, write_2) = ctx.submit_chain((missing, write("more")));
        assert_eq!(errno(ctx.block_on(unlink)), Some(libc::ENOENT));
        let (wrote, text) = ctx.block_on(write_2);
        assert_eq!((errno(wrote), text), (ECANCELED, "more"));
        assert_eq!(fs::read(&target).unwrap(), b"text");
    });
}

#[test]
fn a_chain_opens_and_closes_its_own_file() {
    on_each(|ctx| {
        let folder = Folder::new("opened");
        let path = folder.0.join("file");
        let before = descriptors();
        let create = OpenOptions::new().write(true).create(true).clone();
        for _ in 0..20 {
            let (open, write, sync, close) = ctx.submit_chain((
                ops::open_for_chain(CWD, &path, &create),
                ops::write_at(OPENED, "content", 0).full(),
                ops::fsync(OPENED),
                ops::close_opened(),
            ));
            ctx.block_on(async {
                (open.await.unwrap(), write.await.0.unwrap(), sync.await.unwrap(), close.await.unwrap())
            });
            assert_eq!(fs::read(&path).unwrap(), b"content");
            let (open, stat, read, close) = ctx.submit_chain((
                ops::open_for_chain(CWD, &path, OpenOptions::new().read(true)),
                ops::stat_fd(OPENED),
                ops::read_at(OPENED, vec![0; 100], 0),
                ops::close_opened(),
            ));
            let output = ctx.block_on(async { (open.await.unwrap(), stat.await, read.await, close.await.unwrap()) });
            assert_eq!((output.1.unwrap().len(), output.2.0.unwrap()), (7, 7));
        }
        assert!(descriptors() < before + 20, "the chains leave their files open");
    });
}

#[test]
fn a_chain_that_would_leave_its_file_open_is_refused() {
    on_each(|ctx| {
        const EINVAL: Option<i32> = Some(libc::EINVAL);
        let open = || ops::open_for_chain(CWD, "/etc/passwd", OpenOptions::new().read(true));
        let owned = || ops::open(CWD, "/etc/passwd", OpenOptions::new().read(true));
        assert_eq!(errno(ctx.block_on(ctx.submit(open()))), EINVAL);
        assert_eq!(errno(ctx.block_on(ctx.submit(ops::close_opened()))), EINVAL);
        let (open_1, nop) = ctx.submit_chain((open(), ops::nop()));
        assert_eq!([open_1, nop].map(|op| errno(ctx.block_on(op))), [EINVAL; 2]);
        let (open_2, close) = ctx.submit_chain((owned(), ops::close_opened()));
        assert_eq!((errno(ctx.block_on(open_2)), errno(ctx.block_on(close))), (EINVAL, EINVAL));
        // The program could close this file while the chain uses it.
        let (open_3, stat) = ctx.submit_chain((owned(), ops::stat_fd(OPENED)));
        assert_eq!((errno(ctx.block_on(open_3)), errno(ctx.block_on(stat))), (EINVAL, EINVAL));
        let (open_4, open_5, close) = ctx.submit_chain((open(), owned(), ops::close_opened()));
        assert_eq!((errno(ctx.block_on(open_4)), errno(ctx.block_on(open_5))), (EINVAL, EINVAL));
        drop(close);
        // A request that is refused does not affect the others.
        let [bad, good] = ctx.submit([ops::close_opened(), ops::nop()]);
        assert_eq!((errno(ctx.block_on(bad)), ctx.block_on(good).unwrap()), (EINVAL, ()));
    });
}

#[test]
fn a_timeout_stops_an_operation() {
    on_each(|ctx| {
        let (read, _write) = pipe();
        let (result, buffer) = ctx.block_on(ctx.submit(ops::read(read, vec![1; 8]).timeout(Duration::from_millis(2))));
        assert_eq!((result.unwrap_err().kind(), buffer), (ErrorKind::TimedOut, vec![1; 8]));
    });
}

#[test]
fn dropping_an_operation_cancels_it() {
    on_each(|ctx| {
        let (read, write) = pipe();
        drop(ctx.read(read.clone(), vec![0; 8]));
        while ctx.stats().unwrap().in_flight > 0 {
            ctx.wait(PATIENCE).unwrap();
        }
        // The cancelled read has released its descriptor and has taken no byte.
        assert_eq!(Arc::strong_count(&read), 1);
        ctx.block_on(ctx.write(write, "x")).0.unwrap();
        assert_eq!(ctx.block_on(ctx.read(read, vec![0; 8])).0.unwrap(), 1);
    });
}

#[test]
fn the_descriptor_of_an_open_that_nobody_awaits_is_closed() {
    on_each(|ctx| {
        let before = descriptors();
        for _ in 0..20 {
            drop(ctx.open(CWD, "/etc/passwd", OpenOptions::new().read(true)));
            ctx.open(CWD, "/etc/passwd", OpenOptions::new().read(true)).detach();
        }
        while ctx.stats().unwrap().in_flight > 0 {
            ctx.wait(PATIENCE).unwrap();
        }
        let dropped: Vec<_> = (0..20).map(|_| ctx.open(CWD, "/etc/passwd", OpenOptions::new().read(true))).collect();
        drop(ctx);
        drop(dropped);
        // Other tests open files at the same time, but do not leak as many.
        let leaked = || descriptors().saturating_sub(before) >= 20;
        let mut checks = 0;
        while leaked() && checks < 300 {
            checks += 1;
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(!leaked());
    });
}

#[test]
fn dropping_the_context_completes_every_operation() {
    on_each(|ctx| {
        let (read, _write) = pipe();
        let file = Arc::new(File::open("/etc/passwd").unwrap());
        let waiting: Vec<Op<_>> = (0..10).map(|_| ctx.read(read.clone(), vec![0; 8])).collect();
        let finished = ctx.read_at(file.clone(), vec![0; 8], 0);
        let close = ctx.close(file.try_clone().unwrap());
        drop(ctx);
        for op in waiting {
            let (result, buffer) = op.take().expect("complete");
            assert_eq!((errno(result), buffer.len()), (ECANCELED, 8));
        }
        let (result, _) = finished.take().expect("complete");
        assert!(result.as_ref().is_ok_and(|size| *size == 8) || errno(result) == ECANCELED);
        assert!(close.is_complete());
        assert_eq!((Arc::strong_count(&read), Arc::strong_count(&file)), (1, 1));
    });
}

#[test]
fn a_full_context_gives_back_the_buffer() {
    let ctx = Context::builder().max_requests(2).build().unwrap();
    let (read, write) = pipe();
    let ops: Vec<_> = (0..3).map(|number| ctx.read(read.clone(), vec![number; 1])).collect();
    let [first, second, third] = <[_; 3]>::try_from(ops).unwrap();
    let (result, buffer) = third.take().expect("complete");
    assert_eq!((result.unwrap_err().kind(), buffer), (ErrorKind::WouldBlock, vec![2]));
    first.cancel();
    assert_eq!(errno(ctx.block_on(first).0), ECANCELED);
    ctx.block_on(ctx.write(write, "x")).0.unwrap();
    assert_eq!(ctx.block_on(second).0.unwrap(), 1);
}

#[test]
fn a_plain_poll_loop_completes_operations() {
    on_each(|ctx| {
        let (read, write) = pipe();
        let op = ctx.read(read, vec![0; 8]);
        ctx.poll().unwrap();
        assert!(!op.is_complete());
        ctx.write(write, "text").detach();
        let mut poll = libc::pollfd { fd: ctx.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        while !op.is_complete() {
            // SAFETY: one live pollfd.
            assert_eq!(unsafe { libc::poll(&mut poll, 1, 30_000) }, 1);
            ctx.poll().unwrap();
        }
        let (read, buffer) = op.take().expect("complete");
        assert_eq!((read.unwrap(), &buffer[..]), (4, &b"text"[..]));
    });
}

#[test]
fn a_wake_ends_a_wait_of_another_thread() {
    on_each(|ctx| {
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| ctx.wait(None));
            ctx.wake();
            assert_eq!(waiter.join().unwrap().unwrap(), 0);
        });
    });
}

#[test]
fn several_threads_wait_for_their_own_operations() {
    on_each(|ctx| {
        let ctx = &ctx;
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                scope.spawn(move || {
                    let (read, write) = pipe();
                    for round in 0..100u8 {
                        let reading = ctx.read(read.clone(), vec![0; 4]);
                        ctx.block_on(ctx.write(write.clone(), vec![thread, round])).0.unwrap();
                        let (size, buffer) = ctx.block_on(reading);
                        assert_eq!((size.unwrap(), buffer), (2, vec![thread, round]));
                    }
                });
            }
        });
    });
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker of the program");
    }
}

/// Takes events until none is in flight, and returns how many calls panicked.
fn panics_while_completing(ctx: &Context) -> u32 {
    let mut panics = 0;
    while ctx.stats().unwrap().in_flight > 0 {
        match catch_unwind(AssertUnwindSafe(|| ctx.wait(PATIENCE))) {
            Ok(completed) => drop(completed.unwrap()),
            Err(_) => panics += 1,
        }
    }
    panics
}

#[test]
fn a_panic_of_a_waker_or_callback_loses_no_completion() {
    on_each(|ctx| {
        let (read, write) = pipe();
        let waker = Waker::from(Arc::new(Panics));
        let mut panicking = Box::pin(ctx.read(read.clone(), vec![0; 1]));
        let poll = panicking.as_mut().poll(&mut std::task::Context::from_waker(&waker));
        assert!(poll.is_pending());
        let (sender, receiver) = mpsc::channel();
        for _ in 0..20 {
            let sender = sender.clone();
            ctx.read(read.clone(), vec![0; 1]).on_complete(move |output| sender.send(output).unwrap());
        }
        ctx.write(write, vec![b'x'; 21]).detach();
        assert_eq!(panics_while_completing(&ctx), 1);
        assert_eq!(receiver.try_iter().filter(|(read, _)| read.as_ref().is_ok_and(|size| *size == 1)).count(), 20);
        assert!(panicking.is_complete());
        ctx.read_at(File::open("/etc/passwd").unwrap(), vec![0; 1], 0).on_complete(|_| panic!("a callback"));
        assert_eq!(panics_while_completing(&ctx), 1);
        ctx.block_on(ctx.stat(CWD, "/etc")).expect("the context works on");
    });
}

#[test]
fn handles_can_be_sent_and_shared() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send + Unpin>() {}
    shared::<Context>();
    shared::<caio::Builder>();
    sent::<Op<(io::Result<usize>, Vec<u8>)>>();
    sent::<caio::Request<io::Result<OwnedFd>>>();
}
