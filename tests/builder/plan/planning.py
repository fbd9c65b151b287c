"""Plans of Dockerfiles that are written in the test, on images that say what the test wants."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from agent.content.digest import Digest
from agent.content.document import Descriptor
from agent.content.image_config import parse_image_config
from agent.content.platform import Platform
from builder.dockerfile.parser import parse_dockerfile
from builder.plan.layer import Layer
from builder.plan.options import BaseImage, ImageRequest, PlanOptions
from builder.plan.plan import Plan, Wanted
from builder.plan.planner import make_plan
from builder.plan.steps import CopyOperation, RunOperation, Step

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")
Runtime = Mapping[str, Any]


def layer(content: str, created: str | None = None) -> Layer:
    digest = Digest.of(content.encode())
    return Layer(
        Descriptor("application/vnd.oci.image.layer.v1.tar+gzip", digest, 1), digest, created=created
    )


def base_image(
    request: ImageRequest, runtime: Runtime, history: Sequence[Mapping[str, Any]] = (), **raw: object
) -> BaseImage:
    """One layer, named after the image."""
    below = layer(request.name)
    document = {
        "architecture": request.platform.architecture,
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [str(below.diff_id)]},
        "config": runtime,
        "history": history or [{"created": "2020-01-01T00:00:00Z", "created_by": "ADD root"}],
        **raw,
    }
    config = parse_image_config(json.dumps(document).encode())
    return BaseImage(request.name, request.platform, config, (below,))


def options(**given: Any) -> PlanOptions:
    return PlanOptions(**{"platform": AMD64, "build_platform": AMD64, **given})


def plan_of(text: str, images: Mapping[str, Runtime] | None = None, **given: Any) -> Plan:
    """`images`: what their configuration says; those that are not named say nothing."""
    dockerfile, known = parse_dockerfile(text.encode()), dict[ImageRequest, BaseImage]()
    while True:
        plan = make_plan(dockerfile, options(**given), known)
        if isinstance(plan, Plan):
            return plan
        for request in plan.requests:
            known[request] = base_image(request, (images or {}).get(request.name, {}))


def wanted_of(text: str, **given: Any) -> list[str]:
    answer = make_plan(parse_dockerfile(text.encode()), options(**given), {})
    return [request.name for request in answer.requests] if isinstance(answer, Wanted) else []


def runs(plan: Plan) -> list[RunOperation]:
    return [step.operation for step in plan.steps if isinstance(step.operation, RunOperation)]


def copies(plan: Plan) -> list[CopyOperation]:
    return [step.operation for step in plan.steps if isinstance(step.operation, CopyOperation)]


def titles(plan: Plan) -> list[str]:
    return [step.title for step in plan.steps if step.title]


def document(plan: Plan, created: str | None = "2021-01-01T00:00:00Z") -> dict[str, Any]:
    """The config where every step made a layer."""
    return plan.image.config({number: layer(f"{number}", created) for number in plan.image.steps})


def history(plan: Plan) -> list[str]:
    """Of this build."""
    return [entry.created_by for entry in plan.image.history]


def last_step(plan: Plan) -> Step:
    return plan.steps[plan.target]
