"""Clusters that are there already, instead of simulated ones: those of the kubeconfig files in
COX_TEST_KUBECONFIGS, colon-separated as in KUBECONFIG; cluster 1 of a test is the current context of
the first file, and so on. Each file has to lead to another cluster, as somebody who may do everything.

fleet(n) gives a test its Fleet: of n such clusters when the variable is set, of simulated ones
otherwise. What a test makes is in namespaces whose names end in the name of the run; they are deleted
at the end, and nothing else is touched. The agents run beside the test, not in the clusters.

Nothing here knows what kind of API server answers. What the audit file of a simulated one has, the
order of writes, is taken from watches (class Recorder)."""
import base64
import json
import os
import secrets
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

from harness import Cluster, Failure, Fleet, Skip, http, wait_until

VARIABLE = "COX_TEST_KUBECONFIGS"
# What the containers are of Deployments, and of Jobs, which need a shell in it.
IMAGE = os.environ.get("COX_TEST_IMAGE", "registry.k8s.io/pause:3.9")
JOB_IMAGE = os.environ.get("COX_TEST_JOB_IMAGE", "busybox")
HOOK_FINALIZER = "coxswain.dev/hook-finalizer"


def kubeconfigs():
    return [os.path.abspath(path) for path in os.environ.get(VARIABLE, "").split(":") if path]


def fleet(clusters, **flags):
    """A Fleet for a test that needs so many clusters; skips when fewer are named than it needs."""
    files = kubeconfigs()
    if not files:
        return Fleet(**flags)
    if len(files) < clusters:
        raise Skip(f"{VARIABLE} names {len(files)} of the {clusters} clusters that this test needs")
    return RealFleet(files[:clusters], **flags)


