//! The buffers that an operation can own.

use std::sync::Arc;

/// A buffer that an operation can write from: it owns it until the operation completes.
///
/// Implemented for `Vec<u8>`, `Box<[u8]>`, `Box<[u8; N]>`, `String`, `Arc<[u8]>`, `Arc<Vec<u8>>`, `&'static [u8]`,
/// `&'static str` and [`Slice`], and with the feature `bytes` for `Bytes` and `BytesMut`.
///
/// # Safety
/// `as_ptr` points to `len` initialised bytes. They stay there, unchanged, when the value is moved, as long as it is neither
/// changed nor dropped.
///
/// # Examples
/// ```
/// fn length(buffer: impl caio::IoBuf) -> usize {
///     buffer.len()
/// }
/// assert_eq!(length(vec![1, 2, 3]), 3);
/// assert_eq!(length("static text"), 11);
/// ```
#[allow(clippy::len_without_is_empty)] // the callers are operations
pub unsafe trait IoBuf: Send + 'static {
    /// The first byte.
    ///
    /// # Examples
    /// ```
    /// use caio::IoBuf;
    /// let text = "static text";
    /// assert_eq!(IoBuf::as_ptr(&text), str::as_ptr(text));
    /// ```
    fn as_ptr(&self) -> *const u8;

    /// The number of initialised bytes. A write writes all of them.
    ///
    /// # Examples
    /// ```
    /// use caio::IoBuf;
    /// assert_eq!(IoBuf::len(&vec![0; 512]), 512);
    /// ```
    fn len(&self) -> usize;
}

/// A buffer that an operation can read into: it owns it until the operation completes.
///
/// Implemented for `Vec<u8>`, `Box<[u8]>`, `Box<[u8; N]>` and [`Slice`], and with the feature `bytes` for `BytesMut`. A read
/// fills a `Vec<u8>` or `BytesMut` from its start up to its capacity, and sets its length to the number of bytes that it read.
///
/// # Safety
/// `as_mut_ptr` points to `capacity` bytes, which nothing else reads or writes. They stay there when the value is moved, as long
/// as it is neither changed nor dropped. `set_len` makes the first `len` bytes the initialised ones.
///
/// # Examples
/// ```
/// # let ctx = caio::Context::new()?;
/// let file = std::fs::File::open("/etc/passwd")?;
/// let (read, buffer) = ctx.block_on(ctx.read_at(file, Vec::with_capacity(100), 0));
/// assert_eq!(read?, buffer.len());
/// # std::io::Result::Ok(())
/// ```
pub unsafe trait IoBufMut: IoBuf {
    /// The first byte.
    ///
    /// # Examples
    /// ```
    /// use caio::IoBufMut;
    /// let mut room: Box<[u8]> = Box::new([0; 8]);
    /// assert!(!IoBufMut::as_mut_ptr(&mut room).is_null());
    /// ```
    fn as_mut_ptr(&mut self) -> *mut u8;

    /// The number of bytes that a read may write.
    ///
    /// # Examples
    /// ```
    /// use caio::IoBufMut;
    /// assert_eq!(IoBufMut::capacity(&Box::new([0; 8])), 8);
    /// ```
    fn capacity(&self) -> usize;

    /// A read has written this many bytes, from the first one on.
    ///
    /// # Safety
    /// The first `len` bytes are initialised, and `len` is not larger than the capacity.
    ///
    /// # Examples
    /// ```
    /// use caio::IoBufMut;
    /// let mut bytes = vec![1, 2, 3];
    /// // SAFETY: three bytes are initialised.
    /// unsafe { IoBufMut::set_len(&mut bytes, 2) };
    /// assert_eq!(bytes, [1, 2]);
    /// ```
    unsafe fn set_len(&mut self, len: usize);
}

macro_rules! io_buf {
    ($type:ty) => {
        // SAFETY: the bytes are on the heap or static, and moving the value does not move them.
        unsafe impl IoBuf for $type {
            fn as_ptr(&self) -> *const u8 {
                let bytes: &[u8] = self.as_ref();
                bytes.as_ptr()
            }
            fn len(&self) -> usize {
                let bytes: &[u8] = self.as_ref();
                bytes.len()
            }
        }
    };
}

