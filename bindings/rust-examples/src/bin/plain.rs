//! Without an event loop: threads that wait for their own operations.

use std::io;

use caio::Context;
use caio_examples::read_file;

fn main() -> io::Result<()> {
    let ctx = Context::new()?;
    let paths: Vec<String> = std::env::args().skip(1).collect();
    std::thread::scope(|scope| {
        let ctx = &ctx;
        let read = |part: &'_ [String]| -> Vec<io::Result<String>> {
            let line = |path: &String| Ok(format!("{} {path}", ctx.block_on(read_file(ctx, path))?.len()));
            part.iter().map(line).collect()
        };
        let threads: Vec<_> =
            paths.chunks(paths.len().div_ceil(2).max(1)).map(|part| scope.spawn(move || read(part))).collect();
        for thread in threads {
            for line in thread.join().expect("no panic") {
                println!("{}", line?);
            }
        }
        Ok(())
    })
}
