"""A server that imports on its first boot, feels its own pulse, and answers meanwhile.

    python -m bench.served ROOT DATA_DIR CLAUDE_DIR {import,idle}

It prints the port that it listens on. `/probe` and `/progress` are what a daemon would
show; `/pulse` says how long its event loop was held, and whether the import has ended.
The end of its input ends it.
"""

from __future__ import annotations

__all__ = ("Pulse", "main")

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from pipeline import ImportOptions, Probe, Progress, first_boot, probe

BEAT_SECONDS = 0.001


class Pulse(msgspec.Struct):
    """How the event loop fared while the import ran; if there is none, all the time."""

    has_ended: bool = False
    outcome: str = ""
    seconds: float = 0.0
    beats: int = 0
    longest_stall_seconds: float = 0.0


def main() -> None:
    """Serve until the input ends."""
    root, data_dir, claude_dir = map(Path, sys.argv[1:4])
    options = ImportOptions(root=root, data_dir=data_dir, claude_dir=claude_dir)
    app = make_app(options, imports=sys.argv[4] == "import")
    # asyncio sends at once (TCP_NODELAY) only where the protocol is said to be TCP; else
    # each answer would wait 40 ms for the client's acknowledgement.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()

    async def serve() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_stop_with_input, server)
            await server.serve([listener])

    asyncio.run(serve())


def make_app(options: ImportOptions, *, imports: bool) -> Starlette:
    """Return the application."""
    pulse = Pulse()
    progress: dict[str, object] = {}

    async def ask(found: Probe) -> bool:
        return True

    def keep(value: Progress) -> None:
        progress[value.stage] = msgspec.to_builtins(value)

    async def beat() -> None:
        last = time.perf_counter()
        while not pulse.has_ended:
            await asyncio.sleep(BEAT_SECONDS)
            now = time.perf_counter()
            stall = now - last - BEAT_SECONDS
            pulse.longest_stall_seconds = max(pulse.longest_stall_seconds, stall)
            pulse.beats += 1
            last = now

    async def offer() -> None:
        started = time.perf_counter()
        done = await first_boot(options, ask=ask, on_progress=keep)
        pulse.seconds = time.perf_counter() - started
        pulse.outcome = done.outcome
        pulse.has_ended = True

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(beat)
            if imports:
                tasks.start_soon(offer)
            yield
            tasks.cancel_scope.cancel()

    async def show_probe(request: Request) -> JSONResponse:
        return JSONResponse(msgspec.to_builtins(await probe(options)))

    async def show_progress(request: Request) -> JSONResponse:
        return JSONResponse(progress)

    async def show_pulse(request: Request) -> JSONResponse:
        return JSONResponse(msgspec.to_builtins(pulse))

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/probe", show_probe),
            Route("/progress", show_progress),
            Route("/pulse", show_pulse),
        ],
    )


async def _stop_with_input(server: uvicorn.Server) -> None:
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True


if __name__ == "__main__":
    main()
