//! What Miri checks with a simulated core, and every other run with the real one: no operation's memory is freed, moved or
//! accessed before its event, whatever becomes of the handles.

use std::sync::Arc;
use std::time::Duration;

use super::{CWD, Context, FileTime, Op, OpenOptions, Request, Slice, ops};
use crate::op::Code;

/// A file for the real core. The simulated one has no files.
struct Any(#[cfg(not(miri))] std::fs::File);

#[cfg(miri)]
impl std::os::fd::AsFd for Any {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        super::owned::borrowed(self, 0)
    }
}
#[cfg(not(miri))]
impl std::os::fd::AsFd for Any {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn file() -> Arc<Any> {
    #[cfg(miri)]
    return Arc::new(Any());
    #[cfg(not(miri))]
    Arc::new(Any(std::fs::File::open(file!()).expect("this file")))
}

/// A pipe without data: a read of it waits.
fn pipe() -> (Arc<Any>, impl Drop) {
    #[cfg(miri)]
    return (file(), Vec::<u8>::new().into_iter());
    #[cfg(not(miri))]
    {
        let (read, write) = std::io::pipe().expect("a pipe");
        (Arc::new(Any(std::os::fd::OwnedFd::from(read).into())), std::os::fd::OwnedFd::from(write))
    }
}

fn context() -> Context {
    Context::new().expect("a context")
}

#[test]
fn each_kind_of_buffer_comes_back_filled() {
    let (ctx, file) = (context(), file());
    let (read, buffer) = ctx.block_on(ctx.read_at(file.clone(), Vec::with_capacity(10), 0));
    assert_eq!((read.unwrap(), buffer.len()), (10, 10));
    let (read, buffer) = ctx.block_on(ctx.read_at(file.clone(), Box::new([0; 10]), 0));
    assert_eq!((read.unwrap(), buffer.contains(&0)), (10, false));
    let (read, buffer) = ctx.block_on(ctx.read_at(file.clone(), vec![0; 10].into_boxed_slice(), 0));
    assert_eq!((read.unwrap(), buffer.contains(&0)), (10, false));
    let (read, part) = ctx.block_on(ctx.read_at(file.clone(), Slice::new(vec![0; 10], 2..4), 0));
    assert_eq!((read.unwrap(), part.into_inner().iter().filter(|byte| **byte == 0).count()), (2, 8));
    let (read, parts) = ctx.block_on(ctx.readv_at(file, vec![vec![0; 3], vec![0; 4]], 0));
    assert_eq!((read.unwrap(), parts[0].len(), parts[1].len()), (7, 3, 4));
}

#[test]
fn memory_outlives_a_dropped_operation() {
    let (ctx, (pipe, _end)) = (context(), pipe());
    for _ in 0..4 {
        drop(ctx.read_at(file(), vec![0; 64], 0));
        drop(ctx.readv_at(file(), vec![Box::new([0; 16]), Box::new([0; 16])], 0));
        drop(ctx.stat(CWD, "/"));
        drop(ctx.read(pipe.clone(), vec![0; 64]));
        ctx.read_at(file(), vec![0; 64].into_boxed_slice(), 0).detach();
        ctx.poll().unwrap();
    }
    drop(ctx);
}

#[test]
fn memory_outlives_the_context() {
    let (pipe, _end) = pipe();
    let ops: Vec<Op<_>> = {
        let ctx = context();
        (0..4).map(|_| ctx.read(pipe.clone(), vec![0; 64])).collect()
    };
    for op in ops {
        let (result, buffer) = op.take().expect("complete");
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
        assert_eq!(buffer, [0; 64]);
    }
}

/// Miri runs it without its search for leaks.
#[test]
fn memory_outlives_forgotten_handles() {
    let ctx = context();
    std::mem::forget(ctx.read_at(file(), vec![0; 64], 0));
    let op = ctx.read_at(file(), vec![0; 64], 0);
    std::mem::forget(ctx);
    drop(op);
}

#[test]
fn any_thread_completes_and_drops_operations() {
    let ctx = context();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..4 {
                    let (read, _) = ctx.block_on(ctx.read_at(file(), vec![0; 32], 0));
                    assert_eq!(read.unwrap(), 32);
                    drop(ctx.read_at(file(), vec![0; 32], 0));
                }
            });
        }
        let moved = ctx.read_at(file(), vec![0; 32], 0);
        scope.spawn(move || drop(moved));
    });
}