io_buf!(Vec<u8>);
io_buf!(Box<[u8]>);
io_buf!(String);
io_buf!(Arc<[u8]>);
io_buf!(&'static [u8]);
io_buf!(&'static str);
#[cfg(feature = "bytes")]
io_buf!(bytes::Bytes);
#[cfg(feature = "bytes")]
io_buf!(bytes::BytesMut);

// SAFETY: as above.
unsafe impl IoBuf for Arc<Vec<u8>> {
    fn as_ptr(&self) -> *const u8 {
        Vec::as_ptr(self)
    }
    fn len(&self) -> usize {
        Vec::len(self)
    }
}

// SAFETY: as above.
unsafe impl<const N: usize> IoBuf for Box<[u8; N]> {
    fn as_ptr(&self) -> *const u8 {
        self.as_slice().as_ptr()
    }
    fn len(&self) -> usize {
        N
    }
}

// SAFETY: the capacity of a vector is its own, and on the heap.
unsafe impl IoBufMut for Vec<u8> {
    fn as_mut_ptr(&mut self) -> *mut u8 {
        Vec::as_mut_ptr(self)
    }
    fn capacity(&self) -> usize {
        Vec::capacity(self)
    }
    unsafe fn set_len(&mut self, len: usize) {
        // SAFETY: as promised.
        unsafe { Vec::set_len(self, len) }
    }
}

// SAFETY: the bytes of a box are its own, and on the heap.
unsafe impl IoBufMut for Box<[u8]> {
    fn as_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut().as_mut_ptr()
    }
    fn capacity(&self) -> usize {
        self.as_ref().len()
    }
    unsafe fn set_len(&mut self, _: usize) {}
}

// SAFETY: as above.
unsafe impl<const N: usize> IoBufMut for Box<[u8; N]> {
    fn as_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_slice().as_mut_ptr()
    }
    fn capacity(&self) -> usize {
        N
    }
    unsafe fn set_len(&mut self, _: usize) {}
}

// SAFETY: the capacity of a BytesMut is its own, and on the heap.
#[cfg(feature = "bytes")]
unsafe impl IoBufMut for bytes::BytesMut {
    fn as_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut().as_mut_ptr()
    }
    fn capacity(&self) -> usize {
        bytes::BytesMut::capacity(self)
    }
    unsafe fn set_len(&mut self, len: usize) {
        // SAFETY: as promised.
        unsafe { bytes::BytesMut::set_len(self, len) }
    }
}

/// A part of a buffer: what a read fills, or a write writes.
///
/// # Examples
/// ```
/// use caio::{IoBuf, Slice};
/// let all = b"0123456789".to_vec();
/// let part = Slice::new(all, 4..6);
/// assert_eq!(part.len(), 2);
/// assert_eq!(part.into_inner(), b"0123456789");
/// ```
#[derive(Debug)]
pub struct Slice<B> {
    buffer: B,
    start: usize,
    end: usize,
}

impl<B: IoBuf> Slice<B> {
    /// The bytes of `range`.
    ///
    /// # Panics
    /// If the range does not lie within the initialised bytes.
    ///
    /// # Examples
    /// ```
    /// let half = caio::Slice::new(vec![0; 512], 0..256);
    /// ```
    pub fn new(buffer: B, range: std::ops::Range<usize>) -> Self {
        let std::ops::Range { start, end } = range;
        assert!(start <= end && end <= buffer.len(), "{start}..{end} of {} bytes", buffer.len());
        Self { buffer, start, end }
    }

    /// The whole buffer.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(caio::Slice::new(vec![1, 2], 0..1).into_inner(), [1, 2]);
    /// ```
    pub fn into_inner(self) -> B {
        self.buffer
    }
}

// SAFETY: a part of bytes that stay. `new` has checked the range. The buffer cannot change, as it is private.
unsafe impl<B: IoBuf> IoBuf for Slice<B> {
    fn as_ptr(&self) -> *const u8 {
        self.buffer.as_ptr().wrapping_add(self.start)
    }
    fn len(&self) -> usize {
        self.end - self.start
    }
}

// SAFETY: as above.
unsafe impl<B: IoBufMut> IoBufMut for Slice<B> {
    fn as_mut_ptr(&mut self) -> *mut u8 {
        self.buffer.as_mut_ptr().wrapping_add(self.start)
    }
    fn capacity(&self) -> usize {
        self.end - self.start
    }
    /// The length of the whole buffer stays: all bytes of the part were initialised before.
    unsafe fn set_len(&mut self, _: usize) {}
}
