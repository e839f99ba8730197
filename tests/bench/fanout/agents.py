"""Many agents in one process, and what benchmarks ask of a hub that has them."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "e2e"))
from harness import BUILD, Failure  # noqa: E402


def memory(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        sizes = dict(line.split(":", 1) for line in f if ":" in line.split()[0])
    return int(sizes["Private_Dirty"].split()[0])


def cpu(pid):
    with open(f"/proc/{pid}/stat") as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def name_of(i):
    return f"c{i:05}"


def server_of(i):
    return f"https://{name_of(i)}.example.com"


class Agents:
    """rows: of each its cluster's name, token and wave."""

    def __init__(self, fleet, pin, rows):
        path = os.path.join(fleet.folder, "agents")
        with open(path, "w") as f:
            for name, token, wave in rows:
                f.write(f"{name} {token} {wave}\n")
        self.child = subprocess.Popen(
            [os.path.join(BUILD, "bench", "fanout_agents"), fleet.agents, pin, path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def order(self, text):
        self.send(text)
        return self.answer()

    def send(self, text):
        self.child.stdin.write(text + "\n")
        self.child.stdin.flush()

    def answer(self):
        line = self.child.stdout.readline()
        if not line:
            raise Failure("the agents' process ended")
        return line.split()

    def stop(self):
        self.child.kill()
        self.child.wait()


def connected(fleet, n):
    text = fleet.call("GET", "/metrics").decode()
    return f"\ncoxswain_agents_connected {n}\n" in text


def all_at(fleet, n, revision):
    items = fleet.call("GET", "/api/v1/applications")["items"]
    return len(items) == n and all(
        (i["status"]["sync"]["status"], i["status"]["health"]["status"],
         i["status"]["sync"].get("revision")) == ("Synced", "Healthy", revision) for i in items)


def tell(name, *figures):
    print(f"  {name:28} " + "  ".join(figures), flush=True)
