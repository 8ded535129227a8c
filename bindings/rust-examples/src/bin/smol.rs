//! smol: a task completes the operations when the context's descriptor is readable.

use std::io;
use std::sync::Arc;

use caio::Context;
use caio_examples::read_file;
use smol::Async;

fn main() -> io::Result<()> {
    let executor = smol::LocalExecutor::new();
    smol::block_on(executor.run(async {
        let ctx = Arc::new(Async::new_nonblocking(Context::new()?)?);
        let driver = ctx.clone();
        let driver = executor.spawn(async move {
            loop {
                driver.readable().await?;
                driver.get_ref().poll()?;
            }
            #[allow(unreachable_code)]
            io::Result::Ok(())
        });
        let read = |path: String| {
            let ctx = ctx.clone();
            executor.spawn(async move { (read_file(ctx.get_ref(), &path).await, path) })
        };
        let tasks: Vec<_> = std::env::args().skip(1).map(read).collect();
        for task in tasks {
            let (content, path) = task.await;
            println!("{} {path}", content?.len());
        }
        driver.cancel().await;
        Ok(())
    }))
}
