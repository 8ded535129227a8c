//! What the kernel asks, answered from the store as the rules want it.

use std::ffi::OsStr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use crate::control::{Shared, State, Sync, later};
use crate::rules::{End, Kind};
use crate::store::{CONTROL, Node, NodeKind, ROOT};

const CONTROL_NAME: &str = ".control";
/// Nothing is remembered by the kernel but pages of open files.
const FORGET: Duration = Duration::ZERO;
const BLOCK: u32 = 4096;
const ANY: std::ops::Range<u64> = 0..0;

#[derive(Default)]
pub struct FaultFs {
    shared: Shared,
}

/// An answer: a value, or an errno.
type Answer<T> = Result<T, i32>;

/// Runs `body` unless the request has to fail.
fn unless_failing<T>(end: End, body: impl FnOnce() -> Answer<T>) -> Answer<T> {
    match end {
        End::Fails(errno) => Err(errno),
        _ => body(),
    }
}

/// Sends an answer by one of two methods of the same reply.
macro_rules! send {
    ($reply:ident, $answer:expr, $value:ident => $good:expr) => {
        match $answer {
            Ok($value) => $good,
            Err(errno) => $reply.error(Errno::from_i32(errno)),
        }
    };
}

fn attributes(number: u64, node: &Node) -> FileAttr {
    FileAttr {
        ino: INodeNo(number),
        size: node.data.len() as u64,
        blocks: node.data.len().div_ceil(512) as u64,
        atime: node.accessed,
        mtime: node.modified,
        ctime: node.modified,
        crtime: node.modified,
        kind: file_type(node.kind),
        perm: node.mode,
        nlink: if node.kind == NodeKind::Folder { 2 } else { 1 },
        uid: node.uid,
        gid: node.gid,
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    }
}

fn file_type(kind: NodeKind) -> FileType {
    match kind {
        NodeKind::File => FileType::RegularFile,
        NodeKind::Folder => FileType::Directory,
        NodeKind::Link => FileType::Symlink,
    }
}

fn control_attributes() -> FileAttr {
    attributes(CONTROL, &Node::new(NodeKind::File, 0o666, (0, 0)))
}

impl State {
    fn attributes(&mut self, number: u64) -> Answer<FileAttr> {
        if number == CONTROL {
            return Ok(control_attributes());
        }
        self.store.node(number).map(|node| attributes(number, node))
    }

    fn add(&mut self, folder: u64, name: &OsStr, node: Node) -> Answer<FileAttr> {
        if folder == ROOT && name == CONTROL_NAME {
            return Err(libc::EEXIST);
        }
        let number = self.store.add(folder, name, node)?;
        self.attributes(number)
    }

    fn read(&mut self, number: u64, offset: u64, size: usize) -> Answer<Vec<u8>> {
        let data = &self.store.node(number)?.data;
        let start = (offset as usize).min(data.len());
        Ok(data[start..(start + size).min(data.len())].to_vec())
    }

    /// As many of `bytes` as there is room for.
    fn write(&mut self, number: u64, offset: u64, bytes: &[u8]) -> Answer<u32> {
        let room = self.full.map_or(bytes.len() as u64, |full| full.saturating_sub(offset)).min(bytes.len() as u64);
        if room == 0 && !bytes.is_empty() {
            return Err(libc::ENOSPC);
        }
        self.store.write(number, offset as usize, &bytes[..room as usize])?;
        Ok(room as u32)
    }

    fn allocate(&mut self, number: u64, end: u64, mode: i32) -> Answer<()> {
        if mode & !libc::FALLOC_FL_KEEP_SIZE != 0 {
            return Err(libc::EOPNOTSUPP);
        }
        if self.full.is_some_and(|full| end > full) {
            return Err(libc::ENOSPC);
        }
        let grows = mode == 0 && end > self.store.node(number)?.data.len() as u64;
        if grows { self.store.resize(number, end as usize) } else { Ok(()) }
    }

    fn open_flags(&self, number: u64) -> FopenFlags {
        if self.direct || number == CONTROL {
            FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES
        } else {
            FopenFlags::empty()
        }
    }
}

fn time(wanted: TimeOrNow) -> SystemTime {
    match wanted {
        TimeOrNow::SpecificTime(time) => time,
        TimeOrNow::Now => SystemTime::now(),
    }
}

