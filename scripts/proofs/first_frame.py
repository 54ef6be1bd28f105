"""From a tarball to the dashboard, as somebody who has just fetched it: unpacked in an empty root, where nothing was ever run."""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from terminal import Terminal

from .common import ROOT, WORK, figure

TRIES = 5
FRAME_S_MAX = 10
LIMIT_S = 60
# The dashboard takes the screen, and its overview has figures of the fleet.
FRAME, FIGURES = b"\x1b[?1049h", b"connected"


def tarball():
    """The one that is named, or the newest of scripts/package."""
    named = os.environ.get("FLEETSIM_TARBALL")
    found = [pathlib.Path(named)] if named else sorted((ROOT / "target" / "package" / "dist").glob("*.tar.xz"), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None


def first_start(archive, *arguments):
    """Seconds from the beginning of the unpacking: unpacked, the first frame, the first figures of the fleet."""
    with tempfile.TemporaryDirectory(dir=WORK) as root:
        started = time.monotonic()
        subprocess.run(["tar", "-xJf", archive, "-C", root], check=True)
        times = [time.monotonic() - started]
        wanted = [FRAME, FIGURES]
        seen = bytearray()

        def look(data):
            seen.extend(data)
            while wanted and wanted[0] in seen:
                wanted.pop(0)
                times.append(time.monotonic() - started)

        program = f"/{archive.name.removesuffix('.tar.xz')}/fleetsim"
        alone = [ROOT / "scripts" / "alone", root, "env", "-i", f"PATH={os.environ['PATH']}", "TERM=xterm-256color", "HOME=/home"]
        command = [*alone, "chroot", root, program, *arguments]
        with Terminal(command, "/", 120, 40, look) as terminal:
            end = time.monotonic() + LIMIT_S
            while wanted and time.monotonic() < end and terminal.pump(0.1):
                pass
            if wanted:
                print(f"first-frame: {arguments} showed no {wanted[0]!r} within {LIMIT_S} s:\n{seen.decode(errors='replace')[-2000:]}", file=sys.stderr)
                sys.exit(2)
            terminal.press("qq")
            terminal.pump(0.5)
            terminal.press("y")
        return times


@figure
def first_frame(verdict):
    """From a tarball of scripts/package (FLEETSIM_TARBALL) to the dashboard, in an empty root: within 10 s of the first start."""
    archive = tarball()
    if archive is None or os.geteuid() != 0:
        print("first-frame: needs a tarball (scripts/package, or FLEETSIM_TARBALL) and root, for an empty root to run in", file=sys.stderr)
        sys.exit(2)
    for arguments in (["demo"], ["run", "10k"]):
        tries = [first_start(archive, *arguments) for _ in range(TRIES)]
        unpacked, frame, figures = (statistics.median(column) for column in zip(*tries))
        what = f"fleetsim {' '.join(arguments)}"
        verdict.note(f"{what}: unpacked after {unpacked:.2f} s, figures of the fleet, all certificates made, after {figures:.2f} s; medians of {TRIES}")
        verdict.check(f"{what}: from the tarball to the first frame", frame, FRAME_S_MAX, unit=" s")
        if arguments == ["demo"]:
            verdict.check(f"{what}: from the tarball to figures of the fleet", figures, FRAME_S_MAX, unit=" s")
