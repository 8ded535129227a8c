#!/usr/bin/python3
"""Builds the manual site: build.py OUTPUT

The pages come from their one source: man/ (through mandoc), README.md and other documents, docs/*.md, and the programs in
c-examples/. In docs/*.md, a line {{PATH}} stands for the code of that file, {{PATH NAME...}} for functions of it. A broken link
is an error.
"""

import html
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

try:
    import markdown
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_for_filename
except ImportError as error:
    sys.exit(f"make site needs python3-markdown and python3-pygments of Debian: {error}")
import plots

ROOT = Path(__file__).resolve().parent.parent
VERSION = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]

LOOPS = {
    "epoll": "epoll",
    "epoll_edge": "epoll, edge-triggered",
    "poll": "poll",
    "libuv": "libuv",
    "glib": "GLib, GTK",
    "libev": "libev",
    "libevent": "libevent",
    "qt": "Qt",
    "asio": "Asio",
    "sd_event": "sd-event",
}

# The programs in bindings/examples, by the name of their page: each file is on one of them.
LANGUAGES = {
    "python-ctypes": ("Python, ctypes", ["python_ctypes.py"]),
    "python-cffi": ("Python, cffi", ["python_cffi.py"]),
    "node": ("Node", ["node.mjs"]),
    "luajit": ("LuaJIT", ["luajit.lua"]),
    "ruby": ("Ruby", ["ruby.rb"]),
    "ruby-fibers": ("Ruby, fibers", ["ruby_fibers.rb", "ruby_scheduler.rb"]),
    "go": ("Go", ["go/main.go", "go/chain.h"]),
    "java": ("Java", ["Caio.java"]),
    "perl": ("Perl", ["perl.pl"]),
}

# Documents of the repository that are pages of the site.
DOCUMENTS = {
    "README.md": "index.html",
    "benches/README.md": "performance.html",
    "tests/RELIABILITY.md": "reliability.html",
    "bindings/python/README.md": "python.html",
    "CHANGELOG.md": "changelog.html",
    "CONTRIBUTING.md": "contributing.html",
}

NAVIGATION = [
    ("Guide", [
        ("index.html", "Introduction"),
        ("tutorial.html", "Tutorial"),
        ("caio.7.html", "The ideas"),
        ("backends.html", "Choosing a backend"),
        ("containers.html", "Containers"),
        ("performance.html", "Performance"),
        ("caio-promises.7.html", "Semantics: the promises"),
        ("reliability.html", "Reliability"),
    ]),
    ("Event loops", [("caio-loops.7.html", "All loops")] + [(f"loop-{name}.html", title) for name, title in LOOPS.items()]),
    ("Languages", [
        ("rust.html", "Rust"),
        ("caio.hpp.3.html", "C++"),
        ("python.html", "Python, asyncio"),
        ("languages.html", "Other languages"),
        *((f"language-{name}.html", title) for name, (title, _) in LANGUAGES.items()),
        ("caio-bindings.7.html", "For authors of bindings"),
    ]),
    ("Migration from", [
        ("migration-libaio.html", "libaio"),
        ("migration-liburing.html", "liburing"),
        ("migration-libuv.html", "libuv's fs"),
        ("migration-posix-aio.html", "glibc's POSIX AIO"),
        ("migration-python-caio.html", "PyPI's caio"),
    ]),
    ("Reference", [("manual.html", "Manual pages"), ("examples.html", "Programs"), ("changelog.html", "Changelog"),
                   ("contributing.html", "Contributing")]),
]

CODE = HtmlFormatter(cssclass="code", style="friendly")


