"""The package itself: names, versions, the choice of an implementation."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import caio
import pytest
from conftest import KERNEL_AIO
from packaging.specifiers import SpecifierSet
from packaging.version import Version

HERE = Path(__file__).parent.parent
NAMES = {
    "uring": "caio.linux_uring",
    "linux": "caio.linux_aio",
    "thread": "caio.thread_aio",
    "python": "caio.python_aio",
}
available = {name: module for name, module in NAMES.items() if getattr(caio, module.removeprefix("caio."))}


def version_in(manifest: Path) -> str:
    found = re.search(r'^version = "(.*)"$', manifest.read_text(), re.MULTILINE)
    assert found
    return found[1]


def test_version() -> None:
    assert caio.__version__ == importlib.metadata.version("caio")
    assert caio.__version__.startswith("0.12.")
    assert version_in(HERE / "pyproject.toml") == caio.__version__
    for manifest in (HERE / "Cargo.toml", HERE.parent.parent / "Cargo.toml"):
        major, minor, patch = map(int, version_in(manifest).split("."))
        assert caio.__version__ == f"0.12.10.post{10000 * major + 100 * minor + patch}"
    # aiofile requires it. PyPI refuses a local version.
    version = Version(caio.__version__)
    assert version in SpecifierSet("~=0.12.0")
    assert version > Version("0.12.10")
    assert version.local is None
    assert isinstance(caio.__author__, str)


def test_readme() -> None:
    """The source distribution also has the README of libcaio, at its top."""
    description = importlib.metadata.metadata("caio")["Description"]
    assert description.strip() == (HERE / "README.md").read_text(encoding="utf-8").strip()


def test_names() -> None:
    for name in [
        "AbstractContext",
        "AbstractOperation",
        "AsyncioContext",
        "Context",
        "Operation",
        "__author__",
        "__version__",
        "variants",
        "variants_asyncio",
        "preferred",
        "preferred_asyncio",
        "abstract",
        "asyncio_base",
        "linux_uring",
        "linux_uring_asyncio",
        "linux_aio",
        "linux_aio_asyncio",
        "thread_aio",
        "thread_aio_asyncio",
        "python_aio",
        "python_aio_asyncio",
    ]:
        assert hasattr(caio, name)


def test_variants() -> None:
    assert [module.__name__ for module in caio.variants] == list(available.values())
    assert [module.__name__ for module in caio.variants_asyncio] == [name + "_asyncio" for name in available.values()]
    assert caio.variants + () == caio.variants
    for module in caio.variants + caio.variants_asyncio:
        assert importlib.import_module(module.__name__) is module


def test_documentation_names_the_implementation() -> None:
    for name, module in available.items():
        assert name in (sys.modules[module].Context.__doc__ or "")


def test_typed() -> None:
    folder = Path(caio.__file__).parent
    assert (folder / "py.typed").exists()
    assert (folder / "_native.pyi").exists()


def python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a program with only these variables in its environment."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


WHICH = "import caio; print(caio.preferred.__name__, caio.preferred_asyncio.__name__)"


@pytest.mark.parametrize("name", list(NAMES))
def test_environment(name: str) -> None:
    done = python(WHICH + "; print(caio.Context is caio.preferred.Context)", CAIO_IMPL=name)
    if name in available:
        assert done.stdout.split()[:2] == [available[name], available[name] + "_asyncio"]
        assert done.stderr == ""
        assert done.stdout.endswith("True\n")
    else:
        assert "RuntimeWarning" in done.stderr


def test_environment_that_names_nothing() -> None:
    done = python(WHICH, CAIO_IMPL="nonsense")
    assert "RuntimeWarning: CAIO_IMPL contains unsupported value 'nonsense'. Use one of " in done.stderr
    assert str(tuple(available)) in done.stderr
    assert done.stdout.split()[0] == caio.variants[0].__name__
    done = python(WHICH, CAIO_IMPL="")
    assert done.stderr == ""
    assert done.stdout.split()[0] == caio.variants[0].__name__


@pytest.fixture
def default_file() -> Iterator[Path]:
    path = Path(caio.__file__).with_name("default_implementation")
    assert not path.exists()
    yield path
    path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("python\n", "python"),
        ("# a comment\n\n  \nthread\nuring\n", "thread"),
        ("nonsense\nthread\n", "thread"),
        ("#thread\n", None),
        ("", None),
        ("\xff\xfe", None),
    ],
)
def test_file(default_file: Path, text: str, chosen: str | None) -> None:
    default_file.write_text(text, encoding="latin-1")
    done = python(WHICH)
    assert done.stderr == ""
    assert done.stdout.split()[0] == (NAMES[chosen] if chosen else caio.variants[0].__name__)
    assert python(WHICH, CAIO_IMPL="python").stdout.split()[0] == "caio.python_aio"
    assert python(WHICH, CAIO_IMPL="nonsense").stdout.split()[0] == caio.variants[0].__name__


def test_without_the_native_part() -> None:
    done = python(
        """
        import sys
        sys.modules["caio._native"] = None
        import asyncio, caio
        assert caio.linux_uring is caio.linux_aio is caio.thread_aio is None
        assert caio.variants == (caio.python_aio,)
        assert caio.AsyncioContext is caio.python_aio_asyncio.AsyncioContext
        try:
            import caio.linux_uring
        except ImportError as error:
            assert type(error) is ImportError and "native" in str(error)
        else:
            raise AssertionError
        assert not caio.probe()["thread"].available

        async def main():
            async with caio.AsyncioContext() as context:
                with open(caio.__file__, "rb") as file:
                    assert (await context.read(3, file.fileno(), 0)) == b'\\"\\"\\"'

        asyncio.run(main())
        """
    )
    assert done.stderr == ""
    assert done.returncode == 0


def test_unavailable_module() -> None:
    """The probe is made to report that the kernel refuses io_uring and AIO."""
    done = python(
        """
        import caio._native as native
        honest = native._probe
        native._probe = lambda backend: (False, "the kernel is moody") if backend in (1, 2) else honest(backend)
        import caio
        assert caio.linux_uring is None and caio.linux_aio_asyncio is None
        assert [m.__name__ for m in caio.variants] == ["caio.thread_aio", "caio.python_aio"]
        import importlib
        for name in ("caio.linux_uring", "caio.linux_aio", "caio.linux_uring_asyncio"):
            for attempt in range(2):
                try:
                    importlib.import_module(name)
                except ImportError as error:
                    assert type(error) is ImportError and "moody" in str(error), error
                else:
                    raise AssertionError(name)
        assert caio.linux_uring is None
        """.replace("import caio._native as native\n", "import sys, importlib.util\n        " + FAKE)
    )
    assert done.stderr == ""
    assert done.returncode == 0


# Loads the native module before the package.
FAKE = """spec = importlib.util.find_spec("caio")
        path = next(p for p in __import__("glob").glob(spec.submodule_search_locations[0] + "/_native*.so"))
        native_spec = importlib.util.spec_from_file_location("caio._native", path)
        native = importlib.util.module_from_spec(native_spec)
        native_spec.loader.exec_module(native)
        sys.modules["caio._native"] = native
