"""The two commands: what they list, what they run, and what they install."""

import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import step
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
TARGETS = ["book", "test", "serve", "lab", "notebooks", "bench", "clean"]


def make(*arguments, folder=ROOT):
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_make_alone_lists_the_targets_on_one_line_each():
    listed = make()
    assert listed.returncode == 0
    assert [line.split()[1] for line in listed.stdout.splitlines()] == TARGETS
    assert all(re.fullmatch(r"make \w+ +\w.{15,}", line) for line in listed.stdout.splitlines())


def test_make_runs_the_lines_that_the_readme_gives():
    planned = make("--dry-run", "--always-make", "book", "test").stdout.replace("\\\n", " ")
    run = {" ".join(line.split()) for line in re.findall(r" -- (.+)$", planned, re.MULTILINE)}
    readme = (ROOT / "README.md").read_text("utf-8")
    assert len(run) >= 8
    for line in run:
        assert f"\n{line}\n" in readme, line


def test_a_second_make_installs_nothing_and_a_changed_pin_does(tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    for name in ("Makefile", "requirements.txt", "requirements-test.txt", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    shutil.copy(ROOT / "pyproject.toml", folder)

    def installs():
        return make("--dry-run", "book", folder=folder).stdout.count("pip install")

    assert installs() == 1
    stamp = re.search(r"touch (\S+)", make("--dry-run", "book", folder=folder).stdout)[1]
    (folder / ".venv").mkdir()
    (folder / stamp).touch()
    assert installs() == 0
    with (folder / "constraints.txt").open("a") as file:
        file.write("a-package==1\n")
    assert installs() == 1


def test_a_step_says_what_it_does_how_long_it_took_and_how_to_run_it(capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    step.main(["--begin"])
    assert step.main(["Adding up", "--", sys.executable, "-c", "print(1 + 1)"]) == 0
    step.main(["--end", "make sum"])
    said = capfd.readouterr().out
    assert re.search(r"==> Adding up\n    \$ .*print\(1 \+ 1\)", said)
    assert re.search(r"2\n==> done in \d+\.\d s: Adding up", said)
    assert re.search(
        r"make sum: all steps passed\n +\d+\.\d s  Adding up\n +\d+\.\d s  in all", said
    )


@pytest.mark.parametrize("command", [[sys.executable, "-c", "raise SystemExit(3)"], ["no-such-x"]])
def test_a_step_that_fails_says_what_to_do_and_stops_make(capfd, monkeypatch, tmp_path, command):
    monkeypatch.chdir(tmp_path)
    assert step.main(["Adding up", "--hint", "buy an abacus", "--", *command]) in (3, 127)
    said = capfd.readouterr().out
    assert re.search(r"==> FAILED after \d+\.\d s: Adding up\n    What to do: buy an abacus", said)


def test_times_are_said_in_words():
    assert [step.duration(t) for t in (0.04, 8.26, 125)] == ["0.0 s", "8.3 s", "2 min 5 s"]


def test_the_versions_that_are_pinned_twice_are_the_same():
    pins = dict(re.findall(r"^([\w.-]+)==(.+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.M))
    for name in ("requirements.txt", "requirements-test.txt"):
        text = (ROOT / name).read_text("utf-8")
        assert text.splitlines()[0] == "-c constraints.txt"
        for package, version in re.findall(r"^([\w.-]+)==(.+)$", text, re.MULTILINE):
            assert pins[package] == version, package
    build = re.search(r'"setuptools==([\d.]+)"', (ROOT / "pyproject.toml").read_text("utf-8"))[1]
    assert pins["setuptools"] == build


def test_everything_that_an_install_brings_is_pinned_and_installed_so():
    pins = dict(re.findall(r"^([\w.-]+)==(.+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.M))
    names = ("requirements.txt", "requirements-test.txt")
    direct = "\n".join((ROOT / name).read_text("utf-8") for name in names)
    to_do = re.findall(r"^[\w.-]+(?===)", direct, re.MULTILINE)
    seen = set()
    while to_do:
        name = canonicalize_name(to_do.pop())
        if name in seen:
            continue
        seen.add(name)
        assert pins.get(name) == metadata.version(name), name
        for needed in map(Requirement, metadata.requires(name) or []):
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                to_do.append(needed.name)
    assert len(seen) > 100
