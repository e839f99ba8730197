"""Random kustomizations: bases, components, overlays over one another; what people write, and more.

tree(rng) gives {path: text}; the folder to build is "app". Names, labels and images come from small
pools, so that references, patches and selectors find something more often than not."""
import json
import re

NAMES = ["web", "api", "db", "cache", "job-runner", "a.b"]
NAMESPACES = ["one", "two", "default"]
LABELS = ["app", "tier", "team", "app.kubernetes.io/name"]
VALUES = ["front", "back", "1", "true", "x y", "null", "0777", "v1.2", "é", "2020-01-01", "1e3", "=", "~"]
GENERATED = VALUES + ["'q'", '"', "a=b"]
IMAGES = ["nginx", "registry.example.com:5000/team/app", "busybox", "library/redis"]
CONFIGS, SECRETS = ["settings", "extra"], ["keys", "tls"]
CONTAINERS = ["main", "side", "log"]
WORKLOADS = ["Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod"]
PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*\Z")
WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"}

API = {
    "Deployment": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "Job": "batch/v1",
    "CronJob": "batch/v1", "Ingress": "networking.k8s.io/v1", "NetworkPolicy": "networking.k8s.io/v1",
    "PodDisruptionBudget": "policy/v1", "HorizontalPodAutoscaler": "autoscaling/v2",
    "Role": "rbac.authorization.k8s.io/v1", "RoleBinding": "rbac.authorization.k8s.io/v1",
    "ClusterRole": "rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1", "StorageClass": "storage.k8s.io/v1",
    "PriorityClass": "scheduling.k8s.io/v1", "Thing": "example.com/v1",
    "ValidatingWebhookConfiguration": "admissionregistration.k8s.io/v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
}
CLUSTER = {"ClusterRole", "ClusterRoleBinding", "StorageClass", "PriorityClass", "Namespace",
           "PersistentVolume", "ValidatingWebhookConfiguration", "CustomResourceDefinition"}
UNNAMED = {"Namespace", "CustomResourceDefinition"}


# ---- YAML ----

def scalar(v):
    if isinstance(v, str) and PLAIN.match(v) and v.lower() not in WORDS:
        return v
    return json.dumps(v, ensure_ascii=False)


def emit(v, pad=""):
    """A map or a list that is not empty, from the beginning of a line on."""
    out = []
    for key, value in (v.items() if isinstance(v, dict) else ((None, x) for x in v)):
        head = pad + ("-" if key is None else scalar(key) + ":")
        if isinstance(value, (dict, list)) and value:
            text = emit(value, pad + "  ")
            out.append(f"{head} {text[len(pad) + 2:]}" if key is None else f"{head}\n{text}")
        elif isinstance(value, str) and re.match(r"[^\s#].*\n", value) and not value.endswith("\n\n"):
            lines = value.rstrip("\n").split("\n")
            out.append(f"{head} |{'' if value.endswith(chr(10)) else '-'}\n" +
                       "".join(f"{pad}  {x}\n" if x else "\n" for x in lines))
        else:
            out.append(f"{head} {scalar(value)}\n")
    return "".join(out)


