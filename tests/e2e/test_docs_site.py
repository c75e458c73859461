"""The documentation builds without a warning, shows the whole public API, and is complete without a network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import candor

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source)[^>]*\ssrc=["']?(?:https?:)?//   # what a page loads ...
      | <link[^>]*\shref=["']?(?:https?:)?//
      | url\(["']?(?:https?:)?// | @import\s+["'](?:https?:)?//       # ... or its styles do""",
    re.VERBOSE,
)


def build(source: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sphinx", "-q", "-E", "-W", "--keep-going", "-b", "html", *options]
    return subprocess.run([*command, str(source), str(out)], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    done = build(DOCS, out)
    assert (done.returncode, done.stderr) == (0, "")
    return out


@pytest.mark.slow
def test_the_public_api_is_on_the_site(site: Path) -> None:
    shown = set(re.findall(r'id="candor\.(\w+)"', (site / "api/candor.html").read_text(encoding="utf-8")))
    assert set(candor.__all__) <= shown


@pytest.mark.slow
def test_every_page_is_on_the_site_and_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert all((site / page).is_file() for page in pages)
    for file in [*site.rglob("*.html"), *site.rglob("*.css")]:
        assert not FETCHED.search(file.read_text(encoding="utf-8")), file.name


def test_what_is_fetched_is_recognised() -> None:
    assert FETCHED.search('<link rel="stylesheet" href="https://fonts.example/a.css">')
    assert FETCHED.search("src: url('//fonts.example/a.woff2')")
    assert not FETCHED.search('<a href="https://example.org">elsewhere</a> <script src="_static/a.js"></script>')


@pytest.mark.parametrize(
    ("text", "blamed"),
    [
        ("[methods](elsewhere.md)", "elsewhere.md"),
        ("[a place on this page](#nowhere)", "nowhere"),
        ("```{eval-rst}\n.. autofunction:: candor.fly\n```", "fly"),
        ("[itself](page.md#a-page)", None),
    ],
)
def test_a_broken_link_or_reference_fails_the_build(text: str, blamed: str | None, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(f"# A page\n\n{text}\n", encoding="utf-8")
    done = build(tmp_path, tmp_path / "out", "-c", str(DOCS), "-D", "root_doc=page")
    assert (done.returncode == 0) == (blamed is None)
    assert blamed is None or blamed in done.stderr


def missing_targets(text: str, folder: Path) -> list[str]:
    """Relative links and images of a text that lead to no file of the repository."""
    targets = re.findall(r"\]\((?!https?:|#)([^)\s#]+)", text)
    return [target for target in targets if not (folder / target).exists()]


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md"])
def test_links_of_the_root_also_work_where_the_code_is_hosted(page: str) -> None:
    assert missing_targets((ROOT / page).read_text(encoding="utf-8"), ROOT) == []
    assert missing_targets("[a](docs/none.md) ![b](docs/images/report.png)", ROOT) == ["docs/none.md"]
