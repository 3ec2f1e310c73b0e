"""What the page's files must never hold: inline code or style, markup made of data, addresses elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "app" / "web"
SOURCES = sorted(path for path in WEB.rglob("*") if path.suffix in {".html", ".js", ".css"})


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_nothing_is_fetched_from_elsewhere(path: Path) -> None:
    addresses = re.findall(r"https?://[^\s\"'`)]+", path.read_text())
    assert set(addresses) <= {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"""(?:src|href|url\()\s*=?\s*["']?//""", path.read_text())


def test_the_markup_satisfies_a_strict_policy() -> None:
    html = (WEB / "index.html").read_text()
    assert not re.findall(r"\sstyle\s*=|\son\w+\s*=|<style", html)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", html))


@pytest.mark.parametrize("path", [path for path in SOURCES if path.suffix == ".js"], ids=lambda path: path.name)
def test_data_never_becomes_markup_or_code(path: Path) -> None:
    code = path.read_text()
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser"
    assert not re.findall(forbidden, code)
    assert len(code.splitlines()) < 300


def test_every_module_and_stylesheet_that_is_named_exists() -> None:
    html = (WEB / "index.html").read_text()
    named = [WEB / name for name in re.findall(r'(?:href|src)="static/([^"]+)"', html)]
    for path in WEB.glob("js/*.js"):
        named += [path.parent / name for name in re.findall(r'from "\./([^"]+)"', path.read_text())]
    assert named
    assert [path.name for path in named if not path.is_file()] == []
