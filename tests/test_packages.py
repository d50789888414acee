"""The wheel and the sdist: the same bytes from the same files, whole, and with their licences."""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from absence import absent

import fdref

if TYPE_CHECKING:
    from email.message import Message

ROOT = Path(__file__).parents[1]
SDIST, WHEEL = f"fdref-{fdref.__version__}.tar.gz", f"fdref-{fdref.__version__}-py3-none-any.whl"
INFO = f"fdref-{fdref.__version__}.dist-info"

pytestmark = [pytest.mark.large, pytest.mark.slow]  # hatchling is installed, four times


def build(source: Path, *options: str) -> Path:
    command = [sys.executable, "-m", "build", *options, "--outdir", "dist", "."]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return source / "dist"


def copy(folder: Path) -> Path:
    """Copy what is here, and what running it leaves behind."""
    leave = shutil.ignore_patterns(".git", ".venv", "build", "dist", ".*_cache")
    shutil.copytree(ROOT, folder, ignore=leave)
    (folder / "kernels" / "__pycache__").mkdir(exist_ok=True)
    (folder / "kernels" / "__pycache__" / f"jit.{folder.name}.nbi").write_text(folder.name)
    return folder


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an sdist, and the wheel made of it."""
    if find_spec("build") is None:
        absent("build", "build is not installed: pip install '.[build]'")
    return build(copy(tmp_path_factory.mktemp("first") / "here"))


def files_in_sdist(packages: Path) -> dict[str, bytes]:
    with tarfile.open(packages / SDIST) as archive:
        members = {member.name.partition("/")[2]: member for member in archive if member.isfile()}
        return {name: archive.extractfile(member).read() for name, member in members.items()}


def metadata(packages: Path) -> Message:
    with zipfile.ZipFile(packages / WHEEL) as wheel:
        return email.message_from_bytes(wheel.read(f"{INFO}/METADATA"))


def test_the_same_bytes_at_another_place_and_time_by_another_user(packages, tmp_path):
    """Umask, times, the order in which files were made; a wheel straight from the checkout, too."""
    other = copy(tmp_path / "there")
    for path in sorted(other.rglob("*"), reverse=True):
        if path.is_file():
            path.write_bytes(path.read_bytes())
            path.chmod(path.stat().st_mode & 0o700)
            os.utime(path, (10**9, 10**9))
    old = os.umask(0o077)
    try:
        again = build(other, "--sdist", "--wheel")
    finally:
        os.umask(old)
    for name in (SDIST, WHEEL):
        assert (packages / name).read_bytes() == (again / name).read_bytes(), name


def test_the_sdist_holds_whatever_the_repository_holds(packages):
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    found = files_in_sdist(packages)
    if (ROOT / ".git").exists():
        names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True)
        expected = {name for name in names.stdout.splitlines() if (ROOT / name).exists()}
    else:  # from an sdist
        expected = set(found)
    assert set(found) == expected | {"PKG-INFO"}
    assert {"CHANGELOG.md", "CITATION.cff", ".ci/run", "tests/absence.py"} <= set(found)
    for name in expected - {"PKG-INFO"}:
        assert found[name] == (ROOT / name).read_bytes(), name


def test_the_wheel_holds_the_package_and_nothing_beside_it(packages):
    with zipfile.ZipFile(packages / WHEEL) as wheel:
        names = set(wheel.namelist())
    assert {name.partition("/")[0] for name in names} == {"fdref", INFO}
    assert not any("__pycache__" in name for name in names)
    inside = {name.removeprefix("fdref/") for name in names if name.startswith("fdref/")}
    ours = {
        str(path.relative_to(base))
        for base, folder in [(ROOT / "fdref", "."), (ROOT, "kernels"), (ROOT, "weights")]
        for path in (base / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert inside == ours


def test_the_licences_of_what_others_made_are_named_and_there(packages):
    """SPDX's names; the text of each licence."""
    told = metadata(packages)
    assert told["License-Expression"] == "BSD-3-Clause AND CC-BY-SA-3.0 AND Apache-2.0 AND MIT"
    named = told.get_all("License-File")
    with zipfile.ZipFile(packages / WHEEL) as wheel:
        texts = [wheel.read(f"{INFO}/licenses/{name}").decode() for name in named]
    assert {text.strip().splitlines()[0].strip() for text in texts} == {
        "BSD 3-Clause License",
        "Creative Commons Attribution-ShareAlike 3.0 Unported",
        "Apache License",
        "The MIT License (MIT)",
    }


def test_an_index_is_given_no_link_that_would_be_broken_there(packages):
    page = metadata(packages).get_payload()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    fences = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
    assert fences.findall(page) == fences.findall(readme)
    targets = re.findall(r"\]\(([^)]*)\)", fences.sub("", page))
    assert targets
    assert all(target.startswith("https://") for target in targets), targets
    assert "<img" not in page
    words = re.sub(r"(?m)^!\[.*\n", "", readme)
    for text in re.findall(r"(?<!!)\[([^]]+)\]\(", fences.sub("", words)):
        assert text in page


def test_the_version_stands_in_one_place(packages):
    assert metadata(packages)["Version"] == fdref.__version__
    holders = [
        name
        for name in ("fdref/__init__.py", "pyproject.toml", "CITATION.cff", ".ci/run")
        if re.search(rf"\b{re.escape(fdref.__version__)}\b", (ROOT / name).read_text())
    ]
    assert holders == ["fdref/__init__.py"]
