import { createRequire } from "node:module";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { harmless, harmlessLine } from "../../../clients/terminal/text/harmless.ts";
import { cut, graphemesOf, padTo, widthOf } from "../../../clients/terminal/text/width.ts";
import { wrap } from "../../../clients/terminal/text/wrap.ts";

/** Texts with everything that makes terminals stumble. */
const nasty = fc
  .array(
    fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom(
        "\u001b[2J",
        "\u001b]0;x\u0007",
        "\u009b31m",
        "\u202e",
        "\u2066",
        "\u200b",
        "👨‍👩‍👧",
        "❤️",
        "한국어",
        " ",
        "\n",
        "\t",
      ),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(""));

describe("a text from outside", () => {
  test("shows control characters as pictures, and keeps its line breaks", () => {
    expect(harmless("a\u001b[31mred\u0007\nb\r\nc\td\u007f\u009b")).toBe("a␛[31mred␇\nb\nc    d␡\uFFFD");
    expect(harmless("one\u2028two")).toBe("one\ntwo");
    expect(harmlessLine("one\n\ntwo")).toBe("one two");
  });

  test("loses what turns the direction of writing and what cannot be seen", () => {
    expect(harmless("user\u202Egnp.exe\u2066\u200B\uFEFF\u{E0041}")).toBe("usergnp.exe");
  });

  test("keeps the joiners that scripts need, and takes joined emoji apart", () => {
    expect(harmless("नमस्\u200Dते")).toBe("नमस्\u200Dते");
    expect(harmless("👩🏽‍🚀👍")).toBe("👩🏽🚀👍");
  });

  test("heaps no marks", () => {
    expect([...harmless(`x${"\u0330".repeat(50)}y`)]).toHaveLength(6);
  });

  test("never holds a control character but the line break, nor a mark of direction", () => {
    fc.assert(
      fc.property(nasty, (text) => {
        expect(harmless(text)).not.toMatch(/[^\P{Cc}\n]|[\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]/u);
        expect(harmlessLine(text)).not.toContain("\n");
      }),
    );
  });
});

describe("the width of a text", () => {
  test.each([
    ["abc", 3],
    ["日本語", 6],
    ["👋", 2],
    ["👍🏽", 2],
    ["🇩🇪", 2],
    ["e\u0301", 1],
    ["1️⃣", 2],
    ["한글", 4],
    ["ｆｕｌｌ", 8],
    ["", 0],
  ])("of %j is %i cells", (text, width) => expect(widthOf(text)).toBe(width));

  test("is what Ink takes it to be, for every character that this Node knows", async () => {
    const requireOfInk = createRequire(createRequire(import.meta.url).resolve("ink"));
    const { default: stringWidth } = requireOfInk("string-width") as { default: (text: string) => number };
    const differing: string[] = [];
    for (let code = 0x20; code < 0x110000; code++) {
      const character = String.fromCodePoint(code);
      if (/[\p{Cn}\p{Cs}]/u.test(character)) continue;
      const text = harmless(character);
      if (text !== "" && widthOf(text) !== stringWidth(text)) differing.push(code.toString(16));
    }
    expect(differing).toEqual([]);
  });

  test("bounds what is cut and padded", () => {
    expect(cut("hello", 5)).toBe("hello");
    expect(cut("hello", 4)).toBe("hel…");
    expect(cut("日本語", 4)).toBe("日…");
    expect(padTo("日本語", 4)).toBe("日… ");
    expect(cut("x", 0)).toBe("");
    fc.assert(
      fc.property(nasty, fc.nat(20), (text, width) => {
        expect(widthOf(padTo(harmlessLine(text), width))).toBe(width);
      }),
    );
  });
});

describe("a wrapped text", () => {
  test("breaks between words, and within those that are too long", () => {
    expect(wrap("the quick brown fox", 10)).toEqual(["the quick", "brown fox"]);
    expect(wrap("abcdefghij klm", 4)).toEqual(["abcd", "efgh", "ij", "klm"]);
    expect(wrap("日本語日本語", 5)).toEqual(["日本", "語日", "本語"]);
    expect(wrap("one two", 10, 4)).toEqual(["one", "two"]);
    expect(wrap("a\n\nb", 10)).toEqual(["a", "", "b"]);
    expect(wrap("  indented", 10)).toEqual(["  indented"]);
  });

  test("fits its width and loses nothing but white space", () => {
    fc.assert(
      fc.property(nasty, fc.integer({ min: 2, max: 30 }), (raw, width) => {
        const text = harmless(raw);
        const lines = wrap(text, width);
        for (const line of lines) {
          // A single character may be wider than that, with many marks that take room.
          if (graphemesOf(line).length > 1) expect(widthOf(line)).toBeLessThanOrEqual(width);
        }
        expect(lines.join("").replace(/\s/g, "")).toBe(text.replace(/\s/g, ""));
      }),
    );
  });
});
