"""The least that an import has to do: read the records, copy the transcripts.

    python -I -S floor.py [--read ROOT] [--copy FROM TO | --rsync FROM TO] [--flush]

Reads and searches every file in the sessions directories below ROOT, one after the
other, and lets `cp` copy. It imports nothing that Python has not imported already, so
that what it takes is the work and not the start.
"""

import os
import sys


def main() -> None:
    """Do what the command line says, in its order."""
    arguments = sys.argv[1:]
    target = ""
    while arguments:
        match arguments.pop(0):
            case "--read":
                sys.stdout.write(f"{read(arguments.pop(0))}\n")
            case "--copy" | "--rsync" as action:
                source, target = arguments.pop(0), arguments.pop(0)
                copy = ["cp", "-R"] if action == "--copy" else ["rsync", "-a"]
                child = os.posix_spawnp(copy[0], [*copy, source, target], os.environ)
                if os.waitpid(child, 0)[1]:
                    sys.exit(f"{copy[0]} failed")
            case "--flush":
                flush(target)
            case unknown:
                sys.exit(f"{unknown} is not known here")


def read(root: str) -> int:
    """Return how many of the records name an orchestrator."""
    found = 0
    for sessions in find_sessions(root):
        directory = os.open(sessions, os.O_RDONLY)
        with os.scandir(directory) as entries:
            for entry in entries:
                if not entry.is_file():
                    continue
                file = os.open(entry.name, os.O_RDONLY, dir_fd=directory)
                found += b"orchestrator" in os.read(file, 65536)
                os.close(file)
        os.close(directory)

    return found


def find_sessions(root: str) -> list[str]:
    """Return the sessions directories of both layouts."""
    projects = os.path.join(root, "projects")
    homes = [
        os.path.join(place, name)
        for place in (root, projects)
        if os.path.isdir(place)
        for name in os.listdir(place)
    ]

    return [
        sessions
        for home in homes
        if os.path.isdir(sessions := os.path.join(home, "sessions"))
    ]


def flush(directory: str) -> None:
    """Bring every file below a directory to the disk, as `sync FILE…` does."""
    for folder, _, names in os.walk(directory):
        for name in names:
            file = os.open(os.path.join(folder, name), os.O_RDONLY)
            os.fsync(file)
            os.close(file)


if __name__ == "__main__":
    main()
