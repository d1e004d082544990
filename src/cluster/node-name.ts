import { hostname } from "node:os";

/** Names a node after its host, in the characters that names of nodes have. */
export function hostNodeName(host = hostname()): string {
  const name = host.replace(/[^A-Za-z0-9._-]+/g, "-").slice(0, 100);
  return name.replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, "") || "node";
}
