#!/usr/bin/env python3
"""Strategic merges, by `cox kustomize build` and by `kubectl kustomize`: every list of every built-in
kind (is it merged, and by which keys?), and every way in which small lists can meet.

usage: merges.py COX SOURCE [--lists] [--ways TYPE] [--sample N] [--show N] [--jobs N]
exit 77: there is no kubectl with Kustomize 5 on PATH

SOURCE is the folder with the schema's tables (common/kube). Without options: all lists, and a sample
of the ways whose seed is printed."""
import argparse
import concurrent.futures
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

COX = ""

# What may be a key of some list; all items have all of them.
KEYS = ["name", "type", "ip", "uid", "key", "port", "containerPort", "mountPath", "devicePath",
        "topologyKey", "whenUnsatisfiable", "protocol", "hostname"]


def version():
    if not shutil.which("kubectl"):
        return "none"
    out = subprocess.run(["kubectl", "version", "--client"], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL).stdout.decode()
    found = re.search(r"Kustomize Version: (\S+)", out)
    return found.group(1) if found else "before 5"


# ---- both programs ----

def run(command, cases):
    """Builds all cases at once; {name: text}, or the error."""
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/base.yaml", "w", encoding="utf-8") as f:
            f.write("\n---\n".join(json.dumps(base) for base, _ in cases))
        with open(folder + "/patch.yaml", "w", encoding="utf-8") as f:
            f.write("\n---\n".join(json.dumps(patch) for _, patch in cases))
        with open(folder + "/kustomization.yaml", "w", encoding="utf-8") as f:
            f.write("resources: [base.yaml]\npatches: [{path: patch.yaml}]\nsortOptions: {order: fifo}\n")
        done = subprocess.run([*command, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        return "error: " + done.stderr.decode(errors="replace").strip()
    out = {}
    for text in done.stdout.decode().split("\n---\n"):
        name = re.search(r"(?m)^  name: (\S+)$", text)
        if name:
            out[name.group(1)] = text.strip()
    return out


def differences(cases):
    """[(case, what one says, what the other says)]; a batch that fails is divided."""
    ours = run([COX, "kustomize", "build"], cases)
    theirs = run(["kubectl", "kustomize"], cases)
    if isinstance(ours, str) or isinstance(theirs, str):
        if len(cases) > 1:
            half = len(cases) // 2
            return differences(cases[:half]) + differences(cases[half:])
        same = isinstance(ours, str) == isinstance(theirs, str)
        return [] if same else [(cases[0], ours, theirs)]
    out = []
    for case in cases:
        name = case[0]["metadata"]["name"]
        if ours.get(name) != theirs.get(name):
            out.append((case, ours.get(name), theirs.get(name)))
    return out


# ---- every list ----

def read_tables(source):
    """{struct: {field: type}} of the tables in C."""
    rows = {}
    for file in ("schema_core.c", "schema_groups.c"):
        with open(os.path.join(source, file), encoding="utf-8") as f:
            text = f.read()
        for row in re.finditer(r'\{\s*((?:"[^"]*"\s*)+),\s*((?:"[^"]*"\s*)*)\}', text):
            name, fields = ("".join(re.findall(r'"([^"]*)"', g)) for g in row.groups())
            rows[name.rstrip("@")] = dict(f.split(":", 1) for f in fields.split())
    return rows


def item_type(rows, owner, text):
    """The struct that a type of the table leads to, and whether a list is on the way; (None, False)
    for scalars."""
    is_list = text.startswith("[")
    inner = re.match(r"[\[{]*([A-Za-z0-9.]+)", text)
    if not inner or len(inner.group(1)) == 1:
        return None, is_list
    name = inner.group(1)
    for full in (name, ".".join(owner.split(".")[:-1] + [name])):
        if full in rows:
            return full, is_list
    return None, is_list


def lists_of(rows, struct, path, seen, out):
    for field, text in rows[struct].items():
        inner, is_list = item_type(rows, struct, text)
        here = path + [(field, is_list)]
        if is_list:
            out.append((here, inner is not None))
        if inner and inner not in seen and not text.startswith("{"):
            lists_of(rows, inner, here, seen | {inner}, out)


def put(case, path, value):
    inner = {path[-1][0]: value}
    for field, is_list in reversed(path[:-1]):
        inner = {field: [{**{k: "a" for k in KEYS}, **inner}] if is_list else inner}
    for key, v in inner.items():
        if key == "metadata":
            case["metadata"] = {**v, **case["metadata"]}
        elif key not in ("apiVersion", "kind"):
            case[key] = v


def all_lists(source):
    rows = read_tables(source)
    groups = {"admissionregistration": "admissionregistration.k8s.io", "rbac": "rbac.authorization.k8s.io",
              "networking": "networking.k8s.io", "storage": "storage.k8s.io", "node": "node.k8s.io",
              "certificates": "certificates.k8s.io", "coordination": "coordination.k8s.io",
              "discovery": "discovery.k8s.io", "events": "events.k8s.io",
              "scheduling": "scheduling.k8s.io", "flowcontrol": "flowcontrol.apiserver.k8s.io",
              "authentication": "authentication.k8s.io", "authorization": "authorization.k8s.io",
              "apiextensions": "apiextensions.k8s.io", "apiregistration": "apiregistration.k8s.io",
              "core": ""}
    for struct in sorted(rows):
        package, ver, kind = (struct.split(".") + ["", ""])[:3] if struct.count(".") == 2 else ("", "", "")
        if "metadata" not in rows[struct] or not kind or kind.endswith("List") or kind == "PodTemplateSpec":
            continue
        group = groups.get(package, package)
        out, cases = [], []
        lists_of(rows, struct, [], {struct}, out)
        for i, (path, is_map) in enumerate(out):
            base = {"apiVersion": f"{group}/{ver}".strip("/"), "kind": kind, "metadata": {"name": f"n{i}"}}
            patch = json.loads(json.dumps(base))
            keyed = {k: "a" for k in KEYS}
            put(base, path, [{**{k: "b" for k in KEYS}, "x": 0}, {**keyed, "x": 1}] if is_map else ["a", "b"])
            put(patch, path, [{**keyed, "y": 2}, {**{k: "c" for k in KEYS}, "y": 3}] if is_map else ["b", "c"])
            cases.append((base, patch))
        if cases:
            yield struct, out, cases


# ---- every way ----

ONE = [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}, {"name": "b", "value": "1"},
       {"value": "3"}, {}, None]
ONE_PATCH = [{"name": "a", "value": "9"}, {"name": "b", "more": "9"}, {"name": "c", "value": "9"},
             {"name": "a", "value": None}, {"name": "a", "$patch": "delete"},
             {"name": "a", "$patch": "replace", "more": "9"}, {"name": "c", "$patch": "delete"},
             {"$patch": "replace"}, {"$patch": "delete"}, {"value": "9"}, {}, None]
TWO = [{"containerPort": 1, "protocol": "TCP", "x": 1}, {"containerPort": 1, "protocol": "UDP", "x": 2},
       {"containerPort": 1, "x": 3}, {"containerPort": 2, "x": 4}, {"protocol": "TCP", "x": 5},
       {"containerPort": 2, "protocol": "TCP", "x": 6}]
TWO_PATCH = [{"containerPort": 1, "protocol": "TCP", "y": 1}, {"containerPort": 1, "y": 2},
             {"containerPort": 2, "protocol": "UDP", "y": 3}, {"containerPort": 2, "y": 4},
             {"containerPort": 3, "y": 5}, {"containerPort": 1, "$patch": "delete"},
             {"containerPort": 1, "protocol": "TCP", "$patch": "delete"},
             {"containerPort": 1, "protocol": "UDP", "$patch": "replace", "y": 6}, {"$patch": "replace"}]
TEXTS = ["a", "b", "a", 1, None]
TEXTS_PATCH = ["a", "c", "b", 1, None, {"$patch": "replace"}, {"$patch": "delete"}]
MAP = [{"a": "1"}, {"a": "1", "b": None}, {}, None, "absent"]
MAP_PATCH = [{"a": "2"}, {"a": None}, {"b": None}, {"c": {"d": None}}, {"$patch": "delete"},
             {"$patch": "replace", "c": "3"}, {"$patch": "merge", "c": "3"}, {"$retainKeys": ["a"], "c": "3"},
             {"$setElementOrder/x": ["a"]}, {}, None, {"a": {"b": "c"}}, {"a": ["b"]}]


def lists(domain, longest):
    for n in range(longest + 1):
        yield from (list(x) for x in itertools.product(domain, repeat=n))


def keyed(field, name):
    def make(value):
        inner = {"name": "c", field: value} if value != "absent" else {"name": "c"}
        return {"spec": {"template": {"spec": {"containers": [inner]}}}}
    return name, make


def plain(*path):
    def make(value):
        inner = value
        for key in reversed(path):
            inner = {key: inner}
        return inner if value != "absent" else {}
    return path[-1], make


WAYS = {
    "one": (keyed("env", "env"), list(lists(ONE, 2)) + ["absent", None],
            list(lists(ONE_PATCH, 2)) + [None]),
    "two": (keyed("ports", "ports"), list(lists(TWO, 2)) + ["absent", None], list(lists(TWO_PATCH, 2)) + [None]),
    "texts": (plain("metadata", "finalizers"), list(lists(TEXTS, 2)) + ["absent", None],
              list(lists(TEXTS_PATCH, 2)) + [None]),
    "atomic": (keyed("args", "args"), [["a"], ["b", None], [], "absent", None],
               list(lists(TEXTS_PATCH, 2)) + [None]),
    "map": (plain("spec", "strategy"), MAP, MAP_PATCH),
    "unknown": (plain("spec", "other"), MAP, MAP_PATCH),
}


def all_ways(kind, rng, sample):
    (_, make), bases, patches = WAYS[kind]
    pairs = list(itertools.product(bases, patches))
    if kind == "texts":
        # a directive that nothing takes is a map among texts: an error with kubectl, nothing here
        pairs = [(b, p) for b, p in pairs if not (
            b in ("absent", None) and p and len(p) > 1 and all(not isinstance(x, (str, int)) for x in p))]
    if sample and sample < len(pairs):
        pairs = rng.sample(pairs, sample)
    for i, (base, patch) in enumerate(pairs):
        case = []
        for value in (base, patch):
            o = json.loads(json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", **make(value)}))
            o["metadata"] = {**(o.get("metadata") or {}), "name": f"n{i}"}
            case.append(o)
        yield tuple(case)


def main():
    global COX
    parser = argparse.ArgumentParser()
    parser.add_argument("cox")
    parser.add_argument("source")
    parser.add_argument("--lists", action="store_true")
    parser.add_argument("--ways")
    parser.add_argument("--sample", type=int, default=60)
    parser.add_argument("--show", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    COX = args.cox
    if not version().startswith("v5."):
        print(f"skipped: kubectl has Kustomize {version()}, not 5")
        return 77
    batches, names = [], []
    if not args.ways:
        for struct, _, cases in all_lists(args.source):
            batches += [cases[i:i + 100] for i in range(0, len(cases), 100)]
    if not args.lists:
        print(f"seed {args.seed}")
        rng = random.Random(args.seed)
        for kind in [args.ways] if args.ways else WAYS:
            cases = list(all_ways(kind, rng, args.sample))
            batches += [cases[i:i + 100] for i in range(0, len(cases), 100)]
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        found = [d for batch in pool.map(differences, batches) for d in batch]
    n = sum(len(b) for b in batches)
    for (base, patch), ours, theirs in found[:args.show]:
        print(f"---- base  {json.dumps(base)}\n     patch {json.dumps(patch)}\n"
              f"==== cox\n{ours}\n==== kubectl\n{theirs}")
    print(f"{n - len(found)} of {n} merges are equal")
    return 1 if found or not n else 0


if __name__ == "__main__":
    sys.exit(main())
