#!/usr/bin/env python3
"""What kubesim does where no recording says it. usage: behaviour.py DRIVER"""
import json
import subprocess
import sys

child = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
failed = []
checks = 0
JSON, MERGE, APPLY = "application/json", "application/merge-patch+json", "application/apply-patch+yaml"
MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOY = "/apis/apps/v1/namespaces/default/deployments"


def order(**o):
    child.stdin.write(json.dumps(o) + "\n")
    child.stdin.flush()
    return json.loads(child.stdout.readline())


def call(method, path, body=None, kind=JSON):
    path, _, query = path.partition("?")
    r = order(method=method, path=path, query=query, contentType=kind, accept=JSON, authorization="Bearer good",
              body=json.dumps(body) if body is not None else None)
    if "watch" in r:
        return r["watch"]
    return r["status"], json.loads(r["body"]) if r["body"].startswith("{") else r["body"]


def pull(watch):
    r = order(pull=watch)
    return [json.loads(line) for line in r["body"].splitlines()], r["over"]


def run(ms):
    order(run=ms)


def check(what, wanted, got):
    global checks
    checks += 1
    if wanted != got:
        failed.append("%s: wanted %r, got %r" % (what, wanted, got))


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name, image="a:1", **annotations):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "annotations": annotations},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"a": name}},
                     "template": {"metadata": {"labels": {"a": name}}, "spec": {"containers": [{"name": "c", "image": image}]}}}}


def reset(**more):
    order(reset=True, **more)
    run(50)


# ---- the window of events ----
reset(maxEvents=16)
_, first = call("GET", MAPS)
old = first["metadata"]["resourceVersion"]
watch = call("GET", MAPS + "?watch=1&resourceVersion=" + old)
for i in range(20):
    call("POST", MAPS, config_map("m%02d" % i))
events, over = pull(watch)
check("a watch that fell behind", [("ERROR", 410)], [(e["type"], e["object"].get("code")) for e in events])
check("is over", True, over)
_, page = call("GET", MAPS + "?limit=5")
token = page["metadata"]["continue"]
_, second = call("GET", MAPS + "?limit=5&continue=" + token)
check("pages follow", "m04", second["items"][0]["metadata"]["name"])
for i in range(20):
    call("PATCH", MAPS + "/m00", {"data": {"i": str(i)}}, MERGE)
check("an old page is gone", 410, call("GET", MAPS + "?limit=5&continue=" + token)[0])

# ---- watches ----
reset()
watch = call("GET", MAPS + "?watch=1&allowWatchBookmarks=true&timeoutSeconds=90")
pull(watch)
call("POST", MAPS, config_map("a"))
call("PATCH", MAPS + "/a", {"data": {"x": "1"}}, MERGE)
call("PATCH", MAPS + "/a", {"data": {"x": "1"}}, MERGE)
call("DELETE", MAPS + "/a")
check("events", ["ADDED", "MODIFIED", "DELETED"], [e["type"] for e in pull(watch)[0]])
run(61000)
check("bookmark", ["BOOKMARK"], [e["type"] for e in pull(watch)[0]])
run(30000)
check("timeout", True, pull(watch)[1])
one = call("GET", MAPS + "?watch=1&fieldSelector=metadata.name%3Db")
pull(one)
call("POST", MAPS, config_map("c"))
call("POST", MAPS, config_map("b"))
check("one object", ["b"], [e["object"]["metadata"]["name"] for e in pull(one)[0]])

# ---- server-side apply ----
status, o = call("PATCH", MAPS + "/b?fieldManager=me", config_map("b", k="v"), APPLY)
check("apply to what others made", (200, {"k": "v"}), (status, o["data"]))
dup = deployment("dup")
dup["spec"]["template"]["spec"]["containers"] *= 2
status, o = call("PATCH", DEPLOY + "/dup?fieldManager=me", dup, APPLY)
check("an item twice", (500, True), (status, 'duplicate entries for key [name="c"]' in o["message"]))
call("PATCH", MAPS + "/s?fieldManager=one", config_map("s", a="1", b="2"), APPLY)
call("PATCH", MAPS + "/s?fieldManager=two", config_map("s", b="2", c="3"), APPLY)
_, o = call("PATCH", MAPS + "/s?fieldManager=one", config_map("s"), APPLY)
check("shared fields stay", {"b": "2", "c": "3"}, o["data"])
status, o = call("PATCH", MAPS + "/s?fieldManager=one", config_map("s", b="9", c="9"), APPLY)
check("two conflicts", (409, [".data.b", ".data.c"]), (status, [c["field"] for c in o["details"]["causes"]]))
_, before = call("GET", MAPS + "/s")
status, o = call("PATCH", MAPS + "/s?fieldManager=one&force=true&dryRun=All", config_map("s", b="9"), APPLY)
check("dry run", (200, "9"), (status, o["data"]["b"]))
check("changed nothing", before, call("GET", MAPS + "/s")[1])
_, o = call("PATCH", MAPS + "/s", {"metadata": {"managedFields": [{}]}}, MERGE)
check("managedFields emptied", None, o["metadata"].get("managedFields"))

