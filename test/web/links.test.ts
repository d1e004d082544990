import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { pieces } from "../../clients/web/ui/links.ts";
import { seed } from "../support/seed.ts";

/** Texts in which ⟦ and ⟧ stand around what is a link. */
const texts: Record<string, readonly string[]> = {
  "Latin script": [
    "⟦https://example.org⟧ ⟦https://example.org/⟧ ⟦HTTPS://EXAMPLE.ORG/A⟧ ⟦http://example.org/a?b=1&c=[2]#d⟧",
    "É isso:⟦https://example.org/é⟧, não? Über ⟦https://müller.example/straße⟧. ¡Mira ⟦https://example.org/ñ⟧!",
    "foohttps://example.org",
  ],
  "Cyrillic script": [
    "См. ⟦https://пример.рф/путь?запрос=да⟧, «⟦https://example.org/а⟧». Смотри:⟦https://example.org⟧—да",
    "ы⟦https://example.org/ы⟧ ⟦https://example.org⟧это ⟦bob@example.org⟧это",
  ],
  "Greek script": [
    "Δες ⟦https://παράδειγμα.ελ/σελίδα⟧; και «⟦https://example.org/α⟧»· ⟦https://example.org⟧·",
  ],
  "Arabic script": [
    "انظر ⟦https://example.org/صفحة⟧، ثم ⟦https://مثال.إختبار/أ⟧؟ و⟦https://example.org/ب⟧؛ ⟦https://example.org/ج⟧۔",
  ],
  "Hebrew script": ['ראו ⟦https://דוגמה.ישראל/דף⟧. וגם "⟦https://example.org/א⟧"׃ ו⟦https://example.org⟧׀'],
  "Devanagari script": [
    "देखें ⟦https://उदाहरण.भारत/पृष्ठ⟧। और ⟦https://example.org/हिन्दी⟧॥ देखें⟦https://example.org⟧।",
  ],
  "Thai script": [
    "ดู⟦https://example.org/a⟧ และ ⟦https://ตัวอย่าง.ไทย/หน้า⟧ ⟦https://example.org⟧ครับ ⟦https://example.org/ก⟧๏",
  ],
  "Chinese script": [
    "请看⟦https://example.org/a⟧。还有⟦https://例子.中国/路径⟧，（⟦https://example.org/b⟧）、「⟦https://example.org/c⟧」！",
    "《⟦https://example.org/a⟧》【⟦https://example.org/b⟧】“⟦https://example.org/c⟧”；⟦https://example.org/d⟧：⟦https://example.org/e⟧？",
    "⟦https://zh.wikipedia.org/wiki/维基百科⟧。⟦https://example.org⟧谢谢。写信给⟦bob@example.org⟧吧，或⟦bob@example.org⟧。",
  ],
  "Japanese script": [
    "これは⟦https://example.org/a⟧、そして『⟦https://ja.wikipedia.org/wiki/日本_(曖昧さ回避)⟧』です。",
    "**⟦https://example.org/a⟧**です ⟦https://example.org⟧です ｆｕｌｌ：⟦https://例え.テスト/ページ⟧〜⟦https://example.org/b⟧｡",
  ],
  "Korean script": [
    "보세요 ⟦https://예시.한국/길⟧. (⟦https://ko.wikipedia.org/wiki/한국⟧)도 ⟦https://example.org⟧에서 봐요",
  ],
  brackets: [
    "(⟦https://example.org/a⟧) [⟦https://example.org/b⟧] {⟦https://example.org/c⟧} <⟦https://example.org/d⟧>",
    "(see ⟦https://example.org/a⟧). (⟦https://example.org/a_(b)⟧) ⟦https://example.org/a_(b)⟧. ⟦https://example.org/a(b(c)d)e⟧",
    "[text](⟦https://example.org/a⟧) ![](⟦https://example.org/b.png⟧) [⟦https://example.org/a⟧](⟦https://example.org/b⟧)",
    "|⟦https://example.org/a⟧|⟦https://example.org/b⟧| ⟦https://example.org/?a[]=1&b[c]=2⟧",
  ],
  quotes: [
    "\"⟦https://example.org/a⟧\" '⟦https://example.org/b⟧' `⟦https://example.org/c⟧` '⟦https://example.org⟧'",
    "“⟦https://example.org/a⟧” ‘⟦https://example.org/b⟧’ «⟦https://example.org/c⟧» „⟦https://example.org/d⟧“ ‹⟦https://example.org/e⟧›",
    "⟦https://example.org/it's⟧ fine ⟦https://example.org/?q='a'&x=1⟧",
  ],
  "the marks of Markdown": [
    "**⟦https://example.org/a⟧** *⟦https://example.org/b⟧* ***⟦https://example.org/c⟧*** **⟦https://example.org⟧**, x",
    "_⟦https://example.org/a⟧_ __⟦https://example.org/b⟧__ ~~⟦https://example.org/c⟧~~ _⟦https://example.org⟧_ ~~⟦https://example.org⟧~~",
    "⟦https://example.org/a_b_c⟧ ⟦https://example.org/~user/⟧ ⟦https://example.org/a*b⟧ ⟦https://example.org/__init__.py⟧",
    "- ⟦https://example.org/a⟧\n1. ⟦https://example.org/b⟧\n> ⟦https://example.org/c⟧\n**⟦bob@example.org⟧**",
  ],
  "the end of a sentence": [
    "⟦https://example.org⟧. ⟦https://example.org/a⟧, ⟦https://example.org/b⟧; ⟦https://example.org/c⟧: ⟦https://example.org/d⟧!",
    "⟦https://example.org/a⟧? ⟦https://example.org/b?c⟧? ⟦https://example.org/a⟧... Wait…⟦https://example.org/a⟧… ⟦https://example.org/a⟧?!",
    "⟦https://example.org/a;b,c:d!e⟧ ⟦https://example.org/a-⟧ ⟦https://example.org/a=⟧ ⟦https://example.org/a⟧—⟦https://example.org/b⟧–c",
    "a=⟦https://example.org/a⟧ a:⟦https://example.org/b⟧ 😀⟦https://example.org/😀⟧ ⟦https://😀.example/⟧",
  ],
  "hosts and ports": [
    "⟦http://localhost:3000/x⟧ ⟦http://127.0.0.1:8080/⟧ ⟦http://[::1]:8080/a⟧ ⟦http://intranet/x⟧ ⟦https://example.org:443⟧: port",
    "⟦https://xn--e1afmkfd.xn--p1ai/⟧ ⟦https://a-b.example⟧ ⟦https://sub_domain.example.org/⟧ ⟦https://example.org?a⟧ ⟦https://example.org#a⟧",
    "https:// http:/example.org https://. https://! https://- http://[::",
    "https://example.org@evil.example/ https://user:password@example.org/",
  ],
  "mail addresses": [
    "⟦bob@example.org⟧, <⟦bob@example.org⟧> (⟦bob.b+tag@mail.example.org⟧). ⟦mailto:bob@example.org⟧ mail:⟦bob@example.org⟧",
    "⟦o'brien@example.org⟧ '⟦bob@example.org⟧' “⟦bob@example.org⟧” ⟦bob@пример.рф⟧",
    "@bob @bob@example.org a@b user@localhost bob@ bob..b@example.org",
  ],
  "other schemes": [
    "javascript:alert(1) JavaScript://example.org/%0aalert(1) data:text/html,x vbscript:x file:///etc/passwd ftp://example.org/",
    "java\tscript:x blob:x intent://x tel:1 //example.org/a www.example.org example.org README.md node.js 1.2.3",
  ],
  "invisible characters": [
    "⟦https://example.org/a⟧\u00a0b ⟦https://example.org/a⟧\u200bb ⟦https://example.org/a⟧\u202eb ⟦https://example.org/a⟧\u2066b",
    "⟦https://example.org/a⟧\u0000 ⟦https://example.org/a⟧\u001b[0m ⟦https://example.org/a⟧\u0085",
    "⟦https://example.org/می\u200cخواهم⟧ ⟦https://example.org/क्\u200dष⟧",
  ],
};

