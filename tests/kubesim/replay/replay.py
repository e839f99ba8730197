#!/usr/bin/env python3
"""Replays what a real API server answered against kubesim, step by step.

usage: replay.py DRIVER [SCENARIO...]      reads the folder COX_TEST_CORPUS/kube; 77 without it

Answers are compared as JSON values, managed fields included. Placeholders of the recording
(<uid-1>, <rv-1>, <time>, <ip-1>, <continue>, <ns>) stand for any value of their kind; a numbered
one must stand for the same value everywhere in a scenario, and different numbers for different
values. What may differ is in ALLOWED and nowhere else, each with its reason.
"""
import json
import os
import re
import subprocess
import sys
import urllib.parse

NS = "replay"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
KINDS = {
    "uid": UUID,
    "rv": r"[0-9]+",
    "ip": r"[0-9a-f.:]+",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z",
    "continue": r"[-_A-Za-z0-9=]+",
}
MARK = re.compile(r"<(uid|rv|ip|time|continue)(-\d+)?>")

exec(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "allowed.py")).read())


class Driver:
    def __init__(self, path):
        self.child = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def order(self, **order):
        self.child.stdin.write(json.dumps(order) + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            raise SystemExit("the driver died on %r" % order)
        return json.loads(line)

    def request(self, method, path, body=None, **more):
        path, _, query = path.partition("?")
        if body is not None and not isinstance(body, str):
            body = json.dumps(body)
        more.setdefault("authorization", "Bearer good")
        return self.order(method=method, path=path, query=query, body=body, **more)


class Replay:
    def __init__(self, driver, scenario):
        self.driver, self.name = driver, scenario["name"]
        self.steps = scenario["steps"]
        self.bound, self.taken = {}, {}
        self.token = ""
        self.version = "0"
        self.problems = []

    # ---- placeholders ----

    def fill(self, value):
        """A recorded request with our own values in it."""
        if isinstance(value, dict):
            return {self.fill(k): self.fill(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.fill(v) for v in value]
        if not isinstance(value, str):
            return value
        value = value.replace("<ns>", NS).replace("%3Cns%3E", NS)

        def own(match):
            if match[1] == "time":
                return "2026-01-01T00:00:00Z"
            return self.bound.get(match[0], "11111111-2222-4333-8444-555555555555")

        return MARK.sub(own, value)

    def bind(self, mark, kind, text):
        if kind in ("time", "continue"):
            return None
        if mark not in self.bound:
            other = self.taken.get((kind, text))
            # a value that the recording has under two names is two values there
            if other and kind != "ip":
                return "%s is what %s is" % (mark, other)
            self.bound[mark] = text
            self.taken[(kind, text)] = mark
        elif self.bound[mark] != text:
            return "%s was %s and is %s" % (mark, self.bound[mark], text)
        return None

    def text(self, want, have):
        want = want.replace("<ns>", NS)
        want = re.sub(r'uid\\?":\\?"' + UUID, 'uid":"<any>', want)
        have = re.sub(r'uid\\?":\\?"' + UUID, 'uid":"<any>', have)
        pattern, marks, at = "", [], 0
        for m in MARK.finditer(want):
            pattern += re.escape(want[at:m.start()]) + "(" + KINDS[m[1]] + ")"
            marks.append((m[0], m[1]))
            at = m.end()
        pattern += re.escape(want[at:])
        found = re.fullmatch(pattern, have, re.S)
        if not found:
            return "wanted %r, got %r" % (want, have)
        for (mark, kind), text in zip(marks, found.groups()):
            problem = self.bind(mark, kind, text)
            if problem:
                return problem
        return None

    # ---- comparison ----

    def compare(self, want, have, path):
        if allowed(self.name, self.step, path, want, have):
            return
        if isinstance(want, dict) and isinstance(have, dict):
            want = {re.sub(UUID, "<any>", k): v for k, v in want.items()}
            have = {re.sub(UUID, "<any>", k): v for k, v in have.items()}
            for key in sorted(set(want) | set(have)):
                if key not in want:
                    if not allowed(self.name, self.step, path + "/" + key, None, have[key]):
                        self.problem(path + "/" + key, "not wanted: %s" % json.dumps(have[key])[:200])
                elif key not in have:
                    if not allowed(self.name, self.step, path + "/" + key, want[key], None):
                        self.problem(path + "/" + key, "missing: %s" % json.dumps(want[key])[:200])
                else:
                    self.compare(want[key], have[key], path + "/" + key)
        elif isinstance(want, list) and isinstance(have, list):
            want, have = ordered(path, want), ordered(path, have)
            if len(want) != len(have):
                self.problem(path, "wanted %d items, got %d: %s" %
                             (len(want), len(have), json.dumps([want, have])[:600]))
            for i, (w, h) in enumerate(zip(want, have)):
                self.compare(w, h, "%s/%d" % (path, i))
        elif isinstance(want, str) and isinstance(have, str):
            problem = self.text(want, have)
            if problem:
                self.problem(path, problem)
        elif want != have or type(want) is not type(have):
            self.problem(path, "wanted %s, got %s" % (json.dumps(want)[:200], json.dumps(have)[:200]))

    def problem(self, path, text):
        self.problems.append("%s %d %s: %s" % (self.name, self.step, path or "/", text))

    # ---- steps ----

    def path(self, path):
        path = self.fill(path)
        path = re.sub(r"continue=eyJ[^&]*", lambda m: "continue=" + self.token, path)
        if "watch=1" in path and "resourceVersion=1&" not in path + "&":
            path = re.sub(r"resourceVersion=\d+", "resourceVersion=" + self.version, path)
        return path

    def send(self, request):
        more = {}
        if request.get("anonymous"):
            more["authorization"] = ""
        return self.driver.request(request["method"], self.path(request["path"]),
                                   self.fill(request.get("body")), accept=request.get("accept"),
                                   contentType=request.get("contentType"), **more)

    def watch(self, step, answer):
        for write in WATCHED.get((self.name, self.step), []):
            method, path, kind, body = write
            r = self.driver.request(method, path.replace("<ns>", NS), body, contentType=kind)
            assert r["status"] < 300, r
        got = []
        for _ in range(200):
            r = self.driver.order(pull=answer["watch"])
            got += [json.loads(line) for line in r["body"].splitlines()]
            if r["over"]:
                break
            self.driver.order(run=500)
        self.compare(step["response"]["events"], got, "/events")

    def play(self, i):
        self.step = i
        step = self.steps[i]
        for method, path, kind, body in BEFORE.get((self.name, i), []):
            self.driver.request(method, path.replace("<ns>", NS), body, contentType=kind)
        wait = WAIT.get((self.name, i))
        if wait:
            self.driver.order(run=wait)
        answer = self.send(step["request"])
        want = step["response"]
        if want["status"] != answer["status"]:
            self.problem("", "status: wanted %s, got %s %s" % (want["status"], answer["status"], answer["body"][:300]))
            return
        if "events" in want:
            self.watch(step, answer)
            return
        if isinstance(want.get("body"), str):
            have = answer["body"]
        else:
            have = json.loads(answer["body"]) if answer["body"] else ""
        if isinstance(have, dict) and isinstance(have.get("metadata"), dict):
            self.token = have["metadata"].get("continue", self.token)
            self.version = have["metadata"].get("resourceVersion", self.version)
        self.compare(want.get("body", ""), have, "")
        self.compare(want.get("warning", ""), answer["warnings"].strip(), "/warning")


    # ---- controllers ----

    def essence(self, event):
        """What a watcher makes of an event: names without their hashes, no times, no versions."""
        o = event["object"]
        text = json.dumps({
            "event": event["type"], "name": o["metadata"]["name"], "generation": o["metadata"].get("generation"),
            "annotations": o["metadata"].get("annotations"), "deleting": "deletionTimestamp" in o["metadata"],
            "replicas": o["spec"].get("replicas"), "suspend": o["spec"].get("suspend"),
            "status": dict(o.get("status", {}), conditions=sorted(
                o.get("status", {}).get("conditions") or [], key=lambda c: c["type"]))}, sort_keys=True)
        text = re.sub(KINDS["time"] + "|<time>", "T", text)
        text = re.sub(UUID + r"|<uid-\d+>", "U", text)
        return re.sub(r"\b(web|api|db)-[0-9a-z]{5,10}\b", r"\1-HASH", text)

    def watch_controllers(self, i):
        self.step = i
        step = self.steps[i]
        answer = self.send(dict(step["request"], path=re.sub("timeoutSeconds=[0-9]+", "timeoutSeconds=600", step["request"]["path"])))
        self.driver.order(pull=answer["watch"])  # begins with what is there: nothing
        for order in SCRIPTS[i]:
            if isinstance(order, int):
                self.driver.order(run=order)
                continue
            method, path, kind, body = order
            r = self.driver.request(method, path.replace("<ns>", NS), body, contentType=kind)
            assert r["status"] < 300, r
        got = [json.loads(l) for l in self.driver.order(pull=answer["watch"])["body"].splitlines()]
        # ours must come in the recording's order; it may show more states in between, since how
        # many of them there are depends on how the pods of one object became ready one by one
        wanted = [self.essence(e) for e in step["response"]["events"]]
        mine = [self.essence(e) for e in got]
        for name in sorted({json.loads(m)["name"] for m in mine}):
            at, rest = 0, [w for w in wanted if json.loads(w)["name"] == name]
            for m in (m for m in mine if json.loads(m)["name"] == name):
                if m in rest[at:]:
                    at += rest[at:].index(m) + 1
                elif not allowed("controllers", i, name, None, json.loads(m)):
                    self.problem("/" + name, "never seen, or not then: %s" % m)
            if rest and at == 0 or rest and rest[-1] not in mine:
                self.problem("/" + name, "does not come to: %s" % (rest[-1] if rest else None))
        if os.environ.get("KUBESIM_SHOW"):
            for m in mine:
                print("have", m)
            for w in wanted:
                print("want", w)


def ordered(path, items):
    """Lists whose order means nothing, in one order."""
    if path.endswith("/managedFields"):
        # by time, then by name: which of two writers of one second came first is chance
        return sorted(items, key=lambda m: (m["manager"], m["operation"], m.get("subresource", "")))
    if path.endswith("/conditions"):
        return sorted(items, key=lambda c: c["type"])
    if path == "/items" and all(isinstance(i, dict) and "metadata" in i for i in items):
        return sorted(items, key=lambda o: o["metadata"].get("name", ""))
    if path.endswith("/details/causes"):
        return sorted(items, key=lambda c: (c.get("field", ""), c.get("message", "")))
    if path == "/groups":
        return sorted((g for g in items if g["name"] not in MISSING_GROUPS), key=lambda g: g["name"])
    if re.fullmatch("/groups/.*/versions", path):
        return [v for v in items if v["groupVersion"] not in MISSING_VERSIONS]
    return items


def main():
    folder = os.path.join(os.environ.get("COX_TEST_CORPUS", ""), "kube")
    if not os.environ.get("COX_TEST_CORPUS") or not os.path.isdir(folder):
        print("skipped: COX_TEST_CORPUS names no folder with kube/ in it")
        return 77
    driver = Driver(sys.argv[1])
    names = sys.argv[2:] or SCENARIOS
    failed = steps = 0
    for name in names + ([] if sys.argv[2:] else ["controllers"]):
        scenario = json.load(open(os.path.join(folder, name + ".json")))
        driver.order(reset=True, noKubelet=name in WITHOUT_KUBELET)
        driver.request("POST", "/api/v1/namespaces", {"metadata": {"name": NS}}, contentType="application/json")
        driver.order(run=100)
        replay = Replay(driver, scenario)
        for i in range(len(replay.steps)):
            if name == "controllers" and i in SCRIPTS:
                replay.watch_controllers(i)
            elif (name, i) not in SKIPPED:
                replay.play(i)
        for problem in replay.problems:
            print(problem)
        bad = len({p.split()[1] for p in replay.problems})
        count = sum((name, i) not in SKIPPED for i in range(len(replay.steps)))
        print("%-12s %d of %d steps agree" % (name, count - bad, count))
        failed += bad
        steps += count
    unused = [entry for entry in ALLOWED if not entry.get("used")]
    if not sys.argv[2:]:
        for entry in unused:
            print("not needed any more: %s" % entry)
        failed += len(unused)
    print("%d of %d steps agree" % (steps - failed, steps))
    return 1 if failed else 0


sys.exit(main())
