#!/usr/bin/env python3
"""Faults strike the requests that their rules name. usage: faults.py KUBESIM"""
import http.client
import json
import subprocess
import sys
import time

child = subprocess.Popen([sys.argv[1], "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
address = child.stdout.readline().split()[1]
failed = []


def call(method, path, body=None, whole=True):
    """Status, headers, body; status 0 when the connection was cut."""
    c = http.client.HTTPConnection(address, timeout=20)
    try:
        c.request(method, path, json.dumps(body) if body is not None else None,
                  {"Content-Type": "application/json"})
        r = c.getresponse()
        text = b""
        try:
            text = r.read()
        except http.client.IncompleteRead as e:
            return -1, r.headers, e.partial
        return r.status, r.headers, text
    except (http.client.HTTPException, ConnectionError):
        return 0, {}, b""
    finally:
        c.close()


def check(what, wanted, got):
    if wanted != got:
        failed.append("%s: wanted %r, got %r" % (what, wanted, got))


def faults(*rules):
    status, _, text = call("PUT", "/kubesim/faults", {"seed": 7, "rules": list(rules)})
    check("PUT of faults", 200, status)


MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(name):
    return {"metadata": {"name": name}, "data": {"a": "b"}}


try:
    faults({"path": MAPS, "method": "POST", "status": 429, "retryAfter": 3, "count": 1})
    status, headers, _ = call("POST", MAPS, config_map("a"))
    check("429", (429, "3"), (status, headers.get("Retry-After")))
    check("then not", 201, call("POST", MAPS, config_map("a"))[0])

    faults({"path": "*/configmaps/*", "status": 500, "message": "no luck", "skip": 1, "count": 1})
    check("skipped", 200, call("GET", MAPS + "/a")[0])
    status, _, text = call("GET", MAPS + "/a")
    check("500", (500, "no luck"), (status, json.loads(text)["message"]))

    faults({"path": MAPS + "*", "method": "POST", "timeoutAfterCommit": True, "count": 1})
    check("cut after commit", 0, call("POST", MAPS, config_map("b"))[0])
    check("committed", 200, call("GET", MAPS + "/b")[0])

    faults({"path": MAPS + "*", "method": "POST", "drop": True, "count": 1})
    check("dropped", 0, call("POST", MAPS, config_map("c"))[0])
    check("not done", 404, call("GET", MAPS + "/c")[0])

    faults({"path": MAPS + "/a", "latency": "150ms"})
    began = time.monotonic()
    check("late", 200, call("GET", MAPS + "/a")[0])
    check("latency", True, time.monotonic() - began >= 0.15)

    faults({"path": MAPS, "query": "*watch=1*", "watchEvents": 2, "count": 1})
    status, _, text = call("GET", MAPS + "?watch=1")
    check("watch cut", (-1, 2), (status, text.count(b"\n")))
    faults({"path": MAPS, "query": "*watch=1*", "watchEvents": 1, "truncate": True, "count": 1})
    status, _, text = call("GET", MAPS + "?watch=1")
    check("watch truncated", (-1, 1, True), (status, text.count(b"\n"), not text.endswith(b"\n")))

    struck = [call("PUT", "/kubesim/faults", {"seed": 3, "rules": [{"path": "/version", "probability": 0.5, "status": 500}]})
              and "".join("x" if call("GET", "/version")[0] == 500 else "." for _ in range(20)) for _ in range(2)]
    check("the same seed strikes the same", struck[0], struck[1])
    check("about half", True, 4 <= struck[0].count("x") <= 16)
    status, _, text = call("PUT", "/kubesim/faults", {"rules": [{"pth": "/"}]})
    check("a rule with a mistake", (400, True), (status, b"no such field in a rule: 'pth'" in text))
finally:
    child.terminate()
    child.wait()
for f in failed:
    print(f)
sys.exit(1 if failed else 0)
