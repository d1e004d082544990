import { addMembers, joinGroup, leaveGroup, removeMembers, updateMember } from "./group-members.ts";
import { createGroup, disbandGroup, transferOwnership, updateGroup } from "./group-settings.ts";
import type { Rule } from "./rule.ts";

/** The verbs that change conversations, beside sending and reading. Stores carry out any of them. */
export const changes = {
  createGroup,
  updateGroup,
  disbandGroup,
  transferOwnership,
  joinGroup,
  leaveGroup,
  addMembers,
  removeMembers,
  updateMember,
} satisfies Record<string, Rule<never, unknown>>;

/** The name of a verb. */
export type ChangeName = keyof typeof changes;

/** The request of a verb. */
export type ChangeRequest<N extends ChangeName> =
  (typeof changes)[N] extends Rule<infer R, infer _> ? R : never;

/** The answer of a verb. */
export type ChangeAnswer<N extends ChangeName> = (typeof changes)[N] extends Rule<never, infer A> ? A : never;

/** Returns the rule of a verb, whatever its request is. @throws Error when there is no such verb */
export function ruleOf<N extends ChangeName>(name: N): Rule<ChangeRequest<N>, ChangeAnswer<N>> {
  if (!Object.hasOwn(changes, name)) throw new Error(`there is no change ${name}`);
  return changes[name] as unknown as Rule<ChangeRequest<N>, ChangeAnswer<N>>;
}
