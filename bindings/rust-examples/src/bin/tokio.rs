//! tokio: a task completes the operations when the context's descriptor is readable.

use std::io;
use std::sync::Arc;

use caio::Context;
use caio_examples::read_file;
use tokio::io::unix::AsyncFd;

async fn complete_operations(ctx: Arc<AsyncFd<Context>>) -> io::Result<()> {
    loop {
        ctx.readable().await?.clear_ready();
        // tokio is edge-triggered: repeat until nothing is left, and let other tasks run in between.
        while ctx.get_ref().poll()? > 0 {
            tokio::task::yield_now().await;
        }
    }
}

fn main() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        // tokio's newer `register` is unsafe: it asks for a descriptor that stays open, as that of a context does.
        #[allow(deprecated)]
        let ctx = Arc::new(AsyncFd::new(Context::new()?)?);
        let loop_task = tokio::spawn(complete_operations(ctx.clone()));
        let read = |path: String| {
            let ctx = ctx.clone();
            tokio::spawn(async move { (read_file(ctx.get_ref(), &path).await, path) })
        };
        let tasks: Vec<_> = std::env::args().skip(1).map(read).collect();
        for task in tasks {
            let (content, path) = task.await.map_err(io::Error::other)?;
            println!("{} {path}", content?.len());
        }
        loop_task.abort();
        Ok(())
    })
}
