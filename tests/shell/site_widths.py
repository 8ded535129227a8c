#!/usr/bin/env python3
"""site_widths.py SITE BROWSER: opens each page of the site in headless Chromium, in frames of a phone's and a desktop's width.

Prints what is wider than its frame, and fails if there is any.
"""

import html
import re
import subprocess
import sys
import tempfile
from pathlib import Path

WIDTHS = 360, 1280
# An element that scrolls in itself, or lies in one that does, may be wider.
MEASURE = """
const found = [], frame = document.getElementById("frame");
const scrolls = element => ["auto", "scroll", "hidden"].includes(getComputedStyle(element).overflowX);
const inside = element => element && element.parentElement && (scrolls(element) || inside(element.parentElement));
const load = (page, width) => new Promise(done => {
    frame.onload = () => done(frame.contentDocument);
    frame.style.width = width + "px";
    frame.src = page + "?" + width;
});
(async () => {
    for (const page of PAGES) for (const width of WIDTHS) {
        const shown = await load(page, width), root = shown.documentElement;
        if (shown.title === "" || root.clientWidth === 0) found.push(`${page}: not shown`);
        if (root.scrollWidth <= root.clientWidth) continue;
        const wide = [...shown.body.querySelectorAll("*")].filter(e => e.getBoundingClientRect().right > root.clientWidth && !inside(e));
        found.push(`${page} at ${width}: ${root.scrollWidth} wide: ` + wide.slice(0, 3).map(e => e.outerHTML.slice(0, 80)).join(" | "));
    }
    document.getElementById("result").textContent = [...found, "measured " + PAGES.length].join("\\n");
})();
"""


def main(site: Path, browser: str) -> int:
    pages = sorted(page.as_uri() for page in site.resolve().glob("*.html"))
    script = f"const PAGES = {pages}, WIDTHS = {list(WIDTHS)};{MEASURE}"
    with tempfile.TemporaryDirectory() as scratch:
        harness = Path(scratch, "harness.html")
        harness.write_text(f'<pre id="result"></pre><iframe id="frame" height="800"></iframe><script>{script}</script>')
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
                   "--disable-component-update", "--disable-sync", f"--user-data-dir={scratch}/profile",
                   "--allow-file-access-from-files", "--virtual-time-budget=60000", "--dump-dom", harness.as_uri()]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=120)
    result = re.search(r'<pre id="result">(.*?)</pre>', shown.stdout, re.DOTALL)
    lines = html.unescape(result[1]).splitlines() if result else []
    print("\n".join(lines))
    if lines != [f"measured {len(pages)}"]:
        print(shown.stderr[-2000:] if not lines else "", end="")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
