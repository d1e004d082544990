import { expect, test } from "vitest";
import { initials, inline, visible } from "../../../clients/web/ui/text.ts";

test("control characters become symbols, and names stay on their line", () => {
  expect(visible("a\u001b[0m\u007f\u0085\tb\nc\r\nd")).toBe("a␛[0m␡\ufffd\tb\nc\nd");
  expect(inline(" a\u202e\n\u2066b\u0000 ")).toBe("a b␀");
  expect([initials("Nora Lind"), initials("bob"), initials("…"), initials("😀 x")]).toEqual([
    "NL",
    "B",
    "?",
    "X",
  ]);
});
