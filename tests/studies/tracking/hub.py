"""A stand-in for wandb's server that also gives back what it was sent, and keeps Reports."""

import hashlib
import json
from typing import Any

from tests.studies.tracking.sinks import StandIn

PAGE = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}


class Hub(StandIn):
    """What of the public API is needed to publish a Report and to read a group of runs.

    Attributes
    ----------
    runs : dict
        Group and kind of runs, by id.
    artifacts : dict
        What was said of artifacts when they were made, by id.
    links : list of (str, str, str)
        Run, "logged" or "used", artifact.
    views : dict
        Reports by id.
    """

    def __init__(self, url: str, *, hang: bool) -> None:
        super().__init__(url, hang=hang)
        self.runs: dict[str, dict[str, Any]] = {}
        self.artifacts: dict[str, dict[str, Any]] = {}
        self.links: list[tuple[str, str, str]] = []
        self.views: dict[str, dict[str, Any]] = {}
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}

    def answer(self, path: str, body: bytes) -> Any:
        if path.startswith("/up/manifest/"):
            self.manifests[path.rpartition("/")[2]] = body
        elif path.startswith("/up/"):
            self.blobs[hashlib.md5(body).hexdigest()] = body
        elif path.startswith("/manifests/"):
            return self.manifests[path.rpartition("/")[2]]
        elif path.startswith("/artifacts"):
            return next(self.blobs[part] for part in path.split("/") if part in self.blobs)
        return super().answer(path, body)

    def _data(self, name: str, values: dict[str, Any]) -> Any:
        own = getattr(self, f"_{name}", None)
        return super()._data(name, values) if own is None else own(values)

    def _UpsertBucket(self, values: dict[str, Any]) -> Any:
        known = self.runs.setdefault(values["name"], {})
        known |= {key: values[key] for key in ("groupName", "jobType") if values.get(key)}
        return super()._data("UpsertBucket", values)

    def _CreateArtifact(self, values: dict[str, Any]) -> Any:
        own = values["input"]
        name, digest = own["artifactCollectionName"], own["digest"]
        same = [a for a in self.artifacts.values() if a["artifactCollectionName"] == name]
        known = next((a for a in same if a["digest"] == digest), None)
        if known is None:
            known = own | {"id": f"a{len(self.artifacts)}", "version": len(same), "whole": False}
            self.artifacts[known["id"]] = known
            self.links.append((own["runName"], "logged", known["id"]))
        state = "COMMITTED" if known["whole"] else "PENDING"
        made = {"id": known["id"], "state": state, "artifactSequence": {"latestArtifact": None}}
        return {"createArtifact": {"artifact": made}}

    def _CreateArtifactManifest(self, values: dict[str, Any]) -> Any:
        url = f"{self.url}/up/manifest/{values['artifactID']}"
        file = {"id": "f", "name": "manifest", "uploadUrl": url, "uploadHeaders": []}
        return {"createArtifactManifest": {"artifactManifest": {"id": "m", "file": file}}}

    def _CommitArtifact(self, values: dict[str, Any]) -> Any:
        self.artifacts[values["artifactID"]]["whole"] = True
        return {"commitArtifact": {"artifact": {"id": values["artifactID"], "digest": "d"}}}

    def _UseArtifact(self, values: dict[str, Any]) -> Any:
        own = values["input"]
        self.links.append((own["runName"], "used", own["artifactID"]))
        return {"useArtifact": {"artifact": {"id": own["artifactID"]}}}

    def _Viewer(self, values: dict[str, Any]) -> Any:
        own = {"id": "u", "entity": "me", "username": "me", "email": "", "flags": "{}"}
        return {"viewer": own | {"teams": {"edges": []}}}

    _GetDefaultEntity = _Viewer

    def _GetProjects(self, values: dict[str, Any]) -> Any:
        own = {"id": "p", "name": "mine", "entityName": values["entity"], "isBenchmark": False}
        node = own | {"__typename": "Project", "createdAt": "", "user": None}
        return {"models": {"pageInfo": PAGE, "edges": [{"node": node}]}}

    def _ProjectViews(self, values: dict[str, Any]) -> Any:
        edges = [{"node": view, "cursor": id} for id, view in self.views.items()]
        return {"project": {"allViews": {"edges": edges, "pageInfo": PAGE}}}

    def _upsertView(self, values: dict[str, Any]) -> Any:
        id = values["id"] or f"view{len(self.views)}="
        kept = {key: values[key] for key in ("name", "displayName", "description", "spec")}
        more = {"createdAt": "2026-01-01T00:00:00", "updatedAt": "2026-01-01T00:00:00"}
        inserted = id not in self.views
        self.views[id] = kept | more | {"id": id, "user": None, "type": values["type"]}
        place = {"id": "p", "name": values["projectName"], "entityName": values["entityName"]}
        return {"upsertView": {"view": self.views[id] | {"project": place}, "inserted": inserted}}

    def _Runs(self, values: dict[str, Any]) -> Any:
        wanted = json.loads(values["filters"])
        found = [
            _run(name, own)
            for name, own in self.runs.items()
            if own.get("groupName") == wanted["group"]
            and own.get("jobType") in wanted["jobType"]["$in"]
        ]
        edges = [{"node": node, "cursor": node["name"]} for node in found]
        runs = {"edges": edges, "pageInfo": PAGE}
        told = {"internalId": "1", "runCount": len(found), "readOnly": False, "runs": runs}
        return {"project": told}

    def _RunOutputArtifacts(self, values: dict[str, Any]) -> Any:
        return self._linked(values["run"], "logged")

    def _RunInputArtifacts(self, values: dict[str, Any]) -> Any:
        return self._linked(values["run"], "used")

    def _linked(self, run: str, how: str) -> Any:
        found = [a for r, h, a in self.links if (r, h) == (run, how)]
        edges = [{"node": self._artifact(self.artifacts[id])} for id in found]
        artifacts = {"totalCount": len(edges), "pageInfo": PAGE, "edges": edges}
        return {"project": {"run": {"artifacts": artifacts}}}

    def _artifact(self, own: dict[str, Any]) -> Any:
        place = {"id": "p", "internalId": "1", "name": "mine", "entity": {"name": "me"}}
        name = {"__typename": "ArtifactSequence", "name": own["artifactCollectionName"]}
        return {
            "__typename": "Artifact",
            "id": own["id"],
            "artifactSequence": name | {"project": place},
            "versionIndex": own["version"],
            "artifactType": {"name": own["artifactTypeName"]},
            "description": None,
            "metadata": own["metadata"],
            "ttlDurationSeconds": -2,
            "ttlIsInherited": True,
            "tags": [],
            "historyStep": None,
            "state": "COMMITTED",
            "size": 1,
            "digest": own["digest"],
            "commitHash": None,
            "fileCount": 1,
            "createdAt": "2026-01-01T00:00:00Z",
            "updatedAt": None,
            "aliases": [],
        }

    def _FetchArtifactManifest(self, values: dict[str, Any]) -> Any:
        file = {"directUrl": f"{self.url}/manifests/{values['id']}"}
        return {"artifact": {"currentManifest": {"file": file}}}


def _run(name: str, own: dict[str, Any]) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(("commit", "description", "notes"))
    empty |= {"tags": [], "historyKeys": None, "user": {}}
    told = {"id": name, "name": name, "displayName": name, "state": "finished", "projectId": "1"}
    told |= {"group": own["groupName"], "jobType": own["jobType"], "readOnly": False}
    times = {"createdAt": "2026-01-01T00:00:00", "heartbeatAt": "2026-01-01T00:00:00"}
    return empty | told | times | {"historyLineCount": 0, "config": "{}", "summaryMetrics": "{}"}
