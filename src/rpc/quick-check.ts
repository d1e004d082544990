import {
  type DescField,
  type DescMessage,
  type DescOneof,
  getExtension,
  getOption,
  hasExtension,
  hasOption,
  isFieldSet,
  type MessageShape,
} from "@bufbuild/protobuf";
import {
  type FieldRules,
  field as fieldRules,
  Ignore,
  message as messageRules,
  oneof as oneofRules,
  type StringRules,
  StringRulesSchema,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

import { id as idRule } from "../../gen/parlance/chat/v1/id_rule_pb.js";
import { isUserId } from "../../wire/user-id.ts";

/** Whether a value surely keeps the rules there are for it. */
type Check = (value: unknown) => boolean;

/** The rules for strings that are understood here. */
const understood = new Set(["min_bytes", "max_bytes", "pattern"]);

/**
 * Makes a check that tells quickly that a message keeps all rules of its
 * schema. It is read from the same rules as the library's, understands those
 * that most requests are made of, and says false whenever it is not sure: then
 * the library decides, and says what is wrong.
 *
 * @param match whether a text matches a pattern of the schema
 */
export function createQuickCheck(
  match: (pattern: string, text: string) => boolean,
): <Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>) => boolean {
  const checks = new Map<DescMessage, Check>();

  function checkOf(schema: DescMessage): Check {
    const known = checks.get(schema);
    if (known !== undefined) return known;
    // A message may hold others of its own type.
    checks.set(schema, (message) => checkOf(schema)(message));
    const check = compileMessage(schema);
    checks.set(schema, check);
    return check;
  }

  function compileMessage(schema: DescMessage): Check {
    if (hasOption(schema, messageRules)) return unsure;
    const parts: { name: string; check: Check }[] = [];
    for (const member of schema.members) {
      const check = member.kind === "oneof" ? compileOneof(member) : compileField(member);
      if (check !== undefined) parts.push({ name: member.localName, check });
    }
    return (message) => {
      for (const { name, check } of parts)
        if (!check((message as Record<string, unknown>)[name])) return false;
      return true;
    };
  }

  function compileOneof(oneof: DescOneof): Check {
    const required = hasOption(oneof, oneofRules) && getOption(oneof, oneofRules).required;
    const checks = new Map(oneof.fields.map((field) => [field.localName, compileField(field)]));
    return (chosen) => {
      const { case: name, value } = chosen as { case: string | undefined; value?: unknown };
      if (name === undefined) return !required;
      return checks.get(name)?.(value) ?? true;
    };
  }

  /** Returns undefined where any value will do. */
  function compileField(field: DescField): Check | undefined {
    const rules = hasOption(field, fieldRules) ? getOption(field, fieldRules) : undefined;
    if (rules?.ignore === Ignore.ALWAYS) return undefined;
    switch (field.fieldKind) {
      case "message":
        return compileSingular(checkOf(field.message), rules);
      case "list":
        if (rules === undefined && field.listKind !== "message") return undefined;
        return (value) => (value as unknown[]).length === 0 && !asksForItems(rules);
      case "map":
        if (rules === undefined && field.mapKind !== "message") return undefined;
        return (value) => Object.keys(value as object).length === 0 && !asksForItems(rules);
      case "scalar":
        if (rules?.type.case === "string") return compileString(rules, rules.type.value);
        return rules && unsure;
      default:
        return rules && unsure;
    }
  }

  function compileString(rules: FieldRules, strings: StringRules): Check {
    const set = StringRulesSchema.fields.filter((field) => isFieldSet(strings, field));
    const isId = hasExtension(strings, idRule) && getExtension(strings, idRule);
    const clear =
      set.every(({ name }) => understood.has(name)) &&
      (strings.$unknown ?? []).every(({ no }) => no === idRule.number) &&
      !hasCode(rules);
    const minBytes = Number(strings.minBytes);
    const maxBytes = isFieldSet(strings, StringRulesSchema.field.maxBytes)
      ? Number(strings.maxBytes)
      : Number.MAX_SAFE_INTEGER;
    const { pattern } = strings;
    return (value) => {
      // An optional field that is not set is bound by no rule but `required`.
      if (value === undefined) return !rules.required;
      const text = value as string;
      if (text === "" && rules.ignore === Ignore.IF_ZERO_VALUE) return true;
      if (!clear || (text === "" && rules.required)) return false;
      // A UTF-16 unit takes one to three bytes.
      if (text.length < minBytes || text.length > maxBytes) return false;
      if (text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes) return false;
      if (isId && !isUserId(text)) return false;
      return pattern === "" || match(pattern, text);
    };
  }

  return (schema, message) => checkOf(schema)(message);
}

/** Checks a message that is a field: whether it is there, and what is in it. */
function compileSingular(check: Check, rules: FieldRules | undefined): Check {
  const clear = rules === undefined || (rules.type.case === undefined && !hasCode(rules));
  return (value) => (value === undefined ? rules?.required !== true : clear && check(value));
}

/** Whether an empty list or map may break a rule. */
function asksForItems(rules: FieldRules | undefined): boolean {
  if (rules === undefined) return false;
  if (rules.required || hasCode(rules)) return true;
  if (rules.type.case === "repeated") return rules.type.value.minItems > 0n;
  return rules.type.case === "map" ? rules.type.value.minPairs > 0n : rules.type.case !== undefined;
}

function hasCode(rules: FieldRules): boolean {
  return rules.cel.length > 0 || rules.celExpression.length > 0;
}

function unsure(): boolean {
  return false;
}
