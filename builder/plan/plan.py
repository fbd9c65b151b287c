"""`Plan`: what a build does for one platform: the steps, and the image that they make. PURE."""

from collections.abc import Mapping
from dataclasses import dataclass

from builder.dockerfile.instructions import Place, Warning
from builder.plan.options import ImageRequest
from builder.plan.planned_image import PlannedImage
from builder.plan.steps import Step


@dataclass(frozen=True, slots=True)
class Wanted:
    """The images whose configuration a plan needs, and where the Dockerfile names each; with them there may be more,
    for their triggers may name some."""

    requests: Mapping[ImageRequest, Place]


@dataclass(frozen=True, slots=True)
class Plan:
    """steps: each after those it needs; between others there is no order. `steps[n].number == n`.

    target: the step whose files are the image's. epoch: seconds, of all timestamps (SOURCE_DATE_EPOCH), or None.
    """

    steps: tuple[Step, ...]
    target: int
    image: PlannedImage
    warnings: tuple[Warning, ...] = ()
    epoch: int | None = None
