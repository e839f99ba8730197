#!/usr/bin/env python3
"""Random kustomizations (random_trees.py), built by `cox kustomize build` and by `kubectl kustomize`:
equal bytes, or an error from both.

usage: differential.py COX READER [--count N] [--seed S] [--only I] [--keep DIR] [--jobs N]
exit 77: there is no kubectl with Kustomize 5 on PATH

Tree I of seed S is always the same one; a difference prints both, and --keep writes its files."""
import argparse
import concurrent.futures
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

import random_trees

# Where the two are meant to differ: (what a difference says, why). What 5.8 does otherwise than the
# 5.x of a kubectl is not made by random_trees.py, nor are integers beyond 2^53 (a JSON patch makes
# floats of them there), values that are missing inside braces ({a: } is null, which is written there
# so that it is read again as ""), and .inf without quotes (a text there if it is an annotation and no
# JSON patch comes by, else an error; here always one).
ALLOWED = [
    ("found a tab character|\\\\ttab", "it cannot read its own output of a text that begins with a tab"),
    ("copy: '[^']*': no key", "a JSON patch that copies what is not there makes a null there"),
]


def version():
    kubectl = shutil.which("kubectl")
    if not kubectl:
        return "none"
    out = subprocess.run([kubectl, "version", "--client"], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL).stdout.decode()
    found = re.search(r"Kustomize Version: (\S+)", out)
    return found.group(1) if found else "before 5"


def write(files, folder):
    for path, text in files.items():
        full = os.path.join(folder, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8", newline="") as f:
            f.write(text)


def build(command, folder):
    done = subprocess.run([*command, os.path.join(folder, "app")], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    # a build that gives nothing at all is fine with both
    return done.returncode, done.stdout, done.stderr.decode(errors="replace").strip()


def documents(reader, text):
    stream = b"kustomize %d\n%s" % (len(text), text)
    out = subprocess.run([reader], input=stream, stdout=subprocess.PIPE, check=True).stdout.decode()
    if out.startswith("error: "):
        return out
    # by pairs: the order of keys says nothing, numbers keep how they are written
    return json.loads(out, parse_float=str)


def places(a, b, at=""):
    """Where two documents differ: [(path, ours, theirs)]"""
    if isinstance(a, dict) and isinstance(b, dict):
        return [x for key in sorted(a.keys() | b.keys())
                for x in places(a.get(key, "(absent)"), b.get(key, "(absent)"), f"{at}.{key}")]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [x for i in range(len(a)) for x in places(a[i], b[i], f"{at}[{i}]")]
    return [] if type(a) is type(b) and a == b else [(at, a, b)]


def describe(ours, theirs):
    if isinstance(ours, str) or isinstance(theirs, str):
        return f"ours: {str(ours)[:300]}\ntheirs: {str(theirs)[:300]}"
    names = [[f"{d.get('kind')}/{d.get('metadata', {}).get('name')}" for d in docs] for docs in (ours, theirs)]
    if names[0] != names[1]:
        return f"ours: {names[0]}\ntheirs: {names[1]}"
    return "\n".join(f"{name}{path}: ours {json.dumps(x)}, theirs {json.dumps(y)}"
                     for name, a, b in zip(names[0], ours, theirs) for path, x, y in places(a, b))


def describe_text(ours, theirs):
    """Of equal documents: the first line that is written in another way."""
    lines = zip(ours.decode().split("\n"), theirs.decode().split("\n"))
    return next((f"written as {a!r}, theirs {b!r}" for a, b in lines if a != b), "")


def compare(cox, reader, seed, i, keep):
    """None: both refuse; "": equal; "allowed"; else the difference."""
    files = random_trees.tree(random.Random(f"{seed}-{i}"))
    with tempfile.TemporaryDirectory() as folder:
        write(files, folder)
        ours = build([cox, "kustomize", "build"], folder)
        theirs = build(["kubectl", "kustomize"], folder)
        if ours[0] < 0:
            difference = f"ours was killed by signal {-ours[0]}"
        elif ours[0] and theirs[0]:
            difference = None
        elif ours[0] or theirs[0]:
            difference = f"ours: {ours[2] or 'builds'}\ntheirs: {theirs[2] if theirs[0] else 'builds'}"
        else:
            difference = describe(documents(reader, ours[1]), documents(reader, theirs[1]))
            difference = difference or describe_text(ours[1], theirs[1])
        if difference and any(re.search(pattern, difference) for pattern, _ in ALLOWED):
            difference = "allowed"
        elif difference and keep:
            write(files, os.path.join(keep, f"{seed}-{i}"))
        return i, difference


def main():
    args = argparse.ArgumentParser()
    args.add_argument("cox")
    args.add_argument("reader")
    args.add_argument("--count", type=int, default=30)
    args.add_argument("--seed", default=os.environ.get("COX_TEST_SEED", "1"))
    args.add_argument("--only", type=int)
    args.add_argument("--keep")
    args.add_argument("--jobs", type=int, default=2)
    args = args.parse_args()
    if not version().startswith("v5."):
        print(f"skipped: needs a kubectl with Kustomize 5, this one has {version()}")
        return 77
    n = {"equal": 0, "refused by both": 0, "different as allowed": 0, "different": 0}
    which = [args.only] if args.only is not None else range(args.count)
    print(f"seed {args.seed}, beside Kustomize {version()}")
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for i, difference in pool.map(
                lambda i: compare(args.cox, args.reader, args.seed, i, args.keep), which):
            kind = {None: "refused by both", "": "equal", "allowed": "different as allowed"}.get(
                difference, "different")
            if kind == "different":
                print(f"--- seed {args.seed} --only {i}\n{difference}")
            n[kind] += 1
    print(", ".join(f"{count} {what}" for what, count in n.items()))
    if n["refused by both"] > 0.7 * len(which) and len(which) > 10:
        print("too few of them build: this shows nothing")
        return 1
    return 1 if n["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
