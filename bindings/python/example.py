"""The example of the README: write, sync, read, and two writes at the same time."""

import asyncio
import os
import tempfile

from caio import AsyncioContext


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        fd = os.open(os.path.join(folder, "greeting"), os.O_RDWR | os.O_CREAT)
        async with AsyncioContext() as ctx:
            await ctx.write(b"Hello, disk", fd, offset=0)
            await ctx.fdsync(fd)
            print(await ctx.read(5, fd, offset=0))

            await asyncio.gather(
                ctx.write(b"Hello ", fd, offset=0),
                ctx.write(b"event loop\n", fd, offset=6),
            )
            print(await ctx.read(100, fd, offset=0))
        os.close(fd)


asyncio.run(main())
