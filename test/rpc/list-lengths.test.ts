import { create, type DescField, type DescMessage, type DescOneof, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ChatError } from "../../src/model/errors.ts";
import { maxEntriesOf } from "../../src/rpc/list-lengths.ts";
import { createRequestValidator } from "../../src/rpc/validation.ts";
import { overlongIn } from "../../src/rpc/wire-lengths.ts";
import { chatServices } from "../../wire/services.ts";
import { seed } from "../support/seed.ts";

const entries = 65_000;
const validator = createRequestValidator();

type ListField = DescField & { fieldKind: "list" | "map" };

/** Every list and map that a request can hold, as the fields that lead to it. */
function* listsOf(schema: DescMessage, path: DescField[] = []): Generator<DescField[]> {
  for (const field of schema.fields) {
    if (field.fieldKind === "list" || field.fieldKind === "map") yield [...path, field];
    const isNew = field.message !== schema && !path.some(({ message }) => message === field.message);
    if (field.fieldKind === "message" && isNew) yield* listsOf(field.message, [...path, field]);
  }
}

/** Sets the last of the fields, each within the one before, to so many entries. */
function fill([field, ...rest]: DescField[], count: number): object {
  const value = rest.length > 0 ? fill(rest, count) : entriesOf(field as ListField, count);
  const { localName, oneof } = field as DescField & { oneof?: DescOneof };
  return oneof === undefined ? { [localName]: value } : { [oneof.localName]: { case: localName, value } };
}

function entriesOf(field: ListField, count: number): unknown {
  const empty = () =>
    "message" in field && field.message ? {} : field.fieldKind === "list" && field.enum ? 0 : "";
  if (field.fieldKind === "list") return Array.from({ length: count }, empty);
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, empty()]));
}

const cases = chatServices
  .flatMap(({ methods }) => methods.map(({ input }) => input))
  .flatMap((schema) =>
    [...listsOf(schema)].map(
      (path) => [`${schema.name}.${path.map(({ name }) => name).join(".")}`, schema, path] as const,
    ),
  );

describe(`B29: ${entries} empty entries are refused by their number alone, without a look at each`, () => {
  test.each(cases)("in %s", (_, schema, path) => {
    let thrown: unknown;
    try {
      validator.validate(schema, create(schema, fill(path, entries) as Record<string, unknown>));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ChatError);
    // Every one of them breaks a rule of its own; none is named.
    expect((thrown as ChatError).details.violations).toEqual([
      {
        field: path.map(({ name }) => name).join("."),
        rule: expect.stringMatching(/^(repeated\.max_items|map\.max_pairs)$/),
        description: expect.stringMatching(/^must contain no more than \d+ item\(s\)$/),
      },
    ]);
  });
});

describe(`${entries} empty entries are found before they are decoded`, () => {
  test.each(cases)("in %s", (_, schema, path) => {
    const bytes = toBinary(schema, create(schema, fill(path, entries) as Record<string, unknown>));
    const field = path.map(({ name }) => name).join(".");
    expect(overlongIn(schema, bytes)).toMatchObject({ field });
    // As one message given in many parts, each of them short enough.
    const parts = Array.from({ length: 200 }, () =>
      toBinary(schema, create(schema, fill(path, 10) as Record<string, unknown>)),
    );
    expect(overlongIn(schema, Buffer.concat(parts))).toMatchObject({ field });
    // Cut off anywhere they are left to decoding, or found.
    for (let end = 0; end < 200; end++)
      expect(() => overlongIn(schema, bytes.subarray(0, end))).not.toThrow();
  });

  test("and what the schema allows is not among them", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...cases),
        fc.double({ min: 0, max: 1, noNaN: true }),
        ([, schema, path], part) => {
          const field = path.at(-1) as ListField;
          const count = Math.floor(maxEntriesOf(field) * part);
          const message = create(schema, fill(path, count) as Record<string, unknown>);
          expect(overlongIn(schema, toBinary(schema, message))).toBeUndefined();
        },
      ),
      { seed: seed() },
    );
  });
});

test("every list that a request can hold is among them", () => {
  expect(cases.map(([name]) => name)).toEqual(
    expect.arrayContaining([
      "SendDirectRequest.content.text.entities",
      "SendDirectRequest.options.labels",
      "StreamRequest.send_group.options.mention_user_ids",
      "ListenRequest.open.event_kinds",
      "AddMembersRequest.user_ids",
      "UpdateGroupRequest.update_mask.paths",
      "BatchGetMembersRequest.user_ids",
      "GetPresenceRequest.user_ids",
    ]),
  );
});

test("a refusal names ten broken rules at most, and says how many there are", () => {
  const schema = chatServices
    .flatMap(({ methods }) => methods)
    .find(({ name }) => name === "AddMembers")?.input;
  const request = create(schema as DescMessage, { groupId: "g", userIds: Array(300).fill("") });
  expect(() => validator.validate(schema as DescMessage, request)).toThrow(/\(and \d+ more\)$/);
  try {
    validator.validate(schema as DescMessage, request);
  } catch (error) {
    expect((error as ChatError).details.violations).toHaveLength(10);
  }
});