# ---- deletion ----
call("POST", DEPLOY, deployment("fg"))
run(1000)
_, o = call("DELETE", DEPLOY + "/fg", {"propagationPolicy": "Foreground"})
check("waits for its dependents", ["foregroundDeletion"], o["metadata"]["finalizers"])
run(1000)
check("foreground", (404, []), (call("GET", DEPLOY + "/fg")[0], call("GET", "/api/v1/pods")[1]["items"]))
call("POST", DEPLOY, deployment("orphan"))
run(1000)
call("DELETE", DEPLOY + "/orphan", {"propagationPolicy": "Orphan"})
run(1000)
_, sets = call("GET", "/apis/apps/v1/replicasets")
check("orphans stay", [None], [s["metadata"].get("ownerReferences") for s in sets["items"]])
call("DELETE", "/apis/apps/v1/namespaces/default/replicasets/" + sets["items"][0]["metadata"]["name"])
run(1000)
check("and their pods go with them", [], call("GET", "/api/v1/pods")[1]["items"])
status, o = call("POST", MAPS, {"metadata": {"name": "lost", "ownerReferences": [
    {"apiVersion": "v1", "kind": "ConfigMap", "name": "no", "uid": "11111111-2222-4333-8444-555555555555"}]}})
run(100)
check("an owner that never was", 404, call("GET", MAPS + "/lost")[0])

# ---- controllers ----
call("POST", DEPLOY, deployment("never", **{"kubesim.coxswain.dev/never-ready": "true"}))
run(2000)
check("never ready", (2, None), (lambda s: (s["updatedReplicas"], s.get("readyReplicas")))(call("GET", DEPLOY + "/never")[1]["status"]))
call("POST", DEPLOY, deployment("slow", **{"kubesim.coxswain.dev/ready-after": "5s"}))
run(4000)
check("not yet", None, call("GET", DEPLOY + "/slow")[1]["status"].get("readyReplicas"))
run(1500)
check("ready", 2, call("GET", DEPLOY + "/slow")[1]["status"].get("readyReplicas"))
call("PATCH", DEPLOY + "/slow", {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}, "template": {"spec": {
    "containers": [{"name": "c", "image": "a:2"}]}}}}, MERGE)
run(6500)
_, o = call("GET", DEPLOY + "/slow")
check("recreated", (2, 2, 2), tuple(o["status"].get(k) for k in ("replicas", "updatedReplicas", "availableReplicas")))
call("PATCH", DEPLOY + "/slow/scale", {"spec": {"replicas": 0}}, MERGE)
run(500)
check("scaled to nothing", None, call("GET", DEPLOY + "/slow")[1]["status"].get("replicas"))

# ---- names ----
status, o = call("POST", MAPS, {"metadata": {"generateName": "gen-"}})
check("generated name", (201, True), (status, o["metadata"]["name"].startswith("gen-") and len(o["metadata"]["name"]) == 9))
bad = config_map("bad")
bad["metadata"]["labels"] = {"a": "not a value!"}
status, o = call("POST", MAPS, bad)
check("a bad label", (422, "metadata.labels"), (status, o["details"]["causes"][0]["field"]))
status, o = call("POST", "/api/v1/namespaces/default/services", {"metadata": {"name": "s"}, "spec": {"type": "Best", "ports": [{"port": 1}]}})
check("a bad type", (422, 'Service "s" is invalid: spec.type: Unsupported value: "Best": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'),
      (status, o["message"]))
check("a body that is no object", 400, call("POST", MAPS, [1])[0])
check("a patch that is no object", 400, call("PATCH", MAPS + "/b", "x", MERGE)[0])

child.stdin.close()
child.wait()
if child.returncode:
    failed.append("the driver ended with %s" % child.returncode)
for f in failed:
    print(f)
print("%d of %d as wanted" % (checks - len(failed), checks))
sys.exit(1 if failed else 0)