impl FaultFs {
    /// Makes something new in a folder.
    fn make(&self, kind: Kind, folder: INodeNo, name: &OsStr, node: Node, reply: ReplyEntry) {
        let name = name.to_owned();
        self.shared.request(kind, ANY, move |shared, end| {
            let made = unless_failing(end, || shared.lock().add(folder.into(), &name, node));
            send!(reply, made, attributes => reply.entry(&FORGET, &attributes, Generation(0)));
        });
    }

    fn remove(&self, folder: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        self.shared.request(Kind::Unlink, ANY, move |shared, end| {
            let removed = unless_failing(end, || shared.lock().store.remove(folder.into(), &name));
            send!(reply, removed, _done => reply.ok());
        });
    }
}

impl Filesystem for FaultFs {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        let wanted = [InitFlags::FUSE_BIG_WRITES, InitFlags::FUSE_MAX_PAGES, InitFlags::FUSE_ASYNC_DIO];
        let _ = wanted.map(|capability| config.add_capabilities(capability));
        // Requests that hang must not keep others, nor commands, from coming.
        let _ = config.set_max_background(4096);
        let _ = config.set_congestion_threshold(4096);
        Ok(())
    }

    fn lookup(&self, _: &Request, folder: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if folder == INodeNo::ROOT && name == CONTROL_NAME {
            return reply.entry(&FORGET, &control_attributes(), Generation(0));
        }
        let name = name.to_owned();
        self.shared.request(Kind::Lookup, ANY, move |shared, end| {
            let mut state = shared.lock();
            let found = unless_failing(end, || {
                let number = state.store.find(folder.into(), &name)?;
                state.attributes(number)
            });
            send!(reply, found, attributes => reply.entry(&FORGET, &attributes, Generation(0)));
        });
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        if number == INodeNo(CONTROL) {
            return reply.attr(&FORGET, &control_attributes());
        }
        self.shared.request(Kind::Getattr, ANY, move |shared, end| {
            let known = unless_failing(end, || shared.lock().attributes(number.into()));
            send!(reply, known, attributes => reply.attr(&FORGET, &attributes));
        });
    }

    #[allow(clippy::too_many_arguments)] // the trait's
    fn setattr(
        &self,
        _: &Request,
        number: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        if number == INodeNo(CONTROL) {
            return reply.attr(&FORGET, &control_attributes());
        }
        self.shared.request(Kind::Setattr, ANY, move |shared, end| {
            let mut state = shared.lock();
            let changed = unless_failing(end, || {
                if let Some(size) = size {
                    if state.full.is_some_and(|full| size > full) {
                        return Err(libc::ENOSPC);
                    }
                    state.store.resize(number.into(), size as usize)?;
                }
                let node = state.store.node(number.into())?;
                node.mode = mode.map_or(node.mode, |mode| mode as u16 & 0o7777);
                (node.uid, node.gid) = (uid.unwrap_or(node.uid), gid.unwrap_or(node.gid));
                node.accessed = accessed.map_or(node.accessed, time);
                node.modified = modified.map_or(node.modified, time);
                state.attributes(number.into())
            });
            send!(reply, changed, attributes => reply.attr(&FORGET, &attributes));
        });
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        let target = self.shared.lock().read(number.into(), 0, libc::PATH_MAX as usize);
        send!(reply, target, target => reply.data(&target));
    }

    fn mkdir(&self, request: &Request, folder: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let node = Node::new(NodeKind::Folder, (mode & !umask) as u16 & 0o7777, (request.uid(), request.gid()));
        self.make(Kind::Mkdir, folder, name, node, reply);
    }

    fn symlink(&self, request: &Request, folder: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let mut node = Node::new(NodeKind::Link, 0o777, (request.uid(), request.gid()));
        node.data = target.as_os_str().as_encoded_bytes().to_vec();
        self.make(Kind::Create, folder, name, node, reply);
    }

    fn unlink(&self, _: &Request, folder: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.remove(folder, name, reply);
    }

    fn rmdir(&self, _: &Request, folder: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.remove(folder, name, reply);
    }

    fn rename(
        &self,
        _: &Request,
        from_folder: INodeNo,
        from: &OsStr,
        to_folder: INodeNo,
        to: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.shared.request(Kind::Rename, ANY, move |shared, end| {
            let (from, to) = ((from_folder.into(), from.as_os_str()), (to_folder.into(), to.as_os_str()));
            let renamed = unless_failing(end, || shared.lock().store.rename(from, to, flags.bits()));
            send!(reply, renamed, _done => reply.ok());
        });
    }

    fn open(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        if number == INodeNo(CONTROL) {
            let flags = self.shared.lock().open_flags(CONTROL);
            return reply.opened(FileHandle(0), flags);
        }
        self.shared.request(Kind::Open, ANY, move |shared, end| {
            let opened = unless_failing(end, || Ok(shared.lock().open_flags(number.into())));
            send!(reply, opened, flags => reply.opened(FileHandle(0), flags));
        });
    }

    fn create(
        &self,
        request: &Request,
        folder: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let node = Node::new(NodeKind::File, (mode & !umask) as u16 & 0o7777, (request.uid(), request.gid()));
        let name = name.to_owned();
        self.shared.request(Kind::Create, ANY, move |shared, end| {
            let mut state = shared.lock();
            let made = unless_failing(end, || state.add(folder.into(), &name, node));
            send!(reply, made, attributes => {
                let flags = state.open_flags(attributes.ino.into());
                reply.created(&FORGET, &attributes, Generation(0), FileHandle(0), flags);
            });
        });
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        if number == INodeNo(CONTROL) {
            let report = self.shared.report().into_bytes();
            let rest = &report[(offset as usize).min(report.len())..];
            return reply.data(&rest[..rest.len().min(size as usize)]);
        }
        self.shared.request(Kind::Read, offset..offset + u64::from(size), move |shared, end| {
            let size = if let End::Short(most) = end { most.min(size as usize) } else { size as usize };
            let read = unless_failing(end, || shared.lock().read(number.into(), offset, size));
            send!(reply, read, data => reply.data(&data));
        });
    }

    fn write(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        if number == INodeNo(CONTROL) {
            let text = String::from_utf8_lossy(data);
            let told = text.lines().try_for_each(|line| self.shared.command(line));
            return send!(reply, told, _done => reply.written(data.len() as u32));
        }
        let mut data = data.to_vec();
        self.shared.request(Kind::Write, offset..offset + data.len() as u64, move |shared, end| {
            if let End::Short(most) = end {
                data.truncate(most);
            }
            let written = unless_failing(end, || shared.lock().write(number.into(), offset, &data));
            send!(reply, written, count => reply.written(count));
        });
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let mut state = self.shared.lock();
        let (snapshot, sync) = (state.store.snapshot(number.into()), state.sync);
        drop(state);
        let shared = self.shared.clone();
        self.shared.request(Kind::Fsync, ANY, move |_, end| {
            let keep = move || snapshot.and_then(|snapshot| shared.lock().store.keep(snapshot));
            let synced = unless_failing(end, || match sync {
                Sync::Honest => keep(),
                Sync::Ignored => Ok(()),
                Sync::Early(time) => {
                    later(time, move || {
                        let _ = keep();
                    });
                    Ok(())
                }
            });
            send!(reply, synced, _done => reply.ok());
        });
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.shared.request(Kind::Fsyncdir, ANY, move |shared, end| {
            let mut state = shared.lock();
            let synced = unless_failing(end, || {
                if state.sync == Sync::Honest {
                    state.store.keep_names();
                }
                Ok(())
            });
            send!(reply, synced, _done => reply.ok());
        });
    }

    fn readdir(&self, _: &Request, folder: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let mut state = self.shared.lock();
        let mut entries: Vec<_> = state.store.list(folder.into()).map(|(name, at)| (name.to_owned(), at)).collect();
        entries.extend([(".".into(), folder.into()), ("..".into(), folder.into())]);
        for (index, (name, number)) in entries.into_iter().enumerate().skip(offset as usize) {
            let kind = state.store.node(number).map_or(FileType::RegularFile, |node| file_type(node.kind));
            if reply.add(INodeNo(number), index as u64 + 1, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        const MANY: u64 = 1 << 24;
        reply.statfs(MANY, MANY, MANY, MANY, MANY, BLOCK, 255, BLOCK);
    }

    fn fallocate(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        self.shared.request(Kind::Fallocate, offset..offset + length, move |shared, end| {
            let allocated =
                unless_failing(end, || shared.lock().allocate(number.into(), offset.saturating_add(length), mode));
            send!(reply, allocated, _done => reply.ok());
        });
    }
}
