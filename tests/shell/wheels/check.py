"""Checks one wheel, or the source distribution, of the Python package: its files, its metadata and its native part.

check.py NAME FILE, where NAME is `manylinux-i686`, `macos-arm64`, `windows-amd64` and so on, or `sdist`.
Needs macholib, pefile and pyelftools. auditwheel and abi3audit check what this does not: the versions of symbols, and
the stable ABI.
"""

from __future__ import annotations

import base64
import email
import hashlib
import os
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "bindings/python"
#: The names of a processor: in ELF, in Mach-O and in PE.
ELF = {"x86_64": "EM_X86_64", "i686": "EM_386", "aarch64": "EM_AARCH64"}
MACH = {"x86_64": 0x01000007, "arm64": 0x0100000C}
LINUX_LIBRARIES = {
    "libc",
    "libpthread",
    "libdl",
    "libgcc_s",
    "ld-linux",
    "ld-linux-x86-64",
    "ld-linux-aarch64",
    "librt",
    "libm",
}
#: Rust's standard library asks for libiconv, which in zig's list of symbols names libcharset. Both are parts of macOS.
MACOS_LIBRARIES = {"/usr/lib/libSystem.B.dylib", "/usr/lib/libiconv.2.dylib", "/usr/lib/libcharset.1.dylib"}
WINDOWS_LIBRARIES = {
    "python3.dll",
    "kernel32.dll",
    "ntdll.dll",
    "ws2_32.dll",
    "bcryptprimitives.dll",
    "msvcrt.dll",
    "advapi32.dll",
    "userenv.dll",
}
problems: list[str] = []


def expect(what: str, wanted: object, found: object) -> None:
    if wanted != found:
        problems.append(f"{what}: {found!r} instead of {wanted!r}")


def expect_files(wanted: set[str], found: set[str]) -> None:
    problems.extend(f"{name} is missing" for name in sorted(wanted - found))
    problems.extend(f"{name} does not belong there" for name in sorted(found - wanted))


def project() -> dict[str, str]:
    """The fields of pyproject.toml that the metadata repeats. Python 3.10 has no tomllib."""
    lines = (PACKAGE / "pyproject.toml").read_text().splitlines()
    return dict(line.replace('"', "").split(" = ", 1) for line in lines if " = " in line)


