"""A Ray cluster of two nodes on this machine, the second with two pretended GPUs.

Prints its address; obeys lines: kill (the second node), add (another).
"""

import os
import sys

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

from ray.cluster_utils import Cluster

HEAD = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "memory": 10**9}
NODE = {**HEAD, "num_gpus": 2, "memory": 3 * 10**9}


def main() -> None:
    cluster = Cluster(initialize_head=True, head_node_args={**HEAD, "include_dashboard": False})
    node = cluster.add_node(**NODE)
    print(cluster.address, flush=True)
    for line in sys.stdin:
        if line.strip() == "kill":
            cluster.remove_node(node, allow_graceful=False)
        else:
            node = cluster.add_node(**NODE)
        print("done", flush=True)
    cluster.shutdown()


main()
