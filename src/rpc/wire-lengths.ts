import type { DescField, DescMessage, DescService } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { type RpcDefinition, Undecodable } from "../../wire/definition.ts";
import { maxEntriesOf, type OverlongList, overlong } from "./list-lengths.ts";

/** Takes the place of a request that has a list too long to decode. */
export class Overlong extends Undecodable {
  readonly list: OverlongList;
  /** Of a request on a stream, so that its refusal can be told from others; empty when it has none. */
  readonly requestId: string;

  constructor(list: OverlongList, requestId: string) {
    super(`${list.field} ${list.description}`);
    this.list = list;
    this.requestId = requestId;
  }
}

/** A request below this size is decoded at once: its lists cannot be long enough to cost much. */
const minBytes = 2_048;

/**
 * Has a service look at the lengths of a request's lists before it is decoded,
 * which costs a microsecond and an object for each entry, however empty. What
 * has too many becomes `Overlong`.
 */
export function countingLists<Service extends Pick<DescService, "typeName" | "methods" | "method">>(
  definition: RpcDefinition<Service>,
  { methods }: Service,
): RpcDefinition<Service> {
  const counting = methods.map((method) => {
    const rpc = definition[method.localName as keyof RpcDefinition<Service>];
    const requestDeserialize = (bytes: Uint8Array) => {
      const list = bytes.length < minBytes ? undefined : overlongIn(method.input, bytes);
      return list === undefined
        ? rpc.requestDeserialize(bytes)
        : new Overlong(list, requestIdIn(method.input, bytes));
    };
    return [method.localName, { ...rpc, requestDeserialize }];
  });
  return Object.fromEntries(counting);
}

/** Finds a list or map that has more entries than the schema allows. Bytes that are no message hold none. */
export function overlongIn(schema: DescMessage, bytes: Uint8Array): OverlongList | undefined {
  try {
    return search(schema, new BinaryReader(bytes), bytes.length, "", new Map());
  } catch {
    // Decoding says what is wrong with them.
    return undefined;
  }
}

/** Returns the last `request_id` of a request, as decoding would. */
function requestIdIn({ field }: DescMessage, bytes: Uint8Array): string {
  const number = field["requestId"]?.number;
  let found = "";
  try {
    const reader = new BinaryReader(bytes);
    while (number !== undefined && reader.pos < reader.len) {
      const [no, wireType] = reader.tag();
      if (no === number && wireType === WireType.LengthDelimited) found = reader.string();
      else reader.skip(wireType, no);
    }
  } catch {
    // What comes before the damage will do.
  }
  return found;
}

/** The longest that a number in a packed list is, in bytes. */
const maxPackedBytes = 10;

/** @param counts how many entries were seen so far, by path: a message given twice is one message */
function search(
  schema: DescMessage,
  reader: BinaryReader,
  end: number,
  path: string,
  counts: Map<string, number>,
): OverlongList | undefined {
  const fields = fieldsOf(schema);
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const field = fields.get(number);
    if (field === undefined) {
      reader.skip(wireType, number);
      continue;
    }
    const start = reader.pos;
    reader.skip(wireType, number);
    const fieldEnd = reader.pos;
    const name = path + field.name;
    const isMany = field.fieldKind === "list" || field.fieldKind === "map";
    if (isMany) {
      const isPacked = field.message === undefined && field.fieldKind === "list" && field.packed;
      const more = isPacked ? Math.ceil((fieldEnd - start) / maxPackedBytes) : 1;
      const count = (counts.get(name) ?? 0) + more;
      counts.set(name, count);
      if (count > maxEntriesOf(field)) return overlong(field, name);
    }
    if (field.message === undefined || field.fieldKind === "map" || wireType !== WireType.LengthDelimited)
      continue;
    reader.pos = start;
    reader.uint32();
    const inner = isMany ? new Map<string, number>() : counts;
    const found = search(field.message, reader, fieldEnd, `${name}.`, inner);
    if (found !== undefined) return found;
    reader.pos = fieldEnd;
  }
  return undefined;
}

const known = new Map<DescMessage, Map<number, DescField>>();

function fieldsOf(schema: DescMessage): Map<number, DescField> {
  let fields = known.get(schema);
  if (fields === undefined) {
    fields = new Map(schema.fields.map((field) => [field.number, field]));
    known.set(schema, fields);
  }
  return fields;
}
