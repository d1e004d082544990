import {
  type DescField,
  type DescMessage,
  getOption,
  hasOption,
  type MessageShape,
} from "@bufbuild/protobuf";
import { field as fieldRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

/** A list or map that has more entries than the schema allows. */
export interface OverlongList {
  /** Such as `content.text.entities`. */
  field: string;
  rule: string;
  description: string;
}

/** Adds what is too long in a value to `found`. `path` is where the value is, with a dot at its end. */
type Walk = (message: unknown, path: string, found: OverlongList[]) => void;

/** How many entries a list may have of which the schema says nothing, as of those in Protobuf's own types. */
const unstatedMax = 100;
/** How many are looked for. */
const maxFound = 10;

/**
 * Makes a check for lists and maps that are too long. The library looks at
 * every item of a list, however many there may be; this looks at lengths alone,
 * and into no list that is too long.
 */
export function createListLengths(): <Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
) => OverlongList[] {
  const walks = new Map<DescMessage, Walk>();

  function walkOf(schema: DescMessage): Walk {
    let walk = walks.get(schema);
    if (walk !== undefined) return walk;
    // A message may hold others of its own type.
    walks.set(schema, (message, path, found) => walkOf(schema)(message, path, found));
    walk = compile(schema);
    walks.set(schema, walk);
    return walk;
  }

  function compile(schema: DescMessage): Walk {
    const parts = schema.fields.flatMap((field) => {
      const walk = compileField(field);
      return walk === undefined ? [] : [{ field, walk }];
    });
    return (message, path, found) => {
      for (const { field, walk } of parts) {
        if (found.length >= maxFound) return;
        const value = setValueOf(message as Record<string, unknown>, field);
        if (value !== undefined) walk(value, path + field.name, found);
      }
    };
  }

  function compileField(field: DescField): Walk | undefined {
    switch (field.fieldKind) {
      case "message": {
        const walk = walkOf(field.message);
        return (value, path, found) => walk(value, `${path}.`, found);
      }
      case "list": {
        const walk = field.listKind === "message" ? walkOf(field.message) : undefined;
        return bounded(field, (value, path, found) => {
          if (walk === undefined) return;
          for (const [i, item] of (value as unknown[]).entries()) walk(item, `${path}[${i}].`, found);
        });
      }
      case "map":
        return bounded(field, () => {});
      default:
        return undefined;
    }
  }

  return (schema, message) => {
    const found: OverlongList[] = [];
    walkOf(schema)(message, "", found);
    return found;
  };
}

/** Looks at the items of a list only if there are not too many. */
function bounded(field: DescField, walkItems: Walk): Walk {
  const max = maxEntriesOf(field);
  return (value, path, found) => {
    const count = Array.isArray(value) ? value.length : Object.keys(value as object).length;
    if (count <= max) return walkItems(value, path, found);
    found.push(overlong(field, path));
  };
}

/** Says that a list or map has too many entries. @param path of the field, such as `content.text.entities` */
export function overlong(field: DescField, path: string): OverlongList {
  return {
    field: path,
    rule: field.fieldKind === "map" ? "map.max_pairs" : "repeated.max_items",
    description: `must contain no more than ${maxEntriesOf(field)} item(s)`,
  };
}

/** Returns how many entries a list or map may have. */
export function maxEntriesOf(field: DescField): number {
  const rules = hasOption(field, fieldRules) ? getOption(field, fieldRules) : undefined;
  if (rules?.type.case === "repeated" && rules.type.value.maxItems > 0n)
    return Number(rules.type.value.maxItems);
  if (rules?.type.case === "map" && rules.type.value.maxPairs > 0n) return Number(rules.type.value.maxPairs);
  return unstatedMax;
}

function setValueOf(message: Record<string, unknown>, field: DescField): unknown {
  if (field.oneof === undefined) return message[field.localName];
  const chosen = message[field.oneof.localName] as { case?: string; value?: unknown };
  return chosen.case === field.localName ? chosen.value : undefined;
}
