//! Files and names, as they are now and as they would be after a loss of power.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::time::SystemTime;

pub const ROOT: u64 = 1;
/// The file that takes commands; files of the store have higher numbers.
pub const CONTROL: u64 = 2;
/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

type Names = BTreeMap<(u64, OsString), u64>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    File,
    Folder,
    Link,
}

#[derive(Clone, Debug)]
pub struct Node {
    pub kind: NodeKind,
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub accessed: SystemTime,
    pub modified: SystemTime,
    pub data: Vec<u8>,
    synced: Vec<u8>,
    synced_length_at: u64,
    /// When each sector was last written, and last kept.
    dirty: BTreeMap<usize, u64>,
    synced_at: HashMap<usize, u64>,
}

/// What one sync has to keep.
pub struct Snapshot {
    node: u64,
    life: u64,
    at: u64,
    length: usize,
    sectors: Vec<(usize, Vec<u8>)>,
}

enum Edit {
    Put(u64, OsString, u64),
    Remove(u64, OsString),
}

pub enum Crash {
    KeepNames,
    LoseNames,
    Random(u64),
}

pub struct Store {
    nodes: HashMap<u64, Node>,
    names: Names,
    synced_names: Names,
    /// Changes of names that no sync has kept, each all or nothing.
    edits: Vec<Vec<Edit>>,
    /// Counts writes and syncs, to tell before from after.
    clock: u64,
    /// Counts crashes.
    life: u64,
    /// The number of the newest node.
    last: u64,
}

impl Node {
    pub fn new(kind: NodeKind, mode: u16, (uid, gid): (u32, u32)) -> Self {
        let now = SystemTime::now();
        Self {
            kind,
            mode,
            uid,
            gid,
            accessed: now,
            modified: now,
            data: Vec::new(),
            synced: Vec::new(),
            synced_length_at: 0,
            dirty: BTreeMap::new(),
            synced_at: HashMap::new(),
        }
    }

    fn soil(&mut self, from: usize, to: usize, at: u64) {
        self.modified = SystemTime::now();
        self.dirty.extend((from / SECTOR..to.div_ceil(SECTOR)).map(|sector| (sector, at)));
    }

    fn sector(&self, sector: usize) -> &[u8] {
        let start = (sector * SECTOR).min(self.data.len());
        &self.data[start..(start + SECTOR).min(self.data.len())]
    }

    fn keep(&mut self, snapshot: Snapshot) {
        if snapshot.at > self.synced_length_at {
            self.synced.resize(snapshot.length, 0);
            self.synced_length_at = snapshot.at;
        }
        for (sector, bytes) in snapshot.sectors {
            let kept_at = self.synced_at.entry(sector).or_default();
            if snapshot.at > *kept_at {
                *kept_at = snapshot.at;
                put(&mut self.synced, sector * SECTOR, &bytes);
            }
        }
        self.dirty.retain(|_, written_at| *written_at > snapshot.at);
    }

    fn crash(&mut self, mut stays: impl FnMut() -> bool) {
        let mut after = std::mem::take(&mut self.synced);
        if stays() {
            after.resize(self.data.len(), 0);
        }
        for sector in std::mem::take(&mut self.dirty).into_keys() {
            if stays() {
                put(&mut after, sector * SECTOR, self.sector(sector));
            }
        }
        self.data = after.clone();
        self.synced = after;
    }
}

/// Copies `bytes` to `start` as far as there is room.
fn put(to: &mut [u8], start: usize, bytes: &[u8]) {
    let end = (start + bytes.len()).min(to.len());
    if start < end {
        to[start..end].copy_from_slice(&bytes[..end - start]);
    }
}

impl Default for Store {
    fn default() -> Self {
        let root = Node::new(NodeKind::Folder, 0o777, (0, 0));
        Self {
            nodes: HashMap::from([(ROOT, root)]),
            names: Names::new(),
            synced_names: Names::new(),
            edits: Vec::new(),
            clock: 1,
            life: 0,
            last: CONTROL,
        }
    }
}

impl Store {
    pub fn find(&self, folder: u64, name: &OsStr) -> Result<u64, i32> {
        self.names.get(&(folder, name.to_owned())).copied().ok_or(libc::ENOENT)
    }

    pub fn node(&mut self, number: u64) -> Result<&mut Node, i32> {
        self.nodes.get_mut(&number).ok_or(libc::ENOENT)
    }

