import type { KeyboardEvent } from "react";

/** What browsers give as the code of a key that an input method has taken. */
const takenByInputMethod = 229;

/**
 * Whether a pressed key belongs to an input method, as Enter that takes a
 * suggestion and Escape that drops it. Safari ends the composition before it
 * tells the key: then only the code shows it.
 */
export function isComposing({ nativeEvent }: KeyboardEvent): boolean {
  return nativeEvent.isComposing || nativeEvent.keyCode === takenByInputMethod;
}