class Tree:
    def __init__(self, rng):
        self.rng, self.files = rng, {}

    # ---- dice ----

    def maybe(self, p=0.5):
        return self.rng.random() < p

    def one(self, pool):
        return self.rng.choice(pool)

    def some(self, pool, least=0, most=None):
        n = self.rng.randint(least, min(len(pool), most or len(pool)))
        return self.rng.sample(pool, n)

    def pairs(self, keys=LABELS, values=VALUES, least=1, most=2):
        return {k: self.one(values) for k in self.some(keys, least, most)}

    def text(self, v):
        return json.dumps(v, ensure_ascii=False, indent=1) + "\n" if self.maybe(0.2) else emit(v)

    # ---- objects ----

    def env(self):
        name = self.one(["A", "B", "HOST", "PORT"])
        kind = self.rng.randrange(5)
        if kind == 0:
            return {"name": name, "valueFrom": {"configMapKeyRef": {"name": self.one(CONFIGS), "key": "a"}}}
        if kind == 1:
            return {"name": name, "valueFrom": {"secretKeyRef": {"name": self.one(SECRETS), "key": "a"}}}
        return {"name": name, "value": self.one(VALUES + ["$(SERVICE)", "http://$(SERVICE):80"])}

    def unique(self, items, *keys):
        seen = {}
        for x in items:
            seen.setdefault(tuple(x.get(k) for k in keys), x)
        return list(seen.values())

    def envs(self):
        return self.unique([self.env() for _ in range(self.rng.randint(1, 3))], "name")

    def ports(self):
        made = []
        for _ in range(self.rng.randint(1, 3)):
            port = {"containerPort": self.one([80, 81, 8080])}
            if self.maybe():
                port["protocol"] = self.one(["TCP", "UDP"])
            if self.maybe(0.3):
                port["name"] = self.one(["http", "dns"])
            made.append(port)
        return self.unique(made, "containerPort")

    def container(self, name):
        c = {"name": name}
        if self.maybe(0.9):
            c["image"] = self.one(IMAGES) + self.one(["", ":1.0", ":latest", "@sha256:" + "ab" * 32])
        if self.maybe():
            c["env"] = self.envs()
        if self.maybe(0.3):
            c["envFrom"] = [{"configMapRef": {"name": self.one(CONFIGS)}}] + (
                [{"secretRef": {"name": self.one(SECRETS)}}] if self.maybe() else [])
        if self.maybe(0.4):
            c["ports"] = self.ports()
        if self.maybe(0.3):
            c["args"] = self.some(["--a", "-v=2", "$(SERVICE)", "$$(SERVICE)", "$(NOTHING)"], 1)
        if self.maybe(0.2):
            c["command"] = ["run"]
        if self.maybe(0.3):
            c["volumeMounts"] = self.unique(
                [{"name": self.one(["a", "b"]), "mountPath": self.one(["/a", "/b", "/c"])}
                 for _ in range(2)], "mountPath")
        if self.maybe(0.3):
            c["resources"] = {"limits": {"cpu": self.one(["1", "500m"]), "memory": "1Gi"}}
        if self.maybe(0.1):
            c["securityContext"] = self.one([{}, {"runAsUser": 1000}, {"capabilities": {"drop": ["ALL"]}}])
        return c

    def volume(self, name):
        return {"name": name, **self.one([
            {"emptyDir": {}}, {"configMap": {"name": self.one(CONFIGS)}},
            {"secret": {"secretName": self.one(SECRETS)}},
            {"persistentVolumeClaim": {"claimName": self.one(NAMES)}},
            {"hostPath": {"path": "/x"}},
            {"projected": {"sources": [{"configMap": {"name": self.one(CONFIGS)}},
                                       {"secret": {"name": self.one(SECRETS)}}]}}])}

    def pod_spec(self):
        s = {"containers": [self.container(n) for n in self.some(CONTAINERS, 1)]}
        if self.maybe(0.2):
            s["initContainers"] = [self.container("init")]
        if self.maybe(0.5):
            s["volumes"] = [self.volume(n) for n in self.some(["a", "b", "c"], 1)]
        if self.maybe(0.3):
            s["serviceAccountName"] = self.one(NAMES)
        if self.maybe(0.2):
            s["imagePullSecrets"] = [{"name": x} for x in self.some(SECRETS, 1)]
        if self.maybe(0.2):
            s["tolerations"] = [{"key": self.one("ab"), "operator": "Exists"}]
        if self.maybe(0.1):
            s["priorityClassName"] = self.one(NAMES)
        if self.maybe(0.15):
            s["nodeSelector"] = self.pairs()
        if self.maybe(0.1):
            s["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "host", "labelSelector": {"matchLabels": self.pairs()}}]}}
        if self.maybe(0.1):
            s["topologySpreadConstraints"] = [
                {"maxSkew": 1, "topologyKey": k, "whenUnsatisfiable": "DoNotSchedule",
                 "labelSelector": {"matchLabels": self.pairs()}} for k in self.some(["zone", "host"], 1)]
        if self.maybe(0.1):
            s["hostAliases"] = [{"ip": ip, "hostnames": ["x"]} for ip in self.some(["1.1.1.1", "2.2.2.2"], 1)]
        return s

    def template(self):
        t = {"spec": self.pod_spec()}
        if self.maybe(0.8):
            t["metadata"] = {"labels": self.pairs()}
            if self.maybe(0.2):
                t["metadata"]["annotations"] = self.pairs(["note", "n.io/x"])
        return t

    def spec(self, kind):
        rng, one, maybe = self.rng, self.one, self.maybe
        if kind in ("Deployment", "StatefulSet", "DaemonSet"):
            s = {"template": self.template()}
            if maybe(0.8):
                s["selector"] = {"matchLabels": self.pairs()}
            if maybe() and kind != "DaemonSet":
                s["replicas"] = rng.randint(0, 4)
            if kind == "Deployment" and maybe(0.3):
                s["strategy"] = one([{"type": "Recreate"},
                                     {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}])
            if kind == "StatefulSet":
                s["serviceName"] = one(NAMES)
            return s
        if kind == "Job":
            return {"template": self.template()}
        if kind == "CronJob":
            return {"schedule": "0 * * * *", "jobTemplate": {"spec": {"template": self.template()}}}
        if kind == "Pod":
            return self.pod_spec()
        if kind == "Service":
            s = {"ports": self.unique([{"port": one([80, 53, 443]), **({"protocol": one(["TCP", "UDP"])}
                                                                       if maybe() else {})}
                                       for _ in range(rng.randint(1, 3))], "port")}
            if maybe(0.7):
                s["selector"] = self.pairs()
            return s
        if kind == "Ingress":
            s = {"rules": [{"host": h, "http": {"paths": [
                {"path": "/", "pathType": "Prefix",
                 "backend": {"service": {"name": one(NAMES), "port": {"number": 80}}}}]}}
                for h in self.some(["a.example.com", "b.example.com"], 1)]}
            if maybe():
                s["tls"] = [{"hosts": ["a.example.com"], "secretName": one(SECRETS)}]
            return s
        if kind == "NetworkPolicy":
            return {"podSelector": one([{}, {"matchLabels": self.pairs()}]),
                    "ingress": [{"from": [{"podSelector": {"matchLabels": self.pairs()}}]}]}
        if kind == "PodDisruptionBudget":
            return {"minAvailable": one([1, "50%"]), "selector": {"matchLabels": self.pairs()}}
        if kind == "HorizontalPodAutoscaler":
            return {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": one(
                ["Deployment", "StatefulSet"]), "name": one(NAMES)}}
        if kind == "PersistentVolumeClaim":
            return {"accessModes": ["ReadWriteOnce"], "storageClassName": one(NAMES),
                    "resources": {"requests": {"storage": "1Gi"}}}
        if kind == "PersistentVolume":
            return {"capacity": {"storage": "1Gi"}}
        if kind == "CustomResourceDefinition":
            return {"group": "example.com", "scope": one(["Namespaced", "Cluster"]),
                    "names": {"kind": "Thing", "plural": "things"}}
        return {"size": rng.randint(1, 5), "items": [{"name": n, "v": rng.randint(1, 3)}
                                                     for n in self.some(["x", "y", "z"], 1)],
                "configRef": {"name": one(CONFIGS)}, "template": self.template(),
                "big": one([1, 1234567890, 1.5, -0.25, True, None, "", [], {}])}

    def body(self, kind):
        one = self.one
        if kind == "ConfigMap":
            return {"data": self.pairs(["a", "b", "c.txt"], VALUES + ["two\nlines\n", "no end\nhere", " lead"])}
        if kind == "Secret":
            return self.one([{"stringData": self.pairs(["a", "b"])}, {"data": {"a": "dg=="}}])
        if kind == "ServiceAccount":
            return {"secrets": [{"name": one(SECRETS)}]} if self.maybe(0.3) else {}
        if kind in ("Role", "ClusterRole"):
            return {"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"],
                               "resourceNames": [one(CONFIGS)]}]}
        if kind in ("RoleBinding", "ClusterRoleBinding"):
            subject = {"kind": "ServiceAccount", "name": one(NAMES + ["default"])}
            if kind == "ClusterRoleBinding" or self.maybe():
                subject["namespace"] = one(NAMESPACES)
            return {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "name": one(NAMES), "kind":
                                one(["Role", "ClusterRole"]) if kind == "RoleBinding" else "ClusterRole"},
                    "subjects": [subject]}
        if kind == "ValidatingWebhookConfiguration":
            return {"webhooks": [{"name": "a.example.com", "clientConfig": {"service": {
                "name": one(NAMES), "namespace": one(NAMESPACES)}}}]}
        if kind == "StorageClass":
            return {"provisioner": "x"}
        if kind == "PriorityClass":
            return {"value": 10}
        if kind == "Namespace":
            return {}
        return {"spec": self.spec(kind)}

    def object(self, kind, name, namespace):
        meta = {"name": name}
        if namespace:
            meta["namespace"] = namespace
        if self.maybe(0.6):
            meta["labels"] = self.pairs()
        if self.maybe(0.25):
            meta["annotations"] = self.pairs(["note", "n.io/x", "owner"])
        return {"apiVersion": API.get(kind, "v1"), "kind": kind, "metadata": meta, **self.body(kind)}

    def objects(self, n):
        """The base's: [(kind, name, namespace, current name)] and the documents."""
        kinds = WORKLOADS[:2] * 4 + WORKLOADS + ["Service", "ConfigMap", "Secret"] * 3 + ["Thing"] * 2 + [
            k for k in API if k not in WORKLOADS] + ["ServiceAccount", "PersistentVolumeClaim", "Namespace",
                                                     "PersistentVolume"]
        known, docs = {}, []
        spread = self.maybe(0.25)
        for _ in range(n):
            kind = self.one(kinds)
            pool = {"ConfigMap": CONFIGS, "Secret": SECRETS, "Namespace": NAMESPACES,
                    "CustomResourceDefinition": ["things.example.com"]}.get(kind, NAMES)
            name = self.one(pool)
            namespace = self.one(NAMESPACES) if spread and kind not in CLUSTER and self.maybe() else None
            if (kind, name) in known:
                continue
            known[kind, name] = [kind, name, namespace, name]
            docs.append(self.object(kind, name, namespace))
        return list(known.values()), docs

    # ---- patches ----

    def pod_patch(self):
        s = {}
        if self.maybe(0.8):
            s["containers"] = []
            for name in self.some(CONTAINERS, 1, 2):
                c = self.container(name) if self.maybe() else {"name": name, "image": self.one(IMAGES) + ":2"}
                if self.maybe(0.15):
                    c = {"name": name, "$patch": "delete"}
                elif self.maybe(0.2):
                    c["env"] = [{"name": self.one(["A", "B"]), "$patch": "delete"}]
                elif self.maybe(0.1):
                    c[self.one(["resources", "env", "args", "ports"])] = None
                s["containers"].append(c)
        if self.maybe(0.3):
            s["volumes"] = [self.volume(self.one("abd"))]
            if self.maybe(0.3):
                s["volumes"] = [{"name": self.one("ab"), "$patch": "delete"}]
        if self.maybe(0.1):
            s["nodeSelector"] = self.one([None, {"$patch": "replace", "x": "y"}, {"x": "y"}])
        if self.maybe(0.1):
            s["tolerations"] = [{"key": "c"}]
        return s

    def changes(self, kind):
        if kind in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
            spec = {"template": {"spec": self.pod_patch()}}
            if self.maybe(0.3) and kind in ("Deployment", "StatefulSet"):
                spec["replicas"] = self.one([None, 1, 9])
            if self.maybe(0.2) and kind == "Deployment":
                spec["strategy"] = self.one([{"$patch": "replace", "type": "Recreate"}, None,
                                             {"rollingUpdate": {"maxUnavailable": 1}}])
            return {"spec": spec}
        if kind == "CronJob":
            return {"spec": {"jobTemplate": {"spec": {"template": {"spec": self.pod_patch()}}}}}
        if kind == "Pod":
            return {"spec": self.pod_patch()}
        if kind == "Service":
            return {"spec": self.one([{"ports": self.spec("Service")["ports"]}, {"type": "NodePort"},
                                      {"selector": self.one([None, {"$patch": "replace", "x": "y"}])}])}
        if kind in ("ConfigMap", "Secret"):
            field = "data" if kind == "ConfigMap" else "stringData"
            return {field: {**self.pairs(["a", "b", "d"]), **({"c.txt": None} if self.maybe(0.3) else {})}}
        if kind == "Thing":
            return {"spec": self.one([{"size": 7}, {"items": [{"name": "x", "v": 9}]}, {"big": None},
                                      {"template": {"spec": {"containers": [{"name": "main"}]}}}])}
        if kind in ("Role", "ClusterRole"):
            return {"rules": [{"apiGroups": ["x"], "resources": ["y"], "verbs": ["*"]}]}
        return {}

    def strategic(self, known, exact):
        kind, name, namespace, current = self.one(known)
        meta = {"name": name if self.maybe(0.8) else current}
        if exact and namespace:
            meta["namespace"] = namespace
        patch = {"apiVersion": API.get(kind, "v1"), "kind": kind, "metadata": meta}
        if self.maybe(0.07):
            patch["$patch"] = "delete"
            return kind, name, patch
        patch.update(self.changes(kind))
        if self.maybe(0.3):
            meta["labels"] = self.one([None, self.pairs()]) if self.maybe(0.3) else self.pairs()
        if self.maybe(0.3):
            meta["annotations"] = self.pairs(["note", "owner", "new"])
        return kind, name, patch

    def operations(self, kind):
        ops = [{"op": "add", "path": "/metadata/annotations", "value": self.pairs(["p", "q"])},
               {"op": "add", "path": "/metadata/labels/added", "value": self.one(VALUES)},
               {"op": "replace", "path": "/metadata/labels", "value": self.pairs()}]
        if kind in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
            pod = "/spec/template/spec"
            ops += [{"op": "replace", "path": f"{pod}/containers/0/image", "value": "nginx:9"},
                    {"op": "add", "path": f"{pod}/containers/-", "value": self.container("extra")},
                    {"op": "add", "path": f"{pod}/containers/0/env", "value": self.envs()},
                    {"op": "remove", "path": f"{pod}/containers/0"},
                    {"op": "add", "path": f"{pod}/volumes", "value": [self.volume("j")]},
                    {"op": "test", "path": "/kind", "value": kind}]
        if kind == "ConfigMap":
            ops += [{"op": "add", "path": "/data/new", "value": self.one(VALUES)},
                    {"op": "copy", "from": "/data", "path": "/immutable"}]
        if kind == "Service":
            ops += [{"op": "replace", "path": "/spec/ports/0/port", "value": 99},
                    {"op": "add", "path": "/spec/ports/0", "value": {"port": 1}}]
        # adding to what may not be there fails as it should: seldom enough
        return self.some(ops if self.maybe(0.3) else ops[:1] + ops[2:4] + ops[7:], 1, 2)

    def target(self, known):
        kind, name, namespace, current = self.one(known)
        target = {"kind": kind}
        if self.maybe(0.6):
            target["name"] = self.one([name, current, name[0] + ".*", ".*" + re.escape(name[-1]), "web|api"])
        if self.maybe(0.15):
            target["version"] = API.get(kind, "v1").split("/")[-1]
        if self.maybe(0.15):
            target["group"] = API.get(kind, "v1").rpartition("/")[0]
        if self.maybe(0.1) and namespace:
            target["namespace"] = namespace
        if self.maybe(0.15):
            target["labelSelector"] = self.one(["app", "tier=front", "tier in (front,back)", "!team", "app!=x"])
        if self.maybe(0.1):
            target["annotationSelector"] = self.one(["note", "!note", "owner=1"])
        if self.maybe(0.1):
            target.pop("kind")
        return kind, target

    def patch(self, known, folder, i):
        """An entry of `patches`."""
        kind, target = self.target(known)
        form = self.rng.randrange(3)
        if form == 0:
            content, entry = self.strategic(known, True)[2], {}
        elif form == 1:
            content, entry = self.operations(kind), {"target": target}
        else:
            _, _, content = self.strategic(known, False)
            target = {**target, "kind": content["kind"]}
            entry = {"target": target}
        text = json.dumps(content) if self.maybe(0.3) else emit(content)
        if self.maybe(0.5):
            path = f"patch-{i}.{'json' if text[0] in '[{' else 'yaml'}"
            self.files[f"{folder}/{path}"] = text
            return {**entry, "path": path}
        if self.maybe(0.1):
            entry["options"] = self.one([{"allowNameChange": True}, {"allowKindChange": True}])
        return {**entry, "patch": text}

    # ---- fields ----

    def generator(self, folder, i, secret, behavior):
        pool = SECRETS if secret else CONFIGS
        entry = {"name": self.one(pool)}
        if behavior:
            entry["behavior"] = behavior
        entry["literals"] = [f"{k}={v}" for k, v in self.pairs(["a", "b", "l"], GENERATED).items()]
        if self.maybe(0.3):
            path = f"file-{i}.txt"
            self.files[f"{folder}/{path}"] = self.one(["", "text", "text\n", "two\nlines\n", "x\ttab\n", "a: b\r\n"])
            entry["files"] = [self.one([path, f"key-{i}={path}"])]
        if self.maybe(0.2):
            path = f"vars-{i}.env"
            self.files[f"{folder}/{path}"] = "# env\nE1=x\n  E2 = y\n\nE3\n"
            entry["envs"] = [path]
        if secret and self.maybe(0.3):
            entry["type"] = "example.com/own"
        if self.maybe(0.2):
            entry["options"] = self.one([{"disableNameSuffixHash": True}, {"labels": self.pairs()},
                                         {"annotations": self.pairs(["note"])}, {"immutable": True}])
        return entry

    def image(self):
        entry = {"name": self.one(IMAGES)}
        for field, value in (("newName", self.one(IMAGES)), ("newTag", self.one(["2", "v3", "latest"])),
                             ("digest", "sha256:" + "cd" * 32), ("tagSuffix", "-x")):
            if self.maybe(0.4):
                entry[field] = value
        return entry

    def label(self):
        entry = {"pairs": self.pairs()}
        kind = self.rng.randrange(4)
        if kind == 1:
            entry["includeSelectors"] = True
        if kind == 2:
            entry["includeTemplates"] = True
        if kind == 3:
            entry["fields"] = [{"path": "spec/labels", "create": True, "kind": "Thing"}]
        return entry

    def replacement(self, known):
        kind, name, _, current = self.one(known)
        source = {"kind": kind, "name": self.one([name, current])}
        if self.maybe(0.7):
            source["fieldPath"] = self.one(["metadata.name", "kind", "metadata.name"])
        if kind == "ConfigMap" and self.maybe():
            source["fieldPath"] = "data.a"
        if self.maybe(0.2):
            source["options"] = {"delimiter": self.one("-./"), "index": int(self.maybe(0.1))}
        targets = []
        for _ in range(self.rng.randint(1, 2)):
            to, to_name, _, to_current = self.one(known)
            select = {"kind": to}
            if self.maybe():
                select["name"] = self.one([to_name, to_current])
            path = self.one(["metadata.annotations.replaced", "metadata.labels.app", "metadata.labels.[app.kubernetes.io/name]"])
            if to in ("Deployment", "StatefulSet") and self.maybe(0.7):
                path = "spec.template.spec.containers." + self.one(
                    ["0.image", "[name=main].image", "*.image", "[name=main].env.[name=HOST].value"])
            if to == "ConfigMap" and self.maybe(0.7):
                path = self.one(["data.a", "data.new", "data.[c.txt]"])
            entry = {"select": select, "fieldPaths": [path]}
            if self.maybe(0.2):
                entry["reject"] = [{"name": self.one(NAMES)}]
            options = {}
            if self.maybe(0.97):
                options["create"] = True
            if self.maybe(0.15) and "image" in path:
                options = {"delimiter": self.one(":/"), "index": self.rng.randint(-1, 3)}
            if options:
                entry["options"] = options
            targets.append(entry)
        return {"source": source, "targets": targets}

    def fields(self, k, folder, known):
        maybe = self.maybe
        if maybe(0.3):
            k["namespace"] = self.one(NAMESPACES + ["three"])
        if maybe(0.25):
            k["namePrefix"] = self.one(["p-", "x.", "dev-"])
        if maybe(0.2):
            k["nameSuffix"] = self.one(["-s", "-v2"])
        if maybe(0.3):
            k["labels"] = [self.label() for _ in range(self.rng.randint(1, 2))]
        if maybe(0.15):
            k["commonLabels"] = self.pairs()
        if maybe(0.25):
            k["commonAnnotations"] = self.pairs(["note", "owner"])
        if maybe(0.35):
            k["images"] = [self.image() for _ in range(self.rng.randint(1, 2))]
        scalable = [x for x in known if x[0] in ("Deployment", "StatefulSet")]
        if maybe(0.2) and scalable:
            k["replicas"] = [{"name": self.one(scalable)[1], "count": self.rng.randint(0, 9)}]
        if maybe(0.5) and known:
            k["patches"] = [self.patch(known, folder, i) for i in range(self.rng.randint(1, 3))]
        if maybe(0.12) and known:
            k["patchesStrategicMerge"] = [emit(self.strategic(known, True)[2])]
        if maybe(0.08) and known:
            kind, name, namespace, _ = self.one(known)
            group, _, version = API.get(kind, "v1").rpartition("/")
            target = {"group": group, "version": version, "kind": kind, "name": name}
            k["patchesJson6902"] = [{"target": {a: b for a, b in target.items() if b},
                                     "patch": emit(self.operations(kind))}]
        if maybe(0.2) and known:
            k["replacements"] = [self.replacement(known) for _ in range(self.rng.randint(1, 2))]
        self.generators(k, folder, known)

    def generators(self, k, folder, known):
        for secret, field in ((False, "configMapGenerator"), (True, "secretGenerator")):
            if not self.maybe(0.3):
                continue
            kind = "Secret" if secret else "ConfigMap"
            made = []
            for i in range(self.rng.randint(1, 2)):
                entry = self.generator(folder, len(self.files) + i, secret, None)
                name = entry["name"]
                exists = [x for x in known if x[0] == kind and x[1] == name]
                if exists:
                    entry = {"name": self.one([exists[0][1], exists[0][3]]), "behavior": self.one(
                        ["merge", "merge", "replace"]), **{**entry, "name": exists[0][1]}}
                    if exists[0][2]:
                        entry["namespace"] = exists[0][2]
                else:
                    known.append([kind, name, None, name])
                made.append(entry)
            k[field] = made
        if self.maybe(0.1):
            k["generatorOptions"] = self.one([{"disableNameSuffixHash": True}, {"labels": self.pairs()},
                                              {"annotations": self.pairs(["note"])}, {"immutable": True}])

    def remember(self, k, known):
        """What the names have become."""
        for x in known:
            if "namespace" in k and x[0] not in CLUSTER:
                x[2] = k["namespace"]
            if x[0] not in UNNAMED:
                x[3] = k.get("namePrefix", "") + x[3] + k.get("nameSuffix", "")

    # ---- folders ----

    def write(self, folder, k):
        name = self.one(["kustomization.yaml"] * 4 + ["kustomization.yml", "Kustomization"])
        items = list(k.items())
        self.rng.shuffle(items)
        self.files[f"{folder}/{name}"] = self.text(dict(items))

    def resources(self, folder, docs):
        if len(docs) > 1 and self.maybe():
            split = self.rng.randrange(1, len(docs))
            parts = [docs[:split], docs[split:]]
        else:
            parts = [docs]
        names = []
        for i, part in enumerate(parts):
            if len(part) > 1 and self.maybe(0.1):
                part = [{"apiVersion": "v1", "kind": "List", "items": part}]
            self.files[f"{folder}/r{i}.yaml"] = "---\n".join(self.text(d) for d in part)
            names.append(f"r{i}.yaml")
        return names

    def component(self, i, known):
        k = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
        folder = f"components/{i}"
        if self.maybe(0.4):
            extra, docs = self.objects(1)
            docs[0]["metadata"]["name"] = extra[0][1] = extra[0][3] = f"extra-{i}"
            k["resources"] = self.resources(folder, docs)
            known += extra
        self.fields(k, folder, known)
        self.remember(k, known)
        self.write(folder, k)
        return f"../components/{i}"

    def overlay(self, folder, below, known):
        k = {}
        if self.maybe(0.6):
            k.update(apiVersion="kustomize.config.k8s.io/v1beta1", kind="Kustomization")
        k["resources"] = [f"../{b}" for b in below]
        if self.maybe(0.3):
            extra, docs = self.objects(self.rng.randint(1, 2))
            have = {(x[0], x[1]) for x in known}
            pairs = [(e, d) for e, d in zip(extra, docs) if (e[0], e[1]) not in have]
            if pairs:
                k["resources"] += self.resources(folder, [d for _, d in pairs])
                known += [e for e, _ in pairs]
        components = self.rng.choice([0, 0, 0, 1, 1, 2])
        self.n_components = getattr(self, "n_components", 0)
        if components:
            k["components"] = []
            for _ in range(components):
                k["components"].append(self.component(self.n_components, known))
                self.n_components += 1
        self.fields(k, folder, known)
        if self.maybe(0.06):
            k["vars"] = [{"name": "SERVICE", "objref": {"apiVersion": API.get(x[0], "v1"), "kind": x[0],
                                                        "name": x[1]}} for x in [self.one(known)]]
        if self.maybe(0.06):
            self.files[f"{folder}/config.yaml"] = emit({"nameReference": [{"kind": "ConfigMap", "fieldSpecs": [
                {"kind": "Thing", "path": "spec/configRef/name"}]}]})
            k["configurations"] = ["config.yaml"]
        if folder == "app" and self.maybe(0.15):
            k["sortOptions"] = self.one([{"order": "fifo"}, {"order": "legacy"}, {
                "order": "legacy", "legacySortOptions": {"orderFirst": ["Service"], "orderLast": ["Deployment"]}}])
        self.remember(k, known)
        self.write(folder, k)

    def make(self):
        known, docs = self.objects(self.rng.randint(2, 8))
        base = {"resources": self.resources("base", docs)}
        self.fields(base, "base", known)
        self.remember(base, known)
        self.write("base", base)
        below = ["base"]
        for i in range(self.rng.randint(0, 2)):
            self.overlay(f"middle{i}", below, known)
            below = [f"middle{i}"]
        self.overlay("app", below, known)
        return self.files


def tree(rng):
    return Tree(rng).make()