    pub fn add(&mut self, folder: u64, name: &OsStr, node: Node) -> Result<u64, i32> {
        if self.find(folder, name).is_ok() {
            return Err(libc::EEXIST);
        }
        self.last += 1;
        let number = self.last;
        self.nodes.insert(number, node);
        self.edit(vec![Edit::Put(folder, name.to_owned(), number)]);
        Ok(number)
    }

    /// Takes a name away; an open file continues to exist.
    pub fn remove(&mut self, folder: u64, name: &OsStr) -> Result<(), i32> {
        let number = self.find(folder, name)?;
        if self.is_folder_in_use(number) {
            return Err(libc::ENOTEMPTY);
        }
        self.edit(vec![Edit::Remove(folder, name.to_owned())]);
        Ok(())
    }

    pub fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr), flags: u32) -> Result<(), i32> {
        let number = self.find(from.0, from.1)?;
        let existing = self.find(to.0, to.1).ok();
        let mut edit = vec![Edit::Remove(from.0, from.1.to_owned()), Edit::Put(to.0, to.1.to_owned(), number)];
        match flags {
            0 if existing.is_some_and(|number| self.is_folder_in_use(number)) => return Err(libc::ENOTEMPTY),
            0 => {}
            libc::RENAME_NOREPLACE if existing.is_some() => return Err(libc::EEXIST),
            libc::RENAME_NOREPLACE => {}
            libc::RENAME_EXCHANGE => {
                edit.push(Edit::Put(from.0, from.1.to_owned(), existing.ok_or(libc::ENOENT)?));
            }
            _ => return Err(libc::EINVAL),
        }
        self.edit(edit);
        Ok(())
    }

    pub fn list(&self, folder: u64) -> impl Iterator<Item = (&OsStr, u64)> {
        let from = (folder, OsString::new());
        self.names.range(from..(folder + 1, OsString::new())).map(|((_, name), number)| (name.as_os_str(), *number))
    }

    fn is_folder_in_use(&self, number: u64) -> bool {
        self.list(number).next().is_some()
    }

    fn edit(&mut self, edit: Vec<Edit>) {
        apply(&edit, &mut self.names);
        self.edits.push(edit);
    }

    pub fn write(&mut self, number: u64, offset: usize, bytes: &[u8]) -> Result<(), i32> {
        let at = self.tick();
        let node = self.node(number)?;
        let (old, end) = (node.data.len(), offset + bytes.len());
        if end > old {
            node.data.resize(end, 0);
        }
        node.data[offset..end].copy_from_slice(bytes);
        node.soil(offset.min(old), end, at);
        Ok(())
    }

    pub fn resize(&mut self, number: u64, length: usize) -> Result<(), i32> {
        let at = self.tick();
        let node = self.node(number)?;
        let old = node.data.len();
        node.data.resize(length, 0);
        node.soil(old.min(length), old.max(length), at);
        Ok(())
    }

    /// What a sync that begins now has to keep.
    pub fn snapshot(&mut self, number: u64) -> Result<Snapshot, i32> {
        let (at, life) = (self.tick(), self.life);
        let node = self.node(number)?;
        let sectors = node.dirty.keys().map(|sector| (*sector, node.sector(*sector).to_vec())).collect();
        Ok(Snapshot { node: number, life, at, length: node.data.len(), sectors })
    }

    pub fn keep(&mut self, snapshot: Snapshot) -> Result<(), i32> {
        if snapshot.life != self.life {
            return Err(libc::EIO);
        }
        self.node(snapshot.node)?.keep(snapshot);
        Ok(())
    }

    pub fn keep_names(&mut self) {
        self.edits.drain(..).for_each(|edit| apply(&edit, &mut self.synced_names));
    }

    pub fn crash(&mut self, how: Crash) {
        self.life += 1;
        let mut random = Random(match how {
            Crash::Random(seed) => seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            _ => 0,
        });
        let kept = match how {
            Crash::KeepNames => self.edits.len(),
            Crash::LoseNames => 0,
            Crash::Random(_) => random.below(self.edits.len() as u64 + 1) as usize,
        };
        self.edits.drain(..kept).for_each(|edit| apply(&edit, &mut self.synced_names));
        self.edits.clear();
        self.names = self.synced_names.clone();
        let mut numbers: Vec<u64> = self.nodes.keys().copied().collect();
        numbers.sort_unstable();
        for number in numbers {
            let node = self.nodes.get_mut(&number).expect("listed");
            if node.kind == NodeKind::File {
                node.crash(|| random.0 != 0 && random.below(2) == 1);
            }
        }
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

fn apply(edit: &[Edit], names: &mut Names) {
    for change in edit {
        match change {
            Edit::Put(folder, name, number) => names.insert((*folder, name.clone()), *number),
            Edit::Remove(folder, name) => names.remove(&(*folder, name.clone())),
        };
    }
}

/// xorshift: the same seed loses the same.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(content: &[u8]) -> (Store, u64) {
        let mut store = Store::default();
        let file = store.add(ROOT, OsStr::new("file"), Node::new(NodeKind::File, 0o600, (0, 0))).unwrap();
        store.write(file, 0, content).unwrap();
        (store, file)
    }

    fn sync(store: &mut Store, file: u64) {
        let snapshot = store.snapshot(file).unwrap();
        store.keep(snapshot).unwrap();
    }

    #[test]
    fn a_crash_keeps_what_was_synced_only() {
        let (mut store, file) = with_file(b"synced");
        sync(&mut store, file);
        store.write(file, 0, b"SYNCED and more").unwrap();
        store.crash(Crash::KeepNames);
        assert_eq!(store.node(file).unwrap().data, b"synced");
        let (mut store, _) = with_file(b"");
        store.crash(Crash::LoseNames);
        assert_eq!(store.find(ROOT, OsStr::new("file")), Err(libc::ENOENT));
    }

    #[test]
    fn a_sync_covers_what_was_written_before_it_began() {
        let (mut store, file) = with_file(b"before");
        let first = store.snapshot(file).unwrap();
        store.write(file, 6, b" between").unwrap();
        let second = store.snapshot(file).unwrap();
        store.write(file, 14, b" after").unwrap();
        store.keep(second).unwrap();
        store.keep(first).unwrap();
        store.crash(Crash::KeepNames);
        assert_eq!(store.node(file).unwrap().data, b"before between");
    }

    #[test]
    fn a_sync_that_a_crash_overtakes_fails() {
        let (mut store, file) = with_file(b"lost");
        let snapshot = store.snapshot(file).unwrap();
        store.crash(Crash::KeepNames);
        assert_eq!(store.keep(snapshot), Err(libc::EIO));
        assert_eq!(store.node(file).unwrap().data, b"");
    }

    #[test]
    fn what_was_cut_off_does_not_come_back() {
        let (mut store, file) = with_file(&[7; 2000]);
        sync(&mut store, file);
        store.resize(file, 100).unwrap();
        store.resize(file, 2000).unwrap();
        sync(&mut store, file);
        store.crash(Crash::KeepNames);
        let data = &store.node(file).unwrap().data;
        assert!(data[..100] == [7; 100] && data[100..] == [0; 1900]);
    }

    #[test]
    fn a_random_crash_keeps_some_and_never_what_was_synced_less() {
        let mut tails = std::collections::HashSet::new();
        for seed in 0..50 {
            let (mut store, file) = with_file(&[1; 4096]);
            sync(&mut store, file);
            store.keep_names();
            store.write(file, 4096, &[2; 4096]).unwrap();
            store.crash(Crash::Random(seed));
            let data = &store.node(file).unwrap().data;
            assert_eq!(data[..4096], [1; 4096]);
            tails.insert(data[4096..].to_vec());
        }
        assert!(tails.len() > 10, "{}", tails.len());
    }

    #[test]
    fn a_rename_is_whole_or_not_there() {
        let (mut store, file) = with_file(b"");
        store.keep_names();
        let name = OsStr::new;
        store.rename((ROOT, name("file")), (ROOT, name("other")), 0).unwrap();
        store.crash(Crash::LoseNames);
        assert_eq!((store.find(ROOT, name("file")), store.find(ROOT, name("other"))), (Ok(file), Err(libc::ENOENT)));
        store.rename((ROOT, name("file")), (ROOT, name("other")), 0).unwrap();
        store.crash(Crash::KeepNames);
        assert_eq!((store.find(ROOT, name("other")), store.find(ROOT, name("file"))), (Ok(file), Err(libc::ENOENT)));
    }
}
