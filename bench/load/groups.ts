import { create, toBinary } from "@bufbuild/protobuf";
import {
  AddMembersRequestSchema,
  CreateGroupRequestSchema,
} from "../../gen/parlance/chat/v1/group_service_pb.js";
import { call, callHeaders, paths } from "./calls.ts";
import { Http2Connection } from "./http2-connection.ts";
import { tokenFor } from "./tokens.ts";

/** The most users one request adds. */
const batch = 500;

/** Creates a group; the first of `userIds` owns it. */
export async function createGroup(
  address: string,
  groupId: string,
  [ownerId = "", ...memberIds]: readonly string[],
): Promise<void> {
  const connection = await Http2Connection.connect(address);
  const token = tokenFor(ownerId);
  const request = create(CreateGroupRequestSchema, { groupId, memberIds: memberIds.slice(0, batch) });
  await call(connection, callHeaders(paths.createGroup, token), toBinary(CreateGroupRequestSchema, request));
  const headers = callHeaders(paths.addMembers, token);
  for (let at = batch; at < memberIds.length; at += batch) {
    const more = create(AddMembersRequestSchema, { groupId, userIds: memberIds.slice(at, at + batch) });
    await call(connection, headers, toBinary(AddMembersRequestSchema, more));
  }
  connection.close();
}

/** Returns user ids: `<prefix>0`, `<prefix>1` … */
export function userIds(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`);
}
