# What may differ, and the writes that the recording does not hold. Read by replay.py.

SCENARIOS = ["crud", "patch", "list", "watch", "delete", "namespace", "discovery", "crd",
             "subresources", "apply-core", "apply", "defaults"]

JSON = "application/json"
MERGE = "application/merge-patch+json"


def _config_map(name, labels=None, data=None):
    return {"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": "replay", "labels": labels or {}}, "data": data or {}}


_MAPS = "/api/v1/namespaces/<ns>/configmaps"

# Writes before a step that were made but not recorded.
BEFORE = {
    ("list", 1): [("POST", _MAPS, JSON,
                   _config_map("c%d" % i, {"parity": "odd" if i % 2 else "even", "n": str(i)}, {"i": str(i)}))
                  for i in range(1, 7)],
}

# Writes that a watch saw.
WATCHED = {
    ("watch", 1): [("POST", _MAPS, JSON, _config_map("w", {"x": "1"}, {"k": "1"})),
                   ("PATCH", _MAPS + "/w", MERGE, {"data": {"k": "2"}}),
                   ("PATCH", _MAPS + "/w", MERGE, {"metadata": {"labels": {"x": "2"}}}),
                   ("DELETE", _MAPS + "/w", JSON, None)],
    ("watch", 3): [("POST", _MAPS, JSON, _config_map("w", {"x": "1"}, {"k": "1"})),
                   ("PATCH", _MAPS + "/w", MERGE, {"data": {"k": "2"}}),
                   ("PATCH", _MAPS + "/w", MERGE, {"metadata": {"labels": {"x": "2"}}}),
                   ("DELETE", _MAPS + "/w", JSON, None)],
}

# Milliseconds that pass before a step: how far the controllers had come there.
WAIT = {
    ("delete", 7): 100, ("delete", 9): 500, ("delete", 11): 500,
    ("namespace", 4): 100,
    ("crd", 1): 6, ("crd", 17): 100, ("crd", 18): 100,
    ("patch", 8): 6, ("patch", 11): 6,
    ("apply", 2): 11,
    ("subresources", 1): 11, ("subresources", 5): 5, ("subresources", 6): 6,
    ("defaults", 21): 50,
}

# Pods stay pending: these were recorded before the stand-in for the kubelet ran.
WITHOUT_KUBELET = ["apply", "patch", "subresources"]

# Groups and versions that kubesim does not serve: no cluster tool under test reads them.
MISSING_GROUPS = ["authentication.k8s.io", "authorization.k8s.io", "certificates.k8s.io",
                  "flowcontrol.apiserver.k8s.io"]
MISSING_VERSIONS = ["autoscaling/v1", "autoscaling/v2beta2", "storage.k8s.io/v1beta1"]

ALLOWED = [
    {"scenario": "crud", "step": [10], "path": "^/message$",
     "why": "the words of Go's JSON parser"},
    {"scenario": "list", "step": [3], "path": "^/message$",
     "why": "the words of Go's JSON parser"},
    {"scenario": "list", "step": [10], "path": "^/message$",
     "why": "the words of the selector's parser, which is shared with the agent"},
    {"scenario": "*", "path": "/data/ca.crt$",
     "why": "kubesim speaks plain HTTP and has no certificate authority"},
    {"scenario": "list", "path": "^/metadata/remainingItemCount$",
     "why": "the recorded server counts one key more than any of its lists shows"},
    {"scenario": "list", "path": "^/metadata/resourceVersion$", "want": "rv-10|rv-2|rv-11",
     "why": "others (leases) write to the recorded server between two lists"},
    {"scenario": "watch", "path": "^/metadata/resourceVersion$", "want": "rv-8",
     "why": "others (leases) write to the recorded server between two lists"},
    {"scenario": "watch", "step": [5], "path": "^/events/0/object/message$", "want": "13438",
     "why": "the oldest version that is still known differs"},
    {"scenario": "discovery", "step": [0], "path": "/serverAddress$",
     "why": "the address of the recorded server"},
    {"scenario": "subresources", "step": [8], "path": "(^|/)message$",
     "why": "a dump of Go structs"},
    {"scenario": "defaults", "step": [6], "path": "/nodePort$",
     "why": "node ports are drawn"},
    {"scenario": "patch", "step": [11], "path": "kubernetes.io/revision$",
     "why": "how many of the templates between two reads the controller saw"},
    {"scenario": "*", "path": "^/status/conditions/[0-9]+/message$", "want": "replica set|ReplicaSet",
     "why": "the hash in a ReplicaSet's name is over Go structs"},
]


def allowed(scenario, step, path, want, have):
    for entry in ALLOWED:
        if entry["scenario"] not in ("*", scenario):
            continue
        if "step" in entry and step not in entry["step"]:
            continue
        if not re.search(entry["path"], path):
            continue
        if "want" in entry and not re.search(entry["want"], json.dumps(want)):
            continue
        entry["used"] = True
        return True
    return False