describe.each(Object.entries(texts))("links in %s", (_, marked) => {
  test.each(marked)("%j", (text) => {
    const shown = pieces(text.replace(/[⟦⟧]/g, ""));
    expect(shown.map((piece) => (piece.href === undefined ? piece.text : `⟦${piece.text}⟧`)).join("")).toBe(
      text,
    );
  });
});

test.each([
  ["https://пример.рф/путь", "https://xn--e1afmkfd.xn--p1ai/%D0%BF%D1%83%D1%82%D1%8C"],
  ["HTTPS://EXAMPLE.ORG", "https://example.org/"],
  ["https://example.org/it's", "https://example.org/it's"],
  ["bob@example.org", "mailto:bob@example.org"],
  ["MAILTO:bob@example.org", "mailto:bob@example.org"],
])("%s leads to %s", (text, href) => {
  expect(pieces(text)).toEqual([{ text, href }]);
});

test("whatever the text is, its pieces make it up, and lead to the web and to mail only", () => {
  const part = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom(...Object.values(texts).flat().join(" ").split(/[⟦⟧ ]/)),
    fc.constantFrom(
      "https://",
      "http://a",
      "javascript:",
      "mailto:",
      "a@b.c",
      "(",
      ")",
      "[",
      "'",
      '"',
      "**",
      "_",
      "\n",
    ),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 40 }), (parts) => {
      const text = parts.join("");
      const found = pieces(text);
      expect(found.map((piece) => piece.text).join("")).toBe(text);
      for (const { href, text: shown } of found) {
        expect(shown).not.toBe("");
        if (href !== undefined) expect(href).toMatch(/^(https?:\/\/|mailto:)/);
      }
    }),
    { seed: seed(), numRuns: 500 },
  );
});

test.each([
  "(",
  "https://a/(",
  "https://a/[{(",
  "https://",
  "a@",
  "a@b.",
  "@a.a",
  "https://a.",
  "https://a/'",
  "mailto:a@b",
  "***",
])("the longest message of %s is split", (part) => {
  for (const start of ["", "https://a/", "a@"]) {
    const text = start + part.repeat(Math.floor(16_000 / part.length));
    expect(
      pieces(text)
        .map((piece) => piece.text)
        .join(""),
    ).toBe(text);
  }
});
