#!/usr/bin/env python3
"""The readers beside independent ones.

json: python's json module, made as strict as RFC 8259, on random texts and on broken ones.
yaml: kubectl (its loader for manifests, and its kustomize) on the golden inputs, on random scalars, and
      on manifests of the corpus that COX_TEST_CORPUS names.

usage: differential.py json|yaml READER       exit 77: nothing to compare with
"""
import glob
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

SEED = int(os.environ.get("COX_TEST_SEED", "1"))


class Refused(Exception):
    pass


def ask(reader, cases):
    """[(format, bytes)] -> [list of documents, or Refused]"""
    stream = b"".join(b"%s %d\n%s" % (f.encode(), len(t), t) for f, t in cases)
    out = subprocess.run([reader], input=stream, stdout=subprocess.PIPE, check=True).stdout
    lines = out.decode().split("\n")[:-1]
    assert len(lines) == len(cases), (len(lines), len(cases))
    return [Refused(x[7:]) if x.startswith("error: ") else json.loads(x) for x in lines]


def same(a, b):
    """Equal by value: 1 and 1.0 too, since the other side has floats where ours has integers."""
    if isinstance(a, bool) or isinstance(b, bool) or a is None or b is None:
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a == b or float(a) == float(b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


# ---- JSON ----

def no_duplicates(pairs):
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("duplicate key")
    return out


def finite(text):
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("out of range")
    return value


def constant(text):
    raise ValueError(text)


def python_reads(text):
    try:
        return json.loads(text.decode(), object_pairs_hook=no_duplicates, parse_float=finite,
                          parse_constant=constant)
    except (ValueError, RecursionError):
        return Refused()


def random_json(rng, depth):
    kind = rng.randrange(8 if depth else 5)
    if kind == 0:
        return rng.choice(["true", "false", "null"])
    if kind == 1:
        return rng.choice(["0", "-0", "12", "-7", "1.5", "1e3", "1E-2", "-0.0e+1", "1e308",
                           "9223372036854775807", "-9223372036854775809", "123456789012345678901"])
    if kind < 5:
        parts = ["a", "key", " ", "\\n", "\\u0041", "\\ud83d\\ude00", "\\\"", "\\\\", "\\/", "é",
                 "日本", "\\u0000", "{", "[", ",", "x" * 20]
        return '"' + "".join(rng.choice(parts) for _ in range(rng.randrange(6))) + '"'
    space = rng.choice(["", " ", "\n", "\t", "\r\n  "])
    if kind < 7:
        items = ['"k%d%s"%s:%s%s' % (i, rng.choice(["", "\\t", "ü"]), space, space,
                                     random_json(rng, depth - 1)) for i in range(rng.randrange(5))]
        return "{" + space + ("," + space).join(items) + space + "}"
    items = [random_json(rng, depth - 1) for _ in range(rng.randrange(5))]
    return "[" + space + ("," + space).join(items) + space + "]"


def broken(rng, text):
    """One byte less, more or other."""
    i = rng.randrange(len(text) + 1)
    new = bytes([rng.choice(b'{}[]",:\\u0123456789eE+-.truefalsn \n\t\x00\x80\xff/')])
    return rng.choice([text[:i] + text[i + 1:], text[:i] + new + text[i:],
                       text[:i] + new + text[i + 1:]])


def check_json(reader):
    rng = random.Random(SEED)
    texts = []
    for _ in range(4000):
        text = random_json(rng, 4).encode()
        texts += [text, broken(rng, text), broken(rng, text)]
    n_good = 0
    for text, ours in zip(texts, ask(reader, [("json", t) for t in texts])):
        theirs = python_reads(text)
        if isinstance(theirs, Refused) and isinstance(ours, Refused):
            continue
        if isinstance(theirs, Refused) or isinstance(ours, Refused):
            # Python keeps half a surrogate pair, and our reader its limit: neither occurs in
            # whole texts.
            if re.search(rb"\\u[dD][89a-fA-F]", text):
                continue
            sys.exit("seed %d: %r: python %r, ours %r" % (SEED, text, theirs, ours))
        if not same(theirs, ours[0]) and not re.search(rb"\\u[dD][89a-fA-F]", text):
            sys.exit("seed %d: %r: python %r, ours %r" % (SEED, text, theirs, ours[0]))
        n_good += 1
    print("%d texts, %d of them JSON: both agree" % (len(texts), n_good))


# ---- YAML ----

def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return done.stdout if done.returncode == 0 else Refused(done.stderr.decode()[:300])


def manifest(body):
    """The text as the data of a ConfigMap."""
    return (b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n" +
            b"".join(b"  " + line for line in body.splitlines(True)))


def loaded_by_kubectl(folder, body):
    path = os.path.join(folder, "m.yaml")
    with open(path, "wb") as f:
        f.write(manifest(body))
    out = run("kubectl", "annotate", "--local", "-f", path, "differential-", "-o", "json")
    return out if isinstance(out, Refused) else json.loads(out)["data"]


def built_by_kustomize(folder, reader, body):
    with open(os.path.join(folder, "m.yaml"), "wb") as f:
        f.write(manifest(body))
    with open(os.path.join(folder, "kustomization.yaml"), "w") as f:
        f.write("resources: [m.yaml]\n")
    out = run("kubectl", "kustomize", folder)
    if isinstance(out, Refused):
        return out
    # What it printed quotes all that might be misread, so the plainest reading will do.
    return ask(reader, [("kustomize", out)])[0][0]["data"]


def random_scalars(rng, n):
    pieces = ["0", "1", "7", "9", "12", "-", "+", ".", "_", "e", "E", "x", "o", "b", "0x", "0o", "0b",
              "y", "n", "yes", "No", "on", "Off", "true", "False", "TRUE", "null", "~", "a", "f",
              "2020-01-01", "T", "Z", "1:2", "inf", "nan"]
    out = set()
    while len(out) < n:
        text = "".join(rng.choice(pieces) for _ in range(rng.randrange(1, 5)))
        # .inf and .nan are refused by both, and would hide the rest; "0b+1" and "0o+1" are integers
        # to go-yaml by an accident that nobody relies on.
        if not re.match(r"^[-+]?\.(inf|Inf|INF|nan|NaN|NAN)$|^-$|^---|^\.\.\.|^-?0[ob][-+]", text):
            out.add(text)
    return sorted(out)


def has_kustomize_5():
    """Older ones read YAML in other ways, and old kubectls carry version 2 without saying so."""
    out = run("kubectl", "version", "--client", "-o", "json")
    version = "" if isinstance(out, Refused) else json.loads(out).get("kustomizeVersion", "")
    return bool(re.match(r"v([5-9]|\d\d)", version))


def check_bodies(reader, folder, bodies):
    n_same = 0
    schemas = {"kubernetes": lambda body: loaded_by_kubectl(folder, body)}
    if has_kustomize_5():
        schemas["kustomize"] = lambda body: built_by_kustomize(folder, reader, body)
    else:
        print("this kubectl carries no kustomize 5: only its loader for manifests is compared")
    for name, body in bodies:
        ours = ask(reader, [(schema, manifest(body)) for schema in schemas])
        theirs = [other(body) for other in schemas.values()]
        for schema, mine, other in zip(schemas, ours, theirs):
            if isinstance(other, Refused) or isinstance(mine, Refused):
                # We refuse duplicate keys, foreign tags and bad UTF-8 on purpose; Kustomize, keys
                # that are numbers.
                if isinstance(mine, Refused) and not isinstance(other, Refused) and \
                        not re.search("duplicate key|not valid UTF-8|tag .* is not expected", str(mine)):
                    sys.exit("%s as %s: refused by us only: %s" % (name, schema, mine))
                if "random" in name:
                    sys.exit("%s as %s: kubectl %s, ours %s" % (name, schema, other, mine))
                continue
            if not same(mine[0]["data"], other):
                sys.exit("%s as %s:\n  kubectl: %s\n  ours:    %s" %
                         (name, schema, json.dumps(other), json.dumps(mine[0]["data"])))
            n_same += 1
    print("%d of %d texts compared equal" % (n_same, len(schemas) * len(bodies)))
    if n_same < 15 * len(schemas):
        sys.exit("too few of them could be compared")


def check_corpus(reader, folder):
    corpus = os.environ.get("COX_TEST_CORPUS", "")
    files = sorted(glob.glob(os.path.join(corpus, "kustomize", "src", "**", "*.yaml"),
                             recursive=True)) if corpus else []
    rng = random.Random(SEED)
    n = 0
    for path in rng.sample(files, min(len(files), 60)):
        with open(path, "rb") as f:
            text = f.read()
        ours = ask(reader, [("kubernetes", text)])[0]
        if isinstance(ours, Refused) or not all(
                isinstance(d, dict) and "kind" in d and not d["kind"].endswith("List") and
                isinstance(d.get("metadata"), dict) for d in ours):
            continue
        out = run("kubectl", "annotate", "--local", "-f", path, "differential-", "-o", "json")
        if isinstance(out, Refused):
            continue
        decoder, theirs, at = json.JSONDecoder(), [], 0
        out = out.decode()
        while out[at:].strip():
            at += len(out[at:]) - len(out[at:].lstrip())
            value, at = decoder.raw_decode(out, at)
            theirs += value["items"] if value.get("kind") == "List" else [value]
        # kubectl drops a creationTimestamp that is null, and makes annotations.
        for d in ours + theirs:
            for key in ("creationTimestamp", "annotations"):
                if not d["metadata"].get(key, True):
                    del d["metadata"][key]
        if len(ours) != len(theirs) or not all(map(same, ours, theirs)):
            sys.exit("%s:\n  kubectl: %s\n  ours:    %s" %
                     (path, json.dumps(theirs)[:3000], json.dumps(ours)[:3000]))
        n += 1
    print("%d files of the corpus compared equal" % n if files else
          "COX_TEST_CORPUS is not set: no files of it compared")


def check_yaml(reader):
    if not shutil.which("kubectl"):
        print("no kubectl here to compare with")
        sys.exit(77)
    bodies = []
    for path in sorted(glob.glob("tests/golden/doc/yaml/*/input")):
        with open(path, "rb") as f:
            text = f.read()
        # One document that is a map can be the data of a ConfigMap.
        if b"---" not in text and not text.startswith(b"%") and b"\x00" not in text:
            # Kustomize prints U+0085 as it is, which is a line break to whoever reads it.
            bodies.append((path, text.removeprefix(b"\xef\xbb\xbf").replace(b"\\u0085", b"")))
    scalars = random_scalars(random.Random(SEED), 1000)
    for at in range(0, len(scalars), 100):
        bodies.append(("random scalars, seed %d" % SEED,
                       b"".join(b"k%d: %s\n" % (i, s.encode())
                                for i, s in enumerate(scalars[at:at + 100]))))
    with tempfile.TemporaryDirectory() as folder:
        check_bodies(reader, folder, bodies)
        check_corpus(reader, folder)


if __name__ == "__main__":
    {"json": check_json, "yaml": check_yaml}[sys.argv[1]](sys.argv[2])