"""


def test_probe() -> None:
    found = caio.probe()
    assert list(found) == ["auto", "uring", "linux", "thread", "python"]
    for name, probe in found.items():
        assert probe.reason
        assert probe.available or name in ("uring", "linux")
        if name in NAMES:
            assert probe.available == (name in available)


def test_default_context_falls_back_when_it_is_created(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seccomp filter forbids io_uring after the import."""
    pytest.importorskip("ctypes", exc_type=ImportError)
    done = python(
        f"""
        io_setup = {KERNEL_AIO and KERNEL_AIO[0]}"""
        """
        import ctypes, struct, asyncio, caio
        if caio.linux_uring is None:
            print("thread"); raise SystemExit
        # Allow all but io_uring_setup (425) and io_setup, which yield EPERM.
        def instruction(code, yes, no, k): return struct.pack("HBBI", code, yes, no, k)
        program = b"".join([
            instruction(0x20, 0, 0, 0), instruction(0x15, 2, 0, 425), instruction(0x15, 1, 0, io_setup),
            instruction(0x06, 0, 0, 0x7FFF0000), instruction(0x06, 0, 0, 0x00050001)])
        libc = ctypes.CDLL(None)
        buffer = ctypes.create_string_buffer(program)
        fprog = struct.pack("HP", 5, ctypes.addressof(buffer))
        assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.create_string_buffer(fprog)) == 0

        async def main():
            context = caio.AsyncioContext()
            assert isinstance(context.context, caio.thread_aio.Context)
            with open(caio.__file__, "rb") as file:
                assert len(await context.read(3, file.fileno(), 0)) == 3
            try:
                caio.linux_uring_asyncio.AsyncioContext()
            except SystemError as error:
                assert error.errno == 1
            print(context.stats().implementation)

        asyncio.run(main())
        """
    )
    assert done.stderr == ""
    assert done.stdout == "thread\n"


SUB_INTERPRETER = """
import sys
sys.path[:] = PATH
import caio
assert caio.linux_uring is None and caio.variants == (caio.python_aio,)
assert "interpreter" in caio.probe()["uring"].reason
print("refused", flush=True)
"""


@pytest.mark.parametrize("first", ["", "import caio"])
def test_sub_interpreters_are_refused(first: str) -> None:
    """The native part refuses to load, whether the main interpreter has loaded it or not. The Python part works."""
    done = python(
        f"""
        {first}
        try:
            import _interpreters as interpreters
            sub = interpreters.create("legacy")
        except ImportError:
            import _xxsubinterpreters as interpreters
            sub = interpreters.create(isolated=False)
        interpreters.run_string(sub, {SUB_INTERPRETER.replace("PATH", repr(sys.path))!r})
        interpreters.destroy(sub)
        """
    )
    assert done.stderr == ""
    assert done.stdout == "refused\n"
    assert done.returncode == 0
