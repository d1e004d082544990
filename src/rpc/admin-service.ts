import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AdminService, type NodeSchema, NodeState } from "../../gen/parlance/admin/v1/admin_service_pb.js";
import type { NodeStatus } from "../bus/bus.ts";
import type { Nodes, SeenNode } from "../cluster/nodes.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import type { Logger } from "../model/logger.ts";
import { requireToken } from "./authentication.ts";
import { openCall } from "./calls.ts";
import { type MountableService, mountable } from "./services.ts";
import type { RequestValidator } from "./validation.ts";

/** The parts of the service for operators. */
export interface AdminParts {
  nodes: Pick<Nodes, "list" | "drain">;
  /** The token that calls have to bring; undefined where only those who may can reach the port. */
  token: string | undefined;
  /** The pace of a drain that names none. */
  drainSessionsPerSecond: number;
  validator: RequestValidator;
  log: Logger;
}

/** Makes the service for operators. */
export function createAdminService(parts: AdminParts): MountableService {
  const { nodes, token } = parts;
  const check = token === undefined ? undefined : requireToken(token);
  const { listNodes, drainNode } = AdminService.method;
  parts.validator.warm([AdminService]);
  return mountable(AdminService, {
    listNodes: openCall(
      listNodes,
      async () => ({ nodes: (await nodes.list()).map(nodeMessage) }),
      parts,
      check,
    ),
    drainNode: openCall(
      drainNode,
      async ({ nodeName, sessionsPerSecond = parts.drainSessionsPerSecond }) => {
        const node = await nodes.drain(nodeName, sessionsPerSecond);
        if (node === undefined)
          throw new ChatError(ErrorReason.NODE_NOT_FOUND, `no node named ${nodeName} answers`);
        return { node: nodeMessage({ ...node, clockOffsetMs: 0 }) };
      },
      parts,
      check,
    ),
  });
}

function nodeMessage(node: SeenNode): MessageInitShape<typeof NodeSchema> {
  const { name, instanceId, address, version, startTimeMs, timeMs, sessions, users, clockOffsetMs } = node;
  return {
    name,
    instanceId,
    address,
    version,
    startTime: timestampFromMs(startTimeMs),
    uptime: durationFromMs(Math.max(0, timeMs - startTimeMs)),
    sessions,
    users,
    state: stateOf(node),
    clockOffset: durationFromMs(clockOffsetMs),
  };
}

function stateOf({ draining, sessions }: NodeStatus): NodeState {
  if (!draining) return NodeState.SERVING;
  return sessions > 0 ? NodeState.DRAINING : NodeState.DRAINED;
}
