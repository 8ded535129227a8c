//! What the programs share: reading one file, as a future that needs no particular runtime.

use caio::{CWD, Context, OPENED, OpenOptions, ops};
use std::io;

/// Reads a whole file. The open, the first read and the close are one submission.
pub async fn read_file(ctx: &Context, path: &str) -> io::Result<Vec<u8>> {
    const FIRST: usize = 1 << 16;
    let (open, read, close) = ctx.submit_chain((
        ops::open_for_chain(CWD, path, OpenOptions::new().read(true)),
        ops::read_at(OPENED, Vec::with_capacity(FIRST), 0).full(),
        ops::close_opened(),
    ));
    open.await?;
    let (size, content) = read.await;
    close.await?;
    if size? < FIRST { Ok(content) } else { read_large(ctx, path).await }
}

/// Reads a file whose size is not known to be small.
async fn read_large(ctx: &Context, path: &str) -> io::Result<Vec<u8>> {
    let size = ctx.stat(CWD, path).await?.len();
    let file = ctx.open(CWD, path, OpenOptions::new().read(true)).await?;
    let (read, content) = ctx.submit(ops::read_at(file, Vec::with_capacity(size as usize + 1), 0).full()).await;
    read.map(|_| content)
}
