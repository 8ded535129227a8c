//! How to open a file.

/// How [`ops::open`](crate::ops::open) opens a file, as `std::fs::OpenOptions` does. The descriptor is close-on-exec.
///
/// # Examples
/// ```
/// # let ctx = caio::Context::new()?;
/// # let path = std::env::temp_dir().join(format!("caio-doc-open-{}", std::process::id()));
/// let mut options = caio::OpenOptions::new();
/// options.write(true).create(true).truncate(true).mode(0o600);
/// let file = std::fs::File::from(ctx.block_on(ctx.open(caio::CWD, &path, &options))?);
/// # drop(file);
/// # std::fs::remove_file(&path)?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions {
    read: bool,
    write: bool,
    flags: i32,
    mode: u32,
    resolve: u64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

macro_rules! switches {
    ($($(#[$doc:meta])* $name:ident: $flag:path;)+) => {
        $(
            $(#[$doc])*
            ///
            /// # Examples
            /// ```
            #[doc = concat!("caio::OpenOptions::new().write(true).", stringify!($name), "(true);")]
            /// ```
            pub fn $name(&mut self, on: bool) -> &mut Self {
                self.set($flag, on)
            }
        )+
    };
}

impl OpenOptions {
    /// Nothing is set: choose at least [`read`](Self::read) or [`write`](Self::write). A new file gets the mode 0o666, less the
    /// umask.
    ///
    /// # Examples
    /// ```
    /// let options = caio::OpenOptions::new().read(true).clone();
    /// ```
    pub fn new() -> Self {
        Self { read: false, write: false, flags: libc::O_CLOEXEC, mode: 0o666, resolve: 0 }
    }

    /// Opens for reading.
    ///
    /// # Examples
    /// ```
    /// caio::OpenOptions::new().read(true);
    /// ```
    pub fn read(&mut self, on: bool) -> &mut Self {
        self.read = on;
        self
    }

    /// Opens for writing.
    ///
    /// # Examples
    /// ```
    /// caio::OpenOptions::new().write(true);
    /// ```
    pub fn write(&mut self, on: bool) -> &mut Self {
        self.write = on;
        self
    }

    switches! {
        /// Writes at the end of the file.
        append: libc::O_APPEND;
        /// Creates the file if it does not exist.
        create: libc::O_CREAT;
        /// Together with [`create`](Self::create): fails with `EEXIST` if the file exists.
        exclusive: libc::O_EXCL;
        /// Removes the content of the file.
        truncate: libc::O_TRUNC;
    }

    /// Adds other flags of open(2), such as `O_DIRECT`.
    ///
    /// # Examples
    /// ```
    /// const O_NOFOLLOW: i32 = 0x20000;
    /// caio::OpenOptions::new().read(true).custom_flags(O_NOFOLLOW);
    /// ```
    pub fn custom_flags(&mut self, flags: i32) -> &mut Self {
        self.set(flags, true)
    }

    /// The permissions of a new file, less the umask.
    ///
    /// # Examples
    /// ```
    /// caio::OpenOptions::new().write(true).create(true).mode(0o600);
    /// ```
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = mode;
        self
    }

    /// How the path is resolved: `RESOLVE_*` of openat2(2), such as `RESOLVE_BENEATH` for a path from an untrusted source. It
    /// needs Linux 5.6; elsewhere the open fails.
    ///
    /// # Examples
    /// ```
    /// const RESOLVE_BENEATH: u64 = 8;
    /// # let ctx = caio::Context::new()?;
    /// let folder = std::fs::File::open("/etc")?;
    /// let outside = ctx.open(folder, "../bin", caio::OpenOptions::new().read(true).resolve(RESOLVE_BENEATH));
    /// assert!(ctx.block_on(outside).is_err());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn resolve(&mut self, resolve: u64) -> &mut Self {
        self.resolve = resolve;
        self
    }

    fn set(&mut self, flags: i32, on: bool) -> &mut Self {
        self.flags = if on { self.flags | flags } else { self.flags & !flags };
        self
    }

    pub(super) fn flags(&self) -> u32 {
        let access = match (self.read, self.write || self.flags & libc::O_APPEND != 0) {
            (_, false) => libc::O_RDONLY,
            (false, true) => libc::O_WRONLY,
            (true, true) => libc::O_RDWR,
        };
        (self.flags | access) as u32
    }

    pub(super) fn resolution(&self) -> u64 {
        self.resolve
    }

    /// 0 if it creates no file, as openat2(2) requires.
    pub(super) fn permissions(&self) -> u32 {
        if self.flags & libc::O_CREAT != 0 { self.mode } else { 0 }
    }
}
