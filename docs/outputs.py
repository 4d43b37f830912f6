"""What the commands shown in the documentation print.

A fenced ``console`` block holds commands after ``$`` and what they print; ``…`` stands for lines left out at the end.
``python docs/outputs.py`` runs the blocks of every page and rewrites what has changed; a test compares them.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md")))
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)
NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?![\w.]*\w)")


def steps(block: str) -> Iterator[tuple[str, str]]:
    """Yield the commands of a block, each with what it is shown to print."""
    for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
        command, _, printed = part.partition("\n")
        yield command, printed


def printed_by(command: str, folder: Path) -> str:
    """Return what a command prints: its result, or its message where it fails."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "100", "NO_COLOR": "1",
    }  # fmt: skip
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return tidy(command, done.stdout + (done.stderr if done.returncode else ""), folder)


def tidy(command: str, text: str, folder: Path) -> str:
    """Put a user's folder in place of the temporary one; a traceback is no output to show."""
    if "Traceback (most recent call last)" in text:
        raise RuntimeError(f"$ {command}\n{text}")
    text = text.replace(str(folder), "/home/me")
    return "".join(f"{line.rstrip()}\n" for line in text.strip("\n").splitlines())


def shortened(printed: str, shown: str) -> str:
    """Leave out the lines that the page leaves out."""
    if not shown.endswith("…\n"):
        return printed
    return "".join(printed.splitlines(keepends=True)[: shown.count("\n") - 1]) + "…\n"


def rerun(page: Path, printed_by: Callable[[str, Path], str] = printed_by) -> Iterator[tuple[str, str, str]]:
    """Run the commands of a page in an empty folder beside the examples; yield command, shown and printed text."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "examples").symlink_to(ROOT / "examples")
        for block in BLOCK.findall(page.read_text(encoding="utf-8")):
            for command, shown in steps(block):
                yield command, shown, shortened(printed_by(command, folder), shown)


def same(shown: str, printed: str) -> bool:
    """Whether two texts agree but for layout and one unit in the last place of a number."""

    def words(text: str) -> list[str]:
        return re.sub(r"[\s─━┏┳┓┃┡╇┩│└┴┘┌┬┐├┼┤╭╮╰╯…]+", " ", NUMBER.sub("#", text)).split()

    def numbers(text: str) -> list[tuple[float, float]]:
        found = NUMBER.findall(text)
        return [(float(n.replace(",", "")), 10.0 ** -len(n.partition(".")[2])) for n in found]

    pairs = list(zip(numbers(shown), numbers(printed), strict=False))
    return (
        words(shown) == words(printed)
        and len(numbers(shown)) == len(numbers(printed))
        and all(abs(a - b) <= 1.001 * max(unit, other) for (a, unit), (b, other) in pairs)
    )


def refresh(page: Path) -> bool:
    """Rewrite the blocks of a page; return whether anything changed."""
    text = page.read_text(encoding="utf-8")
    results = rerun(page)

    def again(found: re.Match[str]) -> str:
        lines = "".join(f"$ {command}\n{next(results)[2]}" for command, _ in steps(found[1]))
        return f"```console\n{lines}```"

    new = BLOCK.sub(again, text)
    page.write_text(new, encoding="utf-8")
    return new != text


if __name__ == "__main__":
    for path in PAGES:
        print(f"{path.relative_to(ROOT)}: {'rewritten' if refresh(path) else 'unchanged'}")
