"""Operations per second of one asyncio program: this caio, another caio, aiofiles, asyncio.to_thread, and a plain loop.

    python bench.py                                  this caio, each implementation
    python bench.py --other PYTHON                   compared with the caio of another environment
    python bench.py --kind write --size 4096 --concurrency 1 16
    python bench.py --kind files                     whole files: 2,000 of 1 to 64 KiB, each opened, read and closed

Each figure is the best of several short turns, in thousands per second. All candidates take turns. The file is in the
page cache and should be on a real disk (--file). The ratios compare each implementation with the other caio's of the
same name. They compare the default, auto, with the other caio's best: of all implementations for reads, and of
io_uring, with or without a submission thread, for writes.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

FILE_SIZE = 64 << 20
FILES = 2000
#: Written in pieces, as programs do: the page cache keeps one large write in large folios, and small writes to
#: large folios of ext4 take up to three times as long.
PIECE = 64 << 10
MODULES = {"uring": "linux_uring", "linux": "linux_aio", "thread": "thread_aio", "python": "python_aio"}
Operation = Callable[[int], Awaitable[Any]]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other", metavar="PYTHON", help="an interpreter that has another caio, and aiofiles")
    parser.add_argument("--kind", nargs="+", default=["read", "write"], choices=["read", "write", "files"])
    parser.add_argument("--size", nargs="+", type=int, default=[4096, 16384])
    parser.add_argument("--concurrency", nargs="+", type=int, default=[1, 16, 64, 256])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.2, help="of one turn")
    parser.add_argument("--file", default="bench.dat")
    parser.add_argument("--only", nargs="+", help="names of candidates")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


# --- the side that is measured: one process for each installation ---


def candidates() -> list[str]:
    import caio

    found = ["auto"] if hasattr(caio, "probe") else []
    found += [name for name, module in MODULES.items() if getattr(caio, module, None)]
    if "uring" in found:
        found.insert(found.index("uring") + 1, "uring-nosqpoll")
    try:
        import aiofiles  # noqa: F401
    except ImportError:
        pass
    else:
        found.append("aiofiles")
    return [*found, "to_thread", "plain"]


#: Measured once, whatever the installation.
PEERS = ("aiofiles", "to_thread", "plain")


def context_of(name: str) -> Any:
    import importlib

    import caio

    if name == "auto":
        return caio.AsyncioContext()
    kwargs = {"sqpoll": False} if name == "uring-nosqpoll" else {}
    module = MODULES[name.removesuffix("-nosqpoll")]
    return importlib.import_module(f"caio.{module}_asyncio").AsyncioContext(**kwargs)


async def measure(name: str, kind: str, size: int, concurrency: int, seconds: float, path: str) -> float:
    if kind == "files":
        return await whole_files(name, concurrency, seconds, files_beside(path))
    fd = os.open(path, os.O_RDWR)
    payload = os.urandom(size)
    if name == "plain":
        rate = plain(fd, kind, payload, seconds)
    elif name == "to_thread":
        rate = await turn(
            lambda offset: asyncio.to_thread(one_call, fd, kind, payload, offset), size, concurrency, seconds
        )
    elif name == "aiofiles":
        rate = await with_aiofiles(path, kind, payload, concurrency, seconds)
    else:
        context = context_of(name)
        if kind == "read":
            rate = await turn(lambda offset: context.read(size, fd, offset), size, concurrency, seconds)
        else:
            rate = await turn(lambda offset: context.write(payload, fd, offset), size, concurrency, seconds)
        context.close()
    os.close(fd)
    return rate


async def turn(operation: Operation, size: int, concurrency: int, seconds: float) -> float:
    blocks = FILE_SIZE // size
    done = 0
    started = time.perf_counter()
    end = started + seconds

    async def task(number: int) -> None:
        nonlocal done
        block = number * 7919 % blocks
        while time.perf_counter() < end:
            for _ in range(4):
                await operation(block * size)
                block = (block + 97) % blocks
            done += 4

    await asyncio.gather(*[task(number) for number in range(concurrency)])
    return done / (time.perf_counter() - started)


def one_call(fd: int, kind: str, payload: bytes, offset: int) -> None:
    if kind == "read":
        os.pread(fd, len(payload), offset)
    else:
        os.pwrite(fd, payload, offset)


def read_plainly(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()


async def read_with_aiofiles(path: str) -> bytes:
    import aiofiles

    async with aiofiles.open(path, "rb") as file:
        data: bytes = await file.read()
        return data


async def whole_files(name: str, concurrency: int, seconds: float, folder: str) -> float:
    """Files per second, each opened, read and closed."""
    paths = [os.path.join(folder, str(number)) for number in range(FILES)]
    context = context_of(name) if name not in PEERS else None
    peers: dict[str, Any] = {
        "to_thread": lambda path: asyncio.to_thread(read_plainly, path),
        "aiofiles": read_with_aiofiles,
    }
    read = context.read_file if context else peers.get(name)
    done = 0
    started = time.perf_counter()
    end = started + seconds

    # Each task takes the next file of all, so that each candidate reads files of all sizes alike.
    following = itertools.cycle(paths)

    async def task() -> None:
        nonlocal done
        while time.perf_counter() < end:
            if name == "plain":
                read_plainly(next(following))
            else:
                await read(next(following))
            done += 1

    await asyncio.gather(*[task() for _ in range(concurrency)])
    rate = done / (time.perf_counter() - started)
    if context:
        context.close()
    return rate


def plain(fd: int, kind: str, payload: bytes, seconds: float) -> float:
    """The most that one thread can do with system calls."""
    size = len(payload)
    blocks = FILE_SIZE // size
    done = block = 0
    started = time.perf_counter()
    while time.perf_counter() < started + seconds:
        for _ in range(16):
            if kind == "read":
                os.pread(fd, size, block * size)
            else:
                os.pwrite(fd, payload, block * size)
            block = (block + 97) % blocks
        done += 16
    return done / (time.perf_counter() - started)


async def with_aiofiles(path: str, kind: str, payload: bytes, concurrency: int, seconds: float) -> float:
    import aiofiles

    files = [await aiofiles.open(path, "rb+", buffering=0) for _ in range(concurrency)]
    free = list(files)

    async def operation(offset: int) -> None:
        file = free.pop()
        await file.seek(offset)
        await (file.read(len(payload)) if kind == "read" else file.write(payload))
        free.append(file)

    rate = await turn(operation, len(payload), concurrency, seconds)
    for file in files:
        await file.close()
    return rate


def serve() -> None:
    """Measures on request: each line of stdin is one."""
    print(json.dumps(candidates()), flush=True)
    for line in sys.stdin:
        print(json.dumps(asyncio.run(measure(**json.loads(line)))), flush=True)


# --- the side that asks ---


class Installation:
    def __init__(self, label: str, python: str) -> None:
        command = [python, os.path.abspath(__file__), "--serve"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.label = label
        self.names: list[str] = self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def measure(self, **what: Any) -> float:
        assert self.process.stdin is not None
        print(json.dumps(what), file=self.process.stdin, flush=True)
        rate: float = self._answer()
        return rate


def table(options: argparse.Namespace) -> None:
    installations = [Installation("ours", sys.executable)]
    if options.other:
        installations.append(Installation("other", options.other))
    runners = [
        (installation, name)
        for installation in installations
        for name in installation.names
        if not (name in PEERS and installation is not installations[-1]) and (not options.only or name in options.only)
    ]
    width = max(len(f"{installation.label} {name}") for installation, name in runners)
    for kind in options.kind:
        for size in options.size if kind != "files" else [0]:
            columns = "".join(f"{concurrency:>8}" for concurrency in options.concurrency)
            what = "read whole files of 1 to 64 KiB" if kind == "files" else f"{kind} {size} bytes"
            print(f"\n{what}, thousands per second at concurrency\n{'':{width}}{columns}")
            best: dict[tuple[str, str, int], float] = {}
            for concurrency in options.concurrency:
                for _ in range(options.turns):
                    for installation, name in runners:
                        rate = installation.measure(
                            name=name,
                            kind=kind,
                            size=size,
                            concurrency=concurrency,
                            seconds=options.seconds,
                            path=options.file,
                        )
                        key = installation.label, name, concurrency
                        best[key] = max(best.get(key, 0), rate)
            for installation, name in runners:
                rates = "".join(f"{best[installation.label, name, c] / 1000:8.1f}" for c in options.concurrency)
                print(f"{installation.label + ' ' + name:{width}}{rates}", flush=True)
            if options.other and kind != "files":
                compare(kind, options.concurrency, best, width)
            for peer in PEERS[:2]:
                compare_default(peer, options.concurrency, best, width)


def compare_default(peer: str, concurrencies: list[int], best: dict[tuple[str, str, int], float], width: int) -> None:
    """How many times as many this caio's default makes."""
    rates = {(name, c): rate for (label, name, c), rate in best.items() if label == "ours" or name == peer}
    if all((name, c) in rates for name in ("auto", peer) for c in concurrencies):
        ratios = [rates["auto", c] / rates[peer, c] for c in concurrencies]
        print(f"{'times ' + peer:{width}}" + "".join(f"{ratio:8.2f}" for ratio in ratios), flush=True)


