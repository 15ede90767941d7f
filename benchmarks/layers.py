"""What each layer of the application adds to `GET /profile` on SQLite: microseconds of the processor, without a server.

    .venv/bin/python -m benchmarks.layers [--rounds 60]

Each layer is called by itself, with all that is inside of it, in turns with the others and with a bare FastAPI route; of
each the least of all rounds counts. What a layer adds is the difference to the next one inside.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import uvloop
from fastapi import FastAPI
from starlette.types import ASGIApp

from app.core.middleware import BodyMiddleware
from benchmarks.metrics import ask, asked
from benchmarks.profile import BARE

REQUESTS_IN_TURN = 100


def layers_of(application: FastAPI) -> Iterator[tuple[str, ASGIApp]]:
    """Yield the layers from the outside, up to the one that makes what routes need."""
    assert application.middleware_stack
    layer: ASGIApp = application.middleware_stack
    while not isinstance(layer, BodyMiddleware):
        yield type(layer).__name__, layer
        layer = vars(layer).get("_app") or vars(layer)["app"]
    yield "BodyMiddleware, routing, dependencies, SELECT, answer", layer


def bare_route() -> ASGIApp:
    made: dict[str, FastAPI] = {}
    exec(BARE, made)
    return made["app"]


async def measure(folder: Path, rounds: int) -> dict[str, float]:
    """Return the microseconds of a request from each layer on, and of the bare route."""
    async with asked(folder) as (application, scope):
        await ask(application, scope)
        called = {"bare route": bare_route(), **dict(layers_of(application))}
        least = dict.fromkeys(called, float("inf"))
        for _ in range(rounds):
            for name, layer in called.items():
                began = time.process_time()
                for _ in range(REQUESTS_IN_TURN):
                    await ask(layer, scope)
                least[name] = min(least[name], (time.process_time() - began) / REQUESTS_IN_TURN * 1e6)
    return least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (_, bare), *found = uvloop.run(measure(Path(folder), options.rounds)).items()
    print(f"{'bare route, all in all':56}{bare:6.1f}")
    print(f"{'ours, all in all':56}{found[0][1]:6.1f}")
    inside = [cost for _, cost in found[1:]] + [0.0]
    for (name, cost), rest in zip(found, inside, strict=True):
        print(f"  {name:54}{cost - rest:6.1f}")


if __name__ == "__main__":
    main()
