"""`RawJsonView`: BuildKit's `--progress rawjson`: a line of JSON for every event, in the shape of its SolveStatus.

Fields that scripts read: vertexes[].{digest, inputs, name, started, completed, cached, error}, statuses[].{id, vertex,
name, current, timestamp}, logs[].{vertex, stream, data, timestamp}; data is base64, stream 1 or 2 (client/graph.go).
What BuildKit tells of before it starts, and of what is never looked at, is not told of here: `inputs` names what is.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

from agent.content.image_config import time_text
from builder.progress.events import Ended, Event, Output, Started, Status, Task


class RawJsonView:
    def __init__(self, write: Callable[[str], None]) -> None:
        """`write` takes one line without its newline."""
        self._write = write
        self._vertexes: dict[int, dict[str, Any]] = {}

    def __enter__(self) -> "RawJsonView":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, event: Event) -> None:
        self._write(json.dumps(self._status(event), separators=(",", ":")))

    def _status(self, event: Event) -> dict[str, Any]:
        match event:
            case Started(task, at):
                vertex: dict[str, Any] = {
                    "digest": _digest(task),
                    "name": task.title,
                    "started": time_text(at),
                }
                if task.inputs:
                    vertex["inputs"] = [_digest(one) for one in task.inputs]
                self._vertexes[task.number] = vertex
                return {"vertexes": [vertex]}
            case Status(task, at, text):
                status = {"id": text.partition(":")[0], "vertex": _digest(task), "name": text, "current": 0}
                return {"statuses": [{**status, "timestamp": time_text(at)}]}
            case Output(task, at, stream, data):
                log = {"vertex": _digest(task), "stream": 1 if stream == "stdout" else 2}
                body = base64.b64encode(data).decode()
                return {"logs": [{**log, "data": body, "timestamp": time_text(at)}]}
            case Ended(task, at, outcome, error):
                vertex = self._vertexes.pop(task.number, {"digest": _digest(task), "name": task.title})
                told = {"cached": outcome == "cached", "error": error or None}
                return {
                    "vertexes": [
                        {**vertex, "completed": time_text(at), **{k: v for k, v in told.items() if v}}
                    ]
                }


def _digest(task: Task) -> str:
    """Names the vertex within this build."""
    return f"sha256:{hashlib.sha256(f'{task.number} {task.title}'.encode()).hexdigest()}"
