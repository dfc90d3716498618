"""The documentation is right: every Python block of every page runs, and every link leads somewhere.

The blocks of a page run in order, in one interpreter, in an empty directory, as a reader would type them. An HTML
comment on the line before a block says what it needs: <!-- root --> (left out as an ordinary user), or
<!-- shown only: why --> (not run at all). A block of a console session (>>>) is compared with what it shows.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
PAGES = sorted([*TOP.glob("*.md"), *TOP.glob("docs/**/*.md")])
BLOCK = re.compile(r"(?:^<!-- (?P<note>[^\n]*?) -->\n)?^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")

RUNNER = """
import doctest, json, sys
page, backend, blocks = json.load(sys.stdin)
names = {"__name__": "__main__"}
for line, code in blocks:
    if code.startswith(">>>"):
        test = doctest.DocTestParser().get_doctest(code, names, page, page, line)
        outcome = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, clear_globs=False)
        names.update(test.globs)
        sys.exit(1) if outcome.failed else None
        continue
    try:
        exec(compile("\\n" * line + code, page, "exec"), names)
    except NotImplementedError:
        if backend != "stdlib":  # there a page may show what the platform lacks
            raise
"""


def blocks(page: Path) -> list[tuple[int, str]]:
    """(line before the code, code) of the blocks of a page that are to be run by this user."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in BLOCK.finditer(text):
        note = match["note"] or ""
        if note.startswith("shown only:") or (note == "root" and os.geteuid() != 0):
            continue
        found.append((text.count("\n", 0, match.start("code")), match["code"]))
    return found


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_blocks_run(page: Path, tmp_path: Path) -> None:
    work = json.dumps([str(page), os.environ.get("FASTOS_BACKEND", ""), blocks(page)])
    command = [sys.executable, "-W", "error", "-c", RUNNER]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # a page may leave its temporary directory behind
    done = subprocess.run(
        command, input=work, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def anchors(page: Path) -> set[str]:
    """The anchors that the headings of a page have."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page: Path) -> None:
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link} leads nowhere"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page.name}: {link} has no such heading"


def test_every_page_is_reached_from_the_index() -> None:
    index = (TOP / "docs" / "index.md").read_text(encoding="utf-8")
    missing = [page.name for page in TOP.glob("docs/*.md") if page.name != "index.md" and page.name not in index]
    assert not missing
