/**
 * Draws docs/images/terminal.svg: a real chat of three users, as it is in a
 * terminal of 100 columns. Needs Python 3 for the pseudo-terminals.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { widthOf } from "../clients/terminal/text/width.ts";
import { startTestServer, text } from "../test/support/server.ts";
import type { Cell, Pen, TerminalScreen } from "../test/support/terminal/screen.ts";
import { openTerminal } from "../test/support/terminal/terminal.ts";

const file = fileURLToPath(new URL("../docs/images/terminal.svg", import.meta.url));
const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const size = { columns: 100, rows: 20 };

/** The terminal's sixteen colours, and what is drawn without one. */
const palette = [
  ...["#1d2330", "#f7768e", "#9ece6a", "#e0af68", "#7aa2f7", "#bb9af7", "#7dcfff", "#c8d0e4"],
  ...["#565f89", "#ff9e9e", "#b9f27c", "#ffd089", "#9bbcff", "#d0b3ff", "#a6e3ff", "#ffffff"],
];
const background = "#161a24";
const foreground = "#c8d0e4";
const cell = { width: 8.4, height: 19, fontSize: 14 };
const frame = { margin: 14, bar: 34 };

mkdirSync(dirname(file), { recursive: true });
writeFileSync(file, `${toSvg(await chat())}\n`);

/** Lets three users chat and returns what one of them sees. */
async function chat(): Promise<TerminalScreen> {
  const server = await startTestServer();
  const terminal = openTerminal(
    [process.execPath, main, "chat", "--as", "alice", "--server", server.address],
    {
      ...size,
      env: { COLORTERM: "" },
    },
  );
  try {
    const [bob, carol, dave] = await Promise.all(["bob", "carol", "dave"].map((user) => server.login(user)));
    if (!bob || !carol || !dave) throw new Error("not three");
    const streams = [bob.stream(), carol.stream()];
    for (const stream of streams) await stream.open();
    await terminal.until("connected");
    const say = (body: string) => carol.chat.sendGroup({ groupId: "release", content: text(body) });
    terminal.type("/group release bob carol dave\r");
    await terminal.until("4 members");
    await say("Morning! The candidate is on staging since eight.");
    await terminal.until("since eight");
    terminal.type("Thank you. Did the soak test hold? 🙂\r");
    await terminal.until("Did the soak");
    await bob.chat.sendGroup({
      groupId: "release",
      content: text(
        "It ran all night, and I pulled the plug on it more than once.\nEverything arrived, and nothing twice.",
      ),
    });
    await terminal.until("nothing twice");
    await say("Then I would say we ship it: today is the day 🚀");
    await terminal.until("is the day");
    terminal.type("/invite erin\r");
    await terminal.until("alice added erin");
    terminal.type("erin, could you publish the notes?\r");
    await terminal.until(/✓.*erin, could/);
    await bob.chat.sendDirect({ recipientId: "alice", content: text("Lunch?") });
    await dave.chat.sendDirect({ recipientId: "alice", content: text("The invoices are in.") });
    await dave.chat.sendDirect({ recipientId: "alice", content: text("Both of them.") });
    await terminal.until("3 unread");
    await terminal.until("● bob");
    terminal.type("Let's do it at ten, so that every");
    streams[1]?.send({
      case: "setTyping",
      value: { target: { case: "groupId", value: "release" }, typing: true },
    });
    await terminal.until("carol is typing");
    await terminal.until("so that every");
    return terminal.screen;
  } finally {
    await terminal.kill();
    await server.close();
  }
}

function toSvg(screen: TerminalScreen): string {
  const width = Math.round(screen.columns * cell.width + 2 * frame.margin);
  const height = Math.round(screen.rows * cell.height + frame.margin + frame.bar);
  const rows = screen.cells.map((row, y) =>
    runsOf(row)
      .map((run) => drawRun(run, y))
      .join(""),
  );
  const cursor = `<rect x="${xOf(screen.x)}" y="${yOf(screen.y)}" width="${cell.width}" height="${cell.height}" fill="${foreground}" opacity="0.8"/>`;
  const lights = ["#ff5f57", "#febc2e", "#28c840"].map(
    (fill, i) => `<circle cx="${20 + i * 20}" cy="17" r="6" fill="${fill}"/>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="A chat in the terminal">
<rect width="${width}" height="${height}" rx="10" fill="${background}" stroke="#2a3144"/>
${lights.join("")}<text x="${width / 2}" y="22" fill="#7a849f" font-family="system-ui, sans-serif" font-size="13" text-anchor="middle">parlance chat --as alice</text>
<g font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="${cell.fontSize}">
${rows.filter((row) => row !== "").join("\n")}
${cursor}
</g>
</svg>`;
}

/** Cells of the same looks side by side. */
interface Run {
  x: number;
  columns: number;
  text: string;
  pen: Pen;
}

function runsOf(row: readonly Cell[]): Run[] {
  const runs: Run[] = [];
  for (const [x, { text: shown, pen }] of row.entries()) {
    const last = runs.at(-1);
    // What is wide, or may be drawn so, gets a place of its own.
    const alone = shown !== "" && (widthOf(shown) > 1 || /\P{ASCII}/u.test(shown));
    const lastIsAscii = last !== undefined && !/\P{ASCII}/u.test(last.text);
    if (shown === "" && last !== undefined) last.columns++;
    else if (
      last !== undefined &&
      !alone &&
      lastIsAscii &&
      JSON.stringify(last.pen) === JSON.stringify(pen)
    ) {
      last.text += shown;
      last.columns++;
    } else runs.push({ x, columns: 1, text: shown, pen });
  }
  return runs;
}

function drawRun({ x, columns, text: shown, pen }: Run, y: number): string {
  const color = pen.color === undefined ? foreground : (palette[pen.color] ?? foreground);
  const bar = pen.inverse
    ? `<rect x="${xOf(x)}" y="${yOf(y)}" width="${round(columns * cell.width + 0.3)}" height="${cell.height}" fill="#39445f"/>`
    : "";
  if (shown.trim() === "") return bar;
  const style = `${pen.bold ? ' font-weight="bold"' : ""}${pen.dim ? ' opacity="0.55"' : ""}`;
  const fill = pen.inverse ? "#ffffff" : color;
  // Viewers disagree about spaces at the ends of a text and side by side.
  const lead = shown.length - shown.trimStart().length;
  const trail = shown.length - shown.trimEnd().length;
  const length = round((columns - lead - trail) * cell.width);
  const glyphs = escaped(shown.trim()).replaceAll(" ", "\u00a0");
  return `${bar}<text x="${xOf(x + lead)}" y="${round(yOf(y) + cell.height * 0.74)}" fill="${fill}"${style} textLength="${length}" lengthAdjust="spacingAndGlyphs">${glyphs}</text>`;
}

function xOf(x: number): number {
  return round(frame.margin + x * cell.width);
}

function yOf(y: number): number {
  return round(frame.bar + y * cell.height);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(shown: string): string {
  return shown.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