def sources(folder: Path) -> set[str]:
    """The files that the repository has there: no caches, and nothing that was compiled."""
    files = (file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    hidden = ("__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", "target")
    return {
        file.as_posix()
        for file in files
        if not set(hidden) & set(file.parts) and file.suffix not in (".so", ".pyd", ".pyc")
    }


def check_record(wheel: zipfile.ZipFile, info: str) -> None:
    """RECORD has the hash of each file but itself."""
    rows = [line.rsplit(",", 2) for line in wheel.read(info + "RECORD").decode().splitlines()]
    expect("the files in RECORD", sorted(wheel.namelist()), sorted(row[0] for row in rows))
    for name, digest, _ in rows:
        if not name.endswith("/RECORD"):
            found = base64.urlsafe_b64encode(hashlib.sha256(wheel.read(name)).digest()).decode().rstrip("=")
            expect(f"the hash of {name}", f"sha256={found}", digest)


def check_metadata(text: str) -> None:
    fields, wanted = email.message_from_string(text), project()
    expect("Name", wanted["name"], fields["Name"])
    expect("Version", wanted["version"], fields["Version"])
    expect("a local version, which PyPI refuses", False, "+" in fields["Version"])
    expect("Requires-Python", wanted["requires-python"], fields["Requires-Python"])
    expect("License-Expression", wanted["license"], fields["License-Expression"])
    expect("License-File", ["LICENSE"], fields.get_all("License-File"))
    expect("the README in it", True, fields.get_payload().strip() == (PACKAGE / "README.md").read_text().strip())


def tags(name: str) -> set[str]:
    """The tags that the name of a wheel has."""
    family, processor, *free_threaded = name.split("-")
    python = f"{free_threaded[0].rstrip('t')}-{free_threaded[0]}" if free_threaded else "cp310-abi3"
    platforms = {
        "manylinux": [f"manylinux2014_{processor}", f"manylinux_2_17_{processor}"],
        "musllinux": [f"musllinux_1_2_{processor}"],
        "macos": [f"macosx_11_0_{processor}"],
        "windows": [f"win_{processor}"],
    }
    return {f"{python}-{platform}" for platform in platforms[family]}


def check_wheel(name: str, path: Path) -> None:
    wheel = zipfile.ZipFile(path)
    info = next(n for n in wheel.namelist() if n.endswith(".dist-info/METADATA")).removesuffix("METADATA")
    natives = [n for n in wheel.namelist() if n.startswith("caio/_native.") and n.endswith((".so", ".pyd"))]
    expect("the number of native parts", 1, len(natives))
    metadata = {info + part for part in ("METADATA", "WHEEL", "RECORD", "licenses/LICENSE")}
    expect_files(sources(PACKAGE / "python") | metadata | set(natives[:1]), set(wheel.namelist()))
    expect("the tags in WHEEL", tags(name), set(email.message_from_bytes(wheel.read(info + "WHEEL")).get_all("Tag")))
    if info + "licenses/LICENSE" in wheel.namelist():
        expect("the licence", True, wheel.read(info + "licenses/LICENSE") == (ROOT / "LICENSE").read_bytes())
    check_metadata(wheel.read(info + "METADATA").decode())
    check_record(wheel, info)
    check_native(name, wheel.read(natives[0]))


def check_native(name: str, code: bytes) -> None:
    for folder in (str(ROOT), str(Path.home())):
        expect(f"a path of the build machine, {folder}, in the native part", False, folder.encode() in code)
    family, processor = name.split("-")[:2]
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "native")
        Path(file).write_bytes(code)
        {"macos": check_macho, "windows": check_pe}.get(family, check_elf)(file, processor)


def check_elf(file: str, processor: str) -> None:
    from elftools.elf.elffile import ELFFile

    with open(file, "rb") as opened:
        elf = ELFFile(opened)
        expect("the processor", ELF[processor], elf["e_machine"])
        dynamic = list(elf.get_section_by_name(".dynamic").iter_tags())
        needed = {tag.needed.split(".")[0] for tag in dynamic if tag.entry.d_tag == "DT_NEEDED"}
        expect("foreign libraries", set(), needed - LINUX_LIBRARIES)
        for unwanted in ("DT_RPATH", "DT_RUNPATH"):
            expect(unwanted, [], [tag.entry.d_val for tag in dynamic if tag.entry.d_tag == unwanted])
        # A dlopen of libcaio.so.0 must not yield this library. The name that zig gives is harmless.
        names = {tag.soname for tag in dynamic if tag.entry.d_tag == "DT_SONAME"}
        expect("the soname", set(), names - {"lib_native.so"})
        defined = {s.name for s in elf.get_section_by_name(".dynsym").iter_symbols() if s["st_shndx"] != "SHN_UNDEF"}
        check_exports(defined)
        expect("debug information", None, elf.get_section_by_name(".debug_info"))


def check_exports(names: set[str]) -> None:
    expect("exports", ["PyInit__native"], sorted(name for name in names if name))


