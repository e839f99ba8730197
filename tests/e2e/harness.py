"""Starts the real programs on loopback and looks at them from outside.

A Fleet is a bare Git repository, some simulated clusters, a hub and an agent each. Everything lives
below one folder, every port is picked by the kernel, every wait is on a condition. real.py has a Fleet
of clusters that are there already.
"""
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("COX_BUILD", os.path.join(ROOT, "build"))
BIN = os.path.join(BUILD, "bin")
# Sanitizers and two busy cores make everything slower; no test asserts on time, this only ends it.
PATIENCE = float(os.environ.get("COX_TEST_PATIENCE", "60"))


# What a sanitizer writes into the log of the program that it found something in.
REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer",
           "FATAL: ThreadSanitizer", "AddressSanitizer:DEADLYSIGNAL", ": runtime error: ")


def sanitizer_environment():
    """Suppressions and the exit status of a report, which no program of ours uses itself."""
    folder = os.path.join(ROOT, "tests")
    names = {"TSAN_OPTIONS": f"suppressions={folder}/tsan.supp:exitcode=66",
             "LSAN_OPTIONS": f"suppressions={folder}/lsan.supp:print_suppressions=0",
             "UBSAN_OPTIONS": "print_stacktrace=1"}
    return {name: value for name, value in names.items() if name not in os.environ}


class Failure(Exception):
    """A condition that did not come true, or a command that failed."""


def program(name):
    path = os.path.join(BIN, name)
    if not os.path.exists(path):
        raise Failure(f"{path} is not built")
    return path


def wait_until(condition, what, patience=None):
    """The first true answer of condition(); polls, because what it looks at is another program."""
    deadline = time.monotonic() + (patience or PATIENCE)
    pause, last = 0.01, None
    while True:
        try:
            answer = condition()
            if answer:
                return answer
        except (OSError, Failure, ValueError, KeyError, TypeError) as e:
            last = e
        if time.monotonic() > deadline:
            raise Failure(f"gave up waiting: {what}" + (f" ({last})" if last else ""))
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)


class Skip(Exception):
    """What the test needs is not here."""


class Process:
    """One program of ours: its log is a file, its ready line is read from its standard output."""

    def __init__(self, name, argv, log, env=None, ready=None):
        self.name, self.argv, self.log, self.ready = name, argv, log, ready
        self.env = dict(os.environ, **sanitizer_environment(), **(env or {}))
        self.child, self.first_line = None, ""
        self.deaths = []

    def start(self):
        log = open(self.log, "ab")
        self.child = subprocess.Popen(self.argv, stdout=subprocess.PIPE, stderr=log,
                                      stdin=subprocess.DEVNULL, env=self.env)
        log.close()
        if self.ready:
            self.first_line = self._read_ready_line()
        return self

    def _read_ready_line(self):
        deadline, text = time.monotonic() + PATIENCE, b""
        out = self.child.stdout.fileno()
        while b"\n" not in text or self.ready.encode() not in text:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([out], [], [], left)[0]:
                raise Failure(f"{self.name} did not get ready; its log: {self.log}\n{self.tail()}")
            piece = os.read(out, 4096)
            if not piece:
                raise Failure(f"{self.name} ended before it was ready\n{self.tail()}")
            text += piece
        lines = text.decode().splitlines()
        self.output = lines
        return next(line for line in lines if self.ready in line)

    def alive(self):
        return self.child is not None and self.child.poll() is None

    def tail(self, lines=15):
        with open(self.log, errors="replace") as f:
            return "".join(f.readlines()[-lines:])

    def _note_death(self):
        """A program that ends before it is asked to has a defect."""
        if self.child and self.child.poll() is not None:
            self.deaths.append(f"{self.name} ended by itself: {self.child.returncode}")

    def complaints(self):
        """What nobody waited for, but is wrong all the same."""
        self._note_death()
        found = list(self.deaths)
        if os.path.exists(self.log):
            with open(self.log, errors="replace") as f:
                found += [f"{self.name}: {line.strip()} ({self.log})" for line in f
                          if any(r in line for r in REPORTS)]
        return found

    def kill(self):
        """As a power cut would."""
        self._note_death()
        if self.child:
            self.child.kill()
            self.child.wait()
            self.child.stdout.close()
            self.child = None

    def stop(self, patience=20):
        """Orderly; returns the exit status."""
        if not self.child:
            return None
        self._note_death()
        self.child.terminate()
        try:
            status = self.child.wait(patience)
        except subprocess.TimeoutExpired:
            self.deaths.append(f"{self.name} did not end within {patience} s of a SIGTERM")
            self.kill()
            return None
        if status:
            self.deaths.append(f"{self.name} ended with {status} after a SIGTERM")
        self.child.stdout.close()
        self.child = None
        return status

    def freeze(self):
        self.child.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.child.send_signal(signal.SIGCONT)