class Site:
    def __init__(self, output: Path):
        self.output = output
        self.pages: dict[str, str] = {}
        self.manual = {page.name: page for page in sorted((ROOT / "man").iterdir())}

    def add(self, name: str, title: str, body: str) -> None:
        """Adds a page with the navigation around its body."""
        parts = []
        for heading, entries in NAVIGATION:
            items = "".join(
                f'<li><a href="{target}"{" aria-current=page" if target == name else ""}>{html.escape(text)}</a></li>'
                for target, text in entries
            )
            parts.append(f"<h2>{html.escape(heading)}</h2><ul>{items}</ul>")
        navigation = "".join(parts)
        self.pages[name] = (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)} - libcaio</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="style.css"></head>\n'
            f'<body><header><a class="brand" href="index.html">libcaio</a> <span>{VERSION}</span>'
            '<label class="menu" for="open">Contents</label></header>\n'
            f'<input type="checkbox" id="open" aria-label="Show the contents"><nav aria-label="Contents">{navigation}</nav>\n<main>{body}</main></body></html>\n'
        )

    def page_of(self, path: Path) -> str | None:
        """The page that shows a file of the repository."""
        if (path / "README.md").exists():
            path /= "README.md"
        name = path.relative_to(ROOT).as_posix()
        if name in DOCUMENTS:
            return DOCUMENTS[name]
        if path.parent == ROOT / "man" and path.name in self.manual:
            return f"{path.name}.html"
        if path.parent == ROOT / "docs" and path.suffix == ".md":
            return f"{path.stem}.html"
        if path.parent == ROOT / "docs/migration":
            return f"migration-{path.stem}.html"
        if path.parent == ROOT / "c-examples/loops" and path.stem in LOOPS:
            return f"loop-{path.stem}.html"
        if path.is_relative_to(ROOT / "bindings/examples"):
            shown = (page for page, (_, files) in LANGUAGES.items() if name.removeprefix("bindings/examples/") in files)
            return f"language-{next(shown)}.html" if path.is_file() else "languages.html"
        if name.startswith("c-examples"):
            return "examples.html"
        if name == "LICENSE":
            return "license.txt"
        return None

    def link(self, target: str, source: Path) -> str | None:
        """Turns a link between files of the repository into one between pages. Some files have no page."""
        if re.match(r"[a-z]+:|#", target) or target.endswith(".html"):
            return target
        path, _, fragment = target.partition("#")
        file = (source.parent / path).resolve()
        if not file.is_relative_to(ROOT) or not file.exists():
            raise SystemExit(f"{source}: no file for the link to {target}")
        page = self.page_of(file)
        return page and page + ("#" + fragment if fragment else "")

    # Markdown.

    def add_markdown(self, source: Path, name: str, text: str | None = None) -> None:
        text = text or source.read_text()
        text = re.sub(r"^\{\{(.*)\}\}$", lambda match: self.program(match[1]), text, flags=re.MULTILINE)
        body = markdown.markdown(
            text,
            extensions=["fenced_code", "tables", "toc", "sane_lists", "codehilite"],
            extension_configs={"codehilite": {"css_class": "code", "guess_lang": False}},
        )

        def linked(match: re.Match[str]) -> str:
            target = self.link(match[1], source)
            return f'<a href="{target}"' if target else "<a"

        body = re.sub(r'<a href="([^"]*)"', linked, body)
        if name == "performance.html":
            heading = '<h3 id="throughput">throughput</h3>'
            body = body.replace(heading, heading + plots.figure(text))
        title = re.search(r"^# (.*)", text, re.MULTILINE)
        self.add(name, title[1] if title else source.stem, self.wide(self.references(body)))

    def program(self, what: str) -> str:
        path, *functions = what.split()
        language = {".c": "c", ".cpp": "cpp", ".py": "python", ".h": "c"}[Path(path).suffix]
        text = (ROOT / path).read_text()
        if functions:
            text = "\n".join(self.function(path, text, name) for name in functions)
        return f"```{language}\n{text}```"

    @staticmethod
    def function(path: str, text: str, name: str) -> str:
        """A function of a C file, with the comment above it."""
        found = re.search(rf"^(?:/\*(?:(?!\*/).)*\*/\n)?[^\n;=]*\b{name}\([^;]*?\)\n{{\n.*?^}}\n", text, re.MULTILINE | re.DOTALL)
        if not found:
            raise SystemExit(f"{path}: no function {name}")
        return found[0]

    @staticmethod
    def wide(body: str) -> str:
        """A wide table scrolls in its own box."""
        return body.replace("<table", '<div class="wide"><table').replace("</table>", "</table></div>")

    # The manual.

    def add_manual(self) -> None:
        rows = {}
        for name, path in self.manual.items():
            text = path.read_text()
            alias = re.match(r"\.so man\d/(\S+)", text)
            if alias:
                rows[name] = (alias[1], self.purpose(self.manual[alias[1]].read_text()))
                continue
            rows[name] = (name, self.purpose(text))
            made = subprocess.run(
                ["mandoc", "-Thtml", "-Ofragment", path.name], cwd=path.parent, check=True, capture_output=True, text=True
            )
            body = self.wide(self.references(self.anchors(self.tidy(made.stdout)), name))
            self.add(f"{name}.html", self.display(name), f'<div class="manual">{body}</div>')
        self.add("manual.html", "Manual pages", self.wide(self.index(rows)))

    @staticmethod
    def tidy(body: str) -> str:
        """mandoc puts breaks around programs and before their indented lines, and makes definitions of bullets."""
        body = body.replace('<p class="Pp">\n  <br/>\n</p>\n', "").replace("<br/>\n<pre>", "<pre>").replace("</pre>\n<br/>", "</pre>")
        body = re.sub(r"<pre>.*?</pre>", lambda match: match[0].replace("<br/>\n", ""), body, flags=re.DOTALL)
        return body.replace("<dt>&#x2022;</dt>", '<dt class="bullet">&#x2022;</dt>')

    @staticmethod
    def display(name: str) -> str:
        stem, section = name.rsplit(".", 1)
        return f"{stem}({section})"

    @staticmethod
    def purpose(text: str) -> str:
        line = text.split("\n.SH NAME\n")[1].split("\n.SH")[0].replace("\n", " ").split("\\- ", 1)[1]
        return re.sub(r"\\-", "-", line).strip()

    def index(self, rows: dict[str, tuple[str, str]]) -> str:
        body = "<h1>Manual pages</h1>"
        for section, heading in (("7", "Concepts"), ("3", "Functions and types"), ("1", "Programs")):
            items = "".join(
                f'<tr><td><a href="{target}.html">{self.display(name)}</a></td><td>{html.escape(text)}</td></tr>'
                for name, (target, text) in rows.items()
                if name.endswith("." + section)
            )
            body += f"<h2>{heading}</h2><table>{items}</table>"
        return body

    @staticmethod
    def anchors(body: str) -> str:
        """mandoc can use an anchor twice, for a section and an item of the same name."""
        seen: set[str] = set()

        def once(match: re.Match[str]) -> str:
            anchor = match[1]
            while anchor in seen:
                anchor += "_"
            seen.add(anchor)
            return f'id="{anchor}"'

        return re.sub(r'\bid="([^"]*)"', once, body)

    def references(self, body: str, page: str = "") -> str:
        """Links caio_ctx_poll(3) to its page."""

        def linked(match: re.Match[str]) -> str:
            name = f"{match[2]}.{match[4]}"
            if name not in self.manual or name == page:
                return match[0]
            alias = re.match(r"\.so man\d/(\S+)", self.manual[name].read_text())
            return f'<a href="{alias[1] if alias else name}.html">{match[0]}</a>'

        # Text inside a link stays as it is.
        pieces = re.split(r"(<a\b.*?</a>|<pre\b.*?</pre>)", body, flags=re.DOTALL)
        return "".join(
            piece if piece.startswith(("<a", "<pre")) else re.sub(r"(<b>)?([\w.-]+)(</b>)?\((\d)\)", linked, piece) for piece in pieces
        )

    # Programs.

    def shown(self, path: Path) -> str:
        return highlight(path.read_text(), get_lexer_for_filename(path.name), CODE)

    def add_loops(self) -> None:
        folder = ROOT / "c-examples/loops"
        for name, title in LOOPS.items():
            path = next(folder.glob(f"{name}.c*"))
            body = (
                f"<h1>{html.escape(title)}</h1><p>This is <code>c-examples/loops/{path.name}</code>, a complete program. The reads "
                'are in <code>reads.c</code>, below: <code>reads_handle</code> calls caio_ctx_poll(3) once and handles the events. '
                "caio-loops(7) explains batch sizes, edge-triggered notification and tear-down.</p>"
                f"{self.shown(path)}<h2>reads.c</h2>{self.shown(folder / 'reads.c')}"
            )
            self.add(f"loop-{name}.html", title, self.references(body))

    def add_languages(self) -> None:
        folder = ROOT / "bindings/examples"
        rows, left = "", {path for path in folder.rglob("*") if path.is_file()}
        for name, (title, files) in LANGUAGES.items():
            paths = [folder / file for file in files]
            left -= set(paths)
            programs = "".join(f"<p><code>{path.relative_to(ROOT)}</code></p>{self.shown(path)}" for path in paths)
            body = (
                f"<h1>{title}</h1><p>The program reads the files whose names are on standard input, through the installed library. It opens "
                f"and closes each file in a chain. caio-bindings(7) has the rules for bindings.</p>{programs}"
            )
            self.add(f"language-{name}.html", title, self.references(body))
            rows += f'<tr><td><a href="language-{name}.html">{title}</a></td><td><code>{paths[0].relative_to(ROOT)}</code></td></tr>'
        if left:
            raise SystemExit(f"no page shows {', '.join(sorted(str(path) for path in left))}")
        body = (
            "<h1>Other languages</h1><p>Each program reads a tree through the installed library, with the binding that its first line names, in "
            f"fewer than 60 lines. caio-bindings(7) has the rules for bindings.</p><table>{rows}</table>"
        )
        self.add("languages.html", "Other languages", self.wide(self.references(body)))

    def add_rust(self) -> None:
        """The introduction of the crate's documentation. `cargo doc` makes the rest."""
        source = ROOT / "src/lib.rs"
        lines, in_code = ["# Rust", ""], False
        for line in source.read_text().splitlines():
            if not line.startswith("//!"):
                continue
            line = line[4:]
            if line.startswith("```"):
                in_code = not in_code
                lines.append("```rust" if in_code and line == "```" else line)
            elif not in_code:
                line = re.sub(r"\[(`[^`]*`)\](\([\w:]*\))?", r"\1", line)  # links to items
                lines.append("#" + line if line.startswith("#") else line)
            elif not re.match(r"# |#$", line):  # rustdoc hides these
                lines.append(line)
        self.add_markdown(source, "rust.html", "\n".join(lines))

    def add_examples(self) -> None:
        body = "<h1>Programs</h1><p>Build them with <code>make -C c-examples</code>, against an installed libcaio.</p>"
        for path in sorted((ROOT / "c-examples").glob("*.c")):
            body += f'<h2 id="{path.stem}">{path.name}</h2>{self.shown(path)}'
        for folder in sorted(path for path in (ROOT / "c-examples").glob("caio-*")):
            page = f"{folder.name}.1"
            name = f'<a href="{page}.html">{folder.name}(1)</a>, ' if page in self.manual else ""
            files = ", ".join(f"<code>{path.name}</code>" for path in sorted(folder.iterdir()))
            body += f"<h2>{folder.name}</h2><p>{name}in <code>c-examples/{folder.name}</code>: {files}.</p>"
        self.add("examples.html", "Programs", body)

    def build(self) -> None:
        for source, name in DOCUMENTS.items():
            self.add_markdown(ROOT / source, name)
        for source in sorted((ROOT / "docs").rglob("*.md")):
            self.add_markdown(source, self.page_of(source) or "")
        self.add_manual()
        self.add_loops()
        self.add_languages()
        self.add_rust()
        self.add_examples()
        self.output.mkdir(parents=True, exist_ok=True)
        for old in self.output.iterdir():
            old.unlink()
        for name, text in self.pages.items():
            (self.output / name).write_text(text)
        style = (ROOT / "docs/style.css").read_text() + CODE.get_style_defs(".code")
        (self.output / "style.css").write_text(style)
        (self.output / "license.txt").write_text((ROOT / "LICENSE").read_text())


class Links(HTMLParser):
    """The anchors of a page and the links from it."""

    def __init__(self, text: str):
        super().__init__()
        self.anchors: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if key == "id" and value:
                self.anchors.append(value)
            elif key in ("href", "src") and value:
                self.links.append(value)


def check_links(output: Path) -> list[str]:
    """Describes each link without a target, each anchor that a page has twice, and each page without a link to it."""
    pages = {path.name: Links(path.read_text()) for path in output.glob("*.html")}
    problems, reached = [], {"index.html"}
    for name, page in pages.items():
        problems += [f"{name}: the anchor {anchor} occurs twice" for anchor in set(page.anchors) if page.anchors.count(anchor) > 1]
        for link in page.links:
            if re.match(r"[a-z]+:", link):
                continue
            target, _, fragment = link.partition("#")
            target = target or name
            reached.add(target)
            if not (output / target).exists() or (fragment and fragment not in pages[target].anchors):
                problems.append(f"{name}: no target for the link {link}")
    return problems + [f"{name}: no page links to it" for name in pages if name not in reached]


def main() -> int:
    output = Path(sys.argv[1])
    site = Site(output)
    site.build()
    problems = check_links(output)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{output / 'index.html'}: {len(site.pages)} pages, {len(problems)} broken links")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
