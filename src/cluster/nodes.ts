import { type Bus, type BusMessage, type NodeMessage, type NodeStatus, subjects } from "../bus/bus.ts";
import type { Logger } from "../model/logger.ts";
import { clockOffset, clockToleranceMs } from "./clock.ts";

/** How long nodes have to answer, and how long to listen on after an answer. */
const answers = { maxMs: 1_000, quietMs: 300 };
/** How long the one node that is asked to drain has to say that it does. */
const oneAnswer = { maxMs: 2_000, quietMs: 1 };
/** How often a node asks whether another one has its name. */
const checkNameMs = 10_000;
/** Nodes whose ages differ by less started together, as far as messages can tell. */
const togetherMs = 2_000;

/** The parts of a node's description that change while it runs. */
export type NodeState = Pick<NodeStatus, "address" | "sessions" | "users" | "draining">;

/** The parts of a node. */
export interface NodesOptions {
  bus: Bus;
  /** The node's name; no other may have it. */
  name: string;
  /** A random id of this process. */
  instanceId: string;
  /** The release it runs. */
  version: string;
  state: () => NodeState;
  /** Called when an operator drains this node, also when it is draining already. */
  onDrain: (sessionsPerSecond: number) => void;
  /** Called when it turns out later than at the start that an older node has the name. */
  onNameTaken: (error: NodeNameTaken) => void;
  log: Logger;
}

/** A node as another one sees it. */
export interface SeenNode extends NodeStatus {
  /**
   * By how much its clock is ahead of this node's, at least, in milliseconds;
   * 0 when the difference is no more than the question took.
   */
  clockOffsetMs: number;
}

/** Says that another node, which has been there for longer, has the name. */
export class NodeNameTaken extends Error {
  override readonly name = "NodeNameTaken";

  constructor({ name, address }: Pick<NodeStatus, "name" | "address">) {
    super(
      `another node is named ${name}, at ${address}; give each its own name with --node or PARLANCE_NODE`,
    );
  }
}

/** The nodes of a service, as one of them sees them. */
export interface Nodes {
  /**
   * Makes sure that no older node has this one's name, and logs which clocks
   * are off.
   *
   * @throws NodeNameTaken
   */
  claimName(): Promise<void>;
  /** Asks all nodes what they are, and returns those that answer and this one, by name. */
  list(): Promise<SeenNode[]>;
  /**
   * Has a node send its sessions away.
   *
   * @param sessionsPerSecond the most in a second; 0 for all at once
   * @returns the node as it begins, or undefined when none of this name answers
   */
  drain(name: string, sessionsPerSecond: number): Promise<NodeStatus | undefined>;
  /** Answers no more. */
  close(): void;
}

/** Makes a node known to the others: from now on it answers what it is, and drains when it is told to. */
export function joinNodes(options: NodesOptions): Nodes {
  const { bus, name, instanceId, version, log } = options;
  const startTimeMs = Date.now();
  const startMs = performance.now();

  function status(): NodeStatus {
    return { name, instanceId, version, startTimeMs, timeMs: Date.now(), ...options.state() };
  }

  function handle(message: BusMessage): NodeMessage | undefined {
    if (message.type === "nodeQuery" && (message.name ?? name) === name) return { type: "node", ...status() };
    if (message.type !== "drainNode" || message.name !== name) return undefined;
    options.onDrain(message.sessionsPerSecond);
    return { type: "node", ...status() };
  }

  /** Asks all others. */
  async function ask(): Promise<SeenNode[]> {
    const askedMs = Date.now();
    const found = nodesIn(await bus.request(subjects.nodes, { type: "nodeQuery" }, answers));
    const answeredMs = Date.now();
    const others = new Map(found.map((node) => [node.instanceId, node]));
    others.delete(instanceId);
    return [...others.values()].map((node) => ({
      ...node,
      clockOffsetMs: clockOffset(node.timeMs, askedMs, answeredMs),
    }));
  }

  /** @throws NodeNameTaken when one of these nodes is older and has this one's name */
  function checkName(others: readonly SeenNode[]): void {
    const ageMs = performance.now() - startMs;
    const older = others.find((other) => other.name === name && isOlder(other, status(), ageMs));
    if (older !== undefined) throw new NodeNameTaken(older);
  }

  /** The nodes whose clocks were said to differ. */
  const warnedOf = new Set<string>();

  async function claimName(): Promise<void> {
    const others = await ask();
    checkName(others);
    for (const { name: otherNode, address, clockOffsetMs, instanceId: other } of others) {
      if (Math.abs(clockOffsetMs) <= clockToleranceMs || warnedOf.has(other)) continue;
      warnedOf.add(other);
      log.warn({ otherNode, address, clockOffsetMs }, "the clock of another node differs; set both by NTP");
    }
  }

  const unsubscribe = bus.subscribe(subjects.nodes, handle);
  // Nodes that start while they are cut off from each other find out later.
  const timer = setInterval(() => {
    claimName().catch((error) => {
      if (error instanceof NodeNameTaken) options.onNameTaken(error);
      else log.warn({ err: error }, "other nodes could not be asked for their names");
    });
  }, checkNameMs).unref();

  return {
    claimName,
    async list() {
      const nodes = [...(await ask()), { ...status(), clockOffsetMs: 0 }];
      return nodes.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
    },
    async drain(wanted, sessionsPerSecond) {
      const message = { type: "drainNode", name: wanted, sessionsPerSecond } as const;
      if (wanted === name) return handle(message);
      return nodesIn(await bus.request(subjects.nodes, message, oneAnswer))[0];
    },
    close() {
      unsubscribe();
      clearInterval(timer);
    },
  };
}

function nodesIn(messages: readonly BusMessage[]): NodeMessage[] {
  return messages.filter((message) => message.type === "node");
}

/**
 * Tells whether another node has been there for longer than this one. Ages are
 * compared rather than times of start, since clocks may differ; of two that
 * started together both have to come to the same answer.
 *
 * @param ageMs this node's
 */
function isOlder(other: NodeStatus, self: NodeStatus, ageMs: number): boolean {
  const olderByMs = other.timeMs - other.startTimeMs - ageMs;
  if (Math.abs(olderByMs) > togetherMs) return olderByMs > 0;
  if (other.startTimeMs !== self.startTimeMs) return other.startTimeMs < self.startTimeMs;
  return other.instanceId < self.instanceId;
}
