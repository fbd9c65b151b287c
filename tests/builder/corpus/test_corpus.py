"""The corpus in one run: every case through `shoal build` and the engines that know what it is about."""

from pathlib import Path

import pytest

from tests.builder.corpus.case import ENGINES, all_cases
from tests.builder.corpus.comparison import allowed_differences, not_allowed, unused
from tests.builder.corpus.corpus import run_corpus


@pytest.mark.slow
@pytest.mark.real("docker", "buildah", "runc", "busybox", "compressors")
async def test_every_dockerfile_is_built_as_the_real_builders_build_it(scratch: Path) -> None:
    cases = all_cases()
    results = await run_corpus(cases, ENGINES, scratch)
    found, allowed = results.differences(), allowed_differences()
    assert len(cases) >= 120
    for (
        engine
    ) in ENGINES:  # a case that no engine can judge says itself what must come out, but most are judged
        assert sum((case.name, engine) in results.outcomes for case in cases) > len(cases) / 2
    assert "\n".join(map(str, not_allowed(found, allowed))) == ""
    assert "\n".join(unused(found, allowed, ENGINES)) == ""
