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

_DEPLOY = "/apis/apps/v1/namespaces/<ns>/deployments"
_SETS = "/apis/apps/v1/namespaces/<ns>/statefulsets"
_JOBS = "/apis/batch/v1/namespaces/<ns>/jobs"


def _workload(kind, name, image, command=None, **spec):
    container = {"name": "c" if kind != "Deployment" else "web", "image": image}
    if command:
        container["command"] = command
    template = {"spec": {"containers": [container]}}
    if kind == "Job":
        template["spec"]["restartPolicy"] = "Never"
    else:
        template["metadata"] = {"labels": {"app": name}}
        spec["selector"] = {"matchLabels": {"app": name}}
    return {"kind": kind, "metadata": {"name": name, "labels": {"app": name} if kind != "Job" else {}},
            "spec": dict(spec, template=template)}


def _image(image, container):
    return {"spec": {"template": {"spec": {"containers": [{"name": container, "image": image}]}}}}


STRATEGIC = "application/strategic-merge-patch+json"

# What was done while the controllers were watched. A number: so many milliseconds pass.
SCRIPTS = {
    0: [("POST", _DEPLOY, JSON, _workload("Deployment", "web", "nginx:1", replicas=2, progressDeadlineSeconds=4)), 2000,
        ("PATCH", _DEPLOY + "/web", STRATEGIC, _image("nginx:2", "web")), 2000,
        ("PATCH", _DEPLOY + "/web", STRATEGIC, _image("never-ready:1", "web")), 8000,
        ("PATCH", _DEPLOY + "/web", STRATEGIC, _image("nginx:2", "web")), 2000,
        ("DELETE", _DEPLOY + "/web", JSON, {"propagationPolicy": "Foreground"}), 2000],
    1: [("POST", _DEPLOY, JSON, _workload("Deployment", "api", "nginx:1", replicas=1)), 2000,
        ("PATCH", _DEPLOY + "/api", STRATEGIC, _image("nginx:2", "web")), 2000],
    2: [("POST", _JOBS, JSON, _workload("Job", "ok", "alpine", ["sh", "-c", "true"], backoffLimit=0)), 20,
        ("POST", _JOBS, JSON, _workload("Job", "bad", "alpine", ["sh", "-c", "exit 1"], backoffLimit=0)), 20,
        ("POST", _JOBS, JSON, _workload("Job", "held", "alpine", suspend=True)), 2000,
        ("PATCH", _JOBS + "/held", MERGE, {"spec": {"suspend": False}}), 2000],
    4: [("POST", _SETS, JSON, _workload("StatefulSet", "db", "db:1", replicas=2, serviceName="db")), 2000,
        ("PATCH", _SETS + "/db", STRATEGIC, _image("db:2", "c")), 3000],
}

# Steps that are not compared.
SKIPPED = {("controllers", 5): "which events are told, and how often, is the controllers' own affair"}

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
MISSING_GROUPS = ["authentication.k8s.io", "certificates.k8s.io",
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
    {"scenario": "controllers", "step": [2], "path": "^(ok|bad|held)$", "have": '"ready": 1',
     "why": "the recording's stand-in for the kubelet ended pods without making them ready first"},
    {"scenario": "controllers", "step": [0], "path": "^web$",
     "have": '"generation": 2.*(NewReplicaSetCreated.*"replicas": 2, "unav|ReplicaSetUpdated.*"replicas": 3, "unav)',
     "why": "in-between states that the recording shows at its next revision"},
    {"scenario": "controllers", "step": [3],
     "path": "^/metadata/resourceVersion|^/items/0/(metadata/(name|managedFields|uid|resourceVersion)|spec/nodeName|status)|metadata/labels/controller-uid|ownerReferences/0/uid",
     "why": "the recording's stand-in for the kubelet writes a status of its own"},
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
        if "have" in entry and not re.search(entry["have"], json.dumps(have, sort_keys=True)):
            continue
        if "want" in entry and not re.search(entry["want"], json.dumps(want)):
            continue
        entry["used"] = True
        return True
    return False