def check_macho(file: str, processor: str) -> None:
    from macholib import mach_o
    from macholib.MachO import MachO
    from macholib.SymbolTable import SymbolTable

    image = MachO(file)
    expect("the number of processors", 1, len(image.headers))
    header = image.headers[0]
    expect("the processor", MACH[processor], header.header.cputype)
    commands = {load.cmd: command for load, command, _ in header.commands}
    build = commands[mach_o.LC_BUILD_VERSION]
    expect("the platform and the oldest macOS", (1, 11, 0), (build.platform, build.minos >> 16, build.minos >> 8 & 255))
    expect("foreign libraries", set(), {name for _, _, name in header.walkRelocatables()} - MACOS_LIBRARIES)
    expect("LC_RPATH", False, mach_o.LC_RPATH in commands)
    # External, in a section, and not private to the image.
    exports = {name.decode() for symbol, name in SymbolTable(image).nlists if symbol.n_type & 0x1F == 0x0F}
    # zig has no list of exports: its linker and Rust's runtime leave some. No function of the library is among them.
    mine = {name.removeprefix("_") for name in exports} - {"__dso_handle", "_mh_dylib_header", "rust_eh_personality"}
    check_exports({name for name in mine if not (name.startswith("_R") and "3std" in name)})
    signature = commands.get(mach_o.LC_CODE_SIGNATURE)
    if signature is not None:
        check_signature(Path(file).read_bytes(), signature.dataoff)
    elif processor == "arm64":
        problems.append("no signature, without which macOS on arm64 does not load it")


def check_signature(code: bytes, offset: int) -> None:
    """The hash of each page in the ad-hoc signature. macOS ends a process that loads a page with another."""
    count = struct.unpack_from(">I", code, offset + 8)[0]
    blobs = dict(struct.unpack_from(">II", code, offset + 12 + 8 * n) for n in range(count))
    directory = offset + blobs[0]
    hashes, _, _, slots, limit = struct.unpack_from(">5I", code, directory + 16)
    size, kind, _, page = struct.unpack_from("4B", code, directory + 36)
    expect("the kind of hash, SHA-256", 2, kind)
    expect("the signed part", offset, limit)
    for slot in range(slots):
        start = slot << page
        found = hashlib.sha256(code[start : min(start + (1 << page), limit)]).digest()
        expect(f"the hash of page {slot}", code[directory + hashes + slot * size :][:size], found)


def check_pe(file: str, processor: str) -> None:
    import pefile

    image = pefile.PE(file)
    expect("the processor", "IMAGE_FILE_MACHINE_AMD64", pefile.MACHINE_TYPE[image.FILE_HEADER.Machine])
    imported = {entry.dll.decode().lower() for entry in image.DIRECTORY_ENTRY_IMPORT}
    expect("python3.dll is imported", True, "python3.dll" in imported)
    expect("foreign libraries", [], sorted(n for n in imported - WINDOWS_LIBRARIES if not n.startswith("api-ms-win-")))
    check_exports({symbol.name.decode() for symbol in image.DIRECTORY_ENTRY_EXPORT.symbols})
    for flag in ("DYNAMIC_BASE", "NX_COMPAT", "HIGH_ENTROPY_VA"):
        expect(flag, True, getattr(image.OPTIONAL_HEADER, f"IMAGE_DLLCHARACTERISTICS_{flag}"))


def check_sdist(path: Path) -> None:
    """The binding with its tests, and what `cargo package` puts in the crate. The Python modules stand at the top."""
    with tarfile.open(path) as archive:
        top = archive.getnames()[0].split("/")[0]
        found = {member.name.removeprefix(f"{top}/") for member in archive if member.isfile()}
        check_metadata(archive.extractfile(f"{top}/PKG-INFO").read().decode())
    elsewhere = ("pyproject.toml", "LICENSE")
    binding = {name for name in sources(PACKAGE) if name not in elsewhere and not name.startswith("python/")}
    python = {f"python/{name}" for name in sources(PACKAGE / "python")}
    command = ["cargo", "package", "--list", "--allow-dirty", "--locked", "--quiet"]
    crate = set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())
    wanted = {f"bindings/python/{name}" for name in binding} | python | {"PKG-INFO", "pyproject.toml"}
    expect_files(wanted | crate - {".cargo_vcs_info.json", "Cargo.toml.orig"}, found)


if __name__ == "__main__":
    if sys.argv[1] == "sdist":
        check_sdist(Path(sys.argv[2]))
    else:
        check_wheel(sys.argv[1], Path(sys.argv[2]))
    print("\n".join(problems))
    sys.exit(bool(problems))
