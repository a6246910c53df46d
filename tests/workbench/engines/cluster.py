"""A Ray cluster of several nodes on this machine, in a process of its own.

    python tests/workbench/engines/cluster.py NODES CORES

Prints its address once it is up. Then a line on stdin kills the last node, as a power cut would;
the end of stdin ends all.
"""

import os
import sys
from tempfile import TemporaryDirectory

from ray.cluster_utils import Cluster


def main(nodes: int, cores: int) -> None:
    common = {"num_cpus": cores, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=common)
    others = [cluster.add_node(**common) for _ in range(nodes - 1)]
    print(f"address {cluster.address}", flush=True)
    for _ in sys.stdin:
        cluster.remove_node(others.pop(), allow_graceful=False)
        print("killed", flush=True)
        cluster.wait_for_nodes(timeout=120)
        print("known to be gone", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    with TemporaryDirectory(prefix="r-", dir="/tmp", ignore_cleanup_errors=True) as place:
        os.environ["RAY_TMPDIR"] = place  # short: names of sockets have at most 107 characters
        main(int(sys.argv[1]), int(sys.argv[2]))
