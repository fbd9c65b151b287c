"""Listings of the cluster's own images, page by page: repositories, tags of one, manifests that refer to another.

Every page is capped, and `Link` leads to the next one. `n=0` is an empty list that leads nowhere.
"""

import json
from urllib.parse import urlencode

from agent.content.document import Document
from agent.content.errors import ShoalError
from agent.content.media_types import OCI_INDEX
from agent.content.pushed import PushedName
from agent.content.reference import Repository
from agent.http.response import Response
from registry_proxy.headers import API_VERSION
from registry_proxy.pushes import PushSide
from registry_proxy.requests import CatalogRequest, ReferrersRequest, TagsRequest

_MOST_REFERRERS = 100  # each is a document to look into
_JSON = ("Content-Type", "application/json")


async def answer_catalog(side: PushSide, wanted: CatalogRequest) -> Response:
    page = wanted.page
    names, more = await side.names.repositories(page.last, page.limit)
    headers = [API_VERSION, _JSON, *_next("/v2/_catalog", names, more, n=page.limit)]
    return Response(200, headers, json.dumps({"repositories": names}).encode())


async def answer_tags(side: PushSide, wanted: TagsRequest, repository: Repository) -> Response:
    """Raises NotFound."""
    page = wanted.page
    tags, more = await side.names.tags(repository, page.last, page.limit)
    headers = [API_VERSION, _JSON, *_next(f"/v2/{repository.name}/tags/list", tags, more, n=page.limit)]
    return Response(200, headers, json.dumps({"name": repository.name, "tags": tags}).encode())


async def answer_referrers(
    side: PushSide, wanted: ReferrersRequest, repository: Repository | None
) -> Response:
    """`repository` None: one that nobody knows, which is no error here."""
    limit = min(wanted.page.limit, _MOST_REFERRERS)
    records: list[PushedName] = []
    more = False
    if repository is not None:
        records, more = await side.names.referrers(repository, wanted.digest, wanted.page.last, limit)
    entries = [await _entry(side, repository, record) for record in records] if repository else []
    kind = wanted.artifact_type
    shown = [entry for entry in entries if entry and kind in (None, entry.get("artifactType"))]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": shown}
    headers = [API_VERSION, ("Content-Type", OCI_INDEX)]
    if repository is not None:
        path = f"/v2/{repository.name}/referrers/{wanted.digest}"
        filtered = {} if kind is None else {"artifactType": kind}
        headers += _next(path, [record.name for record in records], more, n=limit, **filtered)
    if kind is not None:
        headers.append(("OCI-Filters-Applied", "artifactType"))
    return Response(200, headers, json.dumps(index).encode())


async def _entry(side: PushSide, repository: Repository, record: PushedName) -> dict[str, object] | None:
    """None for one that cannot be looked into now: what kind it is nobody could say."""
    try:
        _, document = await side.images.load_document(repository, record.digest)
    except ShoalError:
        return None
    entry: dict[str, object] = {
        "mediaType": record.media_type,
        "digest": str(record.digest),
        "size": record.size,
    }
    kind = _artifact_type(document)
    if kind:
        entry["artifactType"] = kind
    if document.annotations:
        entry["annotations"] = document.annotations
    return entry


def _artifact_type(document: Document) -> str | None:
    """OCI distribution-spec 1.1, "Listing Referrers": a manifest without one is of its config's type."""
    config = document.config
    return document.artifact_type or (None if config is None else config.media_type)


def _next(path: str, names: list[str], more: bool, **query: object) -> list[tuple[str, str]]:
    if not more or not names:
        return []
    return [("Link", f'<{path}?{urlencode({**query, "last": names[-1]})}>; rel="next"')]