class Link:
    """A TCP relay in front of an address, which can freeze: bytes stop, connections stay."""

    def __init__(self, target):
        self.target = target
        self.open = threading.Event()
        self.open.set()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.server.getsockname()[1]
        self.sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            host, port = self.target.rsplit(":", 1)
            try:
                far = socket.create_connection((host, int(port)))
            except OSError:
                near.close()
                continue
            self.sockets += [near, far]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._relay, args=(a, b), daemon=True).start()

    def _relay(self, a, b):
        try:
            while True:
                data = a.recv(65536)
                if not data:
                    break
                self.open.wait()
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def freeze(self):
        self.open.clear()

    def thaw(self):
        self.open.set()

    def close(self):
        self.open.set()
        self.server.close()
        for s in self.sockets:
            s.close()


class Repository:
    """A bare repository and a work tree that pushes to it."""

    def __init__(self, folder, name="apps"):
        self.bare = os.path.join(folder, f"{name}.git")
        self.work = os.path.join(folder, name)
        self.env = dict(os.environ, GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL="/dev/null",
                        GIT_AUTHOR_NAME="Dana", GIT_AUTHOR_EMAIL="dana@example.com",
                        GIT_COMMITTER_NAME="Dana", GIT_COMMITTER_EMAIL="dana@example.com")
        self._git("init", "-q", "--bare", "-b", "main", self.bare, cwd=folder)
        self._git("clone", "-q", self.bare, self.work, cwd=folder)
        self._git("checkout", "-q", "-B", "main")
        self.url = "file://" + self.bare

    def _git(self, *words, cwd=None):
        done = subprocess.run(["git", *words], cwd=cwd or self.work, env=self.env,
                              capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"git {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def write(self, path, text):
        full = os.path.join(self.work, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w") as f:
            f.write(text)

    def remove(self, path):
        os.unlink(os.path.join(self.work, path))

    def push(self, message):
        """Commits everything and pushes; the commit's sha."""
        self._git("add", "-A")
        self._git("commit", "-q", "--allow-empty", "-m", message)
        self._git("push", "-q", "--force", "origin", "HEAD:main")
        return self._git("rev-parse", "HEAD")


class Cluster:
    """A simulated cluster and the agent in it."""

    def __init__(self, fleet, name, server, labels=None):
        self.fleet, self.name, self.server, self.labels = fleet, name, server, labels or {}
        self.folder = os.path.join(fleet.folder, "clusters", name)
        os.makedirs(self.folder)
        self.kubeconfig = os.path.join(self.folder, "kubeconfig")
        self.audit = os.path.join(self.folder, "audit.jsonl")
        self.api = None
        self.sim = self.agent = None

    def start_sim(self, listen="127.0.0.1:0"):
        argv = [program("kubesim"), "--listen", listen, "--name", self.name,
                "--kubeconfig-out", self.kubeconfig,
                "--data", os.path.join(self.folder, "objects"),
                "--audit", self.audit] + self.fleet.sim_flags
        self.sim = Process(f"kubesim {self.name}", argv, os.path.join(self.folder, "kubesim.log"),
                           ready="listening").start()
        self.api = "http://" + self.sim.first_line.split()[-1]
        return self

    def join(self, hub=None):
        """Registers the cluster, and starts its agent with what the hub says it needs."""
        answer = self.fleet.call("POST", "/api/v1/clusters", {
            "name": self.name, "server": self.server, "labels": self.labels})
        token = os.path.join(self.folder, "token")
        with open(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            f.write(answer["token"])
        argv = [program("cox-agent"), "--cluster", self.name, "--hub", hub or self.fleet.agents,
                "--state", os.path.join(self.folder, "agent"), "--kubeconfig", self.kubeconfig,
                "--token-file", token, "--ca-pin", answer["caPin"]] + self.fleet.agent_flags
        self.agent = Process(f"cox-agent {self.name}", argv,
                             os.path.join(self.folder, "agent.log"))
        self.agent.start()
        return self

    def writes(self):
        """What was written in this cluster, in order, as its API server saw it."""
        with open(self.audit) as f:
            return [json.loads(line) for line in f if line.endswith("\n")]

    def requests(self, method):
        """The requests of our agent that were let through and were no dry run."""
        return [w for w in self.writes() if w["verb"] == "request" and w["method"] == method
                and w["userAgent"].startswith("coxswain/") and "dryRun" not in w["query"]
                and w["status"] < 300]

    def get(self, path):
        """A GET against the simulated API server; None when it says 404."""
        return http("GET", self.api + path, missing_ok=True)

    def request(self, method, path, body=None, kind="application/json"):
        return http(method, self.api + path, body, headers={"Content-Type": kind})

    def kubectl(self, *words):
        done = subprocess.run(["kubectl", "--kubeconfig", self.kubeconfig, *words],
                              capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"kubectl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout


def http(method, url, body=None, headers=None, missing_ok=False, timeout=30,
         context=None):
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)
    request.add_header("Content-Type", "application/json")
    for key, value in (headers or {}).items():
        request.add_header(key, value)
    try:
        with urllib.request.urlopen(request, timeout=timeout, context=context) as answer:
            text = answer.read()
    except urllib.error.HTTPError as e:
        if e.code == 404 and missing_ok:
            return None
        raise Failure(f"{method} {url}: {e.code} {e.read().decode(errors='replace')}") from None
    return json.loads(text) if text[:1] in (b"{", b"[") else text


class Fleet:
    # real.py has a fleet of clusters that are there already; a simulated one pulls no images.
    real = False
    image, job_image = None, "curl"

    def __init__(self, folder=None, keep=False, hub_flags=(), agent_flags=(), sim_flags=()):
        self.folder = folder or tempfile.mkdtemp(prefix="coxswain-")
        self.keep = keep
        self.hub_flags, self.agent_flags = list(hub_flags), list(agent_flags)
        self.sim_flags = list(sim_flags)
        self.clusters = {}
        self.repository = Repository(self.folder)
        self.agents = self.http = "127.0.0.1:0"
        self.hub = None
        self.state = os.path.join(self.folder, "hub")

    # ---- hub ----

    def start_hub(self):
        """The first start picks ports; later ones use the same again, as a service would."""
        argv = [program("cox-hub"), "--state", self.state, "--agents", self.agents,
                "--http", self.http, "--allow-file-repos"] + self.hub_flags
        self.hub = Process("cox-hub", argv, os.path.join(self.folder, "hub.log"),
                           ready="listening").start()
        words = dict(w.split("=", 1) for w in self.hub.first_line.split() if "=" in w)
        self.agents, self.http = words["agents"], words["http"]
        argv[argv.index("--agents") + 1] = self.agents
        argv[argv.index("--http") + 1] = self.http
        return self

    @property
    def token_file(self):
        return os.path.join(self.state, "admin.token")

    def call(self, method, path, body=None, missing_ok=False):
        with open(self.token_file) as f:
            token = f.read().strip()
        return http(method, f"http://{self.http}{path}", body,
                    {"Authorization": "Bearer " + token}, missing_ok)

    def cox(self, *words, check=True, input=None, token=None):
        """Runs the cox command as a person would (as the admin, or with a named token); its standard
        output."""
        if token is None:
            with open(self.token_file) as f:
                token = f.read().strip()
        env = dict(os.environ, COX_HUB=f"http://{self.http}", COX_TOKEN=token)
        done = subprocess.run([program("cox"), *words], env=env, input=input,
                              capture_output=True, text=True)
        if check and done.returncode:
            raise Failure(f"cox {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def apply(self, text):
        return self.cox("apply", "-f", "-", input=text)

    # ---- clusters ----

    def namespace(self, name):
        """The namespace that a test calls so; in a cluster of others it has a name of this run."""
        return name

    def add_cluster(self, name, server, labels=None):
        cluster = Cluster(self, name, server, labels).start_sim()
        self.clusters[name] = cluster
        return cluster

    # ---- what the hub says ----

    def application(self, name, namespace="-"):
        return self.call("GET", f"/api/v1/applications/{namespace}/{name}", missing_ok=True)

    def status(self, name):
        """(sync, health, revision) of an Application, as the hub shows it."""
        status = (self.application(name) or {}).get("status", {})
        return (status.get("sync", {}).get("status"), status.get("health", {}).get("status"),
                status.get("sync", {}).get("revision"))

    def is_at(self, names, revision):
        return all(self.status(n) == ("Synced", "Healthy", revision) for n in names)

    def wait_at(self, names, revision, patience=None):
        try:
            wait_until(lambda: self.is_at(names, revision), f"{', '.join(names)} at {revision}",
                       patience)
        except Failure as e:
            raise Failure(f"{e}\n" + "\n".join(f"  {n}: {self.safe_status(n)}" for n in names)) \
                from None

    def safe_status(self, name):
        try:
            status = (self.application(name) or {}).get("status", {})
            return json.dumps({k: status.get(k) for k in ("sync", "health", "conditions")})
        except (Failure, OSError) as e:
            return str(e)

    # ---- the end ----

    def processes(self):
        every = [self.hub] + [p for c in self.clusters.values() for p in (c.agent, c.sim)]
        return [p for p in every if p]

    def stop(self):
        """Ends everything in order; what was wrong, as sentences."""
        complaints = []
        agents = [c.agent for c in self.clusters.values()]
        for p in agents + [self.hub] + [c.sim for c in self.clusters.values()]:
            if p and p.child:
                p.thaw()
                p.stop()
        for p in self.processes():
            complaints += p.complaints()
        self.tidy(complaints)
        return complaints

    def tidy(self, complaints):
        if not self.keep and not complaints:
            shutil.rmtree(self.folder, ignore_errors=True)

    def logs(self):
        """Where to look, with the ends of the logs."""
        return "\n".join(f"---- {p.name}: {p.log}\n{p.tail()}" for p in self.processes())

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind and not issubclass(kind, KeyboardInterrupt):
            self.keep = True
            print(self.logs(), file=sys.stderr)
            print(f"kept for a look: {self.folder}", file=sys.stderr)
        complaints = self.stop()
        if complaints:
            text = "\n".join(complaints) + f"\nkept for a look: {self.folder}"
            if not kind:
                raise Failure(text)
            print(text, file=sys.stderr)


GUESTBOOK_CLUSTERS = [
    ("engineering-dev", "https://1.2.3.4", "dev"),
    ("engineering-prod", "https://2.4.6.8", "prod"),
    ("finance-preprod", "https://9.8.7.6", "preprod"),
]


def guestbook_manifests(repository, version, replicas=2, ready_after="100ms", image=None):
    """The demo's application: a Deployment, a Service, a ConfigMap, each in a file. ready_after:
    how long its simulated pods take to get ready; image: what real ones run instead."""
    template = f"{VERSION}: '{version}'" if image else \
        f"kubesim.coxswain.dev/ready-after: {ready_after}"
    repository.write("guestbook/deployment.yaml", f"""\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: guestbook
  labels: {{app: guestbook}}
  annotations:
    example.com/version: "{version}"
spec:
  replicas: {replicas}
  selector:
    matchLabels: {{app: guestbook}}
  template:
    metadata:
      labels: {{app: guestbook}}
      annotations: {{{template}}}
    spec:
      containers:
      - name: web
        image: {image or f"registry.example.com/guestbook:{version}"}
        ports:
        - containerPort: 8080
""")
    repository.write("guestbook/service.yaml", """\
apiVersion: v1
kind: Service
metadata:
  name: guestbook
spec:
  selector: {app: guestbook}
  ports:
  - {port: 80, targetPort: 8080}
""")
    repository.write("guestbook/config.yaml", f"""\
apiVersion: v1
kind: ConfigMap
metadata:
  name: guestbook
data:
  version: "{version}"
""")


def guestbook_appset(url, strategy=True, namespace="guestbook"):
    """The ApplicationSet of the README."""
    elements = "\n".join(f"      - {{cluster: {name}, url: {server}, env: {env}}}"
                         for name, server, env in GUESTBOOK_CLUSTERS)
    steps = "\n".join(
        f"      - matchExpressions: [{{key: env, operator: In, values: [{env}]}}]"
        for env in ("dev", "preprod", "prod"))
    rolling = f"""\
  strategy:
    type: RollingSync
    rollingSync:
      steps:
{steps}
""" if strategy else ""
    return f"""\
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {{name: guestbook}}
spec:
  generators:
  - list:
      elements:
{elements}
{rolling}  template:
    metadata: {{name: '{{{{cluster}}}}-guestbook', labels: {{env: '{{{{env}}}}'}}}}
    spec:
      project: default
      source: {{repoURL: {url}, targetRevision: HEAD, path: guestbook}}
      destination: {{server: '{{{{url}}}}', namespace: {namespace}}}
      syncPolicy:
        automated: {{prune: true, selfHeal: true}}
        syncOptions: [CreateNamespace=true]
"""


def start_guestbook(fleet, strategy=True):
    """Everything of the README's example, Synced and Healthy; the first revision."""
    guestbook_manifests(fleet.repository, "1.0", image=fleet.image)
    first = fleet.repository.push("guestbook 1.0")
    fleet.start_hub()
    for name, server, env in GUESTBOOK_CLUSTERS:
        fleet.add_cluster(name, server, {"env": env}).join()
    fleet.apply(guestbook_appset(fleet.repository.url, strategy, fleet.namespace("guestbook")))
    fleet.wait_at(GUESTBOOK_APPS, first)
    return first


DEPLOYMENT = "/apis/apps/v1/namespaces/guestbook/deployments/guestbook"
VERSION = "example.com/version"


def deployment_writes(cluster):
    """(time, version, ready) of each state that the guestbook's Deployment went through."""
    for w in cluster.writes():
        o = w.get("object")
        if not o or o.get("kind") != "Deployment" or o["metadata"]["name"] != "guestbook":
            continue
        status, want = o.get("status", {}), o["spec"].get("replicas", 1)
        ready = (status.get("observedGeneration", 0) >= o["metadata"]["generation"]
                 and all(status.get(k, 0) == want
                         for k in ("replicas", "updatedReplicas", "availableReplicas")))
        yield w["time"], o["metadata"]["annotations"].get(VERSION), ready


def check_wave_order(fleet, versions, order=("engineering-dev", "finance-preprod",
                                             "engineering-prod")):
    """No cluster got a version before the cluster of the wave before was healthy at it."""
    for version in versions:
        for before, after in zip(order, order[1:]):
            first = min((t for t, v, _ in deployment_writes(fleet.clusters[after])
                         if v == version), default=None)
            if first is None:
                continue  # superseded before its wave came
            healthy = min((t for t, v, ready in deployment_writes(fleet.clusters[before])
                           if v == version and ready), default=None)
            if healthy is None or healthy > first:
                raise Failure(f"{after} got {version} at {first}, but {before} was healthy at it "
                              f"{'never' if healthy is None else f'only at {healthy}'}")


GUESTBOOK_APPS = [f"{name}-guestbook" for name, _, _ in GUESTBOOK_CLUSTERS]


def main(run):
    """Runs a test function; 0 done, 1 failed, 77 skipped."""
    try:
        run()
    except Skip as e:
        print(f"skipped: {e}", file=sys.stderr)
        return 77
    except Failure as e:
        print(f"FAILED: {e}", file=sys.stderr)
        return 1
    return 0
