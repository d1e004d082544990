/**
 * Settings of groups that have no column of their own, because no query looks at
 * them: a row keeps them together, as an encoded `Group`. Those of later releases
 * are kept as they are.
 */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { GroupSchema } from "../../gen/parlance/chat/v1/group_pb.js";
import type { GroupRecord } from "../model/records.ts";
import { settingFields } from "../rules/group-settings.ts";

const withColumns: ReadonlySet<string> = new Set([
  "name",
  "join_policy",
  "history_for_new_members",
  "muted",
  "member_limit",
  "attributes",
]);

const others = GroupSchema.fields
  .filter(({ name }) => Object.hasOwn(settingFields, name) && !withColumns.has(name))
  .map(({ localName }) => localName as keyof GroupRecord);

/** Encodes a group's settings that have no column; no bytes where all have their defaults. */
export function encodeOtherSettings(group: GroupRecord): Uint8Array {
  const message = create(GroupSchema, Object.fromEntries(others.map((name) => [name, group[name]])));
  if (group.laterSettings !== undefined) message.$unknown = group.laterSettings;
  return toBinary(GroupSchema, message);
}

/** Decodes what {@link encodeOtherSettings} made. */
export function decodeOtherSettings(bytes: Uint8Array): Partial<GroupRecord> {
  if (bytes.length === 0 && others.length === 0) return {};
  const message = fromBinary(GroupSchema, bytes);
  return {
    ...Object.fromEntries(others.map((name) => [name, message[name as keyof typeof message]])),
    ...(message.$unknown !== undefined && { laterSettings: message.$unknown }),
  };
}
