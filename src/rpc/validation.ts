import {
  create,
  createRegistry,
  type DescMessage,
  type DescMethod,
  type DescService,
  type MessageShape,
} from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator, type Violation } from "@bufbuild/protovalidate";
import { file_parlance_chat_v1_id_rule } from "../../gen/parlance/chat/v1/id_rule_pb.js";
import { ChatError, type ChatErrorDetails, ErrorReason } from "../model/errors.ts";
import { createListLengths } from "./list-lengths.ts";
import { createQuickCheck } from "./quick-check.ts";

/** Rules of the contract beyond the library's own, for validators of it. */
export const ownRules = createRegistry(file_parlance_chat_v1_id_rule);

/** How many broken rules a refusal names. */
const maxNamed = 10;

/** Checks requests against the rules that the schema states. */
export interface RequestValidator {
  /**
   * Returns if the message keeps every rule.
   *
   * @throws ChatError INVALID_REQUEST with each rule that is broken
   */
  validate<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): void;

  /**
   * Prepares the request types of these services, and what a request of a
   * stream can hold. Without it the first call of each pays for that, up to
   * 150 ms.
   *
   * @throws when a rule of the schema cannot be compiled
   */
  warm(services: ReadonlyArray<Pick<DescService, "methods">>): void;
}

/** Makes a validator. It keeps what it prepared, so make one per server. */
export function createRequestValidator(): RequestValidator {
  // The library's own RE2 costs most of a check. The patterns are the schema's, few and linear in either engine.
  const expressions = new Map<string, RegExp>();
  const match = (pattern: string, text: string) => {
    let expression = expressions.get(pattern);
    if (expression === undefined) {
      expression = new RegExp(toEcma(pattern), "u");
      expressions.set(pattern, expression);
    }
    return expression.test(text);
  };
  const validator = createValidator({
    regexMatch: match,
    registry: ownRules,
  });
  const quickCheck = createQuickCheck(match);
  const overlongLists = createListLengths();

  function check<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Violation[] {
    const result = validator.validate(schema, message);
    if (result.kind === "error") throw result.error;
    return result.violations ?? [];
  }

  return {
    validate(schema, message) {
      if (quickCheck(schema, message)) return;
      const overlong = overlongLists(schema, message);
      if (overlong.length > 0) throw refusal(overlong, overlong.length);
      const violations = check(schema, message);
      if (violations.length > 0) throw invalidRequest(violations);
    },
    warm(services) {
      for (const schema of requestTypes(services)) check(schema, create(schema));
    },
  };
}

function requestTypes(services: ReadonlyArray<Pick<DescService, "methods">>): Set<DescMessage> {
  const types = new Set<DescMessage>();
  for (const { input, methodKind } of services.flatMap((service): DescMethod[] => service.methods)) {
    types.add(input);
    if (methodKind === "unary" || methodKind === "server_streaming") continue;
    for (const field of input.fields) if (field.message !== undefined) types.add(field.message);
  }
  return types;
}

function invalidRequest(broken: readonly Violation[]): ChatError {
  const named = broken.slice(0, maxNamed).map((violation) => ({
    field: pathToString(violation.field),
    rule: violation.ruleId,
    description: describe(violation),
  }));
  return refusal(named, broken.length);
}

function refusal(violations: NonNullable<ChatErrorDetails["violations"]>, count: number): ChatError {
  const [first] = violations;
  const more = count > 1 ? ` (and ${count - 1} more)` : "";
  return new ChatError(ErrorReason.INVALID_REQUEST, `${first?.field}: ${first?.description}${more}`, {
    violations,
  });
}

/** The library's own text for a pattern is the whole expression, control characters included. */
function describe({ ruleId, message, field }: Violation): string {
  if (ruleId !== "string.pattern") return message;
  switch (field.findLast((step) => step.kind === "field")?.name) {
    case "url":
      return "must be an absolute http, https or mailto URL";
    case "node_name":
      return "must be letters, digits, dots, hyphens and underscores, the first and last a letter or digit";
    default:
      return message;
  }
}

/** Writes a pattern of the schema as JavaScript does. In RE2 `\s` is ASCII white space only. The schema has it within brackets alone. */
export function toEcma(pattern: string): string {
  return pattern.replaceAll("\\s", "\\t\\n\\f\\r ");
}
