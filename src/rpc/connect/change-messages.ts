import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";

/** Returns what takes a message's place; it may change it. */
export type Change = (message: never) => unknown;

type AnyChange = (value: unknown) => unknown;
type Fields = Record<string, unknown>;

/**
 * Makes what changes, within messages of one Protobuf package, all messages of
 * some types, in place. Where they are is looked up in the schema once; messages
 * of other packages are left alone.
 *
 * @param changes by the names of the types
 */
export function createChanger(
  packageName: string,
  changes: ReadonlyMap<string, Change>,
): (schema: DescMessage, message: Message) => void {
  /** Undefined for those in which there is nothing to change. */
  const known = new Map<DescMessage, AnyChange | undefined>();

  function changeOf(schema: DescMessage): AnyChange | undefined {
    if (known.has(schema)) return known.get(schema);
    const own = changes.get(schema.typeName) as AnyChange | undefined;
    const change = own ?? (schema.file.proto.package === packageName ? within(schema) : undefined);
    known.set(schema, change);
    return change;
  }

  function within(schema: DescMessage): AnyChange | undefined {
    // A message may hold others of its own type.
    known.set(schema, (value) => changeOf(schema)?.(value) ?? value);
    const parts: ((message: Fields) => void)[] = [];
    for (const member of schema.members) {
      const part = member.kind === "oneof" ? ofOneof(member.localName, member.fields) : ofField(member);
      if (part !== undefined) parts.push(part);
    }
    if (parts.length === 0) return undefined;
    return (message) => {
      for (const part of parts) part(message as Fields);
      return message;
    };
  }

  function ofOneof(name: string, fields: readonly DescField[]): ((message: Fields) => void) | undefined {
    const byCase = new Map<unknown, AnyChange>();
    for (const field of fields) {
      const change = field.message && changeOf(field.message);
      if (change !== undefined) byCase.set(field.localName, change);
    }
    if (byCase.size === 0) return undefined;
    return (message) => {
      const chosen = message[name] as { case: unknown; value?: unknown };
      const change = byCase.get(chosen.case);
      if (change !== undefined) chosen.value = change(chosen.value);
    };
  }

  function ofField({ localName, fieldKind, message: schema }: DescField) {
    const change = schema && changeOf(schema);
    if (change === undefined) return undefined;
    return (message: Fields) => {
      const value = message[localName];
      if (value === undefined) return;
      if (fieldKind === "message") {
        message[localName] = change(value);
        return;
      }
      const members = value as Fields;
      for (const key of Object.keys(members)) members[key] = change(members[key]);
    };
  }

  return (schema, message) => void changeOf(schema)?.(message);
}