class Access:
    """Where a kubeconfig's current context leads to, and with what; what the agent takes, this
    takes too, but for tls-server-name and proxy-url."""

    def __init__(self, path, folder):
        self.path, self.folder = path, folder
        words = ["kubectl", "--kubeconfig", path, "config", "view", "--raw", "--minify", "--flatten",
                 "-o", "json"]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"{path}: {done.stderr.strip()}")
        view = json.loads(done.stdout)
        cluster = view["clusters"][0]["cluster"]
        self.user = ((view.get("users") or [{}])[0]).get("user") or {}
        for key, where in (("exec", self.user), ("auth-provider", self.user),
                           ("username", self.user), ("tls-server-name", cluster),
                           ("proxy-url", cluster)):
            if where.get(key):
                raise Failure(f"{path}: {key} is not taken here; use a token or a client certificate")
        self.server = cluster["server"].rstrip("/")
        self.context = self._tls(cluster) if self.server.startswith("https://") else None

    def _tls(self, cluster):
        context = ssl.create_default_context()
        if "certificate-authority-data" in cluster:
            pem = base64.b64decode(cluster["certificate-authority-data"]).decode()
            context = ssl.create_default_context(cadata=pem)
        if cluster.get("insecure-skip-tls-verify"):
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if "client-certificate-data" in self.user:
            files = [self._file(name) for name in ("client-certificate", "client-key")]
            context.load_cert_chain(*files)
            for file in files:
                os.unlink(file)
        return context

    def _file(self, name):
        """Python loads certificates from files only."""
        path = os.path.join(self.folder, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
            f.write(base64.b64decode(self.user[name + "-data"]))
        return path

    def headers(self):
        token = self.user.get("token")
        if self.user.get("tokenFile"):  # it wins, and may change
            with open(self.user["tokenFile"]) as f:
                token = f.read().strip()
        return {"Authorization": "Bearer " + token} if token else {}

    def call(self, method, path, body=None, kind="application/json", missing_ok=False):
        return http(method, self.server + path, body, dict(self.headers(), **{"Content-Type": kind}),
                    missing_ok, context=self.context)

    def stream(self, path, timeout):
        """The answer of a GET, to be read line by line."""
        request = urllib.request.Request(self.server + path, headers=self.headers())
        return urllib.request.urlopen(request, timeout=timeout, context=self.context)


class Recorder:
    """What happened to the objects of one kind in the namespaces of this run, as a watch tells it.

    A watch has every change, in the order of the API server's store, so a marker that is changed and
    then waited for says that everything before it is here. `time` is when it came here: of use between
    clusters only because an agent learns of a change the same way, at the same place, and takes longer
    to act on it than a line takes to be noted.

    A thread reads; records and marked are under the lock."""
    VERBS = {"ADDED": "create", "MODIFIED": "update", "DELETED": "delete"}
    PAUSE = 240  # seconds after which a watch is begun again; load balancers cut silent ones

    def __init__(self, access, run, marker_namespace, prefix, plural, marker):
        self.access, self.run, self.path = access, run, f"{prefix}/{plural}"
        self.home = f"{prefix}/namespaces/{marker_namespace}/{plural}"
        self.lock = threading.Lock()
        self.records, self.marked, self.lost, self.over = [], 0, None, False
        self.n_marks = 0
        version = access.call("GET", self.path + "?limit=1")["metadata"]["resourceVersion"]
        access.call("POST", self.home, marker)
        threading.Thread(target=self._follow, args=(version,), daemon=True).start()

    def _follow(self, version):
        while not self.over and not self.lost:
            try:
                query = f"?watch=true&resourceVersion={version}&timeoutSeconds={self.PAUSE}"
                with self.access.stream(self.path + query, self.PAUSE + 60) as lines:
                    for line in lines:
                        version = self._note(line, time.time_ns() // 1000, version)
                        if self.over or self.lost:
                            return
            except urllib.error.HTTPError as e:
                if e.code < 500 and e.code != 429:
                    self.lost = f"{e.code} {e.reason}"
                time.sleep(0.1)
            except (OSError, ValueError):  # cut, maybe within a line
                time.sleep(0.1)

    def _note(self, line, now, version):
        event = json.loads(line)
        if event["type"] == "ERROR":  # a version that is gone: what was between is unknown
            self.lost = event["object"].get("message", "error event")
            return version
        o = event["object"]
        meta = o["metadata"]
        if event["type"] in self.VERBS and meta.get("namespace", "").endswith(self.run):
            with self.lock:
                if meta["name"] == "marker":
                    mark = meta.get("annotations", {}).get("example.com/mark", "0")
                    self.marked = max(self.marked, int(mark))
                else:
                    self.records.append({"time": now, "verb": self.VERBS[event["type"]], "object": o})
        return meta["resourceVersion"]

    def all(self):
        """Every record of what was written before this call."""
        self.n_marks += 1
        mark = self.n_marks
        self.access.call("PATCH", self.home + "/marker",
                         {"metadata": {"annotations": {"example.com/mark": str(mark)}}},
                         "application/merge-patch+json")

        def seen():
            return self.lost or self.marked >= mark
        wait_until(seen, f"the watch of {self.path} at {self.access.server} to catch up")
        if self.lost:
            raise Failure(f"the watch of {self.path} at {self.access.server} lost its place: "
                          f"{self.lost}")
        with self.lock:
            return list(self.records)


def markers():
    """The kinds that are recorded: (prefix, plural, an object of it that does nothing)."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "none", "image": IMAGE}]}
    labels = {"app": "marker"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": pod["containers"]}}
    every = [("/apis/apps/v1", "deployments", "Deployment", {"spec": {
                 "replicas": 0, "selector": {"matchLabels": labels}, "template": template}}),
             ("/apis/batch/v1", "jobs", "Job", {"spec": {"suspend": True, "template": {"spec": pod}}}),
             ("/api/v1", "configmaps", "ConfigMap", {})]
    for prefix, plural, kind, rest in every:
        version = prefix.removeprefix("/apis/").removeprefix("/api/")
        yield prefix, plural, {"apiVersion": version, "kind": kind,
                               "metadata": {"name": "marker"}, **rest}


class RealCluster(Cluster):
    """A cluster that is there already, and an agent for it."""

    def __init__(self, owner, name, server, labels, kubeconfig):
        super().__init__(owner, name, server, labels)
        self.kubeconfig, self.audit = kubeconfig, None
        self.access = Access(kubeconfig, self.folder)
        self.api = self.access.server
        self.recorders = []

    def record(self):
        namespace = self.fleet.namespace("marker")
        self.access.call("POST", "/api/v1/namespaces", {
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        for prefix, plural, marker in markers():
            self.recorders.append(Recorder(self.access, self.fleet.run, namespace, prefix, plural,
                                           marker))
        return self

    def start_sim(self, listen=None):
        raise Failure(f"{self.name} is not simulated")

    def writes(self):
        """Changes of the kinds that are recorded, in the order of their versions: one sequence for
        all kinds wherever the API server keeps them in one store."""
        found = [r for recorder in self.recorders for r in recorder.all()]
        return sorted(found, key=lambda r: int(r["object"]["metadata"]["resourceVersion"]))

    def requests(self, method):
        raise Failure("what was requested is known of simulated clusters only")

    def get(self, path):
        return self.access.call("GET", path, missing_ok=True)

    def request(self, method, path, body=None, kind="application/json"):
        return self.access.call(method, path, body, kind)

    def forget(self, names):
        """Deletes these namespaces and waits until they are gone. A hook that a killed agent still
        held would keep its namespace for ever, so our finalizers go too."""
        for recorder in self.recorders:
            recorder.over = True
        there = [n for n in names if self.get(f"/api/v1/namespaces/{n}")]
        for name in there:
            self.access.call("DELETE", f"/api/v1/namespaces/{name}", missing_ok=True)

        def gone(name):
            jobs = self.get(f"/apis/batch/v1/namespaces/{name}/jobs") or {}
            for job in jobs.get("items", []):
                held = job["metadata"].get("finalizers", [])
                if HOOK_FINALIZER in held:
                    rest = [f for f in held if f != HOOK_FINALIZER]
                    path = f"/apis/batch/v1/namespaces/{name}/jobs/{job['metadata']['name']}"
                    self.access.call("PATCH", path, {"metadata": {"finalizers": rest}},
                                     "application/merge-patch+json", missing_ok=True)
            return self.get(f"/api/v1/namespaces/{name}") is None
        for name in there:
            wait_until(lambda n=name: gone(n), f"namespace {name} to go in {self.api}")


class RealFleet(Fleet):
    real = True
    image, job_image = IMAGE, JOB_IMAGE

    def __init__(self, files, **flags):
        super().__init__(**flags)
        self.files, self.run, self.namespaces = files, "-e2e-" + secrets.token_hex(3), set()
        print(f"clusters of {VARIABLE}; namespaces end in {self.run}", flush=True)

    def namespace(self, name):
        name += self.run
        self.namespaces.add(name)
        return name

    def add_cluster(self, name, server, labels=None):
        cluster = RealCluster(self, name, server, labels, self.files[len(self.clusters)])
        for other in self.clusters.values():
            if other.api == cluster.api:
                raise Failure(f"{other.kubeconfig} and {cluster.kubeconfig} lead to the same cluster")
        self.clusters[name] = cluster
        return cluster.record()

    def stop(self):
        """The agents end first: they would put back what is deleted."""
        keep, self.keep = self.keep, True
        complaints = super().stop()
        for cluster in self.clusters.values():
            try:
                cluster.forget(sorted(self.namespaces))
            except (Failure, OSError) as e:
                complaints.append(f"left behind in {cluster.api}: {e}")
        self.keep = keep
        self.tidy(complaints)
        return complaints