def compare(kind: str, concurrencies: list[int], best: dict[tuple[str, str, int], float], width: int) -> None:
    """Compares this caio with the other: the default with the other's best, each implementation with its namesake."""
    others = {name for label, name, _ in best if label == "other" and name not in PEERS}
    rivals = {name: {name} & others for name in ("auto", "uring", "uring-nosqpoll", "linux", "thread", "python")}
    rivals["auto"] = rivals["uring"] | rivals["uring-nosqpoll"] if kind == "write" else others
    for name, named in rivals.items():
        if named and all(("ours", name, c) in best for c in concurrencies):
            fastest = [max(best["other", rival, c] for rival in named) for c in concurrencies]
            ratios = [best["ours", name, c] / other for c, other in zip(concurrencies, fastest, strict=True)]
            print(f"{name + ' ratio':{width}}" + "".join(f"{ratio:8.2f}" for ratio in ratios), flush=True)


def main() -> None:
    options = parse()
    if options.serve:
        serve()
        return
    made: list[str] = []
    try:
        if set(options.kind) != {"files"}:
            make_file(options.file, made)
        if "files" in options.kind:
            make_files(files_beside(options.file), made)
        table(options)
    finally:
        for path in made:
            (shutil.rmtree if os.path.isdir(path) else os.remove)(path)


def files_beside(path: str) -> str:
    return path + ".files"


def make_file(path: str, made: list[str]) -> None:
    """Writes the file if it is missing, and reads it into the page cache."""
    if not os.path.exists(path):
        made.append(path)
        with open(path, "wb") as file:
            for _ in range(FILE_SIZE // PIECE):
                file.write(os.urandom(PIECE))
            file.flush()
            os.fsync(file.fileno())
    with open(path, "rb") as file:
        while file.read(1 << 20):
            pass


def make_files(folder: str, made: list[str]) -> None:
    """Writes the files of 1 to 64 KiB."""
    made.append(folder)
    os.mkdir(folder)
    for number in range(FILES):
        with open(os.path.join(folder, str(number)), "wb") as file:
            file.write(os.urandom((1 + number % 64) << 10))


if __name__ == "__main__":
    main()