#[test]
fn callbacks_get_the_output_once() {
    let ctx = context();
    let (sender, receiver) = std::sync::mpsc::channel();
    for _ in 0..4 {
        let sender = sender.clone();
        ctx.read_at(file(), vec![0; 8], 0).on_complete(move |output| sender.send(output).unwrap());
    }
    for _ in 0..4 {
        let (read, buffer) = loop {
            match receiver.try_recv() {
                Ok(output) => break output,
                Err(_) => ctx.wait(Some(Duration::from_secs(30))).unwrap(),
            };
        };
        assert_eq!((read.unwrap(), buffer.len()), (8, 8));
    }
    assert!(receiver.try_recv().is_err());
}

#[test]
fn a_batch_gives_back_every_buffer() {
    let ctx = context();
    let (a, b) = ctx.submit((ops::read_at(file(), vec![0; 8], 0), ops::read_at(file(), Box::new([0; 4]), 0)));
    let rest = ctx.submit(vec![ops::read_at(file(), vec![0; 2], 0), ops::read_at(file(), vec![0; 3], 0)]);
    let sizes = ctx.block_on(async {
        let mut sizes = vec![a.await.0.unwrap(), b.await.0.unwrap()];
        for op in rest {
            sizes.push(op.await.0.unwrap());
        }
        sizes
    });
    assert_eq!(sizes, [8, 4, 2, 3]);
}

fn code<O>(request: Request<O>) -> Code {
    request.describe().expect("well-formed").code
}

#[test]
fn each_opcode_has_a_request() {
    let any = file;
    let buffer = || vec![0; 8];
    let requests = [
        code(ops::nop()),
        code(ops::read_at(any(), buffer(), 0)),
        code(ops::write_at(any(), buffer(), 0)),
        code(ops::fsync(any())),
        code(ops::fdatasync(any())),
        code(ops::readv_at(any(), vec![buffer()], 0)),
        code(ops::writev_at(any(), vec![buffer()], 0)),
        code(ops::sync_range(any(), 0, 1)),
        code(ops::allocate(any(), 0, 1)),
        code(ops::truncate(any(), 0)),
        code(ops::open(CWD, "name", &OpenOptions::new())),
        code(ops::close_opened()),
        code(ops::stat(CWD, "name")),
        code(ops::rename(CWD, "old", "new")),
        code(ops::unlink(CWD, "name")),
        code(ops::mkdir(CWD, "name", 0o755)),
        code(ops::read_link(CWD, "name", buffer())),
        code(ops::symlink("target", CWD, "name")),
        code(ops::link(CWD, "old", CWD, "new")),
        code(ops::read_dir(any(), buffer())),
        code(ops::copy_range(any(), 0, any(), None, 1)),
        code(ops::sendfile(any(), 0, any(), 1)),
        code(ops::splice(any(), None, any(), None, 1)),
        code(ops::advise(any(), 0, 0, 0)),
        code(ops::seek(any(), 0, 0)),
        code(ops::chmod(CWD, "name", 0o644)),
        code(ops::chown(CWD, "name", None, None)),
        code(ops::set_times(CWD, "name", FileTime::Now, FileTime::Unchanged)),
        code(ops::access(CWD, "name", 0)),
        code(ops::get_xattr(any(), "user.name", buffer())),
        code(ops::set_xattr(any(), "user.name", buffer())),
        code(ops::list_xattr(any(), buffer())),
        code(ops::remove_xattr(any(), "user.name")),
        code(ops::open_for_chain(CWD, "name", OpenOptions::new().resolve(8))),
        code(ops::syncfs(any())),
        code(ops::mknod(CWD, "name", 0o600, 0)),
        code(ops::statfs(any())),
    ];
    let all: Vec<Code> = (0..=u8::MAX).map_while(Code::from_number).collect();
    assert_eq!(requests[..], all[..], "in the order of the numbers");
}
